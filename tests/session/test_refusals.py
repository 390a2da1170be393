"""What is refused, what is named, and what is not lost by it."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.session.conftest import RATE_HZ, Desk, bursts, hashes, rows


def test_a_bad_song_is_named_and_the_others_are_captured(desk: Desk) -> None:
    (desk.folder / "songs" / "broken.wav").write_bytes(b"RIFF nothing of the kind")
    soundfile.write(desk.folder / "songs" / "silent.wav", np.zeros((RATE_HZ, 2)), RATE_HZ)
    soundfile.write(desk.folder / "songs" / "short.wav", bursts(0.1, 3), RATE_HZ)
    said = desk.fails(2, "run", desk.plan(), "--out", "d")
    for name in ("broken.wav", "silent.wav", "short.wav"):
        assert name in said
    assert len(rows(desk.folder / "d")) == 16
    assert desk.json("verify", "d")["ok"] is True
    # Repaired, they are added.
    for number, name in enumerate(("broken.wav", "silent.wav", "short.wav")):
        desk.song(name, 1.0, seed=20 + number)
    desk.ok("run", desk.plan(), "--out", "d")
    assert len(rows(desk.folder / "d")) == 40


def test_a_song_that_would_clip_is_refused_with_the_figure(desk: Desk) -> None:
    plan = Path(desk.plan())
    text = (desk.folder / plan).read_text("utf-8")
    text = text.replace("target_db: -12.0", "target_db: -2.0")
    (desk.folder / plan).write_text(text, "utf-8")
    said = desk.fails(2, "run", str(plan), "--out", "d")
    assert "songs/one.wav" in said
    assert "songs/two.wav" in said
    assert "3.00 dB" in said
    assert not (desk.folder / "d/data").exists()


def test_no_song_at_all(desk: Desk) -> None:
    for song in (desk.folder / "songs").iterdir():
        song.unlink()
    said = desk.fails(2, "run", desk.plan())
    assert "songs/*" in said
    assert "line 4" in said


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("target_db: -12.0", "target_db: -13.0", "level.target_db"),
        ("send_gain_db: 5.0", "send_gain_db: 4.0", "level.send_gain_db"),
        ("sample_rate_hz: 44100", "sample_rate_hz: 48000", "sample_rate_hz"),
        ("name: small", "name: other", "name"),
        ("threshold_db: [-28, -20]", "threshold_db: [-28]", "threshold-20"),
        ('paths: ["songs/*"]', 'paths: ["songs/one.wav"]', "two-"),
        ("test_songs: 1", "test_songs: 1, unseen: extra", None),
        ("seed: 1, test", "seed: 2, test", "splits.seed"),
        ("ratio: [4]", "ratio: [4]\nchecks: {cv_scatter_db: 0.4}", "checks.cv_scatter_db"),
    ],
)
def test_a_changed_plan_is_refused_unless_it_only_adds(
    desk: Desk, before: str, after: str, named: str | None
) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "2")
    kept = hashes(desk.folder / "d")
    text = (desk.folder / plan).read_text("utf-8")
    assert before in text
    (desk.folder / plan).write_text(text.replace(before, after), "utf-8")
    if named is None:
        desk.ok("run", plan, "--out", "d", "--limit", "0")
    else:
        assert named in desk.fails(2, "run", plan, "--out", "d")
    assert hashes(desk.folder / "d") == kept
    desk.ok("verify", "d")


def test_a_plan_that_adds_is_taken_on(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d")
    before, table = hashes(desk.folder / "d"), rows(desk.folder / "d")
    desk.song("another.wav", 1.2, seed=5)
    desk.plan(releases="0.1, 0.4, auto", ratios="4, 10", more="reference: "
              "{setting: {threshold_db: -28, attack_ms: 0.1, release_s: 0.1, ratio: 4}, "
              "every_settings: 5}")  # fmt: skip
    desk.ok("run", plan, "--out", "d")
    after = {row["take_id"]: row for row in rows(desk.folder / "d")}
    assert len(after) == 3 * 24 + 6
    for row in table:
        assert after[row["take_id"]] == row
    assert before.items() <= hashes(desk.folder / "d").items()
    desk.ok("verify", "d")


def test_a_changed_rig_is_refused(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(seed="1"))
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    desk.rig(seed="2")
    assert "simulation.seed was 1 and is now 2" in desk.fails(2, "run", plan, "--out", "d")


def test_a_changed_song_is_refused(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    desk.song("one.wav", seed=99)
    assert "songs/one.wav" in desk.fails(2, "run", plan, "--out", "d")
    desk.song("one.wav", seed=1)  # the same bytes, another time
    desk.ok("run", plan, "--out", "d", "--limit", "1")


def test_before_the_first_take_a_plan_may_change_freely(desk: Desk) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "0")
    text = (desk.folder / plan).read_text("utf-8")
    (desk.folder / plan).write_text(text.replace("target_db: -12.0", "target_db: -14.0"), "utf-8")
    desk.ok("run", plan, "--out", "d")
    desk.ok("verify", "d")
    for row in rows(desk.folder / "d", "songs"):
        assert float(row["peak_dbfs"]) == pytest.approx(-14.0, abs=1e-4)


def test_a_folder_with_other_things_in_it_is_left_alone(desk: Desk) -> None:
    (desk.folder / "d").mkdir()
    (desk.folder / "d" / "thesis.tex").write_text("do not touch")
    assert "thesis.tex" in desk.fails(2, "run", desk.plan(), "--out", "d")
    assert {p.name for p in (desk.folder / "d").iterdir()} <= {"thesis.tex", ".lock"}


def test_no_room(desk: Desk) -> None:
    """The operating system's own refusal, by a limit on file size; what is committed stays."""
    rig = desk.rig()
    with (desk.folder / rig).open("a", encoding="utf-8") as file:
        file.write("\nwait_for_room_s: 0\n")
    plan = desk.plan(rig=rig)
    desk.ok("run", plan, "--out", "d", "--limit", "2")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))

    said = desk.fails(6, "run", plan, "--out", "d", preexec_fn=limit)
    assert "disk is full" in said
    assert not list((desk.folder / "d/data").rglob("*.part"))
    desk.ok("run", plan, "--out", "d")
    desk.ok("verify", "d")


def test_a_file_where_a_folder_is_needed(desk: Desk) -> None:
    (desk.folder / "d").write_text("")
    desk.fails(6, "run", desk.plan(), "--out", "d")


def test_a_place_where_no_folder_can_be_made(desk: Desk) -> None:
    assert "/proc/nowhere" in desk.fails(6, "run", desk.plan(), "--out", "/proc/nowhere/d")


def test_faults_of_plan_and_rig_and_songs_are_told_at_once(desk: Desk) -> None:
    plan = desk.plan(ratios="4, 7, 4")
    text = (desk.folder / plan).read_text("utf-8")
    (desk.folder / plan).write_text(text.replace("songs/*", "music/*"), "utf-8")
    said = desk.fails(2, "run", plan)
    for words in ("music/*", "ratio[1]: 7 is no position", "ratio[2]: 4 is listed twice"):
        assert words in said
    # Also where other sections cannot be read at all.
    (desk.folder / plan).write_text(text.replace("normalize:", "normalise:"), "utf-8")
    said = desk.fails(2, "run", plan)
    for words in ("did you mean 'normalize'?", "ratio[1]: 7 is no position"):
        assert words in said


def test_an_interface_that_is_not_there_is_a_hardware_fault(desk: Desk) -> None:
    said = desk.fails(4, "run", desk.plan(), "--rig", "rme-ufx-ssl-500", "--out", "d")
    assert "Fireface" in said
    assert desk.json("status", "d")["captured"] == 0


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_a_song_that_was_harmed_is_never_played(desk: Desk, harm: str) -> None:
    plan = desk.plan()
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    song = sorted((desk.folder / "d/data/inputs").iterdir())[1]
    if harm == "altered":  # a sound file still, of the same length
        samples, rate = soundfile.read(song, dtype="int32")
        soundfile.write(song, samples[::-1], rate, "PCM_24", format="FLAC")
    else:
        song.unlink()
    assert song.name in desk.fails(5, "run", plan, "--out", "d")
    assert len(rows(desk.folder / "d")) == 1


def test_a_song_at_full_scale_is_sent_as_it_is(desk: Desk) -> None:
    plan = desk.plan()
    text = (desk.folder / plan).read_text("utf-8")
    text = text.replace("target_db: -12.0", "target_db: -5.0")  # and +5 dB of send gain: 0 dBFS
    (desk.folder / plan).write_text(text, "utf-8")
    desk.ok("run", plan, "--out", "d", "--limit", "4")
    assert all(row["attempts"] == "1" for row in rows(desk.folder / "d"))
