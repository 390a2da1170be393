"""Measures the CV's law on an opened rig, and keeps the audio that it was measured from.

The staircase first: a CV that cannot be trusted is refused with its reason. Then how much later the
CV is than the audio, and the law once more with that. Last the latency's probe, loud (``loud``).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from capture.hardware.ports import Audio, Label
from capture.hardware.profile import RigProfile
from capture.model import Setting, canonical
from capture.records import CalibrationRecord, LawRecord, LawStep, LoudProbe, utc_now
from capture.run import loud, probe
from capture.run.calibrate import expected_law
from capture.signal import cv_delay, gain_law
from capture.signal.coupling import Repair
from capture.signal.cv_delay import CvDelay
from capture.signal.gain_law import MeasuredLaw, Signal

ALGORITHM_VERSION = ", ".join(
    (gain_law.ALGORITHM_VERSION, cv_delay.ALGORITHM_VERSION, loud.ALGORITHM_VERSION)
)


def length_s(sample_rate_hz: int) -> float:
    """How long what is played for it takes."""
    signals = (
        gain_law.probe(sample_rate_hz).signal,
        cv_delay.probe(sample_rate_hz),
        loud.probe(sample_rate_hz, 0.0),
    )
    return sum(map(len, signals)) / sample_rate_hz


def measure(
    audio: Audio,
    calibration: CalibrationRecord,
    profile: RigProfile,
    setting: Setting,
    send_gain_db: float,
    dataset: Path,
    label: Label,
) -> LawRecord:
    """The law, with the knobs at ``setting`` and the unit at rest; writes ``calibration/ID/``.

    ``send_gain_db``: the plan's; the loud probe is played with it. Raises MeasurementFailed with
    the reason, DeviceLost.
    """
    rate, latency = audio.sample_rate_hz, calibration.latency_frames
    played: dict[str, probe.Played] = {}

    def play(name: str, signal: Signal, gain_db: float = 0.0) -> None:
        one = Label(label.purpose, f"{name}-{label.subject}", label.attempt)
        played[name] = probe.play(audio, signal, one, latency, gain_db)
        probe.require_whole(played[name], f"gain law, {name}", len(signal) + latency)

    stairs, hopping = gain_law.probe(rate), cv_delay.probe(rate)
    play("staircase", stairs.signal)
    play("cv-delay", hopping)
    received, cv = played["staircase"].pair()[latency:], played["staircase"].column("cv")[latency:]
    expected, allow_ac = expected_law(profile.cv), profile.cv.coupling == "ac"
    law = gain_law.fit(stairs, received, cv, expected, allow_ac=allow_ac)
    left = played["cv-delay"].column("left")[latency:]
    lag = cv_delay.estimate(hopping[:, 0], left, _cv(played["cv-delay"], law, latency), rate)
    law = gain_law.fit(stairs, received, cv, expected, lag, allow_ac=allow_ac)
    play("loud", loud.probe(rate, send_gain_db), send_gain_db)
    gain_db = _cv(played["loud"], law, 0) * law.law.gain_db_per_fs
    found = loud.compare(played["loud"], calibration, send_gain_db, gain_db)
    return _record(law, lag, found, played, profile, setting, dataset)


def _cv(played: probe.Played, law: MeasuredLaw, latency: int) -> Signal:
    """What the CV's input recorded from frame ``latency`` on; repaired if it is AC-coupled."""
    cv = played.column("cv")[latency:]
    if law.offset_fs is None:
        return cv
    return Repair(law.coupling.corner_hz, law.offset_fs, played.sample_rate_hz).process(cv)


def _record(
    law: MeasuredLaw,
    lag: CvDelay,
    found: LoudProbe,
    played: dict[str, probe.Played],
    profile: RigProfile,
    setting: Setting,
    dataset: Path,
) -> LawRecord:
    volts = profile.cv.volts_per_fs
    figures = {
        "setting": {name: str(value) for name, value in setting.items()},
        "volts_per_fs": volts,
        "law": asdict(law),
        "cv_delay": asdict(lag),
        "loud": asdict(found),
        "algorithm_version": ALGORITHM_VERSION,
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
        covariance_db2_per_fs=law.covariance[0][1],
        accuracy_db=law.accuracy_db,
        residual_db=law.residual_db,
        r2=law.r2,
        steps=sum(reading.left_out is None for reading in law.readings),
        left_out=law.left_out,
        readings=tuple(LawStep(**asdict(reading)) for reading in law.readings),
        deepest_gain_db=law.deepest_gain_db,
        deepest_cv_fs=law.deepest_cv_fs,
        rest_v=law.rest_fs * volts,
        rest_uncertainty_v=law.rest_uncertainty_fs * volts,
        rest_noise_v=law.rest_noise_fs * volts,
        static_left_db=law.static_left_db,
        static_right_db=law.static_right_db,
        static_uncertainty_db=law.static_uncertainty_db,
        slope_left_db_per_fs=law.slope_left_db_per_fs,
        slope_right_db_per_fs=law.slope_right_db_per_fs,
        tracking_db=law.tracking_db,
        tracking_uncertainty_db=law.tracking_uncertainty_db,
        slope_ratio=law.slope_ratio,
        cv_delay_frames=lag.frames,
        cv_delay_uncertainty_frames=lag.uncertainty_frames,
        cv_delay_reduction_db=lag.reduction_db,
        cv_delay_left_db=lag.left_db,
        corner_hz=law.coupling.corner_hz if law.offset_fs is not None else None,
        corner_uncertainty_hz=law.coupling.corner_uncertainty_hz,
        offset_fs=law.offset_fs,
        loud=found,
        temperature_c=None,
        previous_id=None,
        drift_db=None,
        files=probe.keep(dataset, law_id, played, figures),
        algorithm_version=ALGORITHM_VERSION,
    )
