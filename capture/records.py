"""What the ledger remembers, one frozen record per kind. Manifests are derived from these.

They hold plain values only and go to JSON and back without loss; ``auto`` stays ``AUTO``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from capture.model import CheckResult, GainLaw, SettingSplit, Split, Value


def utc_now() -> str:
    """Now, as the records write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class ChannelDelay:
    """The measured delay of one input: how much later it is than what was sent.

    The band in which it holds is ``low_hz`` to ``high_hz``. ``gain_db``: how much louder it is,
    about 1 kHz; null where it was not measured. Each uncertainty is one standard deviation.
    """

    delay_frames: float
    uncertainty_frames: float
    inverted: bool
    peak_to_rms: float
    low_hz: float
    high_hz: float
    gain_db: float | None = None
    gain_uncertainty_db: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """Facts measured on an opened rig.

    ``latency_frames`` is the whole-frame delay that is cut from every take: the left return's,
    rounded. ``files`` maps the names of its audio, in ``calibration/ID/``, to their SHA-256. The
    id is made from all of it but the time. ``law_id`` names the record of a law that was measured.
    """

    calibration_id: str
    measured_at: str
    sample_rate_hz: int
    latency_frames: int
    delays: dict[str, ChannelDelay]
    law: GainLaw
    files: dict[str, str]
    algorithm_version: str
    law_id: str | None = None

    def left_over(self, channel: str) -> float:
        """By how many frames ``channel`` is late after the cut."""
        return self.delays[channel].delay_frames - self.latency_frames


@dataclass(frozen=True, slots=True)
class LawStep:
    """One level of the staircase as it was read; ``left_out`` is the reason, null where it counts.

    ``cv_fs``: the CV as the tone sees it. ``residual_db``: the gain less what the line says.
    """

    level_dbfs: float
    gain_left_db: float
    gain_right_db: float
    cv_fs: float
    residual_db: float
    left_out: str | None


@dataclass(frozen=True, slots=True)
class LoudProbe:
    """The latency's probe once more, at the setting of the law: loud, so that the unit works.

    ``level_dbfs``: its peak as it was sent, after the plan's ``send_gain_db``; gains count from
    before that. ``deepest_gain_db``: by the CV. ``shift_frames``: how much later each input is than
    under the quiet probe of ``calibration_id``.
    """

    level_dbfs: float
    send_gain_db: float
    deepest_gain_db: float
    calibration_id: str
    delays: dict[str, ChannelDelay]
    shift_frames: dict[str, float]


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """Whether a gain of the plan is what was measured; run/levels.py says how.

    ``measured_db`` is null where it could not be.
    """

    name: Literal["send", "return_left", "return_right"]
    planned_db: float
    measured_db: float | None
    uncertainty_db: float | None
    verdict: Literal["verified", "differs", "not verifiable"]
    reason: str


@dataclass(frozen=True, slots=True)
class LawRecord:
    """The CV's law as it was measured on the unit, at one ``setting``; signal/gain_law.py says how.

    Takes were recorded between the law that their calibration names and the next one that was
    measured. ``previous_id`` is the law before, and ``drift_db`` by how much at most this one reads
    a gain otherwise, within the range that the former was measured in; null for the first.

    Each uncertainty is one standard deviation, ``covariance_db2_per_fs`` that of slope and offset.
    ``accuracy_db``: what is left, rms, from rest to ``deepest_gain_db``. ``rest_v``: the voltage at
    rest, from which the gain counts; ``rest_noise_v``: its RMS about it. ``static_*``: what unit
    and returns do to a signal that is not compressed. ``tracking_db``: what the two channels are
    off each other at the deepest. ``slope_ratio``: measured over expected.

    ``cv_delay_frames``: how much later the CV is than the left return; ``cv_delay_reduction_db``:
    how far the gain moved while that was measured; ``cv_delay_left_db``: what it left unexplained.
    ``corner_hz``: of a CV input that is AC-coupled, else null; its uncertainty says how low a
    corner would have been seen. ``levels``: the gains of the plan; ``level_drift_db``: how far what
    was measured of them has moved since the law before. What has a default is null in older
    records.
    """

    law_id: str
    measured_at: str
    sample_rate_hz: int
    setting: dict[str, Value]
    law: GainLaw
    volts_per_fs: float
    slope_uncertainty_db_per_fs: float
    at_zero_uncertainty_db: float
    accuracy_db: float
    residual_db: float
    r2: float
    steps: int
    left_out: tuple[str, ...]
    deepest_gain_db: float
    rest_v: float
    rest_uncertainty_v: float
    static_left_db: float
    static_right_db: float
    tracking_db: float
    tracking_uncertainty_db: float
    slope_ratio: float
    cv_delay_frames: float
    cv_delay_uncertainty_frames: float
    corner_hz: float | None
    corner_uncertainty_hz: float | None
    offset_fs: float | None
    temperature_c: float | None
    previous_id: str | None
    drift_db: float | None
    files: dict[str, str]
    algorithm_version: str
    covariance_db2_per_fs: float | None = None
    deepest_cv_fs: float | None = None
    rest_noise_v: float | None = None
    static_uncertainty_db: float | None = None
    slope_left_db_per_fs: float | None = None
    slope_right_db_per_fs: float | None = None
    cv_delay_reduction_db: float | None = None
    cv_delay_left_db: float | None = None
    readings: tuple[LawStep, ...] = ()
    loud: LoudProbe | None = None
    levels: tuple[LevelCheck, ...] = ()
    level_drift_db: float | None = None


@dataclass(frozen=True, slots=True)
class EnrolmentRecord:
    """What a unit shows: the model fitted to probes at ``settings``; see signal/fingerprint.

    ``misfit_db``: what it leaves of the probes, rms.
    """

    enrolment_id: str
    measured_at: str
    law_id: str | None
    settings: tuple[str, ...]
    model: dict[str, Any]
    misfit_db: float
    files: dict[str, str]
    algorithm_version: str


@dataclass(frozen=True, slots=True)
class MeasuredFigure:
    """A value, and its uncertainty (one standard deviation) in the same unit."""

    value: float
    uncertainty: float


@dataclass(frozen=True, slots=True)
class FingerprintRecord:
    """One visit to a setting: what the sound says of where the knobs stand.

    ``accepted``: takes may be recorded; else the setting was set again, or the run ended.

    ``log10_odds``: of ``most_likely`` against the label, as a power of ten; of the runner-up where
    the label is the most likely, so negative. ``left``: what the most likely setting leaves of the
    features, over what noise may: about 1 or less. ``moved``: what seems to have moved since the
    enrolment. ``wrong``: what each knob that looks wrong looks like.
    ``alike``: settings that the probe cannot tell from this one, and why. ``figures``: the measured
    response; null is not measurable.
    """

    fingerprint_id: str
    measured_at: str
    setting: dict[str, Value]
    enrolment_id: str | None
    calibration_id: str
    verdict: Literal["confirmed", "doubtful", "contradicted", "not verifiable"]
    accepted: bool
    reason: str
    most_likely: dict[str, Value] | None
    log10_odds: float | None
    left: float | None
    moved: dict[str, float]
    wrong: dict[str, Value]
    alike: tuple[str, ...]
    figures: dict[str, MeasuredFigure | None]
    most_reduction_db: float
    audio_error_db: float
    features_db: tuple[float, ...]
    noise_db: tuple[float, ...]
    rest_noise_db: float
    sample_rate_hz: int
    file: str
    sha256: str
    bytes: int
    algorithm_version: str


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """What full scale is at one channel: who measured it, when, how (``method``).

    Audio: ``dbu`` of a full-scale sine, from ``volts`` (rms) at a tone of ``level_dbfs``. CV:
    ``volts_per_fs``. Of the rig profile's own, which were not measured, ``volts`` is null.
    """

    direction: Literal["output", "input"]
    channel: str
    dbu: float | None
    volts_per_fs: float | None
    volts: float | None
    level_dbfs: float | None
    measured_by: str
    measured_at: str
    method: str

    @property
    def measured(self) -> bool:
        return self.volts is not None


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """The knobs were set. ``waited_s``: how long a person was waited for.

    ``read_back``: where the drivers that can tell say that they stand.
    """

    setting: dict[str, Value]
    set_at: str
    confirmed: Literal["told", "acknowledged", "read_back", "measured"]
    read_back: dict[str, Value] | None
    waited_s: float


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One run of the program on the dataset. Times are UTC, ISO 8601.

    ``outcome`` is null while it runs, and after a crash; skipped: a person put takes off.
    ``fault`` is the message that ended it.
    """

    session_id: str
    started_at: str
    ended_at: str | None
    outcome: Literal["finished", "limit", "skipped", "interrupted", "fault"] | None
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
    there were markers. ``cv_corner_hz``, ``cv_offset_fs`` and ``cv_start_fs`` are those of a CV
    input that is AC-coupled (docs/measurements.md), and null where it is not. Delays are those that
    remain after the cut at ``latency_frames``: positive means that the channel is later than frame
    0.
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
    fingerprint_id: str | None = None
    fingerprint_verdict: str | None = None
    delay_cv_frames: float | None = None
    cv_corner_hz: float | None = None
    cv_offset_fs: float | None = None
    cv_start_fs: float | None = None
    checks_version: str | None = None


@dataclass(frozen=True, slots=True)
class Superseded:
    """A take of a release that is recorded again. ``damaged``: its files are not whole any more."""

    take: TakeRecord
    added_in: str
    reason: str
    damaged: bool


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """A frozen version. ``sha256`` is that of its SHA256SUMS, which has the hash of all else."""

    version: str
    released_at: str
    sha256: str
    takes: int
    capture_version: str
