"""What goes over the line, byte by byte, when all is well and on every way to go wrong.

The frames are from the protocol's text; the peer follows a script and knows no Modbus.
"""

from __future__ import annotations

import contextlib
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.knobs.modbus import EXCEPTIONS, ModbusKnobs
from tests.knobs.modbus.conftest import ATTACK, CONTROLS, MOTOR, RATIO, at, section
from tests.knobs.script import link, played

SILENT_S = 0.1  # where nothing ever answers
ANSWER_S = 0.25  # where some do, and some do not

WRITE = "> 01 06 00 10 00 02 09 ce"
WRITTEN = "< 01 06 00 10 00 02 09 ce"
READ = "> 01 03 00 10 00 01 85 cf"
HOLDS_2 = "< 01 03 02 00 02 39 85"
STUCK = "Is it stuck, or was it turned by hand?"


@contextlib.contextmanager
def knobs(*script: str, answer_s: float = 5.0, **registers: Any) -> Iterator[ModbusKnobs]:
    with played("\n".join(script)) as port:
        facts = section(port, registers or {"ratio": RATIO}, answer_s=answer_s)
        driver = ModbusKnobs(facts, list(CONTROLS.values()))
        try:
            yield driver
        finally:
            driver.close()


def refused(driver: ModbusKnobs, **setting: float) -> tuple[str, ...]:
    """What the fault says that setting the knobs ends in."""
    with pytest.raises(HardwareFault) as caught:
        driver.set(at(**(setting or {"ratio": 10.0})))
    assert not isinstance(caught.value, DeviceLost)
    return caught.value.messages


def test_a_register_is_written_and_read_back() -> None:
    with knobs(WRITE, WRITTEN, READ, HOLDS_2) as driver:
        proof = driver.set(at(ratio=10.0))
    assert (proof.confirmed, proof.position) == ("read_back", at(ratio=10.0))


def test_verifying_only_reads() -> None:
    with knobs(READ, HOLDS_2, READ, HOLDS_2) as driver:
        assert driver.verify(at(ratio=10.0)).position == at(ratio=10.0)
        with pytest.raises(HardwareFault, match="ratio: should stand at 4 and stands at 10 "):
            driver.verify(at(ratio=4.0))


def test_an_answer_in_pieces_is_kept_until_it_is_whole() -> None:
    with knobs(
        WRITE, "< 01 06 | 00 10 00 | 02 09 ce", READ, "< 01 | 03 02 00 02 39 | 85"
    ) as driver:
        driver.set(at(ratio=10.0))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("< 01 03 02 00 01 79 84", "at 4 (holding register 16 of unit 1: 2 wanted, 1 found)"),
        (
            "< 01 03 02 00 39 78 56",
            "at none of its positions (holding register 16 of unit 1: 2 wanted, 57 found)",
        ),
    ],
)
def test_what_was_acknowledged_is_not_yet_so(answer: str, found: str) -> None:
    with knobs(WRITE, WRITTEN, READ, answer) as driver:
        assert refused(driver) == (f"ratio: should stand at 10 and stands {found}. {STUCK}",)


def test_all_that_stand_wrong_are_named() -> None:
    script = (
        "> 02 01 00 00 00 06 bc 3b",
        "< 02 01 01 04 50 0f",
        "> 02 05 00 02 ff 00 2d c9",
        "< 02 05 00 02 ff 00 2d c9",
        WRITE,
        WRITTEN,
        "> 02 01 00 00 00 06 bc 3b",
        "< 02 01 01 00 51 cc",
        READ,
        "< 01 03 02 00 01 79 84",
    )
    with knobs(*script, ratio=RATIO, attack_ms=ATTACK) as driver:
        found = refused(driver, ratio=10.0, attack_ms=1.0)
    assert [message.split(" (")[0] for message in found] == [
        "attack_ms: should stand at 1 and stands at none of its positions",
        "ratio: should stand at 10 and stands at 4",
    ]


EXCEPTION_FRAMES = {
    1: "< 01 86 01 83 a0",
    2: "< 01 86 02 c3 a1",
    3: "< 01 86 03 02 61",
    4: "< 01 86 04 43 a3",
    5: "< 01 86 05 82 63",
    6: "< 01 86 06 c2 62",
    7: "< 01 86 07 03 a2",
    8: "< 01 86 08 43 a6",
    10: "< 01 86 0a c2 67",
    11: "< 01 86 0b 03 a7",
}


@pytest.mark.parametrize("code", EXCEPTION_FRAMES)
def test_an_exception_is_told_in_words(code: int) -> None:
    assert EXCEPTION_FRAMES.keys() == EXCEPTIONS.keys()
    with knobs(WRITE, EXCEPTION_FRAMES[code]) as driver:
        assert refused(driver) == (
            "ratio: unit 1 refuses to write 2 to holding register 16: "
            f"exception {code}, {EXCEPTIONS[code]}",
        )


def test_an_exception_to_reading_back_and_one_that_nobody_knows() -> None:
    with knobs(WRITE, WRITTEN, READ, "< 01 83 02 c0 f1", WRITE, "< 01 86 63 02 49") as driver:
        assert refused(driver)[0].startswith(
            "ratio: unit 1 refuses to read holding register 16: exception 2, illegal data address"
        )
        assert refused(driver)[0].endswith("exception 99, the protocol knows no such exception")


def test_a_unit_that_is_absent() -> None:
    with knobs(WRITE, WRITE, WRITE, answer_s=SILENT_S) as driver:
        assert refused(driver) == (
            "ratio: unit 1 does not answer, asked 3 times to write 2 to holding register 16: is "
            "it on, wired (A to A, B to B), set to unit 1 and to 9600 baud, parity N, 1 stop bit?",
        )


def test_a_unit_that_falls_silent_before_it_is_read_back() -> None:
    with knobs(WRITE, WRITTEN, READ, READ, READ, answer_s=ANSWER_S) as driver:
        assert refused(driver)[0].startswith(
            "ratio: unit 1 does not answer, asked 3 times to read holding register 16: is it on"
        )


SPEED = (
    "is it set to 9600 baud, parity N, 1 stop bit, is there one unit 1 only, is the line "
    "terminated?"
)


@pytest.mark.parametrize(
    "came",
    [
        "fe 00 13 37 80",  # garbage
        "01 06 00 10 00 02 09 cf",  # the last bit is wrong
        "01 06 00 10",  # the rest is lost
        "02 06 00 10 00 02 09 fd",  # another unit
    ],
)
def test_what_comes_is_no_answer(came: str) -> None:
    script = [WRITE, f"< {came}"] * 3
    with knobs(*script, answer_s=ANSWER_S) as driver:
        assert refused(driver) == (
            "ratio: unit 1, asked 3 times to write 2 to holding register 16 (01 06 00 10 00 02 09 "
            f"ce), gives no answer to that but {came} {came} {came}: {SPEED}",
        )


def test_the_answer_to_something_else_is_none() -> None:
    """Else the echo of a write, come late, would prove what is only being read back."""
    with knobs(WRITE, WRITTEN, READ, WRITTEN) as driver:
        assert refused(driver) == (
            "ratio: unit 1, asked once to read holding register 16 (01 03 00 10 00 01 85 cf), "
            f"gives no answer to that but 01 06 00 10 00 02 09 ce: {SPEED}",
        )


def test_an_adapter_that_hears_itself() -> None:
    """Its echo acknowledges every write, and is found out by the first reading."""
    echo = READ.replace(">", "<")
    with knobs(WRITE, WRITTEN, READ, echo, READ, echo, READ, echo, answer_s=ANSWER_S) as driver:
        (message,) = refused(driver)
    assert message.endswith("85 cf: the adapter hands back what it sends: switch its echo off")


def test_noise_on_a_frame_is_got_over_by_asking_again() -> None:
    script = (WRITE, "< 01 06 00 10 40 02 09 ce", WRITE, WRITTEN, READ, HOLDS_2)
    with knobs(*script, answer_s=ANSWER_S) as driver:
        driver.set(at(ratio=10.0))


def test_a_late_answer_is_not_taken_for_another_register() -> None:
    """Both stand at 0 in the first's answers; the second control really stands at 1."""
    other = RATIO | {"holding_register": 17}
    script = (
        "> 01 03 00 11 00 01 d4 0f",
        "> 01 03 00 11 00 01 d4 0f",
        "< 01 03 02 00 00 b8 44",  # to the first time of asking
        "~ 0.1",  # the line is left to fall silent
        "< 01 03 02 00 00 b8 44",  # to the second
        READ,
        "< 01 03 02 00 01 79 84",
    )
    with knobs(*script, answer_s=0.5, makeup_db=other, ratio=RATIO) as driver:
        with pytest.raises(HardwareFault) as caught:
            driver.verify(at(makeup_db=0.0, ratio=2.0))
        (message,) = caught.value.messages
    assert message.startswith("ratio: should stand at 2 and stands at 4 ")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("< 01 03 04 00 02 00 02 da 32", "unit 1 sends 2 registers where one was asked for"),
        ("< 01 03 00 20 f0", "unit 1 sends 0 registers where one was asked for"),
    ],
)
def test_an_answer_of_another_length(answer: str, said: str) -> None:
    with knobs(WRITE, WRITTEN, READ, answer) as driver:
        assert refused(driver) == (f"ratio: {said}",)


# Relays.

COILS = "> 02 01 00 00 00 06 bc 3b"
NONE, COIL_1, COIL_2, COILS_1_2 = (
    "< 02 01 01 00 51 cc",
    "< 02 01 01 02 d0 0d",
    "< 02 01 01 04 50 0f",
    "< 02 01 01 06 d1 ce",
)
OPEN_1, OPENED_1 = "> 02 05 00 01 00 00 9c 39", "< 02 05 00 01 00 00 9c 39"
CLOSE_2, CLOSED_2 = "> 02 05 00 02 ff 00 2d c9", "< 02 05 00 02 ff 00 2d c9"


def test_a_relay_opens_before_another_closes() -> None:
    script = (COILS, COIL_1, OPEN_1, OPENED_1, COILS, NONE, CLOSE_2, CLOSED_2, COILS, COIL_2)
    with knobs(*script, attack_ms=ATTACK) as driver:
        assert driver.set(at(attack_ms=1.0)).position == at(attack_ms=1.0)


def test_a_relay_that_is_closed_already_does_not_click() -> None:
    with knobs(COILS, COIL_2, CLOSE_2, CLOSED_2, COILS, COIL_2, attack_ms=ATTACK) as driver:
        driver.set(at(attack_ms=1.0))


def test_a_relay_that_will_not_open_keeps_the_next_one_open() -> None:
    with knobs(COILS, COIL_1, OPEN_1, OPENED_1, COILS, COIL_1, attack_ms=ATTACK) as driver:
        assert refused(driver, attack_ms=1.0) == (
            "attack_ms: coil 2 of unit 2 is not closed, because 1 closed and will not open: is a "
            "relay stuck?",
        )


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (NONE, "at none of its positions (coils of unit 2: 2 closed wanted, none closed found)"),
        (COIL_1, "at 0.3 (coils of unit 2: 2 closed wanted, 1 closed found)"),
        (
            COILS_1_2,
            "at none of its positions (coils of unit 2: 2 closed wanted, 1, 2 closed found)",
        ),
    ],
)
def test_relays_that_are_not_as_they_were_told(answer: str, found: str) -> None:
    with knobs(COILS, NONE, CLOSE_2, CLOSED_2, COILS, answer, attack_ms=ATTACK) as driver:
        assert refused(driver, attack_ms=1.0) == (
            f"attack_ms: should stand at 1 and stands {found}. {STUCK}",
        )


def test_coils_that_are_not_all_sent() -> None:
    with knobs(COILS, "< 02 01 00 d1 90", attack_ms=ATTACK) as driver:
        assert refused(driver, attack_ms=1.0) == (
            "attack_ms: unit 2 sends 0 coils where 6 were asked for",
        )


def test_a_coil_between_its_own_is_another_s() -> None:
    """Coil 1 is closed, and stays so."""
    between = {"unit": 2, "coils": [2, 0, 4]}
    script = (
        "> 02 01 00 00 00 05 fc 3a",
        "< 02 01 01 07 10 0e",  # 0, 1 and 2
        "> 02 05 00 00 00 00 cd f9",
        "< 02 05 00 00 00 00 cd f9",
        "> 02 01 00 00 00 05 fc 3a",
        "< 02 01 01 06 d1 ce",  # 1 and 2
        CLOSE_2,
        CLOSED_2,
        "> 02 01 00 00 00 05 fc 3a",
        "< 02 01 01 06 d1 ce",
    )
    with knobs(*script, ratio=between) as driver:
        driver.set(at(ratio=2.0))


# Motors.

GO = ("> 01 06 00 14 03 e8 c9 70", "< 01 06 00 14 03 e8 c9 70")
WHERE = "> 01 04 00 20 00 01 30 00"


def test_a_motor_is_waited_for_and_one_that_passes_by_has_not_arrived() -> None:
    script = (
        *(*GO, WHERE, "< 01 04 02 00 00 b9 30"),  # 0
        *(WHERE, "< 01 04 02 03 e7 f9 8a"),  # 999
        *(WHERE, "< 01 04 02 03 f2 38 45"),  # 1010
        *(WHERE, "< 01 04 02 03 e6 38 4a"),  # 998
        *(WHERE, "< 01 04 02 03 e7 f9 8a"),
    )
    with knobs(*script, makeup_db=MOTOR) as driver:
        assert driver.set(at(makeup_db=10.0)).position == at(makeup_db=10.0)


def test_a_motor_that_has_no_time_left() -> None:
    late = MOTOR | {"read": MOTOR["read"] | {"within_s": 0.0}}
    with knobs(*GO, WHERE, "< 01 04 02 03 f2 38 45", makeup_db=late) as driver:
        assert refused(driver, makeup_db=10.0) == (
            "makeup_db: should stand at 10 and stands at none of its positions (input register 32 "
            f"of unit 1: 1000 wanted, 1010 found). {STUCK}",
        )


def test_a_motor_a_little_below_zero_stands_at_zero() -> None:
    with knobs(WHERE, "< 01 04 02 ff ff b8 80", makeup_db=MOTOR) as driver:
        driver.verify(at(makeup_db=0.0))


# The port.


def test_the_port_is_set_up_as_the_section_says() -> None:
    """All but the parity, which a pseudo-terminal has none of."""
    with played("") as port:
        facts = section(port, {"ratio": RATIO}, baud=19200, stop_bits=2)
        driver = ModbusKnobs(facts, [CONTROLS["ratio"]])
        with Path(port).open("rb", buffering=0) as terminal:
            _, _, cflag, _, speed_in, speed_out, _ = termios.tcgetattr(terminal)
        driver.close()
    assert (speed_in, speed_out) == (termios.B19200, termios.B19200)
    assert cflag & termios.CSTOPB
    assert cflag & termios.CSIZE == termios.CS8


@pytest.mark.parametrize(
    "before",
    [
        (WRITE,),
        (WRITE, "< 01 06 00"),
        (WRITE, WRITTEN, READ),
        (WRITE, WRITTEN, READ, "< 01 03 02 00 | 02"),
    ],
)
def test_a_cable_that_is_pulled_and_plugged_in_again(
    before: tuple[str, ...], tmp_path: Path
) -> None:
    with played("\n".join((*before, "!"))) as port:
        stable = link(tmp_path, port)
        driver = ModbusKnobs(section(str(stable), {"ratio": RATIO}), [CONTROLS["ratio"]])
        with pytest.raises(DeviceLost, match=f"the serial port with path {stable} is gone: "):
            driver.set(at(ratio=10.0))
    assert refused(driver)[0].startswith(f"ratio: no serial port with path {stable}; attached: ")
    with played("\n".join((WRITE, WRITTEN, READ, HOLDS_2))) as port:
        link(tmp_path, port)
        driver.set(at(ratio=10.0))
        driver.close()
