"""JACK's freewheel: the server runs as fast as its clients can, waiting for each.

Only simulated hardware can follow. It must be off when a stream is opened, which hangs otherwise,
and before any client leaves the server: jackd does not survive that (it loops for good). So the
client that turned it on, or found it on, stays until it is off.

So engines enter and leave a server one after the other, and none does while another has it in
freewheel: there is a ``Door``. It matters after a kill, when the engine of the run that was killed
is still on its way out, and that of the next run on its way in.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from capture.errors import HardwareFault

LEAVE_S = 0.25
"""What jackd needs to be back on its clock (0.2 s was enough)."""
LOOK_S = 0.1
FAST = 3.0
"""A server whose frames pass so many times faster than time freewheels."""

ENTER_S = 20.0
LEAVE_WITHIN_S = 3.0
"""How long a door is waited for. Whoever leaves has little time, or is ended by force."""


class Door:
    """Who may come to the JACK server, or go: held by one engine of this user's at a time.

    A lock on a file, which the system lets go of when its holder dies.
    """

    def __init__(self) -> None:
        self._server = os.environ.get("JACK_DEFAULT_SERVER", "default")
        user = getattr(os, "getuid", int)()
        name = f"capture-jack-{user}-{self._server.replace(os.sep, '-')}.lock"
        self._lock = FileLock(Path(tempfile.gettempdir()) / name)

    def enter(self) -> None:
        """Raises HardwareFault when somebody else keeps the door for too long."""
        try:
            self._lock.acquire(timeout=ENTER_S)
        except Timeout:
            raise HardwareFault(
                f"the JACK server '{self._server}' is in freewheel for another run of capture, "
                "which nobody can join; let that run end, or end its process capture-engine "
                f"(the lock is {self._lock.lock_file})"
            ) from None

    def leave(self) -> None:
        """Before a client goes. The lock is let go of by the end of the process."""
        with contextlib.suppress(Timeout):  # better to go all the same than to be killed
            self._lock.acquire(timeout=LEAVE_WITHIN_S)

    def let_go(self) -> None:
        self._lock.release()


class Freewheel:
    """A client of the JACK server that does nothing but switch its freewheel."""

    def __init__(self) -> None:
        self._client: Any = None

    def is_on(self) -> bool:
        """Whether somebody has turned it on. Raises HardwareFault, as ``switch`` does."""
        if self._client is None:
            self._client = _client()
        frames, now = self._client.last_frame_time, time.monotonic()
        time.sleep(LOOK_S)
        passed = (self._client.last_frame_time - frames) % 2**32
        spent_s = time.monotonic() - now
        found = passed > FAST * spent_s * self._client.samplerate + self._client.blocksize
        if not found:
            self._client.close()
            self._client = None
        return found

    def switch(self, *, on: bool) -> None:
        """Raises HardwareFault when there is no server, or no JACK."""
        if self._client is None:
            self._client = _client()
        self._client.set_freewheel(on)
        if not on:
            time.sleep(LEAVE_S)
            self._client.close()
            self._client = None


def _client() -> Any:
    try:
        import jack
    except OSError:
        raise HardwareFault("JACK is not installed (Debian: apt-get install jackd2)") from None
    module: Any = jack
    try:
        return module.Client("capture-freewheel", no_start_server=True)
    except module.JackError as error:
        raise HardwareFault(f"the JACK server cannot be reached: {error}") from None
