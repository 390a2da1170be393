"""Markers against known shifts, and around takes of the simulated rig."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import MeasurementFailed
from capture.hardware.ports import Label
from capture.hardware.simulated import render
from capture.signal import marker
from capture.signal.marker import SEARCH_FRAMES, from_marker, gap_frames
from capture.songs.demo import synthesise

RATES = (44100, 48000, 96000)
LATENCY = 987
LEAD = 1024


def layout(song: np.ndarray, rate_hz: int, codes: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """[silence][marker][gap][song][gap][marker][tail], and where the markers begin."""
    one = codes(marker.marker(rate_hz))
    gap = np.zeros((gap_frames(rate_hz), 2), np.int32)
    parts = [gap[:LEAD], one, gap, song, gap, one, np.zeros((4096, 2), np.int32)]
    tail = sum(map(len, parts[:5]))
    return np.concatenate(parts), (LEAD, tail)


def around(received: np.ndarray, at: int, frames: int) -> np.ndarray:
    """The marker's place and the search on both sides, full scale 1."""
    return received[at - SEARCH_FRAMES : at + frames + SEARCH_FRAMES] / 2.0**31


def shifted(rate_hz: int, frames: float) -> np.ndarray:
    """A marker that many frames late, as it would be handed over."""
    sent = np.pad(marker.marker(rate_hz)[:, 0], 2 * SEARCH_FRAMES)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(sent)) * frames)
    late = np.fft.irfft(np.fft.rfft(sent) * turn, len(sent))
    return late[SEARCH_FRAMES:-SEARCH_FRAMES]


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_marker_is_quiet_and_goes_from_silence_to_silence(rate_hz: int) -> None:
    one = marker.marker(rate_hz)
    assert one.shape == (round(0.08 * rate_hz), 2)
    assert np.array_equal(one[:, 0], one[:, 1])
    assert 20 * np.log10(np.abs(one).max()) == pytest.approx(marker.PEAK_DBFS, abs=0.1)
    assert not one[0].any()
    assert not one[-1].any()
    # Shifted by a whole search, what is searched still holds no music.
    assert gap_frames(rate_hz) >= 3 * SEARCH_FRAMES
    assert gap_frames(rate_hz) < 0.03 * rate_hz


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(RATES),
    st.floats(-SEARCH_FRAMES + 1, SEARCH_FRAMES - 1),
    st.sampled_from([1, -1]),
)
def test_a_pure_shift_is_found_exactly(rate_hz: int, frames: float, sign: int) -> None:
    sent = marker.marker(rate_hz)[:, 0]
    found = from_marker(sent, sign * shifted(rate_hz, frames), rate_hz)
    assert found.frames == pytest.approx(frames, abs=1e-3)
    assert found.inverted is (sign < 0)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [(-500, "outside"), (-300, "outside"), (-256, "edge"), (256, "edge"), (300, "outside")],
)
def test_what_is_further_is_no_marker(frames: int, reason: str) -> None:
    sent = marker.marker(44100)[:, 0]
    with pytest.raises(MeasurementFailed, match=f"{reason} (of )?the search"):
        from_marker(sent, np.roll(np.pad(sent, 1024), frames)[768:-768], 44100)


@pytest.mark.parametrize("kind", ["lost_frames", "doubled_frames"])
@pytest.mark.parametrize(("frames", "release"), [(1, 0.1), (2, 1.2), (17, "auto"), (64, 0.4)])
def test_frames_lost_in_the_song_move_the_marker_after_it(
    rack: Any, kind: str, frames: int, release: float | str
) -> None:
    """The gain is still on its way back when the second one comes."""
    song = rack.sent(synthesise("groove")[:66150])
    play, places = layout(song, 44100, rack.codes)
    profile = rack.profile(always=[{"kind": kind, "frames": frames, "at_s": 0.9}])
    received, truth = render(
        profile, rack.setting(ratio=10, release=release), play, Label("take", "t")
    )
    sent = marker.marker(44100)[:, 0]
    for column, name in enumerate(("left", "right")):
        head, tail = (
            from_marker(sent, around(received[:, column], at + LATENCY, len(sent)), 44100)
            for at in places
        )
        left_over = truth.delay_frames[name] - LATENCY
        assert head.frames == pytest.approx(left_over, abs=0.001)
        moved = -frames if kind == "lost_frames" else frames
        assert tail.frames == pytest.approx(left_over + moved, abs=0.002)


@pytest.mark.parametrize(
    ("noise_dbfs", "worst"), [(-100, 0.0002), (-80, 0.002), (-60, 0.02)], ids=str
)
def test_the_stated_uncertainty_is_the_spread(noise_dbfs: int, worst: float) -> None:
    """Seed 0: 100 markers with random fractions, in white noise."""
    random = np.random.default_rng(0)
    sent = marker.marker(44100)[:, 0]
    errors, stated = [], []
    for _ in range(100):
        frames = random.uniform(-64, 64)
        received = shifted(44100, frames)
        received += 10 ** (noise_dbfs / 20) * random.standard_normal(len(received))
        found = from_marker(sent, received, 44100)
        errors.append(found.frames - frames)
        stated.append(found.uncertainty_frames)
    spread = float(np.sqrt(np.mean(np.square(errors))))
    ratio = spread / float(np.mean(stated))
    print(f"noise {noise_dbfs} dBFS: rms error {spread:.5f}, rms error / stated {ratio:.2f}")
    assert np.abs(errors).max() < worst
    assert 0.6 < ratio < 1.6


def test_neither_noise_nor_music_is_a_marker(groove: np.ndarray) -> None:
    """Seed 0: 200 pieces of noise, 200 of a song."""
    sent = marker.marker(44100)[:, 0]
    random = np.random.default_rng(0)
    count = len(sent) + 2 * SEARCH_FRAMES
    for _ in range(200):
        at = int(random.integers(0, len(groove) - count))
        for other in (random.standard_normal(count), groove[at : at + count, 0] / 2.0**31):
            with pytest.raises(MeasurementFailed):
                from_marker(sent, other, 44100)


def test_nothing_came_back() -> None:
    sent = marker.marker(44100)[:, 0]
    with pytest.raises(MeasurementFailed, match="nothing came back"):
        from_marker(sent, np.zeros(len(sent) + 2 * SEARCH_FRAMES), 44100)


def test_another_length_is_a_mistake() -> None:
    sent = marker.marker(44100)[:, 0]
    with pytest.raises(ValueError, match="frames for a marker"):
        from_marker(sent, sent, 44100)


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
def test_a_marker_never_works_the_compressor(rack: Any, law: str) -> None:
    codes = rack.codes(marker.marker(44100))
    setting = rack.setting(threshold=-28, ratio=10)
    _, truth = render(rack.profile(law), setting, codes, Label("take", "m"))
    assert not truth.gain_db.any()
