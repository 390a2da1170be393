"""The rack on a JACK server. The only file that imports ``jack``, and late.

Three threads touch a rack: JACK's own calls ``_process`` for every period; the control server's
turn knobs, between two periods; the main thread joins, leaves and waits. A lock keeps the first
two apart. The main thread alone opens and closes clients: it is told to by ``_calls``.

    joined --- vanish, unplug ---> gone for a while -------.
       | `---- server shut down --> waiting for a server --+--> joined, in a new epoch
       `------ stop, failure -----> ended

From the moment at which it vanishes until it has left the server, the rack sends silence that is
not counted. If the server freewheels, the rack ends that before it leaves: a client that closes
meanwhile sends jackd into a loop that ignores SIGTERM.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from capture.errors import BadInput, CaptureError, HardwareFault
from capture.hardware.profile import RigProfile
from capture.hardware.rack.control import HOST, ControlServer
from capture.hardware.rack.stream import Action, RackStream
from capture.hardware.rack.truth import TruthWriter
from capture.hardware.simulation import AnyFault, Freeze, Overflow, Unplug, Vanish
from capture.model import Setting

POLL_S = 0.25
UNPLUGGED_S = 1.0
OVERFLOW_PERIODS = 3
NAME_FREE_WITHIN_S = 2.0  # the server takes so long to notice that a client was killed
SWITCH_S = 0.0005

TO_FLOAT = np.float32(2.0**-31)  # exact: 24 bits fit a float32


class NoServer(HardwareFault):
    """There is no JACK server to join."""


class _Stop:
    """Somebody asked the rack to end."""


@dataclass(frozen=True)
class _ServerLost:
    """The server of that epoch shut down."""

    epoch: int


Call = _Stop | _ServerLost | Vanish | BaseException


def run_rack(
    profile: RigProfile, server: str | None, truth: Path | None, say: Callable[[str], None]
) -> None:
    """Runs the rack until SIGINT or SIGTERM. ``say`` gets a line when it is ready.

    ``server``: JACK's name of it; None: ``JACK_DEFAULT_SERVER``, or JACK's default. ``truth``: the
    folder for what was really sent. Raises HardwareFault, BadInput, StorageRefused.
    """
    rack = Rack(profile, server)
    with contextlib.ExitStack() as parts:
        parts.callback(_listen(rack.stop))
        if truth is not None:
            writer = TruthWriter(truth, rack.fail)
            parts.callback(writer.close)
            rack.record(writer.put)
        parts.callback(rack.close)
        rack.join()
        control = ControlServer(rack, rack.control_port)
        parts.callback(control.close)
        say(rack.description)
        rack.serve()


def _listen(stop: Callable[[], None]) -> Callable[[], None]:
    """Signals call ``stop``. Returns what puts them back."""

    def handler(number: int, frame: object) -> None:
        stop()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, old in before.items():
            signal.signal(number, old)

    return restore


class Rack:
    """The simulated rack as a client of a JACK server; ``control.Controlled``."""

    def __init__(self, profile: RigProfile, server: str | None) -> None:
        if profile.rack is None:
            raise BadInput(f"rig {profile.name} has no section rack; try --rig jack-rack")
        self._words: deque[str] = deque(maxlen=2)  # JACK's latest complaints
        self._jack = _jack(self._words.append)
        self._name = profile.rack.client
        self.control_port = profile.rack.control_port
        self._rate_hz = profile.audio.sample_rate_hz
        self._server = server
        self._stream = RackStream(profile, on_event=self._happened)
        self._lock = threading.Lock()
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._record: Callable[[Any], None] = _ignore
        self._client: Any = None
        self._leaving = False
        self._freewheels = False
        self._expected: int | None = None  # the server's time at the next period
        self._play = np.zeros((0, 2), np.float32)
        self._missed = 0

    @property
    def description(self) -> str:
        return (
            f"{self._name}: {len(self._stream.inputs)} outputs, 2 inputs at {self._rate_hz} Hz; "
            f"knobs on {HOST}:{self.control_port}; Ctrl-C ends it"
        )

    def record(self, put: Callable[[Any], None]) -> None:
        """From now on ``put`` gets all frames that are sent, the unit's gain, and all events."""
        self._record = self._stream.on_gain = put
        self._happened(
            {"event": "start", "rate_hz": self._rate_hz, "inputs": list(self._stream.inputs)}
        )

    # Asked by others.

    def stop(self) -> None:
        """Ends ``serve``. From a signal handler, or any thread."""
        self._calls.put(_Stop())

    def fail(self, error: BaseException) -> None:
        """Ends ``serve`` with ``error``."""
        self._calls.put(error)

    def set(self, setting: Setting) -> None:
        with self._lock:
            self._stream.set(setting)

    def fault(self, fault: AnyFault) -> None:
        with self._lock:
            self._stream.fault(fault)

    def state(self) -> dict[str, Any]:
        with self._lock:
            stream = self._stream
            return {
                "frames": stream.frame,
                "missed": self._missed,
                "epoch": stream.epoch,
                "takes": stream.takes,
                "delay_frames": stream.delay_frames,
                "joined": self._client is not None and not self._leaving,
                "rate_hz": self._rate_hz,
                "inputs": list(stream.inputs),
            }

    # On the main thread.

    def join(self) -> None:
        """Becomes a client of the server. Raises NoServer, HardwareFault."""
        client = self._opened()
        try:
            if client.samplerate != self._rate_hz:
                raise HardwareFault(
                    f"the JACK server runs at {client.samplerate} Hz, the rack at "
                    f"{self._rate_hz} Hz: start jackd with -r {self._rate_hz}, or use a profile "
                    "with the server's rate"
                )
            for number in (1, 2):
                client.inports.register(f"in_{number}")
            for number in range(1, len(self._stream.inputs) + 1):
                client.outports.register(f"out_{number}")
            client.set_process_callback(self._process)
            client.set_shutdown_callback(self._shut_down_in(self._stream.epoch))
            client.set_freewheel_callback(self._freewheel)
            self._leaving, self._expected, self._freewheels = False, None, False
            self._client = client
            self._joined()
            client.activate()
        except BaseException:
            self._client = None
            client.close()
            raise

    def _joined(self) -> None:
        delay_frames = self._stream.delay_frames
        self._happened(
            {"event": "epoch", "epoch": self._stream.epoch, "delay_frames": delay_frames}
        )
        gc.freeze()  # what is there stays: collections then take no more than a moment
        sys.setswitchinterval(SWITCH_S)  # the audio thread does not wait for the others

    def _opened(self) -> Any:
        """A client of our own name, which nobody else may have."""
        end = time.monotonic() + NAME_FREE_WITHIN_S
        while True:
            try:
                return self._jack.Client(
                    self._name, use_exact_name=True, no_start_server=True, servername=self._server
                )
            except self._jack.JackOpenError as error:
                if error.status.server_failed:
                    raise _no_server(self._server) from None
            if time.monotonic() > end:  # JACK gives no status of its own for a name that is taken
                raise HardwareFault(
                    f"the JACK server takes no client '{self._name}': most likely it has one "
                    "already; end that one, or give rack.client in the profile another name",
                    *(f"JACK says: {words}" for words in self._words),
                )
            time.sleep(POLL_S)

    def serve(self) -> None:
        """Does what has to be done until it is stopped. Raises what went wrong."""
        while True:
            call = self._calls.get()
            match call:
                case BaseException():
                    raise call
                case Vanish():
                    goes_on = self._away("vanished", call.for_s, call.latency_frames)
                case _ServerLost(epoch) if epoch != self._stream.epoch:
                    continue  # we had left it before
                case _ServerLost():
                    goes_on = self._away("the server shut down", 0.0, None)
                case _:
                    return
            if not goes_on:
                return

    def _away(self, why: str, for_s: float, latency_frames: int | None) -> bool:
        """Leaves, and joins again after ``for_s``, once there is a server; False if stopped."""
        gone = time.monotonic()
        self._leave()
        self._happened({"event": "left", "why": why})
        if self._stopped_within(for_s):
            return False
        with self._lock:
            self._stream.restart(latency_frames, time.monotonic() - gone)
        while True:
            with contextlib.suppress(NoServer):
                self.join()
                return True
            if self._stopped_within(POLL_S):
                return False

    def _stopped_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                call = self._calls.get(timeout=left)
            except queue.Empty:
                return False
            if isinstance(call, _Stop):
                return True
            if isinstance(call, BaseException):
                raise call
        return False

    def _leave(self) -> None:
        client, self._leaving = self._client, True
        if client is None:
            return
        with contextlib.suppress(self._jack.JackError):
            self._end_freewheel(client)
            client.deactivate()
        with contextlib.suppress(self._jack.JackError):
            client.close()
        self._client = None

    def _end_freewheel(self, client: Any) -> None:
        if self._freewheels:
            client.set_freewheel(False)
            time.sleep(0.2)

    def close(self) -> None:
        """Leaves the server. Harmless twice."""
        if self._client is not None:
            self._leave()
            self._happened({"event": "left", "why": "ended"})

    # On JACK's threads.

    def _shut_down_in(self, epoch: int) -> Callable[[object, str], None]:
        def shut_down(status: object, reason: str) -> None:
            self._calls.put(_ServerLost(epoch))

        return shut_down

    def _freewheel(self, starting: bool) -> None:
        self._freewheels = starting

    def _process(self, frames: int) -> None:
        """One period. Never raises: an exception would silence the rack for ever."""
        try:
            if self._leaving:
                self._silence()
            else:
                self._period(frames)
        except BaseException as error:
            self._leaving = True
            self.fail(error)

    def _silence(self) -> None:
        for port in self._client.outports:
            port.get_array().fill(0.0)

    def _period(self, frames: int) -> None:
        client = self._client
        self._note_gap(client.last_frame_time, frames)
        if len(self._play) != frames:
            self._play = np.zeros((frames, 2), np.float32)
        for column, port in enumerate(client.inports):
            self._play[:, column] = port.get_array()
        with self._lock:
            recorded = self._stream.process(self._play)
            actions = self._stream.take_actions()
        sent = recorded * TO_FLOAT
        for column, port in enumerate(client.outports):
            port.get_array()[:] = sent[:, column]
        self._record(recorded)
        for action in actions:
            self._act(action, frames)

    def _note_gap(self, now: int, frames: int) -> None:
        """``now``: the server's time in frames, modulo 2**32, as this period begins."""
        expected, self._expected = self._expected, (now + frames) % 2**32
        missed = 0 if expected is None else (now - expected) % 2**32
        if missed:
            self._missed += missed
            self._happened({"event": "gap", "missed": missed})

    def _act(self, action: Action, frames: int) -> None:
        match action:
            case Freeze():
                time.sleep(action.for_ms / 1000)
            case Overflow():
                time.sleep(OVERFLOW_PERIODS * frames / self._rate_hz)
            case Vanish() | Unplug() if not self._leaving:
                self._leaving = True
                gone = action if isinstance(action, Vanish) else Vanish(for_s=UNPLUGGED_S)
                self._calls.put(gone)
            case _:  # gone already
                pass

    def _happened(self, event: dict[str, Any]) -> None:
        self._record({"frame": self._stream.frame, **event})


def _jack(complain: Callable[[str], None]) -> Any:
    """The module ``jack``, which says to ``complain`` from now on what it says on stderr."""
    try:
        import jack
    except ImportError:
        raise HardwareFault("JACK-Client is not installed: pip install JACK-Client") from None
    except OSError:
        raise HardwareFault(
            "libjack is not installed, so there can be no rack (Debian: apt-get install jackd2)"
        ) from None
    module: Any = jack
    module.set_error_function(complain)
    module.set_info_function(_ignore)
    return module


def _ignore(item: object) -> None:
    pass


def _no_server(name: str | None) -> CaptureError:
    name = name or os.environ.get("JACK_DEFAULT_SERVER", "default")
    return NoServer(
        f"there is no JACK server '{name}'; start one first, for example:",
        f"  JACK_NO_AUDIO_RESERVATION=1 jackd -n {name} --no-realtime -d dummy -r 44100 -p 1024",
    )
