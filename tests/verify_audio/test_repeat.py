"""``capture verify --audio``: what a row says is what its audio shows, or it is damage."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from capture.dataset.audio import FlacWriter
from capture.dataset.columns import CHECKS
from capture.run import recheck
from capture.run.ledger import Ledger
from capture.run.recheck import OF_THE_STREAM
from capture.run.standing import Stored, Wanted
from capture.run.standing import stored_takes as takes_in
from tests.session.conftest import CAPTURE, Desk

Samples = np.ndarray[Any, np.dtype[np.int32]]


def stored_takes(dataset: Path) -> list[Stored]:
    """Every take of a dataset, whose files have been held against their hashes already."""
    ledger = Ledger.read(dataset)
    try:
        return list(takes_in(dataset, ledger, Wanted(None, None), frozenset()))
    finally:
        ledger.close()


@functools.cache
def takes_of(dataset: Path) -> list[Stored]:
    return stored_takes(dataset)


def rewrite(path: Path, change: Callable[[Samples], Samples]) -> None:
    samples, rate = soundfile.read(path, dtype="int32", always_2d=True)
    with FlacWriter(path, rate, samples.shape[1]) as writer:
        writer.write(np.ascontiguousarray(change(samples)))


@pytest.mark.parametrize("kind", ["whole", "enrolled", "coupled"])
def test_a_fresh_dataset_repeats_every_figure_and_verdict(
    kind: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(kind).json("verify", "d", "--audio", "--jobs", "1")
    assert found["ok"] is True
    assert found["damage"] == found["notes"] == found["audio"]["differences"] == []
    assert found["audio"]["takes"] == found["takes"]
    assert set(found["audio"]["largest_off"]) == set(CHECKS) - set(OF_THE_STREAM)
    # The same machine: but for the last digits of sums of singles there is nothing to differ.
    assert max(found["audio"]["largest_off"].values()) < recheck.TOLERANCE / 2


def test_processes_find_what_one_finds(whole: Desk) -> None:
    assert "heard 4 takes again" in whole.ok("verify", "d", "--audio", "--jobs", "2")


def test_the_knobs_were_watched_and_are_watched_again(enrolled: Desk) -> None:
    """Otherwise the comparison of knobs_log10 compares nothing with nothing."""
    (stored,) = takes_of(enrolled.folder / "d")
    figures = {check.name: check.figure for check in recheck.hear(stored).checks}
    assert figures["knobs_log10"] is not None
    assert figures["settle_db"] is not None


def test_an_ac_coupled_cv_is_repaired_as_it_was(coupled: Desk) -> None:
    """The corner belongs to it: with another one, nothing is as it was."""
    (stored,) = takes_of(coupled.folder / "d")
    assert stored.take.cv_corner_hz == pytest.approx(0.1, rel=0.01)
    assert stored.take.cv_start_fs
    assert stored.law is not None
    judged = recheck.judge(replace(stored, law=replace(stored.law, corner_hz=0.2)))
    assert {"cv_corner_hz", "audio_cv_db"} <= {d.name for d in judged.differences}


def out(stored: Stored) -> Path:
    return stored.root / stored.take.output_file


def cv(stored: Stored) -> Path:
    return stored.root / stored.take.cv_file


def channels(stored: Stored) -> None:
    rewrite(out(stored), lambda samples: samples[:, ::-1])


def later(stored: Stored) -> None:
    """Output and CV together: only the song knows."""
    for path in (out(stored), cv(stored)):
        rewrite(path, lambda samples: np.roll(samples, 1, axis=0))


def output_later(stored: Stored) -> None:
    rewrite(out(stored), lambda samples: np.roll(samples, 1, axis=0))


def inverted_cv(stored: Stored) -> None:
    rewrite(cv(stored), lambda samples: -samples)


def zeroed(stored: Stored) -> None:
    def change(samples: Samples) -> Samples:
        samples[50_000:50_100] = 0
        return samples

    rewrite(out(stored), change)


def quieter(stored: Stored) -> None:
    """By 0.01 dB: no check fails for that, but the row says otherwise."""
    low = 10 ** (-0.01 / 20)
    rewrite(out(stored), lambda samples: (samples / 256 * low).astype(np.int32) * 256)


def marker_late(stored: Stored) -> None:
    name = stored.take.markers_file
    assert name is not None
    rewrite(stored.root / name, lambda samples: np.roll(samples, 1, axis=0))


HARMS: list[tuple[Callable[[Stored], None], str, str | None]] = [
    (channels, "swap", "fail"),
    (later, "lag_head_frames", "fail"),
    (output_later, "lag_head_frames", "fail"),
    (inverted_cv, "audio_cv_db", "unverified"),
    (zeroed, "stuck_run_frames", "fail"),
    (quieter, "rms_left_dbfs", None),
    (marker_late, "marker_head_frames", "fail"),
]


@pytest.mark.parametrize(
    ("harm", "check", "verdict"), HARMS, ids=[harm.__name__ for harm, _, _ in HARMS]
)
def test_what_the_audio_does_not_show_is_named(
    desk: Desk, harm: Callable[[Stored], None], check: str, verdict: str | None
) -> None:
    """Its hash is that of the row: only hearing it can tell."""
    stored = stored_takes(desk.folder / "d")[0]
    assert recheck.judge(stored).differences == ()
    harm(stored)
    judged = recheck.judge(stored)
    found = {one.name: one for one in judged.differences}
    assert found[check].found_verdict == verdict
    assert found[check].found != found[check].row


@pytest.mark.parametrize("change", ["figure", "verdict", "limit", "missing"])
def test_a_row_that_was_edited_is_found(whole: Desk, change: str) -> None:
    stored = takes_of(whole.folder / "d")[0]
    checks = {check.name: check for check in stored.take.checks}
    row = checks["coherence"]
    assert row.figure is not None
    edited = {
        "figure": replace(row, figure=row.figure - 0.01),
        "verdict": replace(row, verdict="warn"),
        "limit": replace(row, limit=0.1),
        "missing": replace(row, figure=None, verdict="unverified"),
    }[change]
    take = replace(stored.take, checks=tuple({**checks, "coherence": edited}.values()))
    (found,) = recheck.judge(replace(stored, take=take)).differences
    assert found.name == "coherence"
    assert (found.row, found.found) == (edited.figure, pytest.approx(row.figure))


def test_a_row_that_contradicts_its_calibration_is_found(whole: Desk) -> None:
    stored = takes_of(whole.folder / "d")[0]
    law = replace(stored.take.law, gain_db_per_fs=stored.take.law.gain_db_per_fs * 1.01)
    take = replace(stored.take, law=law, delay_left_frames=0.0)
    names = {one.name for one in recheck.judge(replace(stored, take=take)).differences}
    assert names == {"gain_db_per_fs", "delay_left_frames"}


def test_files_from_before_the_silence_was_kept_are_judged_by_what_they_hold(desk: Desk) -> None:
    stored = stored_takes(desk.folder / "d")[0]
    name = stored.take.markers_file
    assert name is not None
    edge = 8 * 441 + 2 * 256
    rewrite(stored.root / name, lambda samples: np.concatenate([samples[:edge], samples[-edge:]]))
    judged = recheck.judge(stored)
    assert judged.differences == ()
    assert judged.unheard == ("settle_db",)
    take = replace(stored.take, markers_file=None)
    judged = recheck.judge(replace(stored, take=take))
    assert judged.differences == ()
    assert judged.unheard == (*recheck.OF_THE_MARKERS, "settle_db")


def change_rows(dataset: Path, take: str, **values: object) -> None:
    with contextlib.closing(sqlite3.connect(dataset / "ledger.sqlite")) as ledger, ledger:
        for key, value in values.items():
            ledger.execute(
                f"UPDATE takes SET record = json_set(record, '$.{key}', json(?)) WHERE take_id = ?",
                (json.dumps(value), take),
            )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_two_takes_that_changed_places_are_named_and_nothing_else(desk: Desk) -> None:
    """The same song at the same setting; all hashes and sizes agree."""
    dataset = desk.folder / "d"
    takes = [one.take for one in stored_takes(dataset)]
    again = next(take for take in takes if take.repeat > 1)
    planned = (take for take in takes if take.song_id == again.song_id and take.repeat == 1)
    same = [again, next(planned)]
    for end in ("output", "cv", "markers"):
        one, other = (dataset / getattr(take, f"{end}_file") for take in same)
        spare = one.with_suffix(".spare")
        one.rename(spare)
        other.rename(one)
        spare.rename(other)
        for take, path in zip(same, (one, other), strict=True):
            size = path.stat().st_size
            change_rows(
                dataset, take.take_id, **{f"{end}_sha256": sha256(path), f"{end}_bytes": size}
            )
    desk.ok("status", "d")
    done = desk.capture("verify", "d", "--audio", "--songs", same[0].song_id, "--json")
    assert done.returncode == 5
    found = json.loads(done.stdout)
    named = {one["file"] for one in found["damage"] if one["kind"] == "disagrees"}
    assert named == {take.output_file for take in same}
    for take in same:
        assert any(take.take_id in one["message"] for one in found["damage"])
    first = found["audio"]["differences"][0]
    assert first["take_id"] in {take.take_id for take in same}
    assert first["row"] != first["found"]


def test_a_slice_reads_its_songs_and_nothing_else(desk: Desk) -> None:
    dataset = desk.folder / "d"
    stored = stored_takes(dataset)
    songs = sorted({one.take.song_id for one in stored})
    counts = [sum(one.take.song_id == song for one in stored) for song in songs]
    for number, count in enumerate(counts, 1):
        found = desk.json("verify", "d", "--audio", "--slice", f"{number}/2", "--jobs", "1")
        assert found["audio"]["takes"] == count
    broken = next(one for one in stored if one.take.song_id == songs[0])
    data = bytearray(out(broken).read_bytes())
    data[len(data) // 2] ^= 1
    out(broken).write_bytes(data)
    assert desk.json("verify", "d", "--audio", "--songs", songs[1])["ok"] is True
    said = desk.fails(5, "verify", "d", "--audio", "--songs", songs[0])
    assert f"altered: {broken.take.output_file}" in said
    assert desk.fails(5, "verify", "d", "--audio").count(broken.take.output_file) == 1


def test_what_cannot_be_is_refused(whole: Desk) -> None:
    assert "add --audio" in whole.fails(2, "verify", "d", "--songs", "1")
    assert "nosuchsong" in whole.fails(2, "verify", "d", "--audio", "--songs", "nosuchsong")
    assert "3/2" in whole.fails(2, "verify", "d", "--audio", "--slice", "3/2")


def test_it_can_be_interrupted_and_leaves_no_process(whole: Desk) -> None:
    process = subprocess.Popen(
        [CAPTURE, "verify", "d", "--audio", "--jobs", "2"],
        cwd=whole.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not (begun := children.read_text("utf-8").split()):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    while any(map(alive, begun)):  # those that tidy up behind the others are the last to go
        pass


def alive(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
