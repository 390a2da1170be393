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


REFERENCE = """
reference:
  setting: {threshold_db: -28, attack_ms: 0.1, release_s: 0.1, ratio: 4}
  every_settings: 2
"""


def test_a_rack_that_drifts_pauses_the_session(desk: Desk) -> None:
    """The gain is off by 0.3 dB in the second reference take: the sixth of all."""
    faults = "[ok, ok, ok, ok, ok, {kind: gain, gain_db: 0.3}]"
    rig = desk.rig(faults=faults)
    plan = desk.plan(rig=rig, releases="0.1", more=REFERENCE)
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "the rack has drifted" in said
    assert "left +0.300" in said
    assert len(rows(desk.folder / "d")) == 6  # nothing that was recorded is lost
    found = desk.ok("run", plan, "--out", "d")
    assert "reference: 0.000 dB off the first" in found
    drifts = rows(desk.folder / "d", "references")
    assert [round(float(row["gain_left_db"]), 2) for row in drifts] == [0.3, 0.0]
    assert desk.json("verify", "d")["ok"]


def test_a_rig_that_asks_for_it_is_warmed_up_first(desk: Desk) -> None:
    rig = desk.rig()
    text = (desk.folder / rig).read_text("utf-8")
    (desk.folder / rig).write_text(
        text.replace("  after_open_s: 0.5", "  after_open_s: 0.5\n  warm_up_s: 30"), "utf-8"
    )
    said = desk.ok("run", desk.plan(rig=rig, releases="0.1"), "--out", "d", "--limit", "1")
    lines = [line.split(":")[0] for line in said.splitlines()]
    assert lines.index("warming up") < lines.index("gain law")
