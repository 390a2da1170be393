"""From a take's CV file to its gain in dB, block by block.

``gain_db = cv * gain_db_per_fs + gain_db_at_zero``, full scale 1, all from the take's own row;
negative is attenuation. It is 0 dB at rest where the law was measured: make-up is in none of it.
The CV of an AC-coupled input is made good first, from frame 0 on (docs/measurements.md):

    s(n) = v(n) - cv_offset_fs,   u(n) = s(n) + cv_start_fs + w/2 sum_{k=1..n} (s(k-1) + s(k))
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from capture.dataset.audio import BLOCK_FRAMES, read_blocks
from capture.dataset.snapshot import Row
from capture.signal.coupling import Repair
from capture.signal.levels import FULL_SCALE

GAIN_COLUMNS = (
    "cv_file",
    "sample_rate_hz",
    "gain_db_per_fs",
    "gain_db_at_zero",
    "cv_corner_hz",
    "cv_offset_fs",
    "cv_start_fs",
)
"""What of a take's row the gain is made from."""


def gain_blocks(
    root: Path,
    take: Row,
    start: int = 0,
    stop: int | None = None,
    block_frames: int = BLOCK_FRAMES,
) -> Iterator[NDArray[np.float32]]:
    """The gain in dB from frame ``start`` to ``stop``, in blocks (frames,) of ``block_frames``.

    ``take``: a row of ``takes`` with ``GAIN_COLUMNS``. Of an AC-coupled CV all that is before
    ``start`` is read as well: the repair is an integral.

    Raises DamagedData if the file is missing or cannot be decoded.
    """
    path = root / take["cv_file"]
    slope, offset = take["gain_db_per_fs"], take["gain_db_at_zero"]
    for cv in _voltage(path, take, start, stop, block_frames):
        yield (cv * slope + offset).astype(np.float32)


def _voltage(
    path: Path, take: Row, start: int, stop: int | None, block_frames: int
) -> Iterator[NDArray[np.float64]]:
    """The CV as the law reads it, full scale 1, float64 (frames,)."""
    if take["cv_corner_hz"] is None:
        for codes in read_blocks(path, start, stop, block_frames):
            yield codes[:, 0] / FULL_SCALE
        return
    repair = Repair(take["cv_corner_hz"], take["cv_offset_fs"], take["sample_rate_hz"])
    shift_fs = None
    for begin, end, wanted in ((0, start, False), (start, stop, True)):
        for codes in read_blocks(path, begin, end, block_frames):
            shown = codes[:, 0] / FULL_SCALE
            voltage = repair.process(shown)
            if shift_fs is None:  # the repair counts frame 0 into its sum; the formula does not
                shift_fs = take["cv_start_fs"] - (voltage[0] - (shown[0] - repair.offset_fs))
            if wanted:
                yield voltage + shift_fs
