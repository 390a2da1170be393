"""A session that stands still at one moment of a take, for a fault to come just then.

The program is its own, in a process of its own. What it is about to do next, or has just done,
it tells, and waits to be told to go on: nothing else about it is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

BEFORE, RECORDED, COMMITTED, AFTER = "before", "while recorded", "while committed", "after"
MOMENTS = (BEFORE, RECORDED, COMMITTED, AFTER)
"""Columns of docs/commit.md. Of the first take of a run that gets so far.

before: it is the next, the rig is open. while recorded: its files have been begun. while committed:
its files have their names, its row is not in the ledger. after: its row is.
"""

CHILD = """\
import sys

from capture.dataset import audio
from capture.run import flights, ledger

moments = sys.argv.pop(1).split(",")


def at(moment):
    if moments[:1] == [moment]:
        moments.pop(0)
        print("at", moment, flush=True)
        sys.stdin.readline()


plain_add, plain_commit = flights.Flights.add, ledger.Ledger.commit_take
plain_init, plain_write = audio.FlacWriter.__init__, audio.FlacWriter.write


def add(self, take):
    at("before")
    return plain_add(self, take)


def init(self, path, *arguments):
    self.path = path
    plain_init(self, path, *arguments)


def write(self, samples):
    plain_write(self, samples)
    if self.path.name.endswith(".out.flac.part"):
        at("while recorded")


def commit_take(self, record):
    at("while committed")
    plain_commit(self, record)
    at("after")


flights.Flights.add, ledger.Ledger.commit_take = add, commit_take
audio.FlacWriter.__init__, audio.FlacWriter.write = init, write

from capture.cli import main

main()
"""


class Gated:
    """``capture run plan.yaml``, which stands still at each of ``moments``, in their order."""

    def __init__(
        self,
        folder: Path,
        out: Path | str,
        *moments: str,
        env: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        command = [sys.executable, "-c", CHILD, ",".join(moments)]
        self.process = subprocess.Popen(
            [*command, "run", "plan.yaml", "--out", str(out), *options],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said: list[str] = []

    def until(self, line: str) -> None:
        """Reads what it says until a line that begins so."""
        assert self.process.stdout is not None
        for said in self.process.stdout:
            self.said.append(said.strip())
            if said.startswith(line):
                return
        raise AssertionError(f"it never said {line!r}: {self.said}{self.process.communicate()[1]}")

    def at(self, moment: str) -> None:
        self.until(f"at {moment}")

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, *codes: int) -> str:
        """Waits for the end, with one of these codes and without a traceback; all that it said."""
        out, err = self.process.communicate(timeout=240)
        self.said += out.splitlines()
        said = "\n".join([*self.said, err])
        assert self.process.returncode in codes, f"{self.process.returncode}, not {codes}: {said}"
        assert "Traceback" not in said
        return said

    def group(self, number: signal.Signals) -> None:
        """Sends a signal to the program and all that it started."""
        os.killpg(self.process.pid, number)

    def sleeps(self) -> bool:
        """Whether it was stopped."""
        state = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"


def committed(dataset: Path) -> dict[str, str]:
    """The hash of every file of every take that the ledger says is captured, by its name."""
    if not (dataset / "ledger.sqlite").exists():
        return {}
    with closing(sqlite3.connect(dataset / "ledger.sqlite", timeout=30)) as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = ledger.execute("SELECT record FROM takes").fetchall()
    records = [json.loads(record) for (record,) in rows]
    return {
        record[f"{kind}_file"]: record[f"{kind}_sha256"]
        for record in records
        for kind in ("output", "cv", "markers")
    }


def require_sound(dataset: Path, known: Mapping[str, str]) -> dict[str, str]:
    """All that was ``known`` to be captured still is, and every take's files are as committed.

    Returns what is captured now.
    """
    now = committed(dataset)
    assert {name: now.get(name) for name in known} == dict(known)
    for name, sha256 in now.items():
        assert hashlib.sha256((dataset / name).read_bytes()).hexdigest() == sha256, name
    return now


def parts(dataset: Path) -> list[str]:
    """Temporary files, but for those that were swept."""
    found = (path.relative_to(dataset) for path in dataset.rglob("*.part"))
    return [str(path) for path in found if path.parts[0] != "lost+found"]
