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
from capture.hardware.ports import Audio, Interval, Label
from capture.model import CheckLimits, CheckResult, Take, Verdict
from capture.records import CalibrationRecord, LawRecord
from capture.run import markers
from capture.run.listener import Listener
from capture.run.recorder import Parts, Recorded, Route, record
from capture.signal.checks import Peaks, TakeMeter
from capture.signal.fingerprint import passive
from capture.signal.fingerprint.passive import Watch
from capture.signal.fingerprint.stretches import Heard

STREAM = ("stream_flags", "clock_frames", "marker_head_frames", "marker_tail_frames", "pilot_db")
KNOBS = "knobs_log10"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded take, and what was found out about it. Its files have their temporary names.

    ``cv_start_fs``: see ``TakeRecord``. ``seen``: what the music says of the knobs; None where the
    unit is not enrolled.
    """

    parts: Parts
    meter: TakeMeter
    interval: Interval
    checks: tuple[CheckResult, ...]
    cv_start_fs: float | None
    seen: Watch | None

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.verdict == "fail")

    @property
    def stream_failed(self) -> bool:
        return any(check.name in STREAM for check in self.failed)

    @property
    def knobs(self) -> Verdict:
        """What the music says of the knobs."""
        return next(check.verdict for check in self.checks if check.name == KNOBS)


def attempt(
    audio: Audio,
    route: Route,
    take: Take,
    number: int,
    parts: Parts,
    calibration: CalibrationRecord,
    law: LawRecord | None,
    limits: CheckLimits,
    watch: Callable[[Heard], Watch] | None,
    overruled: bool,
    handed_over: Callable[[], None],
    progress: Callable[[int, Peaks], None],
) -> Attempt:
    """Records ``take``. Raises DeviceLost, StorageRefused, DamagedData, and what ``progress`` does.

    Where it raises, no file is left. ``watch``: looks whether the knobs were moved; ``overruled``:
    it has said so of this take before, and a probe has said otherwise since.
    """
    listener = Listener(calibration, law, take.frames)
    label = Label("take", take.take_id, number)
    with files.writing(parts.output):
        try:
            for part in (parts.output, parts.cv, parts.markers):
                files.make_folder(part.parent)
            found = record(audio, route, label, parts, listener, handed_over, progress)
        except BaseException:
            discard(parts)
            raise
    seen = watch(listener.stretches.heard()) if watch else None
    checks = (
        *_stream(audio, found, calibration, limits),
        *listener.verdicts(limits),
        *passive.verdicts(seen, overruled),
    )
    return Attempt(parts, listener.meter, found.interval, checks, listener.cv_start_fs, seen)


def discard(parts: Parts) -> None:
    """Removes the files of an attempt that is not kept. Raises StorageRefused."""
    with files.writing(parts.output):
        for part in (parts.output, parts.cv, parts.markers):
            part.unlink(missing_ok=True)


def _stream(
    audio: Audio, found: Recorded, calibration: CalibrationRecord, limits: CheckLimits
) -> tuple[CheckResult, ...]:
    interval = found.interval
    flags = CheckResult(
        "stream_flags", len(interval.flags), 0, "fail" if interval.flags else "pass"
    )
    marked = markers.verdicts(audio.inputs, found.around, calibration, limits)
    return flags, _clock(interval), *marked, _pilot(found, limits.pilot_db)


def _clock(interval: Interval) -> CheckResult:
    """By how much the stream's clock jumped ahead of the frame counter: half a block at most."""
    limit = interval.clock_limit_frames
    figure = interval.clock_frames
    if figure is None:
        return CheckResult("clock_frames", None, limit, "unverified")
    return CheckResult("clock_frames", figure, limit, "fail" if figure > limit else "pass")


def _pilot(found: Recorded, limit: float) -> CheckResult:
    """The worst block of the loopback; a rig without one has nothing to show."""
    if found.pilot is None:
        return CheckResult("pilot_db", None, limit, "unverified")
    if isinstance(found.pilot, MeasurementFailed):
        return CheckResult("pilot_db", None, limit, "fail")
    return replace(found.pilot.verdict(limit), name="pilot_db")
