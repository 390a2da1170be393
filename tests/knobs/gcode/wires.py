"""Between the driver and a scripted controller: a pseudo-terminal, or memory with its own clock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
import tty
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

from capture.errors import DeviceLost
from capture.hardware.knobs.gcode.port import TICK_S
from tests.knobs.gcode.scripted import Peer

PACKETS = 0x5420  # TIOCPKT: the master is told when the other end is opened
FLUSHED = 1  # TIOCPKT_FLUSHREAD: what pyserial does last when it opens a port


class MemoryPort:
    """A port on which nothing takes time but waiting. ``piece``: bytes of an answer at a time."""

    def __init__(self, peer: Peer, piece: int = 4096) -> None:
        self._peer, self._piece = peer, piece
        self._now_s = 0.0
        self._waiting = peer.opened()

    def read(self, wait: bool) -> bytes:
        if self._peer.unplugged:
            raise DeviceLost("the serial port is gone")
        data, self._waiting = self._waiting[: self._piece], self._waiting[self._piece :]
        if wait and not data:
            self._now_s += TICK_S
        return data

    def write(self, data: bytes) -> None:
        self._waiting += self._peer.receive(data)

    def push(self, data: bytes) -> None:
        """What the controller says unasked."""
        self._waiting += data

    def now_s(self) -> float:
        return self._now_s

    def close(self) -> None:
        pass


class Pty:
    """A controller behind a real terminal, played by a thread; ``path`` is a link to it.

    Unplugging closes the terminal; plugging in again makes a new one, below the same path.
    """

    def __init__(self, peer: Peer, path: Path, piece: int = 4096) -> None:
        self.peer, self.path, self._piece = peer, path, piece
        self._thread: threading.Thread | None = None
        self._befalls: SimpleQueue[Callable[[], bytes | None]] = SimpleQueue()

    def __enter__(self) -> Pty:
        self.plug_in()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def plug_in(self) -> None:
        self._end()
        self.peer.unplugged = False
        master, slave = os.openpty()
        tty.setraw(slave)
        fcntl.ioctl(master, PACKETS, b"\1\0\0\0")
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))
        ends, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._play, args=(master, slave, ends), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        self._end()
        self.path.unlink()

    def befall(self, what: Callable[[], bytes | None]) -> None:
        """What happens to the controller of itself; it says what comes of that, unasked."""
        self._befalls.put(what)
        os.write(self._stop, b"!")

    def _end(self) -> None:
        if self._thread is not None:
            os.close(self._stop)
            self._thread.join(10)
            assert not self._thread.is_alive()
            self._thread = None

    def _play(self, master: int, slave: int, stop: int) -> None:
        """Until it is unplugged or stopped. Holding the other end keeps the terminal alive."""
        try:
            while not self.peer.unplugged:
                ready, _, _ = select.select([master, stop], [], [])
                if stop in ready:
                    if not os.read(stop, 1):
                        return
                    self._say(master, self._befalls.get()() or b"")
                    continue
                packet = os.read(master, 4096)
                if packet[0] == 0:
                    self._say(master, self.peer.receive(packet[1:]))
                elif packet[0] & FLUSHED:
                    os.write(master, self.peer.opened())
        finally:
            for end in (slave, master, stop):
                with contextlib.suppress(OSError):
                    os.close(end)

    def _say(self, master: int, data: bytes) -> None:
        for start in range(0, len(data), self._piece):
            os.write(master, data[start : start + self._piece])
