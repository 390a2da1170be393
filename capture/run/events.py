"""What happens in a session, as values. The runner says them; a view shows them or prints JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from capture.model import Setting, Take
from capture.records import CalibrationRecord, FingerprintRecord, LawRecord, TakeRecord
from capture.reference import Drift


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know."""

    message: str


@dataclass(frozen=True, slots=True)
class SongStep:
    """A song is being measured or written."""

    song: str
    step: str


@dataclass(frozen=True, slots=True)
class SessionStarted:
    dataset: str
    planned: int
    captured: int
    rejected: int
    to_record: int
    audio_s: float
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    calibration: CalibrationRecord


@dataclass(frozen=True, slots=True)
class LawMeasured:
    """The CV's law was measured; ``withdrawn`` takes before it are to be recorded again."""

    law: LawRecord
    drift_limit_db: float
    withdrawn: int


@dataclass(frozen=True, slots=True)
class EnrolmentStep:
    """The unit is being enrolled: the ``number``th setting is probed."""

    setting: Setting
    number: int


@dataclass(frozen=True, slots=True)
class Fingerprinted:
    """The sound at a setting was judged; contradicted, the knobs are set again."""

    fingerprint: FingerprintRecord
    attempt: int


@dataclass(frozen=True, slots=True)
class DeviceGone:
    """The session pauses, and waits ``wait_s`` seconds at most for the device to come back."""

    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class DeviceOpened:
    """The device was opened anew: ``lost``, it had gone; else as it is done from time to time."""

    lost: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing is recorded until something outside is put right; it is waited for ``wait_s``."""

    reason: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """It goes on after a pause."""


@dataclass(frozen=True, slots=True)
class KnobsSet:
    """``waited_s``: how long a person was waited for."""

    setting: Setting
    confirmed: str
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SettingDeclined:
    """The person at the rack did not set the knobs: ``what`` is skip, impossible or back."""

    setting: Setting
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class ReferenceDrifted:
    """A reference take was compared with the first one, and with the last that was accepted.

    ``since`` is what the limit judges; the same as ``drift`` where none was accepted.
    """

    drift: Drift
    limit_db: float
    since: Drift


@dataclass(frozen=True, slots=True)
class WarmingUp:
    """Noise is played for so long before anything is measured."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TakeStarted:
    take: Take
    attempt: int


@dataclass(frozen=True, slots=True)
class TakeProgress:
    """``peaks_dbfs``: left, right and CV of the last block; None is silence."""

    take: Take
    frames: int
    peaks_dbfs: tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class TakeVoid:
    """An attempt that failed its checks; or one that the device's loss cut short."""

    take: Take
    attempt: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeDone:
    """The take is in the ledger: captured, or rejected for good."""

    take: Take
    record: TakeRecord


@dataclass(frozen=True, slots=True)
class SessionEnded:
    outcome: Literal["finished", "limit", "skipped", "interrupted", "fault"]
    planned: int
    captured: int
    rejected: int
    wall_s: float
    audio_s: float


Event = (
    Note
    | SongStep
    | SessionStarted
    | Calibrated
    | LawMeasured
    | EnrolmentStep
    | Fingerprinted
    | DeviceGone
    | DeviceOpened
    | Paused
    | Resumed
    | KnobsSet
    | SettingDeclined
    | ReferenceDrifted
    | WarmingUp
    | TakeStarted
    | TakeProgress
    | TakeVoid
    | TakeDone
    | SessionEnded
)
Observer = Callable[[Event], None]
