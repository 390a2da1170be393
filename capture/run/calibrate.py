"""Measures an opened rig's latency and keeps the audio that it was measured from.

The probe goes out before any knob is set and is too quiet to work the compressor. The left
return's whole-frame delay is what every take is cut by; what remains of each channel is recorded.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from capture.hardware.ports import Audio, Label
from capture.hardware.profile import CvProfile
from capture.model import GainLaw, canonical
from capture.records import CalibrationRecord, ChannelDelay, utc_now
from capture.run import probe
from capture.signal import delay
from capture.signal.delay import Delay


def expected_law(cv: CvProfile) -> GainLaw:
    """The gain law of the rig profile, from ``volts = slope * gain_db + offset``."""
    return GainLaw(
        gain_db_per_fs=cv.volts_per_fs / cv.expected_volts_per_db,
        gain_db_at_zero=-cv.expected_volts_at_0db / cv.expected_volts_per_db,
        origin="expected",
    )


def measure_latency(
    audio: Audio, law: GainLaw, law_id: str | None, dataset: Path, attempt: int = 1
) -> CalibrationRecord:
    """Plays the probe, measures each return's delay, writes ``calibration/ID/``.

    ``law``, and the id of its record where it was measured, become part of the calibration.

    Raises:
        MeasurementFailed: with the channel and the reason.
        DeviceLost.
    """
    rate = audio.sample_rate_hz
    signal = delay.probe(rate)
    played = probe.play(audio, signal, Label("latency", "probe", attempt))
    probe.require_whole(played, "latency", len(signal))
    heard = {name: played.column(name) for name in audio.inputs if name in delay.SENDS}
    found = delay.of_inputs(signal, heard, rate)
    delays = {name: channel_delay(one) for name, one in found.items()}
    figures = {
        "latency_frames": round(delays["left"].delay_frames),
        "delays": {name: asdict(one) for name, one in delays.items()},
        "law": asdict(law),
        "law_id": law_id,
        "algorithm_version": delay.ALGORITHM_VERSION,
    }
    calibration_id = probe.name_of("cal", [played], canonical(figures), rate)
    return CalibrationRecord(
        calibration_id=calibration_id,
        measured_at=utc_now(),
        sample_rate_hz=rate,
        latency_frames=round(delays["left"].delay_frames),
        delays=delays,
        law=law,
        law_id=law_id,
        files=probe.keep(dataset, calibration_id, {"latency": played}, figures),
        algorithm_version=delay.ALGORITHM_VERSION,
    )


def channel_delay(found: Delay) -> ChannelDelay:
    """A measured delay, as it is kept."""
    return ChannelDelay(
        delay_frames=found.frames,
        uncertainty_frames=found.uncertainty_frames,
        inverted=found.inverted,
        peak_to_rms=found.peak_to_rms,
        low_hz=found.low_hz,
        high_hz=found.high_hz,
        gain_db=found.gain_db,
        gain_uncertainty_db=found.gain_uncertainty_db,
    )
