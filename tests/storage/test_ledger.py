"""The ledger: what goes in comes out, and what returned is on the disk."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from capture.errors import CaptureError, DamagedData, StorageRefused
from capture.model import AUTO, SongRecord
from capture.records import (
    AnchorRecord,
    CalibrationRecord,
    LawRecord,
    SessionRecord,
    TakeRecord,
)
from capture.run.database import text_of
from capture.run.ledger import NAME, SCHEMA, SCHEMA_VERSION, Ledger

KINDS = (
    SongRecord, CalibrationRecord, LawRecord, AnchorRecord, SessionRecord, TakeRecord,
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_record_survives_json(kind: type[Any], records: Any) -> None:
    adapter = TypeAdapter(kind)

    @settings(max_examples=200, deadline=None)
    @given(records(kind))
    def check(record: Any) -> None:
        back = adapter.validate_json(adapter.dump_json(record))
        assert back == record
        for field in fields(record):
            assert type(getattr(back, field.name)) is type(getattr(record, field.name))
        if kind is TakeRecord:
            assert [k for k, v in back.setting.items() if v is AUTO] == [
                k for k, v in record.setting.items() if v is AUTO
            ]

    check()


def test_records_come_back_from_the_file(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    takes = [made.take(number) for number in range(4)]
    for take in takes:
        ledger.commit_take(take)
    ledger.add_song(made.song())
    ledger.add_calibration(made.calibration())
    ledger.put_session(made.session())
    ledger.close()
    ledger = Ledger.read(tmp_path)
    assert sorted(ledger.takes(), key=lambda t: t.take_id) == takes
    assert ledger.songs() == [made.song()]
    assert ledger.calibrations() == [made.calibration()]
    assert ledger.sessions() == [made.session()]
    assert ledger.count() == {"captured": (4, 4 * 441000)}
    ledger.close()


def test_a_take_is_committed_once(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.commit_take(made.take())
    with pytest.raises(CaptureError):
        ledger.commit_take(made.take())
    assert len(ledger.take_ids()) == 1
    ledger.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Ledger.open(tmp_path).close()
    database = sqlite3.connect(tmp_path / NAME)
    database.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    database.close()
    for opening in (Ledger.open, Ledger.read):
        with pytest.raises(DamagedData, match="newer version") as caught:
            opening(tmp_path)
        assert caught.value.exit_code == 5


def test_a_ledger_of_version_1_is_read_as_it_is_and_brought_up_to_date_to_be_written(
    tmp_path: Path, made: Any
) -> None:
    database = sqlite3.connect(tmp_path / NAME)
    database.executescript(SCHEMA + "PRAGMA user_version=1;")
    database.close()
    old = Ledger.read(tmp_path)
    assert (old.laws(), old.anchors()) == ([], [])
    old.close()
    ledger = Ledger.open(tmp_path)
    ledger.commit_take(made.take())
    ledger.add_law(made.law(), [])
    ledger.close()
    ledger = Ledger.read(tmp_path)
    assert ledger.laws() == [made.law()]
    assert len(ledger.take_ids()) == 1
    ledger.close()


def test_a_law_withdraws_the_takes_that_it_shows_to_be_wrong(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    takes = [made.take(number) for number in range(3)]
    for take in takes:
        ledger.commit_take(take)
    ledger.add_law(made.law(drift_db=0.2), [takes[0].take_id, takes[2].take_id])
    assert ledger.take_ids() == {takes[1].take_id}
    assert [ledger.withdrawals(take.take_id) for take in takes] == [1, 0, 1]
    ledger.commit_take(takes[0])  # recorded again
    assert len(ledger.take_ids()) == 2
    ledger.close()


@pytest.mark.parametrize("content", [b"", b"not a database at all " * 200, None])
def test_what_is_no_ledger_is_damage(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(DamagedData):
        Ledger.read(tmp_path)


def test_a_ledger_that_is_read_cannot_be_written(tmp_path: Path, made: Any) -> None:
    Ledger.open(tmp_path).close()
    before = (tmp_path / NAME).read_bytes()
    ledger = Ledger.read(tmp_path)
    with pytest.raises(StorageRefused):
        ledger.commit_take(made.take())
    with pytest.raises(StorageRefused):
        ledger.set_fact("a", "b")
    ledger.close()
    assert (tmp_path / NAME).read_bytes() == before


def test_the_writing_connection_survives_power_loss(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    assert ledger._rows("PRAGMA synchronous") == [(3,)]  # EXTRA
    assert ledger._rows("PRAGMA journal_mode") == [("delete",)]
    ledger.close()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_transaction_that_fails_changes_nothing(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.add_song(made.song())
    with pytest.raises(CaptureError):
        ledger.set_splits({made.song().song_id: "train", "x": object()})  # type: ignore[dict-item]
    assert ledger.splits() == {}
    ledger.close()


def crashed(folder: Path) -> Path:
    """A ledger as a crash in the middle of a commit leaves it: half written, with its journal."""
    (folder / "live").mkdir()
    ledger = Ledger.open(folder / "live")
    ledger.set_fact("kept", "yes")
    ledger._rows("PRAGMA cache_size=5")
    ledger._rows("BEGIN IMMEDIATE")
    for number in range(200):
        ledger.set_fact(f"lost {number}", "x" * 3000)
    shutil.copytree(folder / "live", folder / "crashed")
    ledger.close()
    assert (folder / "crashed" / f"{NAME}-journal").stat().st_size > 512
    return folder / "crashed"


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.read])
def test_a_commit_that_a_crash_cut_short_is_undone(tmp_path: Path, opening: Any) -> None:
    """By whoever comes first, be it `capture status`."""
    ledger = opening(crashed(tmp_path))
    assert ledger.fact("kept") == "yes"
    assert ledger.fact("lost 1") is None
    ledger.close()


def test_reading_slowly_does_not_keep_a_run_from_committing(tmp_path: Path, made: Any) -> None:
    """`capture verify` reads for hours while a session goes on."""
    ledger = Ledger.open(tmp_path)
    for number in range(3):
        ledger.commit_take(made.take(number))
    ledger.add_song(made.song())
    reader = Ledger.read(tmp_path)
    started = time.monotonic()
    for number, _ in enumerate(reader.takes()):
        ledger.commit_take(made.take(100 + number))
    assert time.monotonic() - started < 5
    assert len(ledger.take_ids()) == 6
    reader.close()
    ledger.close()


def test_a_ledger_that_somebody_holds_is_waited_for(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    ledger.commit_take(made.take())
    timer.join()
    assert len(ledger.take_ids()) == 1
    other.close()
    ledger.close()


def test_sixty_thousand_takes_are_counted_at_once(tmp_path: Path, made: Any) -> None:
    ledger = Ledger.open(tmp_path)
    with ledger._transaction():
        for number in range(60_000):
            take = made.take(number)
            values = (take.take_id, take.status, take.song_id, take.setting_id, take.repeat)
            ledger._database.execute(
                "INSERT INTO takes (take_id, status, song_id, setting_id, repeat, num_frames, "
                "record) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, take.num_frames, text_of(take)),
            )
    seconds: dict[str, float] = {}
    for name, call in {
        "count": ledger.count,
        "take_ids": ledger.take_ids,
        "takes": lambda: sum(1 for _ in ledger.takes()),
        "commit": lambda: ledger.commit_take(made.take(60_000)),
    }.items():
        started = time.perf_counter()
        call()
        seconds[name] = time.perf_counter() - started
    print("60,000 takes:", ", ".join(f"{n} {1e3 * s:.1f} ms" for n, s in seconds.items()))
    assert len(ledger.take_ids()) == 60_001
    assert seconds["count"] < 1
    assert seconds["take_ids"] < 2
    ledger.close()


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30), max_size=5))
def test_facts_are_kept(tmp_path_factory: pytest.TempPathFactory, facts: dict[str, str]) -> None:
    ledger = Ledger.open(tmp_path_factory.mktemp("facts"))
    for name, value in facts.items():
        ledger.set_fact(name, "before")
        ledger.set_fact(name, value)
    assert {name: ledger.fact(name) for name in facts} == facts
    ledger.close()
