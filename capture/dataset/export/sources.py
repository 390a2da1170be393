"""What every layout is made from: the files of a take, proven and read block by block.

A file's SHA-256 is compared with its row's before it is decoded, so that nothing damaged is carried
on. Audio is int32 with the 24 bits left-justified (``audio``); the gain float32 in dB (``gain``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from capture.dataset.audio import BLOCK_FRAMES, Samples, read_blocks
from capture.dataset.gain import gain_blocks
from capture.dataset.snapshot import Row
from capture.errors import DamagedData

Kind = Literal["input", "output", "cv"]
Gain = NDArray[np.float32]
COPY_BYTES = 1 << 20
T = TypeVar("T")


def _no_stop() -> None:
    """Nobody asks for a stop."""


@dataclass(slots=True)
class Sources:
    """The dataset's files. ``stop`` is called between blocks and may raise.

    All methods raise DamagedData, naming the file, where one is missing, cannot be decoded or is
    not the one of its row.
    """

    root: Path
    stop: Callable[[], None] = _no_stop
    _proven: set[str] = field(default_factory=set[str])

    def audio(
        self,
        take: Row,
        kind: Kind,
        start: int = 0,
        end: int | None = None,
        block_frames: int = BLOCK_FRAMES,
    ) -> Iterator[Samples]:
        """``input``, ``output`` or ``cv`` from frame ``start`` to ``end``: (frames, channels)."""
        return self._heeding(read_blocks(self._proof(take, kind), start, end, block_frames))

    def gain_db(
        self, take: Row, start: int = 0, end: int | None = None, block_frames: int = BLOCK_FRAMES
    ) -> Iterator[Gain]:
        """The take's gain (frames,) in dB, negative = attenuation."""
        self._proof(take, "cv")
        return self._heeding(gain_blocks(self.root, take, start, end, block_frames))

    def copy(self, take: Row, kind: Kind, target: Path) -> None:
        """The file as it is; proven while it is copied."""
        with target.open("wb") as copy:
            self._read(take, kind, copy.write)

    def size_bytes(self, take: Row, kind: Kind) -> int:
        """Of the file on the disk."""
        path = self._inside(take[f"{kind}_file"])
        try:
            return path.stat().st_size
        except OSError as error:
            raise DamagedData(f"{path}: cannot be read: {error.strerror}") from None

    def _proof(self, take: Row, kind: Kind) -> Path:
        name: str = take[f"{kind}_file"]
        if name not in self._proven:
            self._read(take, kind)
            self._proven.add(name)
        return self._inside(name)

    def _read(self, take: Row, kind: Kind, use: Callable[[bytes], object] | None = None) -> None:
        """All bytes of the file, given to ``use``, and compared with the row."""
        path, digest = self._inside(take[f"{kind}_file"]), hashlib.sha256()
        try:
            file = path.open("rb")
        except OSError as error:
            raise DamagedData(f"{path}: cannot be read: {error.strerror}") from None
        with file:
            while block := file.read(COPY_BYTES):
                self.stop()
                digest.update(block)
                if use:
                    use(block)
        if digest.hexdigest() != take[f"{kind}_sha256"]:
            raise DamagedData(
                f"{path}: is damaged: its SHA-256 is not the one of take {take['take_id']}; "
                "see: capture verify"
            )

    def _inside(self, name: str) -> Path:
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise DamagedData(f"{self.root}: a row's path leads out of the dataset: {name}")
        return self.root / name

    def _heeding(self, blocks: Iterator[T]) -> Iterator[T]:
        for block in blocks:
            self.stop()
            yield block
