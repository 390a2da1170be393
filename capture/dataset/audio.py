"""24-bit FLAC, bit for bit.

Samples are int32 with the 24 converter bits left-justified (full scale 2**31), shape
(frames, channels). Integers, never floats: libsndfile scales floats by 2**23 - 1 on the way out
and by 2**23 on the way in, which would alter the recording.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from capture.errors import DamagedData

if TYPE_CHECKING:
    from types import TracebackType

BLOCK_FRAMES = 65536
STREAMINFO_END = 42
"""The bytes of a FLAC file's signature, of its first block's header, and of that block."""
Samples = NDArray[np.int32]


class _Sink:
    """The file that libsndfile writes, through us.

    It does not say why a write failed, and says nothing of one that fails as it closes: a full disk
    would leave a truncated file and no error. So the first refusal is kept here.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Says that all was written, so that the refusal is told by ``check`` and nobody else."""
        left = memoryview(data)
        try:
            while left and self._error is None:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._error = error
        return len(data)

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def check(self) -> None:
        """Raises the OSError that a write met."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self._file.close()


class FlacWriter:
    """Streams samples into one 24-bit FLAC file. Use it in a ``with`` block.

    Raises OSError when the disk refuses, as late as on leaving the block: the end of the audio and
    the header's counts are written then.
    """

    def __init__(self, path: Path, sample_rate_hz: int, channels: int) -> None:
        import soundfile

        self._sink = _Sink(path)
        try:
            self._file = soundfile.SoundFile(
                cast(Any, self._sink), "w", sample_rate_hz, channels, "PCM_24", format="FLAC"
            )
        except BaseException:
            self._sink.close()
            self._sink.check()
            raise

    def write(self, samples: Samples) -> None:
        self._file.write(samples)
        self._sink.check()

    def close(self) -> None:
        try:
            self._file.close()
            self._sink.check()
        finally:
            self._sink.close()

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
    """The samples of ``path`` from frame ``start`` to ``stop``, block by block.

    Raises DamagedData if the file is missing or cannot be decoded.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            file.seek(start)
            left = (file.frames if stop is None else stop) - start
            while left > 0:
                block = cast(Samples, file.read(min(left, block_frames), "int32", always_2d=True))
                if not len(block):
                    return
                left -= len(block)
                yield block
    except soundfile.SoundFileError as error:
        raise DamagedData(f"{path}: cannot be read: {error}") from None


def read(path: Path, start: int = 0, stop: int | None = None) -> Samples:
    """All samples of ``path`` from frame ``start`` to ``stop``, shape (frames, channels)."""
    import soundfile

    samples = soundfile.read(path, start=start, stop=stop, dtype="int32", always_2d=True)[0]
    return cast(Samples, samples)


def window(path: Path, start: int, stop: int, whole: int, channels: int) -> NDArray[np.float32]:
    """The frames from ``start`` to ``stop`` of a file that has ``whole``: (frames, channels).

    Full scale 1; 24 bits fit into a float32: nothing is rounded. Raises DamagedData where the file
    is missing, cannot be decoded, or is not of this shape.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if (file.frames, file.channels) != (whole, channels):
                raise DamagedData(
                    f"{path}: has {file.frames} frames and {file.channels} channels, not {whole} "
                    f"and {channels} as its row says; see: capture verify"
                )
            file.seek(start)
            samples = cast(NDArray[np.float32], file.read(stop - start, "float32", always_2d=True))
    except (soundfile.SoundFileError, OSError) as error:
        why = error if path.is_file() else "there is no such file"
        raise DamagedData(f"{path}: cannot be read: {why}; see: capture verify") from None
    if len(samples) != stop - start:
        raise DamagedData(f"{path}: ends at frame {start + len(samples)}; see: capture verify")
    return samples


@dataclass(frozen=True, slots=True)
class Header:
    frames: int
    sample_rate_hz: int
    channels: int
    bits: int


def header(path: Path) -> Header:
    """What a FLAC file says of itself, without a decoder: a dataset has a hundred thousand of them.

    The STREAMINFO block, which is the first of every FLAC file (RFC 9639, section 8.2): after 80
    bits on the sizes of blocks and frames come 20 of sample rate, 3 of channels less one, 5 of bits
    a sample less one, 36 of samples a channel.

    Raises OSError, and DamagedData where it is no such file.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(STREAMINFO_END)
    if len(head) < STREAMINFO_END or head[:4] != b"fLaC" or head[4] & 0x7F:
        raise DamagedData(f"{path}: does not begin as one")
    packed = int.from_bytes(head[18:26], "big")
    return Header(
        frames=packed & (1 << 36) - 1,
        sample_rate_hz=packed >> 44,
        channels=(packed >> 41 & 7) + 1,
        bits=(packed >> 36 & 31) + 1,
    )
