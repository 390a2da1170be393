"""The columns of the manifests: names in order, and types. docs/dataset.md explains each.

A control that knows ``auto`` has two columns: its number (null where it is auto) and ``NAME_auto``.
"""

from __future__ import annotations

from collections.abc import Sequence

from capture.model import AUTO, Control, base_name

Columns = dict[str, str]
"""Column names in order, each with its type: string, int64, double or bool."""

CHECKS = (
    "stream_flags",
    "clock_frames",
    "marker_head_frames",
    "marker_tail_frames",
    "marker_inverted",
    "marker_drift_ppm",
    "pilot_db",
    "frames",
    "full_scale_run_frames",
    "near_full_scale_dbfs",
    "stuck_run_frames",
    "repeated_run_frames",
    "level_left_db",
    "level_right_db",
    "polarity",
    "swap",
    "coherence",
    "lag_head_frames",
    "lag_tail_frames",
    "lag_step_frames",
    "drift_ppm",
    "dc_dbfs",
    "hum_dbfs",
    "noise_dbfs",
    "audio_cv_db",
    "burst_db",
    "click_db",
    "crosstalk_db",
    "cv_delay_frames",
    "cv_lag_frames",
    "cv_scatter_db",
    "cv_flat_share",
    "cv_unplugged_db",
    "cv_inverted",
    "cv_above_rest_db",
    "cv_slope_percent",
    "cv_coupling_hz",
    "cv_clip_db",
    "settle_db",
    "knobs_log10",
    "knobs_left",
)

MEASURED = (
    "threshold_db",
    "ratio",
    "knee_db",
    "attack_ms",
    "release_fast_ms",
    "release_slow_ms",
)
"""What the fingerprint of a setting measured, in the rows of its takes; more is in its own."""

TAKE_COLUMNS: Columns = {
    "take_id": "string",
    "song_id": "string",
    "setting_id": "string",
    "repeat": "int64",
    "session_id": "string",
    "calibration_id": "string",
    "split": "string",
    "setting_split": "string",
    "added_in": "string",
    "superseded_by": "string",
}
FILE_COLUMNS: Columns = {
    "knobs_confirmed": "string",
    "fingerprint_id": "string",
    "fingerprint_verdict": "string",
    **{f"measured_{name}": "double" for name in MEASURED},
    "input_file": "string",
    "output_file": "string",
    "cv_file": "string",
    "markers_file": "string",
    "sample_rate_hz": "int64",
    "num_frames": "int64",
    "latency_frames": "int64",
    "delay_left_frames": "double",
    "delay_right_frames": "double",
    "delay_cv_frames": "double",
    "cv_volts_per_fs": "double",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "gain_law_origin": "string",
    "cv_corner_hz": "double",
    "cv_offset_fs": "double",
    "cv_start_fs": "double",
    "send_gain_db": "double",
    "return_gain_db": "double",
    "send_gain_verdict": "string",
    "return_gain_verdict": "string",
    "static_left_db": "double",
    "static_right_db": "double",
    "temperature_c": "double",
    "input_sha256": "string",
    "output_sha256": "string",
    "cv_sha256": "string",
    "markers_sha256": "string",
    "captured_at": "string",
    "attempts": "int64",
    "checks_version": "string",
    "peak_left_dbfs": "double",
    "peak_right_dbfs": "double",
    "rms_left_dbfs": "double",
    "rms_right_dbfs": "double",
    "cv_min_v": "double",
    "cv_max_v": "double",
    "cv_mean_v": "double",
}
SONG_COLUMNS: Columns = {
    "song_id": "string",
    "name": "string",
    "split": "string",
    "source": "string",
    "source_sha256": "string",
    "source_bytes": "int64",
    "source_format": "string",
    "source_rate_hz": "int64",
    "source_channels": "int64",
    "source_frames": "int64",
    "input_file": "string",
    "input_sha256": "string",
    "input_bytes": "int64",
    "sample_rate_hz": "int64",
    "num_frames": "int64",
    "gain_db": "double",
    "peak_dbfs": "double",
    "rms_dbfs": "double",
    "loudness_lufs": "double",
    "made_with": "string",
}
SETTING_COLUMNS: Columns = {
    "setting_id": "string",
    "setting_split": "string",
    "takes": "int64",
}
CHANNELS = ("left", "right", "loopback")


def delay_columns(start: str = "") -> Columns:
    """What a probe measured of each audio input, the names begun with ``start``."""
    return {
        f"{start}{figure}_{channel}{unit}": kind
        for channel in CHANNELS
        for figure, unit, kind in (
            ("delay", "_frames", "double"),
            ("delay_uncertainty", "_frames", "double"),
            ("inverted", "", "bool"),
            ("peak_to_rms", "", "double"),
            ("gain", "_db", "double"),
            ("gain_uncertainty", "_db", "double"),
        )
    }


CALIBRATION_COLUMNS: Columns = {
    "calibration_id": "string",
    "measured_at": "string",
    "sample_rate_hz": "int64",
    "latency_frames": "int64",
    **delay_columns(),
    "delay_low_hz": "double",
    "delay_high_hz": "double",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "gain_law_origin": "string",
    "algorithm_version": "string",
    "law_id": "string",
}
LEVELS = ("send", "return_left", "return_right")
LAW_COLUMNS: Columns = {
    "law_id": "string",
    "measured_at": "string",
    "sample_rate_hz": "int64",
    "setting_id": "string",
    "gain_db_per_fs": "double",
    "gain_db_at_zero": "double",
    "volts_per_fs": "double",
    "slope_uncertainty_db_per_fs": "double",
    "at_zero_uncertainty_db": "double",
    "covariance_db2_per_fs": "double",
    "accuracy_db": "double",
    "residual_db": "double",
    "r2": "double",
    "steps": "int64",
    "left_out": "string",
    "deepest_gain_db": "double",
    "deepest_cv_fs": "double",
    "rest_v": "double",
    "rest_uncertainty_v": "double",
    "rest_noise_v": "double",
    "static_left_db": "double",
    "static_right_db": "double",
    "static_uncertainty_db": "double",
    "slope_left_db_per_fs": "double",
    "slope_right_db_per_fs": "double",
    "tracking_db": "double",
    "tracking_uncertainty_db": "double",
    "slope_ratio": "double",
    "cv_delay_frames": "double",
    "cv_delay_uncertainty_frames": "double",
    "cv_delay_reduction_db": "double",
    "cv_delay_left_db": "double",
    "corner_hz": "double",
    "corner_uncertainty_hz": "double",
    "offset_fs": "double",
    "loud_level_dbfs": "double",
    "loud_send_gain_db": "double",
    "loud_deepest_gain_db": "double",
    "loud_calibration_id": "string",
    **delay_columns("loud_"),
    **{f"loud_shift_{channel}_frames": "double" for channel in CHANNELS},
    **{
        f"{name}_{figure}": kind
        for name in LEVELS
        for figure, kind in (
            ("planned_db", "double"),
            ("measured_db", "double"),
            ("uncertainty_db", "double"),
            ("verdict", "string"),
            ("reason", "string"),
        )
    },
    "temperature_c": "double",
    "previous_id": "string",
    "drift_db": "double",
    "level_drift_db": "double",
    "algorithm_version": "string",
}
LAW_STEP_COLUMNS: Columns = {
    "law_id": "string",
    "step": "int64",
    "level_dbfs": "double",
    "gain_left_db": "double",
    "gain_right_db": "double",
    "cv_fs": "double",
    "residual_db": "double",
    "left_out": "string",
}
ANCHOR_COLUMNS: Columns = {
    "direction": "string",
    "channel": "string",
    "dbu": "double",
    "volts_per_fs": "double",
    "volts": "double",
    "level_dbfs": "double",
    "measured_by": "string",
    "measured_at": "string",
    "method": "string",
    "holds": "bool",
}
ENROLMENT_COLUMNS: Columns = {
    "enrolment_id": "string",
    "measured_at": "string",
    "law_id": "string",
    "probes": "int64",
    "settings": "string",
    "misfit_db": "double",
    "algorithm_version": "string",
}
FINGERPRINT_COLUMNS: Columns = {
    "fingerprint_id": "string",
    "measured_at": "string",
    "setting_id": "string",
    "enrolment_id": "string",
    "calibration_id": "string",
    "verdict": "string",
    "accepted": "bool",
    "reason": "string",
    "most_likely": "string",
    "log10_odds": "double",
    "left": "double",
    "moved": "string",
    "wrong": "string",
    "alike": "string",
    **{
        f"{name}{end}": "double"
        for name in (*MEASURED, "slope", "slow_share")
        for end in ("", "_uncertainty")
    },
    "most_reduction_db": "double",
    "audio_error_db": "double",
    "features_db": "string",
    "noise_db": "string",
    "rest_noise_db": "double",
    "sample_rate_hz": "int64",
    "file": "string",
    "sha256": "string",
    "bytes": "int64",
    "algorithm_version": "string",
}
SESSION_COLUMNS: Columns = {
    "session_id": "string",
    "started_at": "string",
    "ended_at": "string",
    "outcome": "string",
    "fault": "string",
    "plan_sha256": "string",
    "rig_sha256": "string",
    "capture_version": "string",
}
RELEASE_COLUMNS: Columns = {
    "version": "string",
    "released_at": "string",
    "takes": "int64",
    "sha256": "string",
    "capture_version": "string",
}
REFERENCE_COLUMNS: Columns = {
    "take_id": "string",
    "first_take_id": "string",
    "captured_at": "string",
    "gain_left_db": "double",
    "gain_right_db": "double",
    "cv_db": "double",
    "response_db": "double",
    "accepted_by": "string",
    "accepted_at": "string",
}
VISIT_COLUMNS: Columns = {
    "setting_id": "string",
    "set_at": "string",
    "confirmed": "string",
    "waited_s": "double",
}


def control_columns(controls: Sequence[Control]) -> Columns:
    """The columns of each control: its number, whether it is auto, and what was read back."""
    columns: Columns = {}
    for control in controls:
        columns[control.name] = "double"
        if any(position.value is AUTO for position in control.positions):
            columns[f"{base_name(control.name)}_auto"] = "bool"
    return columns | {f"{name}_read_back": kind for name, kind in columns.items()}


def take_columns(controls: Sequence[Control]) -> Columns:
    """All columns of takes.parquet for a rig with these controls."""
    checks: Columns = {}
    for name in CHECKS:
        checks |= {f"check_{name}": "double", f"check_{name}_verdict": "string"}
    return TAKE_COLUMNS | control_columns(controls) | FILE_COLUMNS | checks
