"""The compressor itself: level detector, side chain (``law.py``), VCA.

Channels are linked by max(|left|, |right|). Levels are those of the converter: a signal value of
1.0 is full scale, 0 dBFS. The VCA: z = x 10^((makeup - r) / 20), y = z + second z^2 + third z^3.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from capture.errors import HardwareFault
from capture.hardware.simulated import law
from capture.hardware.simulated.network import timing
from capture.hardware.simulation import CONTROLS, Simulation
from capture.model import AUTO, Setting, Value

Floats = NDArray[np.float64]

REST_DB = 0.001
"""A capacitor that a pause leaves below this is taken for empty."""

_SILENCE = 1e-12
_NEPERS = math.log(10) / 20


class Unit:
    """A bus compressor with four knobs and two capacitors, which are its only memory."""

    def __init__(
        self, facts: Simulation, setting: Setting, rate_hz: int, *, compiled: bool
    ) -> None:
        self._facts = facts
        self._rate_hz = rate_hz
        self._compiled = compiled
        self._x = (0.0, 0.0)
        self.set(setting)

    def set(self, setting: Setting) -> None:
        """Turns the knobs; a wrong knob goes where it goes. What is charged stays charged."""
        at: dict[str, Value] = {name: setting[name] for name in CONTROLS}
        for knob in self._facts.wrong_knobs:
            if setting[knob.control] == knob.position:
                at[knob.control] = knob.actual
        unit = self._facts.unit
        for name, value in at.items():
            if reason := unit.refusal(name, value):
                raise HardwareFault(f"{name} cannot be set: {reason}")
        threshold, ratio = at["threshold_db"], at["ratio"]
        assert threshold is not AUTO  # refused above
        assert ratio is not AUTO
        self._timing = timing(unit, at["attack_ms"], at["release_s"], self._rate_hz)
        self._threshold_db = threshold + unit.threshold_offset_db
        self._slope = (ratio - 1) * unit.tolerance.loop_gain

    @property
    def reduction_db(self) -> float:
        """The gain reduction now, >= 0."""
        return sum(self._x) if self._timing.both else self._x[0]

    def process(self, left: Floats, right: Floats) -> tuple[Floats, Floats, Floats]:
        """Compresses ``left`` and ``right`` (n,): returns reduction in dB, >= 0, and both outputs.

        The output has make-up gain and the VCA's faults in it, but neither noise nor delay.
        """
        unit, vca = self._facts.unit, self._facts.vca
        level_db = np.maximum(np.abs(left), np.abs(right))
        np.maximum(level_db, _SILENCE, out=level_db)
        np.log(level_db, out=level_db)
        level_db /= _NEPERS
        level_db -= self._threshold_db
        reduction_db = self._side_chain(level_db)
        gain = np.exp((unit.makeup_db - reduction_db) * _NEPERS)
        half = math.exp(vca.mismatch_db / 2 * _NEPERS)
        return reduction_db, self._vca(left, gain * half), self._vca(right, gain / half)

    def _vca(self, x: Floats, gain: Floats) -> Floats:
        z = x * gain
        z *= 1 + z * (self._facts.vca.second + self._facts.vca.third * z)
        return z

    def _side_chain(self, level_db: Floats) -> Floats:
        """The gain reduction (n,) in dB for levels relative to the threshold."""
        both, (x1, x2) = self._timing.both, self._x
        reduction_db, (y1, y2) = law.run(
            self._facts.unit.law,
            level_db,
            (x1, x2 if both else 0.0),
            self._timing.network,
            self._slope,
            self._facts.unit.knee_db,
            compiled=self._compiled,
        )
        self._x = (y1, y2 if both else self._leaked(x2, self._timing.second_s, len(level_db)))
        return reduction_db

    def settle(self, frames: int) -> None:
        """Silence for so many frames: both capacitors leak, each by itself."""
        now = (
            self._leaked(self._x[0], self._timing.first_s, frames),
            self._leaked(self._x[1], self._timing.second_s, frames),
        )
        self._x = (now[0] if now[0] >= REST_DB else 0.0, now[1] if now[1] >= REST_DB else 0.0)

    def _leaked(self, x: float, time_s: float, frames: int) -> float:
        return x * math.exp(-frames / (time_s * self._rate_hz))
