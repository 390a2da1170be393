"""A person turns the knobs, asked through an operator, and only for those that change.

What a control was last confirmed to stand at is remembered until there is a reason to doubt it:

* at first nothing is known, so every control is asked for;
* a control that was asked for and not confirmed, whatever the reason, is not known any more;
* ``back`` says that one of them stood wrong, and not which: none is known any more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from capture.hardware.ports import Declined, Operator, Proof, Turn
from capture.model import Control, Setting, Value


class ManualKnobs:
    """See ``hardware.ports.Knobs``. ``controls`` in panel order; a setting names all of them."""

    def __init__(self, controls: Sequence[Control], operator: Operator) -> None:
        self._controls = tuple(controls)
        self._operator = operator
        self._known: dict[str, Value] = {}

    def set(self, setting: Setting) -> Proof:
        """Has those controls turned that do not stand there; asks nobody if all do.

        Raises Declined and Interrupted, as the operator does.
        """
        panel = [Turn(c, self._known.get(c.name), setting[c.name]) for c in self._controls]
        turns = [turn for turn in panel if turn.before != turn.after]
        if not turns:
            return Proof("told")
        for turn in turns:
            self._known.pop(turn.control.name, None)
        started = time.monotonic()
        try:
            self._operator.turn(turns, panel)
        except Declined as declined:
            if declined.what == "back":
                self.forget()
            raise
        self._known |= {turn.control.name: turn.after for turn in turns}
        return Proof("told", waited_s=time.monotonic() - started)

    def forget(self) -> None:
        """There is reason to doubt all of them: the next ``set`` asks for every control."""
        self._known.clear()

    def verify(self, setting: Setting) -> Proof:
        """Nobody is asked: a person who looks again says what was said before."""
        return Proof("told")

    def close(self) -> None:
        pass
