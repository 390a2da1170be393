"""The whole panel: each control is turned by its own driver, and the weakest proof is the panel's.

A simulated unit has no shaft for a motor or a hand: it is told the whole setting when all others
have turned, so that every driver can be tried without hardware.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

from capture.errors import HardwareFault
from capture.hardware.ports import Confirmed, Knobs, Proof
from capture.model import Setting, Value

STRENGTH: tuple[Confirmed, ...] = get_args(Confirmed)


@dataclass(frozen=True, slots=True)
class Part:
    """A driver, and the controls that it turns."""

    knobs: Knobs
    controls: Collection[str]

    def of(self, setting: Setting) -> Setting:
        """What concerns this driver. Raises HardwareFault where ``setting`` says nothing of it."""
        if missing := [name for name in self.controls if name not in setting]:
            raise HardwareFault(f"{setting}: does not say where {', '.join(missing)} should stand")
        return Setting({name: setting[name] for name in self.controls})


class Panel:
    """See ``ports.Knobs``. ``parts`` in the order in which they are turned."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def set(self, setting: Setting) -> Proof:
        return _together([part.knobs.set(part.of(setting)) for part in self._parts])

    def verify(self, setting: Setting) -> Proof:
        return _together([part.knobs.verify(part.of(setting)) for part in self._parts])

    def forget(self) -> None:
        for part in self._parts:
            part.knobs.forget()

    def close(self) -> None:
        """Closes all of them, whatever one of them says. Raises the last one's HardwareFault."""
        _close([part.knobs for part in self._parts])


def _close(knobs: Sequence[Knobs]) -> None:
    if knobs:
        try:
            _close(knobs[:-1])
        finally:
            knobs[-1].close()


def _together(proofs: Sequence[Proof]) -> Proof:
    weakest = min(proofs, key=lambda proof: STRENGTH.index(proof.confirmed))
    read: dict[str, Value] = {}
    for proof in proofs:
        read |= proof.position or {}
    return Proof(
        confirmed=weakest.confirmed,
        position=Setting(read) if read else None,
        waited_s=sum(proof.waited_s for proof in proofs),
    )
