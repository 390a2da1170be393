"""Plays a short signal into an opened rig, takes back all of it, keeps both as evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.dataset import files
from capture.dataset.audio import FlacWriter
from capture.errors import MeasurementFailed
from capture.hardware.ports import Audio, Interval, Label, Samples
from capture.model import canonical
from capture.signal.levels import FULL_SCALE, amplified, codes_of

BLOCK_FRAMES = 65536
RECORD = "record.json"


@dataclass(frozen=True, slots=True)
class Played:
    """``sent`` (frames, 2) and ``received`` (frames + tail, inputs): converter values.

    ``received`` is shorter where the stream ended early.
    """

    sent: Samples
    received: Samples
    inputs: tuple[str, ...]
    sample_rate_hz: int
    interval: Interval

    def column(self, name: str) -> NDArray[np.float64]:
        """What came back at one input, (frames + tail,), full scale 1."""
        return self.received[:, self.inputs.index(name)] / FULL_SCALE

    def pair(self) -> NDArray[np.float64]:
        """What came back at left and right, (frames + tail, 2), full scale 1."""
        return np.column_stack([self.column("left"), self.column("right")])


def play(
    audio: Audio,
    signal: NDArray[np.float64],
    label: Label,
    tail_frames: int = 0,
    send_gain_db: float = 0.0,
) -> Played:
    """Plays ``signal`` (frames, 2), full scale 1, with a send gain, as songs are.

    What comes back is ``tail_frames`` longer. Raises DeviceLost.
    """
    sent = amplified(codes_of(signal), send_gain_db)
    blocks = (sent[at : at + BLOCK_FRAMES] for at in range(0, len(sent), BLOCK_FRAMES))
    recording = audio.record(blocks, label, tail_frames)
    received = np.concatenate([np.zeros((0, len(audio.inputs)), np.int32), *recording])
    return Played(sent, received, audio.inputs, audio.sample_rate_hz, recording.interval)


def require_whole(played: Played, what: str, frames: int) -> None:
    """Raises MeasurementFailed where the stream did not carry all ``frames`` of it, in order."""
    interval = played.interval
    if interval.flags:
        flags = ", ".join(sorted(interval.flags))
        raise MeasurementFailed(f"{what}: the stream reported {flags} during the probe")
    if interval.left_out_frames or len(played.received) != frames:
        raise MeasurementFailed(f"{what}: the stream left frames out during the probe")


def name_of(kind: str, played: Iterable[Played], *facts: object) -> str:
    """``cal-3fa9c1d2...``: a name made from the audio and from all that was made of it."""
    audio = hashlib.sha256()
    for one in played:
        audio.update(one.sent.tobytes() + np.ascontiguousarray(one.received).tobytes())
    identity = canonical([audio.hexdigest(), *map(repr, facts)])
    return f"{kind}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def keep(
    dataset: Path, name: str, played: Mapping[str, Played], figures: Mapping[str, Any]
) -> dict[str, str]:
    """Writes ``calibration/NAME/``: what was measured as JSON, and the audio that it is made from.

    ``played`` by what each is. Returns the SHA-256 of each file.
    """
    folder = dataset / "calibration" / name
    audio = {
        f"{what}-{end}.flac": (one.sample_rate_hz, samples)
        for what, one in played.items()
        for end, samples in (("sent", one.sent), ("received", one.received))
    }
    text = json.dumps({"id": name, **figures}, indent=1, allow_nan=False) + "\n"
    with files.staged(*(folder / name for name in (*audio, RECORD))) as parts:
        for part, (rate, samples) in zip(parts, audio.values(), strict=False):
            with FlacWriter(part, rate, samples.shape[1]) as writer:
                writer.write(samples)
        parts[-1].write_text(text, "utf-8", newline="\n")
    return {name: files.sha256(folder / name) for name in (*audio, RECORD)}
