"""The engine process seen from outside: started, watched, ended, at the latest by force."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from multiprocessing.connection import Connection

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.portaudio import engine
from capture.hardware.portaudio.devices import Wanted
from capture.hardware.portaudio.rings import FRAMES, LOST, STATE, WAITING, Rings

OPEN_S = 30.0
"""How long a device may take to open."""
STALL_S = 5.0
"""A stream whose counter stands still for so long is dead, whatever it says."""
CLOSE_S = 5.0


class Engine:
    """A running engine. Raises HardwareFault when it cannot be opened."""

    def __init__(self, wanted: Wanted, ring_frames: int, *, freewheel: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(
            target=engine.main,
            args=(far, wanted, ring_frames, freewheel),
            name="capture-engine",
            daemon=True,
        )
        self._process.start()
        far.close()
        opened = self._answer(self._pipe)
        self.input_columns, self.output_columns = opened.input_columns, opened.output_columns
        self.rings = Rings(opened.layout, opened.memory)
        self._seen = (0, time.monotonic())

    def _answer(self, pipe: Connection) -> engine.Opened:
        answer: object = None
        with contextlib.suppress(EOFError, OSError):  # it died; said below
            answer = pipe.recv() if pipe.poll(OPEN_S) else None
        if isinstance(answer, engine.Opened):
            return answer
        self._end()
        if isinstance(answer, engine.Refused):
            raise HardwareFault(*answer.messages)
        code = self._process.exitcode
        raise HardwareFault(
            f"the audio engine did not open its device within {OPEN_S:g} s (exit code {code}); "
            "is the device's driver (or the JACK server) alive?"
        )

    def watch(self) -> None:
        """The watchdog. Raises DeviceLost, and ends the process, when the stream is dead."""
        header = self.rings.header
        frames, now = header[FRAMES], time.monotonic()
        if frames != self._seen[0] or header[STATE] == WAITING:
            self._seen = (frames, now)
        if not self._process.is_alive():
            why = f"the audio engine ended by itself (exit code {self._process.exitcode})"
        elif header[STATE] == LOST:
            why = "the audio device stopped its stream"
        elif now - self._seen[1] > STALL_S:
            why = f"no audio has come from the device for {STALL_S:g} s"
        else:
            return
        self._end()
        raise DeviceLost(why)

    def close(self) -> None:
        """Closes the stream and ends the process. Harmless when it has ended already."""
        with contextlib.suppress(OSError):  # the pipe is closed: it has ended
            self._pipe.send("close")
            self._process.join(CLOSE_S)
        self._end()
        self.rings.remove()
        self.rings.close()

    def _end(self) -> None:
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._pipe.close()
