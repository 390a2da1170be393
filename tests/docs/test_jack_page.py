"""docs/jack.md is true: its commands run in their order, and say what is shown."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from capture.presets import packaged
from tests.docs.test_docs import ROOT, shape
from tests.jackserver import MISSING, JackServer

PAGE = (ROOT / "docs" / "jack.md").read_text("utf-8")
PORT = "47700"
MARK = "@@ command"
WITHIN_S = 500

if MISSING and os.environ.get("CI"):
    raise RuntimeError(f"CI lacks {MISSING}")


@dataclass
class Step:
    """A command of the page, and the lines shown for it."""

    command: str
    shown: str = ""


def steps(page: str) -> list[Step]:
    """What stands in the console blocks; a line that begins with ``>`` goes on with a command."""
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            elif line.startswith("> ") and not found[-1].shown:
                found[-1].command += f"\n{line[2:]}"
            else:
                found[-1].shown += f"{line}\n"
    return found


def files(page: str) -> dict[str, str]:
    """The files of the page: a name alone on its line, then a block."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", page, re.DOTALL | re.MULTILINE))


def adapted(command: str, server: str, port: int) -> str:
    """The same for a server and a port of the test's own; nothing is installed."""
    command = command.replace("'jack-rack'))", f"'jack-rack').replace('{PORT}', '{port}'))")
    command = command.replace("rig0", server).replace(f"ask({PORT}", f"ask({port}")
    if may_have_priority():  # other tests run beside
        command = command.replace("--no-realtime", "--realtime -P 60")
    if command.startswith("apt-get install"):
        return command.replace(" -y ", " -y --simulate ") if shutil.which("apt-get") else "true"
    if command.endswith("wait $JACKD"):  # it may meet a client that leaves too, and die of SIGPIPE
        return f"{command} || test $? = {128 + signal.SIGPIPE}"
    return command


@cache
def may_have_priority() -> bool:
    """Whether this user may have real-time scheduling."""
    command = ["chrt", "-f", "10", "true"]
    return bool(shutil.which("chrt")) and not subprocess.run(command, check=False).returncode


def follows(said: list[str], shown: list[str]) -> bool:
    """Whether the lines ``shown`` are among those ``said``, in order. More may be: a void take."""
    rest = iter(said)
    return all(line in rest for line in shown if line != "...")


def masked(text: str) -> list[str]:
    """``shape``, without the figures that depend on how PortAudio and JACK cut their blocks."""
    text = re.sub(r"\b\d{4}(\.\d{3})? (frames|\+-)", r"N \2", text)
    return shape(text)


def members(session: int) -> list[int]:
    """The processes of a session that still live."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def end(session: int, server: str) -> list[int]:
    """Ends what the page has left running; gives the place of its server back."""
    left = members(session)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    if left:
        killed = JackServer(server)
        killed.kill()
        killed.stop()
    return left


def ran(script: str, folder: Path) -> tuple[int, str, str, int]:
    """What bash made of ``script``: exit code, output, errors, and its session."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "120",
        "DEBIAN_FRONTEND": "noninteractive",
    }
    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        bash = subprocess.Popen(
            ["bash", "-e", "-c", script],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code = bash.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            code = -1
    said, errors = ((folder / name).read_text() for name in ("out.txt", "err.txt"))
    return code, said, errors, bash.pid


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_the_page_goes_as_it_shows(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = f"doc{os.getpid()}"
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text, "utf-8")
    # A file of a preset's name comes before the preset: the page's rack gets a port of its own.
    (tmp_path / "jack-rack").write_text(packaged("rig", "jack-rack").replace(PORT, str(port)))
    todo = steps(PAGE)
    script = "\n".join(
        f"echo '{MARK}' {number}\n{adapted(step.command, server, port)}"
        for number, step in enumerate(todo)
    )
    code, said, errors, session = ran(script, tmp_path)
    time.sleep(0.5)
    left = end(session, server)
    assert code == 0, f"{said[-3000:]}\n{errors[-3000:]}"
    assert left == [], "the page leaves processes behind"

    outputs = said.split(f"{MARK} ")[1:]
    assert len(outputs) == len(todo)
    for step, output in zip(todo, outputs, strict=True):
        lines = masked(output.partition("\n")[2].replace(str(port), PORT))
        assert follows(lines, masked(step.shown)), f"{step.command}\n{output}"

    log = (tmp_path / "run.log").read_text()
    for what in ("clock_frames", r"marker_tail_frames: -(1|0\.99)", "pilot_db"):
        assert re.search(f"^void: .*{what}", log, re.MULTILINE), log
    assert log.count("device lost: ") == log.count("device is back") >= 2, log


def test_the_page_has_what_it_promises() -> None:
    commands = "\n".join(step.command for step in steps(PAGE))
    for needed in ("jackd", "capture rack", "capture devices", "capture check", "kill -STOP"):
        assert needed in commands
    assert set(files(PAGE)) == {"plan.yaml", "compare.py"}
