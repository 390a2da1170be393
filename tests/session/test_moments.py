"""Every fault at every moment of a take: the cells of the table in docs/commit.md.

No cell loses a take that was committed, none commits a wrong one: after each, whatever the ledger
claims is there, byte for byte as in a session that nothing happened to; and the same command, run
once more, makes the dataset whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.jackserver import until
from tests.session.conftest import Desk, hashes
from tests.session.moments import (
    AFTER,
    BEFORE,
    COMMITTED,
    MOMENTS,
    RECORDED,
    Gated,
    committed,
    parts,
    require_sound,
)
from tests.session.test_weeks import plain_rig

TAKES = 8


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two songs, a plan of eight takes."""
    desk = Desk(tmp_path_factory.mktemp("moments"))
    desk.song("one.wav", seed=1)
    desk.song("two.wav", 2.0, seed=2)
    desk.plan(rig=plain_rig(desk), releases="0.1")
    return desk


@pytest.fixture(scope="module")
def whole(home: Desk) -> dict[str, str]:
    """The files of a session that nothing happened to."""
    home.ok("run", "plan.yaml", "--out", "whole")
    return recorded(home.folder / "whole")


@pytest.fixture
def out(home: Desk, tmp_path: Path) -> Path:
    """Where a dataset is recorded."""
    return tmp_path / "d"


def recorded(dataset: Path) -> dict[str, str]:
    """Of all that takes are made of, but for what was swept."""
    return {
        name: sha256
        for name, sha256 in hashes(dataset).items()
        if name.startswith(("data/", "evidence/markers/"))
    }


def require_whole(home: Desk, out: Path, whole: dict[str, str]) -> None:
    """The same command makes it whole, whatever happened."""
    home.ok("run", "plan.yaml", "--out", str(out))
    assert recorded(out) == whole
    assert parts(out) == []
    assert home.json("verify", str(out))["ok"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_signal(home: Desk, out: Path, whole: dict[str, str], number: signal.Signals) -> None:
    """A take whose row is about to be written is finished, if there is time; any other dropped."""
    known: dict[str, str] = {}
    kills = number == signal.SIGKILL
    for moment, taken in {BEFORE: 0, RECORDED: 0, COMMITTED: not kills, AFTER: 1}.items():
        run = Gated(home.folder, out, moment)
        run.at(moment)
        run.process.send_signal(number)
        if not kills:
            run.go()
        run.end(-number if kills else 130)
        now = require_sound(out, known)
        assert len(now) == len(known) + 3 * taken, moment
        assert now.items() <= whole.items(), moment
        assert kills or not parts(out), moment
        known = now
    require_whole(home, out, whole)


def test_a_ledger_that_another_program_holds(
    home: Desk, tmp_path: Path, whole: dict[str, str]
) -> None:
    """All four at once: each waits for as long as SQLite is patient."""
    home.ok("run", "plan.yaml", "--out", str(tmp_path / "first"), "--limit", "2")
    known = committed(tmp_path / "first")
    with contextlib.ExitStack() as held:
        runs: dict[str, Gated] = {}
        for moment in MOMENTS:
            folder = tmp_path / moment
            subprocess.run(["cp", "-a", tmp_path / "first", folder], check=True)
            runs[moment] = Gated(home.folder, folder, moment)
        for moment, run in runs.items():
            run.at(moment)
            ledger = sqlite3.connect(tmp_path / moment / "ledger.sqlite", isolation_level=None)
            held.enter_context(contextlib.closing(ledger))
            ledger.execute("BEGIN EXCLUSIVE")
            run.go()
        for run in runs.values():
            assert "another program holds the ledger" in run.end(6)
    for moment in MOMENTS:
        now = require_sound(tmp_path / moment, known)
        assert len(now) == len(known) + 3 * (moment == AFTER)
        assert now.items() <= whole.items()
        assert not parts(tmp_path / moment)
    require_whole(home, tmp_path / COMMITTED, whole)


class Disk:
    """A small file system of its own. Needs the right to mount."""

    def __init__(self, folder: Path) -> None:
        self._image, self.root = folder / "disk.img", folder / "disk"
        self.root.mkdir()
        with self._image.open("wb") as file:
            file.truncate(32 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", self._image], check=True)
        self.mount()

    def mount(self) -> None:
        # As Debian's installer sets it up: a disk that errs is written no more.
        options = "loop,errors=remount-ro"
        subprocess.run(["mount", "-o", options, self._image, self.root], check=True)

    def umount(self) -> None:
        subprocess.run(["umount", self.root], check=True)

    def err(self) -> None:
        """The kernel meets an error, and makes the file system read-only."""
        found = subprocess.run(
            ["findmnt", "-no", "SOURCE", self.root], check=True, capture_output=True, text=True
        )
        device = Path(found.stdout.strip()).name
        Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test\n")

    def lose_power(self) -> None:
        """From now on nothing is written: what was not flushed is gone (EXT4_IOC_SHUTDOWN)."""
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, 0x8004587D, struct.pack("I", 2))
        finally:
            os.close(folder)

    def repair(self) -> None:
        """As a boot does: what the journal has is carried out, what is wrong put right."""
        self.umount()
        fixed = subprocess.run(["e2fsck", "-p", self._image], capture_output=True, check=False)
        assert fixed.returncode in (0, 1), fixed.stdout
        self.mount()

    def fill(self) -> Path:
        """Leaves no room at all; gives the file to be removed."""
        ballast = self.root / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for size in (2**20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
                        os.fsync(file.fileno())  # only now is it known what it needs
        return ballast


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    try:
        found = Disk(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        if os.environ.get("CI"):
            raise
        pytest.skip("needs the right to mount a file system")
    yield found
    found.umount()


@pytest.mark.parametrize(
    ("fault", "codes"), [("err", (6,)), ("lose_power", (5, 6))], ids=["read-only", "power loss"]
)
def test_a_disk_that_is_written_no_more(
    home: Desk, disk: Disk, whole: dict[str, str], fault: str, codes: tuple[int, ...]
) -> None:
    """What was acknowledged is on the disk. Everything else may be gone, and nothing is wrong."""
    out = disk.root / "d"
    home.ok("run", "plan.yaml", "--out", str(out), "--limit", "2")
    known = committed(out)
    for moment in MOMENTS:
        run = Gated(home.folder, out, moment)
        run.at(moment)
        getattr(disk, fault)()
        run.go()
        run.end(*codes)
        disk.repair()
        now = require_sound(out, known)
        assert len(now) == len(known) + 3 * (moment == AFTER), moment
        assert now.items() <= whole.items(), moment
        known = now
    require_whole(home, out, whole)


def test_a_full_disk(home: Desk, disk: Disk, whole: dict[str, str]) -> None:
    """The session pauses, and goes on by itself when there is room."""
    out = disk.root / "d"
    known: dict[str, str] = {}
    for moment in MOMENTS:
        run = Gated(home.folder, out, moment, options=("--limit", "2"))
        run.at(moment)
        ballast = disk.fill()
        run.go()
        run.until("paused: ")
        assert "disk is full" in run.said[-1]
        ballast.unlink()
        run.end(0)
        assert "goes on" in run.said
        now = require_sound(out, known)
        assert len(now) == len(known) + 3 * 2
        assert not parts(out)
        known = now
    # A take that was dropped is recorded at another try, whose noise is its own.
    assert set(recorded(out)) == set(whole)
    assert home.json("verify", str(out))["ok"]


def test_a_song_that_cannot_be_read_any_more(home: Desk, out: Path, whole: dict[str, str]) -> None:
    """What is played is made of it; a take that has been heard is not."""
    known: dict[str, str] = {}
    for moment in MOMENTS:
        run = Gated(home.folder, out, moment)
        run.at(moment)
        songs = {path: path.with_suffix(".away") for path in (out / "data/inputs").iterdir()}
        for song, away in songs.items():
            song.rename(out.parent / away.name)
        run.go()
        said = run.end(5)
        assert any(song.name in said for song in songs)
        for song, away in songs.items():
            (out.parent / away.name).rename(song)
        now = require_sound(out, known)
        assert now.items() <= whole.items()
        assert len(now) >= len(known) + 3 * (moment in (COMMITTED, AFTER))
        assert not parts(out)
        known = now
    require_whole(home, out, whole)


def test_a_song_that_changes_between_two_of_its_takes_is_not_played(
    home: Desk, out: Path, whole: dict[str, str]
) -> None:
    run = Gated(home.folder, out, COMMITTED)
    run.at(COMMITTED)
    songs = {path: path.read_bytes() for path in (out / "data/inputs").iterdir()}
    for song, other in zip(songs, reversed(songs.values()), strict=True):
        swapped = song.with_suffix(".other")
        swapped.write_bytes(other)
        swapped.replace(song)  # whoever is reading the song ahead goes on with the true one
    run.go()
    assert "is not the file that was made" in run.end(5)
    for song, content in songs.items():
        song.write_bytes(content)
    assert require_sound(out, {}).items() <= whole.items()
    require_whole(home, out, whole)


FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Clock:
    """The clock on the wall, as a program sees it; the one that only counts goes on."""

    def __init__(self, file: Path) -> None:
        if not FAKETIME:
            if os.environ.get("CI"):
                raise RuntimeError("CI lacks libfaketime")
            pytest.skip("needs the Debian package libfaketime (make test installs it for root)")
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.set_back(0)

    def set_back(self, days: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"-{days}d\n")
        new.replace(self._file)


def days_back(dataset: Path) -> list[int]:
    """By how many days each take is older than now, in the order in which they were captured."""
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger:
        rows = ledger.execute("SELECT record FROM takes ORDER BY number").fetchall()
    captured = [datetime.fromisoformat(json.loads(record)["captured_at"]) for (record,) in rows]
    return [round((datetime.now(at.tzinfo) - at) / timedelta(days=1)) for at in captured]


def test_a_clock_that_is_set_back(home: Desk, out: Path, whole: dict[str, str]) -> None:
    """By days, between two runs and four times within one: nothing goes by it."""
    clock = Clock(out.with_name("clock"))
    desk = Desk(home.folder, clock.environment)
    desk.ok("run", "plan.yaml", "--out", str(out), "--limit", "1")
    run = Gated(home.folder, out, *MOMENTS, env=clock.environment)
    for days, moment in enumerate(MOMENTS, 1):
        run.at(moment)
        clock.set_back(10 * days)
        run.go()
    run.end(0)
    assert recorded(out) == whole
    found = days_back(out)
    assert len(found) == TAKES
    assert found[0] == 0
    assert found[-1] == 40
    assert home.json("verify", str(out))["ok"]
    assert desk.json("status", str(out))["captured"] == TAKES


def test_a_law_from_the_future_is_too_old(tmp_path: Path) -> None:
    """Its age is not known any more, so it is measured again."""
    clock, desk = Clock(tmp_path / "clock"), Desk(tmp_path)
    desk.environment.update(clock.environment)
    desk.song("one.wav", seed=1)
    plan = desk.plan(releases="0.1")
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    measured = "gain law: "
    said = desk.ok("run", plan, "--out", "d", "--limit", "1").splitlines()
    first = next(i for i, line in enumerate(said) if line.startswith("captured"))
    assert not any(line.startswith(measured) for line in said[:first])
    clock.set_back(40)
    said = desk.ok("run", plan, "--out", "d", "--limit", "1").splitlines()
    first = next(i for i, line in enumerate(said) if line.startswith("captured"))
    assert any(line.startswith(measured) for line in said[:first])
    assert desk.json("verify", "d")["ok"]


def test_a_machine_that_sleeps(home: Desk, out: Path, whole: dict[str, str]) -> None:
    """A simulated rig has no clock that could go on meanwhile. See tests/jack for one that has."""
    run = Gated(home.folder, out, *MOMENTS)
    for moment in MOMENTS:
        run.at(moment)
        run.group(signal.SIGSTOP)
        until(run.sleeps, "it sleeps")
        run.go()  # it finds that when it wakes
        run.group(signal.SIGCONT)
    run.end(0)
    assert recorded(out) == whole
    assert home.json("verify", str(out))["ok"]


def test_every_cell_of_the_table_names_a_test_that_there_is() -> None:
    """docs/commit.md says of each row where it is tested."""
    root = Path(__file__).parents[2]
    text = (root / "docs" / "commit.md").read_text("utf-8").partition("## Faults by moment")[2]
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) > 10
    for row in table[1:]:
        named = [word for word in row.split("`") if "::" in word]
        assert named, f"no test is named: {row}"
        for name in named:
            file, _, test = name.partition("::")
            assert f"def {test}(" in (root / "tests" / file).read_text("utf-8"), name
