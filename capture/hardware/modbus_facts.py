"""Relay and motor boards on a Modbus RTU line: the section ``modbus`` of a rig profile. Facts only.

Registers and coils count from 0, as on the wire: what a manual calls 40017 is register 16.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field, model_validator

from capture.documents import Strict
from capture.errors import Fault, KeyPath
from capture.hardware.knob_facts import miscounted, misnamed, named
from capture.hardware.serial_choice import SerialChoice
from capture.model import Control

Word = Annotated[int, Field(ge=0, le=65535)]
MOST_COILS = 2000  # that one request may read
Codes = Annotated[list[Word], Field(min_length=1, max_length=1000)]


def apart(a: int, b: int) -> int:
    """How far two registers' contents are apart: one below 0 is 65535."""
    return min((a - b) % 65536, (b - a) % 65536)


class ReadBack(Strict):
    """The input register in which a motor board says where it really is.

    It must come within ``tolerance`` of the value that was asked for, ``within_s`` of being asked.
    """

    input_register: Word
    tolerance: Annotated[int, Field(ge=0, le=32767)] = 0
    within_s: Annotated[float, Field(ge=0, le=600)] = 10.0


class ModbusControl(Strict):
    """What turns one control: a ``holding_register`` that takes ``values``, or a relay a position.

    ``values`` and ``coils`` are in panel order. Of the coils exactly one is closed.
    """

    unit: Annotated[int, Field(ge=1, le=247)]
    holding_register: Word | None = None
    values: Codes | None = None
    coils: Codes | None = None
    read: ReadBack | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ModbusControl:
        if (self.coils is None) == (self.holding_register is None):
            raise ValueError("give either holding_register and values, or coils")
        if (self.values is None) != (self.holding_register is None):
            raise ValueError("holding_register and values belong together: give both, or coils")
        if self.coils is not None and self.read is not None:
            raise ValueError("read belongs to a holding_register; coils are read back themselves")
        if self.coils is not None and max(self.coils) - min(self.coils) >= MOST_COILS:
            raise ValueError(f"coils must lie within {MOST_COILS}, which one request can read")
        return self

    @property
    def codes(self) -> list[int]:
        """What stands for each position, in panel order: a register's value, or a coil."""
        return self.values or self.coils or []

    @property
    def tolerance(self) -> int:
        return self.read.tolerance if self.read else 0

    def index(self, code: int) -> int | None:
        """The number of the position that a register's value or a closed coil stands for."""
        for index, known in enumerate(self.codes):
            if apart(known, code) <= self.tolerance:
                return index
        return None

    def addresses(self) -> Iterator[tuple[str, int]]:
        """Everything of its unit that belongs to this control."""
        if self.holding_register is not None:
            yield "holding register", self.holding_register
        if self.read is not None:
            yield "input register", self.read.input_register
        for coil in sorted(set(self.coils or [])):
            yield "coil", coil

    def faults(self, path: KeyPath, control: Control) -> Iterator[Fault]:
        """Where this does not fit ``control``, or does not tell its positions apart."""
        path = (*path, "values" if self.coils is None else "coils")
        yield from miscounted(path, self.codes, control)
        for one, other in combinations(range(min(len(self.codes), control.count)), 2):
            if apart(self.codes[one], self.codes[other]) <= 2 * self.tolerance:
                both = f"{self.codes[one]} and {self.codes[other]}"
                within = f" within a tolerance of {self.tolerance}" if self.tolerance else ""
                message = f"cannot tell {named(control, one, other)} apart: {both}{within}"
                yield Fault(path, message)


class ModbusFacts(Strict):
    """The line and what is on it.

    ``answer_s``: what a unit has for an answer. ``settle_s``: what a relay or motor takes before
    it is read back. ``registers``: by control.
    """

    port: SerialChoice
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    answer_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    settle_s: Annotated[float, Field(ge=0, le=60)] = 0.05
    registers: dict[str, ModbusControl]

    def faults(self, controls: Sequence[Control]) -> list[Fault]:
        """Where this does not fit ``controls``: those of the rig that have the driver modbus."""
        path = ("modbus", "registers")
        known = {control.name: control for control in controls}
        found = list(misnamed(path, "modbus", self.registers, known))
        for name, facts in self.registers.items():
            if name in known:
                found += facts.faults((*path, name), known[name])
        return found + list(self._shared(path))

    def _shared(self, path: KeyPath) -> Iterator[Fault]:
        """What two controls have both claimed."""
        owners: dict[tuple[int, str, int], str] = {}
        for name, facts in self.registers.items():
            for kind, address in facts.addresses():
                owner = owners.setdefault((facts.unit, kind, address), name)
                if owner != name:
                    message = f"{kind} {address} of unit {facts.unit} is that of {owner} already"
                    yield Fault((*path, name), message)
