"""The path from song and CV to the recording: a short filter for each channel, and the CV's delay.

    z = D * y,   d = D * (x G(v(n + tau))),   z = h * d + e

D is a band filter, some 300 Hz to 0.29 of the rate: below it are hum, offsets and couplings, above
it converters differ. h, 32 taps, is static and make-up gain, the fraction of a frame, converters
and transformers. tau is by how much the CV comes later than the song does.

Both are fitted as the take goes by: h by least squares over all blocks so far, the one at hand
included, one equation for every 16 frames (the growing window of recursive least squares: Haykin,
Adaptive Filter Theory). What cannot be told from bass is learnt with the first cymbal. A path that
is handed on from another take leaves more: what that song could not show of h, it does not know.
tau follows by Gauss-Newton on the same squares, de/dtau = -h * D * (x G'), what h could do instead
taken out; each block counts by its information.

Noise of the CV has slopes too: they are in de/dtau, make a block look sure, and tau look right. So
the delay that is reported of a block takes slopes over 8 frames, which do not share that noise, as
an instrument (instrumental variables: Ljung, System Identification): <e, w> / <de/dtau, w> with w
from these slopes. The steps take w = de/dtau: a gain that swings from frame to frame has no others.
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
TURNS = 8
FURTHEST_FRAMES = 8.0
SETTLED_FRAMES = 0.1
SIGNIFICANT = 5.0
"""So many Gauss-Newton steps, each so far at most, until so near, on the first block that is sure
that tau is off, by so many standard deviations: a CV that is 16 frames off is found so."""
SURE_FRAMES = 0.2
"""A block tells something of tau if its standard deviation is below this."""
SHARP, SMOOTH = 1, 2
SMOOTH_FRAMES = 4
"""Smooth slopes are taken from so many frames before to so many after."""
_GEMM = 24
"""Outputs that are filtered by one row of a matrix product."""


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


@dataclass(frozen=True, slots=True)
class _Learnt:
    """A block's equations for h, and the inner products (3, 3) of three signals: what h leaves, and
    what a frame of tau would change, with sharp and with smooth slopes of the gain."""

    squares: Doubles
    targets: Doubles
    products: Doubles
    equations: int

    def lag(self, instrument: int) -> tuple[float, float]:
        """By how much tau is off, and its standard deviation, in frames."""
        along, across = self.products[0, instrument], self.products[SHARP, instrument]
        if across <= 0:
            return 0.0, math.inf
        error = self.products[0, 0] / self.equations
        sigma = math.sqrt(error * self.products[instrument, instrument]) / across
        return float(along / across), float(sigma)


class PathFit:
    """Learns the path. Arrays of channels are (2, frames): left, right.

    ``taps`` (2, TAPS): h of left and right, so far; tap ``TAPS // 2`` is a delay of 0.
    """

    def __init__(self, gain_db_per_fs: float) -> None:
        self.taps = np.zeros((2, TAPS))
        self._slope = np.float32(gain_db_per_fs)
        self._tau = 0.0
        self._information = UNSURE_FRAMES**-2
        self._sought = False
        self._squares = np.eye(TAPS) * np.full((2, 1, 1), FLOOR)
        self._targets = np.zeros((2, TAPS))

    def follow(self, x: Singles, z: Singles, v: Singles) -> Followed:
        """One block: x (2, frames), z (2, frames / 2), v (frames,). Learns before it predicts."""
        gain_db, driven, heard = self._drive(x, v)
        learnt = self._learn(z, gain_db, driven, heard)
        step, unsure = learnt.lag(SHARP)
        far = abs(step) > max(SETTLED_FRAMES, SIGNIFICANT * unsure)
        if far and unsure < SURE_FRAMES and not self._sought:
            self._sought = True
            for _ in range(TURNS):
                if abs(step) < SETTLED_FRAMES:
                    break
                self._tau += float(np.clip(step, -FURTHEST_FRAMES, FURTHEST_FRAMES))
                gain_db, driven, heard = self._drive(x, v)
                learnt = self._learn(z, gain_db, driven, heard)
                step, unsure = learnt.lag(SHARP)
        lag, sigma = learnt.lag(SMOOTH)
        delay, q = self._tau + lag, self._through(heard)
        self._squares += learnt.squares
        self._targets += learnt.targets
        if unsure < SURE_FRAMES:
            self._information += unsure**-2
            self._tau += float(np.clip(step, -1, 1)) * unsure**-2 / self._information
        taps = self.taps.copy()
        return Followed(q, gain_db, delay, sigma, learnt.squares, learnt.targets, taps)

    def _drive(self, x: Singles, v: Singles) -> tuple[Singles, Singles, Singles]:
        """The CV's gain at each frame of x, x under that gain, and the band of it."""
        gain_db = shifted(v, self._tau) * self._slope
        driven = x * np.exp(gain_db * np.float32(NEPERS))
        return gain_db, driven, banded(driven)

    def _through(self, heard: Singles) -> Singles:
        sides = zip(heard, self.taps, strict=True)
        before = TAPS // 2 - 1
        return np.concatenate([_correlated(d[None], h[::-1], 1, before, len(d)) for d, h in sides])

    def _learn(self, z: Singles, gain_db: Singles, driven: Singles, heard: Singles) -> _Learnt:
        """Fits h."""
        moved = [banded(driven * _slopes(gain_db, over)) for over in (1, SMOOTH_FRAMES)]
        squares, targets = np.zeros((2, TAPS, TAPS)), np.zeros((2, TAPS))
        chosen = _chosen(z.shape[1])
        products = np.zeros((3, 3))
        for side in (0, 1):
            rows = _rows(heard[side])[chosen].astype(np.float64)
            wanted = z[side, chosen].astype(np.float64)
            own, cross = rows.T @ rows, rows.T @ wanted
            squares[side], targets[side] = own, cross
            self.taps[side] = taps = np.asarray(
                np.linalg.solve(self._squares[side] + own, self._targets[side] + cross), np.float64
            )
            slides: Doubles = np.stack([_rows(each[side])[chosen] @ taps for each in moved], axis=1)
            slides -= rows @ np.linalg.solve(own + FLOOR * np.eye(TAPS), rows.T @ slides)
            left = wanted - rows @ taps
            whole: Doubles = np.column_stack([left, slides])
            products += whole.T @ whole
        return _Learnt(squares, targets, products, 2 * len(chosen))


def _slopes(gain_db: Singles, over: int) -> Singles:
    """By how many nepers the gain rises in a frame, from ``over`` frames before to so many after;
    the same shape, 0 at the ends."""
    slopes = np.zeros_like(gain_db)
    rise_db = gain_db[2 * over :] - gain_db[: -2 * over]
    slopes[over:-over] = rise_db * np.float32(NEPERS / (2 * over))
    return slopes


def banded(x: Singles) -> Singles:
    """D * x at every second frame, (channels, frames / 2); wrong near the ends, which are odd."""
    return _correlated(x, BAND, 2, len(BAND) // 2, -(-x.shape[1] // 2))


def shifted(v: Singles, frames: float) -> Singles:
    """v(n + frames), the same shape; the ends are repeated."""
    whole = math.floor(frames)
    time = np.arange(-15, 17) - (frames - whole)
    taps = np.sinc(time) * np.i0(6.0 * np.sqrt(1 - (time / 16.5) ** 2))
    before, after = max(0, 15 - whole), max(0, 16 + whole)
    long = np.pad(v, (before, after), mode="edge")[max(0, whole - 15) :]
    return _correlated(long[None], taps / float(np.sum(taps)), 1, 0, len(v))[0]


def _correlated(x: Singles, taps: Doubles, hop: int, before: int, count: int) -> Singles:
    """sum_k x(hop n + k - before) taps(k), (channels, count); x (channels, frames) is 0 beyond its
    ends. A product with a band matrix."""
    rows = -(-count // _GEMM)
    width = (_GEMM - 1) * hop + len(taps)
    long = np.zeros((len(x), (rows - 1) * _GEMM * hop + width), np.float32)
    part = x[:, : long.shape[1] - before]
    long[:, before : before + part.shape[1]] = part
    matrix = np.zeros((width, _GEMM), np.float32)
    for column in range(_GEMM):
        matrix[hop * column : hop * column + len(taps), column] = taps
    result = np.empty((len(x), rows, _GEMM), np.float32)
    for windows, filtered in zip(sliding_window_view(long, width, axis=1), result, strict=True):
        # Of windows that overlap BLAS makes nothing.
        np.matmul(np.ascontiguousarray(windows[:: _GEMM * hop]), matrix, out=filtered)
    return result.reshape(len(x), -1)[:, :count]


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
