"""The returns against the song in time: ``signal.drift`` has the theory.

* lag_step_frames  the largest jump of the lag within the take: frames lost (negative) or doubled,
                   those that are made up for later too. Unverified where the music could not have
                   shown a step of one frame in half of the take.
* drift_ppm        the drift of the returns' clock against the sends', from the whole take; positive
                   is later and later. Unverified where the music is too poor, or the lag jumps.
"""

from __future__ import annotations

from capture.errors import MeasurementFailed
from capture.model import CheckLimits, CheckResult
from capture.signal import drift
from capture.signal.checks import judge
from capture.signal.drift import LagTrack

LEAST_PROVEN = 0.5


def verdicts(track: LagTrack, limits: CheckLimits) -> tuple[CheckResult, CheckResult]:
    return _step(track, limits.lag_step_frames), _drift(track, limits.drift_ppm)


def _step(track: LagTrack, limit: float) -> CheckResult:
    name = "lag_step_frames"
    if found := drift.steps(track, limit):
        return CheckResult(name, max((s.frames for s in found), key=abs), limit, "fail")
    if drift.proven_share(track) < LEAST_PROVEN:
        return CheckResult(name, None, limit, "unverified")
    small = (step.frames for step in drift.steps(track, 0.0))
    return CheckResult(name, max(small, key=abs, default=0.0), limit, "pass")


def _drift(track: LagTrack, limit: float) -> CheckResult:
    try:
        found = drift.from_track(track)
    except MeasurementFailed:
        return judge.off("drift_ppm", None, limit)
    return judge.off("drift_ppm", found.ppm, limit)
