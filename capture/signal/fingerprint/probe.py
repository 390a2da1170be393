"""The probe: what is played to a unit to learn where its knobs stand.

    0.25 s silence                     the control voltage's rest and its noise
    13 x 0.12 s of about 1 kHz         a ladder, -40 to -4 dBFS in steps of 3 dB, ascending:
                                       threshold, knee and slope; its length charges auto's memory
    1.5 s silence                      release after a long hold
    3 x (4 x 30 ms of about 7.4 kHz,   a staircase, -28 -20 -12 -4 dBFS: attack at four depths,
         0.6 s silence)                and release after a short hold

The ladder goes up, so that each step is an attack and none waits for a release. The bursts climb
in steps of 8 dB and do not leap: a leap of 24 dB over the threshold would drive a fast side chain
far beyond what any converter range holds, and say nothing that the steps do not. What auto release
remembers of the ladder (1.6 s), and what of a burst (0.12 s), is what sets it apart.

Half a period of each tone is a whole number of frames, and one frame of it is the peak: level and
model need no interpolation. Levels are those of the peak, 0 dBFS is full scale. Both channels are
alike. The unit must be at rest when the probe begins.

A **feature** is the mean gain reduction in dB over a window: the second half of a ladder's step,
log-spaced parts of the silences, log-spaced parts of the bursts' steps. Those of the bursts are
means over the three.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Kind = Literal["ladder", "release", "attack", "recovery"]

REST_S = 0.25
LADDER_DBFS = tuple(range(-40, -3, 3))
STEP_S = 0.12
HELD_S = 1.5
BURSTS = 3
BURST_DBFS = (-28, -20, -12, -4)
BURST_STEP_S = 0.03
BURST_REST_S = 0.6
LADDER_HZ = 1000.0
BURST_HZ = 8000.0

RELEASE_S = (0.001, 0.004, 0.01, 0.02, 0.035, 0.06, 0.1, 0.16, 0.25, 0.38, 0.56, 0.8, 1.1, 1.49)
ATTACK_S = (0.0, 0.0002, 0.0006, 0.0018, 0.006, 0.015, 0.0299)
RECOVERY_S = (0.001, 0.008, 0.02, 0.045, 0.09, 0.17, 0.3, 0.59)


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of one tone, or of silence (``peak_dbfs`` None), ``frames`` long."""

    frames: int
    peak_dbfs: float | None = None
    half_period: int = 1

    @property
    def shape(self) -> Signal:
        """One half period of the tone, (half_period,), peak 1, not below 0."""
        phase = 0.5 if self.half_period % 2 else 0.0
        return np.sin(np.pi * (np.arange(self.half_period) + phase) / self.half_period)

    def samples(self) -> Signal:
        """(frames,), full scale 1."""
        if self.peak_dbfs is None:
            return np.zeros(self.frames)
        period = np.concatenate([self.shape, -self.shape])
        return np.resize(period, self.frames) * 10 ** (self.peak_dbfs / 20)


@dataclass(frozen=True, slots=True)
class Feature:
    """A mean over ``windows``: (first frame, frame after the last) of each."""

    kind: Kind
    windows: tuple[tuple[int, int], ...]
    peak_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """The probe at one sample rate: its sections, one after the other, and its features."""

    sample_rate_hz: int
    sections: tuple[Section, ...]
    features: tuple[Feature, ...]
    rest_frames: int

    @property
    def frames(self) -> int:
        return sum(section.frames for section in self.sections)

    @property
    def samples(self) -> Signal:
        """What is played, (frames, 2), full scale 1."""
        mono = np.concatenate([section.samples() for section in self.sections])
        return np.column_stack([mono, mono])

    def of(self, kind: Kind) -> list[int]:
        """The numbers of the features of one kind."""
        return [i for i, feature in enumerate(self.features) if feature.kind == kind]

    @property
    def held_frame(self) -> int:
        """The frame at which the ladder ends."""
        return sum(section.frames for section in self.sections[: 1 + len(LADDER_DBFS)])

    @property
    def bursts(self) -> list[list[tuple[int, Section]]]:
        """Each burst's steps with their first frames."""
        tones = [(at, section) for at, section in self.starts() if section.peak_dbfs is not None]
        steps = tones[len(LADDER_DBFS) :]
        return [steps[i : i + len(BURST_DBFS)] for i in range(0, len(steps), len(BURST_DBFS))]

    def starts(self) -> Iterator[tuple[int, Section]]:
        """Every section with its first frame."""
        at = 0
        for section in self.sections:
            yield at, section
            at += section.frames


@functools.cache
def probe(sample_rate_hz: int) -> Probe:
    """The probe at ``sample_rate_hz``, 6 s long.

    Raises:
        ValueError: the rate is below 32 kHz: the burst's tone would not fit.
    """
    if sample_rate_hz < 32_000:
        raise ValueError(f"the probe needs a sample rate of 32000 Hz or more, not {sample_rate_hz}")

    def frames(seconds: float) -> int:
        return round(seconds * sample_rate_hz)

    def windows(edges_s: tuple[float, ...], at: int) -> list[tuple[int, int]]:
        edges = [at + frames(edge) for edge in edges_s]
        return list(itertools.pairwise(edges))

    low, high = (math.ceil(sample_rate_hz / hz / 2 - 0.5) for hz in (LADDER_HZ, BURST_HZ))
    sections = [Section(frames(REST_S))]
    features: list[Feature] = []
    # Steps are whole half periods long, so that none begins in the middle of one.
    step = frames(STEP_S) // (2 * low) * 2 * low
    half = step // (4 * low) * 2 * low
    at = sections[0].frames
    for level in LADDER_DBFS:
        sections.append(Section(step, float(level), low))
        features.append(Feature("ladder", ((at + half, at + step),), float(level)))
        at += step
    sections.append(Section(frames(HELD_S)))
    features += [Feature("release", (window,)) for window in windows(RELEASE_S, at)]
    at += sections[-1].frames
    step = frames(BURST_STEP_S) // (2 * high) * 2 * high
    attacks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    recoveries: dict[int, list[tuple[int, int]]] = {}
    for _ in range(BURSTS):
        for level in BURST_DBFS:
            sections.append(Section(step, float(level), high))
            for number, window in enumerate(windows(ATTACK_S, at)):
                attacks.setdefault((level, number), []).append(window)
            at += step
        sections.append(Section(frames(BURST_REST_S)))
        for number, window in enumerate(windows(RECOVERY_S, at)):
            recoveries.setdefault(number, []).append(window)
        at += sections[-1].frames
    features += [Feature("attack", tuple(w), float(key[0])) for key, w in attacks.items()]
    features += [Feature("recovery", tuple(w)) for w in recoveries.values()]
    return Probe(sample_rate_hz, tuple(sections), tuple(features), sections[0].frames)
