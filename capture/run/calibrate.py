"""Measures an opened rig's latency and keeps the audio that it was measured from.

The probe goes out before any knob is set and is too quiet to work the compressor. The left
return's whole-frame delay is what every take is cut by; what remains of each channel is recorded.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from capture.dataset import files
from capture.dataset.audio import FlacWriter
from capture.errors import MeasurementFailed
from capture.hardware.ports import Audio, Label, Samples
from capture.hardware.profile import CvProfile
from capture.model import GainLaw, canonical
from capture.records import CalibrationRecord, ChannelDelay
from capture.signal import delay
from capture.signal.levels import FULL_SCALE, codes_of

CHANNELS = ("left", "right")
BLOCK_FRAMES = 65536


def expected_law(cv: CvProfile) -> GainLaw:
    """The gain law of the rig profile, from ``volts = slope * gain_db + offset``."""
    return GainLaw(
        gain_db_per_fs=cv.volts_per_fs / cv.expected_volts_per_db,
        gain_db_at_zero=-cv.expected_volts_at_0db / cv.expected_volts_per_db,
        origin="expected",
    )


def measure_latency(
    audio: Audio, law: GainLaw, dataset: Path, attempt: int = 1
) -> CalibrationRecord:
    """Plays the probe, measures each return's delay, writes ``calibration/ID/``.

    Raises:
        MeasurementFailed: with the channel and the reason.
        DeviceLost.
    """
    rate = audio.sample_rate_hz
    probe = delay.probe(rate)
    codes = codes_of(probe)
    blocks = [codes[i : i + BLOCK_FRAMES] for i in range(0, len(codes), BLOCK_FRAMES)]
    recording = audio.record(blocks, Label("latency", "probe", attempt))
    received = np.concatenate(list(recording))
    interval = recording.interval
    if interval.flags:
        flags = ", ".join(sorted(interval.flags))
        raise MeasurementFailed(f"latency: the stream reported {flags} during the probe")
    if interval.left_out_frames:
        raise MeasurementFailed("latency: the stream left frames out during the probe")
    delays: dict[str, ChannelDelay] = {}
    for channel, name in enumerate(CHANNELS):
        column = received[:, audio.inputs.index(name)] / FULL_SCALE
        try:
            found = delay.from_probe(probe[:, channel], column, rate)
        except MeasurementFailed as error:
            raise MeasurementFailed(f"latency of the {name} return: {error}") from None
        delays[name] = ChannelDelay(
            delay_frames=found.frames,
            uncertainty_frames=found.uncertainty_frames,
            inverted=found.inverted,
            peak_to_rms=found.peak_to_rms,
            low_hz=found.low_hz,
            high_hz=found.high_hz,
        )
    return _keep(audio, law, delays, codes, received, dataset)


def _keep(
    audio: Audio,
    law: GainLaw,
    delays: dict[str, ChannelDelay],
    sent: Samples,
    received: Samples,
    dataset: Path,
) -> CalibrationRecord:
    audio_hash = hashlib.sha256(sent.tobytes() + np.ascontiguousarray(received).tobytes())
    identity = [audio_hash.hexdigest(), repr(law), delay.ALGORITHM_VERSION, audio.sample_rate_hz]
    calibration_id = "cal-" + hashlib.sha256(canonical(identity).encode()).hexdigest()[:12]
    folder = dataset / "calibration" / calibration_id
    names = {"probe.flac": sent, "response.flac": received}
    with files.staged(*(folder / name for name in names)) as parts:
        for part, samples in zip(parts, names.values(), strict=True):
            with FlacWriter(part, audio.sample_rate_hz, samples.shape[1]) as writer:
                writer.write(samples)
    return CalibrationRecord(
        calibration_id=calibration_id,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sample_rate_hz=audio.sample_rate_hz,
        latency_frames=round(delays["left"].delay_frames),
        delays=delays,
        law=law,
        files={name: files.sha256(folder / name) for name in names},
        algorithm_version=delay.ALGORITHM_VERSION,
    )
