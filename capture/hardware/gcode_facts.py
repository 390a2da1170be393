"""Motors that turn the knobs, as facts: the section ``gcode`` of a rig profile."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field

from capture.documents import Strict
from capture.errors import Fault
from capture.hardware.knob_facts import misnamed
from capture.hardware.serial_choice import SerialChoice
from capture.model import Auto, Control, Value

Place = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Where an axis stands, in its unit: millimetres or degrees."""

AXES = {"grbl": "XYZ", "grblhal": "XYZABCUVW", "marlin": "XYZABCUVW"}
"""The axes that a firmware can have, in the order in which GRBL reports them."""


class AxisFacts(Strict):
    """The motor of one control.

    ``at``: a place for each position, in panel order; of a range, those of its minimum and maximum.
    Every place is passed by ``overshoot`` and come back to, so that the play of the gears is always
    taken up from the same side; negative: from the other side, 0: it is gone to as it comes.
    """

    axis: Literal["X", "Y", "Z", "A", "B", "C", "U", "V", "W"]
    at: Annotated[list[Place], Field(min_length=1, max_length=1000)]
    overshoot: Place = 0.0

    def place(self, control: Control, value: Value) -> float | None:
        """Where the axis stands for ``value``; None if the control lacks it."""
        position = control.place(value)
        if position is None:
            return None
        if control.stepped:
            return self.at[int(position)]
        assert not isinstance(value, Auto)  # a range has none
        share = (value - control.minimum) / (control.maximum - control.minimum)
        return self.at[0] + share * (self.at[1] - self.at[0])

    def faults(self, control: Control, tolerance: float) -> list[tuple[str, str]]:
        """What does not fit ``control``: the field, and a sentence."""
        wanted = len(control.positions) if control.stepped else 2
        if len(self.at) != wanted:
            kind = f"{wanted} positions" if control.stepped else "a range: its minimum, its maximum"
            return [("at", f"has {len(self.at)} places; {control.name} has {kind}")]
        found: list[tuple[str, str]] = []
        apart = min((b - a for a, b in pairwise(sorted(self.at))), default=None)
        if apart is not None and not control.stepped:
            apart /= max(control.count - 1, 1)
        if apart is not None and apart <= 2 * tolerance:
            message = f"two places are {apart:g} apart: with a tolerance of {tolerance:g} one "
            found.append(("at", message + "passes for the other"))
        if 0 < abs(self.overshoot) <= tolerance:
            message = f"{self.overshoot:g} is within the tolerance of {tolerance:g}; give more, or "
            found.append(("overshoot", message + "0"))
        return found


class GcodeFacts(Strict):
    """A controller of motors, and which axis turns which control.

    ``home``: the axes find their origin by switches, after opening and whenever the position is
    lost. ``tolerance``: how far from its place an axis may report to be, in the axis' unit.
    """

    port: SerialChoice
    baud: Annotated[int, Field(ge=1200, le=4_000_000)] = 115200
    firmware: Literal["grbl", "grblhal", "marlin"]
    home: bool = True
    feed_per_min: Annotated[float, Field(gt=0, le=1e6)]
    tolerance: Annotated[float, Field(gt=0, le=1e3)] = 0.05
    axes: dict[str, AxisFacts]

    def faults(self, controls: Sequence[Control]) -> list[Fault]:
        """Where ``axes`` do not fit ``controls``: those of the rig whose driver is gcode."""
        path = ("gcode", "axes")
        known = {control.name: control for control in controls}
        found = list(misnamed(path, "gcode", self.axes, known))
        turned: dict[str, str] = {}
        for name, facts in self.axes.items():
            if name not in known:
                continue
            here = (*path, name)
            if facts.axis not in AXES[self.firmware]:
                message = f"{self.firmware} has no axis {facts.axis}; it has {AXES[self.firmware]}"
                found.append(Fault((*here, "axis"), message))
            if facts.axis in turned:
                message = f"{facts.axis} turns {turned[facts.axis]} already; give each its own"
                found.append(Fault((*here, "axis"), message))
            turned[facts.axis] = name
            for field, message in facts.faults(known[name], self.tolerance):
                found.append(Fault((*here, field), message))
        return found
