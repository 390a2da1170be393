"""The rack of ``rack.py`` on a terminal, and somebody who takes its messages."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.view.terminal import DEADLINE_S, Terminal, terminal

RACK = str(Path(__file__).with_name("rack.py"))


class Rack:
    """Racks on terminals, all writing to one log."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack

    def __call__(self, *options: str, **environment: str) -> Terminal:
        command = [sys.executable, RACK, "log", *options]
        return self._stack.enter_context(terminal(command, self._folder, environment))

    @property
    def log(self) -> list[dict[str, Any]]:
        """What came of each setting so far."""
        path = self._folder / "log"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with ExitStack() as stack:
        yield Rack(tmp_path, stack)


class Webhook:
    """A web server on loopback that takes apprise's JSON; ``url`` is how apprise writes it.

    It answers with ``status`` while ``answers`` is set.
    """

    def __init__(self) -> None:
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        self._bodies: Queue[dict[str, Any]] = Queue()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook._bodies.put(json.loads(body))
                hook.answers.wait(DEADLINE_S)
                self.send_response(hook.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"json://desk:hunter2@127.0.0.1:{self._server.server_port}/hook"

    def message(self) -> str:
        """The next message; waits for it."""
        return self._bodies.get(timeout=DEADLINE_S)["message"]

    @property
    def more(self) -> int:
        """How many messages nobody has taken yet."""
        return self._bodies.qsize()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    found = Webhook()
    yield found
    found.close()


@pytest.fixture
def closed_port() -> Callable[[], int]:
    """A port of this machine that nobody listens at."""

    def find() -> int:
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        server.server_close()
        return server.server_port

    return find
