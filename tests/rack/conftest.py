"""Racks for the tests: profiles, and the command itself on a JACK server of the test's own."""

from __future__ import annotations

import contextlib
import copy
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from capture import presets
from capture.documents import read
from capture.hardware.profile import RigProfile
from capture.hardware.rack.control import ask
from tests.jackserver import DEADLINE_S, JackServer, until

QUIET: dict[str, Any] = {
    "noise_dbfs": {"left": -200, "right": -200, "cv": -200, "loopback": -200},
    "hum_dbfs": {"left": -200, "right": -200, "cv": -200, "loopback": -200},
}


def document(simulation: dict[str, Any], quiet: bool = False) -> dict[str, Any]:
    """The packaged profile jack-rack as data, with a section ``simulation`` that is changed."""
    data = copy.deepcopy(read(presets.packaged("rig", "jack-rack"), "jack-rack.yaml").data)
    data["simulation"] |= simulation
    if quiet:
        data["simulation"]["converters"] |= QUIET
        data["simulation"]["cv"]["noise_volts_rms"] = 0.0
    return data


@pytest.fixture(scope="session")
def profile() -> Callable[..., RigProfile]:
    """The packaged profile jack-rack; ``quiet`` is without noise and hum."""

    def make(quiet: bool = False, **simulation: Any) -> RigProfile:
        found = RigProfile.model_validate(document(simulation, quiet))
        found.check()
        return found

    return make


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RackProcess:
    """``capture rack`` in a process of its own, which has said that it is ready."""

    def __init__(
        self, server: JackServer, folder: Path, port: int | None = None, **simulation: Any
    ) -> None:
        self.port = port or free_port()
        self.truth = folder / "truth"
        self._server = server
        self._rig = folder / "rig.yaml"
        data = document(simulation)
        data["rack"]["control_port"] = self.port
        with self._rig.open("w") as file:
            YAML().dump(data, file)
        self.start()

    def start(self) -> None:
        program = "from capture.cli import main; main()"
        command = [sys.executable, "-c", program, "rack", "--rig", str(self._rig)]
        self.process = subprocess.Popen(
            [*command, "--truth", str(self.truth)],
            env=self._server.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.line = said(self.process, "rack: ")

    def state(self) -> dict[str, Any]:
        return ask(self.port, {"do": "state"})

    def fault(self, **fault: Any) -> None:
        ask(self.port, {"do": "fault", "fault": fault})

    def until(self, true: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """The state, once it is as it should be."""
        until(lambda: true(self.state()), what)
        return self.state()

    def stop(self) -> int:
        """Asks it to end; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(DEADLINE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        end(self.process)


def said(process: subprocess.Popen[str], begin: str) -> str:
    """The next line that ``process`` says, which must begin so."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 2 * DEADLINE_S)
    line = process.stdout.readline() if ready else "nothing\n"
    assert line.startswith(begin), f"it should say {begin!r}, and says {line!r}"
    return line


def end(process: subprocess.Popen[str]) -> None:
    """Kills it, if it still lives, and closes its pipes."""
    process.kill()
    with contextlib.suppress(ValueError):  # closed already
        process.communicate()


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    """A server of this process; the tests of a file share it."""
    found = JackServer(f"t{os.getpid()}")
    found.start()
    yield found
    found.stop()


@pytest.fixture
def start_rack(server: JackServer, tmp_path: Path) -> Iterator[Callable[..., RackProcess]]:
    """Starts a rack; keywords change its section ``simulation``."""
    if not server.pid:  # a test that failed left it dead
        server.stop()
        server.start()
    with contextlib.ExitStack() as ends:

        def start(**simulation: Any) -> RackProcess:
            rack = RackProcess(server, tmp_path, **simulation)
            ends.callback(rack.kill)
            return rack

        yield start
        with contextlib.suppress(AssertionError, OSError):
            server.freewheel(False)
