"""The main job: record, commit, resume, and never twice."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import select
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.session.conftest import CAPTURE, Desk, hashes, rows

VARYING = ("session_id", "captured_at")


def without_times(dataset: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k not in VARYING} for row in rows(dataset)]


def test_a_plan_becomes_a_verified_dataset(desk: Desk) -> None:
    plan = desk.plan()
    planned = desk.json("plan", plan)
    out = desk.folder / "datasets" / "small"
    assert f"finished: {planned['takes']} of 16 takes" in desk.ok("run", plan)
    takes = pq.read_table(out / "manifest" / "takes.parquet").to_pylist()
    assert len(takes) == planned["takes"] == 16
    for take in takes:
        for name in ("input_file", "output_file", "cv_file"):
            assert (out / take[name]).is_file()
            assert ".." not in take[name]
        assert take["release_auto"] is (take["release_s"] is None)
        assert take["check_lag_head_frames_verdict"] == "pass"
        assert take["attempts"] == 1
    assert {t["release_s"] for t in takes} == {0.1, None}
    assert {t["split"] for t in takes} == {"train", "test"}
    assert desk.json("verify", str(out))["ok"] is True
    status = desk.json("status", str(out))
    assert (status["planned"], status["captured"], status["rejected"]) == (16, 16, 0)
    assert status["remaining_s"] == 0


def test_a_finished_plan_run_again_does_nothing_and_says_so(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d")
    stamps = {p: p.stat().st_mtime_ns for p in (desk.folder / "d").rglob("*") if p.is_file()}
    assert "nothing to do" in desk.ok("run", plan, "--out", "d")
    now = {p: p.stat().st_mtime_ns for p in (desk.folder / "d").rglob("*") if p.is_file()}
    stamps.pop(desk.folder / "d" / ".lock")
    now.pop(desk.folder / "d" / ".lock")
    # The songs' places in the splits are written anew into the same rows.
    stamps.pop(desk.folder / "d" / "ledger.sqlite")
    now.pop(desk.folder / "d" / "ledger.sqlite")
    assert now == stamps


def test_the_same_plan_twice_gives_the_same_bytes(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "a")
    desk.ok("run", plan, "--out", "b")
    first = hashes(desk.folder / "a")
    assert sum(name.startswith(("data/", "evidence/markers/")) for name in first) == 2 + 3 * 16
    assert hashes(desk.folder / "b") == first
    assert without_times(desk.folder / "a") == without_times(desk.folder / "b")
    for table in ("songs", "settings"):
        assert rows(desk.folder / "a", table) == rows(desk.folder / "b", table)


def interrupt_after(desk: Desk, plan: str, out: str, takes: int, number: signal.Signals) -> int:
    """Starts a run, and sends it a signal when it has said that ``takes`` are captured."""
    with subprocess.Popen(
        [CAPTURE, "run", plan, "--out", out],
        cwd=desk.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            takes -= line.startswith("captured")
            if takes <= 0:
                running.send_signal(number)
                break
        said = running.stdout.read() + running.communicate()[1]
    assert "Traceback" not in said
    return running.returncode


def test_ten_interruptions_leave_no_trace(desk: Desk) -> None:
    plan = desk.plan(ratios="2, 4, 10")  # 48 takes
    desk.ok("run", plan, "--out", "whole")
    chance = random.Random(20261122)
    interrupted = 0
    for _ in range(10):
        code = interrupt_after(desk, plan, "d", chance.randint(1, 3), signal.SIGINT)
        assert code in (0, 130)
        interrupted += code == 130
        # Whatever the moment, all that is claimed is there, and the manifest says it.
        assert desk.json("verify", "d")["ok"] is True
        assert len(rows(desk.folder / "d")) == desk.json("status", "d")["captured"]
    assert interrupted == 10
    desk.ok("run", plan, "--out", "d")
    assert hashes(desk.folder / "d") == hashes(desk.folder / "whole")
    assert without_times(desk.folder / "d") == without_times(desk.folder / "whole")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_be_stopped(desk: Desk, number: signal.Signals) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "whole")
    for takes in (1, 2, 4):
        code = interrupt_after(desk, plan, "d", takes, number)
        assert code == (-9 if number == signal.SIGKILL else 130)
    desk.ok("run", plan, "--out", "d")
    whole = hashes(desk.folder / "whole")
    kept = {n: h for n, h in hashes(desk.folder / "d").items() if not n.startswith("lost+found/")}
    assert kept == whole
    assert desk.json("verify", "d")["ok"] is True


def test_an_interruption_while_songs_are_made_costs_one_song(desk: Desk) -> None:
    for number in range(3):
        desk.song(f"long{number}.wav", 30, seed=10 + number)
    plan = desk.plan()
    with subprocess.Popen(
        [CAPTURE, "run", plan, "--out", "d"], cwd=desk.folder, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert "resampled and normalised" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        running.stdout.read()
    assert running.returncode == 130
    desk.ok("run", plan, "--out", "d", "--limit", "0")
    assert len(list((desk.folder / "d/data/inputs").iterdir())) == 5
    assert not (desk.folder / "d/lost+found").exists()


def test_one_run_at_a_time(desk: Desk) -> None:
    from capture.dataset.folder import hold

    plan = desk.plan()
    with hold(desk.folder / "d"):
        assert "another run" in desk.fails(7, "run", plan, "--out", "d")
    desk.ok("run", plan, "--out", "d", "--limit", "1")


def test_a_limit_records_so_many_and_the_next_run_goes_on(desk: Desk) -> None:
    plan = desk.plan()
    assert "limit reached: 3 of 16" in desk.ok("run", plan, "--out", "d", "--limit", "3")
    left = desk.json("status", "d")
    assert left["captured"] == 3
    assert left["remaining_s"] > 0
    assert "finished: 16 of 16" in desk.ok("run", plan, "--out", "d")


def test_dry_run_records_nothing(desk: Desk) -> None:
    plan = desk.plan()
    assert "takes      16" in desk.ok("run", plan, "--dry-run")
    assert not (desk.folder / "datasets").exists()


def test_json_is_one_document_and_events_are_lines(desk: Desk) -> None:
    done = desk.capture("run", desk.plan(), "--json", "--limit", "2")
    result = json.loads(done.stdout)
    assert result["captured"] == 2
    assert result["outcome"] == "limit"
    events = [json.loads(line) for line in done.stderr.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[-1] == "SessionEnded"
    assert kinds.count("TakeDone") == 2
    setting = next(e["setting"] for e in events if e["event"] == "KnobsSet")
    assert setting["release_s"] in (0.1, "auto")


def test_an_error_is_a_json_document_too(desk: Desk) -> None:
    done = desk.capture("run", "nothing.yaml", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["exit_code"] == 2


def test_on_a_terminal_the_display_shows_setting_song_meters_and_time(desk: Desk) -> None:
    plan = desk.plan(ratios="2, 3, 4, 5, 10")
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [CAPTURE, "run", plan],
        cwd=desk.folder,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    ) as running:
        os.close(inside)
        shown = b""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            ready, _, _ = select.select([terminal], [], [], 1.0)
            try:
                part = os.read(terminal, 65536) if ready else b""
            except OSError:  # the other end is closed
                break
            shown += part
    os.close(terminal)
    assert running.returncode == 0
    text = shown.decode()
    for word in ("setting", "threshold_db -28", "one-", "CV", "dBFS", "take", "session", "of 80"):
        assert word in text
    assert "finished: 80 of 80 takes captured" in text


def test_the_ledger_is_set_up_to_survive_power_loss(desk: Desk) -> None:
    desk.ok("run", desk.plan(), "--out", "d", "--limit", "1")
    with contextlib.closing(sqlite3.connect(desk.folder / "d" / "ledger.sqlite")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert not list((desk.folder / "d").glob("ledger.sqlite-*"))


@pytest.mark.parametrize("rate_hz", [48000, 96000])
def test_other_sample_rates(desk: Desk, rate_hz: int) -> None:
    plan = desk.plan()
    text = (desk.folder / plan).read_text("utf-8")
    (desk.folder / plan).write_text(text.replace("44100", str(rate_hz)), "utf-8")
    desk.ok("run", plan, "--out", "d", "--limit", "3")
    for row in rows(desk.folder / "d"):
        assert int(row["sample_rate_hz"]) == rate_hz
        assert row["check_lag_head_frames_verdict"] == "pass"
    desk.ok("verify", "d")


def test_init_as_json(tmp_path: Path) -> None:
    written = Desk(tmp_path).json("init", "mine")
    assert (tmp_path / written["plan"]).is_file()
    assert (tmp_path / written["rig"]).is_file()
    assert (tmp_path / written["songs"]).is_dir()
