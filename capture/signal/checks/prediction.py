"""The output that the song and the CV predict, and what it leaves over of the recorded one.

A compressor is a gain, and the CV says which: z = q + e, with z the band of the recording, q what
song, CV and path (``path.py``) predict of it, e what none of them explains.

Kept for each PIECE of 256 frames: the energies of e and q, of each channel. For each GRAIN of 2048
frames, both channels together: <z, q>, <q, q>, and the CV's gain and its integral, weighted by q^2.
From these

    rho = 20 log10(<z, q> / <q, q>)

is the gain that the CV missed, in dB: to the first order the q^2-weighted mean of what is wrong
with the gain. What is alien to the song (noise, hum, other signals) moves it in the second order.
As the path is learnt it might follow the gain unseen: each block's own equations for h are kept,
and at the end every rho is referred to the path that the take ended with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from capture.signal.checks.path import Doubles, Followed, PathFit, Singles, banded

PIECE_FRAMES = 256
GRAIN_FRAMES = 2048
ROWS = 8
"""Sums that are kept of each piece: see ``Prediction._sum``."""
HALO_FRAMES = 256
"""How much later than it came in a frame is judged: filters look ahead."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What is known of a take. Energies are sums over frames and full scale is 1.

    ``error``, ``predicted``: |e|^2 and |q|^2 of each piece, (2, pieces). Of each grain, (grains,):
    ``matched`` <z, q>, ``power`` <q, q>, ``gain_db`` the gain that the CV gives (without the law's
    offset), ``integral_db_s`` its integral over time, both weighted by q^2; ``time_s``.
    Of each piece ``piece_matched``, ``piece_power``: the same, not summed.
    ``crosstalk`` (2, 5, grains): of each channel and grain <e, o>, <e, q>, <q, o>, <o, o>, <q, q>,
    with o the other channel's q; these grains begin where the blocks do. ``delays`` (blocks, 2):
    the CV's delay in each block, and its standard deviation, in frames. ``noise`` (2,): |e|^2 of
    the quietest pieces.
    """

    error: Doubles
    predicted: Doubles
    matched: Doubles
    power: Doubles
    piece_matched: Doubles
    piece_power: Doubles
    gain_db: Doubles
    integral_db_s: Doubles
    time_s: Doubles
    crosstalk: Doubles
    delays: Doubles
    noise: Doubles


class Prediction:
    """Follows one take. Blocks go in as (5, frames): x left and right, y left and right, v."""

    def __init__(self, sample_rate_hz: int, gain_db_per_fs: float) -> None:
        self._rate = sample_rate_hz
        self._fit = PathFit(gain_db_per_fs)
        self._past: Singles | None = None
        self._first_db = 0.0
        self._integral = 0.0
        self._pieces: list[Singles] = []
        self._crosstalk: list[Singles] = []
        self._blocks: list[Followed] = []  # without their signals
        self._delays: list[tuple[float, float]] = []

    def add(self, signals: Singles) -> None:
        """One block, a multiple of PIECE_FRAMES long."""
        if self._past is None:
            self._past = np.zeros((5, 2 * HALO_FRAMES), np.float32)
            self._past[4] = signals[4, 0]
        whole = np.concatenate([self._past, signals], axis=1)
        self._past = whole[:, -2 * HALO_FRAMES :]
        z = banded(whole[2:4])
        block = self._fit.follow(whole[:2], z, whole[4])
        if not self._pieces:
            self._first_db = float(block.gain_db[0])
        kept = slice(HALO_FRAMES // 2, (HALO_FRAMES + signals.shape[1]) // 2)
        self._sum(z[:, kept], block.q[:, kept], block.gain_db[::2][kept])
        self._delays.append((block.delay_frames, block.sigma_frames))
        q = np.zeros((2, 0), np.float32)
        single = block.squares.astype(np.float32), block.targets.astype(np.float32)
        self._blocks.append(replace(block, q=q, gain_db=q[0], squares=single[0], targets=single[1]))

    def result(self, frames: int) -> Compared:
        """All of the take's ``frames`` frames but the pieces at its edges."""
        taps = self._fit.taps
        pieces = np.concatenate([np.zeros((ROWS, 0)), *self._pieces], axis=1, dtype=np.float64)
        counts = [part.shape[1] for part in self._pieces]
        factors = [block.gain(taps) / block.gain(block.taps) for block in self._blocks]
        pieces[4] *= np.repeat(factors, counts) if factors else 1.0
        # The first piece precedes the take.
        pieces = pieces[:, 2 : max(2, frames // PIECE_FRAMES - 1)]
        parts = GRAIN_FRAMES // PIECE_FRAMES
        count = pieces.shape[1] // parts
        grains = pieces[:, : count * parts].reshape(ROWS, count, parts).sum(axis=2)
        matched, weight, gain, integral = grains[4:]
        power = np.maximum(weight, 1e-30)
        return Compared(
            error=pieces[:2],
            predicted=pieces[2:4],
            matched=matched,
            power=power,
            piece_matched=pieces[4],
            piece_power=pieces[5],
            gain_db=gain / power,
            integral_db_s=integral / power,
            time_s=np.arange(count, dtype=np.float64) * (GRAIN_FRAMES / self._rate),
            crosstalk=_by_channel(
                np.concatenate([np.zeros((7, 0)), *self._crosstalk], axis=1, dtype=np.float64)
            ),
            noise=np.percentile(pieces[:2], 5, axis=1) if pieces.shape[1] else np.zeros(2),
            delays=np.array(self._delays, np.float64).reshape(-1, 2),
        )

    def _sum(self, z: Singles, q: Singles, gain_db: Singles) -> None:
        e = z - q
        weight = q[0] ** 2 + q[1] ** 2
        integral = self._integral + np.cumsum(gain_db - self._first_db, dtype=np.float64) * (
            2 / self._rate
        )
        self._integral = float(integral[-1])
        rows = (
            *e**2, *q**2,
            z[0] * q[0] + z[1] * q[1], weight, weight * gain_db, weight * integral,
        )  # fmt: skip
        # A product sums short rows much faster than sum() does.
        ones = np.ones(PIECE_FRAMES // 2, np.float32)
        self._pieces.append(np.stack(rows, dtype=np.float32).reshape(ROWS, -1, len(ones)) @ ones)
        self._crosstalk.append(_crosstalk(e, q))


def _crosstalk(e: Singles, q: Singles) -> Singles:
    """Of one block's grains (7, grains): what ``_by_channel`` needs."""
    ones = np.ones(GRAIN_FRAMES // 2, np.float32)
    rows = (e[0] * q[1], e[1] * q[0], *(e * q), q[0] * q[1], *q**2)
    return np.stack(rows).reshape(len(rows), -1, len(ones)) @ ones


def _by_channel(sums: Doubles) -> Doubles:
    """See ``Compared.crosstalk``: of all grains but those at the take's edges."""
    left_right, right_left, left, right, both, left_left, right_right = sums[:, 1:-1]
    return np.array(
        [
            [left_right, left, both, right_right, left_left],
            [right_left, right, both, left_left, right_right],
        ]
    )
