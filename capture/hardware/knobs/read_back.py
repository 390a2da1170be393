"""Knobs that say where they stand: turned, read back, compared, always.

What was acknowledged is not yet so: a relay sticks, a servo is blocked, a board says yes to all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.ports import Proof
from capture.model import Control, Setting, Value, format_value

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Reading:
    """Where something stands: the number of the control's position, None at none of them.

    ``shown`` is what was read, in words.
    """

    index: int | None
    shown: str


class Turner(Protocol):
    """What turns one control. ``name``: in words; ``within_s``: how long it may take to arrive."""

    @property
    def name(self) -> str: ...

    @property
    def within_s(self) -> float: ...

    def expected(self, index: int) -> str:
        """What is read at position number ``index``, in words."""
        ...

    def turn(self, index: int) -> None:
        """Begins to turn to position number ``index``. Raises HardwareFault."""
        ...

    def read(self) -> Reading:
        """Moves nothing. Raises HardwareFault."""
        ...


class ReadBackKnobs:
    """Controls, each with its turner. Implements ``capture.hardware.ports.Knobs``.

    ``settle_s``: from the last one's turning to the first one's reading.
    """

    def __init__(
        self, controls: Sequence[Control], turners: Mapping[str, Turner], settle_s: float
    ) -> None:
        self._controls = {control.name: control for control in controls}
        self._turners = turners
        self._settle_s = settle_s

    def set(self, setting: Setting) -> Proof:
        """Turns every control of ``setting``, and reads all of them back.

        Raises HardwareFault with all that do not stand where they should; DeviceLost.
        """
        self._each(setting, lambda name, index: self._turners[name].turn(index))
        time.sleep(self._settle_s)
        self._each(setting, self._arrive)
        return Proof("read_back", setting)

    def verify(self, setting: Setting) -> Proof:
        """Reads every control of ``setting`` back, and turns none. Raises as ``set`` does."""
        self._each(setting, lambda name, index: self._compare(name, index, self._read(name)))
        return Proof("read_back", setting)

    def forget(self) -> None:
        """Every turn is read back anyway."""

    def _each(self, setting: Setting, do: Callable[[str, int], None]) -> None:
        faults: list[str] = []
        for name, value in setting.items():
            try:
                do(name, self._index(name, value))
            except DeviceLost:
                raise
            except HardwareFault as fault:
                faults += [f"{name}: {message}" for message in fault.messages]
        if faults:
            raise HardwareFault(*faults)

    def _index(self, name: str, value: Value) -> int:
        place = self._controls[name].place(value)
        if place is None:
            allowed = self._controls[name].allowed
            raise HardwareFault(f"{format_value(value)} is none of its positions: {allowed}")
        return int(place)

    def _read(self, name: str) -> Reading:
        return self._turners[name].read()

    def _arrive(self, name: str, index: int) -> None:
        """Waits until it is right twice in a row: one that passes by has not arrived."""
        until = time.monotonic() + self._turners[name].within_s
        reading, right = self._read(name), 0
        while time.monotonic() < until:
            right = right + 1 if reading.index == index else 0
            if right == 2:
                return
            time.sleep(POLL_S)
            reading = self._read(name)
        self._compare(name, index, reading)

    def _compare(self, name: str, index: int, reading: Reading) -> None:
        if reading.index == index:
            return
        control, turner = self._controls[name], self._turners[name]
        wanted = format_value(control.value_at(index))
        found = "at none of its positions"
        if reading.index is not None:
            found = f"at {format_value(control.value_at(reading.index))}"
        raise HardwareFault(
            f"should stand at {wanted} and stands {found} ({turner.name}: {turner.expected(index)} "
            f"wanted, {reading.shown} found). Is it stuck, or was it turned by hand?"
        )
