"""The CV's law: on a unit made here, whose truth is exact, and on both laws of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import MeasurementFailed
from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.model import GainLaw
from capture.run.calibrate import expected_law
from capture.signal.cv_delay import CvDelay
from capture.signal.gain_law import MeasuredLaw, Probe, fit, probe

RATE = 44100
PROBE = probe(RATE)
EXPECTED = GainLaw(-50.0, 0.0, "expected")
EXACT = CvDelay(0.0, 0.0, 20.0, -80.0)
LATE = CvDelay(0.59, 0.005, 20.0, -60.0)
"""The simulated rig's CV against its left return: 0.53 frame, and 0.06 of its low-pass."""


@dataclass(frozen=True)
class Played:
    """A probe through a unit that follows at once: what came back, full scale 1."""

    audio: np.ndarray
    cv: np.ndarray

    def fit(self, expected: GainLaw = EXPECTED, **options: Any) -> MeasuredLaw:
        return fit(PROBE, self.audio, self.cv, expected, EXACT, **options)

    def refused(self, reason: str, **options: Any) -> None:
        with pytest.raises(MeasurementFailed, match=reason):
            self.fit(**options)


def reduction(stairs: Probe, threshold_db: float = -28.0) -> np.ndarray:
    """Of each frame in dB: 10:1 above the threshold, from step to step in 60 ms."""
    wanted = np.zeros(len(stairs.signal))
    for step in stairs.steps:
        wanted[step.start :] = 0.9 * max(0.0, step.level_dbfs - threshold_db)
    wanted[stairs.steps[-1].stop :] = 0
    smooth = np.hanning(round(0.06 * stairs.sample_rate_hz))
    smooth /= smooth.sum()
    # Later than the tone by half of it, as compressors are.
    return np.convolve(wanted, smooth)[: len(wanted)]


REDUCTION_DB = reduction(PROBE)


def played(
    slope: float = -50.0,
    rest_fs: float = 0.01,
    makeup_db: float = 0.0,
    noise_dbfs: float = -100.0,
    reduction_db: np.ndarray = REDUCTION_DB,
    seed: int = 0,
) -> Played:
    random = np.random.default_rng(seed)
    noise = 10 ** (noise_dbfs / 20) * random.standard_normal((3, len(reduction_db)))
    gain_db = makeup_db - reduction_db
    gain = 10 ** ((gain_db[:, None] + [0.025, -0.025]) / 20)
    return Played(PROBE.signal * gain + noise[:2].T, rest_fs - reduction_db / slope + noise[2])


def at_20_db(measured: MeasuredLaw, slope: float, rest_fs: float) -> float:
    """Gain error in dB at 20 dB of reduction."""
    return (rest_fs - 20 / slope) * measured.law.gain_db_per_fs + measured.law.gain_db_at_zero + 20


# The probe


@given(
    top_dbfs=st.floats(-30, 0), seed=st.integers(0, 1000), rate_hz=st.sampled_from([44100, 96000])
)
@settings(max_examples=8, deadline=None)
def test_the_probe_is_where_it_says(top_dbfs: float, seed: int, rate_hz: int) -> None:
    made = probe(rate_hz, top_dbfs, seed)
    ladder = [step.level_dbfs for step in made.steps[1:]]
    assert sorted(ladder) == pytest.approx([top_dbfs - 3 * n for n in range(11, -1, -1)])
    assert len(made.signal) / rate_hz < 20
    held = made.steps[0]
    assert held.stop - held.start >= 2 * rate_hz
    assert not made.signal[: held.start].any()
    assert not made.signal[-rate_hz // 4 :].any()
    for step, after in zip(made.steps, made.steps[1:], strict=False):
        assert step.stop == after.start
    for step in made.steps:
        settled = made.signal[step.start + rate_hz // 10 : step.stop]
        peak_dbfs = 20 * np.log10(np.abs(settled).max())
        assert peak_dbfs == pytest.approx(step.level_dbfs, abs=0.02)


def test_the_order_is_random_and_the_same_each_time() -> None:
    order = [step.level_dbfs for step in probe(RATE).steps]
    assert order == [step.level_dbfs for step in probe(RATE).steps]
    assert order != [step.level_dbfs for step in probe(RATE, seed=2).steps]
    assert order[1:] != sorted(order[1:])


# The law


@given(
    slope=st.sampled_from([-60.0, -45.0, 45.0]),
    rest_fs=st.floats(-0.3, 0.3),
    makeup_db=st.floats(-10, 5),
)
@settings(max_examples=3, deadline=None)
def test_without_noise_the_law_is_exact(slope: float, rest_fs: float, makeup_db: float) -> None:
    expected = GainLaw(50.0 if slope > 0 else -50.0, 0.0, "expected")
    found = played(slope, rest_fs, makeup_db, noise_dbfs=-140).fit(expected)
    assert found.law.origin == "measured"
    assert abs(at_20_db(found, slope, rest_fs)) < 1e-4
    assert found.rest_fs == pytest.approx(rest_fs, abs=1e-6)
    assert found.slope_ratio == pytest.approx(slope / expected.gain_db_per_fs, rel=1e-5)
    # Make-up and static gain are apart: the law says 0 dB at rest.
    assert found.static_left_db == pytest.approx(makeup_db + 0.025, abs=1e-3)
    assert found.static_right_db == pytest.approx(makeup_db - 0.025, abs=1e-3)
    assert found.deepest_gain_db == pytest.approx(-22.5, abs=0.01)
    assert found.r2 > 0.999999
    assert not found.left_out
    assert found.coupling.ac is False
    assert found.offset_fs is None


def test_the_stated_uncertainties_are_the_spread() -> None:
    """Noise of -60 dBFS, seeds 0 to 7."""
    found = [played(noise_dbfs=-60, seed=seed).fit() for seed in range(8)]
    errors = np.array([at_20_db(one, -50.0, 0.01) for one in found])
    stated = [20 / 50 * one.slope_uncertainty_db_per_fs for one in found]
    ratio = np.sqrt(np.mean(errors**2)) / np.mean(stated)
    print(f"rms error {np.sqrt(np.mean(errors**2)):.5f} dB at 20 dB, over stated {ratio:.2f}")
    assert 0.5 < ratio < 1.6
    rest = np.array([one.rest_fs - 0.01 for one in found])
    ratio = np.sqrt(np.mean(rest**2)) / found[0].rest_uncertainty_fs
    assert 0.4 < ratio < 1.8
    assert found[0].rest_noise_fs == pytest.approx(1e-3, rel=0.05)
    for one in found:
        (slope, both), (_, at_zero) = one.covariance
        assert slope == pytest.approx(one.slope_uncertainty_db_per_fs**2)
        assert at_zero == pytest.approx(one.at_zero_uncertainty_db**2)
        assert both**2 <= slope * at_zero


@pytest.mark.parametrize("where", ["before the unit", "behind it"])
@pytest.mark.parametrize("third", [0.003, -0.003])
def test_odd_distortion_does_not_tilt_the_law(where: str, third: float) -> None:
    """0.3 % of third harmonic make the loudest tone 0.08 dB louder or softer."""
    clean = played()
    audio = clean.audio
    behind = where == "behind it"
    x = audio if behind else PROBE.signal
    peak = np.abs(x).max()
    shaped = x + 4 * third * x**3 / peak**2
    ratio = np.divide(shaped, x, out=np.ones_like(x), where=np.abs(x) > 1e-9)
    found = Played(audio * ratio, clean.cv).fit()
    assert abs(at_20_db(found, -50.0, 0.01)) < 0.001


def test_each_channel_is_tracked() -> None:
    """The right channel falls by 1 % less than the CV says, the left one by 1 % more."""
    clean = played(noise_dbfs=-80)
    apart = 10 ** (REDUCTION_DB[:, None] * [-0.01, 0.01] / 20)
    found = Played(clean.audio * apart, clean.cv).fit()
    assert found.slope_left_db_per_fs == pytest.approx(-50.5, rel=1e-3)
    assert found.slope_right_db_per_fs == pytest.approx(-49.5, rel=1e-3)
    assert found.tracking_db == pytest.approx(0.45, abs=0.01)
    assert found.tracking_uncertainty_db < 0.01
    assert clean.fit().tracking_db == pytest.approx(0, abs=0.01)


# What is left out


def test_steps_with_the_cv_at_full_scale_are_left_out() -> None:
    fine = played(slope=-40.0, rest_fs=0.6)
    found = Played(fine.audio, np.clip(fine.cv, -1, 1 - 2**-23)).fit()
    # 16 dB of headroom: -9 dBFS and louder do not fit.
    assert len(found.left_out) == 3
    assert all("the CV is at full scale" in reason for reason in found.left_out)
    assert {reason.split()[0] for reason in found.left_out} == {"-3", "-6", "-9"}
    assert abs(at_20_db(found, -40.0, 0.6)) < 0.001
    assert found.deepest_gain_db == pytest.approx(-14.4, abs=0.01)


def test_a_clipped_return_is_left_out() -> None:
    # Make-up of 20 dB: the steps that are least compressed for their level are the loudest.
    loud = played(makeup_db=25.6)
    found = Played(np.clip(loud.audio, -1, 1 - 2**-23), loud.cv).fit()
    assert found.left_out
    assert all("return is at full scale" in reason for reason in found.left_out)
    assert abs(at_20_db(found, -50.0, 0.01)) < 0.001


def test_a_gain_cell_at_its_end_leaves_the_line() -> None:
    stopped = played(reduction_db=np.minimum(REDUCTION_DB, 15.0))
    found = Played(stopped.audio, played().cv).fit()
    assert {reason.split()[0] for reason in found.left_out} == {"-3", "-6", "-9"}
    assert all("off the line" in reason for reason in found.left_out)
    assert abs(at_20_db(found, -50.0, 0.01)) < 0.001


def test_one_disturbed_step_is_left_out_alone() -> None:
    fine = played()
    step = PROBE.steps[4]
    audio = fine.audio.copy()
    audio[step.start : step.stop] *= 10 ** (0.2 / 20)
    found = Played(audio, fine.cv).fit()
    assert [one.left_out is not None for one in found.readings].index(True) == 4
    assert len(found.left_out) == 1
    assert abs(at_20_db(found, -50.0, 0.01)) < 0.001


def test_a_gain_that_still_moves_is_left_out(rack: Any) -> None:
    audio, cv, expected = simulated(rack, "log-detector", release=0.8)
    found = fit(PROBE, audio, cv, expected, LATE)
    assert any("the gain still moves" in reason for reason in found.left_out)
    assert abs(simulated_error_db(found)) < 0.01


# What is refused


def inverted(one: Played) -> Played:
    return Played(one.audio, -one.cv)


def unplugged(one: Played) -> Played:
    return Played(one.audio, 1e-4 * np.random.default_rng(1).standard_normal(len(one.cv)))


def foreign(one: Played) -> Played:
    """Another signal on the CV input."""
    return Played(one.audio, 0.1 * np.sin(np.arange(len(one.cv)) / 900) + 0.2)


def halved(one: Played) -> Played:
    return Played(one.audio, one.cv / 2)


def curved(one: Played) -> Played:
    return Played(one.audio, one.cv + 0.1 * (one.cv - 0.01) ** 2)


def clipped(one: Played) -> Played:
    return Played(one.audio, np.minimum(8 * one.cv, 1.0))


def uneasy(one: Played) -> Played:
    """A CV that still comes back from what was before the probe."""
    return Played(one.audio, one.cv + 0.01 * np.exp(-np.arange(len(one.cv)) / RATE / 0.3))


def silent_right(one: Played) -> Played:
    noise = 1e-5 * np.random.default_rng(1).standard_normal(len(one.cv))
    return Played(np.stack([one.audio[:, 0], noise], axis=1), one.cv)


def all_silent(one: Played) -> Played:
    return Played(np.zeros_like(one.audio), one.cv)


def coupled(one: Played) -> Played:
    pole = np.exp(-2 * np.pi * 0.2 / RATE)
    time = np.arange(len(one.cv))
    spectrum = np.fft.rfft(one.cv - one.cv[0], 2 * len(time))
    low = np.fft.irfft(spectrum * np.fft.rfft((1 - pole) * pole**time, 2 * len(time)))
    return Played(one.audio, one.cv - one.cv[0] - low[: len(time)])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (inverted, "goes the other way"),
        (unplugged, "does not move with the gain"),
        (foreign, "does not move|not a straight line|other way|AC-coupled"),
        (halved, "2 times what the rig profile expects"),
        (curved, "not a straight line"),
        (uneasy, "not at rest"),
        (silent_right, "the right return does not carry the tone"),
        (all_silent, "the left return does not carry the tone"),
        (coupled, "AC-coupled: a held voltage droops, corner 0.2 Hz"),
    ],
)
def test_each_fault_has_its_reason(fault: Callable[[Played], Played], reason: str) -> None:
    fault(played()).refused(reason)


def test_too_few_steps_are_refused() -> None:
    clipped(played()).refused(
        "at least 6 are needed: the CV is at full scale", expected=GainLaw(-6.25, 0.0, "expected")
    )


def test_too_little_reduction_is_refused() -> None:
    played(reduction_db=reduction(PROBE, -8.0)).refused("too little reduction: 4.5 dB")


def test_a_recording_that_is_too_short_is_no_measurement() -> None:
    one = played()
    with pytest.raises(ValueError, match="frames of"):
        fit(PROBE, one.audio[:-RATE], one.cv[:-RATE], EXPECTED, EXACT)


# The simulated rig


def simulated(
    rack: Any, law: str, rate_hz: int = RATE, release: float = 0.1, **facts: Any
) -> tuple[np.ndarray, np.ndarray, GainLaw]:
    profile = rack.profile(law, rate_hz, **facts)
    latency = profile.simulation.converters.latency_frames
    tail = np.zeros((latency, 2), np.int32)
    play = np.concatenate([rack.codes(probe(rate_hz).signal), tail])
    setting = rack.setting(ratio=10.0, release=release)
    received, _ = render(profile, setting, play, Label("cv-law", "stairs"))
    received = received[latency:] / 2.0**31
    return received[:, :2], received[:, 2], expected_law(profile.cv)


def simulated_error_db(found: MeasuredLaw) -> float:
    """At 20 dB; the packaged rig has -49.7 mV/dB, 3.1 mV at rest, 3e-5 of DC."""
    return at_20_db(found, -2.5 / 0.0497, 0.0031 / 2.5 + 3e-5)


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize(("noise_dbfs", "limit_db"), [(-100, 0.0005), (-60, 0.009)])
def test_both_laws_of_the_simulator(rack: Any, law: str, noise_dbfs: int, limit_db: float) -> None:
    noise = dict.fromkeys(("left", "right", "cv", "loopback"), noise_dbfs)
    audio, cv, expected = simulated(rack, law, noise_dbfs=noise)
    found = fit(PROBE, audio, cv, expected, LATE)
    assert abs(simulated_error_db(found)) < limit_db
    assert found.coupling.ac is False
    assert found.accuracy_db < 0.005
    # A unit whose gain moves with the tone tells how late its CV is, or is less sure.
    unknown = fit(PROBE, audio, cv, expected)
    assert abs(simulated_error_db(unknown)) < 3 * unknown.accuracy_db
    assert unknown.accuracy_db > found.accuracy_db


def test_another_rate(rack: Any) -> None:
    rate_hz = 96000
    audio, cv, expected = simulated(rack, "log-detector", rate_hz)
    pole = np.exp(-2 * np.pi * 20e3 / rate_hz)
    late = replace(LATE, frames=0.53 + pole / (1 - pole))
    found = fit(probe(rate_hz), audio, cv, expected, late)
    assert abs(simulated_error_db(found)) < 0.001
