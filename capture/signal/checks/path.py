"""The path from song and CV to the recording: a short filter for each channel, and the CV's delay.

    z = D * y,   d = D * (x G(v(n + tau))),   z = h * d + e

D is a band filter, some 300 Hz to 0.29 of the rate: below it are hum, offsets and couplings, above
it converters differ. h, 32 taps, is static and make-up gain, the fraction of a frame, converters
and transformers. tau is by how much the CV comes later than the song does.

Where no path is handed in it is fitted as the take goes by: h by least squares over all blocks so
far, the one at hand included, one equation for every 16 frames (the growing window of recursive
least squares: Haykin, Adaptive Filter Theory). What cannot be told from bass is learnt with the
first cymbal. tau follows by Gauss-Newton on the same squares, de/dtau = -h * D * (x G'), what h
could do instead taken out; each block counts by its information.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]

TAPS = 16
STEP = 8
"""One of so many samples, in turn another one of them, gives an equation for h."""
GOLDEN = (math.sqrt(5) - 1) / 2
NEPERS = math.log(10) / 20
FLOOR = 1e-10
"""Noise of -100 dBFS: what is not louder teaches h nothing."""
UNSURE_FRAMES = 4.0
"""How far tau may be from 0 before anything is known."""
TURNS = 5
"""Gauss-Newton steps on the first block that tells anything of tau."""
SURE_FRAMES = 0.2
"""A block tells something of tau if its standard deviation is below this."""
_GEMM = 48
"""Outputs that are filtered by one row of a matrix product."""


@dataclass(frozen=True, slots=True)
class Path:
    """Fitted once, true until a cable or a converter changes.

    ``taps`` (2, TAPS): h of left and right; tap ``TAPS // 2`` is a delay of 0. ``cv_delay_frames``:
    tau, positive where the CV is later than the song.
    """

    taps: Doubles
    cv_delay_frames: float


@dataclass(frozen=True, slots=True)
class Followed:
    """A block. ``q`` = h * d (2, frames / 2), ``gain_db`` (frames,) the CV's gain at each frame of
    x, the CV's delay in this block and its standard deviation in frames. ``squares`` (2, TAPS,
    TAPS) and ``targets`` (2, TAPS) are this block's equations for h, ``taps`` what h was for it.
    """

    q: Singles
    gain_db: Singles
    delay_frames: float
    sigma_frames: float
    squares: Doubles
    targets: Doubles
    taps: Doubles

    def gain(self, taps: Doubles) -> float:
        """<z, taps * d> / <taps * d, taps * d>, both channels together; 1 where there is no d."""
        power = sum(float(h @ r @ h) for h, r in zip(taps, self.squares, strict=True))
        matched = float(np.sum(taps * self.targets))
        return matched / power if matched > 0 and power > 0 else 1.0


class PathFit:
    """Knows the path, or learns it. Arrays of channels are (2, frames): left, right."""

    def __init__(self, gain_db_per_fs: float, path: Path | None) -> None:
        self._slope = np.float32(gain_db_per_fs)
        self._given = path is not None
        self._taps = path.taps if path else np.zeros((2, TAPS))
        self._tau = path.cv_delay_frames if path else 0.0
        self._information = UNSURE_FRAMES**-2
        self._found = False
        self._squares = np.eye(TAPS) * np.full((2, 1, 1), FLOOR)
        self._targets = np.zeros((2, TAPS))

    @property
    def path(self) -> Path:
        return Path(self._taps.copy(), self._tau)

    def follow(self, x: Singles, z: Singles, v: Singles) -> Followed:
        """One block: x (2, frames), z (2, frames / 2), v (frames,). Learns before it predicts."""
        gain_db, driven, heard = self._drive(x, v)
        lag, sigma, squares, targets = self._learn(z, gain_db, driven, heard)
        if not self._given and not self._found and sigma < SURE_FRAMES:
            self._found = True
            for _ in range(TURNS):
                self._tau += float(np.clip(lag, -1, 1))
                gain_db, driven, heard = self._drive(x, v)
                lag, sigma, squares, targets = self._learn(z, gain_db, driven, heard)
        q, delay = self._through(heard), self._tau + lag
        if not self._given:
            self._squares += squares
            self._targets += targets
            if sigma < SURE_FRAMES:
                self._information += sigma**-2
                self._tau += float(np.clip(lag, -1, 1)) * sigma**-2 / self._information
        return Followed(q, gain_db, delay, sigma, squares, targets, self._taps.copy())

    def _drive(self, x: Singles, v: Singles) -> tuple[Singles, Singles, Singles]:
        """The CV's gain at each frame of x, x under that gain, and the band of it."""
        gain_db = shifted(v, self._tau) * self._slope
        driven = x * np.exp(gain_db * np.float32(NEPERS))
        return gain_db, driven, banded(driven)

    def _through(self, heard: Singles) -> Singles:
        before, after = TAPS // 2 - 1, TAPS // 2
        padded = np.pad(heard, ((0, 0), (before, after)))
        return np.stack([_correlated(padded[s], self._taps[s][::-1], 1) for s in (0, 1)])

    def _learn(
        self, z: Singles, gain_db: Singles, driven: Singles, heard: Singles
    ) -> tuple[float, float, Doubles, Doubles]:
        """Fits h; returns lag, sigma, and this block's equations."""
        slopes = np.gradient(gain_db) * NEPERS
        moved = banded((driven * slopes).astype(np.float32))
        squares, targets = np.zeros((2, TAPS, TAPS)), np.zeros((2, TAPS))
        chosen = _chosen(z.shape[1])
        along = across = error = 0.0
        for side in (0, 1):
            rows = _rows(heard[side])[chosen].astype(np.float64)
            wanted = z[side, chosen].astype(np.float64)
            own, cross = rows.T @ rows, rows.T @ wanted
            squares[side], targets[side] = own, cross
            if not self._given:
                self._taps[side] = np.linalg.solve(
                    self._squares[side] + own, self._targets[side] + cross
                )
            slide: Doubles = _rows(moved[side])[chosen].astype(np.float64) @ self._taps[side]
            left = wanted - rows @ self._taps[side]
            mixed = rows.T @ slide
            slide -= rows @ np.linalg.solve(own + FLOOR * np.eye(TAPS), mixed)
            along += float(left @ slide)
            across += float(slide @ slide)
            error += float(left @ left)
        if across <= 0:
            return 0.0, math.inf, squares, targets
        sigma = math.sqrt(error / (2 * len(chosen)) / across)
        return along / across, sigma, squares, targets


def banded(x: Singles) -> Singles:
    """D * x at every second frame, (channels, frames / 2); wrong near the ends, which are odd."""
    side = len(BAND) // 2
    return np.stack([_correlated(np.pad(channel, side), BAND, 2) for channel in x])


def shifted(v: Singles, frames: float) -> Singles:
    """v(n + frames), the same shape; the ends are repeated."""
    whole = math.floor(frames)
    time = np.arange(-15, 17) - (frames - whole)
    taps = np.sinc(time) * np.i0(6.0 * np.sqrt(1 - (time / 16.5) ** 2))
    before, after = max(0, 15 - whole), max(0, 16 + whole)
    long = np.pad(v, (before, after), mode="edge")[max(0, whole - 15) :]
    return _correlated(long[: len(v) + 31], taps / float(np.sum(taps)), 1)


def _correlated(x: Singles, taps: Doubles, hop: int) -> Singles:
    """sum_k x(hop n + k) taps(k) where all of it is there: a product with a band matrix."""
    count = (len(x) - len(taps)) // hop + 1
    rows = -(-count // _GEMM)
    width = (_GEMM - 1) * hop + len(taps)
    x = np.pad(x, (0, max(0, (rows - 1) * _GEMM * hop + width - len(x))))
    matrix = np.zeros((width, _GEMM), np.float32)
    for column in range(_GEMM):
        matrix[hop * column : hop * column + len(taps), column] = taps
    return (sliding_window_view(x, width)[:: _GEMM * hop][:rows] @ matrix).ravel()[:count]


def _rows(heard: Singles) -> Singles:
    """The TAPS values around each sample, the newest first: h @ row is h * d there; a view."""
    padded = np.pad(heard, (TAPS // 2 - 1, TAPS // 2))
    return sliding_window_view(padded, TAPS)[:, ::-1]


def _chosen(samples: int) -> NDArray[np.intp]:
    """One of each STEP samples; irregular, for music may have a period."""
    steps = np.arange(samples // STEP)
    return steps * STEP + (steps * GOLDEN % 1 * STEP).astype(np.intp)


def _band_taps() -> Doubles:
    """Symmetric, 163 taps: 1 less a moving Hann window, and a Kaiser low-pass at 0.2 of the rate,
    which leaves nothing above 0.25."""
    window = np.hanning(117)[1:-1]
    high = -window / float(np.sum(window))
    high[57] += 1
    time = np.arange(-24, 25)
    low = 0.4 * np.sinc(0.4 * time) * np.kaiser(49, 6.0)
    return np.convolve(high, low / float(np.sum(low)))


BAND = _band_taps()
