"""The rack's knobs and faults, asked for over TCP on this machine: one JSON object a line.

    {"do": "set", "setting": {"threshold_db": -20, ..., "release_s": "auto"}}
    {"do": "fault", "fault": {"kind": "freeze", "at_s": 1.0, "for_ms": 500}}
    {"do": "state"}

Each line is answered by a line: ``{"ok": true, ...}``, or ``{"ok": false, "why": "..."}`` for
whatever it is that was not understood or not done; the connection stays open. Only a line that does
not end within ``LINE_BYTES`` closes it. Any number of clients may be connected.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from typing import Any, Protocol, cast

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.simulation import AnyFault, parse_fault
from capture.model import Setting, parse_value

HOST = "127.0.0.1"
LINE_BYTES = 65536
WHY_CHARACTERS = 500
DEADLINE_S = 5.0

Answer = dict[str, Any]


class Controlled(Protocol):
    """What can be asked for. Called from many threads."""

    def set(self, setting: Setting) -> None: ...

    def fault(self, fault: AnyFault) -> None: ...

    def state(self) -> Answer: ...


def answer(rack: Controlled, line: bytes) -> Answer:
    """Does what ``line`` asks for. Whatever it holds, there is an answer."""
    try:
        return {"ok": True, **_done(rack, json.loads(line))}
    except HardwareFault as error:
        why = str(error)
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or no such thing
        why = str(error) or type(error).__name__
    return {"ok": False, "why": why[:WHY_CHARACTERS]}


def _done(rack: Controlled, request: object) -> Answer:
    """Raises ValueError for what is no request, HardwareFault for what cannot be."""
    given = _mapping(request, "a request")
    match given.get("do"):
        case "set":
            _only(given, "do", "setting")
            setting = _mapping(given.get("setting"), "setting")
            rack.set(Setting({name: _value(name, value) for name, value in setting.items()}))
        case "fault":
            _only(given, "do", "fault")
            fault = given.get("fault")
            rack.fault(parse_fault(fault if isinstance(fault, str) else _mapping(fault, "fault")))
        case "state":
            _only(given, "do")
            return rack.state()
        case other:
            raise ValueError(f"do {other!r} is unknown: set, fault or state")
    return {}


def _mapping(data: object, what: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ValueError(f"{what} must be a JSON object")
    return cast(dict[str, object], data)


def _only(given: dict[str, object], *keys: str) -> None:
    if unknown := [key for key in given if key not in keys]:
        raise ValueError(f"{unknown[0]!r} is unknown: {', '.join(keys)}")


def _value(name: str, value: object) -> Any:
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"{name}: {value!r} is text: give a number or auto")
    try:
        return parse_value(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class ControlServer:
    """Answers until it is closed, in threads of its own. Raises HardwareFault: port in use."""

    def __init__(self, rack: Controlled, port: int) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):  # whoever asked is gone
                    _converse(rack, self)

        try:
            self._server = _Server((HOST, port), Handler)
        except OSError as error:
            raise HardwareFault(
                f"the rack's knobs cannot listen on {HOST}:{port}: {error.strerror}",
                "end whatever listens there, or give rack.control_port in the profile another",
            ) from None
        self.port: int = self._server.server_address[1]
        serve = {"poll_interval": 0.05}
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs=serve, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True  # a restarted rack gets its port back at once
    daemon_threads = True
    block_on_close = False


def _converse(rack: Controlled, link: socketserver.StreamRequestHandler) -> None:
    while line := link.rfile.readline(LINE_BYTES):
        whole = line.endswith(b"\n") or len(line) < LINE_BYTES
        reply = answer(rack, line) if whole else {"ok": False, "why": "the line is too long"}
        link.wfile.write(json.dumps(reply).encode() + b"\n")
        if not whole:
            return


def ask(port: int, request: Answer, deadline_s: float = DEADLINE_S) -> Answer:
    """Asks the rack for one thing: its answer.

    Raises DeviceLost if it is not there, or is silent; HardwareFault if it refuses.
    """
    line = json.dumps(request).encode() + b"\n"
    try:
        with socket.create_connection((HOST, port), deadline_s) as link:
            link.sendall(line)
            reply: object = json.loads(_line(link))
    except ConnectionRefusedError:
        raise DeviceLost(
            f"the rack is not there: nothing answers on {HOST}:{port}", "start it: capture rack"
        ) from None
    except TimeoutError:
        raise DeviceLost(f"the rack did not answer within {deadline_s:g} s") from None
    except OSError as error:
        raise DeviceLost(f"the rack broke off: {error.strerror or error}") from None
    except ValueError:
        raise HardwareFault(f"what answers on {HOST}:{port} is not the rack") from None
    if not isinstance(reply, dict):
        raise HardwareFault(f"what answers on {HOST}:{port} is not the rack")
    found = cast(Answer, reply)
    if found.get("ok") is not True:
        raise HardwareFault(f"the rack refuses: {found.get('why', 'it does not say why')}")
    return found


def _line(link: socket.socket) -> bytes:
    with link.makefile("rb") as stream:
        line = stream.readline(LINE_BYTES)
    if not line:
        raise ConnectionResetError(None, "it closed the connection")
    return line
