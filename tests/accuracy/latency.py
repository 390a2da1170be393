"""Latency and markers, everything wrong at once, against the simulated rig's truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.signal import firwin

from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.signal import delay, marker
from tests.signal.conftest import Rack

SEED = 4
RATE_HZ = 44100
RACK = Rack()
LOW_PASS_TAPS = 63
LEAD = 1024
TARGETS_FRAMES = {-60: 0.005, -80: 0.001}
LEVELS_DBFS = (-60, -70, -80, -90, -100, -110)
FEW_LEVELS_DBFS = (-60, -80, -100)
LAWS = ("log-detector", "circuit")
MARKED = ("left", "right")
LOUD_DBFS = (-46.0, -30.0, -24.0, -18.0, -12.0, -6.0)
LOUD_SETTINGS: tuple[dict[str, Any], ...] = (
    {"threshold": -28, "attack": 0.1, "release": 0.1, "ratio": 10},
    {"threshold": -28, "attack": 0.3, "release": "auto", "ratio": 4},
    {"threshold": -24, "attack": 3, "release": 0.4, "ratio": 4},
    {"threshold": -16, "attack": 30, "release": 1.2, "ratio": 2},
)


@dataclass(frozen=True)
class Trial:
    """One rig, and what a probe that is played on it suffers."""

    profile: Any
    low_pass: np.ndarray
    inverted: tuple[str, ...]
    shift: int
    number: int

    def record(self, signal: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """What comes back, (frames, inputs), full scale 1, and the true delays in frames."""
        sent = [np.convolve(side, self.low_pass) for side in signal.T]
        received, truth = render(
            self.profile,
            RACK.setting(ratio=10),
            RACK.codes(np.stack(sent, axis=1)),
            Label("latency", "probe", self.number + 1),
        )
        own = (LOW_PASS_TAPS - 1) / 2
        true = {name: frames + own for name, frames in truth.delay_frames.items()}
        return received / 2.0**31, true


def each(value: Any) -> dict[str, Any]:
    return {name: value() for name in ("left", "right", "cv", "loopback")}


def trial(noise_dbfs: float, number: int) -> Trial:
    """The low-pass has a linear phase and is 6 dB down at 17 to 21 kHz, as a converter's."""
    random = np.random.default_rng([SEED, -int(noise_dbfs), number])
    inverted = tuple(name for name in MARKED if random.random() < 0.5)
    profile = RACK.profile(
        law=LAWS[number % 2],
        seed=int(random.integers(2**31)),
        noise_dbfs=each(lambda: noise_dbfs),
        hum_dbfs=each(lambda: -50.0),
        mains_hz=int(random.choice([50, 60])),
        dc_fs=each(lambda: float(random.uniform(-1e-3, 1e-3))),
        crosstalk_db=-40.0,
        return_gain_db=float(random.uniform(-6, 0)),
        latency_frames=int(random.integers(100, 1500)),
        skew_frames=each(lambda: float(random.uniform(0, 1))),
        always=[{"kind": "invert", "channels": list(inverted)}] if inverted else [],
    )
    low_pass = firwin(LOW_PASS_TAPS, float(random.uniform(17e3, 21e3)), fs=RATE_HZ)
    return Trial(profile, low_pass, inverted, int(random.integers(-200, 201)), number)


@dataclass(frozen=True)
class Figures:
    """Errors and stated uncertainties in frames, (measurements,); wrong polarities."""

    error: np.ndarray
    stated: np.ndarray
    turned: int

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.error**2)))

    @property
    def ratio(self) -> float:
        return self.rms / float(np.sqrt(np.mean(self.stated**2)))

    @property
    def gross(self) -> int:
        return int(np.sum(np.abs(self.error) > 0.5)) + self.turned


def figures(found: list[tuple[delay.Delay, float, bool]]) -> Figures:
    """``found``: what was measured, the true delay, the true polarity."""
    return Figures(
        np.array([one.frames - frames for one, frames, _ in found]),
        np.array([one.uncertainty_frames for one, _, _ in found]),
        sum(one.inverted is not inverted for one, _, inverted in found),
    )


def markers(noise_dbfs: float, count: int) -> dict[str, Figures]:
    """Left and right, each with a whole-frame guess that is up to 200 frames off."""
    signal = marker.marker(RATE_HZ)
    found: dict[str, list[Any]] = {name: [] for name in MARKED}
    play = np.concatenate([np.zeros((LEAD, 2)), signal, np.zeros((2048, 2))])
    for number in range(count):
        one = trial(noise_dbfs, number)
        received, true = one.record(play)
        for side, name in enumerate(MARKED):
            guess = round(true[name]) + one.shift
            first = LEAD + guess - marker.SEARCH_FRAMES
            part = received[first : first + len(signal) + 2 * marker.SEARCH_FRAMES, side]
            measured = marker.from_marker(signal[:, side], part, RATE_HZ)
            found[name].append((measured, true[name] - guess, name in one.inverted))
    return {name: figures(each) for name, each in found.items()}


def probes(noise_dbfs: float, count: int) -> dict[str, Figures]:
    """Left, right and loopback."""
    signal = delay.probe(RATE_HZ)
    found: dict[str, list[Any]] = {name: [] for name in delay.SENDS}
    for number in range(count):
        one = trial(noise_dbfs, number)
        received, true = one.record(signal)
        columns = {name: received[:, column] for name, column in (("left", 0), ("right", 1))}
        columns["loopback"] = received[:, 3]
        for name, measured in delay.of_inputs(signal, columns, RATE_HZ).items():
            found[name].append((measured, true[name], name in one.inverted))
    return {name: figures(each) for name, each in found.items()}


def rows(measure: Any, levels_dbfs: Sequence[int], count: int, slack: float) -> list[str]:
    """A line of the table for each noise level; checks the targets."""
    lines: list[str] = []
    for noise_dbfs in levels_dbfs:
        by_name = measure(noise_dbfs, count)
        for name, found in by_name.items():
            place = f"{name}, noise {noise_dbfs} dBFS"
            assert found.gross == 0, f"{place}: {found.gross} gross errors"
            limit = TARGETS_FRAMES.get(noise_dbfs, math.inf)
            assert found.rms < limit, f"{place}: rms error {found.rms:.5f} frames, not {limit}"
        together = Figures(
            np.concatenate([found.error for found in by_name.values()]),
            np.concatenate([found.stated for found in by_name.values()]),
            0,
        )
        assert 0.9 / slack < together.ratio < 1.15 * slack, f"{noise_dbfs}: {together.ratio:.2f}"
        each_rms = " / ".join(f"{found.rms:.6f}" for found in by_name.values())
        lines.append(
            f"| {noise_dbfs} dBFS | {each_rms} | {np.abs(together.error).max():.5f} "
            f"| {together.ratio:.2f} |"
        )
    return lines


def loud(levels_dbfs: Sequence[float]) -> list[str]:
    """By how much a compressor that works moves the delay: a line for each level of the probe."""
    lines: list[str] = []
    for peak_dbfs in levels_dbfs:
        worst: list[str] = []
        for law in LAWS:
            biases, reductions = [], []
            for knobs in LOUD_SETTINGS:
                signal = delay.probe(RATE_HZ, peak_dbfs)
                play, label = RACK.codes(signal), Label("latency", "probe")
                received, truth = render(RACK.profile(law), RACK.setting(**knobs), play, label)
                columns = {name: received[:, side] / 2.0**31 for side, name in enumerate(MARKED)}
                for name, found in delay.of_inputs(signal, columns, RATE_HZ).items():
                    biases.append(abs(found.frames - truth.delay_frames[name]))
                reductions.append(float(np.abs(truth.gain_db).max()))
            assert max(biases) < 0.001
            worst.append(f"{max(reductions):.1f} dB | {max(biases):.5f}")
        lines.append(f"| {peak_dbfs:g} dBFS | {' | '.join(worst)} |")
    return lines


def low_passes() -> list[str]:
    """One pole has no single delay: what is found, against the mean over the band.

    The judge: the delay at which the probe, filtered, is most like itself, by brute force.
    """
    signal = marker.marker(RATE_HZ)[:, 0]
    size = 1 << 15
    hertz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    omega = 2 * np.pi * hertz / RATE_HZ
    spectrum = np.fft.rfft(signal, size)
    edges = np.clip((hertz - 300) / 200, 0, 1), np.clip((16000 - hertz) / 1000, 0, 1)
    band = np.prod([0.5 - 0.5 * np.cos(np.pi * edge) for edge in edges], axis=0)
    lines: list[str] = []
    for corner_hz in (10e3, 20e3, 40e3, 80e3):
        response = 1 / (1 + 1j * hertz / corner_hz)
        weighted = band * np.abs(spectrum) ** 2 * response

        def unlike(frames: float, weighted: np.ndarray = weighted) -> float:
            return -float(np.sum((weighted * np.exp(1j * omega * frames)).real))

        true = minimize_scalar(unlike, bounds=(0, 1), method="bounded", options={"xatol": 1e-9}).x
        back = np.fft.irfft(spectrum * response, size)
        received = np.concatenate([np.zeros(256), back[: len(signal) + 256]])
        found = marker.from_marker(signal, received, RATE_HZ)
        assert abs(found.frames - true) < 1e-4
        lowest = RATE_HZ / (2 * np.pi * corner_hz)
        lines.append(
            f"| {corner_hz / 1e3:g} kHz | {lowest:.3f} | {true:.4f} | {found.frames:.4f} |"
        )
    return lines


def section(small: bool) -> str:
    """Measures, and checks the targets. ``small``: fewer trials, and wider limits for ratios."""
    levels_dbfs, loud_dbfs = LEVELS_DBFS, LOUD_DBFS
    count, probed, slack = 200, 200, 1.0
    if small:
        levels_dbfs, loud_dbfs = FEW_LEVELS_DBFS, LOUD_DBFS[::5]
        count, probed, slack = 20, 6, 2.5
    return "\n".join(
        [
            "## Latency and markers",
            "",
            f"The simulated rig at 44.1 kHz, seed {SEED}, both laws in turn. In each trial, at "
            "once: white noise as stated (RMS), hum of -50 dBFS with harmonics (50 or 60 Hz), a "
            "low-pass of linear phase 6 dB down at 17 to 21 kHz, crosstalk of -40 dB, either "
            "channel inverted or not, return gain -6 to 0 dB, DC within 0.001 of full scale, a "
            "delay of 100 to 1500 frames and any fraction. Errors in frames against the rig's "
            "truth, the low-pass's own 31 frames counted. Targets: 0.005 at -60 dBFS, 0.001 at "
            "-80, for each channel; no gross error (polarity, or half a frame); rms error 0.9 to "
            "1.15 times what is stated.",
            "",
            f"Markers ({marker.MARKER_S:g} s, {marker.PEAK_DBFS:g} dBFS), {count} delays for each "
            "level of noise; no gross error.",
            "",
            "| noise | rms error, left / right | worst | rms error / stated |",
            "|---|---|---|---|",
            *rows(markers, levels_dbfs, count, slack),
            "",
            f"Latency probe ({delay.PROBE_SWEEP_S:g} s, {delay.PROBE_PEAK_DBFS:g} dBFS), {probed} "
            "delays for each level of noise; no gross error.",
            "",
            "| noise | rms error, left / right / loopback | worst | rms error / stated |",
            "|---|---|---|---|",
            *rows(probes, levels_dbfs, probed, slack),
            "",
            "The same sweep at higher levels, the compressor working (noise of -100 dBFS): most "
            f"reduction and largest error in frames, of {len(LOUD_SETTINGS)} settings (threshold "
            "-28 to -16 dB, attack 0.1 to 30 ms, ratio 2 to 10), left and right.",
            "",
            "| peak | log-detector: reduction | error | circuit: reduction | error |",
            "|---|---|---|---|---|",
            *loud(loud_dbfs),
            "",
            "A low-pass that is not of linear phase has another delay at each frequency. One pole, "
            "no noise: its delay at 0 Hz, the mean over the band by its definition, and what the "
            "marker finds, in frames.",
            "",
            "| corner | at 0 Hz | by definition | found |",
            "|---|---|---|---|",
            *low_passes(),
            "",
        ]
    )
