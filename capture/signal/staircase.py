"""The calibration staircase: one tone at many levels, and what is read of each.

[rest][held step][12 steps of 3 dB in random order][silence], one tone of 997 Hz without a break,
the same on both channels. Levels go from one to the next in 60 ms, evenly in dB, so that no
compressor overshoots.

The settled part of each step is read in windows of 0.1 s (whole periods of 50 and 60 Hz, Hann,
half of each shared with the next: hum is gone), by weighted least squares on {1, cos, sin} of the
tone and its harmonics. The kernels are the same for all windows, as the phase counts from the
centre of each. Of a step is taken:

* gain: fundamental received over fundamental sent, in dB.
* third harmonic over the fundamental, in phase: what an odd distortion makes.
* V, as the fundamental sees it. The gain moves at twice the tone's frequency (a detector sees
  |x|), and what a multiplication x G(V) does to the fundamental is the mean of G weighted by x^2:
  V's mean plus half its component at twice the frequency, in phase with x. With half of that at
  four times the frequency, the former makes a third harmonic in x G(V).

Noise of the audio is measured in quadrature to the tone, where neither gain nor ripple shows; that
of the CV at rest and in the held step. White noise is assumed for how much windows share, no more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from capture.errors import MeasurementFailed
from capture.signal.levels import FULL_SCALE, TOP_CODE

ALGORITHM_VERSION = "staircase-1"
Signal = NDArray[np.float64]
Phasors = NDArray[np.complex128]
Frames = NDArray[np.int64]

TONE_HZ = 997.0
STEPS = 12
STEP_DB = 3.0
HOLD_BELOW_TOP_DB = 9.0
REST_S = 0.5
HOLD_S = 2.0
STEP_S = 1.2
FADE_S = 0.06
SETTLE_S = 0.5
"""The part of a step that is dropped."""
MARGIN_S = 0.03
"""Left out before a step's end and around the rest: what is a few frames late."""
WINDOW_S = 0.1
HOP_S = 0.05
UNSETTLED_DB = 0.5
"""How far the gain may move within the settled part of a step."""
CLEAR = 20.0
"""How many times its noise a tone must be, in the median step."""
FAINTEST = 1e-7
"""An amplitude below one step of 24 bits is nothing, whatever its noise."""
TOP_FS = TOP_CODE / FULL_SCALE
"""A sample that reaches this may have been higher."""


@dataclass(frozen=True, slots=True)
class Step:
    """Frames ``start`` to ``stop`` of the probe: the tone with its peak at ``level_dbfs``."""

    level_dbfs: float
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Probe:
    """``signal``: (frames, 2), full scale 1. ``steps[0]`` is the held one; the others follow.

    Frames 0 to ``steps[0].start`` are silent, for the CV at rest.
    """

    sample_rate_hz: int
    signal: Signal
    steps: tuple[Step, ...]


def probe(sample_rate_hz: int, top_dbfs: float = -3.0, seed: int = 1) -> Probe:
    """The staircase: 17.4 s, ``top_dbfs`` (peak) and 11 levels below it, every 3 dB.

    ``seed`` gives their order. The first tone is held for 2 s, 9 dB below the top.
    """
    ladder = np.random.default_rng(seed).permutation(top_dbfs - STEP_DB * np.arange(STEPS))
    levels = [top_dbfs - HOLD_BELOW_TOP_DB, *ladder.tolist()]
    ends_s = REST_S + HOLD_S + STEP_S * np.arange(len(levels))
    edges = [round(at_s * sample_rate_hz) for at_s in (REST_S, *ends_s.tolist())]
    frames, fade = edges[-1] + round(REST_S * sample_rate_hz), round(FADE_S * sample_rate_hz)
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / fade)
    level_db = np.full(frames, levels[0])
    for start, before, level in zip(edges[1:], levels, levels[1:], strict=False):
        level_db[start:] = level
        level_db[start : start + fade] = before + (level - before) * ramp
    amplitude = 10 ** (level_db / 20)
    amplitude[: edges[0]] = amplitude[edges[-1] + fade :] = 0
    amplitude[edges[0] : edges[0] + fade] *= ramp
    amplitude[edges[-1] : edges[-1] + fade] *= ramp[::-1]
    tone = amplitude * np.sin(2 * np.pi * TONE_HZ / sample_rate_hz * np.arange(frames))
    steps = map(Step, levels, edges, edges[1:])
    return Probe(sample_rate_hz, np.stack([tone, tone], axis=1), tuple(steps))


class Tone:
    """Reads a tone of ``TONE_HZ`` and its harmonics in windows of ``window_s``.

    ``gathers``: RMS of white noise, over that of a window's mean.
    """

    def __init__(self, window_s: float, sample_rate_hz: int, harmonics: int) -> None:
        self.window_frames = round(window_s * sample_rate_hz)
        self.weight = np.hanning(self.window_frames + 2)[1:-1]
        time = np.arange(self.window_frames) - (self.window_frames - 1) / 2
        self.gathers = float(self.weight.sum() / np.linalg.norm(self.weight))
        phase = 2 * np.pi * TONE_HZ / sample_rate_hz * time
        turns = np.arange(1, harmonics + 1)[:, None] * phase
        rows = np.concatenate([np.ones((1, len(time))), np.cos(turns), np.sin(turns)])
        solved = np.linalg.solve((rows * self.weight) @ rows.T, rows * self.weight)
        self._real = solved[: harmonics + 1]
        self._imaginary = np.concatenate([np.zeros((1, len(time))), -solved[harmonics + 1 :]])

    def read(self, signal: Signal, starts: Frames) -> Phasors:
        """Mean and amplitudes Y_h, (windows, 1 + harmonics): signal = Re sum Y_h e^{j h phase}.

        ``signal`` (frames,); ``starts``: the windows' first frames. Phase 0 is at their centres.
        """
        windows = sliding_window_view(signal, self.window_frames)[starts]
        return windows @ self._real.T + 1j * (windows @ self._imaginary.T)


class Windows:
    """The windows of a probe: at ``rest``, and in the settled part of each of ``steps``."""

    def __init__(self, probe: Probe) -> None:
        rate = probe.sample_rate_hz
        self.tone = Tone(WINDOW_S, rate, 4)
        self._hop = round(HOP_S * rate)
        settle, margin = round(SETTLE_S * rate), round(MARGIN_S * rate)
        self.rest = self._starts(margin, probe.steps[0].start - margin)
        self.steps = [self._starts(step.start + settle, step.stop - margin) for step in probe.steps]

    def _starts(self, first: int, end: int) -> Frames:
        return np.arange(first, end - self.tone.window_frames + 1, self._hop)

    def span(self, starts: Frames) -> slice:
        """All frames of the windows that begin at ``starts``."""
        return slice(int(starts[0]), int(starts[-1]) + self.tone.window_frames)

    def deviation(self, rows: Sequence[Signal]) -> float:
        """Standard deviation of one window's value, from rows of windows, each less its trend."""
        squares = freedom = 0.0
        for row in rows:
            trend = np.stack([np.ones(len(row)), np.arange(len(row)) - (len(row) - 1) / 2])
            trend /= np.linalg.norm(trend, axis=1)[:, None]
            rest = row - (trend @ row) @ trend
            alike = self._alike(len(row))
            squares += float(rest @ rest)
            freedom += float(np.trace(alike) - np.trace(trend @ alike @ trend.T))
        return math.sqrt(squares / freedom)

    def mean_deviation(self, deviation: float, count: int) -> float:
        """Standard deviation of the mean of ``count`` windows of ``deviation`` each."""
        return deviation * math.sqrt(float(self._alike(count).sum())) / count

    def _alike(self, count: int) -> Signal:
        """Correlation of white noise in windows that overlap, (count, count)."""
        weight = self.tone.weight
        shared = np.zeros(count)
        for lag in range(min(count, -(-len(weight) // self._hop))):
            ahead = weight[lag * self._hop :]
            shared[lag] = ahead @ weight[: len(ahead)]
        lags = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
        return shared[lags] / shared[0]


@dataclass(frozen=True, slots=True)
class AudioSteps:
    """What the audio says of each step. Columns: left, right, the mean of both.

    ``sent``: amplitude, (steps,). ``received``: amplitude; ``gain_db``; ``third``: third harmonic
    over fundamental; ``noise``: standard deviation of the amplitude, relative: all (steps, 3).
    ``square``: the returns' phases, squared, (windows, 2) for each step. ``faults``: why a step
    must be left out; None if it need not.
    """

    sent: Signal
    received: Signal
    gain_db: Signal
    third: Signal
    noise: Signal
    square: list[Phasors]
    faults: list[str | None]


def read_audio(probe: Probe, received: Signal, cv: Signal) -> AudioSteps:
    """Reads ``received`` (frames, 2), full scale 1. Of ``cv`` only whether it is at full scale.

    Raises MeasurementFailed where a return does not carry the tone.
    """
    windows = Windows(probe)
    sent: list[float] = []
    gains: list[Signal] = []
    thirds: list[Signal] = []
    squares: list[Phasors] = []
    across: list[Signal] = []
    for starts in windows.steps:
        x = windows.tone.read(probe.signal[:, 0], starts)[:, 1]
        y = np.stack([windows.tone.read(channel, starts) for channel in received.T])
        heard = np.maximum(np.abs(y[..., 1]), 1e-12)
        turn = np.exp(1j * np.angle(y[..., 1]))
        ratio = y[..., 1] / x
        along = np.exp(-1j * np.angle(ratio.mean(axis=1)))[:, None]
        sent.append(float(np.abs(x).mean()))
        gains.append(20 * np.log10(heard / np.abs(x)))
        thirds.append(((y[..., 3] * turn.conj() ** 3).real / heard).mean(axis=1))
        squares.append((turn**2).T)
        across.append((ratio * along).imag * np.abs(x))
    gain_db = np.array([gain.mean(axis=1) for gain in gains])
    amplitude = np.array(sent)[:, None] * 10 ** (gain_db / 20)
    noise = np.empty((len(sent), 2))
    for channel, name in enumerate(("left", "right")):
        deviation = windows.deviation([rows[channel] for rows in across])
        for index, starts in enumerate(windows.steps):
            noise[index, channel] = windows.mean_deviation(deviation, len(starts))
        heard = float(np.median(amplitude[:, channel]))
        if heard <= max(FAINTEST, CLEAR * float(np.median(noise[:, channel]))):
            raise MeasurementFailed(f"the {name} return does not carry the tone that was sent")
    noise /= amplitude
    return AudioSteps(
        sent=np.array(sent),
        received=_with_mean(amplitude),
        gain_db=_with_mean(gain_db),
        third=_with_mean(np.array(thirds)),
        noise=np.column_stack([noise, np.hypot(*noise.T) / 2]),
        square=squares,
        faults=[
            _fault(received[windows.span(starts)], cv[windows.span(starts)], gain)
            for starts, gain in zip(windows.steps, gains, strict=True)
        ],
    )


def _fault(received: Signal, cv: Signal, gain_db: Signal) -> str | None:
    inputs = {"left return": received[:, 0], "right return": received[:, 1], "CV": cv}
    for name, signal in inputs.items():
        if np.abs(signal).max() >= TOP_FS:
            return f"the {name} is at full scale"
    mean_db = gain_db.mean(axis=0)
    moved_db = abs(float(mean_db[-3:].mean() - mean_db[:3].mean()))
    return f"the gain still moves, by {moved_db:.2g} dB" if moved_db > UNSETTLED_DB else None


@dataclass(frozen=True, slots=True)
class CvSteps:
    """What the CV is in each step, full scale 1. Columns: as left, right and their mean see it.

    ``weighted``: its mean weighted by the tone's power; ``third``: the third harmonic that its
    ripple makes, over the fundamental, per neper of gain: (steps, 3). ``noise``: standard
    deviation, (steps,). ``rest``: the CV at rest, with ``rest_deviation``; ``rest_noise``: RMS
    about it, ``white_noise`` without hum; ``rest_drift``: from the first half of the rest to the
    second, with ``rest_drift_deviation``.
    """

    weighted: Signal
    third: Signal
    noise: Signal
    rest: float
    rest_deviation: float
    rest_noise: float
    white_noise: float
    rest_drift: float
    rest_drift_deviation: float


def read_cv(probe: Probe, cv: Signal, audio: AudioSteps, delay_frames: float) -> CvSteps:
    """Reads ``cv`` (frames,), which is ``delay_frames`` later than the left return.

    How much later than the right one follows from the phases of the returns.
    """
    windows = Windows(probe)
    rest = windows.tone.read(cv, windows.rest)[:, 0].real
    both = np.concatenate(audio.square)
    apart = float(np.angle(np.sum(both[:, 0] * both[:, 1].conj())))
    late = np.exp(4j * np.pi * TONE_HZ / probe.sample_rate_hz * delay_frames)
    late *= np.exp([0j, -1j * apart])
    means: list[Signal] = []
    twice: list[Signal] = []
    fourth: list[Signal] = []
    for starts, square in zip(windows.steps, audio.square, strict=True):
        v = windows.tone.read(cv, starts)
        back = late * square.conj()
        means.append(v[:, 0].real)
        twice.append(0.5 * (v[:, 2, None] * back).real.mean(axis=0))
        fourth.append(0.5 * (v[:, 4, None] * back**2).real.mean(axis=0))
    deviation = windows.deviation([rest, means[0]])
    half = len(rest) // 2
    ripple = _with_mean(np.array(twice))
    return CvSteps(
        weighted=np.array([mean.mean() for mean in means])[:, None] + ripple,
        third=ripple + _with_mean(np.array(fourth)),
        noise=np.array([windows.mean_deviation(deviation, len(mean)) for mean in means]),
        rest=float(rest.mean()),
        rest_deviation=windows.mean_deviation(deviation, len(rest)),
        rest_noise=float(np.std(cv[windows.span(windows.rest)])),
        white_noise=windows.deviation([rest]) * windows.tone.gathers,
        rest_drift=float(rest[-half:].mean() - rest[:half].mean()),
        rest_drift_deviation=windows.mean_deviation(deviation, half) * math.sqrt(2),
    )


def _with_mean(columns: Signal) -> Signal:
    return np.column_stack([columns, columns.mean(axis=1)])
