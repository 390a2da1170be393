"""From a take's CV file to its gain in dB, any stretch of it.

``gain_db = cv * gain_db_per_fs + gain_db_at_zero``, full scale 1, all from the take's own row;
negative is attenuation. It is 0 dB at rest where the law was measured: make-up is in none of it.
The CV of an AC-coupled input is made good first, from frame 0 on (docs/measurements.md):

    s(n) = v(n) - cv_offset_fs,   u(n) = s(n) + cv_start_fs + w/2 sum_{k=1..n} (s(k-1) + s(k))

That takes a sum over all frames before; it is made once a file and process, and kept for every
``BLOCK_FRAMES``-th frame.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from capture.dataset.audio import BLOCK_FRAMES, window

GAIN_COLUMNS = (
    "cv_file",
    "num_frames",
    "sample_rate_hz",
    "gain_db_per_fs",
    "gain_db_at_zero",
    "cv_corner_hz",
    "cv_offset_fs",
    "cv_start_fs",
)
"""What of a take's row the gain is made from."""
KEPT_SUMS = 1024


def gain_db(root: Path, take: Mapping[str, Any], start: int, stop: int) -> NDArray[np.float32]:
    """The gain in dB from frame ``start`` to ``stop``: (frames,).

    ``take``: a row of ``takes`` with ``GAIN_COLUMNS``. Raises DamagedData where its CV is missing,
    cannot be decoded, or is not as the row says.
    """
    cv_fs = _cv_fs(root / take["cv_file"], take, start, stop)
    return np.asarray(cv_fs * take["gain_db_per_fs"] + take["gain_db_at_zero"], np.float32)


def gain_blocks(
    root: Path,
    take: Mapping[str, Any],
    start: int = 0,
    stop: int | None = None,
    block_frames: int = BLOCK_FRAMES,
) -> Iterator[NDArray[np.float32]]:
    """``gain_db`` in blocks of ``block_frames``; to the take's end unless ``stop`` says otherwise.

    Raises DamagedData likewise.
    """
    end = int(take["num_frames"]) if stop is None else stop
    for at in range(start, end, block_frames):
        yield gain_db(root, take, at, min(at + block_frames, end))


def _cv_fs(path: Path, take: Mapping[str, Any], start: int, stop: int) -> NDArray[np.float64]:
    """The CV as its law reads it, full scale 1: (frames,)."""
    whole, corner_hz = int(take["num_frames"]), take["cv_corner_hz"]
    if corner_hz is None:
        return window(path, start, stop, whole, channels=1)[:, 0].astype(np.float64)
    offset_fs = take["cv_offset_fs"]
    first_fs, sums = _sums(path, whole, offset_fs)
    block = start // BLOCK_FRAMES
    known = block * BLOCK_FRAMES
    moved = window(path, known, stop, whole, channels=1)[:, 0].astype(np.float64) - offset_fs
    omega = 2 * math.pi * corner_hz / take["sample_rate_hz"]
    charge = sums[block] + np.cumsum(moved) - (moved + first_fs) / 2
    repaired = moved + take["cv_start_fs"] + omega * charge
    return cast(NDArray[np.float64], repaired[start - known :])


@functools.lru_cache(maxsize=KEPT_SUMS)
def _sums(path: Path, whole: int, offset_fs: float) -> tuple[float, NDArray[np.float64]]:
    """The first sample less the offset; and the sum of all before each block's first frame."""
    first_fs, sums = 0.0, [0.0]
    for start in range(0, whole, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, whole)
        moved = window(path, start, stop, whole, channels=1)[:, 0].astype(np.float64) - offset_fs
        if start == 0:
            first_fs = float(moved[0])
        sums.append(sums[-1] + float(np.sum(moved)))
    return first_fs, np.asarray(sums)
