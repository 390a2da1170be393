"""A JACK server with the dummy driver, of a test's own: started, frozen, freewheeled, killed.

Nothing that this file did not start is touched. What it knows of JACK, learnt the hard way:

* A client that leaves while the server freewheels sends the server into a loop that ignores
  SIGTERM. So ``freewheel(False)`` comes first, and waits; ``stop`` sees to it.
* The registry in ``/dev/shm`` has room for eight servers, and one that was killed keeps its place
  until a server of the same name claims it. So a killed one is started once more as it is stopped,
  and where the room is used up by servers that died unseen (a test run that was itself killed),
  each is started and stopped by its name.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

MISSING = [tool for tool in ("jackd", "jack_wait", "timeout", "head") if which(tool) is None]
"""The programs that a test with JACK needs and this machine lacks."""

LOG_BYTES = 200_000
DEADLINE_S = 15.0
FULL = "Too many servers already active"
SHARED = Path("/dev/shm")

# A process of its own: libjack keeps threads, and a client must outlive the freewheeling it began.
_CONTROLLER = """
import contextlib, sys, time, jack
client = jack.Client("freewheel", no_start_server=True, servername=sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    with contextlib.suppress(jack.JackErrorCode):  # so it is already
        client.set_freewheel(line.strip() == "on")
    time.sleep(0.2)
    print("done", flush=True)
client.close()
"""


def until(true: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Polls until ``true()``; fails, saying ``what`` did not come about, after ``deadline_s``."""
    end = time.monotonic() + deadline_s
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        time.sleep(0.01)


class JackServer:
    """One server; it lives for ``limit_s`` seconds at most, whatever becomes of the test."""

    def __init__(
        self, name: str, rate: int = 44100, period: int = 1024, limit_s: int = 300
    ) -> None:
        self.name = name
        self.rate_hz = rate
        self.period_frames = period
        self._limit_s = limit_s
        self._timeout: subprocess.Popen[bytes] | None = None
        self._head: subprocess.Popen[bytes] | None = None
        self._controller: subprocess.Popen[str] | None = None
        self._freewheels = False
        self._was_killed = False

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that is to find this server, and never to start one."""
        return {**os.environ, **self.variables}

    @property
    def variables(self) -> dict[str, str]:
        return {
            "JACK_NO_AUDIO_RESERVATION": "1",
            "JACK_NO_START_SERVER": "1",
            "JACK_DEFAULT_SERVER": self.name,
        }

    @property
    def pid(self) -> int:
        """The process id of jackd itself; 0 when it does not run."""
        parent = self._timeout
        if parent is None or parent.poll() is not None:
            return 0
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            return int(children[0]) if children else 0
        return 0

    @property
    def log(self) -> str:
        """The first ``LOG_BYTES`` of what the server said, once it has ended."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    @property
    def _log_file(self) -> Path:
        return Path(f"/tmp/jackd-{self.name}.log")

    def start(self) -> None:
        """Returns when the server takes clients. Raises AssertionError with its log."""
        if self._starts():
            return
        if FULL in self.log and (dead := _dead_servers()):
            for name in dead:
                _give_place_back(name)
            if self._starts():
                return
        raise AssertionError(f"jackd {self.name} did not start:\n{self.log}")

    def _starts(self) -> bool:
        assert self._timeout is None, "started already"
        self._sweep()
        command = [
            *("timeout", "-k", "5", str(self._limit_s), "jackd", "-n", self.name, *_realtime()),
            *("-d", "dummy", "-r", str(self.rate_hz), "-p", str(self.period_frames)),
            *("-C", "2", "-P", "2"),
        ]
        self._timeout = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.env
        )
        with self._log_file.open("wb") as log:
            self._head = subprocess.Popen(
                ["head", "-c", str(LOG_BYTES)], stdin=self._timeout.stdout, stdout=log
            )
        assert self._timeout.stdout is not None
        self._timeout.stdout.close()  # it is head's now
        if self._answers():
            return True
        self._end(signal.SIGKILL)
        return False

    def _answers(self) -> bool:
        wait = ["jack_wait", "-s", self.name, "-w", "-t", str(round(DEADLINE_S))]
        ended = subprocess.run(wait, env=self.env, capture_output=True, check=False)
        return ended.returncode == 0

    def stop(self) -> None:
        """Ends the server gently, and forcibly if need be. Harmless when it does not run."""
        if self._timeout is not None:
            if self._freewheels:
                with contextlib.suppress(OSError, AssertionError):
                    self.freewheel(False)
            self._end_controller()
            self._end(signal.SIGTERM)
        if self._was_killed:  # gives its place in the registry back
            self._was_killed = False
            self.start()
            self.stop()
        self._sweep()
        self._log_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """kill -9 of jackd: what its clients see when a server crashes. ``start`` may follow."""
        self._was_killed = True
        self._end(signal.SIGKILL)
        self._end_controller()

    def freewheel(self, on: bool) -> None:
        """As fast as all clients go; or in real time. In force when this returns."""
        if self._controller is None:
            self._controller = subprocess.Popen(
                [sys.executable, "-c", _CONTROLLER, self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.env,
                text=True,
            )
            self._hear("ready")
        assert self._controller.stdin is not None
        self._controller.stdin.write("on\n" if on else "off\n")
        self._controller.stdin.flush()
        self._hear("done")
        self._freewheels = on

    def _hear(self, word: str) -> None:
        assert self._controller is not None
        assert self._controller.stdout is not None
        heard = self._controller.stdout.readline().strip()
        assert heard == word, f"the freewheel controller of {self.name} said {heard!r}, not {word}"

    def _end_controller(self) -> None:
        self._freewheels = False
        if self._controller is None:
            return
        with contextlib.suppress(OSError):
            self._controller.communicate("", timeout=0.5)
        if self._controller.poll() is None:
            self._controller.kill()
            self._controller.communicate()
        self._controller = None

    def _end(self, how: signal.Signals) -> None:
        if self._timeout is None:
            return
        if pid := self.pid:
            os.kill(pid, how)
        try:
            self._timeout.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._was_killed = True
            if pid := self.pid:
                os.kill(pid, signal.SIGKILL)
            self._timeout.wait()
        assert self._head is not None
        self._head.wait()
        self._timeout = self._head = None

    def _sweep(self) -> None:
        """Removes the sockets and semaphores that a killed server of this name left behind."""
        for pattern in (f"jack_{self.name}_*", f"jack_sem.*_{self.name}_*"):
            for stale in SHARED.glob(pattern):
                with contextlib.suppress(OSError):
                    stale.unlink()


def _dead_servers() -> list[str]:
    """The names in JACK's registry of this user's servers whose process is no more."""
    registry = (SHARED / "jack-shm-registry").read_bytes()
    places = re.finditer(rf"(?s)(.{{4}})jack-{os.getuid()}:([^:\0]+):".encode(), registry)
    found = [
        (int.from_bytes(pid, sys.byteorder), name.decode())
        for pid, name in (place.groups() for place in places)
    ]
    return [name for pid, name in found if not Path(f"/proc/{pid}").exists()]


def _give_place_back(name: str) -> None:
    """A killed server's place is free again after a server of its name came and went."""
    server = JackServer(name)
    with contextlib.suppress(AssertionError):  # another process is just doing the same
        server.start()
    server.stop()


def _realtime() -> list[str]:
    """Real-time scheduling where this user may have it."""
    try:
        may = subprocess.run(["chrt", "-f", "10", "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return ["--no-realtime"]
    return ["--no-realtime"] if may.returncode else ["--realtime", "-P", "60"]


@contextlib.contextmanager
def jack_server(
    name: str | None = None, rate: int = 44100, period: int = 1024
) -> Iterator[JackServer]:
    """A running server that is stopped at the end; by default under a name of this process."""
    server = JackServer(name or f"t{os.getpid()}", rate, period)
    server.start()
    try:
        yield server
    finally:
        server.stop()
