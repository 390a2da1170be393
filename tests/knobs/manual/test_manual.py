"""Only what changes is asked for, and whatever is in doubt is asked for again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import Interrupted
from capture.hardware.knobs.manual import ManualKnobs
from capture.hardware.ports import Declined, Proof, Turn
from capture.model import AUTO, Control, Position, Setting, Value

NUMBERS: tuple[Value, ...] = (1.0, 2.0, 3.0)
CONTROLS = (
    Control("threshold_db", "dB", minimum=-28.0, maximum=12.0),
    Control("release_s", "s", tuple(Position(str(v), v) for v in (*NUMBERS, AUTO))),
    Control("ratio", ":1", tuple(Position(str(v), v) for v in NUMBERS)),
)
SETTINGS = st.fixed_dictionaries(
    {
        "threshold_db": st.sampled_from((-20.0, 0.0, -0.0, 12.0)),
        "release_s": st.sampled_from((*NUMBERS, AUTO)),
        "ratio": st.sampled_from(NUMBERS),
    }
).map(Setting)
ANSWERS = ("done", "skip", "impossible", "back", "stop")


class Scripted:
    """An operator who answers as told, and remembers what was asked."""

    def __init__(self) -> None:
        self.answer = "done"
        self.asked: list[tuple[list[Turn], list[Turn]]] = []

    def ask(self, question: str) -> str:
        raise AssertionError(question)

    def turn(self, turns: Sequence[Turn], panel: Sequence[Turn]) -> None:
        self.asked.append((list(turns), list(panel)))
        if self.answer == "stop":
            raise Interrupted("stop")
        if self.answer in ("skip", "impossible", "back"):
            raise Declined(self.answer, "no such position")


@given(st.lists(st.tuples(SETTINGS, st.sampled_from((*ANSWERS, "forget"))), max_size=30))
def test_every_control_that_may_stand_elsewhere_is_asked_for_and_no_other(
    steps: list[tuple[Setting, str]],
) -> None:
    """The model: where each control stands for certain; nothing of one that is in doubt."""
    operator = Scripted()
    knobs = ManualKnobs(CONTROLS, operator)
    certain: dict[str, Value] = {}
    for setting, answer in steps:
        if answer == "forget":
            knobs.forget()
            certain.clear()
            continue
        operator.answer, operator.asked = answer, []
        wanted = {name: value for name, value in setting.items() if certain.get(name) != value}
        if not wanted:
            assert knobs.set(setting) == Proof("told")
            assert not operator.asked
            continue
        if answer == "done":
            assert knobs.set(setting).confirmed == "told"
        else:
            with pytest.raises(Interrupted if answer == "stop" else Declined):
                knobs.set(setting)
        ((turns, panel),) = operator.asked
        assert {turn.control.name: turn.after for turn in turns} == wanted
        assert [turn.control for turn in panel] == list(CONTROLS)
        for turn in panel:
            name = turn.control.name
            assert (turn.before, turn.after) == (certain.get(name), setting[name])
            assert (turn in turns) == (name in wanted)
        for name in wanted:
            certain.pop(name, None)
        if answer == "done":
            certain.update(wanted)
        if answer == "back":
            certain.clear()


def test_the_time_that_the_person_takes_is_recorded() -> None:
    class Slow(Scripted):
        def turn(self, turns: Sequence[Turn], panel: Sequence[Turn]) -> None:
            until = time.monotonic() + 0.01
            while time.monotonic() < until:
                pass

    knobs = ManualKnobs(CONTROLS, Slow())
    setting = Setting({"threshold_db": 0.0, "release_s": AUTO, "ratio": 1.0})
    assert knobs.set(setting).waited_s >= 0.01
    assert knobs.set(setting).waited_s == 0.0  # nobody was asked


def test_why_it_is_impossible_is_handed_on() -> None:
    operator = Scripted()
    operator.answer = "impossible"
    with pytest.raises(Declined) as declined:
        ManualKnobs(CONTROLS, operator).set(
            Setting({"threshold_db": 0.0, "release_s": 1.0, "ratio": 1.0})
        )
    assert (declined.value.what, declined.value.reason) == ("impossible", "no such position")


def test_to_verify_asks_nobody() -> None:
    operator = Scripted()
    knobs = ManualKnobs(CONTROLS, operator)
    setting = Setting({"threshold_db": 0.0, "release_s": 1.0, "ratio": 1.0})
    knobs.set(setting)
    assert knobs.verify(setting) == Proof("told")
    assert len(operator.asked) == 1
