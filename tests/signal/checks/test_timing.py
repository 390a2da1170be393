"""Drift, and frames lost within a take, as the meter sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from capture.model import CheckLimits


def take(rack: Any, groove: np.ndarray, *faults: dict[str, Any]) -> dict[str, Any]:
    profile = rack.profile(always=list(faults))
    recorded = rack.take(profile, rack.setting(), groove)
    return rack.checks(recorded, limits=CheckLimits())


def test_a_clean_take_stands_still(rack: Any, groove: np.ndarray) -> None:
    checks = take(rack, groove)
    assert checks["lag_step_frames"].verdict == checks["drift_ppm"].verdict == "pass"
    assert abs(checks["drift_ppm"].figure) < 0.5


@pytest.mark.parametrize("ppm", [5.0, -20.0])
def test_drift_is_found_and_measured(rack: Any, groove: np.ndarray, ppm: float) -> None:
    check = take(rack, groove, {"kind": "drift", "ppm": ppm})["drift_ppm"]
    assert check.verdict == "fail"
    assert check.figure == pytest.approx(ppm, abs=0.5)


@pytest.mark.parametrize(
    ("kind", "frames", "step"), [("lost_frames", 1, -1), ("doubled_frames", 3, 3)]
)
def test_a_step_is_found_and_measured(
    rack: Any, groove: np.ndarray, kind: str, frames: int, step: int
) -> None:
    check = take(rack, groove, {"kind": kind, "frames": frames, "at_s": 5.0})["lag_step_frames"]
    assert check.verdict == "fail"
    assert check.figure == pytest.approx(step, abs=0.1)
