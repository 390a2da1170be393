"""The built-in songs: music enough for a compressor."""

from __future__ import annotations

import time

import numpy as np
import pytest

from capture.songs import demo
from capture.songs.levels import Levels


@pytest.mark.parametrize("name", sorted(demo.DEMOS))
def test_it_sounds_like_unmastered_music(name: str) -> None:
    started = time.process_time()
    song = demo.synthesise(name)
    assert time.process_time() - started < 1.5
    assert song.shape == (demo.FRAMES, 2)
    assert np.isfinite(song).all()
    levels = Levels(demo.SAMPLE_RATE_HZ)
    levels.feed(song)
    assert np.max(np.abs(song)) == pytest.approx(demo.PEAK)
    assert 12 < levels.peak_dbfs - levels.rms_dbfs < 22
    seconds = np.sqrt(np.mean(np.square(song.reshape(9, -1)), axis=1))
    assert 20 * np.log10(seconds.max() / seconds.min()) > 8  # quiet and loud passages
    assert np.max(np.abs(song[-1])) < 1e-4  # rings out
    assert np.array_equal(song, demo.synthesise(name))


def test_the_full_mix_has_width_and_still_a_middle() -> None:
    song = demo.synthesise("groove")
    middle, side = song[:, 0] + song[:, 1], song[:, 0] - song[:, 1]
    width_db = 20 * np.log10(np.std(side) / np.std(middle))
    assert -25 < width_db < -6
