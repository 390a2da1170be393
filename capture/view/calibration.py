"""What ``capture calibrate`` says: each figure with its uncertainty; and as JSON."""

from __future__ import annotations

from typing import Any

from capture.records import LawRecord
from capture.run.calibration import GAIN_LIMIT_DB, Calibrated
from capture.view.lines import plain


def as_json(found: Calibrated) -> dict[str, Any]:
    return {
        "latency": plain(found.latency),
        "law": plain(found.law),
        "anchors": plain(list(found.anchors)),
        "profile_dbfs_to_dbu": found.profile.model_dump(),
        "return_error_db": list(found.return_error_db),
        "withdrawn": found.withdrawn,
        "enrolment": plain(found.enrolment) if found.enrolment else None,
    }


def as_text(found: Calibrated) -> str:
    law = found.law
    lines = [
        *(
            f"latency {name:<5}  {delay.delay_frames:.4f} +-{delay.uncertainty_frames:.1g} frames"
            + (", inverted" if delay.inverted else "")
            for name, delay in found.latency.delays.items()
        ),
        f"gain law       {law.law.gain_db_per_fs / law.volts_per_fs:.4f} "
        f"+-{law.slope_uncertainty_db_per_fs / law.volts_per_fs:.1g} dB/V "
        f"({law.slope_ratio:.4f} of what is expected)",
        f"at rest        {1000 * law.rest_v:.3f} +-{1000 * law.rest_uncertainty_v:.1g} mV: 0 dB",
        f"CV delay       {law.cv_delay_frames:.3f} +-{law.cv_delay_uncertainty_frames:.1g} frames "
        "behind the left return",
        "coupling       " + _coupling(law),
        f"accuracy       {law.accuracy_db:.4f} dB from 0 to {law.deepest_gain_db:.2f} dB "
        f"({law.steps} steps, residual {law.residual_db:.2g} dB, R2 {law.r2:.6f})",
        *(f"left out       {step}" for step in law.left_out),
        f"tracking       {law.tracking_db:+.4f} +-{law.tracking_uncertainty_db:.1g} dB between the "
        "channels at the deepest",
        f"static gain    left {law.static_left_db:.3f}, right {law.static_right_db:.3f} dB; "
        + _returns(found),
        *_anchors(found),
    ]
    if law.drift_db is not None:
        lines.append(f"drift          {law.drift_db:.4f} dB since {law.previous_id}")
    if enrolment := found.enrolment:
        lines.append(
            f"enrolment      {len(enrolment.settings)} settings; the model leaves "
            f"{enrolment.misfit_db:.4f} dB of them, rms"
        )
    if found.withdrawn:
        lines.append(f"withdrawn      {found.withdrawn} takes; the next run records them again")
    return "\n".join(lines)


def _coupling(law: LawRecord) -> str:
    if law.corner_hz is None:
        return "DC"
    return f"AC, corner {law.corner_hz:.5f} +-{law.corner_uncertainty_hz:.5f} Hz; made good for"


def _returns(found: Calibrated) -> str:
    worst = max(found.return_error_db, key=abs)
    if abs(worst) <= GAIN_LIMIT_DB:
        return f"as the plan's return_gain_db says, within {GAIN_LIMIT_DB:g} dB"
    return (
        f"{worst:+.3f} dB against the plan's return_gain_db: make-up gain, or a level that stands "
        "elsewhere"
    )


def _anchors(found: Calibrated) -> list[str]:
    lines = [
        f"anchor         {anchor.direction} {anchor.channel}: "
        + (f"{anchor.dbu:.2f} dBu" if anchor.dbu is not None else f"{anchor.volts_per_fs:.4f} V")
        + f" at full scale ({anchor.measured_by})"
        for anchor in found.anchors
    ]
    measured = {(anchor.direction, anchor.channel) for anchor in found.anchors}
    profile = (("output", found.profile.outputs), ("input", found.profile.inputs))
    for direction, group in profile:
        lines += [
            f"anchor         {direction} {channel}: {dbu:g} dBu, the rig profile's, not measured"
            for channel, dbu in group.items()
            if dbu is not None and (direction, channel) not in measured
        ]
    return lines or [
        "anchors        none: dbfs_to_dbu is empty in the rig profile; --voltmeter asks"
    ]
