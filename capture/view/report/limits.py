"""Which limits of the plan's ``checks`` belong to which take check (docs/measurements.md)."""

from __future__ import annotations

from dataclasses import asdict

from capture.model import CheckLimits
from capture.view.report.plots import Limit

FIXED = {
    "stream_flags": 0.0,
    "marker_inverted": 0.0,
    "frames": 0.0,
    "polarity": -0.3,
    "swap": 0.01,
    "cv_inverted": 0.0,
    "knobs_log10": 3.0,
}
WARNS_ONLY = {"knobs_left": 3.0}
NAMED = {
    "marker_head_frames": "marker_frames",
    "marker_tail_frames": "marker_frames",
    "marker_drift_ppm": "drift_ppm",
    "level_left_db": "dead_below_db",
    "level_right_db": "dead_below_db",
    "lag_head_frames": "lag_frames",
    "lag_tail_frames": "lag_frames",
}
"""Where a check's limit has another name than the check."""
BOTH_SIDES = (
    "marker_head_frames", "marker_tail_frames", "marker_drift_ppm", "lag_head_frames",
    "lag_tail_frames", "lag_step_frames", "drift_ppm", "cv_delay_frames", "cv_slope_percent",
)  # fmt: skip
"""Checks whose figure may be off either way."""


def limits_of(check: str, limits: CheckLimits | None) -> list[Limit]:
    """What the figure must not pass, and what warns; none where nothing is known."""
    if check in FIXED:
        return [Limit("fails", FIXED[check])]
    if check in WARNS_ONLY:
        return [Limit("warns", WARNS_ONLY[check], warn=True)]
    if limits is None:
        return []
    values = asdict(limits)
    name = NAMED.get(check, check)
    stem, _, unit = name.rpartition("_")
    found: list[Limit] = []
    if name in values:
        found.append(Limit("fails", float(values[name])))
    for warning in (f"{stem}_warn_{unit}", f"{name}_warn"):
        if warning in values:
            found.append(Limit("warns", float(values[warning]), warn=True))
    if check in BOTH_SIDES:
        found += [Limit("_", -limit.value, limit.warn) for limit in found]
    return found
