"""The engine: a process of its own that carries audio between a device and the shared rings.

It opens one full-duplex stream on its main thread and does nothing else until it is told to close.
It knows no takes: the driver writes and reads the rings (``rings.py``) by absolute frame numbers.

The protocol, over a pipe: the engine sends ``Opened`` or ``Refused`` once; the driver sends
anything, or closes the pipe, to have it close the stream and end. If the driver's process dies the
pipe closes by itself. The callback copies into memory that exists already; garbage collection is
off, and the only objects that it makes are those that Python makes for any call.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import struct
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from capture.errors import HardwareFault
from capture.hardware.portaudio import devices
from capture.hardware.portaudio.channels import is_jack, sample_format
from capture.hardware.portaudio.freewheel import Door, Freewheel
from capture.hardware.portaudio.rings import (
    BLOCKS,
    FILLED,
    FRAMES,
    LOG_ENTRIES,
    LOST,
    OPEN,
    OVERRUN,
    PROMISED,
    RUNNING,
    SAMPLE_BYTES,
    STARVED,
    STATE,
    UNREAD,
    WAITING,
    Layout,
    Rings,
)

ENTRY = struct.Struct("=qiidd")
LOOK_S = 0.1
"""How often the main thread looks whether the stream still runs."""
NAP_S = 0.0005
EARLY_S = 1.0
"""A stream that is this far ahead of the wall clock is not bound to it: JACK is in freewheel."""
LONGEST_WAIT_S = 60.0
REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream runs. ``memory`` is the rings' name, of this ``layout``.

    The columns say which of the rings' channels are the wanted ones.
    """

    memory: str
    layout: Layout
    input_columns: tuple[int, ...]
    output_columns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The stream could not be opened; ``messages`` say why."""

    messages: tuple[str, ...]


class Callback:
    """What PortAudio calls for each block: copy in, copy out, count, log."""

    def __init__(self, rings: Rings, sample_rate_hz: int) -> None:
        layout = rings.layout
        self._header = rings.header
        self._log = rings.log_bytes
        self._input, self._output = rings.input_bytes, rings.output_bytes
        self._ring_frames = layout.ring_frames
        self._in_frame = layout.inputs * SAMPLE_BYTES
        self._out_frame = layout.outputs * SAMPLE_BYTES
        self._silence = memoryview(bytes(layout.output_bytes))
        self._rate_hz = sample_rate_hz
        self._started_s: float | None = None
        self._frame = 0
        self._blocks = 0
        self.leaving = False
        """Waits for nobody any more. A driver that was killed keeps no promise; while a callback
        waited for it, jackd would wait too, and so would whoever comes next."""

    def __call__(self, indata: Any, outdata: Any, frames: int, clock: Any, status: Any) -> None:
        first, end, header = self._frame, self._frame + frames, self._header
        flags = devices.flag_bits(status)
        stream_s, clock_s = clock.currentTime, time.monotonic()
        if self._started_s is None:
            self._started_s = clock_s
        if self._missing(end, frames):
            flags |= self._wait(end, frames)
        elif self._idle(first) and self.ahead_s() > EARLY_S:
            self._rest(first)
        slot = first % self._ring_frames
        head = min(frames, self._ring_frames - slot)
        self._copy(slot, 0, head, indata, outdata)
        if head < frames:
            self._copy(0, head, frames - head, indata, outdata)
        at = self._blocks % LOG_ENTRIES * ENTRY.size
        ENTRY.pack_into(self._log, at, first, frames, flags, stream_s, clock_s)
        self._frame, self._blocks = end, self._blocks + 1
        header[BLOCKS] = self._blocks
        header[FRAMES] = end

    def _copy(self, slot: int, offset: int, frames: int, indata: Any, outdata: Any) -> None:
        """``frames`` frames between ring slots from ``slot`` and block frames from ``offset``."""
        size = self._in_frame
        here, there = slot * size, offset * size
        self._input[here : here + frames * size] = memoryview(indata)[there : there + frames * size]
        size = self._out_frame
        here, there = slot * size, offset * size
        played = self._output[here : here + frames * size]
        memoryview(outdata)[there : there + frames * size] = played
        played[:] = self._silence[: frames * size]

    def ahead_s(self) -> float:
        """How far the stream has run ahead of the wall clock."""
        if self._started_s is None:
            return 0.0
        return self._frame / self._rate_hz - (time.monotonic() - self._started_s)

    def _wait(self, end: int, frames: int) -> int:
        """Waits while the block is early; says what is still missing then, as flags."""
        header = self._header
        header[STATE] = WAITING
        give_up_s = time.monotonic() + LONGEST_WAIT_S
        while flags := self._missing(end, frames):
            if self.ahead_s() <= 0 or time.monotonic() > give_up_s:
                break
            time.sleep(NAP_S)
        header[STATE] = RUNNING
        return flags

    def _idle(self, first: int) -> bool:
        """Nothing is to be played, and nobody reads."""
        return not self.leaving and self._header[PROMISED] <= first and self._header[UNREAD] == OPEN

    def _rest(self, first: int) -> None:
        """A stream in freewheel shall not run on for nothing: it would take the machine."""
        self._header[STATE] = WAITING
        until_s = time.monotonic() + REST_S
        while self._idle(first) and self.ahead_s() > EARLY_S and time.monotonic() < until_s:
            time.sleep(NAP_S)
        self._header[STATE] = RUNNING

    def _missing(self, end: int, frames: int) -> int:
        """What the driver owes a block of ``frames`` that ends at ``end``, as flags.

        A block's length of the input ring stays free: whoever reads knows by the frame counter
        that nothing was written over it meanwhile, not even by a callback that is under way.
        """
        header = self._header
        if self.leaving:
            return 0
        starved = STARVED if header[FILLED] < min(end, header[PROMISED]) else 0
        return starved | (OVERRUN if header[UNREAD] < end + frames - self._ring_frames else 0)


def main(pipe: Connection, wanted: devices.Wanted, ring_frames: int, freewheel: bool) -> None:
    """Runs the engine: the target of the spawned process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when to end
    _quiet()
    door, wheel, rings = Door(), Freewheel(), None
    jack = wanted.host_api is None or is_jack(wanted.host_api)
    try:
        if jack:
            door.enter()
            freewheel |= _interrupted(wheel)
        found = devices.find(wanted)
        layout = Layout(
            ring_frames,
            found.inputs.opened,
            found.outputs.opened,
            sample_format(found.host_api),
        )
        rings = Rings(layout)
        callback = Callback(rings, wanted.sample_rate_hz)
        stream = devices.open_stream(wanted, found, callback)
        gc.collect()
        gc.freeze()
        gc.disable()
        devices.start(stream, wanted.name)
        if freewheel:
            wheel.switch(on=True)
        elif jack:
            door.let_go()
    except HardwareFault as fault:
        if rings is not None:
            rings.remove()
        pipe.send(Refused(fault.messages))
        return
    with contextlib.suppress(OSError, EOFError):  # the driver is gone: nobody to tell
        pipe.send(Opened(rings.name, layout, found.inputs.columns, found.outputs.columns))
        while not pipe.poll(LOOK_S):
            if not stream.active:
                rings.header[STATE] = LOST
    callback.leaving = True
    if stream.active:
        if found.jack:
            _pass(door, wheel, fast=freewheel or callback.ahead_s() > EARLY_S)
        stream.abort()
        stream.close()
        devices.leave()
    os._exit(0)  # what PortAudio still holds of a lost device may hang


def _interrupted(wheel: Freewheel) -> bool:
    """Ends a freewheel that somebody else began; whether there was one, to be gone on with."""
    with contextlib.suppress(HardwareFault):  # no JACK, no freewheel
        if wheel.is_on():
            wheel.switch(on=False)
            return True
    return False


def _pass(door: Door, wheel: Freewheel, *, fast: bool) -> None:
    """Makes ready to leave the server, which does not survive that a client goes in freewheel."""
    door.leave()
    if fast:
        with contextlib.suppress(HardwareFault):
            wheel.switch(on=False)


def _quiet() -> None:
    """JACK's library writes to standard error whatever it meets; what matters is raised as well."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
