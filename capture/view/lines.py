"""A session as plain lines, for logs and pipes; and as JSON, an event a line."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from typing import Any, TextIO, cast

from capture.model import Setting, format_value
from capture.records import FingerprintRecord
from capture.run import events
from capture.view.progress import Progress
from capture.view.text import amount, hours, level, pace


def say(event: events.Event, progress: Progress) -> str | None:  # noqa: C901, PLR0911, PLR0912  (a flat table)
    """The line for an event; None for one that is not worth a line."""
    match event:
        case events.Note(message):
            return message
        case events.SongStep(song, "writing"):
            return f"song {song}: resampled and normalised"
        case events.SessionStarted():
            return _started(event)
        case events.Calibrated(calibration):
            left, right = calibration.delays["left"], calibration.delays["right"]
            return (
                f"latency: {calibration.latency_frames} frames; left {left.delay_frames:.3f} "
                f"+-{left.uncertainty_frames:.5f}, right {right.delay_frames:.3f} "
                f"+-{right.uncertainty_frames:.5f}; gain law: {_law(calibration.law.origin)}"
            )
        case events.LawMeasured():
            return _law_measured(event)
        case events.EnrolmentStep(setting, number):
            return f"enrolment {number}: {setting}"
        case events.Fingerprinted(found):
            return _fingerprinted(found)
        case events.DeviceGone(reason, wait_s):
            return f"device lost: {reason}; waiting {hours(wait_s)} at most for it to come back"
        case events.DeviceOpened(lost):
            return "device is back" if lost else "device opened anew"
        case events.Paused(reason, wait_s):
            return f"paused: {reason}; waiting {hours(wait_s)} at most"
        case events.Resumed():
            return "goes on"
        case events.KnobsSet(setting, confirmed, waited_s):
            waited = f", waited {hours(waited_s)}" if waited_s else ""
            return f"knobs: {setting} ({confirmed.replace('_', ' ')}{waited})"
        case events.WarmingUp(seconds):
            return f"warming up: {hours(seconds)} of noise"
        case events.ReferenceDrifted(drift, limit_db, since):
            accepted = f", {since.most_db:.3f} off the accepted one" if since != drift else ""
            return f"reference: {drift.most_db:.3f} dB off the first{accepted} (limit {limit_db:g})"
        case events.SettingDeclined():
            return _declined(event)
        case events.TakeVoid(take, attempt, reasons):
            return f"void: {take.song_id}, attempt {attempt}: {'; '.join(reasons)}"
        case events.TakeDone(take, record):
            left_s = progress.left_s
            rest = f", {hours(left_s)} left" if left_s is not None else ""
            return (
                f"{record.status} {progress.done}/{progress.to_record}: {take.song_id}, "
                f"{level(record.rms_left_dbfs)}{rest}"
            )
        case events.SessionEnded():
            return _ended(event)
        case _:
            return None


def _law(origin: str) -> str:
    return "the rig profile's, not measured" if origin == "expected" else "measured"


def _law_measured(event: events.LawMeasured) -> str:
    law = event.law
    slope, uncertainty = (
        figure / law.volts_per_fs
        for figure in (law.law.gain_db_per_fs, law.slope_uncertainty_db_per_fs)
    )
    said = (
        f"gain law: {slope:.3f} +-{uncertainty:.5f} dB/V, 0 dB at {1000 * law.rest_v:.2f} mV; "
        f"accurate to {law.accuracy_db:.4f} dB down to {law.deepest_gain_db:.1f} dB"
    )
    if law.drift_db is not None:
        said += f"; moved by {law.drift_db:.4f} dB (limit {event.drift_limit_db:g})"
    if event.withdrawn:
        said += f": {amount(event.withdrawn, 'take')} withdrawn, to be recorded again"
    return said


def _fingerprinted(found: FingerprintRecord) -> str:
    if found.verdict == "confirmed":
        return f"setting confirmed by its sound (odds of the next: 1e{found.log10_odds:.0f})"
    wrong = ", ".join(
        f"{control} looks like {format_value(value)}" for control, value in found.wrong.items()
    )
    said = f"setting {found.verdict}: {Setting(found.setting)}: {found.reason}"
    if found.accepted:
        return said
    return f"{said}; {wrong}: set it again" if wrong else f"{said}; set it again"


def _declined(event: events.SettingDeclined) -> str:
    match event.what:
        case "impossible":
            return f"impossible: {event.setting}: {event.reason}"
        case "skip":
            return f"put off: {event.setting}"
        case _:
            return "back to the setting before: its takes are withdrawn, to be recorded again"


def _started(event: events.SessionStarted) -> str:
    have = f"{event.captured} of {amount(event.planned, 'take')} captured"
    rejected = f", {event.rejected} rejected" if event.rejected else ""
    if not event.to_record:
        return f"{event.dataset}: {have}{rejected}; nothing to do"
    return (
        f"{event.dataset}: {have}{rejected}; {amount(event.to_record, 'take')} to record "
        f"({hours(event.audio_s)} of audio)"
    )


def _ended(event: events.SessionEnded) -> str:
    speed = f", {pace(event.audio_s / event.wall_s)}" if event.audio_s else ""
    rejected = f", {event.rejected} rejected" if event.rejected else ""
    words = {
        "limit": "limit reached",
        "skipped": "done but for what was put off",
        "fault": "stopped by a fault",
    }
    return (
        f"{words.get(event.outcome, event.outcome)}: {event.captured} of "
        f"{amount(event.planned, 'take')} captured{rejected} ({hours(event.wall_s)}{speed})"
    )


class LinesView:
    """Writes a line for each event that is worth one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._progress = Progress()

    def __call__(self, event: events.Event) -> None:
        self._progress.add(event)
        line = say(event, self._progress)
        if line is not None:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        pass


class JsonView:
    """Writes every event as one JSON object in a line, with its kind under ``event``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: events.Event) -> None:
        data = {"event": type(event).__name__, **_fields(event)}
        print(json.dumps(data, allow_nan=False), file=self._stream, flush=True)

    def close(self) -> None:
        pass


def plain(value: object) -> Any:
    """A record as JSON knows it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Setting):
        return {name: plain(item) for name, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in cast(Mapping[str, object], value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in cast(list[object], value)]
    return value


def _fields(record: Any) -> dict[str, Any]:
    return {item.name: plain(getattr(record, item.name)) for item in dataclasses.fields(record)}
