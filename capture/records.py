"""What the ledger remembers, one frozen record per kind. Manifests are derived from these.

They hold plain values only and go to JSON and back without loss; ``auto`` stays ``AUTO``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from capture.model import CheckResult, GainLaw, SettingSplit, Split, Value


@dataclass(frozen=True, slots=True)
class ChannelDelay:
    """The measured delay of one input: how much later it is than what was sent.

    The band in which it holds is ``low_hz`` to ``high_hz``; ``uncertainty_frames`` is one
    standard deviation.
    """

    delay_frames: float
    uncertainty_frames: float
    inverted: bool
    peak_to_rms: float
    low_hz: float
    high_hz: float


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """Facts measured on an opened rig.

    ``latency_frames`` is the whole-frame delay that is cut from every take: the left return's,
    rounded. ``files`` maps the names of its audio, in ``calibration/ID/``, to their SHA-256. The
    id is made from all of it but the time.
    """

    calibration_id: str
    measured_at: str
    sample_rate_hz: int
    latency_frames: int
    delays: dict[str, ChannelDelay]
    law: GainLaw
    files: dict[str, str]
    algorithm_version: str


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One run of the program on the dataset. Times are UTC, ISO 8601.

    ``outcome`` is null while it runs, and after a crash. ``fault`` is the message that ended it.
    """

    session_id: str
    started_at: str
    ended_at: str | None
    outcome: Literal["finished", "limit", "interrupted", "fault"] | None
    fault: str | None
    plan_sha256: str
    rig_sha256: str
    capture_version: str


@dataclass(frozen=True, slots=True)
class TakeRecord:
    """A take that was recorded: where it is, what stands in it, what was measured.

    ``status`` is ``captured``, or ``rejected`` when it failed its checks every time; then the
    files are the last attempt's, under ``evidence/rejected/``. ``markers_file`` holds all inputs
    around the marker before the take, then around the one after it; null in takes recorded before
    there were markers. Delays are those that remain after
    the cut at ``latency_frames``: positive means that the channel is later than frame 0.
    """

    take_id: str
    status: Literal["captured", "rejected"]
    song_id: str
    setting_id: str
    setting: dict[str, Value]
    repeat: int
    session_id: str
    calibration_id: str
    split: Split | None
    setting_split: SettingSplit | None
    knobs_confirmed: Literal["told", "acknowledged", "read_back", "measured"]
    knobs_read: dict[str, Value] | None
    output_file: str
    cv_file: str
    output_sha256: str
    cv_sha256: str
    output_bytes: int
    cv_bytes: int
    sample_rate_hz: int
    num_frames: int
    latency_frames: int
    delay_left_frames: float
    delay_right_frames: float
    cv_volts_per_fs: float
    law: GainLaw
    send_gain_db: float
    return_gain_db: float
    captured_at: str
    attempts: int
    peak_left_dbfs: float | None
    peak_right_dbfs: float | None
    rms_left_dbfs: float | None
    rms_right_dbfs: float | None
    cv_min_v: float
    cv_max_v: float
    cv_mean_v: float
    checks: tuple[CheckResult, ...]
    markers_file: str | None = None
    markers_sha256: str | None = None
    markers_bytes: int | None = None
