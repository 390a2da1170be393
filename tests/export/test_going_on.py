"""Exports that are killed, stopped, sliced, done in parallel; and what they must refuse."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from capture.dataset.export import core, work
from capture.dataset.export.formats import FORMATS
from capture.dataset.export.sources import Sources
from capture.dataset.select import Selection
from capture.dataset.snapshot import snapshot
from capture.errors import DamagedData
from capture.model import AUTO
from tests.export.made import Song, make, setting, silence
from tests.session.conftest import CAPTURE, Desk

SETTINGS = [(setting(), "seen"), (setting(release_s=AUTO), "unseen")]
NAMES = [f"song-{letter}" for letter in "abcdefgh"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """``ds``: eight songs of half a second at two settings."""
    folder = tmp_path_factory.mktemp("made")
    songs = [Song(name, 0.5, "test" if name < "song-c" else "train") for name in NAMES]
    make(folder / "ds", songs, SETTINGS)
    return Desk(folder)


def tree(out: Path) -> dict[str, str]:
    """The hashes of all files that the export shows."""
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".export" not in path.parts
    }


@pytest.fixture(scope="module")
def whole(made: Desk) -> dict[str, str]:
    made.ok("export", "cv-db", "ds", "whole", "--jobs", "1")
    return tree(made.folder / "whole")


def records(out: Path) -> set[str]:
    return {path.stem for path in (out / ".export").glob("*.json")}


def test_processes_make_the_same_bytes_as_one(made: Desk, whole: dict[str, str]) -> None:
    done = made.json("export", "cv-db", "ds", "parallel", "--jobs", "2")
    assert done["written"] == done["parts"] == len(NAMES)
    assert tree(made.folder / "parallel") == whole


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_export_goes_on(made: Desk, whole: dict[str, str], jobs: str) -> None:
    out = made.folder / f"killed-{jobs}"
    command = [CAPTURE, "export", "cv-db", "ds", str(out), "--jobs", jobs]
    process = subprocess.Popen(command, cwd=made.folder, stderr=subprocess.PIPE)
    assert process.stderr is not None
    while b"part " not in process.stderr.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = records(out)
    assert 0 < len(before) < len(NAMES)
    stamps = {p: p.stat().st_mtime_ns for name in before for p in out.rglob(f"*{name}*.wav")}
    assert len(stamps) >= 5 * len(before)
    process_left = _until_nobody_writes(made, command[1:])
    assert process_left["finished"]
    assert process_left["written"] < len(NAMES)
    assert tree(out) == whole
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def _until_nobody_writes(made: Desk, command: list[str]) -> dict[str, object]:
    """Runs it again. Orphans of a killed pool end by themselves; until then the part is held."""
    while True:
        done = made.capture(*command, "--json")
        if done.returncode != 7:
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)
        assert "another export writes part" in done.stderr


def test_an_interrupted_export_goes_on(made: Desk, whole: dict[str, str]) -> None:
    out = made.folder / "interrupted"
    command = [CAPTURE, "export", "cv-db", "ds", str(out), "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=made.folder, stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    while b"part " not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1].decode()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not list(out.rglob("*.part"))
    made.ok("export", "cv-db", "ds", str(out), "--jobs", "1")
    assert tree(out) == whole


def test_a_second_run_writes_nothing_and_a_lost_file_again(
    made: Desk, whole: dict[str, str]
) -> None:
    out = made.folder / "again"
    made.ok("export", "cv-db", "ds", "again", "--jobs", "1")
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix != ".lock"}
    assert made.json("export", "cv-db", "ds", "again")["written"] == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    (out / "audio_in/song-d.wav").unlink()
    assert made.json("export", "cv-db", "ds", "again")["written"] == 1
    assert tree(out) == whole


def test_slices_at_once_are_the_whole(made: Desk, whole: dict[str, str]) -> None:
    command = [CAPTURE, "export", "cv-db", "ds", "sliced", "--jobs", "1", "--slice"]
    slices = [subprocess.Popen([*command, f"{n}/3"], cwd=made.folder) for n in (1, 2, 3)]
    assert [process.wait() for process in slices] == [0, 0, 0]
    assert made.json("export", "cv-db", "ds", "sliced")["written"] == 0
    assert tree(made.folder / "sliced") == whole


def test_a_slice_says_that_it_is_one(made: Desk) -> None:
    said = made.ok("export", "cv-db", "ds", "slice", "--slice", "2/4", "--jobs", "1")
    assert "2 of 8 parts written" in said
    assert "not finished" in said
    assert not (made.folder / "slice/SHA256SUMS").exists()
    assert records(made.folder / "slice") == {"song-b", "song-f"}


def test_other_things_in_the_same_folder_are_refused(made: Desk, whole: dict[str, str]) -> None:
    said = made.fails(2, "export", "cv-db", "ds", "whole", "--songs", "3")
    assert "holds another export" in said
    assert "'songs': '3'" in said
    assert "format 'cv-db'" in made.fails(2, "export", "tonetwist", "ds", "whole")
    (made.folder / "full").mkdir()
    (made.folder / "full/mine.txt").write_text("mine")
    assert "mine.txt" in made.fails(2, "export", "cv-db", "ds", "full")
    assert tree(made.folder / "whole") == whole
    inside = made.fails(2, "export", "cv-db", "ds", "ds/export")
    assert "inside" in inside
    assert "'cv-db'" in made.fails(2, "export", "cv-dp", "ds", "typo")
    assert not (made.folder / "typo").exists()
    assert "no release 9.9.9" in made.fails(2, "export", "cv-db", "ds", "no", "--release", "9.9.9")


def test_a_damaged_source_stops_the_export(made: Desk) -> None:
    _, file = damaged(made.folder, "damaged")
    for _ in range(2):
        said = made.fails(5, "export", "webdataset", "damaged", "of-damaged", "--jobs", "2")
        assert file.name in said
        assert not (made.folder / "of-damaged/SHA256SUMS").exists()
        assert not list((made.folder / "of-damaged").rglob("*.part"))
        file.unlink(missing_ok=True)  # and so does one that is gone


@pytest.mark.parametrize("name", FORMATS)
def test_no_format_carries_damage_on(made: Desk, name: str, tmp_path: Path) -> None:
    ds, file = damaged(tmp_path, "ds", made.folder)
    with pytest.raises(DamagedData, match=file.name):
        work.export(snapshot(ds), name, tmp_path / "out", Selection())
    assert not (tmp_path / "out/SHA256SUMS").exists()


def damaged(folder: Path, name: str, source: Path | None = None) -> tuple[Path, Path]:
    """A copy of the dataset with a flipped bit; and the file that has it."""
    shutil.copytree((source or folder) / "ds", folder / name)
    file = next((folder / name / "data/takes/song-e").glob("*releaseauto*.out.flac"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    return folder / name, file


def test_a_path_that_leads_out_is_refused(made: Desk, tmp_path: Path) -> None:
    ds = make(tmp_path / "ds", [Song("a")], SETTINGS, {"input_file": "../secret.flac"})
    assert "leads out of the dataset" in made.fails(5, "export", "cv-db", str(ds), "led-out")


def test_segments_join_without_a_seam_and_the_last_is_shorter(tmp_path: Path) -> None:
    ds = make(tmp_path / "ds", [Song("a", 30.7)], [(setting(), None)], COUPLED, rate_hz=8000)
    desk = Desk(tmp_path)
    desk.ok("export", "webdataset", "ds", "wds", "--jobs", "1")
    desk.ok("export", "hf-parquet", "ds", "hf", "--jobs", "1")
    take = next(snapshot(ds).rows("takes"))
    dry = soundfile.read(ds / take["input_file"], dtype="int32")[0]
    gain = np.concatenate(list(Sources(ds).gain_db(take)))
    with tarfile.open(tmp_path / "wds/train-000000.tar") as shard:
        members = {m.name: shard.extractfile(m).read() for m in shard}  # type: ignore[union-attr]
    keys = sorted({name.split(".", 1)[0] for name in members})
    facts = [json.loads(members[f"{key}.json"]) for key in keys]
    assert [(one["start_frame"], one["num_frames"]) for one in facts] == [
        (0, 80000), (80000, 80000), (160000, 80000), (240000, 5600),
    ]  # fmt: skip
    flacs = [soundfile.read(io.BytesIO(members[f"{k}.input.flac"]), dtype="int32")[0] for k in keys]
    assert np.array_equal(np.concatenate(flacs), dry)
    gains = [np.load(io.BytesIO(members[f"{key}.gain.npy"])) for key in keys]
    assert np.allclose(np.concatenate(gains), gain, rtol=3e-7)
    rows = pyarrow.parquet.read_table(tmp_path / "hf/data/train-000000.parquet").to_pylist()
    assert [row["num_frames"] for row in rows] == [240000, 5600]
    cells = [soundfile.read(io.BytesIO(r["input"]["bytes"]), dtype="int32")[0] for r in rows]
    assert np.array_equal(np.concatenate(cells), dry)
    listed = np.concatenate([row["gain_db"] for row in rows])
    assert np.allclose(listed, gain, rtol=3e-7)


COUPLED = {"cv_corner_hz": 0.5, "cv_offset_fs": 0.001, "cv_start_fs": 0.1}


def test_shards_have_half_to_one_gigabyte(tmp_path: Path) -> None:
    """Planned by the sizes of files: here they are as large as real ones, and empty."""
    songs = [Song(f"song-{n}", 60.0 * (3 + n % 4)) for n in range(5)]
    ds = make(tmp_path / "ds", songs, [(setting(t), "seen") for t in range(-28, 8)], sound=None)
    table = core.narrowed(snapshot(ds), snapshot(ds).table("takes"))
    for row in table.to_pylist():
        for kind in ("input", "output"):
            path = ds / row[f"{kind}_file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(row["num_frames"] * 4)
    parts = core.shards(table, Sources(ds), 10.0)
    sizes = [sum(12 * (p.end - p.start) for p in part.pieces) for part in parts]
    assert len(parts) > 10
    assert all(0.5e9 <= size <= 1.0e9 for size in sizes), sizes
    frames = table["num_frames"].to_pylist()
    covered = [0] * len(frames)
    for part in parts:
        for piece in part.pieces:
            assert piece.start == covered[piece.index]  # in order, and no frame twice
            assert piece.start % 441000 == 0
            covered[piece.index] = piece.end
    assert covered == frames
    assert [part.name for part in parts] == [f"train-{n:06d}" for n in range(len(parts))]


@pytest.mark.parametrize("name", ["cv-db", "webdataset", "hf-parquet"])
def test_memory_does_not_grow_with_a_song(tmp_path: Path, name: str) -> None:
    """The 300 s that are more are 210 MB of samples; allocators vary by far less than a third."""
    peaks_kb: list[int] = []
    for seconds in (200.0, 500.0):
        make(tmp_path / f"ds{seconds}", [Song("a", seconds)], SETTINGS[:1], sound=silence)
        code = f"""
from pathlib import Path
from capture.dataset.export.work import export
from capture.dataset.select import Selection
from capture.dataset.snapshot import snapshot
export(snapshot(Path('ds{seconds}')), '{name}', Path('out{seconds}'), Selection())
print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        peaks_kb.append(int(done.stdout.split()[1]))
    assert peaks_kb[1] - peaks_kb[0] < 70_000, peaks_kb


def test_an_earlier_release_is_exported_as_it_was(desk: Desk, dataset: Path) -> None:
    """The newest release is what is exported; an older one can be had, and is another export."""
    shutil.copytree(dataset, desk.folder / "released")
    desk.ok("release", "released", "1.0.0")
    first = desk.json("export", "tonetwist", "released", "of-1", "--jobs", "1")
    assert first["release"] == "1.0.0"
    said = desk.capture("export", "tonetwist", "released", "of-1", "--release", "1.0.0")
    assert said.returncode == 0
    assert "release 1.0.0" in said.stderr
    desk.ok("export", "tonetwist", "dataset", "of-none", "--jobs", "1")
    one, none = tree(desk.folder / "of-1"), tree(desk.folder / "of-none")
    assert {name for name in one if one[name] != none.get(name)} == {
        "README.md", "SHA256SUMS", "export.json",
    }  # fmt: skip
