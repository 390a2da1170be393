"""One attempt at one take, in a thread of its own: recorded, metered, judged. Nothing is committed.

The checks of the stream come first: was every frame of it carried, once, in order? A take that
fails one of them says nothing about the rig; the stream is measured anew before it is recorded
again (``STREAM``). The others judge what was recorded (``signal.checks``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from capture.dataset import files
from capture.errors import MeasurementFailed
from capture.hardware.ports import Audio, Interval, Label, Samples
from capture.model import CheckLimits, CheckResult, Take
from capture.records import CalibrationRecord, LawRecord
from capture.run.control_voltage import ControlVoltage
from capture.run.recorder import Parts, Recorded, Route, record
from capture.signal import marker
from capture.signal.checks import Peaks, TakeMeter
from capture.signal.levels import FULL_SCALE

STREAM = ("stream_flags", "clock_frames", "marker_head_frames", "marker_tail_frames", "pilot_db")
MARKED = ("left", "right")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded take, and what was found out about it. Its files have their temporary names."""

    parts: Parts
    meter: TakeMeter
    interval: Interval
    checks: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.verdict == "fail")

    @property
    def stream_failed(self) -> bool:
        return any(check.name in STREAM for check in self.failed)


def attempt(
    audio: Audio,
    route: Route,
    take: Take,
    number: int,
    parts: Parts,
    calibration: CalibrationRecord,
    law: LawRecord | None,
    limits: CheckLimits,
    handed_over: Callable[[], None],
    progress: Callable[[int, Peaks], None],
) -> Attempt:
    """Records ``take``. Raises DeviceLost, StorageRefused, DamagedData, and what ``progress`` does.

    Where it raises, no file is left.
    """
    meter = TakeMeter(audio.sample_rate_hz, calibration.law)
    control = ControlVoltage(law, audio.sample_rate_hz)
    label = Label("take", take.take_id, number)
    with files.writing(parts.output):
        try:
            for part in (parts.output, parts.cv, parts.markers):
                files.make_folder(part.parent)
            found = record(audio, route, label, parts, meter, control, handed_over, progress)
        except BaseException:
            discard(parts)
            raise
    left = {n: calibration.delays[n].delay_frames - calibration.latency_frames for n in MARKED}
    checks = (
        *_stream(audio, found, left, limits),
        *meter.verdicts(
            take.frames,
            [left[name] for name in MARKED],
            limits,
            control.rest_fs,
            found.cv_before_fs,
        ),
    )
    return Attempt(parts, meter, found.interval, checks)


def discard(parts: Parts) -> None:
    """Removes the files of an attempt that is not kept."""
    for part in (parts.output, parts.cv, parts.markers):
        part.unlink(missing_ok=True)


def _stream(
    audio: Audio, found: Recorded, left: dict[str, float], limits: CheckLimits
) -> tuple[CheckResult, ...]:
    interval = found.interval
    flags = CheckResult(
        "stream_flags", len(interval.flags), 0, "fail" if interval.flags else "pass"
    )
    before, after = (
        _marker(name, audio, samples, left, limits.marker_frames)
        for name, samples in zip(STREAM[2:4], found.markers, strict=True)
    )
    return flags, _clock(interval), before, after, _pilot(found, limits.pilot_db)


def _clock(interval: Interval) -> CheckResult:
    """By how much the stream's clock jumped ahead of the frame counter: half a block at most."""
    limit = interval.clock_limit_frames
    figure = interval.clock_frames
    if figure is None:
        return CheckResult("clock_frames", None, limit, "unverified")
    return CheckResult("clock_frames", figure, limit, "fail" if figure > limit else "pass")


def _marker(
    name: str, audio: Audio, received: Samples, left: dict[str, float], limit: float
) -> CheckResult:
    """How far the marker is from where the calibration puts it; the channel that is further off."""
    sent = marker.marker(audio.sample_rate_hz)
    off: list[float] = []
    for side, channel in enumerate(MARKED):
        column = received[:, audio.inputs.index(channel)] / FULL_SCALE
        if len(column) < len(sent) + 2 * marker.SEARCH_FRAMES:
            return CheckResult(name, None, limit, "fail")
        try:
            lag = marker.from_marker(sent[:, side], column, audio.sample_rate_hz)
        except MeasurementFailed:
            return CheckResult(name, None, limit, "fail")
        off.append(lag.frames - left[channel])
    worst = max(off, key=abs)
    return CheckResult(name, worst, limit, "fail" if abs(worst) > limit else "pass")


def _pilot(found: Recorded, limit: float) -> CheckResult:
    """The worst block of the loopback; a rig without one has nothing to show."""
    if found.pilot is None:
        return CheckResult("pilot_db", None, limit, "unverified")
    if isinstance(found.pilot, MeasurementFailed):
        return CheckResult("pilot_db", None, limit, "fail")
    return replace(found.pilot.verdict(limit), name="pilot_db")
