"""A simulated unit with parts of its own, whose knobs are set, and probed, again and again.

Its parts are drawn once: each resistor, each capacitor and the loop's gain uniform within PART of
what is printed on it. From one visit to the next, enrolment included, the threshold is set again
within RESET_DB, and the parts move as the visit says.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from capture import presets
from capture.documents import read
from capture.hardware.ports import Label
from capture.hardware.profile import RigProfile
from capture.hardware.simulated.chain import Chain, Wiring
from capture.hardware.simulated.unit import Unit
from capture.hardware.simulation import UnitFacts
from capture.model import AUTO, GainLaw, Setting, Value
from capture.signal.fingerprint import response
from capture.signal.fingerprint.enrol import Visit
from capture.signal.fingerprint.probe import probe
from capture.signal.levels import FULL_SCALE, codes_of

RATE_HZ = 44100
LAWS = ("log-detector", "circuit")
GRID: dict[str, tuple[Value, ...]] = {
    "threshold_db": (-28.0, -24.0, -20.0, -16.0),
    "attack_ms": (0.1, 0.3, 1.0, 3.0),
    "release_s": (0.1, 0.4, 0.8, AUTO),
    "ratio": (2.0, 4.0, 10.0),
}
RESET_DB = 0.4
PART = 0.05
WARMTH = 0.01
GAP_FRAMES = 16384


def settings_of(positions: dict[str, tuple[Value, ...]]) -> list[Setting]:
    """The whole grid."""
    product = itertools.product(*positions.values())
    return [Setting(dict(zip(positions, values, strict=True))) for values in product]


class Rack:
    """One unit with parts of its own, and everything around it."""

    def __init__(self, law: str, seed: int, noise_dbfs: float | None = None) -> None:
        self.rng = np.random.default_rng([seed, len(law)])
        data = read(presets.packaged("rig", "simulated"), "simulated.yaml").data
        facts = data["simulation"]
        facts["seed"] = seed
        facts["unit"]["law"] = law
        facts["unit"]["tolerance"] = {}
        if noise_dbfs is not None:
            facts["converters"]["noise_dbfs"] = dict.fromkeys(
                ("left", "right", "cv", "loopback"), noise_dbfs
            )
        self._profile = RigProfile.model_validate(data)
        assert self._profile.simulation is not None
        self._facts = self._profile.simulation
        self._unit = self._moved(self._facts.unit, PART, single=True)
        self._cv_law = GainLaw(
            gain_db_per_fs=self._profile.cv.volts_per_fs / self._profile.cv.expected_volts_per_db,
            gain_db_at_zero=0.0,
            origin="expected",
        )
        self._count = 0

    def visit(self, setting: Setting, *, part: float = WARMTH, single: bool = False) -> Visit:
        """Sets the knobs, plays the probe, measures."""
        plan = probe(RATE_HZ)
        recorded = self.record([(setting, plan.samples)], part=part, single=single)
        trace = response.reduction(plan, recorded[:, 2], self._cv_law)
        features = response.features(plan, trace)
        found = response.response(plan, trace, features, recorded[:, :2])
        return Visit(setting, features, found)

    def take(
        self, parts: list[tuple[Setting, np.ndarray]], *, part: float = WARMTH, single: bool = False
    ) -> np.ndarray:
        """The reduction in dB while music is played, one part at one setting, one at the next."""
        gap = np.zeros((GAP_FRAMES, 2))
        recorded = self.record([(parts[0][0], gap), *parts], part=part, single=single)
        rest = recorded[:GAP_FRAMES, 2].mean()
        return -self._cv_law.gain_db_per_fs * (recorded[GAP_FRAMES:, 2] - rest)

    def record(
        self, parts: list[tuple[Setting, np.ndarray]], *, part: float, single: bool
    ) -> np.ndarray:
        """What comes back, (frames, inputs), full scale 1, cut at the whole-frame latency."""
        facts = self._facts.model_copy(update={"unit": self._moved(self._unit, part, single)})
        reset = self.rng.uniform(-RESET_DB, RESET_DB)
        unit = Unit(facts, _shifted(parts[0][0], reset), RATE_HZ, compiled=True)
        self._count += 1
        label = Label("check", f"visit {self._count}")
        chain = Chain(self._profile, facts, unit, Wiring(), label)
        recorded: list[np.ndarray] = []
        for setting, samples in parts:
            unit.set(_shifted(setting, reset))
            recorded.append(chain.process(codes_of(samples))[0])
        latency = facts.converters.latency_frames
        recorded.append(chain.process(np.zeros((latency, 2), np.int32))[0])
        return np.concatenate(recorded)[latency:] / FULL_SCALE

    def _moved(self, unit: UnitFacts, part: float, single: bool) -> UnitFacts:
        """Parts within ``part`` of what they were: each by itself, or all of a kind together."""
        if not single:
            by = self.rng.uniform(1 - part, 1 + part, 3)
            names = ("resistance", "capacitance", "loop_gain")
            scales = {n: getattr(unit.tolerance, n) * b for n, b in zip(names, by, strict=True)}
            return unit.model_copy(update={"tolerance": unit.tolerance.model_copy(update=scales)})

        def drawn(value: float) -> float:
            return value * float(self.rng.uniform(1 - part, 1 + part))

        assert unit.auto is not None
        auto = {name: drawn(value) for name, value in unit.auto.model_dump().items()}
        gain = {"loop_gain": drawn(unit.tolerance.loop_gain)}
        update: dict[str, Any] = {
            "capacitor_uf": drawn(unit.capacitor_uf),
            "attack_ohm": {key: drawn(ohm) for key, ohm in unit.attack_ohm.items()},
            "release_ohm": {key: drawn(ohm) for key, ohm in unit.release_ohm.items()},
            "auto": unit.auto.model_copy(update=auto),
            "tolerance": unit.tolerance.model_copy(update=gain),
        }
        return unit.model_copy(update=update)


def _shifted(setting: Setting, by_db: float) -> Setting:
    threshold = setting["threshold_db"]
    assert threshold is not AUTO
    return Setting({**setting, "threshold_db": threshold + by_db})
