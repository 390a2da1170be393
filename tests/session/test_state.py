"""The table of a session's states: pure, closed, and of one mind with the runner."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from capture.run.state import TABLE, Event, State, after, fold
from capture.run.work import ACTS

EVENTS = st.lists(st.sampled_from(Event), max_size=40)


@given(EVENTS)
def test_an_event_that_is_refused_changes_nothing(events: list[Event]) -> None:
    state = fold(State.STANDING, events)
    for event in Event:
        if (state, event) not in TABLE:
            assert after(state, event) is state
        else:
            assert after(state, event) is TABLE[state, event]


@given(EVENTS, EVENTS)
def test_a_fold_may_be_cut_anywhere(first: list[Event], second: list[Event]) -> None:
    whole = fold(State.STANDING, [*first, *second])
    assert whole is fold(fold(State.STANDING, first), second)


@given(EVENTS)
def test_nothing_leaves_the_end(events: list[Event]) -> None:
    assert fold(State.ENDED, events) is State.ENDED


@given(EVENTS)
def test_a_take_is_never_begun_while_something_is_broken(events: list[Event]) -> None:
    """Between BROKEN and MENDED no BEGUN has an effect, whatever else happens."""
    state = State.STANDING
    broken = False
    for event in events:
        before, state = state, after(state, event)
        if before in (State.STANDING, State.PLAYING) and event is Event.BROKEN:
            broken = True
        elif event is Event.MENDED and before is State.MENDING:
            broken = False
        if broken and event is Event.BEGUN:
            assert state is before
            assert state is not State.PLAYING


def test_the_end_can_be_reached_from_every_state() -> None:
    for state in State:
        assert fold(state, [Event.STOPPED]) is State.ENDED


def test_every_state_but_the_end_has_its_act() -> None:
    assert set(ACTS) == set(State) - {State.ENDED}
    assert {state for state, _ in TABLE} == set(ACTS)
