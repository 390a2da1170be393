"""Records made up from their own types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from capture.model import AUTO, CheckResult, GainLaw, SongRecord, Value
from capture.records import CalibrationRecord, ChannelDelay, LawRecord, SessionRecord, TakeRecord

numbers = st.floats(allow_nan=False, allow_infinity=False)
st.register_type_strategy(float, numbers)
st.register_type_strategy(int, st.integers(-(2**53), 2**53))
st.register_type_strategy(str, st.text(st.characters(codec="utf-8"), max_size=20))
VALUES: st.SearchStrategy[Value] = st.one_of(numbers, st.just(AUTO))
SETTINGS = st.dictionaries(st.sampled_from(["threshold_db", "ratio", "release_s"]), VALUES)


def record(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any record of a kind, built from the annotations of its dataclass."""
    if kind is TakeRecord:
        return st.builds(TakeRecord, setting=SETTINGS, knobs_read=st.none() | SETTINGS)
    return st.builds(kind)


@pytest.fixture(scope="session")
def records() -> Any:
    return record


def take(number: int = 0, **changes: Any) -> TakeRecord:
    values: dict[str, Any] = {
        "take_id": f"{number:020x}",
        "status": "captured",
        "song_id": f"song-{number % 175:08x}",
        "setting_id": f"attack0p1_ratio4_release{'auto' if number % 2 else '0p1'}_{number // 175}",
        "setting": {"threshold_db": -28.0, "release_s": AUTO if number % 2 else 0.1, "ratio": 4.0},
        "repeat": 1,
        "session_id": "s",
        "calibration_id": "c",
        "split": "train",
        "setting_split": "seen",
        "knobs_confirmed": "acknowledged",
        "knobs_read": None,
        "output_file": f"data/takes/s/{number}.out.flac",
        "cv_file": f"data/takes/s/{number}.cv.flac",
        "output_sha256": f"{number:064x}",
        "cv_sha256": f"{number:064x}",
        "output_bytes": 1,
        "cv_bytes": 1,
        "sample_rate_hz": 44100,
        "num_frames": 441000,
        "latency_frames": 987,
        "delay_left_frames": 0.31,
        "delay_right_frames": 0.37,
        "cv_volts_per_fs": 2.5,
        "law": GainLaw(-50.0, 0.0, "expected"),
        "send_gain_db": 5.0,
        "return_gain_db": -5.0,
        "captured_at": "2026-11-22T00:00:00+00:00",
        "attempts": 1,
        "peak_left_dbfs": -7.25,
        "peak_right_dbfs": None,
        "rms_left_dbfs": -20.1,
        "rms_right_dbfs": None,
        "cv_min_v": 0.0,
        "cv_max_v": 0.1 + 0.2,
        "cv_mean_v": 1e-17,
        "checks": (
            CheckResult("frames", 0.0, 0.0, "pass"),
            CheckResult("cv_scatter_db", None, 0.5, "unverified"),
        ),
    }
    return TakeRecord(**(values | changes))


def song(number: int = 0) -> SongRecord:
    name = f"song-{number:08x}"
    return SongRecord(
        name, "Söng, \"one\"\nof two", "songs/x.wav", "a" * 64, 1, 2, "WAV/PCM_24", 48000, 1, 3,
        f"data/inputs/{name}.flac", "b" * 64, 4, 44100, 5, -1.5, -12.0, -30.0, None, "x",
    )  # fmt: skip


def calibration() -> CalibrationRecord:
    delay = ChannelDelay(987.31, 1e-4, False, 300.0, 300.0, 16000.0)
    return CalibrationRecord(
        "cal-1", "2026-11-22T00:00:00+00:00", 44100, 987, {"left": delay, "right": delay},
        GainLaw(-50.0, 0.0, "expected"), {"probe.flac": "c" * 64}, "delay-1",
    )  # fmt: skip


def law(**changes: Any) -> LawRecord:
    values: dict[str, Any] = {
        "law_id": "law-1", "measured_at": "2026-11-22T00:00:00+00:00", "sample_rate_hz": 44100,
        "setting": {"ratio": 10.0, "release_s": AUTO}, "law": GainLaw(-50.3, 0.06, "measured"),
        "volts_per_fs": 2.5, "slope_uncertainty_db_per_fs": 1e-3, "at_zero_uncertainty_db": 1e-4,
        "accuracy_db": 0.002, "residual_db": 0.001, "r2": 0.999999, "steps": 12,
        "left_out": ("-3 dBFS: clipped",), "deepest_gain_db": -21.5, "rest_v": 0.003,
        "rest_uncertainty_v": 1e-6, "static_left_db": -4.97, "static_right_db": -5.02,
        "tracking_db": 0.0, "tracking_uncertainty_db": 1e-3, "slope_ratio": 0.994,
        "cv_delay_frames": 0.53, "cv_delay_uncertainty_frames": 0.02, "corner_hz": None,
        "corner_uncertainty_hz": None, "offset_fs": None, "temperature_c": None,
        "previous_id": None, "drift_db": None, "files": {"record.json": "d" * 64},
        "algorithm_version": "gain-law-1",
    }  # fmt: skip
    return LawRecord(**(values | changes))


def session() -> SessionRecord:
    return SessionRecord("s", "2026-11-22T00:00:00+00:00", None, None, None, "p", "r", "0")


@pytest.fixture(scope="session")
def made() -> Any:
    """One plain record of each kind: ``made.take(number, **changes)`` and so on."""
    from types import SimpleNamespace

    return SimpleNamespace(take=take, song=song, calibration=calibration, law=law, session=session)
