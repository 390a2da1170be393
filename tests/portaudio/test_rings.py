"""The callback and the rings, driven as PortAudio drives them, in blocks of any size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.hardware.portaudio.engine import Callback
from capture.hardware.portaudio.rings import (
    BLOCKS,
    FILLED,
    FRAMES,
    OPEN,
    OVERRUN,
    PROMISED,
    STARVED,
    STATE,
    UNREAD,
    WAITING,
    Layout,
    Rings,
    flag_names,
)

RATE = 44100
RING = 1000
SIZES = st.lists(st.integers(1, 700), min_size=1, max_size=60)


class Stream:
    """Calls a callback as PortAudio does. Its clock is slow, so nothing is ever early."""

    def __init__(self, rings: Rings) -> None:
        self.callback = Callback(rings, RATE)
        self.layout = rings.layout
        self.frame = 0
        self.played: list[np.ndarray] = []
        self.recorded: list[np.ndarray] = []
        self._random = np.random.default_rng(0)
        self.callback._started_s = -1e12  # begun long ago: late, always

    def block(self, frames: int, flags: int = 0) -> None:
        received = self._random.integers(-(2**31), 2**31, (frames, self.layout.inputs))
        received = received.astype(np.int32)
        sent = bytearray(b"\xff" * (frames * self.layout.outputs * 4))
        clock = SimpleNamespace(currentTime=self.frame / RATE)
        self.callback(received.tobytes(), sent, frames, clock, SimpleNamespace(_flags=flags))
        self.frame += frames
        self.recorded.append(received)
        self.played.append(np.frombuffer(bytes(sent), np.int32).reshape(frames, -1))


@contextmanager
def made(ring_frames: int = RING) -> Iterator[Rings]:
    rings = Rings(Layout(ring_frames, 3, 2, "int32"))
    try:
        yield rings
    finally:
        rings.remove()
        rings.close()


def flags_of(rings: Rings, blocks: int) -> list[int]:
    return rings.log()["flags"][:blocks].tolist()


def put(rings: Rings, at: int, block: np.ndarray) -> None:
    slots = np.arange(at, at + len(block)) % rings.layout.ring_frames
    rings.outputs()[slots] = block


@settings(deadline=None, max_examples=60)
@given(SIZES)
def test_all_that_comes_in_lies_at_its_frame(sizes: list[int]) -> None:
    with made() as rings:
        stream = Stream(rings)
        for size in sizes:
            stream.block(size)
        whole = np.concatenate(stream.recorded)
        assert rings.header[FRAMES] == len(whole)
        assert rings.header[BLOCKS] == len(sizes)
        last = np.arange(max(0, len(whole) - RING), len(whole))
        assert np.array_equal(rings.inputs()[last % RING], whole[last])


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(0, 500))
def test_what_is_filled_in_is_played_at_its_frame_once(sizes: list[int], start: int) -> None:
    """All else is silence, also when the ring comes round again."""
    with made() as rings:
        stream = Stream(rings)
        total = sum(sizes)
        song = np.random.default_rng(1).integers(1, 2**31, (total, 2)).astype(np.int32)
        filled = start
        rings.header[FILLED] = start
        rings.header[PROMISED] = OPEN
        for size in sizes:
            room = min(stream.frame + RING - filled, total - (filled - start))
            if room > 0:
                put(rings, filled, song[filled - start : filled - start + room])
                filled += room
                rings.header[FILLED] = filled
            if filled - start == total:
                rings.header[PROMISED] = filled
            stream.block(size)
        played = np.concatenate(stream.played)
        expected = np.zeros_like(played)
        count = max(0, total - start)
        expected[start:] = song[:count]
        assert np.array_equal(played, expected)
        assert not any(flags_of(rings, len(sizes)))


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(0, 3000))
def test_a_promise_that_is_not_kept_is_flagged_in_its_block(sizes: list[int], filled: int) -> None:
    with made() as rings:
        stream = Stream(rings)
        rings.header[FILLED] = filled
        rings.header[PROMISED] = OPEN
        ends = np.cumsum(sizes)
        for size in sizes:
            stream.block(size)
        starved = [bool(flags & STARVED) for flags in flags_of(rings, len(sizes))]
        assert starved == (ends > filled).tolist()


@settings(deadline=None, max_examples=60)
@given(SIZES, st.integers(0, 3000))
def test_what_is_overwritten_unread_is_flagged_in_its_block(sizes: list[int], unread: int) -> None:
    with made() as rings:
        stream = Stream(rings)
        rings.header[UNREAD] = unread
        ends = np.cumsum(sizes)
        for size in sizes:
            stream.block(size)
        overrun = [bool(flags & OVERRUN) for flags in flags_of(rings, len(sizes))]
        assert overrun == (ends + sizes - RING > unread).tolist()


def test_the_streams_own_flags_are_logged_with_their_block() -> None:
    with made() as rings:
        stream = Stream(rings)
        for flags in (0, 2, 0, 6):
            stream.block(100, flags)
        log = rings.log()[:4].copy()
        assert log["flags"].tolist() == [0, 2, 0, 6]
        assert log["first"].tolist() == [0, 100, 200, 300]
        assert np.allclose(log["stream_s"] * RATE, log["first"])
        assert flag_names(6) == {"input_overflow", "output_underflow"}


def test_a_block_that_is_early_waits_for_what_is_promised() -> None:
    """As in freewheel: the wall clock says that it is not due for a minute."""
    import threading

    with made() as rings:
        stream = Stream(rings)
        stream.callback._started_s = None
        stream.block(400)
        stream.callback._frame = stream.frame = 60 * RATE
        stream.callback._frame -= stream.callback._frame % RING
        at = stream.callback._frame
        rings.header[FILLED] = at
        rings.header[PROMISED] = OPEN
        song = np.arange(1, 201, dtype=np.int32).reshape(100, 2)
        caller = threading.Thread(target=stream.block, args=(100,))
        caller.start()
        while rings.header[STATE] != WAITING:
            assert caller.is_alive()
        put(rings, at, song)
        rings.header[FILLED] = at + 100
        caller.join(10)
        assert np.array_equal(stream.played[-1], song)
        assert flags_of(rings, 2) == [0, 0]
