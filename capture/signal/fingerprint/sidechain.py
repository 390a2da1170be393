"""The general physics of a bus compressor's side chain, for many settings at once.

A feedback side chain with one rectifier and a charge/discharge network (FACTS: the hardware; the
arrangement of SSL's bus compressors, and of most that are built like them):

    d = L - T - r          what the detector sees: the level behind the side chain's VCA
    u = h(d)               what it makes of it: any curve that rises
    u > r: charge          x1 += (u - r) (1 - e^{-dt/attack}),  x2 += k times that
    always: leak           x1 *= e^{-dt/fast},  x2 *= e^{-dt/slow}
    r = x1 + x2            the gain reduction

in dB throughout. h is not assumed: its slope is given at KNOTS, log-linear between them, so a
logarithmic detector (constant slope above a soft knee) and a linear rectifier into an exponential
VCA (slope 10^(d/20)) are both within reach, and neither is presupposed. The second section is
what auto release is made of: a large capacitor that takes over part k of the charge. It is given
by the rate at which charge is passed on while the first one is held up, transfer = k / fast in
1/s; 0 where there is no second section. So every release position, auto or not, is three numbers.

Level and side chain are stepped at the probe's sample rate. Silence is solved in closed form.
Every lane of the arrays is one setting; the loop over frames is Python's, so that many lanes cost
little more than one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from capture.signal.fingerprint.probe import Probe, Section, Signal

KNOTS_DB = (-6.0, -3.0, -1.0, 1.0, 3.0, 6.0, 12.0, 24.0)
"""Where the curve's slope is given, in dB over the threshold; constant above the last."""

THRESHOLD, ATTACK, FAST, SLOW, TRANSFER, CURVE = range(6)
"""Columns of a lane: threshold in dBFS; log seconds of attack, fast and slow release; transfer in
1/s; and from CURVE on the log slopes at KNOTS_DB."""
COLUMNS = CURVE + len(KNOTS_DB)

_PER_DB = 4.0
_LOWEST_DB, _HIGHEST_DB = KNOTS_DB[0], 80.0
_GRID_DB = np.arange(_LOWEST_DB, _HIGHEST_DB + 0.5 / _PER_DB, 1 / _PER_DB)
_BETWEEN = np.stack([np.interp(_GRID_DB, KNOTS_DB, row) for row in np.eye(len(KNOTS_DB))])
"""From slopes at the knots to slopes on the grid, by its points: (knots, points)."""


def predict(probe: Probe, lanes: Signal) -> tuple[Signal, Signal]:
    """The features of settings ``lanes`` (n, COLUMNS), from a unit at rest.

    Returns the mean reduction in dB (n, features), and what a frame of delay adds to it (n,
    features): that is the same for small delays of either sign.
    """
    edges = sorted({e for f in probe.features for w in f.windows for e in w})
    sums, values = _Chain(lanes, probe.sample_rate_hz).run(probe, edges)
    number = {edge: i for i, edge in enumerate(edges)}
    features = np.zeros((len(lanes), len(probe.features)))
    delays = np.zeros_like(features)
    for column, feature in enumerate(probe.features):
        for first, stop in feature.windows:
            share = 1 / ((stop - first) * len(feature.windows))
            a, b = number[first], number[stop]
            features[:, column] += (sums[b] - sums[a]) * share
            delays[:, column] -= (values[b] - values[a]) * share
    return features, delays


def follow(
    lanes: Signal,
    start_db: Signal,
    levels_db: Signal,
    source: NDArray[np.intp],
    window_frames: int,
    sample_rate_hz: int,
) -> Signal:
    """The mean reduction in dB over consecutive windows: (windows, lanes).

    Lane i, from ``start_db`` (2, lanes) in its two sections, hears row ``source[i]`` of
    ``levels_db`` (sources, frames), in dBFS; frames beyond the last whole window are left out.
    """
    chain = _Chain(lanes, sample_rate_hz, start_db)
    means: list[Signal] = []
    for at in range(0, levels_db.shape[1] - window_frames + 1, window_frames):
        part = levels_db[:, at : at + window_frames].T
        means.append(chain.mean(part[:, source]))
    return np.array(means)


class _Chain:
    """The state of all lanes. Reductions are held in steps of the curve's grid: dB * _PER_DB."""

    def __init__(self, lanes: Signal, sample_rate_hz: int, start_db: Signal | float = 0.0) -> None:
        dt = 1 / sample_rate_hz
        attack, fast, slow = (np.exp(lanes[:, column]) for column in (ATTACK, FAST, SLOW))
        gain = -np.expm1(-dt / attack)
        self._gain = np.stack([gain, gain * lanes[:, TRANSFER] * fast])
        self._leak = np.exp(-dt / np.stack([fast, slow]))
        self._offset = (-lanes[:, THRESHOLD] - _LOWEST_DB) * _PER_DB
        slope: Signal = np.exp(lanes[:, CURVE:] @ _BETWEEN)
        # u is linear between the grid's points, where it is the trapezoids' sum: base + rise * d.
        steps = slope.shape[1] - 1
        rises = (slope[:, 1:] + slope[:, :-1]) / 2
        sums = np.zeros_like(rises)
        np.cumsum(rises[:, :-1], axis=1, out=sums[:, 1:])
        bases = sums - rises * np.arange(steps, dtype=np.float64)
        self._curve = np.empty(rises.size, np.complex128)  # pairs, to be fetched together
        self._curve.real = bases.reshape(-1)
        self._curve.imag = rises.reshape(-1)
        self._first = np.arange(len(lanes)) * steps
        self._x = np.full((2, len(lanes)), start_db) * _PER_DB
        self._sum = np.zeros(len(lanes))

    def run(self, probe: Probe, edges: list[int]) -> tuple[Signal, Signal]:
        """The sum of r over all frames before each edge, and r at each edge: (edges, lanes)."""
        wanted = set(edges)
        sums: list[Signal] = []
        values: list[Signal] = []
        for start, section in probe.starts():
            stop = start + section.frames
            cuts = sorted({start, *(edge for edge in wanted if start <= edge < stop)})
            for cut, end in zip(cuts, [*cuts[1:], stop], strict=True):
                if cut in wanted:
                    sums.append(self._sum / _PER_DB)
                    values.append(self._x.sum(axis=0) / _PER_DB)
                self._advance(section, cut - start, end - cut)
        return np.array(sums), np.array(values)

    def mean(self, levels_db: Signal) -> Signal:
        """The mean of r, in dB, over frames of these levels (frames, lanes)."""
        before = self._sum.copy()
        self._charge(self._offset + levels_db * _PER_DB)
        return (self._sum - before) / (len(levels_db) * _PER_DB)

    def _advance(self, section: Section, done: int, frames: int) -> None:
        if section.peak_dbfs is None:
            self._decay(frames)
            return
        highest = self._offset.max() + section.peak_dbfs * _PER_DB
        if highest <= 0 and not self._x.any():
            return
        shape = np.maximum(section.shape, 1e-9)
        levels_db = np.roll(20 * np.log10(shape) + section.peak_dbfs, -done)
        places = list(self._offset + levels_db[:, None] * _PER_DB)
        self._charge(itertools.islice(itertools.cycle(places), frames))

    def _decay(self, frames: int) -> None:
        """Silence. The sum counts r after each frame's step, as ``_charge`` does."""
        fallen = self._leak**frames
        self._sum += np.sum(self._x * self._leak * (1 - fallen) / (1 - self._leak), axis=0)
        self._x *= fallen

    def _charge(self, levels: Iterable[Signal]) -> None:
        """One frame for each of ``levels`` (lanes,): the place on the curve where r is 0.

        Everything in place and by its shortest name: this is where all the time goes.
        """
        x, total, leak, (gain1, gain2) = self._x, self._sum, self._leak, self._gain
        first, fetch, (x1, x2) = self._first, self._curve.take, self._x
        r = x1 + x2
        none, place, u, moved = np.zeros_like(r), *np.empty((3, len(r)))
        index, pair = np.empty(len(r), np.intp), np.empty(len(r), np.complex128)
        base, rise = pair.real, pair.imag
        add, multiply, subtract, maximum = np.add, np.multiply, np.subtract, np.maximum
        for level in levels:
            subtract(level, r, place)
            maximum(place, none, out=place)
            index[:] = place
            add(index, first, index)
            fetch(index, 0, pair, "clip")
            multiply(rise, place, u)
            add(u, base, u)
            subtract(u, r, u)
            maximum(u, none, out=u)
            multiply(u, gain1, moved)
            add(x1, moved, x1)
            multiply(u, gain2, moved)
            add(x2, moved, x2)
            multiply(x, leak, x)
            add(x1, x2, r)
            add(total, r, total)
