"""The gains of the plan, and the latency of a unit at work, against the simulated rig's truth."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.hardware.simulated.converters import fractional_taps
from capture.run import loud
from capture.run.levels import LIMIT_DB
from capture.signal import delay, gain_law
from capture.signal.levels import FULL_SCALE, amplified, codes_of
from tests.accuracy import cv_law
from tests.accuracy.latency import LAWS, RACK, RATE_HZ, Trial, trial

SEED = 4
TONE_HZ = 997.0
BAND_HZ = np.geomspace(delay.GAIN_LOW_HZ, delay.GAIN_HIGH_HZ, 32)
NOISES_DBFS = (-60, -80, -100)
KNOBS = tuple(itertools.product((-28, -20, -12), (0.1, 0.3, 3.0, 30.0), (2.0, 4.0, 10.0)))
QUIET = delay.probe(RATE_HZ)


@dataclass(frozen=True)
class Errors:
    """Of (measurements,); the uncertainty that was stated of each."""

    error: np.ndarray
    stated: np.ndarray

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.error**2)))

    def row(self, name: str, digits: int) -> str:
        ratio = self.rms / float(np.sqrt(np.mean(self.stated**2)))
        worst = float(np.abs(self.error).max())
        count = len(self.error)
        return f"| {name} | {count} | {self.rms:.{digits}f} | {worst:.{digits}f} | {ratio:.2f} |"


def response_db(taps: np.ndarray, *hertz: float) -> float:
    """The gain of a filter, mean of some frequencies."""
    turns = np.exp(-2j * np.pi / RATE_HZ * np.outer(hertz, np.arange(len(taps))))
    return 20 * float(np.mean(np.log10(np.abs(turns @ taps))))


def skew_db(profile: Any, channel: str, *hertz: float) -> float:
    """What the simulated converter's delay by a fraction does to the gain."""
    skew = getattr(profile.simulation.converters.skew_frames, channel)
    return response_db(fractional_taps(np.array([skew % 1.0]))[0], *hertz)


def shifts(noise_dbfs: float, count: int) -> Errors:
    """By how much a loud probe, the unit at work, is later than a quiet one: all three inputs."""
    signal = loud.probe(RATE_HZ, 0.0)
    found: list[tuple[float, float]] = []
    for number in range(count):
        one = trial(noise_dbfs, number)
        again = Trial(one.profile, one.low_pass, one.inverted, one.shift, number + 1000)
        quiet, worked = measured(one, QUIET), measured(again, signal)
        for name, before in quiet.items():
            after = worked[name]
            shift = after.frames - before.frames
            noise = float(np.hypot(before.uncertainty_frames, after.uncertainty_frames))
            assert after.inverted is before.inverted
            assert abs(shift) <= loud.SHIFT_FRAMES + loud.SIGMAS * noise  # else it is refused
            found.append((shift, noise))
    return Errors(*np.array(found).T)


def measured(one: Trial, signal: np.ndarray) -> dict[str, delay.Delay]:
    received, _ = one.record(signal)
    columns = {"left": received[:, 0], "right": received[:, 1], "loopback": received[:, 3]}
    return delay.of_inputs(signal, columns, RATE_HZ)


def biases(law: str, knobs: tuple[tuple[float, float, float], ...]) -> tuple[float, float, int]:
    """Without noise: the largest shift in frames, the most reduction in dB, how many settings."""
    still = dict.fromkeys(("left", "right", "cv", "loopback"), -200.0)
    profile = RACK.profile(law, noise_dbfs=still, hum_dbfs=still)
    worst, most, count = 0.0, 0.0, 0
    for (threshold, attack, ratio), release in itertools.product(knobs, (0.1, "auto")):
        setting = RACK.setting(threshold, attack, release, ratio)
        frames: list[dict[str, float]] = []
        for signal in (QUIET, loud.probe(RATE_HZ, 0.0)):
            play, label = RACK.codes(signal), Label("latency", "probe")
            received, truth = render(profile, setting, play, label)
            columns = {"left": received[:, 0], "right": received[:, 1]}
            both = delay.of_inputs(signal, columns, RATE_HZ)
            frames.append({name: one.frames for name, one in both.items()})
            most = max(most, -float(truth.gain_db.min()))
        worst = max(worst, *(abs(frames[1][name] - frames[0][name]) for name in frames[0]))
        count += 1
    return worst, most, count


def sends(noise_dbfs: float, count: int) -> Errors:
    """The send gain by the loopback: the probe is played with a gain as songs are."""
    random = np.random.default_rng([SEED, 1])
    found: list[tuple[float, float]] = []
    for number in range(count):
        send_gain_db = float(random.uniform(-12, 12))
        one = trial(noise_dbfs, number)
        signal = loud.probe(RATE_HZ, send_gain_db)
        played = amplified(codes_of(signal), send_gain_db) / FULL_SCALE
        received, _ = one.record(played)
        heard = delay.from_probe(signal[:, 0], received[: len(signal), 3], RATE_HZ)
        true_db = send_gain_db + response_db(one.low_pass, *BAND_HZ)
        true_db += skew_db(one.profile, "loopback", *BAND_HZ)
        assert heard.gain_db is not None
        assert heard.gain_uncertainty_db is not None
        found.append((heard.gain_db - true_db, heard.gain_uncertainty_db))
    return Errors(*np.array(found).T)


def returns(law: str, seeds: int, **faults: Any) -> Errors:
    """The static gain of both returns, by laws: against return gain and the channels' mismatch."""
    found: list[tuple[float, float]] = []
    for seed in range(seeds):
        one = cv_law.record(cv_law.PROBE.signal, law, seed, "static", **faults)
        audio = cv_law.distorted(one.received[:, :2]) if faults else one.received[:, :2]
        late = cv_law.lag(law, seed, **faults)
        got = gain_law.fit(cv_law.PROBE, audio, one.received[:, 2], one.expected, late)
        facts = RACK.profile(law, seed=seed, **faults)
        assert facts.simulation is not None
        half_db = facts.simulation.vca.mismatch_db / 2
        for channel, sign, static_db in (
            ("left", 1, got.static_left_db),
            ("right", -1, got.static_right_db),
        ):
            true_db = facts.simulation.converters.return_gain_db + sign * half_db
            true_db += skew_db(facts, channel, TONE_HZ)
            found.append((static_db - true_db, got.static_uncertainty_db))
    return Errors(*np.array(found).T)


def section(small: bool) -> str:
    """Measures, and checks the targets."""
    count, seeds, knobs = (3, 1, KNOBS[:2]) if small else (100, 50, KNOBS)
    noises = NOISES_DBFS[:2] if small else NOISES_DBFS
    lines = [
        "## Levels, and latency at work",
        "",
        "The latency's probe once more at -6 dBFS, where the unit works by some 20 dB, against the "
        f"quiet one, left, right and loopback: by how many frames it is later. {count} rigs for "
        f"each level of noise, seed {SEED}, everything wrong at once as under 'Latency'. None was "
        f"refused (limit {loud.SHIFT_FRAMES:g} frame and {loud.SIGMAS:g} times the noise).",
        "",
        "| noise | measurements | rms shift, frames | worst | rms shift / stated |",
        "|---|---|---|---|---|",
        *(shifts(noise, count).row(f"{noise} dBFS", 5) for noise in noises),
        "",
        "Without noise, the same at other knobs (threshold -28 to -12 dB, attack 0.1 to 30 ms, "
        "ratio 2 to 10, release 0.1 s and auto):",
        "",
        "| law | settings | most reduction | worst shift, frames |",
        "|---|---|---|---|",
    ]
    for law in LAWS:
        worst, most, settings = biases(law, knobs)
        assert worst < loud.SHIFT_FRAMES / 20
        lines.append(f"| {law} | {settings} | {most:.1f} dB | {worst:.5f} |")
    lines += [
        "",
        "The send gain of the plan by the loopback, the same rigs, gains of -12 to 12 dB, played "
        f"as songs are; against the mean of 0.5 to 2 kHz. The limit is {LIMIT_DB:g} dB. What is "
        "stated is the noise: the rest is a low-pass that is not flat.",
        "",
        "| noise | measurements | rms error, dB | worst | rms error / stated |",
        "|---|---|---|---|---|",
    ]
    for noise in noises:
        found = sends(noise, count)
        assert np.abs(found.error).max() < LIMIT_DB / 4
        lines.append(found.row(f"{noise} dBFS", 4))
    lines += [
        "",
        f"The return gain, as the static gain of laws ({seeds} for each row, seeds from 0, left "
        "and right); 'noisy' as under 'CV law'.",
        "",
        "| law | measurements | rms error, dB | worst | rms error / stated |",
        "|---|---|---|---|---|",
    ]
    for law in LAWS:
        for name, faults in (("as shipped", cv_law.QUIET), ("noisy", cv_law.NOISY)):
            found = returns(law, seeds, **faults)
            assert np.abs(found.error).max() < LIMIT_DB / 4
            lines.append(found.row(f"{law}, {name}", 5))
    return "\n".join([*lines, ""])
