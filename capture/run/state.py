"""What a session is doing, as a table of states and events. Pure.

The runner acts as the state says and reports what happened; the table says what the state is then.
An event that the table does not have in a state is refused: it changes nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from functools import reduce


class State(enum.Enum):
    """What a session is doing. What each is acted on with is in ``runner``."""

    STANDING = "standing"
    """Nothing is in flight, and the rig is fit to record."""
    PLAYING = "playing"
    """Takes are in flight, and another may follow."""
    DRAINING = "draining"
    """Takes are in flight, and none may follow: something must be put right first."""
    MENDING = "mending"
    """Nothing is in flight; stream, law, device or room are being put right."""
    ENDED = "ended"


class Event(enum.Enum):
    """What happens to a session."""

    BEGUN = "begun"
    """A take was handed to the stream."""
    LANDED = "landed"
    """A take came down, was committed or put back; others are in flight."""
    EMPTIED = "emptied"
    """The same of the last one in flight."""
    BROKEN = "broken"
    """Something must be put right before another take."""
    MENDED = "mended"
    OVER = "over"
    """Nothing is left to record."""
    STOPPED = "stopped"
    """Somebody asked for it, or a fault ended it."""


S, E = State, Event
TABLE: dict[tuple[State, Event], State] = {
    (S.STANDING, E.BEGUN): S.PLAYING,
    (S.STANDING, E.BROKEN): S.MENDING,
    (S.STANDING, E.OVER): S.ENDED,
    (S.PLAYING, E.BEGUN): S.PLAYING,
    (S.PLAYING, E.LANDED): S.PLAYING,
    (S.PLAYING, E.EMPTIED): S.STANDING,
    (S.PLAYING, E.BROKEN): S.DRAINING,
    (S.DRAINING, E.LANDED): S.DRAINING,
    (S.DRAINING, E.EMPTIED): S.MENDING,
    (S.MENDING, E.MENDED): S.STANDING,
    **{(state, E.STOPPED): S.ENDED for state in S if state is not S.ENDED},
}


def after(state: State, event: Event) -> State:
    """The state after ``event``; the same where it is refused."""
    return TABLE.get((state, event), state)


def fold(state: State, events: Iterable[Event]) -> State:
    """The state after all of ``events``, in their order."""
    return reduce(after, events, state)
