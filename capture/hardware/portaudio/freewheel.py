"""JACK's freewheel: the server runs as fast as its clients can, waiting for each.

Only simulated hardware can follow. It must be off when a stream is opened, which hangs otherwise,
and before any client leaves the server: jackd does not survive that (it loops for good). So the
client that turned it on, or found it on, stays until it is off.
"""

from __future__ import annotations

import time
from typing import Any

from capture.errors import HardwareFault

LEAVE_S = 0.25
"""What jackd needs to be back on its clock (0.2 s was enough)."""
LOOK_S = 0.1
FAST = 3.0
"""A server whose frames pass so many times faster than time freewheels."""


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
