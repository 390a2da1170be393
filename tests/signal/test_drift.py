"""Lag, drift and steps against known ones, and through the simulated rig."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import MeasurementFailed
from capture.hardware.simulated.converters import Delay, noise, to_adc
from capture.signal import drift
from capture.signal.delay import Delay as Found
from capture.signal.drift import LagMeter, LagTrack
from capture.songs.demo import DEMOS, synthesise

RATE = 44100
LATENCY = 128


def track(
    sent: np.ndarray, received: np.ndarray, block: int = 65536, rate_hz: int = RATE
) -> LagTrack:
    meter = LagMeter(rate_hz)
    for at in range(0, len(sent), block):
        meter.add(sent[at : at + block], received[at : at + block, :2])
    return meter.track()


def hiss(seconds: float, seed: int = 0, rate_hz: int = RATE) -> np.ndarray:
    """Stereo noise of -20 dBFS as codes, (frames, 2)."""
    random = np.random.default_rng(seed)
    return to_adc(0.1 * random.standard_normal((round(seconds * rate_hz), 2)))


def late(
    sent: np.ndarray, frames: float, ppm: float = 0.0, noise_dbfs: float = -100.0
) -> np.ndarray:
    """``sent`` some frames later, by the simulated rig's converters."""
    sides = []
    for side in (0, 1):
        column = np.concatenate([sent[:, side] / 2.0**31, np.zeros(LATENCY)])
        back = Delay(LATENCY + frames, ppm).process(column)[LATENCY:]
        sides.append(back + noise(np.random.SFC64(side), 10 ** (noise_dbfs / 20), len(back)))
    return to_adc(np.stack(sides, axis=1))


def lose(received: np.ndarray, at: int, frames: int) -> np.ndarray:
    return np.concatenate([received[:at], received[at + frames :], received[-frames:]])


def double(received: np.ndarray, at: int, frames: int) -> np.ndarray:
    return np.concatenate([received[:at], received[at - frames :]])[: len(received)]


@pytest.mark.parametrize("rate_hz", [44100, 48000, 96000])
@pytest.mark.parametrize("frames", [0.0, 0.31, 7.5, -8.25, 500.0])
def test_a_pure_delay_is_found_in_every_window(rate_hz: int, frames: float) -> None:
    sent = hiss(2, rate_hz=rate_hz)
    found = track(sent, late(sent, frames), rate_hz=rate_hz)
    assert found.windows == len(sent) // found.window_frames
    assert 0.3 < found.window_frames / rate_hz < 0.4
    assert len(found.lag) == found.windows
    assert found.lag == pytest.approx(np.full(found.windows, frames), abs=0.005)
    assert np.array_equal(found.centre, (np.arange(found.windows) + 0.5) * found.window_frames)
    assert found.uncertainty.max() < 0.03
    assert drift.steps(found) == ()
    assert drift.proven_share(found) == (found.windows - 3) / found.windows


@settings(max_examples=15, deadline=None)
@given(st.integers(300, 100_000))
def test_blocks_do_not_matter(block: int) -> None:
    sent = hiss(2)
    received = late(sent, 0.4)
    one, other = track(sent, received), track(sent, received, block)
    assert np.array_equal(one.lag, other.lag)
    assert np.array_equal(one.centre, other.centre)
    assert one.windows == other.windows


@pytest.mark.parametrize("ppm", [0.0, 0.1, -5.0, 20.0, -60.0])
def test_drift_is_found_and_sure(ppm: float) -> None:
    sent = hiss(20)
    found = track(sent, late(sent, 0.31, ppm))
    measured = drift.from_track(found)
    assert measured.ppm == pytest.approx(ppm, abs=0.01)
    assert abs(measured.ppm - ppm) < 4 * measured.uncertainty_ppm
    assert drift.steps(found) == ()


@pytest.mark.parametrize("ppm", [0.0, 20.0])
@pytest.mark.parametrize("edit", [lose, double])
@pytest.mark.parametrize("frames", [1, 2, 64, 3000])
def test_a_step_is_found_and_placed(
    edit: Callable[..., np.ndarray], frames: int, ppm: float
) -> None:
    sent = hiss(10)
    for at in (2 * RATE, 5 * RATE + 3000, 8 * RATE):
        (step,) = drift.steps(track(sent, edit(late(sent, 0.3, ppm), at, frames)))
        assert step.frames == pytest.approx(-frames if edit is lose else frames, abs=0.3)
        assert step.latest_frame - step.earliest_frame <= RATE
        assert abs((step.earliest_frame + step.latest_frame) / 2 - at) < 0.5 * RATE


@pytest.mark.parametrize("apart_s", [1.2, 3.0])
def test_what_is_made_up_for_later_is_two_steps(apart_s: float) -> None:
    sent = hiss(10)
    at = 4 * RATE
    broken = double(lose(late(sent, 0.3), at, 1), at + round(apart_s * RATE), 1)
    first, second = drift.steps(track(sent, broken))
    assert first.frames == pytest.approx(-1, abs=0.1)
    assert second.frames == pytest.approx(1, abs=0.1)
    assert (second.earliest_frame - first.earliest_frame) / RATE == pytest.approx(apart_s, abs=0.5)


def test_a_take_with_a_step_has_no_drift() -> None:
    sent = hiss(10)
    with pytest.raises(MeasurementFailed, match=r"the lag jumps by -1\.0 frames between"):
        drift.from_track(track(sent, lose(late(sent, 0.3), 5 * RATE, 1)))


def test_what_says_too_little_is_not_known() -> None:
    sent = hiss(2)
    with pytest.raises(MeasurementFailed, match=r"5 windows .* 12 are needed"):
        drift.from_track(track(sent, late(sent, 0.3)))
    slow = 0.15 * np.cos(np.arange(14) / 14 * 2 * np.pi)
    made_up = LagTrack((np.arange(14) + 0.5) * 4096, slow, np.full(14, 0.1), 14, 4096)
    with pytest.raises(MeasurementFailed, match="give or take"):
        drift.from_track(made_up)


def test_silence_shows_nothing() -> None:
    sent = hiss(8)
    sent[2 * RATE : 6 * RATE] = 0
    found = track(sent, late(sent, 0.3))
    assert len(found.lag) == pytest.approx(found.windows / 2, abs=2)
    assert np.diff(found.centre).max() == pytest.approx(4 * RATE, abs=2 * found.window_frames)
    assert found.lag == pytest.approx(np.full(len(found.lag), 0.3), abs=0.02)
    nothing = track(sent * 0, sent * 0)
    assert nothing.windows == 21
    assert (len(nothing.lag), nothing.windows) == (0, 21)
    assert drift.steps(nothing) == ()
    fed_nothing = LagMeter(RATE).track()
    assert len(fed_nothing.lag) == 0
    assert drift.steps(fed_nothing) == ()
    assert drift.proven_share(nothing) == drift.proven_share(fed_nothing) == 0
    assert fed_nothing.windows == 0


def test_another_song_shows_nothing() -> None:
    found = track(hiss(8, 1), late(hiss(8, 2), 0.3))
    assert len(found.lag) == 0


def test_channels_against_each_other_and_a_dead_one() -> None:
    """Left and right in opposite polarity do not cancel; one that is silent does not matter."""
    sent = hiss(4)
    sent[:, 1] = -sent[:, 0]
    for dead in ([], [1]):
        received = late(sent, 0.3)
        received[:, dead] = 0
        found = track(sent, received)
        assert len(found.lag) == found.windows
        assert found.lag == pytest.approx(np.full(found.windows, 0.3), abs=0.005)


@pytest.mark.parametrize("period", [45, 100, 441])
def test_music_with_a_period_is_not_a_step(period: int) -> None:
    """A tone with overtones and little else, which swells: every period looks alike."""
    random = np.random.default_rng(0)
    cycle = np.tile(random.standard_normal(period), 12 * RATE // period)
    cycle *= 0.1 * (1.2 + np.sin(np.arange(len(cycle)) / RATE * 5))
    cycle += 1e-3 * random.standard_normal(len(cycle))
    sent = to_adc(np.stack([cycle, cycle], axis=1))
    found = track(sent, late(sent, 0.3, noise_dbfs=-70))
    assert drift.steps(found) == ()
    assert np.abs(found.lag - 0.3).max(initial=0) < 0.3


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize("name", DEMOS)
def test_a_compressed_song_keeps_its_lag(rack: Any, name: str, law: str) -> None:
    """Fast attack, 10:1: no step; a lost frame is one, or is known not to be provable."""
    song = rack.sent(synthesise(name))
    setting = rack.setting(ratio=10)
    for always in ([], [{"kind": "lost_frames", "frames": 1, "at_s": 4.0}]):
        take = rack.take(rack.profile(law, always=always), setting, song)
        found = track(take.sent, take.received)
        sizes = [round(step.frames) for step in drift.steps(found)]
        if not always:
            assert sizes == []
        elif drift.proven_share(found) > 0.5:
            assert sizes == [-1]
        else:
            assert name == "chords"


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
def test_real_songs_keep_theirs(
    rack: Any, music: Callable[[int], Sequence[tuple[str, np.ndarray]]], law: str
) -> None:
    for name, song in music(8):
        take = rack.take(rack.profile(law), rack.setting(ratio=10), rack.sent(song))
        found = track(take.sent, take.received)
        assert drift.steps(found) == (), name
        assert np.abs(found.lag - take.fractions[0]).max(initial=0) < 0.5, name


def test_markers_give_the_drift_between_them() -> None:
    before, after = (Found(frames, 0.003, False, 100.0, 300.0, 16e3) for frames in (0.3, 0.9))
    found = drift.from_markers(before, after, 60 * RATE)
    assert found.ppm == pytest.approx(0.6 / (60 * RATE) * 1e6)
    assert found.uncertainty_ppm == pytest.approx(0.003 * np.sqrt(2) / (60 * RATE) * 1e6)


def test_an_hour_is_followed_in_little_memory_and_time() -> None:
    """Ten minutes of it: the same block again and again."""
    block = hiss(65536 / RATE)
    meter = LagMeter(RATE)
    meter.add(block, block)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    began = time.process_time()
    blocks = 100
    for _ in range(blocks):
        meter.add(block, block)
    speed = blocks * 65536 / RATE / (time.process_time() - began)
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    print(f"{speed:.0f} times real time, {kept} bytes")
    assert kept < 300 * blocks * 4
    assert drift.from_track(meter.track()).ppm == pytest.approx(0, abs=1e-6)


def test_the_drift_of_an_hour() -> None:
    centre = (np.arange(9700) + 0.5) * 16384
    lag = 2e-6 * centre + 0.02 * np.random.default_rng(0).standard_normal(9700)
    found = drift.from_track(LagTrack(centre, lag, np.full(9700, 0.02), 9700, 16384))
    assert found.ppm == pytest.approx(2, abs=1e-4)


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=4, max_size=40))
def test_a_step_has_a_place_whatever_the_lags_do(windows: list[tuple[float, float]]) -> None:
    """A median may step where no single lag moves that way: seen in a take of a frozen rack."""
    heights, moves = np.array(windows).T
    heights[:2], heights[-1] = 0, 0  # as they are at the ends
    centre = np.arange(len(heights)) * 1000.0
    for step in drift._jumps(centre, heights, moves):
        assert 0 <= step.earliest_frame <= step.latest_frame <= centre[-1]
