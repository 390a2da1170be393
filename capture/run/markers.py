"""What the markers around a take say: is it as late at its end as at its beginning?

The figure of each is that of the channel, left or right, that is further off.
"""

from __future__ import annotations

from capture.errors import MeasurementFailed
from capture.hardware.ports import Audio, Samples
from capture.model import CheckLimits, CheckResult
from capture.records import CalibrationRecord
from capture.signal import drift, marker
from capture.signal.delay import Delay
from capture.signal.levels import FULL_SCALE

MARKED = ("left", "right")


def verdicts(
    audio: Audio,
    received: tuple[Samples, Samples],
    between_frames: int,
    calibration: CalibrationRecord,
    limits: CheckLimits,
) -> tuple[CheckResult, ...]:
    """Place at either end, polarity, drift. A marker that is not found fails.

    ``received``: what came back of the marker before and of the one after, ``between_frames``
    later, each (SEARCH_FRAMES + marker + SEARCH_FRAMES, inputs), or less.
    """
    before, after = (_found(audio, samples) for samples in received)
    return (
        _place("marker_head_frames", before, calibration, limits.marker_frames),
        _place("marker_tail_frames", after, calibration, limits.marker_frames),
        _polarity([*before, *after], calibration),
        _drift(before, after, between_frames, limits.drift_ppm),
    )


def _found(audio: Audio, received: Samples) -> list[Delay]:
    """One for each channel; empty where any is not found."""
    sent = marker.marker(audio.sample_rate_hz)
    if len(received) < len(sent) + 2 * marker.SEARCH_FRAMES:
        return []
    try:
        return [
            marker.from_marker(
                sent[:, side],
                received[:, audio.inputs.index(channel)] / FULL_SCALE,
                audio.sample_rate_hz,
            )
            for side, channel in enumerate(MARKED)
        ]
    except MeasurementFailed:
        return []


def _place(
    name: str, found: list[Delay], calibration: CalibrationRecord, limit: float
) -> CheckResult:
    """How far the marker is from where the calibration puts it."""
    if not found:
        return CheckResult(name, None, limit, "fail")
    off = (
        one.frames - (calibration.delays[channel].delay_frames - calibration.latency_frames)
        for one, channel in zip(found, MARKED, strict=True)
    )
    worst = max(off, key=abs)
    return CheckResult(name, worst, limit, "fail" if abs(worst) > limit else "pass")


def _polarity(found: list[Delay], calibration: CalibrationRecord) -> CheckResult:
    """How many of the markers came back the other way round than the latency's probe did."""
    name = "marker_inverted"
    if not found:
        return CheckResult(name, None, 0, "unverified")
    turned = sum(
        one.inverted != calibration.delays[MARKED[index % len(MARKED)]].inverted
        for index, one in enumerate(found)
    )
    return CheckResult(name, turned, 0, "fail" if turned else "pass")


def _drift(
    before: list[Delay], after: list[Delay], between_frames: int, limit: float
) -> CheckResult:
    name = "marker_drift_ppm"
    if not before or not after:
        return CheckResult(name, None, limit, "unverified")
    found = [
        drift.from_markers(first, last, between_frames)
        for first, last in zip(before, after, strict=True)
    ]
    worst = max(found, key=lambda one: abs(one.ppm))
    if worst.uncertainty_ppm > drift.SURE_PPM:
        return CheckResult(name, None, limit, "unverified")
    return CheckResult(name, worst.ppm, limit, "fail" if abs(worst.ppm) > limit else "pass")
