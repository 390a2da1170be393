"""What ``capture.load`` gives is what files and manifest hold: any frames, in any process."""

from __future__ import annotations

import functools
import multiprocessing
import pickle
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import capture
from capture.dataset import audio
from capture.dataset.load import LoadedTake, Takes
from capture.errors import BadInput, DamagedData
from capture.model import AUTO, Setting
from tests.session.conftest import Desk

RATE_HZ = 44100
KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "silence": lambda random, frames: np.zeros((frames, 2)),
    "full scale": lambda random, frames: np.full((frames, 2), -(2.0**23)),
    "noise": lambda random, frames: random.uniform(-(2.0**23), 2.0**23 - 1, (frames, 2)),
    "sine": lambda random, frames: 4e6 * np.sin(np.arange(2 * frames).reshape(-1, 2) / 9),
}


@pytest.fixture(scope="module")
def takes(dataset: Path) -> Takes:
    return capture.load(dataset)


@functools.cache
def decoded(path: Path) -> np.ndarray:
    """The whole file, by libsndfile alone, as integers."""
    return soundfile.read(path, dtype="int32", always_2d=True)[0] / 2**31


def test_every_row_is_a_take_with_every_column(dataset: Path, takes: Takes) -> None:
    rows = pq.read_table(dataset / "manifest" / "takes.parquet").to_pylist()
    assert len(takes) == len(rows) == 15
    for take, row in zip(takes, rows, strict=True):
        assert dict(take.row) == row
        assert (take.take_id, take.split, take.setting_split) == (
            row["take_id"], row["split"], row["setting_split"],
        )  # fmt: skip
        assert take.frames == row["num_frames"]
        assert take.sample_rate_hz == RATE_HZ
    assert {take.setting_split for take in takes} == {"seen", "unseen"}
    with pytest.raises(KeyError):
        takes[0]["no_such_column"]


def test_whole_takes_are_bit_for_bit_what_was_recorded(dataset: Path, takes: Takes) -> None:
    for take in takes:
        for shown, name in ((take.input, "input_file"), (take.output, "output_file")):
            assert shown.dtype == np.float32
            assert shown.shape == (take.frames, 2)
            assert np.array_equal(shown, decoded(dataset / take[name]))
        cv = decoded(dataset / take["cv_file"])[:, 0]
        gain_db = cv * take["gain_db_per_fs"] + take["gain_db_at_zero"]
        assert take.gain_db.dtype == np.float32
        assert np.array_equal(take.gain_db, gain_db.astype(np.float32))
        assert take.gain_db.min() < -2
        assert take.gain_db.max() < 0.1


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_window_is_the_same_part_of_the_whole(
    dataset: Path, takes: Takes, data: st.DataObject
) -> None:
    """A window of a window too; nothing is off by a frame, nothing is rounded."""
    take = takes[data.draw(st.integers(-len(takes), len(takes) - 1))]
    window, first = take, 0
    for _ in range(data.draw(st.integers(1, 2))):
        start = data.draw(st.integers(0, window.frames))
        stop = data.draw(st.integers(start, window.frames))
        window, first = window.slice(start, stop), first + start
    part = slice(first, first + window.frames)
    assert (window.start, window.stop) == (part.start, part.stop)
    assert np.array_equal(window.input, decoded(dataset / take["input_file"])[part])
    assert np.array_equal(window.output, decoded(dataset / take["output_file"])[part])
    assert np.array_equal(window.gain_db, take.gain_db[part])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    frames=st.integers(1, 30_000),
    seed=st.integers(0, 9),
    edges=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5),
)
def test_seeking_is_exact_in_flac_of_any_content(
    tmp_path: Path, kind: str, frames: int, seed: int, edges: list[tuple[float, float]]
) -> None:
    """Silence, constants and noise are coded in other ways than music is, and are other lengths."""
    samples = KINDS[kind](np.random.default_rng(seed), frames)
    codes = np.rint(samples).astype(np.int32) << 8
    with audio.FlacWriter(tmp_path / "any.flac", RATE_HZ, 2) as writer:
        writer.write(codes)
    row = {"take_id": "any", "output_file": "any.flac", "num_frames": frames}
    take = LoadedTake(tmp_path, row, Setting({}), 0, frames, None)  # pyright: ignore
    for edge in edges:
        start, stop = sorted(round(place * frames) for place in edge)
        assert np.array_equal(take.slice(start, stop).output, codes[start:stop] / 2**31)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (0, 10**9), (6, 5), (10**9, 10**9)])
def test_a_window_is_never_silently_shorter(takes: Takes, start: int, stop: int) -> None:
    with pytest.raises(BadInput, match=re.escape(f"frames {start} to {stop}")):
        takes[0].slice(start, stop)


def test_settings_hold_auto_as_itself(takes: Takes) -> None:
    found = {take.settings for take in takes}
    assert {take.settings["release_s"] for take in takes} == {0.1, 0.4, AUTO}
    grid = [{"threshold_db": -28.0, "attack_ms": attack, "release_s": release, "ratio": 4.0}
            for attack in (0.1, 3.0) for release in (0.1, AUTO)]  # fmt: skip
    extra = {"threshold_db": -20.0, "attack_ms": 3.0, "release_s": 0.4, "ratio": 2.0}
    assert found == {Setting(values) for values in (*grid, extra)}
    for take in takes:
        assert take.settings.setting_id == take["setting_id"]


def test_it_is_a_sequence(takes: Takes) -> None:
    ids = [take.take_id for take in takes]
    assert takes[-1].take_id == ids[-1]
    assert [take.take_id for take in takes[2:9:3]] == ids[2:9:3]
    assert [take.take_id for take in reversed(takes)] == ids[::-1]
    assert takes[3] in takes[1:4]
    assert takes[4] not in takes[1:4]
    with pytest.raises(IndexError):
        takes[len(takes)]


def test_takes_are_chosen_by_their_columns(takes: Takes) -> None:
    chosen = takes.filter("split = test, release_s = auto")
    assert [take.take_id for take in chosen] == [
        take.take_id
        for take in takes
        if take.split == "test" and take.settings["release_s"] is AUTO
    ]
    assert len(chosen) == 2
    assert len(takes.filter("split = train").filter("setting_split = unseen")) == 2
    assert len(takes.filter("ratio = 3")) == 0
    with pytest.raises(BadInput, match="setting_split"):
        takes.filter("seting_split = seen")


def test_the_calibration_is_the_row_that_the_take_names(dataset: Path, takes: Takes) -> None:
    rows = pq.read_table(dataset / "manifest" / "calibrations.parquet").to_pylist()
    for take in takes:
        assert take.calibration in rows
        assert take.calibration["calibration_id"] == take["calibration_id"]
        assert take.calibration["gain_db_per_fs"] == take["gain_db_per_fs"]


def read(job: tuple[Takes, int, int, int]) -> tuple[np.ndarray, ...]:
    """In another process: what a worker of a data loader does."""
    takes, index, start, stop = job
    window = takes[index].slice(start, stop)
    return window.input, window.output, window.gain_db, np.asarray(window.settings["ratio"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12 on
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same(takes: Takes, coupled: Path, method: str) -> None:
    jobs = [(takes, index, 1000 * index, 1000 * index + 777) for index in range(len(takes))]
    jobs.append((capture.load(coupled), 0, 100_000, 120_000))
    here = [read(job) for job in jobs]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context) as pool:
        there = list(pool.map(read, jobs))
    for mine, theirs in zip(here, there, strict=True):
        assert all(np.array_equal(*both) for both in zip(mine, theirs, strict=True))


def test_a_window_can_be_sent_and_loaded_again(takes: Takes) -> None:
    window = takes[3].slice(100, 200)
    again = pickle.loads(pickle.dumps(window))
    assert again == window
    assert again.settings == window.settings
    assert again.calibration == window.calibration
    assert np.array_equal(again.gain_db, window.gain_db)
    assert len(pickle.dumps(window)) < 20_000  # its own row, not the table


def test_an_ac_coupled_cv_is_made_good(coupled: Path) -> None:
    (take,) = capture.load(coupled)
    assert take["cv_corner_hz"] == pytest.approx(0.1, rel=0.01)
    # The formula of docs/measurements.md, frame by frame.
    shown = decoded(coupled / take["cv_file"])[:, 0] - take["cv_offset_fs"]
    w = 2 * np.pi * take["cv_corner_hz"] / RATE_HZ
    steps = np.concatenate([[0], (shown[:-1] + shown[1:]) / 2])
    repaired = shown + take["cv_start_fs"] + w * np.cumsum(steps)
    gain_db = repaired * take["gain_db_per_fs"] + take["gain_db_at_zero"]
    assert np.abs(take.gain_db - gain_db).max() < 1e-5
    raw_db = (shown + take["cv_offset_fs"]) * take["gain_db_per_fs"] + take["gain_db_at_zero"]
    assert np.abs(raw_db - gain_db).max() > 1  # so the repair is not nothing


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_window_of_an_ac_coupled_cv(coupled: Path, data: st.DataObject) -> None:
    (take,) = capture.load(coupled)
    assert take.frames > 2 * audio.BLOCK_FRAMES
    start = data.draw(st.integers(0, take.frames))
    stop = data.draw(st.integers(start, take.frames))
    part = take.slice(start, stop).gain_db
    assert np.allclose(part, take.gain_db[start:stop], rtol=0, atol=1e-5)


def test_what_is_missing_is_said_in_words(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere: is no dataset folder"):
        capture.load(tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"has no release 7\.0\.0; it has: none yet"):
        capture.load(str(dataset), "7.0.0")
    assert capture.load(dataset).version is None


def test_a_release_is_what_it_was(dataset: Path, tmp_path: Path) -> None:
    """The newest one by default; what is recorded anew later is in none that is there."""
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    Desk(tmp_path).ok("release", str(root), "1.0.0")
    for takes in (capture.load(root), capture.load(root, "1.0.0")):
        assert str(takes.version) == "1.0.0"
        assert [take.take_id for take in takes] == [take.take_id for take in capture.load(dataset)]
        assert {take["added_in"] for take in takes} == {"1.0.0"}
        assert takes[0].calibration == capture.load(dataset)[0].calibration
    (root / "manifest" / "takes.parquet").unlink()
    assert capture.load(root)[0].gain_db.min() < -2
    with pytest.raises(BadInput, match=r"has no release 1\.1\.0; it has: 1\.0\.0"):
        capture.load(root, "1.1.0")


def broken(file: Path, how: str, other: Path) -> None:
    if how == "gone":
        file.unlink()
    elif how == "another's":
        shutil.copyfile(other, file)
    elif how == "no FLAC":
        file.write_bytes(b"no audio")
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("how", ["gone", "another's", "no FLAC", "cut short"])
@pytest.mark.parametrize("name", ["input", "output", "cv"])
def test_a_broken_file_is_named(dataset: Path, tmp_path: Path, how: str, name: str) -> None:
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    takes = capture.load(root)
    take = takes[0]
    other = next(one for one in takes if one.frames != take.frames)
    broken(root / take[f"{name}_file"], how, root / other[f"{name}_file"])
    reads: dict[str, Callable[[], Any]] = {
        "input": lambda: take.input, "output": lambda: take.output, "cv": lambda: take.gain_db,
    }  # fmt: skip
    for which, get in reads.items():
        if which != name:
            get()
    with pytest.raises(DamagedData) as caught:
        reads[name]()
    (said,) = caught.value.messages
    assert str(root / take[f"{name}_file"]) in said
    assert said.endswith("see: capture verify")
    if how == "gone":
        assert "there is no such file" in said


def test_tables_that_cannot_be_read_are_damage(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(dataset, root)
    (root / "manifest" / "calibrations.parquet").unlink()
    take = capture.load(root)[0]
    with pytest.raises(DamagedData, match=r"calibrations\.parquet"):
        take.calibration  # noqa: B018
    (root / "manifest" / "takes.parquet").write_bytes(b"nothing of the kind")
    with pytest.raises(DamagedData, match=r"takes\.parquet"):
        capture.load(root)
