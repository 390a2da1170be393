"""The memory that the engine process and the driver share: two rings, a log, six counters.

Everything is addressed by the absolute frame number of the stream. Frame *f* of what came in lies
in slot ``f % ring_frames`` of the input ring; what is to go out at frame *f* lies in the same slot
of the output ring. Each counter has one writer, so nothing is ever locked:

* FRAMES    (engine)  frames that the stream has carried; written after their samples.
* BLOCKS    (engine)  callbacks so far; written after the log entry.
* STATE     (engine)  RUNNING; WAITING while a callback waits for the driver; LOST.
* FILLED    (driver)  the output ring is valid before this frame.
* PROMISED  (driver)  something will be played at every frame before this one. Where PROMISED lies
                      beyond FILLED, more is still to come.
* UNREAD    (driver)  the first frame of input that somebody still has to read.

The engine plays a slot and clears it, so that what is not filled is silence. A callback whose
frames are promised and not filled, or which would overwrite frames that are unread, has no way
out: it raises STARVED or OVERRUN in its log entry. But a callback that comes *early*, before the
wall clock says that its frames are due, may wait for the driver until they are; one that is early
and idle rests. On a real device nothing ever comes early. On a JACK server in freewheel everything
does, and so a stream that runs a hundred times faster than real time loses nothing either.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.hardware.portaudio.channels import SampleFormat

FRAMES, BLOCKS, STATE, FILLED, PROMISED, UNREAD = range(6)
RUNNING, WAITING, LOST = range(3)
OPEN = 2**62
"""No end is known: of a promise; or, of what is unread, that nobody reads."""

INPUT_UNDERFLOW, INPUT_OVERFLOW, OUTPUT_UNDERFLOW, OUTPUT_OVERFLOW, PRIMING = 1, 2, 4, 8, 16
STARVED, OVERRUN = 32, 64
FLAG_NAMES = {
    INPUT_UNDERFLOW: "input_underflow",
    INPUT_OVERFLOW: "input_overflow",
    OUTPUT_UNDERFLOW: "output_underflow",
    OUTPUT_OVERFLOW: "output_overflow",
    PRIMING: "priming_output",
    STARVED: "starved",
    OVERRUN: "overrun",
}
"""The first five are PortAudio's; starved: play-out came too late; overrun: reading did."""

LOG_ENTRIES = 65536
BLOCK = np.dtype(
    [("first", "i8"), ("frames", "i4"), ("flags", "i4"), ("stream_s", "f8"), ("clock_s", "f8")]
)
"""One callback: its first frame, its length, its flags, the stream's clock, the machine's."""
HEADER_BYTES = 128
SAMPLE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of the shared memory: ``ring_frames`` of ``inputs`` and of ``outputs`` channels.

    Samples are 4 bytes each, of the stream's ``sample_format``.
    """

    ring_frames: int
    inputs: int
    outputs: int
    sample_format: SampleFormat

    @property
    def input_bytes(self) -> int:
        return self.ring_frames * self.inputs * SAMPLE_BYTES

    @property
    def output_bytes(self) -> int:
        return self.ring_frames * self.outputs * SAMPLE_BYTES

    @property
    def total_bytes(self) -> int:
        return HEADER_BYTES + LOG_ENTRIES * BLOCK.itemsize + self.input_bytes + self.output_bytes


class Rings:
    """One side's view of the shared memory: made without a ``name``, or met under one."""

    def __init__(self, layout: Layout, name: str | None = None) -> None:
        self.layout = layout
        made = name is None
        self._memory = SharedMemory(name, create=made, size=layout.total_bytes)
        log_at = HEADER_BYTES
        input_at = log_at + LOG_ENTRIES * BLOCK.itemsize
        output_at = input_at + layout.input_bytes
        whole = self._memory.buf
        assert whole is not None  # it is open
        self.header: memoryview[int] = whole[:HEADER_BYTES].cast("q")
        self.log_bytes = whole[log_at:input_at]
        self.input_bytes = whole[input_at:output_at]
        self.output_bytes = whole[output_at : output_at + layout.output_bytes]
        if made:
            self.header[UNREAD] = OPEN

    @property
    def name(self) -> str:
        return self._memory.name

    def log(self) -> Any:
        """The log entries, shape (LOG_ENTRIES,), of dtype BLOCK."""
        return np.frombuffer(self.log_bytes, BLOCK)

    def inputs(self) -> NDArray[Any]:
        """The input ring, shape (ring_frames, inputs)."""
        return self._samples(self.input_bytes, self.layout.inputs)

    def outputs(self) -> NDArray[Any]:
        """The output ring, shape (ring_frames, outputs)."""
        return self._samples(self.output_bytes, self.layout.outputs)

    def _samples(self, data: memoryview, channels: int) -> NDArray[Any]:
        samples = np.frombuffer(data, self.layout.sample_format)
        return samples.reshape(self.layout.ring_frames, channels)

    def remove(self) -> None:
        """Takes the memory away from all; whoever has it open keeps it until ``close``."""
        self._memory.unlink()

    def close(self) -> None:
        """Lets go of the memory. No array made from it may be left."""
        for view in (self.header, self.log_bytes, self.input_bytes, self.output_bytes):
            view.release()
        self._memory.close()


def flag_names(flags: int) -> frozenset[str]:
    """The names of the bits of ``flags``."""
    return frozenset(name for bit, name in FLAG_NAMES.items() if flags & bit)
