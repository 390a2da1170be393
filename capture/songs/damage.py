"""Tells a sound file that was cut off: a copy or a download that never finished.

libsndfile takes such a file for a shorter one. But containers say how much there should be: a WAV,
RF64 or AIFF file gives the bytes of its sample chunk before the samples, and the last page of an
Ogg file bears an end-of-stream flag (RFC 3533, section 6). FLAC gives the number of frames, and
most MP3 files do: those are counted as they are decoded. An MP3 file without such a count cannot
be told from a whole one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Literal

# Programs that write into a pipe cannot know the size, and put the largest one.
UNKNOWN_BYTES = 0x7FFFF000
OGG_PAGE_BYTES = 27 + 255 + 255 * 255
LAST_PAGE = 0x04


def missing_bytes(path: Path) -> int:
    """How many bytes a WAV, RF64 or AIFF file promises beyond its end; 0 where it is whole.

    An Ogg file without its last page lacks an unknown number: 1. Other formats give 0.
    Raises OSError if the file cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        magic = file.read(4)
        if magic == b"OggS":
            return 0 if _has_last_page(file, size) else 1
        if magic in (b"RIFF", b"RF64"):
            return max(0, _samples_end(file, size, "little") - size)
        return max(0, _samples_end(file, size, "big") - size) if magic == b"FORM" else 0


def _samples_end(file: BinaryIO, size: int, order: Literal["little", "big"]) -> int:
    """Where the sample chunk should end, in bytes from the file's beginning."""
    start, long_bytes = 12, 0
    while start + 8 <= size:
        file.seek(start)
        name, length = file.read(4), int.from_bytes(file.read(4), order)
        if name == b"ds64":
            file.seek(start + 16)
            long_bytes = int.from_bytes(file.read(8), order)
        if name in (b"data", b"SSND"):
            promised = long_bytes or (length if length < UNKNOWN_BYTES else 0)
            return start + 8 + promised
        start += 8 + length + length % 2
    return 0


def _has_last_page(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - OGG_PAGE_BYTES))
    tail = file.read()
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & LAST_PAGE)
