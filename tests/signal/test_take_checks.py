"""The take checks: no alarm on any good take, an alarm on every fault that can be seen.

Good takes: the demo songs, music made to be awkward, and real songs where they are installed.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.model import CheckLimits, GainLaw
from capture.signal.checks import TakeMeter
from capture.songs.demo import DEMOS, synthesise

RATE = 44100
LAWS = ("log-detector", "circuit")
SETTINGS = [
    (-28, 0.1, 0.1, 10),
    (-28, 3, "auto", 4),
    (-16, 1, 0.8, 2),
    (-20, 0.1, 0.1, 1.5),
    (-28, 0.1, "auto", 10),
    (-24, 30, 1.2, 4),
]
CHECKS = {
    "frames", "full_scale_run_frames", "near_full_scale_dbfs", "stuck_run_frames",
    "repeated_run_frames", "level_left_db", "level_right_db", "polarity", "swap", "coherence",
    "lag_head_frames", "lag_tail_frames", "lag_step_frames", "drift_ppm", "dc_dbfs", "hum_dbfs",
    "noise_dbfs", "audio_cv_db", "burst_db", "click_db", "crosstalk_db",
    "cv_delay_frames", "cv_lag_frames", "cv_scatter_db", "cv_flat_share", "cv_unplugged_db",
    "cv_inverted", "cv_above_rest_db", "cv_slope_percent", "cv_coupling_hz", "cv_clip_db",
    "settle_db",
}  # fmt: skip


def awkward() -> dict[str, np.ndarray]:
    """Songs that are hard on the checks, 7 s each, shape (frames, 2)."""
    random = np.random.default_rng(5)
    groove = synthesise("groove")[2 * RATE :]  # 7 s
    frames = len(groove)
    time_s = np.arange(frames) / RATE
    steps = np.repeat(10 ** (random.uniform(-20, 0, 40) / 20), 11025)[:frames]
    level = np.convolve(steps, np.hanning(400) / 200, "same")
    sub = np.sin(2 * np.pi * 55 * time_s) * level
    saw = sum(np.sin(2 * np.pi * k * 41.2 * time_s) / k for k in range(1, 12)) * level
    clicks = (np.arange(frames) % 800 < 3) * level
    mono = groove.mean(axis=1)
    silent_middle = groove.copy()
    silent_middle[RATE : 6 * RATE] = 0
    noise = random.standard_normal((frames, 2))
    hats = np.diff(random.standard_normal((frames + 2, 2)), 2, axis=0)
    return {
        "sub bass": np.stack([sub, sub], 1),
        "saw bass": np.stack([saw, 0.7 * saw], 1),
        "pulse train": np.stack([clicks, clicks], 1),
        "long silence": silent_middle,
        "fade out": groove * (np.linspace(1, 0, frames) ** 3)[:, None],
        "left only": groove * [1, 0],
        "right nearly silent": groove * [1, 1e-4],
        "right faint and inverted": np.stack([mono, -1e-3 * mono], 1),
        "mono": np.stack([mono, mono], 1),
        "mono off centre": np.stack([mono, 0.1 * mono], 1),
        "sides only": np.stack([mono, -mono], 1),
        "dense": np.clip(noise, -1, 1),
        "hats": hats * np.exp(-(np.arange(frames) % 11025) / 800)[:, None],
        "one hit": noise * (np.arange(frames) < 3000)[:, None],
    }


AWKWARD = awkward()
NOISY = {
    "noise_dbfs": {"left": -80, "right": -80, "cv": -90, "loopback": -80},
    "hum_dbfs": {"left": -80, "right": -80, "cv": -90, "loopback": -80},
    "crosstalk_db": -60,
}


def alarms(rack: Any, song: np.ndarray, subject: str, peak: float, **rig: Any) -> list[str]:
    """Six takes: each law, at every other setting."""
    found = []
    for number, law in enumerate(LAWS):
        for place in SETTINGS[number::2]:
            take = rack.take(
                rack.profile(law, **rig), rack.setting(*place), rack.sent(song, peak), subject
            )
            checks = rack.checks(take)
            assert set(checks) == CHECKS
            found += [f"{law} {place} {c}" for c in checks.values() if c.verdict == "fail"]
    return found


@pytest.mark.parametrize("name", DEMOS)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_alarm_on_the_demo_songs(rack: Any, name: str, seed: int) -> None:
    assert alarms(rack, synthesise(name), name, -7.0, seed=seed) == []


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("peak", [-7.0, -55.0])
def test_no_alarm_on_awkward_music(rack: Any, name: str, peak: float) -> None:
    assert alarms(rack, AWKWARD[name], name, peak) == []


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("peak", [-30.0])
def test_no_alarm_on_a_noisy_rig(rack: Any, name: str, peak: float) -> None:
    assert alarms(rack, AWKWARD[name], name, peak, **NOISY) == []


def test_no_alarm_on_real_music(
    rack: Any, music: Callable[[int], Sequence[tuple[str, np.ndarray]]]
) -> None:
    songs = music(15)
    if not songs and not os.environ.get("CI"):
        pytest.skip("needs the Debian package singularity-music")
    assert songs, "CI installs the music"
    figures: dict[str, list[float]] = {}
    for number, (name, song) in enumerate(songs):
        for law in LAWS:
            place = SETTINGS[number % len(SETTINGS)]
            take = rack.take(rack.profile(law), rack.setting(*place), rack.sent(song), name)
            checks = rack.checks(take)
            assert [c for c in checks.values() if c.verdict == "fail"] == [], name
            for check in checks.values():
                if check.figure is not None:
                    figures.setdefault(check.name, []).append(check.figure)
    for name, values in figures.items():
        print(f"{name}: {min(values):.4g} to {max(values):.4g} in {len(values)} takes")


# Faults -----------------------------------------------------------------------------------------

FAULTS = {
    "swap": ("swap", {"swap"}),
    "invert": ({"kind": "invert", "channels": ["left", "right"]}, {"polarity"}),
    "invert left": ({"kind": "invert", "channels": ["left"]}, {"polarity"}),
    "invert right": ({"kind": "invert", "channels": ["right"]}, {"polarity"}),
    "dead left": ({"kind": "dead", "channels": ["left"]}, {"level_left_db"}),
    "dead right": ({"kind": "dead", "channels": ["right"]}, {"level_right_db"}),
    "cv unplugged": ("cv_unplugged", {"cv_scatter_db"}),
    "cv inverted": ({"kind": "invert", "channels": ["cv"]}, {"cv_scatter_db"}),
    "cv unplugged, by its name": ("cv_unplugged", {"cv_unplugged_db"}),
    "cv inverted, by its name": ({"kind": "invert", "channels": ["cv"]}, {"cv_inverted"}),
    "cv behind a high-pass": ({"kind": "cv_ac", "corner_hz": 0.1}, {"cv_coupling_hz"}),
    "cv clipped": ({"kind": "cv_clip", "high_v": 0.2}, {"cv_scatter_db"}),
    "hum": ({"kind": "hum", "level_dbfs": -60}, {"hum_dbfs"}),
    "burst": ({"kind": "burst", "level_dbfs": -50, "at_s": 3.0}, {"burst_db"}),
    "clipping": ({"kind": "gain", "gain_db": 40}, {"full_scale_run_frames"}),
    "1 frame lost": ({"kind": "lost_frames", "frames": 1, "at_s": 4.0}, {"lag_tail_frames"}),
    "1 frame doubled": ({"kind": "doubled_frames", "frames": 1, "at_s": 4.0}, {"lag_tail_frames"}),
    "256 frames lost": ({"kind": "lost_frames", "frames": 256, "at_s": 4.0}, {"lag_tail_frames"}),
    "1024 frames doubled": (
        {"kind": "doubled_frames", "frames": 1024, "at_s": 4.0}, {"lag_tail_frames"},
    ),
    "drift": ({"kind": "drift", "ppm": 10}, {"lag_tail_frames"}),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(("song", "law"), [("groove", "log-detector"), ("drums", "circuit")])
def test_a_fault_is_found(rack: Any, name: str, song: str, law: str) -> None:
    fault, found = FAULTS[name]
    sent = rack.sent(synthesise(song))
    for place in SETTINGS[:2]:
        take = rack.take(rack.profile(law, always=[fault]), rack.setting(*place), sent)
        assert found <= rack.failed(take), place


def test_a_cv_above_rest_is_found_however_steady_it_is(rack: Any) -> None:
    """An inverted CV in two seconds of even noise: nothing moves that could be compared."""
    random = np.random.default_rng(3)
    sent = rack.sent(random.standard_normal((2 * RATE, 2)))
    turned = {"kind": "invert", "channels": ["cv"]}
    for place in SETTINGS[:2]:
        good = rack.take(rack.profile(), rack.setting(*place), sent)
        bad = rack.take(rack.profile(always=[turned]), rack.setting(*place), sent)
        assert rack.verdict(good, "cv_above_rest_db") == "pass"
        assert rack.verdict(bad, "cv_above_rest_db") == "warn"  # of a law that was not measured
        assert rack.verdict(bad, "cv_above_rest_db", origin="measured") == "fail"


def recombined(take: Any, **parts: Any) -> Any:
    from dataclasses import replace

    return replace(take, **parts)


def test_a_swap_is_found_in_a_song_on_one_side_only(rack: Any) -> None:
    take = rack.take(rack.profile(always=["swap"]), rack.setting(), rack.sent(AWKWARD["left only"]))
    assert {"swap", "level_left_db"} <= rack.failed(take)


@pytest.mark.parametrize("song", DEMOS)
def test_the_cv_of_another_song_is_found(rack: Any, song: str) -> None:
    take = rack.take(rack.profile(), rack.setting(), rack.sent(synthesise(song)))
    for name in DEMOS:
        if name != song:
            other = rack.take(rack.profile(), rack.setting(), rack.sent(synthesise(name)))
            mixed = take.received.copy()
            mixed[:, 2] = other.received[:, 2]
            assert "cv_scatter_db" in rack.failed(recombined(take, received=mixed))


@pytest.mark.parametrize("song", DEMOS)
def test_the_cv_of_another_setting_is_found(rack: Any, song: str) -> None:
    """Every pair of settings whose gains differ by 1 dB rms or more."""
    sent = rack.sent(synthesise(song))
    takes = [rack.take(rack.profile(), rack.setting(*place), sent) for place in SETTINGS]
    tried = 0
    for take in takes:
        for other in takes:
            if np.std(take.truth.gain_db - other.truth.gain_db) < 1.0:
                continue
            mixed = take.received.copy()
            mixed[:, 2] = other.received[:, 2]
            assert "cv_scatter_db" in rack.failed(recombined(take, received=mixed))
            tried += 1
    assert tried >= 4


def test_an_unplugged_cv_is_found_where_most_of_the_song_is_not_compressed(rack: Any) -> None:
    """One loud passage in a quiet song: in three blocks of four the gain is 0 anyway."""
    song = synthesise("groove")
    song[: 6 * RATE] *= 0.05
    take = rack.take(rack.profile(always=["cv_unplugged"]), rack.setting(), rack.sent(song))
    quiet = np.mean(take.truth.gain_db > -0.1)
    assert quiet > 0.5
    assert "cv_scatter_db" in rack.failed(take)


def test_a_late_cv_is_found(rack: Any, groove: np.ndarray) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    late = take.received.copy()
    late[:, 2] = np.roll(late[:, 2], 2000)
    assert "cv_scatter_db" in rack.failed(recombined(take, received=late))


def test_another_song_is_found(rack: Any, groove: np.ndarray) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    other = rack.take(rack.profile(), rack.setting(), rack.sent(synthesise("drums")))
    assert rack.failed(recombined(take, received=other.received))


@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_stuck_input_is_found_at_its_limit(rack: Any, groove: np.ndarray, column: int) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    limit = CheckLimits().stuck_run_frames
    for repeats, found in ((limit - 1, False), (limit, True)):
        stuck = take.received.copy()
        stuck[65000 : 65001 + repeats, column] = stuck[65000, column] & ~0xFF | 0x100
        assert ("stuck_run_frames" in rack.failed(recombined(take, received=stuck))) is found


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("code", [2**31 - 2**8, -(2**31), -(2**31 - 2**8)])
@pytest.mark.parametrize("at", [30_000, 65_534, 65_535])
def test_a_run_at_full_scale_is_found_at_its_limit(
    rack: Any, groove: np.ndarray, column: int, code: int, at: int
) -> None:
    """Converters that clip at plus and minus the same code are found too; block edges are none."""
    take = rack.take(rack.profile(), rack.setting(), groove[:100_000])
    limit = CheckLimits().full_scale_run_frames
    for run, found in ((limit - 1, False), (limit, True)):
        clipped = take.received.copy()
        clipped[at : at + run, column] = code
        failed = rack.failed(recombined(take, received=clipped))
        assert ("full_scale_run_frames" in failed) is found


@pytest.mark.parametrize("missing", [-1, 1, 4096])
def test_a_wrong_length_is_found(rack: Any, groove: np.ndarray, missing: int) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    checks = rack.checks(take, planned=len(groove) + missing)
    assert checks["frames"].verdict == "fail"
    assert checks["frames"].figure == -missing


@pytest.mark.parametrize("lag", [-300, -2, -1, 1, 2, 300, 4000])
def test_a_wrong_cut_is_found_with_its_size(rack: Any, groove: np.ndarray, lag: int) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    checks = rack.checks(recombined(take, received=np.roll(take.received, lag, axis=0)))
    for name in ("lag_head_frames", "lag_tail_frames"):
        assert checks[name].verdict == "fail"
        assert checks[name].figure == pytest.approx(lag, abs=0.2)


# What cannot be seen is said to be unverified -----------------------------------------------------


def verdicts(rack: Any, song: np.ndarray, *place: Any) -> dict[str, str]:
    take = rack.take(rack.profile(), rack.setting(*place), song)
    return {name: check.verdict for name, check in rack.checks(take).items()}


def test_a_silent_channel_has_no_level(rack: Any) -> None:
    found = verdicts(rack, rack.sent(AWKWARD["left only"]))
    assert found["level_left_db"] == "pass"
    assert found["level_right_db"] == "unverified"
    assert found["swap"] == "pass"


def test_a_mono_song_shows_no_swap(rack: Any) -> None:
    found = verdicts(rack, rack.sent(AWKWARD["mono"]))
    assert found["swap"] == "unverified"
    assert found["polarity"] == "pass"


@pytest.mark.parametrize("frames", [1, 2, 2047, 2048, 16383, 16384, 65536, 65537])
def test_a_short_song(rack: Any, groove: np.ndarray, frames: int) -> None:
    part = groove[100_000 : 100_000 + frames]
    found = verdicts(rack, part)
    assert "fail" not in found.values()
    assert set(found) == CHECKS
    if frames < 16384:
        assert found["lag_head_frames"] == found["lag_tail_frames"] == "unverified"
        assert found["cv_scatter_db"] == "unverified"


def test_an_almost_silent_song(rack: Any, groove: np.ndarray) -> None:
    found = verdicts(rack, rack.codes(groove / 2.0**31 * 1e-4))
    assert "fail" not in found.values()
    assert found["level_left_db"] == found["cv_scatter_db"] == "unverified"


def test_silence_is_unverified(rack: Any) -> None:
    found = verdicts(rack, np.zeros((RATE, 2), np.int32))
    assert "fail" not in found.values()
    assert found["polarity"] == found["swap"] == "unverified"


def test_without_reduction_the_cv_shows_nothing(rack: Any, groove: np.ndarray) -> None:
    assert verdicts(rack, groove, 12)["cv_scatter_db"] == "unverified"


def test_steady_reduction_shows_nothing_of_the_cv(rack: Any) -> None:
    assert verdicts(rack, rack.sent(AWKWARD["dense"]))["cv_scatter_db"] == "unverified"


def test_no_frame_at_all(rack: Any) -> None:
    meter = TakeMeter(RATE, GainLaw(-50.0, 0.0, "expected"))
    (only,) = meter.verdicts(1000, (0.0, 0.0), CheckLimits())
    assert (only.name, only.figure, only.verdict) == ("frames", -1000, "fail")
    assert meter.levels().peak_left_dbfs is None


# Blocks and memory --------------------------------------------------------------------------------

SHORT = slice(60_000, 130_000)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 69_999), max_size=10, unique=True))
def test_blocks_do_not_matter(rack: Any, groove: Any, cuts: list[int]) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove[SHORT])
    take.received[20_000:20_070, 0] = 5 << 8
    take.received[40_000:40_005, 1] = 2**31 - 2**8
    whole, cut = rack.meter(take), rack.meter(take, sorted(cuts))
    expected = {c.name: c for c in whole.verdicts(70_000, take.fractions, CheckLimits())}
    for check in cut.verdicts(70_000, take.fractions, CheckLimits()):
        assert check == expected[check.name]
    assert expected["stuck_run_frames"].figure >= 69
    assert expected["full_scale_run_frames"].figure == 5
    for name in TakeMeter(RATE, GainLaw(-50.0, 0.0, "expected")).levels().__slots__:
        assert getattr(cut.levels(), name) == getattr(whole.levels(), name)


def test_levels_are_those_of_the_samples(rack: Any, groove: np.ndarray) -> None:
    take = rack.take(rack.profile(), rack.setting(), groove)
    levels = rack.meter(take).levels()
    signal = take.received / 2.0**31
    assert levels.peak_left_dbfs == pytest.approx(20 * np.log10(np.abs(signal[:, 0]).max()))
    rms = np.sqrt(np.mean(signal**2, axis=0))
    assert levels.rms_right_dbfs == pytest.approx(20 * np.log10(rms[1]))
    assert levels.cv_min_fs == pytest.approx(signal[:, 2].min(), rel=1e-6)
    assert levels.cv_max_fs == pytest.approx(signal[:, 2].max(), rel=1e-6)
    assert levels.cv_mean_fs == pytest.approx(signal[:, 2].mean())


def test_memory_is_forty_megabytes_an_hour(rack: Any) -> None:
    """What a meter holds after 4 minutes beyond what it holds after one."""
    random = np.random.default_rng(0)
    block = random.integers(-(2**20), 2**20, (65536, 3)).astype(np.int32) << 8
    held = []
    for minutes in (1, 4):
        tracemalloc.start()
        meter = TakeMeter(RATE, GainLaw(-50.0, 0.0, "expected"))
        for _ in range(minutes * 60 * RATE // 65536):
            meter.add(block[:, :2], block[:, :2], block[:, 2])
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert (held[1] - held[0]) * 20 < 40e6
