"""The CV's delay: exact where the gain is known exactly, and on both laws of the simulated rig."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import MeasurementFailed
from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.signal import cv_delay
from capture.signal.cv_delay import estimate

RATE = 44100
PROBE = cv_delay.probe(RATE)
SENT = PROBE[:, 0]
CV_LAG = 0.0614
"""Of the simulated CV's own low-pass, one pole at 20 kHz."""


def later(signal: np.ndarray, frames: float) -> np.ndarray:
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(signal)) * frames)
    return np.fft.irfft(np.fft.rfft(signal) * turn, len(signal))


def band_limited_gain(seed: int, range_db: float) -> np.ndarray:
    """At most 0 dB, edges of about a millisecond; it begins and ends at 0 dB."""
    random = np.random.default_rng(seed)
    steps = np.zeros(len(SENT))
    at = RATE // 20
    while at < len(SENT) - RATE // 20:
        steps[at:] = random.uniform(0, 1)
        at += int(random.uniform(0.005, 0.03) * RATE)
    steps[-RATE // 20 :] = 0
    smooth = np.hanning(64)
    return -range_db * np.convolve(steps, smooth / smooth.sum(), "same")


@given(
    late=st.floats(-20, 20),
    audio_late=st.floats(-0.5, 0.5),
    slope=st.sampled_from([-50.0, 30.0]),
    seed=st.integers(0, 50),
)
@settings(max_examples=3, deadline=None)
def test_a_known_gain_gives_its_delay(
    late: float, audio_late: float, slope: float, seed: int
) -> None:
    gain_db = band_limited_gain(seed, 20.0)
    received = later(SENT * 10 ** (gain_db / 20), audio_late)
    cv = later(gain_db / slope, audio_late + late) + 0.05
    found = estimate(SENT, received, cv, RATE)
    assert found.frames == pytest.approx(late, abs=0.01)
    assert found.reduction_db > 8


def recorded(rack: Any, law: str, seed: int, setting: Any, **facts: Any) -> np.ndarray:
    profile = rack.profile(law, seed=seed, **facts)
    latency = profile.simulation.converters.latency_frames
    play = np.concatenate([rack.codes(PROBE), np.zeros((latency, 2), np.int32)])
    received, _ = render(profile, setting, play, Label("cv-delay", "p"))
    return received[latency:] / 2.0**31


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize(("noise_dbfs", "worst"), [(-100, 0.02), (-60, 0.15)])
def test_both_laws_of_the_simulator(rack: Any, law: str, noise_dbfs: int, worst: float) -> None:
    noise = dict.fromkeys(("left", "right", "cv", "loopback"), noise_dbfs)
    skew = {"left": 0.31, "right": 0.37, "cv": 7.3, "loopback": 0.12}
    received = recorded(rack, law, 0, rack.setting(ratio=10.0), noise_dbfs=noise, skew_frames=skew)
    for side, name in enumerate(("left", "right")):
        found = estimate(PROBE[:, side], received[:, side], received[:, 2], RATE)
        error = found.frames - (7.3 + CV_LAG - skew[name])
        assert abs(error) < worst
        assert abs(error) < 4 * found.uncertainty_frames


def test_too_little_reduction_is_refused(rack: Any) -> None:
    received = recorded(rack, "log-detector", 0, rack.setting(threshold=-12.0, ratio=2.0))
    with pytest.raises(MeasurementFailed, match="too little reduction"):
        estimate(SENT, received[:, 0], received[:, 2], RATE)


def test_a_cv_that_explains_nothing_is_refused(rack: Any) -> None:
    received = recorded(rack, "log-detector", 0, rack.setting(ratio=10.0), always=["cv_unplugged"])
    with pytest.raises(MeasurementFailed, match="does not explain"):
        estimate(SENT, received[:, 0], received[:, 2], RATE)


@pytest.mark.parametrize("late", [-32.0, 45.0])
def test_a_delay_at_the_edge_of_the_search_is_refused(late: float) -> None:
    gain_db = band_limited_gain(0, 20.0)
    with pytest.raises(MeasurementFailed, match=r"edge of the search|does not explain"):
        estimate(SENT, SENT * 10 ** (gain_db / 20), later(gain_db / -50, late), RATE)


def test_silence_is_refused() -> None:
    with pytest.raises(MeasurementFailed, match="nothing came back"):
        estimate(SENT, np.zeros(len(SENT)), np.zeros(len(SENT)), RATE)


def test_arrays_must_be_as_long_as_each_other() -> None:
    with pytest.raises(ValueError, match="frames"):
        estimate(SENT, SENT[:-1], SENT, RATE)


@pytest.mark.parametrize("rate_hz", [44100, 96000])
def test_the_probe_is_short_and_within_its_level(rate_hz: int) -> None:
    made = cv_delay.probe(rate_hz, top_dbfs=-10.0)
    assert len(made) == 2 * rate_hz
    assert 20 * np.log10(np.abs(made).max()) < -9.99
    assert not made[: rate_hz // 20].any()
    assert np.array_equal(made[:, 0], made[:, 1])
