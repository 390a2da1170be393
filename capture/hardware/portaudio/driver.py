"""The audio port over the engine: recordings as intervals of the stream's frame counter.

A recording is begun by choosing its first frame, far enough ahead; from there on its play-out is
filled into the output ring as room comes free, and what comes in is read from the input ring. All
else is arithmetic on frame numbers. Two recordings may overlap: while the tail of one is still
read, the next one may play.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from capture.errors import HardwareFault
from capture.hardware.portaudio.channels import SampleFormat
from capture.hardware.portaudio.devices import Wanted
from capture.hardware.portaudio.process import Engine
from capture.hardware.portaudio.rings import (
    BLOCKS,
    FILLED,
    FRAMES,
    LOG_ENTRIES,
    OPEN,
    PROMISED,
    UNREAD,
)
from capture.hardware.portaudio.witness import Witness
from capture.hardware.ports import Interval, Label, Recording, Samples, checked
from capture.hardware.profile import AudioProfile
from capture.hardware.turns import Turns

RING_S = 8.0
"""How long the disk may stall in the middle of a take."""
CHUNK_FRAMES = 16384
GUARD_S = 0.1
NAP_S = 0.002
FULL = 2.0**31


class PortAudioAudio:
    """See ``ports.Audio``. Raises HardwareFault when the device cannot be opened."""

    def __init__(self, profile: AudioProfile) -> None:
        named = {name: n for name, n in profile.inputs.model_dump().items() if n is not None}
        self._inputs = tuple(named)
        self._rate_hz = profile.sample_rate_hz
        self._lock = threading.RLock()
        self.turns = Turns()
        self._closed = False
        self._unread: dict[PortAudioRecording, int] = {}
        self._play_end = 0
        self._pause = (0, 0)
        self._engine = Engine(
            wanted(profile), round(RING_S * self._rate_hz), freewheel=profile.freewheel
        )
        self._rings = self._engine.rings
        self._format: SampleFormat = self._rings.layout.sample_format
        self._columns = (list(self._engine.input_columns), list(self._engine.output_columns))

    @property
    def sample_rate_hz(self) -> int:
        return self._rate_hz

    @property
    def inputs(self) -> tuple[str, ...]:
        return self._inputs

    @property
    def frames(self) -> int:
        with self._opened():
            return self._rings.header[FRAMES]

    def settle(self, frames: int) -> None:
        with self._opened():
            self._engine.watch()
            self._pause = (self._rings.header[FRAMES], self._pause[1] + frames)

    def record(
        self, play: Iterable[Samples], label: Label, tail_frames: int = 0
    ) -> PortAudioRecording:
        with self._opened():
            self._engine.watch()
        return PortAudioRecording(self, play, tail_frames)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._engine.close()

    def _opened(self) -> threading.RLock:
        """The lock under which the rings may be used. Raises HardwareFault once it is closed."""
        if self._closed:
            raise HardwareFault("the audio device is closed; open the rig again")
        return self._lock

    # What a recording needs. Whoever uses the rings holds the lock.

    def begin(self, recording: PortAudioRecording, witness: Witness) -> int:
        """Chooses the first frame of a recording, and promises that it will be played."""
        header = self._rings.header
        guard = max(round(GUARD_S * self._rate_hz), 4 * self._block_frames())
        while True:
            with self._opened():
                self._engine.watch()
                since, frames = self._pause
                start = max(header[FRAMES] + guard, max(since, self._play_end) + frames)
                self._unread[recording] = start
                header[UNREAD] = min(self._unread.values())
                header[FILLED] = start
                header[PROMISED] = OPEN
                if header[FRAMES] + 2 * self._block_frames() <= start:
                    self._pause = (0, 0)
                    witness.begin(self._rings, start)
                    return start
            guard *= 2  # a stream that runs ahead of its clock has passed it already

    def _block_frames(self) -> int:
        """The length of the last block."""
        with self._opened():
            blocks = self._rings.header[BLOCKS]
            return int(self._rings.log()[(blocks - 1) % LOG_ENTRIES]["frames"]) if blocks else 4096

    def fill(self, at: int, block: Samples) -> int:
        """Puts as much of ``block`` as there is room for to frame ``at``: how many frames.

        Raises Broken when the stream has passed that frame.
        """
        with self._opened():
            self._engine.watch()
            header, ring_frames = self._rings.header, self._rings.layout.ring_frames
            if header[FRAMES] > at:
                raise Broken("starved")
            count = max(0, min(len(block), header[FRAMES] + ring_frames - at))
            ring = self._rings.outputs()
            for ring_at, from_, n in _pieces(at, count, ring_frames):
                ring[ring_at : ring_at + n, self._columns[1]] = to_stream(
                    block[from_ : from_ + n], self._format
                )
            header[FILLED] = at + count
            return count

    def promise(self, end: int) -> None:
        """Nothing is to be played after ``end``, for the time being."""
        with self._opened():
            self._rings.header[PROMISED] = end
            self._play_end = end

    def read(self, recording: PortAudioRecording, at: int, count: int) -> Samples | None:
        """``count`` frames from frame ``at``; None if they have not come in yet.

        Raises Broken when the stream has come round to them again.
        """
        with self._opened():
            self._engine.watch()
            header, ring_frames = self._rings.header, self._rings.layout.ring_frames
            if header[FRAMES] < at + count:
                return None
            raw = np.empty((count, len(self._inputs)), self._format)
            ring = self._rings.inputs()
            for ring_at, to, n in _pieces(at, count, ring_frames):
                raw[to : to + n] = ring[ring_at : ring_at + n, self._columns[0]]
            if header[FRAMES] + self._block_frames() > at + ring_frames:  # while it was copied, too
                raise Broken("overrun")
            self._unread[recording] = at + count
            header[UNREAD] = min(self._unread.values())
        return from_stream(raw, self._format)

    def has_carried(self, frames: int) -> bool:
        """Whether the stream has carried so many frames."""
        with self._opened():
            self._engine.watch()
            return self._rings.header[FRAMES] >= frames

    def observe(self, witness: Witness) -> None:
        """Shows a witness what has happened since it last looked."""
        with self._opened():
            witness.look(self._rings)

    def abandon(self, start: int, end: int) -> None:
        """What was filled in from ``start`` to ``end`` shall not be played."""
        with self._opened():
            header, ring_frames = self._rings.header, self._rings.layout.ring_frames
            ring = self._rings.outputs()
            start = max(start, end - ring_frames)
            for ring_at, _, count in _pieces(start, end - start, ring_frames):
                ring[ring_at : ring_at + count] = 0
            header[PROMISED] = self._play_end

    def finish(self, recording: PortAudioRecording) -> None:
        """The recording is over: nobody reads it any more."""
        with self._lock:
            self._unread.pop(recording, None)
            if not self._closed:
                self._rings.header[UNREAD] = min(self._unread.values(), default=OPEN)


class PortAudioRecording(Recording):
    """See ``ports.Recording``."""

    def __init__(self, audio: PortAudioAudio, play: Iterable[Samples], tail_frames: int) -> None:
        self._audio = audio
        self._play = checked(play)
        self._tail_frames = tail_frames
        self._waiting = np.zeros((0, 2), np.int32)
        self._exhausted = False
        self._start = self._filled = self._read = 0  # frames of the stream
        super().__init__(self._run())

    def _run(self) -> Generator[Samples, None, Interval]:
        witness = Witness(self._audio.sample_rate_hz)
        try:
            with self._audio.turns.mine():
                yield from self._play_all(witness)
            end = self._filled + self._tail_frames
            while self._read < end:
                yield from self._take(min(CHUNK_FRAMES, end - self._read), witness)
            # What went wrong in a block is told with the one after it.
            while not self._audio.has_carried(end + witness.block_frames):
                time.sleep(NAP_S)
            self._audio.observe(witness)
            return witness.interval(self._start, end)
        except Broken as broken:
            self._audio.observe(witness)
            found = witness.interval(self._start, self._read)
            return replace(found, flags=found.flags | {broken.flag})
        finally:
            self._audio.finish(self)

    def _play_all(self, witness: Witness) -> Iterator[Samples]:
        """Until all has been handed over; what has come back by then."""
        self._next_block()
        self._start = self._read = self._filled = self._audio.begin(self, witness)
        try:
            while True:
                self._fill()
                if self._exhausted:
                    self._audio.promise(self._filled)
                    return
                yield from self._take(CHUNK_FRAMES, witness)
        except BaseException:
            with contextlib.suppress(HardwareFault):
                self._audio.abandon(self._start, self._filled)
            raise

    def _next_block(self) -> None:
        block = next(self._play, None)
        self._exhausted = block is None
        self._waiting = block if block is not None else self._waiting[:0]

    def _fill(self) -> None:
        """Fills the output ring as far as there is room."""
        while not self._exhausted:
            count = self._audio.fill(self._filled, self._waiting)
            self._filled += count
            self._waiting = self._waiting[count:]
            if len(self._waiting):
                break
            self._next_block()

    def _take(self, count: int, witness: Witness) -> Iterator[Samples]:
        """The next ``count`` frames, if they have come in; else nothing, after a nap."""
        block = self._audio.read(self, self._read, count)
        self._audio.observe(witness)
        if block is None:
            time.sleep(NAP_S)
        else:
            self._read += count
            yield block


class Broken(Exception):
    """The rings ran over, for the disk stalled for too long; ``flag`` says which, and how."""

    def __init__(self, flag: Literal["starved", "overrun"]) -> None:
        super().__init__(flag)
        self.flag = flag


def wanted(profile: AudioProfile) -> Wanted:
    """What a profile asks of PortAudio."""
    device = profile.device
    assert device is not None  # validated: this driver needs one
    numbers = profile.inputs.model_dump().values()
    return Wanted(
        name=device.name,
        host_api=device.host_api,
        device_inputs=device.inputs,
        device_outputs=device.outputs,
        inputs=tuple(number for number in numbers if number is not None),
        outputs=(profile.outputs.left, profile.outputs.right),
        sample_rate_hz=profile.sample_rate_hz,
        block_frames=profile.block_frames,
    )


def to_stream(codes: Samples, sample_format: SampleFormat) -> NDArray[Any]:
    """Left-justified 24-bit codes as the stream's samples; exact."""
    if sample_format == "int32":
        return codes
    return codes.astype(np.float32) * np.float32(1 / FULL)


def from_stream(raw: NDArray[Any], sample_format: SampleFormat) -> Samples:
    """The stream's samples as left-justified 24-bit codes. Floats beyond full scale are clipped."""
    if sample_format == "int32":
        return raw & -256
    codes = np.rint(raw * np.float32(2**23))
    return np.clip(codes, -(2**23), 2**23 - 1).astype(np.int32) << 8


def _pieces(at: int, count: int, ring_frames: int) -> list[tuple[int, int, int]]:
    """``count`` frames from frame ``at`` in the ring: (slot, offset, frames), one or two."""
    slot = at % ring_frames
    head = min(count, ring_frames - slot)
    return [(slot, 0, head), (0, head, count - head)][: 1 + (head < count)]
