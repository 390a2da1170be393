"""Measures the CV's law on an opened rig, and keeps the audio that it was measured from.

The staircase first: a CV that cannot be trusted is refused with its reason. Then how much later the
CV is than the audio, and the law once more with that.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from capture.hardware.ports import Audio, Label
from capture.hardware.profile import RigProfile
from capture.model import Setting, canonical
from capture.records import CalibrationRecord, LawRecord, utc_now
from capture.run import probe
from capture.run.calibrate import expected_law
from capture.signal import cv_delay, gain_law
from capture.signal.coupling import Repair
from capture.signal.cv_delay import CvDelay
from capture.signal.gain_law import MeasuredLaw


def length_s(sample_rate_hz: int) -> float:
    """How long what is played for it takes."""
    frames = len(gain_law.probe(sample_rate_hz).signal) + len(cv_delay.probe(sample_rate_hz))
    return frames / sample_rate_hz


def measure(
    audio: Audio,
    calibration: CalibrationRecord,
    profile: RigProfile,
    setting: Setting,
    dataset: Path,
    label: Label,
) -> LawRecord:
    """The law, with the knobs at ``setting`` and the unit at rest; writes ``calibration/ID/``.

    Raises MeasurementFailed with the reason, DeviceLost.
    """
    rate, latency = audio.sample_rate_hz, calibration.latency_frames
    stairs = gain_law.probe(rate)
    signals = {"staircase": stairs.signal, "cv-delay": cv_delay.probe(rate)}
    played: dict[str, probe.Played] = {}
    for name, signal in signals.items():
        one = Label(label.purpose, f"{name}-{label.subject}", label.attempt)
        played[name] = probe.play(audio, signal, one, latency)
        probe.require_whole(played[name], f"gain law, {name}", len(signal) + latency)
    received, cv = played["staircase"].pair()[latency:], played["staircase"].column("cv")[latency:]
    expected, allow_ac = expected_law(profile.cv), profile.cv.coupling == "ac"
    law = gain_law.fit(stairs, received, cv, expected, allow_ac=allow_ac)
    lag = _lag(signals["cv-delay"][:, 0], played["cv-delay"], latency, law)
    law = gain_law.fit(stairs, received, cv, expected, lag, allow_ac=allow_ac)
    return _record(law, lag, played, profile, setting, dataset)


def _lag(sent: gain_law.Signal, played: probe.Played, latency: int, law: MeasuredLaw) -> CvDelay:
    cv = played.column("cv")[latency:]
    if law.offset_fs is not None:
        repair = Repair(law.coupling.corner_hz, law.offset_fs, played.sample_rate_hz)
        cv = repair.process(cv)
    left = played.column("left")[latency:]
    return cv_delay.estimate(sent, left, cv, played.sample_rate_hz)


def _record(
    law: MeasuredLaw,
    lag: CvDelay,
    played: dict[str, probe.Played],
    profile: RigProfile,
    setting: Setting,
    dataset: Path,
) -> LawRecord:
    volts = profile.cv.volts_per_fs
    version = f"{gain_law.ALGORITHM_VERSION}, {cv_delay.ALGORITHM_VERSION}"
    figures = {
        "setting": {name: str(value) for name, value in setting.items()},
        "volts_per_fs": volts,
        "law": asdict(law),
        "cv_delay": asdict(lag),
        "algorithm_version": version,
    }
    law_id = probe.name_of("law", played.values(), canonical(figures))
    return LawRecord(
        law_id=law_id,
        measured_at=utc_now(),
        sample_rate_hz=played["staircase"].sample_rate_hz,
        setting=dict(setting),
        law=law.law,
        volts_per_fs=volts,
        slope_uncertainty_db_per_fs=law.slope_uncertainty_db_per_fs,
        at_zero_uncertainty_db=law.at_zero_uncertainty_db,
        accuracy_db=law.accuracy_db,
        residual_db=law.residual_db,
        r2=law.r2,
        steps=sum(reading.left_out is None for reading in law.readings),
        left_out=law.left_out,
        deepest_gain_db=law.deepest_gain_db,
        rest_v=law.rest_fs * volts,
        rest_uncertainty_v=law.rest_uncertainty_fs * volts,
        static_left_db=law.static_left_db,
        static_right_db=law.static_right_db,
        tracking_db=law.tracking_db,
        tracking_uncertainty_db=law.tracking_uncertainty_db,
        slope_ratio=law.slope_ratio,
        cv_delay_frames=lag.frames,
        cv_delay_uncertainty_frames=lag.uncertainty_frames,
        corner_hz=law.coupling.corner_hz if law.offset_fs is not None else None,
        corner_uncertainty_hz=(
            law.coupling.corner_uncertainty_hz if law.offset_fs is not None else None
        ),
        offset_fs=law.offset_fs,
        temperature_c=None,
        previous_id=None,
        drift_db=None,
        files=probe.keep(dataset, law_id, played, figures),
        algorithm_version=version,
    )
