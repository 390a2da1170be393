"""Sound files as the layouts want them. No sample is changed: 24 bits stay 24 bits.

WAV is written here, not by libsndfile: its float files carry the time of day in a PEAK chunk, so no
two exports would be alike, and SciPy, which reads SignalTrain's, refuses that chunk.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.dataset.audio import Samples
from capture.errors import DamagedData
from capture.signal.levels import FULL_SCALE

PCM, FLOAT = 1, 3
"""The format tags of RIFF WAVE: 24-bit integers, and 32-bit IEEE floats."""
MAX_BYTES = 2**32 - 64


def write_wav(
    path: Path,
    sample_rate_hz: int,
    channels: int,
    frames: int,
    tag: int,
    blocks: Iterable[NDArray[Any]],
) -> None:
    """``blocks`` (frames, channels) or (frames,): int32 left-justified for ``PCM``, else as floats.

    Integers become floats of full scale 1 where the tag is ``FLOAT``: exact, as 24 bits fit.

    Raises:
        DamagedData: the blocks do not have ``frames`` frames together, or more than WAV can hold.
    """
    width = 3 if tag == PCM else 4
    size = frames * channels * width
    if size > MAX_BYTES:
        raise DamagedData(f"{path.name}: {size} bytes are more than a WAV file can hold (4 GB)")
    written = 0
    with path.open("wb") as file:
        file.write(_header(sample_rate_hz, channels, frames, tag, width))
        for block in blocks:
            file.write(_bytes(block, tag))
            written += len(block)
        file.write(b"\0" * (size % 2))
    if written != frames:
        raise DamagedData(f"{path.name}: {written} frames were read; the row says {frames}")


def as_float(codes: Samples) -> NDArray[np.float32]:
    """Full scale 1, exact: 24 bits fit into a float32."""
    return (codes / FULL_SCALE).astype(np.float32)


def flac_bytes(samples: Samples, sample_rate_hz: int) -> bytes:
    """A 24-bit FLAC file of the samples (frames, channels)."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate_hz, "PCM_24", format="FLAC")
    return buffer.getvalue()


def _bytes(block: NDArray[Any], tag: int) -> bytes:
    if tag == PCM:
        # The lowest of four little-endian bytes is the one that 24 bits leave empty.
        return block.astype("<i4").reshape(-1, 1).view(np.uint8)[:, 1:].tobytes()
    floats = as_float(block) if block.dtype == np.int32 else block
    return floats.astype("<f4").tobytes()


def _header(sample_rate_hz: int, channels: int, frames: int, tag: int, width: int) -> bytes:
    frame = channels * width
    form = struct.pack(
        "<HHIIHH", tag, channels, sample_rate_hz, sample_rate_hz * frame, frame, 8 * width
    )
    chunks = [(b"fmt ", form)]
    if tag == FLOAT:  # which must say its length in frames besides, and how long its extension is
        chunks = [(b"fmt ", form + b"\0\0"), (b"fact", struct.pack("<I", frames))]
    head = b"".join(name + struct.pack("<I", len(body)) + body for name, body in chunks)
    size = frames * frame
    return (
        b"RIFF"
        + struct.pack("<I", 4 + len(head) + 8 + size + size % 2)
        + b"WAVE"
        + head
        + b"data"
        + struct.pack("<I", size)
    )
