"""What goes over a servo's bus, byte by byte, when all is well and on every way to go wrong.

``GO``, ``DONE`` and ``WHERE`` are ROBOTIS' own examples (e-Manual, Protocol 2.0: write, read); the
peer follows a script and knows no protocol.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.dynamixel_facts import DynamixelFacts
from capture.hardware.knobs.dynamixel import ERRORS, DynamixelKnobs
from capture.model import Control, Position, Setting
from tests.knobs.script import link, played

ANSWER_S = 0.25  # where some instructions are answered, and some are not

RATIO = Control("ratio", ":1", tuple(Position(f"{v:g}", v) for v in (2.0, 4.0, 10.0)))
AT_4 = Setting({"ratio": 4.0})
SERVO: dict[str, Any] = {"id": 1, "at_deg": [0.0, 45.0, 90.0]}

HOLD = "> ff ff fd 00 01 06 00 03 40 00 01 db 66"
GO = "> ff ff fd 00 01 09 00 03 74 00 00 02 00 00 ca 89"  # to 512, 45 degrees
DONE = "< ff ff fd 00 01 04 00 55 00 a1 0c"
WHERE = "> ff ff fd 00 01 07 00 02 84 00 04 00 1d 15"
AT_512 = "< ff ff fd 00 01 08 00 55 00 00 02 00 00 94 38"
AT_511 = "< ff ff fd 00 01 08 00 55 00 ff 01 00 00 80 34"
AT_524 = "< ff ff fd 00 01 08 00 55 00 0c 02 00 00 94 c8"  # 46.05 degrees
AT_576 = "< ff ff fd 00 01 08 00 55 00 40 02 00 00 89 b8"
STATUS = "> ff ff fd 00 01 07 00 02 46 00 01 00 3c a3"
TOLD = (HOLD, DONE, GO, DONE)


def section(port: str, answer_s: float = 5.0, **changes: Any) -> DynamixelFacts:
    data = {"port": {"path": port}, "answer_s": answer_s, "servos": {"ratio": SERVO | changes}}
    facts = DynamixelFacts.model_validate(data)
    assert facts.faults([RATIO]) == []
    return facts


@contextlib.contextmanager
def knobs(*script: str, **changes: Any) -> Iterator[DynamixelKnobs]:
    with played("\n".join(script)) as port:
        driver = DynamixelKnobs(section(port, **changes), [RATIO])
        try:
            yield driver
        finally:
            driver.close()


def refused(driver: DynamixelKnobs) -> str:
    with pytest.raises(HardwareFault) as caught:
        driver.set(AT_4)
    assert not isinstance(caught.value, DeviceLost)
    (message,) = caught.value.messages
    return message


def test_a_servo_is_told_and_waited_for() -> None:
    """Passing by is not arriving: it must be right twice in a row."""
    script = (*TOLD, WHERE, AT_576, WHERE, AT_511, WHERE, AT_524, WHERE, AT_512, WHERE, AT_511)
    with knobs(*script) as driver:
        proof = driver.set(AT_4)
    assert (proof.confirmed, proof.position) == ("read_back", AT_4)


def test_verifying_only_reads() -> None:
    with knobs(WHERE, AT_512, WHERE, AT_576) as driver:
        driver.verify(AT_4)
        with pytest.raises(HardwareFault, match="stands at none of its positions"):
            driver.verify(AT_4)


def test_an_angle_may_be_below_zero() -> None:
    with knobs(WHERE, "< ff ff fd 00 01 08 00 55 00 ff ff ff ff 96 38") as driver:
        driver.verify(Setting({"ratio": 2.0}))


def test_a_servo_that_is_blocked() -> None:
    with knobs(*TOLD, WHERE, AT_524, within_s=0.0) as driver:
        assert refused(driver) == (
            "ratio: should stand at 4 and stands at none of its positions (servo 1: 45.0 degrees "
            "wanted, 46.1 degrees found). Is it stuck, or was it turned by hand?"
        )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("20 99 21", "overload: is the knob blocked?"),
        ("24 82 a1", "too hot, overload: is the knob blocked?"),
        ("00 5a a1", "none by now"),
    ],
)
def test_a_servo_with_a_fault_of_its_own(status: str, words: str) -> None:
    alert = "< ff ff fd 00 01 04 00 55 80 a2 8f"
    answer = f"< ff ff fd 00 01 05 00 55 80 {status}"
    with knobs(HOLD, alert, STATUS, answer) as driver:
        assert refused(driver) == (
            f"ratio: servo 1 reports a fault of its own and may have let go: {words}. See to it, "
            "then switch it off and on"
        )


def test_a_fault_of_its_own_while_it_turns() -> None:
    """The position that it sends with the alert is right, and is not believed."""
    here = "< ff ff fd 00 01 08 00 55 80 a6 00 00 00 8f 7c"
    with knobs(*TOLD, WHERE, here, STATUS, "< ff ff fd 00 01 05 00 55 80 20 99 21") as driver:
        assert "overload" in refused(driver)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("06 b5 0c", f"error 6, {ERRORS[6]}"),
        ("07 b0 8c", f"error 7, {ERRORS[7]}"),
        ("63 eb 0d", "error 99, the protocol knows no such error"),
    ],
)
def test_a_servo_that_refuses(answer: str, words: str) -> None:
    with knobs(HOLD, DONE, GO, f"< ff ff fd 00 01 04 00 55 {answer}") as driver:
        assert refused(driver) == f"ratio: servo 1 refuses: {words}"


def test_a_servo_that_is_absent() -> None:
    with knobs(HOLD, HOLD, HOLD, answer_s=0.1) as driver:
        assert refused(driver) == (
            "ratio: servo 1 does not answer, asked 3 times: has it power, is it wired, and set to "
            "id 1, 57600 baud and protocol 2.0?"
        )


@pytest.mark.parametrize(
    "came",
    [
        "fe 00 13 37",  # garbage
        "ff ff fd 00 01 04 00 55 00 a1 0d",  # the last bit is wrong
        "ff ff fd 00 01 04",  # the rest is lost
        "ff ff fd 00 02 04 00 55 00 29 0c",  # another servo
    ],
)
def test_what_comes_is_no_answer(came: str) -> None:
    with knobs(*([HOLD, f"< {came}"] * 3), answer_s=ANSWER_S) as driver:
        assert refused(driver) == (
            f"ratio: servo 1 was asked 3 times and gives no answer but {came} {came} {came}: is it "
            "set to 57600 baud and protocol 2.0, is there one servo 1 only?"
        )


def test_the_answer_to_an_instruction_is_none_to_a_question() -> None:
    with knobs(*TOLD, *([WHERE, DONE] * 3), answer_s=ANSWER_S) as driver:
        assert "servo 1 was asked 3 times and gives no answer but ff ff fd" in refused(driver)


def test_noise_is_got_over_by_asking_again_and_pieces_are_put_together() -> None:
    damaged = DONE.replace("0c", "0d")
    whole = (HOLD, damaged, HOLD, DONE, GO, DONE)
    pieces = "< ff ff fd | 00 01 08 00 55 00 00 02 | 00 00 94 38"
    with knobs(*whole, WHERE, pieces, WHERE, AT_512, answer_s=ANSWER_S) as driver:
        driver.set(AT_4)


def test_a_late_answer_is_not_taken_for_another() -> None:
    again = (HOLD, HOLD, DONE, "~ 0.1", DONE, GO, "~ 0.1", DONE)
    with knobs(*again, WHERE, AT_512, WHERE, AT_512, answer_s=0.5) as driver:
        driver.set(AT_4)


@pytest.mark.parametrize("before", [(HOLD,), (*TOLD, WHERE, "< ff ff fd 00")])
def test_a_cable_that_is_pulled_and_plugged_in_again(
    before: tuple[str, ...], tmp_path: Path
) -> None:
    with played("\n".join((*before, "!"))) as port:
        stable = link(tmp_path, port)
        driver = DynamixelKnobs(section(str(stable)), [RATIO])
        with pytest.raises(DeviceLost, match=f"the serial port with path {stable} is gone: "):
            driver.set(AT_4)
    assert refused(driver).startswith(f"ratio: no serial port with path {stable}; attached: ")
    with played("\n".join((*TOLD, WHERE, AT_512, WHERE, AT_512))) as port:
        link(tmp_path, port)
        driver.set(AT_4)
        driver.close()
