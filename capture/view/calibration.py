"""What ``capture calibrate`` says: each figure with its uncertainty; and as JSON."""

from __future__ import annotations

from typing import Any

from capture.records import AnchorRecord, LawRecord, LevelCheck
from capture.run.calibration import Calibrated
from capture.view.lines import plain


def as_json(found: Calibrated) -> dict[str, Any]:
    return {
        "latency": plain(found.latency),
        "law": plain(found.law),
        "anchors": plain(list(found.anchors)),
        "disagreements": list(found.disagreements),
        "differences": found.differences,
        "withdrawn": found.withdrawn,
        "enrolment": plain(found.enrolment) if found.enrolment else None,
    }


def as_text(found: Calibrated) -> str:
    law = found.law
    lines = [
        *(
            f"latency {name:<8} {delay.delay_frames:.4f} +-{delay.uncertainty_frames:.1g} frames"
            + (", inverted" if delay.inverted else "")
            for name, delay in found.latency.delays.items()
        ),
        *_loud(law),
        f"gain law         {law.law.gain_db_per_fs / law.volts_per_fs:.4f} "
        f"+-{law.slope_uncertainty_db_per_fs / law.volts_per_fs:.1g} dB/V "
        f"({law.slope_ratio:.4f} of what is expected)",
        f"at rest          {1000 * law.rest_v:.3f} +-{1000 * law.rest_uncertainty_v:.1g} mV: 0 dB",
        f"CV delay         {law.cv_delay_frames:.3f} +-{law.cv_delay_uncertainty_frames:.1g} "
        "frames behind the left return",
        "coupling         " + _coupling(law),
        f"accuracy         {law.accuracy_db:.4f} dB from 0 to {law.deepest_gain_db:.2f} dB "
        f"({law.steps} steps, residual {law.residual_db:.2g} dB, R2 {law.r2:.6f})",
        *(f"left out         {step}" for step in law.left_out),
        f"tracking         {law.tracking_db:+.4f} +-{law.tracking_uncertainty_db:.1g} dB between "
        "the channels at the deepest",
        *map(_level, law.levels),
        *map(_anchor, found.anchors),
        *_unknown(found),
        *(f"disagreement     {sentence}" for sentence in found.disagreements),
    ]
    if law.temperature_c is not None:
        lines.append(f"temperature      {law.temperature_c:g} degrees C")
    if law.drift_db is not None:
        lines.append(
            f"drift            {law.drift_db:.4f} dB, levels {law.level_drift_db or 0:.4f} dB, "
            f"since {law.previous_id}"
        )
    if enrolment := found.enrolment:
        lines.append(
            f"enrolment        {len(enrolment.settings)} settings; the model leaves "
            f"{enrolment.misfit_db:.4f} dB of them, rms"
        )
    if found.withdrawn:
        lines.append(f"withdrawn        {found.withdrawn} takes; the next run records them again")
    return "\n".join(lines)


def _loud(law: LawRecord) -> list[str]:
    if law.loud is None:
        return []
    worked = f"at {law.loud.level_dbfs:g} dBFS, {law.loud.deepest_gain_db:.1f} dB of gain"
    return [
        f"  loud {name:<8}  {delay.delay_frames:.4f} +-{delay.uncertainty_frames:.1g} frames, "
        f"{law.loud.shift_frames[name]:+.4f} ({worked})"
        for name, delay in law.loud.delays.items()
    ]


def _coupling(law: LawRecord) -> str:
    if law.corner_hz is None:
        return "DC"
    return f"AC, corner {law.corner_hz:.5f} +-{law.corner_uncertainty_hz:.5f} Hz; made good for"


def _level(level: LevelCheck) -> str:
    """What differs is explained where the command ends with it."""
    measured = "unknown " if level.measured_db is None else f"{level.measured_db:+.3f} "
    if level.measured_db is not None and level.uncertainty_db is not None:
        measured += f"+-{level.uncertainty_db:.1g} "
    why = "" if level.verdict == "differs" else f" ({level.reason})"
    name = level.name.replace("_", " ")
    return f"{name:<17}{measured}dB, planned {level.planned_db:g}: {level.verdict}{why}"


def _anchor(anchor: AnchorRecord) -> str:
    figure = f"{anchor.dbu:.2f} dBu" if anchor.dbu is not None else f"{anchor.volts_per_fs:.4g} V"
    origin = (
        f"measured by {anchor.measured_by}, {anchor.measured_at}"
        if anchor.measured
        else "the rig profile's, not measured"
    )
    return f"anchor           {anchor.direction} {anchor.channel}: {figure} at full scale, {origin}"


def _unknown(found: Calibrated) -> list[str]:
    """What is known of no audio channel."""
    if any(anchor.dbu is not None for anchor in found.anchors):
        return []
    return [
        "anchor           of no send or return: dbfs_to_dbu is empty in the rig profile; "
        "--voltmeter asks"
    ]
