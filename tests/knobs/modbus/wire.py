"""A line with a server, a program of its own, at its other end; it can be tapped and cut."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import tty
from collections.abc import Callable
from pathlib import Path

from tests.knobs.script import DEADLINE_S, link

FOLDER = Path(__file__).parent


class Pty:
    """``path`` can be opened and closed; it stays until ``close``."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)

    def close(self) -> None:
        os.close(self._slave)
        os.close(self.master)


class Wire:
    """Carries bytes between the driver, which opens ``path``, and the server ``program``.

    ``tapped`` is what the driver sent and what came back, a pair a request. ``answer`` changes
    what comes back; ``cut_at`` is the request, counted from 0, after which the cable is pulled.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self._folder = folder
        self._far = Pty()
        command = [sys.executable, str(FOLDER / program), self._far.path]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        if self._server.stdout.readline() != "ready\n":
            self._end_server()
            raise RuntimeError(f"{program} did not start")
        self.plug()

    def plug(self) -> None:
        """A new cable to the driver; ``path`` leads to it."""
        self._near = Pty()
        self.path = str(link(self._folder, self._near.path))
        self.tapped: list[tuple[str, str]] = []
        self.answer: Callable[[bytes], bytes] = bytes
        self.cut_at = -1
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        near, far = self._near.master, self._far.master
        while True:
            ready, _, _ = select.select([near, far, self._stop], [], [])
            if self._stop in ready:
                break
            if near in ready:
                request = os.read(near, 4096)
                self.tapped.append((request.hex(" "), ""))
                if len(self.tapped) - 1 == self.cut_at:
                    break
                os.write(far, request)
            if far in ready:
                answer = self.answer(os.read(far, 4096))
                request_hex, so_far = self.tapped[-1]
                self.tapped[-1] = (request_hex, f"{so_far} {answer.hex(' ')}".strip())
                os.write(near, answer)
        self._near.close()

    def unplug(self) -> None:
        os.write(self._stopped, b"x")
        self._thread.join(DEADLINE_S)
        os.close(self._stopped)
        os.close(self._stop)

    def close(self) -> None:
        self.unplug()
        self._end_server()

    def _end_server(self) -> None:
        self._server.kill()
        self._server.communicate()
        self._far.close()
