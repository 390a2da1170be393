"""Dynamixel servos as facts: the section ``dynamixel`` of a rig profile.

Those of the X series and the MX series with protocol 2.0: 4096 ticks a turn, position control.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated

from pydantic import Field

from capture.documents import Strict
from capture.errors import Fault, KeyPath
from capture.hardware.knob_facts import miscounted, misnamed, named
from capture.hardware.serial_choice import SerialChoice
from capture.model import Control

TICKS_PER_TURN = 4096
Degrees = Annotated[float, Field(ge=-92160, le=92160)]  # 256 turns each way, if set up for that


def ticks(degrees: float) -> int:
    return round(degrees * TICKS_PER_TURN / 360)


def degrees(ticks: int) -> float:
    return ticks * 360 / TICKS_PER_TURN


class ServoFacts(Strict):
    """The servo of one control: its horn is ``at_deg`` for each position, in panel order.

    It must come within ``tolerance_deg`` of that, ``within_s`` of being told.
    """

    id: Annotated[int, Field(ge=0, le=252)]
    at_deg: Annotated[list[Degrees], Field(min_length=1, max_length=1000)]
    tolerance_deg: Annotated[float, Field(ge=0.1, le=90)] = 1.0
    within_s: Annotated[float, Field(ge=0, le=600)] = 5.0

    def index(self, angle_deg: float) -> int | None:
        """The number of the position at which ``angle_deg`` is."""
        for index, at in enumerate(self.at_deg):
            if abs(angle_deg - at) <= self.tolerance_deg:
                return index
        return None

    def faults(self, path: KeyPath, control: Control) -> Iterator[Fault]:
        """Where this does not fit ``control``, or does not tell its positions apart."""
        path = (*path, "at_deg")
        yield from miscounted(path, self.at_deg, control)
        for one, other in combinations(range(min(len(self.at_deg), control.count)), 2):
            apart_deg = abs(self.at_deg[one] - self.at_deg[other])
            if apart_deg <= 2 * self.tolerance_deg:
                both = f"they are {apart_deg:g} degrees from each other"
                message = f"cannot tell {named(control, one, other)} apart: {both}, and "
                yield Fault(path, f"{message}tolerance_deg is {self.tolerance_deg:g}")


class DynamixelFacts(Strict):
    """The bus and what is on it. ``answer_s``: what a servo has for an answer."""

    port: SerialChoice
    baud: Annotated[int, Field(ge=9600, le=4_500_000)] = 57600
    answer_s: Annotated[float, Field(gt=0, le=10)] = 0.1
    servos: dict[str, ServoFacts]

    def faults(self, controls: Sequence[Control]) -> list[Fault]:
        """Where this does not fit ``controls``: those of the rig that have the driver dynamixel."""
        path = ("dynamixel", "servos")
        known = {control.name: control for control in controls}
        found = list(misnamed(path, "dynamixel", self.servos, known))
        owners: dict[int, str] = {}
        for name, servo in self.servos.items():
            owner = owners.setdefault(servo.id, name)
            if owner != name:
                message = f"{servo.id} is that of {owner} already; give each servo its own"
                found.append(Fault((*path, name, "id"), message))
            if name in known:
                found += servo.faults((*path, name), known[name])
        return found
