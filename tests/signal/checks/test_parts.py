"""The parts of the take checks, each on signals that it can be worked out for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capture.model import CheckLimits, CheckResult, GainLaw
from capture.signal.checks import TakeMeter, judge
from capture.signal.checks.path import TAPS, PathFit, banded, shifted
from capture.signal.checks.samples import Samples

RATE = 44100
SLOPE = -50.0
LAW = GainLaw(SLOPE, 0.0, "measured")
LIMITS = CheckLimits()


def codes(signal: np.ndarray) -> np.ndarray:
    return np.rint(signal * 2**23).astype(np.int32) << 8


def model(seconds: float, **wrong: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Song, output and CV of a gain that moves 12 dB, full scale 1; noise of -100 dBFS.

    ``slope``: the gain moves so many times what the law says. ``delay``: of the CV, whole frames.
    """
    random = np.random.default_rng(3)
    frames = round(seconds * RATE)
    song = random.standard_normal((frames, 2)) * 0.03
    time_s = np.arange(frames) / RATE
    gain_db = -6 + 4 * np.sin(2 * np.pi * 1.3 * time_s) + 2 * np.sin(2 * np.pi * 40 * time_s)
    output = song * 10 ** (gain_db * wrong.get("slope", 1.0) / 20)[:, None] * [0.5, 0.52]
    output += random.standard_normal((frames, 2)) * 1e-5
    cv = np.roll(gain_db / SLOPE, wrong.get("delay", 0)) + random.standard_normal(frames) * 1e-6
    return song, output, cv


def figures(
    song: np.ndarray, output: np.ndarray, cv: np.ndarray, law: GainLaw = LAW, **known: float
) -> dict[str, CheckResult]:
    meter = TakeMeter(RATE, law)
    meter.add(codes(song), codes(output), codes(cv))
    found = meter.verdicts(len(song), (0.0, 0.0), LIMITS, **known)
    return {check.name: check for check in found}


def test_a_model_compressor_passes() -> None:
    found = figures(*model(8, delay=3), cv_delay_frames=3.0)
    alarms = {c.name for c in found.values() if c.verdict in ("fail", "warn")}
    assert alarms == {"settle_db"}  # it begins in the middle of a swing
    assert found["audio_cv_db"].figure < -60


def test_the_path_is_found() -> None:
    song, output, cv = (part[99:].T.astype(np.float32) for part in model(2, delay=3))
    fit = PathFit(SLOPE)
    block = fit.follow(song, banded(output), cv)
    assert block.delay_frames == pytest.approx(3, abs=0.05)
    for cycles in (0.05, 0.15, 0.3):  # of the half rate
        turns = np.exp(-2j * np.pi * cycles * (np.arange(TAPS) - TAPS // 2))
        assert fit.taps @ turns == pytest.approx([0.5, 0.52], abs=0.002)


@pytest.mark.parametrize("late", [-16, -1, 1, 16])
def test_a_cv_that_is_late_or_early_is_found(late: int) -> None:
    check = figures(*model(4, delay=late + 2), cv_delay_frames=2.0)["cv_delay_frames"]
    assert (check.verdict, check.figure) == ("fail", pytest.approx(late, abs=0.05))


def test_the_delay_of_the_cv_is_not_judged_where_it_was_not_calibrated() -> None:
    assert figures(*model(4))["cv_delay_frames"].verdict == "unverified"


def test_the_end_of_a_take_tells_no_other_delay() -> None:
    """Its last frames fill no grain; a CV that jumped to 0 behind them would be an event."""
    song, output, cv = model(4)
    for frames in (150_000, 151_000):
        found = figures(song[:frames], output[:frames], cv[:frames], cv_delay_frames=0.0)
        assert found["cv_lag_frames"].figure < 0.05


@pytest.mark.parametrize("percent", [-3.0, -1.2, 0.5, 1.2, 3.0])
def test_the_slope_is_measured(percent: float) -> None:
    take = model(8, slope=1 + percent / 100)
    slope = figures(*take)["cv_slope_percent"]
    assert slope.figure == pytest.approx(percent, abs=0.05)
    assert slope.verdict == ("fail" if abs(percent) > 1 else "pass")
    unmeasured = figures(*take, law=GainLaw(SLOPE, 0.0, "expected"))["cv_slope_percent"]
    assert unmeasured.verdict == ("warn" if abs(percent) > 1 else "pass")


def test_hum_and_offset_are_measured_beside_the_song() -> None:
    song, output, cv = model(12)
    time_s = np.arange(len(song)) / RATE
    output[:, 1] += 1e-3 * np.sin(2 * np.pi * 60 * time_s) + 0.001
    found = figures(song, output, cv)
    assert found["hum_dbfs"].figure == pytest.approx(-63, abs=0.5)
    assert found["dc_dbfs"].figure == pytest.approx(-60, abs=0.5)


def test_the_noise_is_that_of_the_silent_song() -> None:
    song, output, cv = model(8)
    song[:RATE] = 0
    output[:RATE] = np.random.default_rng(1).standard_normal((RATE, 2)) * 1e-4
    assert figures(song, output, cv)["noise_dbfs"].figure == pytest.approx(-80, abs=0.3)
    assert figures(*model(4))["noise_dbfs"].verdict == "unverified"


def test_crosstalk_is_measured() -> None:
    song, output, cv = model(8)
    output[:, 0] += 0.01 * output[:, 1]
    assert figures(song, output, cv)["crosstalk_db"].figure == pytest.approx(-40, abs=1)


def test_one_loud_beat_that_is_bent_is_no_crosstalk() -> None:
    """Alike on both channels and 60 dB above the rest of the song: most of what is left is its."""
    song, output, cv = model(8)
    song, output = song * 0.03, output * 0.03
    beat = 0.5 * np.hanning(22)[1:-1]
    song[RATE : RATE + 20] += beat[:, None]
    output[RATE : RATE + 20] += 0.25 * (beat + 0.05 * beat**2)[:, None]
    found = figures(song, output, cv)["crosstalk_db"]
    assert found.verdict == "unverified"


def test_the_cv_before_the_song_is_held_against_its_rest() -> None:
    take = model(8)
    check = figures(*take, rest_cv_fs=0.001, before_cv_fs=0.005)["settle_db"]
    assert (check.verdict, check.figure) == ("fail", pytest.approx(0.2))
    assert figures(*take, rest_cv_fs=0.001, before_cv_fs=0.002)["settle_db"].verdict == "pass"
    song, output, cv = take
    cv[:20] = 18 / 50
    assert figures(song, output, cv)["settle_db"].verdict == "fail"


def test_a_repeat_that_was_sent_is_no_repeat() -> None:
    """A song may repeat itself to the bit, and so may a converter without noise."""
    random = np.random.default_rng(0)
    beat = random.integers(-(2**22), 2**22, (5, 5000)).astype(np.int32) << 8
    again = np.concatenate([beat, beat], axis=1)
    for sent_too, expected in ((True, 0), (False, 5000)):
        samples = Samples()
        block = again.copy()
        if not sent_too:
            block[:2, 5000:] = block[:2, 5000:][:, ::-1]
        samples.add(block)
        found = {c.name: c.figure for c in samples.verdicts(LIMITS)}
        assert found["repeated_run_frames"] == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("frames", [-20.25, -3.0, 0.0, 0.4, 15.0, 18.7])
def test_shifting(frames: float) -> None:
    time = np.arange(4000.0)
    moved = shifted(np.sin(0.05 * time).astype(np.float32), frames)
    expected = np.sin(0.05 * (time + frames))
    assert np.abs(moved - expected)[100:-100].max() < 1e-3


def test_verdicts() -> None:
    assert judge.above("a", 3.0, 2.0, 1.0).verdict == "fail"
    assert judge.above("a", 1.5, 2.0, 1.0) == CheckResult("a", 1.5, 1.0, "warn")
    assert judge.above("a", 0.5, 2.0, 1.0) == CheckResult("a", 0.5, 2.0, "pass")
    assert judge.above("a", None, 2.0).verdict == "unverified"
    assert judge.below("a", 0.5, 1.0).verdict == "fail"
    assert judge.below("a", 1.5, 1.0, 2.0).verdict == "warn"
    assert judge.run("a", 3, 3).verdict == "fail"
