"""What happens in weeks: the disk fills, files vanish, the rack drifts; and what was given up."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import capture.presets
from tests.session.conftest import CAPTURE, Desk, hashes, rows

BALLAST_BYTES = 22 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 32 MB."""
    image, folder = tmp_path / "disk.img", tmp_path / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], capture_output=True, check=False)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], check=False)
    if made.returncode or mounted.returncode:
        if os.environ.get("CI"):
            raise RuntimeError("CI cannot mount a file system to fill")
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def plain_rig(desk: Desk, more: str = "") -> str:
    """The simulated rig, without anything to calibrate."""
    text = capture.presets.packaged("rig", "simulated")
    text = text[: text.index("\ncalibration:")] + text[text.index("\nsimulation:") :]
    (desk.folder / "plain.yaml").write_text(text + more, "utf-8")
    return "plain.yaml"


def test_a_full_disk_pauses_the_session_which_goes_on_when_there_is_room(
    desk: Desk, disk: Path
) -> None:
    plan = desk.plan(rig=plain_rig(desk))
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
    command = [CAPTURE, "run", plan, "--out", str(disk / "d"), "--json"]
    with subprocess.Popen(
        command, cwd=desk.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        said: list[str] = []
        for line in running.stderr:
            event = json.loads(line)
            said.append(event["event"])
            if event["event"] == "Paused":
                assert "disk is full" in event["reason"]
                ballast.unlink(missing_ok=True)
    assert running.returncode == 0
    assert said.count("Paused") >= 1
    assert said.index("Resumed") > said.index("Paused")
    assert len(rows(disk / "d")) == 16
    assert not list((disk / "d").rglob("*.part"))
    assert desk.json("verify", str(disk / "d"))["ok"]
    desk.ok("run", plan, "--out", "never-full")
    full, never = (
        {name: sha for name, sha in hashes(out).items() if name.startswith("data/")}
        for out in (disk / "d", desk.folder / "never-full")
    )
    # A take that was dropped is recorded at another try, whose noise is its own.
    assert set(full) == set(never)


def test_files_that_vanished_stop_the_next_run_until_somebody_asks_for_repair(desk: Desk) -> None:
    plan = desk.plan(rig=plain_rig(desk), releases="0.1")
    desk.ok("run", plan, "--out", "d")
    gone, flipped, *_ = sorted((desk.folder / "d/data/takes").rglob("*.out.flac"))
    gone.unlink()
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    said = desk.fails(5, "run", plan, "--out", "d")
    assert f"{gone.name}: is missing" in said
    assert "--repair" in said
    desk.ok("run", plan, "--out", "d", "--repair")
    assert desk.json("verify", "d")["ok"]
    lost = {path.name for path in (desk.folder / "d/lost+found").rglob("*.flac")}
    assert flipped.name in lost
    assert gone.name.replace(".out.", ".cv.") in lost
    assert len(rows(desk.folder / "d")) == 8


def test_a_damaged_song_is_made_anew_when_asked(desk: Desk) -> None:
    plan = desk.plan(rig=plain_rig(desk), releases="0.1")
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    before = hashes(desk.folder / "d")
    gone, flipped = sorted((desk.folder / "d/data/inputs").glob("*.flac"))
    gone.unlink()
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"x")
    assert "--repair" in desk.fails(5, "run", plan, "--out", "d")
    said = desk.ok("run", plan, "--out", "d", "--repair")
    for song in (gone, flipped):
        assert f"{song.name}: was damaged; made anew, the same bytes" in said
        name = song.relative_to(desk.folder / "d").as_posix()
        assert hashes(desk.folder / "d")[name] == before[name]
    assert [path.name for path in (desk.folder / "d/lost+found").rglob("*.flac")] == [flipped.name]
    assert desk.json("verify", "d")["ok"]


def test_a_damaged_song_whose_source_is_another_now_is_not_made_anew(desk: Desk) -> None:
    plan = desk.plan(rig=plain_rig(desk), releases="0.1")
    desk.ok("run", plan, "--out", "d", "--limit", "1")
    song = min((desk.folder / "d/data/inputs").glob("*.flac"))
    song.unlink()
    desk.song(f"{song.stem.rpartition('-')[0]}.wav", 1.0, seed=77)
    said = desk.fails(5, "run", plan, "--out", "d", "--repair")
    assert f"data/inputs/{song.name}: is damaged" in said
    assert "put a copy of the file back" in said
    assert not song.exists()


def test_a_take_that_was_rejected_is_tried_again_when_asked(desk: Desk) -> None:
    plan = desk.plan(rig=desk.rig(faults="[ok, swap, swap, swap]"), releases="0.1")
    desk.fails(3, "run", plan, "--out", "d")
    assert desk.json("status", "d")["rejected"] == 1
    desk.rig(faults="[]")
    desk.ok("run", plan, "--out", "d", "--retry-rejected")
    status = desk.json("status", "d")
    assert (status["captured"], status["rejected"]) == (8, 0)
    assert len(list((desk.folder / "d/lost+found").rglob("*.flac"))) == 3
    assert desk.json("verify", "d")["ok"]


def warmed(desk: Desk, faults: str = "[]") -> str:
    """The simulated rig, which asks for 3 s of warming up."""
    rig = desk.folder / desk.rig(faults=faults)
    before = "  after_open_s: 0.5"
    text = rig.read_text("utf-8")
    assert before in text
    rig.write_text(text.replace(before, f"{before}\n  warm_up_s: 3"), "utf-8")
    return rig.name


def heads(said: str) -> list[str]:
    return [line.split(":")[0] for line in said.splitlines()]


MOMENTS = ("warm_up", "law", "fingerprint", "take")


def test_a_lost_device_is_waited_for_whenever_it_was_and_the_rack_warmed_up_again(
    desk: Desk,
) -> None:
    """A rack that lost power with it is cold."""
    unplugs = ", ".join(f"{{kind: unplug, at_s: 1, during: {moment}}}" for moment in MOMENTS)
    plan = desk.plan(rig=warmed(desk, f"[{unplugs}]"), releases="0.1")
    lines = heads(desk.ok("run", plan, "--out", "d", "--limit", "1"))
    steps = [line for line in lines if line in ("warming up", "device lost", "device is back")]
    assert steps == ["warming up", *["device lost", "device is back", "warming up"] * len(MOMENTS)]
    assert "gain law" not in lines[: lines.index("device is back")]
    assert [row["attempts"] for row in rows(desk.folder / "d")] == ["1"]


def test_a_device_that_is_always_lost_in_warming_up_ends_the_run(desk: Desk) -> None:
    unplug = "{kind: unplug, at_s: 1, during: warm_up}"
    plan = desk.plan(rig=warmed(desk, f"[{', '.join([unplug] * 9)}]"), releases="0.1")
    assert "lost 5 times" in desk.fails(4, "run", plan, "--out", "d")
