"""A person at a real terminal: what the screen shows, and what each key does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.view.conftest import RACK, Rack, Webhook

SECOND = """\
================================================================================
    TURN THESE 2 KNOBS
================================================================================

    ATTACK    0.3 ms  ->   10 ms
    RELEASE     AUTO  ->   0.1 s

    the panel:  >turn it here<  (stands here now)  [stays here]

    THRESHOLD dB  -28 +-------------+------------+------------+-------------+ 12
                                 ^ [-20]
    ATTACK    ms   0.1  (0.3)  1   3  >10<  30
    RELEASE   s   >0.1<  0.3   0.6   1.2  (AUTO)
    RATIO     :1   2  [4]  10

    Enter  done, they stand so         b  back: the setting before was wrong
    s      skip this setting for now   i  impossible: this setting cannot be
    p      pause the session"""
READY = "p      pause the session"
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


def test_only_what_changes_is_asked_for_with_a_drawing_of_the_whole_panel(rack: Rack) -> None:
    desk = rack().until("TURN THESE 4 KNOBS").until(READY)
    assert "ATTACK      ?  ->   0.3 ms" in desk.text
    assert "?: nobody knows how it stands" in desk.text
    assert desk.shown.count(b"\a") == 1
    desk.wipe().press("\n").until(READY)
    assert desk.text.split("Done.\n\n")[1] == SECOND
    rows = {line[4:].split(" ")[0]: row for row, line in enumerate(desk.lines)}
    assert desk.reversed(rows["TURN"]).strip() == "TURN THESE 2 KNOBS"
    assert [desk.reversed(rows[name]) for name in ("ATTACK", "RELEASE", "RATIO")] == [
        ">10<",
        ">0.1<",
        "",
    ]
    desk.wipe().press("\n").until("TURN THIS KNOB").until(READY)
    assert "THRESHOLD   -20 dB  ->   -4 dB" in desk.text
    assert desk.press("\r").ended() == 0
    assert [said["confirmed"] for said in rack.log] == ["told"] * 3
    assert desk.modes_now == desk.modes


@pytest.mark.parametrize(
    ("environment", "codes"),
    [
        ({"TERM": "dumb"}, set[bytes]()),
        ({"NO_COLOR": "1"}, {b"\x1b[0m", b"\x1b[1m", b"\x1b[2m", b"\x1b[1;7m"}),
    ],
)
def test_it_reads_the_same_without_colours(
    rack: Rack, environment: dict[str, str], codes: set[bytes]
) -> None:
    desk = rack(**environment).until(READY).wipe().press("\n").until(READY)
    assert desk.text.split("Done.\n\n")[1] == SECOND
    assert set(COLOUR.findall(desk.shown)) == codes
    assert (b"\x1b" in desk.shown) == bool(codes)


def test_skip_and_impossible_with_a_reason(rack: Rack) -> None:
    desk = rack().until(READY).wipe().press("S").until("Skipped for now.").until(READY)
    desk.wipe().press("i").until("Why is this setting impossible?")
    desk.wipe().press("  \n").until("Why is this setting impossible?")  # asked again
    desk.wipe().press("the knob\x1b[D came of\x7foff\n").until(READY)
    assert rack.log == [
        {"setting": 0, "declined": "skip", "reason": ""},
        {"setting": 1, "declined": "impossible", "reason": "the knob[D came ooff"},
    ]


def test_back_wants_to_be_said_twice_and_impossible_can_be_taken_back(rack: Rack) -> None:
    desk = rack().until(READY).wipe().press("\n").until(READY)
    desk.wipe().press("b").until("b once more: yes.").press("n").until(READY)
    desk.wipe().press("i").until("impossible?").press("-\n").until(READY)
    desk.wipe().press("b").until("b once more: yes.").press("b")
    desk.until("TURN THESE 4 KNOBS")  # whichever stood wrong: none of them is known any more
    assert rack.log[1:] == [{"setting": 1, "declined": "back", "reason": ""}]


def test_keys_that_mean_nothing_do_nothing(rack: Rack) -> None:
    desk = rack().until(READY)
    for key in ("x", " ", "\x1b[B", "\x1bOS", "\x1b", "ä", "\t"):
        desk.wipe().press(key).until("Keys: Enter done, b back, s skip, p pause, i impossible.")
    desk.press("s").until("Skipped for now.")
    assert [said["declined"] for said in rack.log] == ["skip"]


def test_what_was_typed_before_anybody_asked_is_no_answer(rack: Rack) -> None:
    rack().press("\n\n\n").until(READY).wipe().press("s").until(READY)
    assert [said["declined"] for said in rack.log] == ["skip"]


def test_a_pause_is_ended_by_a_key_and_counts_as_waiting(rack: Rack) -> None:
    desk = rack("--remind", "0.05").until("Still waiting").wipe().press("p").until("Paused at")
    begun = time.monotonic()
    desk.wipe()
    held_s = time.monotonic() - begun
    desk.press(" ").until("TURN THESE 4 KNOBS").until(READY).press("\n").until("Done.")
    assert rack.log[0]["waited_s"] >= held_s + 0.05


@pytest.mark.parametrize(
    ("keys", "number"),
    [("", signal.SIGINT), ("i", signal.SIGINT), ("p", signal.SIGINT), ("b", signal.SIGTERM)],
)
def test_a_signal_ends_the_waiting_and_the_terminal_is_as_it_was(
    rack: Rack, keys: str, number: int
) -> None:
    desk = rack().until(READY)
    shown = {"": READY, "i": "impossible?", "p": "Paused at", "b": "once more"}
    desk.press(keys).until(shown[keys])
    if number == signal.SIGINT:
        desk.press("\x03")
    else:
        desk.process.send_signal(number)
    assert desk.ended() == 130
    assert desk.modes_now == desk.modes
    assert rack.log == [{"error": "Interrupted", "messages": ["interrupted"]}]


def test_the_end_of_input_pauses_the_session(rack: Rack, webhook: Webhook) -> None:
    desk = rack(CAPTURE_NOTIFY=webhook.url).until(READY).press("\x04")
    assert desk.ended() == 130
    assert desk.modes_now == desk.modes
    assert "Run the same command in a terminal to go on" in rack.log[0]["messages"][1]
    assert webhook.message().startswith("please turn THRESHOLD ? -> -20 dB; ATTACK ? -> 0.3 ms")
    assert webhook.message().startswith("paused: the terminal is gone. To be turned: THRESHOLD")


def test_a_terminal_that_vanishes_pauses_the_session(rack: Rack, webhook: Webhook) -> None:
    """And the message that says so is on its way before the program ends."""
    desk = rack("--deaf", CAPTURE_NOTIFY=webhook.url).until(READY)
    assert "please turn" in webhook.message()
    webhook.answers.clear()
    desk.hang_up()
    assert "the terminal is gone" in webhook.message()
    with pytest.raises(subprocess.TimeoutExpired):
        desk.process.wait(0.5)  # the message is not answered yet
    webhook.answers.set()
    assert desk.process.wait(60) == 130
    assert "the terminal is gone" in rack.log[0]["messages"][0]


def test_without_a_terminal_nobody_is_asked(tmp_path: Path, rack: Rack, webhook: Webhook) -> None:
    """And no answer is guessed from what comes along on standard input."""
    done = subprocess.run(
        [sys.executable, RACK, "log"],
        cwd=tmp_path,
        env={**os.environ, "CAPTURE_NOTIFY": webhook.url},
        input="\n\n\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130
    assert done.stdout == ""
    (said,) = rack.log
    assert done.stderr == "\n".join(said["messages"]) + "\n"
    assert "THRESHOLD ? -> -20 dB" in said["messages"][0]
    assert "all that was captured is saved" in said["messages"][1]
    assert webhook.message().startswith("paused: there is no terminal to ask on.")
    assert not webhook.more


def test_a_live_display_makes_way_for_the_question(rack: Rack) -> None:
    """It is drawn eight times a second; half a second later nothing of it has come back."""
    desk = rack("--live", "--remind", "0.5").until("Still waiting, for")
    assert "measuring song" in desk.shown.decode()
    assert "measuring song" not in desk.text
    assert desk.text.split(READY)[1].strip().startswith("Still waiting, for")
    assert b"measuring song number 1" not in desk.shown
    desk.wipe().press("s").until(READY).until("Still waiting, for")
    assert b"measuring song number 1" in desk.shown
    assert "measuring song" not in desk.text
    assert "TURN THESE 4 KNOBS" in desk.text


def test_the_docs_show_what_the_screen_shows() -> None:
    page = Path(__file__).parents[2] / "docs/knobs/manual.md"
    assert SECOND in page.read_text("utf-8")
