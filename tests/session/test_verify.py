"""Damage of every kind is found and named, with exit code 5."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from tests.session.conftest import Desk


def a_take(dataset: Path, end: str = "out") -> Path:
    return sorted(dataset.glob(f"data/takes/*/*.{end}.flac"))[1]


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def altered(dataset: Path) -> Path:
    flip_a_byte(a_take(dataset))
    return a_take(dataset)


def truncated(dataset: Path) -> Path:
    path = a_take(dataset, "cv")
    path.write_bytes(path.read_bytes()[:-100])
    return path


def missing(dataset: Path) -> Path:
    path = sorted(dataset.glob("data/inputs/*.flac"))[0]
    path.unlink()
    return path


def extra(dataset: Path) -> Path:
    path = a_take(dataset).with_name("stranger.flac")
    shutil.copy(a_take(dataset), path)
    return path


def disagrees(dataset: Path) -> Path:
    """A row and a file that are both whole, and contradict each other."""
    path = a_take(dataset)
    samples, rate = soundfile.read(path, dtype="int32")
    soundfile.write(path, samples[:-10], rate, "PCM_24", format="FLAC")
    import hashlib

    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger, ledger:
        row = path.relative_to(dataset).as_posix()
        for key, value in (
            ("output_sha256", f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"'),
            ("output_bytes", str(path.stat().st_size)),
        ):
            ledger.execute(
                f"UPDATE takes SET record = json_set(record, '$.{key}', json(?)) "
                "WHERE json_extract(record, '$.output_file') = ?",
                (value, row),
            )
    return path


def calibration_altered(dataset: Path) -> Path:
    path = sorted(dataset.glob("calibration/*/latency-received.flac"))[0]
    flip_a_byte(path)
    return path


def manifest_altered(dataset: Path) -> Path:
    path = dataset / "manifest" / "takes.csv"
    text = path.read_text("utf-8")
    path.write_text(text.replace(",4.0,", ",10.0,", 1), "utf-8")
    return path


def plan_altered(dataset: Path) -> Path:
    path = dataset / "plan.yaml"
    path.write_text(path.read_text("utf-8").replace("-28", "-24"), "utf-8")
    return path


def rig_missing(dataset: Path) -> Path:
    path = dataset / "rig.yaml"
    path.unlink()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("whole"))
    desk.song("one.wav", seed=1)
    desk.song("two.wav", seed=2)
    desk.ok("run", desk.plan(), "--out", "d", "--limit", "5")
    return desk


KINDS: list[tuple[Callable[[Path], Path], str]] = [
    (altered, "altered"),
    (truncated, "truncated"),
    (missing, "missing"),
    (extra, "extra"),
    (disagrees, "disagrees"),
    (calibration_altered, "altered"),
    (manifest_altered, "disagrees"),
    (plan_altered, "altered"),
    (rig_missing, "missing"),
]


@pytest.mark.parametrize(("harm", "kind"), KINDS, ids=[harm.__name__ for harm, _ in KINDS])
def test_damage_is_named(
    whole: Desk, tmp_path: Path, harm: Callable[[Path], Path], kind: str
) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder / "d", dataset)
    desk = Desk(tmp_path)
    assert desk.json("verify", "d")["damage"] == []
    harmed = harm(dataset).relative_to(dataset).as_posix()
    done = desk.capture("verify", "d", "--json")
    assert done.returncode == 5
    import json

    damage = {(d["kind"], d["file"]) for d in json.loads(done.stdout)["damage"]}
    assert (kind, harmed) in damage
    assert harmed in desk.fails(5, "verify", "d")


def test_everything_wrong_is_named_at_once(whole: Desk, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder / "d", dataset)
    named = [harm(dataset) for harm in (truncated, missing, extra, rig_missing)]
    said = Desk(tmp_path).fails(5, "verify", "d")
    for path in named:
        assert path.name in said


def test_a_damaged_ledger_is_damage(whole: Desk, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder / "d", dataset)
    (dataset / "ledger.sqlite").write_bytes(b"not a database at all, but long enough" * 100)
    for command in ("verify", "status"):
        Desk(tmp_path).fails(5, command, "d")


def test_what_a_killed_run_leaves_is_noted_and_no_damage(whole: Desk, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder / "d", dataset)
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE sessions SET record = json_set(record, '$.outcome', null)")
    left = [extra(dataset).name, manifest_altered(dataset).name]
    report = Desk(tmp_path).json("verify", "d")
    assert report["ok"] is True
    for name in left:
        assert any(name in note for note in report["notes"])
    flip_a_byte(a_take(dataset))
    Desk(tmp_path).fails(5, "verify", "d")


def test_a_ledger_with_takes_and_no_plan_is_damage_and_loses_nothing(
    whole: Desk, tmp_path: Path
) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    tables = ("songs", "takes", "calibrations", "laws", "fingerprints")
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger, ledger:
        counts = [ledger.execute(f"SELECT COUNT(*) FROM {name}").fetchone() for name in tables]
        assert (0,) not in counts
        ledger.execute("DELETE FROM facts WHERE name = 'plan_sha256'")
    Desk(tmp_path).fails(5, "run", "plan.yaml", "--out", "d")
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger:
        after = [ledger.execute(f"SELECT COUNT(*) FROM {name}").fetchone() for name in tables]
    assert after == counts


def test_no_ledger_is_damage(whole: Desk, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    shutil.copytree(whole.folder / "d", dataset)
    (dataset / "ledger.sqlite").unlink()
    for command in ("verify", "status"):
        assert "ledger.sqlite" in Desk(tmp_path).fails(5, command, "d")


def test_no_dataset(tmp_path: Path) -> None:
    for command in ("verify", "status"):
        assert "no dataset" in Desk(tmp_path).fails(2, command, "nowhere")
