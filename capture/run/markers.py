"""What the markers around a take say: is it as late at its end as at its beginning?

The figure of each is that of the channel, left or right, that is further off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from capture.dataset.audio import FlacWriter
from capture.errors import MeasurementFailed
from capture.hardware.ports import Samples
from capture.model import CheckLimits, CheckResult
from capture.records import CalibrationRecord
from capture.signal import drift, marker
from capture.signal.delay import Delay
from capture.signal.levels import FULL_SCALE

MARKED = ("left", "right")


@dataclass(frozen=True, slots=True)
class Around:
    """What came back around the song, all inputs: what the markers file holds.

    ``before``, ``after``: of the marker before the song and of the one after it, each
    (SEARCH_FRAMES + marker + SEARCH_FRAMES, inputs), or less where the stream ended early; as they
    were sent the second is ``between_frames`` later. ``pause``: the gap between the first marker
    and the song. It is None in files from before it was kept.
    """

    before: Samples
    pause: Samples | None
    after: Samples
    between_frames: int

    @staticmethod
    def of(samples: Samples, sample_rate_hz: int, frames: int) -> Around | None:
        """The content of a take's markers file; None where it has another length."""
        count, gap = len(marker.marker(sample_rate_hz)), marker.gap_frames(sample_rate_hz)
        edge = count + 2 * marker.SEARCH_FRAMES
        between = count + gap + frames + gap
        first = samples[:edge], samples[edge - marker.SEARCH_FRAMES :][:gap], samples[-edge:]
        if len(samples) == 2 * edge:
            return Around(first[0], None, first[2], between)
        if len(samples) != 2 * edge + gap - marker.SEARCH_FRAMES:
            return None
        return Around(*first, between)

    def write(self, path: Path, sample_rate_hz: int) -> None:
        assert self.pause is not None
        with FlacWriter(path, sample_rate_hz, self.before.shape[1]) as writer:
            writer.write(
                np.concatenate([self.before, self.pause[marker.SEARCH_FRAMES :], self.after])
            )


def verdicts(
    inputs: Sequence[str],
    around: Around,
    calibration: CalibrationRecord,
    limits: CheckLimits,
) -> tuple[CheckResult, ...]:
    """Place at either end, polarity, drift. A marker that is not found fails.

    ``inputs`` names the columns of what is ``around`` the song.
    """
    before, after = (
        _found(calibration.sample_rate_hz, inputs, samples)
        for samples in (around.before, around.after)
    )
    return (
        _place("marker_head_frames", before, calibration, limits.marker_frames),
        _place("marker_tail_frames", after, calibration, limits.marker_frames),
        _polarity([*before, *after], calibration),
        _drift(before, after, around.between_frames, limits.drift_ppm),
    )


def _found(sample_rate_hz: int, inputs: Sequence[str], received: Samples) -> list[Delay]:
    """One for each channel; empty where any is not found."""
    sent = marker.marker(sample_rate_hz)
    if len(received) < len(sent) + 2 * marker.SEARCH_FRAMES:
        return []
    try:
        return [
            marker.from_marker(
                sent[:, side],
                received[:, inputs.index(channel)] / FULL_SCALE,
                sample_rate_hz,
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
        one.frames - calibration.left_over(channel)
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
