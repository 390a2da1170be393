"""The shipped Snakemake workflow, carried out by Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.session.conftest import Desk

BIN = Path(sys.executable).parent


def snakemake(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(BIN / "snakemake"), *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_each_song_is_a_job_and_only_what_is_missing_is_done_again(desk: Desk) -> None:
    flow = desk.folder / "flow"
    desk.ok("workflow", "flow")
    config = {
        "dataset": "../dataset",
        "work": "work",
        "verify": True,
        "exports": {"db": {"format": "cv-db", "out": "db", "options": "--settings 'repeat = 1'"}},
    }
    (flow / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    snakemake(flow, "--cores", "2")
    songs = sorted(path.stem for path in (flow / "work/verify").glob("*.json"))
    assert len(songs) == 3
    assert sorted(path.stem for path in (flow / "work/slices/db").glob("*.json")) == list("123")
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=flow / "db", check=True)
    (flow / f"work/verify/{songs[0]}.json").unlink()
    said = snakemake(flow, "--cores", "2", "--dry-run")
    assert f"song={songs[0]}" in said
    assert not any(f"song={song}" in said for song in songs[1:])
    assert "export_slice" not in said


def test_the_slurm_profile_is_one(desk: Desk) -> None:
    """Its keys are options of Snakemake's; the plugin itself needs a cluster."""
    desk.ok("workflow", "profile")
    profile = yaml.safe_load((desk.folder / "profile/slurm/config.yaml").read_text("utf-8"))
    known = snakemake(desk.folder, "--help")
    assert profile["executor"] == "slurm"
    assert all(f"--{key}" in known for key in profile)


def test_what_was_edited_is_not_written_over(desk: Desk) -> None:
    desk.ok("workflow", "edited")
    desk.ok("workflow", "edited")
    (desk.folder / "edited/config.yaml").write_text("dataset: mine\n", "utf-8")
    assert "config.yaml" in desk.fails(2, "workflow", "edited")
    assert (desk.folder / "edited/config.yaml").read_text("utf-8") == "dataset: mine\n"
