"""The level measures, against pyloudnorm and against what is known of sines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyloudnorm
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.songs.levels import Levels

RATES = st.sampled_from([8000, 11025, 22050, 44100, 48000, 88200, 96000])


def music(frames: int, seed: int) -> NDArray[np.float64]:
    """Noise whose level wanders over 80 dB, so that both gates have work to do."""
    random = np.random.default_rng(seed)
    steps = np.repeat(random.uniform(-80, 0, frames // 3000 + 1), 3000)[:frames]
    noise = random.standard_normal((frames, 2)) * 10 ** (steps[:, np.newaxis] / 20)
    return 0.2 * noise * random.uniform(0.1, 1, 2)


def measured(song: NDArray[np.float64], rate: int, block_frames: int = 65536) -> Levels:
    levels = Levels(rate)
    for at in range(0, len(song), block_frames):
        levels.feed(song[at : at + block_frames])
    return levels


def reference_lufs(song: NDArray[np.float64], rate: int) -> float:
    meter: Any = pyloudnorm.Meter(rate)
    return float(meter.integrated_loudness(song))


@settings(max_examples=60, deadline=None)
@given(rate=RATES, length_s=st.floats(0.41, 4), seed=st.integers(0, 10**6))
@example(rate=44100, length_s=0.45, seed=0)  # half a hop: where pyloudnorm rounds to even
@example(rate=44100, length_s=0.55, seed=0)
@example(rate=11025, length_s=1.05, seed=1)
@example(rate=8000, length_s=1.0, seed=60)  # nothing passes the gate
def test_loudness_is_that_of_pyloudnorm(rate: int, length_s: float, seed: int) -> None:
    song = music(round(length_s * rate), seed)
    lufs = measured(song, rate).loudness_lufs()
    expected = reference_lufs(song, rate)
    if lufs is None:
        assert expected == -np.inf
    else:
        assert lufs == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(block_frames=st.integers(1, 30000), seed=st.integers(0, 100))
@example(block_frames=4410, seed=0)
@example(block_frames=7, seed=0)
def test_blocks_do_not_matter(block_frames: int, seed: int) -> None:
    song = music(30000, seed)
    whole, cut = measured(song, 44100), measured(song, 44100, block_frames)
    assert cut.peak_dbfs == whole.peak_dbfs
    assert cut.rms_dbfs == pytest.approx(whole.rms_dbfs, abs=1e-9)
    assert cut.loudness_lufs() == pytest.approx(whole.loudness_lufs(), abs=1e-9)


def test_a_sine_of_full_scale() -> None:
    sine = np.sin(2 * np.pi * 997 * np.arange(3 * 48000) / 48000)
    both = measured(np.stack([sine, sine], axis=1), 48000)
    left = measured(np.stack([sine, 0 * sine], axis=1), 48000)
    assert both.peak_dbfs == pytest.approx(0, abs=1e-3)
    assert both.rms_dbfs == pytest.approx(-3.01, abs=0.01)
    assert left.rms_dbfs == pytest.approx(-6.02, abs=0.01)
    assert left.loudness_lufs() == pytest.approx(-3.01, abs=0.05)  # BS.1770-4, annex 1
    assert both.loudness_lufs() == pytest.approx(0.0, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(gain_db=st.floats(-40, 40), seed=st.integers(0, 1000))
def test_loudness_after_a_gain_is_that_of_the_amplified_song(gain_db: float, seed: int) -> None:
    song = 0.001 * music(22050, seed)
    predicted = measured(song, 11025).loudness_lufs(gain_db)
    found = measured(song * 10 ** (gain_db / 20), 11025).loudness_lufs()
    assert (predicted is None) == (found is None)
    if predicted is not None:
        assert predicted == pytest.approx(found, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(target_lufs=st.floats(-45, -10), level_db=st.floats(-40, 0), seed=st.integers(0, 1000))
def test_the_gain_meets_the_target_though_the_gate_stays(
    target_lufs: float, level_db: float, seed: int
) -> None:
    song = music(22050, seed) * 10 ** (level_db / 20)
    gain_db = measured(song, 11025).gain_db("lufs", target_lufs)
    if gain_db is None:
        assert measured(song, 11025).loudness_lufs() is None
    else:
        amplified = measured(song * 10 ** (gain_db / 20), 11025)
        assert amplified.loudness_lufs() == pytest.approx(target_lufs, abs=1e-6)


def test_one_gain_is_not_enough() -> None:
    """Two thirds of this song are below the gate, until it is turned up."""
    random = np.random.default_rng(0)
    song = random.standard_normal((8000 * 6, 2)) * 10 ** (-68 / 20)
    song[16000:] *= 10 ** (-8 / 20)
    levels = measured(song, 8000)
    before = levels.loudness_lufs()
    assert before is not None
    naive_db = -30 - before
    after = levels.loudness_lufs(naive_db)
    assert after is not None
    assert after < -32
    gain_db = levels.gain_db("lufs", -30)
    assert gain_db is not None
    assert levels.loudness_lufs(gain_db) == pytest.approx(-30, abs=1e-9)


def test_no_loudness() -> None:
    assert measured(np.full((4409, 2), 0.5), 11025).loudness_lufs() is None  # 399.9 ms
    assert measured(np.full((4410, 2), 0.5), 11025).loudness_lufs() is not None
    assert measured(np.full((22050, 2), 1e-6), 11025).loudness_lufs() is None
    assert Levels(44100).loudness_lufs() is None


def test_levels_are_finite_even_of_nothing() -> None:
    levels = measured(np.zeros((1000, 2)), 44100)
    assert np.isfinite([levels.peak_dbfs, levels.rms_dbfs, Levels(44100).rms_dbfs]).all()
