"""The stream's clock against the frame counter: what was left out steps, lateness does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.hardware.portaudio.rings import BLOCKS, INPUT_OVERFLOW, Layout, Rings
from capture.hardware.portaudio.witness import Witness

RATE, BLOCK = 44100, 1024


@contextmanager
def heard(
    blocks: int,
    lost: dict[int, int] | None = None,
    drift_ppm: float = 0.0,
    faster: float = 1.0,
    flags: dict[int, int] | None = None,
    late_s: np.ndarray | None = None,
) -> Iterator[Witness]:
    """A witness of so many blocks. ``lost``: frames left out before a block."""
    rings = Rings(Layout(1000, 1, 1, "int32"))
    try:
        witness = Witness(RATE)
        witness.begin(rings, 0)
        gone = 0
        for number in range(blocks):
            gone += (lost or {}).get(number, 0)
            first = number * BLOCK
            time_s = (first + gone) / RATE * (1 + drift_ppm * 1e-6)
            late = 0.0 if late_s is None else float(late_s[number])
            bits = (flags or {}).get(number, 0)
            rings.log()[number] = (first, BLOCK, bits, time_s + late, time_s / faster + late)
            rings.header[BLOCKS] = number + 1
            if number % 7 == 0:
                witness.look(rings)
        witness.look(rings)
        yield witness
    finally:
        rings.remove()
        rings.close()


@pytest.mark.parametrize("drift_ppm", [-100.0, 0.0, 100.0])
def test_a_clock_that_drifts_is_no_step(drift_ppm: float) -> None:
    with heard(26_000, drift_ppm=drift_ppm) as witness:  # ten minutes: 2646 frames at 100 ppm
        step = witness.interval(0, 26_000 * BLOCK).clock_frames
        assert step is not None
        assert step < 30


@settings(deadline=None, max_examples=30)
@given(st.integers(90, 380), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_blocks_left_out_are_seen_among_late_callbacks(place: int, count: int, seed: int) -> None:
    """Callbacks are late by 5 ms on the average, and one in fifty by up to 300 ms."""
    random = np.random.default_rng(seed)
    late_s = random.exponential(0.005, 430)
    late_s[random.integers(0, 430, 8)] = random.uniform(0, 0.3, 8)
    with heard(430, late_s=late_s) as witness:
        clean = witness.interval(0, 430 * BLOCK).clock_frames
    with heard(430, {place: count * BLOCK}, late_s=late_s) as witness:
        broken = witness.interval(0, 430 * BLOCK).clock_frames
    assert clean is not None
    assert broken is not None
    assert clean < BLOCK / 2
    assert broken > BLOCK / 2


def test_a_stream_that_runs_ahead_of_the_wall_clock_has_no_clock() -> None:
    with heard(430, faster=40.0) as witness:
        assert witness.interval(0, 430 * BLOCK).clock_frames is None


def test_flags_count_where_they_were_raised() -> None:
    with heard(430, flags={100: INPUT_OVERFLOW}) as witness:
        first = 100 * BLOCK
        for start, end, raised in (
            (0, first - BLOCK, False),
            (0, first, True),  # the block after it may tell of it
            (first + BLOCK - 1, 430 * BLOCK, True),
            (first + BLOCK, 430 * BLOCK, False),
        ):
            flags = witness.interval(start, end).flags
            assert flags == ({"input_overflow"} if raised else frozenset())


def test_a_log_that_was_overwritten_is_no_witness() -> None:
    rings = Rings(Layout(1000, 1, 1, "int32"))
    try:
        witness = Witness(RATE)
        witness.begin(rings, 0)
        rings.header[BLOCKS] = 70_000
        witness.look(rings)
        assert witness.interval(0, 100).flags == {"overrun"}
    finally:
        rings.remove()
        rings.close()
