"""24-bit FLAC, bit for bit.

Samples are int32 with the 24 converter bits left-justified (full scale 2**31), shape
(frames, channels). Integers, never floats: libsndfile scales floats by 2**23 - 1 on the way out
and by 2**23 on the way in, which would alter the recording.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from types import TracebackType

BLOCK_FRAMES = 65536
Samples = NDArray[np.int32]


class FlacWriter:
    """Streams samples into one 24-bit FLAC file. Use it in a ``with`` block.

    Raises OSError when the disk refuses.
    """

    def __init__(self, path: Path, sample_rate_hz: int, channels: int) -> None:
        import soundfile

        self._path = path
        # Opened by us, so that a refusal comes as an OSError with its reason.
        binary = getattr(os, "O_BINARY", 0)  # Windows would translate line ends
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | binary, 0o644)
        self._file = soundfile.SoundFile(
            self._descriptor, "w", sample_rate_hz, channels, "PCM_24", format="FLAC", closefd=False
        )

    def write(self, samples: Samples) -> None:
        import soundfile

        try:
            self._file.write(samples)
        except soundfile.SoundFileError as error:
            # libsndfile hides why a write failed; nothing but the disk can refuse one.
            raise OSError(errno.ENOSPC, f"write failed: {error}", str(self._path)) from error

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            os.close(self._descriptor)

    def __enter__(self) -> FlacWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_blocks(
    path: Path, start: int = 0, stop: int | None = None, block_frames: int = BLOCK_FRAMES
) -> Iterator[Samples]:
    """The samples of ``path`` from frame ``start`` to ``stop``, block by block."""
    import soundfile

    with soundfile.SoundFile(path) as file:
        file.seek(start)
        left = (file.frames if stop is None else stop) - start
        while left > 0:
            block = cast(Samples, file.read(min(left, block_frames), "int32", always_2d=True))
            if not len(block):
                return
            left -= len(block)
            yield block


def read(path: Path, start: int = 0, stop: int | None = None) -> Samples:
    """All samples of ``path`` from frame ``start`` to ``stop``, shape (frames, channels)."""
    import soundfile

    samples = soundfile.read(path, start=start, stop=stop, dtype="int32", always_2d=True)[0]
    return cast(Samples, samples)


@dataclass(frozen=True, slots=True)
class Header:
    frames: int
    sample_rate_hz: int
    channels: int
    encoding: str


def header(path: Path) -> Header:
    """What the file says of itself. Raises soundfile.SoundFileError if it is no sound file."""
    import soundfile

    info = soundfile.info(path)
    return Header(info.frames, info.samplerate, info.channels, f"{info.format}/{info.subtype}")
