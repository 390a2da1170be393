"""What comes over the line: the same in whatever pieces, and noise is only noise."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capture.hardware.knobs.gcode.conversation import MOST_RESENDS, Again, Conversation
from capture.hardware.knobs.gcode.dialects import (
    DIALECTS,
    MARLIN,
    Alarm,
    Busy,
    Greeting,
    Ok,
    Refusal,
    Report,
    Resend,
)
from capture.hardware.knobs.gcode.lines import MAX_LINE, Lines

SAID = [
    b"ok\r\n",
    b"ok N5 P15 B3\n",
    b"ok T:21.3 /0.0\n",
    b"error:9\r\n",
    b"ALARM:1\r\n",
    b"\r\nGrbl 1.1h ['$' for help]\r\n",
    b"<Idle|MPos:1.000,-2.500,0.000|FS:0,0>\r\n",
    b"X:10.00 Y:-0.50 Z:0.00 E:0.00 Count X:800 Y:-40 Z:0\n",
    b"ok X:1.0 Y:2.0 Z:0.0 E:0.0 Count: A:100 B:200 C:0\n",
    b"Resend: 5\nok\n",
    b"rs N5\n",
    b"echo:busy: processing\n",
    b"Error:Printer halted. kill() called!\n",
    b"start\n",
]
noise = st.binary(max_size=40)
stream = st.lists(st.one_of(st.sampled_from(SAID), noise), max_size=20).map(b"".join)
dialects = st.sampled_from(sorted(DIALECTS))


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    data = draw(stream)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(pieces(), dialects, st.booleans())
def test_the_pieces_make_no_difference(cut: list[bytes], name: str, told: bool) -> None:
    whole, parts = Conversation(DIALECTS[name]), Conversation(DIALECTS[name])
    for conversation in (whole, parts):
        if told:
            conversation.say("G4 P0")
    events = [event for piece in cut for event in parts.receive(piece)]
    assert events == whole.receive(b"".join(cut))
    assert parts.transcript.lines == whole.transcript.lines
    assert parts.outstanding == whole.outstanding


@given(st.binary(max_size=2000))
@example(b"<Idle|MPos:nan,inf,1e99|>\r\nResend: 99999999999999999999\nerror:\nALARM:\n")
@example("error:٣\n<Idle|MPos:٣.٣>\n".encode())
def test_garbage_is_borne(data: bytes) -> None:
    for dialect in DIALECTS.values():
        conversation = Conversation(dialect)
        conversation.receive(data + b"\n")
        heard = Lines().split(data + b"\n")
        assert all(line.isascii() and line.isprintable() for line in heard)
        assert conversation.transcript.lines == tuple(f"< {line}" for line in heard)[-200:]


@example(b"x" * 1000)
@given(st.binary(min_size=1, max_size=600).filter(lambda data: not {10, 13} & set(data)))
def test_half_a_line_is_kept_and_a_long_one_is_cut(data: bytes) -> None:
    lines = Lines()
    assert lines.split(data) == []
    ended = lines.split(b"\r\nok\n")
    assert len(ended) == 2
    assert ended[1] == "ok"
    assert len(ended[0]) <= 4 * MAX_LINE  # \\xNN
    assert ended == Lines().split(data[:MAX_LINE] + b"\nok\n")


@pytest.mark.parametrize(
    ("name", "line", "events"),
    [
        ("grbl", "ok", [Ok()]),
        ("grbl", "\\xffok", []),
        ("grbl", "okay", []),
        ("grbl", "error:9", [Refusal("error:9", "it is locked by an alarm")]),
        ("grbl", "error:9x", []),
        ("grbl", "ALARM:99", [Alarm("ALARM:99", "see the firmware's list of alarms")]),
        ("grbl", "Grbl 1.1h ['$' for help]", [Greeting("Grbl 1.1h ['$' for help]")]),
        ("grbl", "\\x00Grbl 0.9j ['$' for help]", [Greeting("\\x00Grbl 0.9j ['$' for help]")]),
        ("grblhal", "GrblHAL 1.1f ['$' ...]", [Greeting("GrblHAL 1.1f ['$' ...]")]),
        ("grbl", "[VER:1.1h.20190825:]", []),
        (
            "grbl",
            "<Idle|MPos:1.500,-2.000,0|FS:0,0>",
            [Report("Idle", {"X": 1.5, "Y": -2, "Z": 0})],
        ),
        ("grbl", "<Hold:1|FS:0,0|MPos:1>", [Report("Hold", {"X": 1.0})]),
        (
            "grblhal",
            "<Run|MPos:0,0,0,9.5|Bf:35,1023>",
            [Report("Run", {**dict.fromkeys("XYZ", 0.0), "A": 9.5})],
        ),
        ("grbl", "<Idle|WPos:1.000,2.000,0.000|FS:0,0>", [Report("Idle", {})]),
        ("grbl", "<Idle|MPos:1.0.0,2|FS:0,0>", [Report("Idle", {})]),
        ("grbl", "<Idle|MPos:1.000,2.000", []),
        ("marlin", "ok", [Ok()]),
        ("marlin", "ok N3 P15 B3", [Ok()]),
        (
            "marlin",
            "ok X:1.0 Y:2.5 Z:0.0 E:0.0 Count: A:100 B:250 C:0",
            [Report("Idle", {"X": 1.0, "Y": 2.5, "Z": 0.0}), Ok()],
        ),
        (
            "marlin",
            "X:-1.00Y:2.00Z:0.00E:0.00 Count X: 0.00",
            [Report("Idle", {"X": -1.0, "Y": 2.0, "Z": 0.0})],
        ),
        ("marlin", "X:1e-05 Y:2.00 Z:0.00", [Report("Idle", {"Y": 2.0, "Z": 0.0})]),
        ("marlin", "start", [Greeting("start")]),
        ("marlin", "echo:Marlin 2.1.2", [Greeting("echo:Marlin 2.1.2")]),
        ("marlin", "echo:start", []),
        ("marlin", "Resend: 12", [Resend(12)]),
        ("marlin", "rs N12", [Resend(12)]),
        ("marlin", "echo:busy: processing", [Busy()]),
        ("marlin", "busy:processing", [Busy()]),
        ("marlin", "Error:Line Number is not Last Line Number+1, Last Line: 3", []),
        ("marlin", "Error:No Line Number with checksum, Last Line: 3", []),
        ("marlin", "Error:checksum mismatch, Last Line: 3", []),
        ("marlin", "Error:MAXTEMP triggered", [Refusal("Error:MAXTEMP triggered")]),
        ("marlin", "!! Lost communication", [Refusal("!! Lost communication")]),
        ("marlin", 'echo:Unknown command: "G53"', [Refusal('echo:Unknown command: "G53"')]),
        ("marlin", "echo:Home XY First", [Refusal("echo:Home XY First")]),
        ("marlin", "T:21.30 /0.00 B:21.30 /0.00", []),
        ("marlin", "wait", []),
    ],
)
def test_what_a_line_says(name: str, line: str, events: list[object]) -> None:
    assert DIALECTS[name].events(line) == events


def test_one_line_is_outstanding_at_most() -> None:
    conversation = Conversation(DIALECTS["grbl"])
    assert conversation.say("G4 P0") == b"G4 P0\n"
    with pytest.raises(RuntimeError, match="'G4 P0' is not answered yet"):
        conversation.say("$H")
    assert conversation.ask() == b"?"  # no line, and may come at any time
    assert conversation.receive(b"ok\r\nok\r\n") == [Ok()]  # the other ok is nobody's
    conversation.say("$H")
    conversation.give_up()
    assert conversation.receive(b"ok\r\n") == []


def test_numbers_and_checksums() -> None:
    conversation = Conversation(MARLIN)
    assert conversation.say("M110 N0") == b"N0 M110 N0*125\n"
    conversation.receive(b"ok\n")
    # The XOR of all bytes before the asterisk.
    assert conversation.say("M114") == b"N1 M114*38\n"
    conversation.give_up()
    assert conversation.say("M110 N0") == b"N0 M110 N0*125\n"  # the count begins anew


def test_only_the_outstanding_line_is_sent_again() -> None:
    conversation = Conversation(MARLIN)
    assert conversation.receive(b"Resend: 13\nok\n") == []  # of somebody before
    hello = conversation.say("M110 N0")
    assert conversation.receive(b"Resend: 14\nok\n") == [Again(hello)]
    assert conversation.receive(b"ok\n") == [Ok()]
    line = conversation.say("G1 X1 F100")
    for _ in range(MOST_RESENDS):
        assert conversation.receive(b"Resend: 1\nok\n") == [Again(line)]
        assert conversation.outstanding == "G1 X1 F100"
    (refusal,) = conversation.receive(b"Resend: 1\nok\n")
    assert refusal == Refusal("Resend: 1", "it came damaged 10 times: look at the cable")
    line = conversation.say("M400")
    assert conversation.receive(b"Resend: 2\nok\n") == [Again(line)]  # counted line by line
    (refusal,) = conversation.receive(b"Resend: 1\n")
    assert isinstance(refusal, Refusal)
    conversation.give_up()
    (refusal,) = conversation.receive(b"Resend: 2\n")  # it was given up: never again
    assert isinstance(refusal, Refusal)
