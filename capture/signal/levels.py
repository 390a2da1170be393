"""Level measures. 0 dBFS is full scale: a full-scale sine has an RMS of -3.01 dBFS."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

FULL_SCALE = 2.0**31
TOP_CODE = 2**31 - 2**8
"""The largest 24-bit code, left-justified in an int32. The smallest is one code below its negative.
"""


def codes_of(fractions: NDArray[np.float64]) -> NDArray[np.int32]:
    """Fractions of full scale as the nearest 24-bit codes, left-justified; the same shape.

    They must lie within full scale: what does not is no sample.
    """
    return np.rint(fractions * 2**23).astype(np.int32) << 8


def amplified(codes: NDArray[np.int32], gain_db: float) -> NDArray[np.int32]:
    """24-bit codes, left-justified, with a gain, rounded to such codes; the same shape.

    They must fit: what was checked is the peak. One of just full scale rounds to a code above the
    largest, and is made the largest.
    """
    gain = 10 ** (gain_db / 20)
    louder = np.rint(codes * (gain / 2**8)) if gain != 1 else codes >> 8
    return np.minimum(louder, 2**23 - 1).astype(np.int32) << 8


def dbfs(amplitude: float) -> float | None:
    """20 log10 of an amplitude (full scale 1); None for silence, which has no level in dB."""
    return 20 * math.log10(amplitude) if amplitude > 0 else None


def longest_run(mask: NDArray[np.bool_], before: int = 0) -> tuple[int, int]:
    """The longest run of True, and the run that the array ends in.

    ``before`` is the run that the samples before it ended in, so that runs are followed from
    block to block.
    """
    if not mask.any():
        return before, 0
    edges = np.flatnonzero(~mask)
    if not len(edges):
        return before + len(mask), before + len(mask)
    inner = int(np.diff(edges).max(initial=1)) - 1
    first, last = before + int(edges[0]), len(mask) - 1 - int(edges[-1])
    return max(first, inner, last), last
