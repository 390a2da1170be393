"""Datasets made of noise, as large and as odd as a test needs them; no rig, no ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.dataset import tables
from capture.dataset.audio import FlacWriter
from capture.dataset.columns import SONG_COLUMNS, take_columns
from capture.documents import read
from capture.hardware.profile import RigProfile
from capture.model import AUTO, Setting, Value
from capture.presets import packaged

RATE_HZ = 44100
CONTROLS = read(packaged("rig", "simulated"), "simulated").check(RigProfile).control_values
Row = dict[str, Any]
Codes = NDArray[np.int32]


def setting(threshold_db: float = -28.0, release_s: Value = 0.1, ratio: float = 4.0) -> Setting:
    return Setting(
        {"threshold_db": threshold_db, "attack_ms": 0.1, "release_s": release_s, "ratio": ratio}
    )


@dataclass(frozen=True)
class Song:
    name: str
    seconds: float = 0.01
    split: str | None = "train"


def noise(frames: int, channels: int, seed: int) -> Codes:
    """Any 24-bit codes at all, extremes included, left-justified."""
    random = np.random.default_rng(seed)
    return random.integers(-(2**23), 2**23, (frames, channels), np.int32) << 8


def silence(frames: int, channels: int, seed: int) -> Codes:
    """Soon written, and soon read."""
    return np.zeros((frames, channels), np.int32)


Sound = Callable[[int, int, int], Codes]


def make(
    root: Path,
    songs: list[Song],
    settings: list[tuple[Setting, str | None]],
    more: Row | None = None,
    sound: Sound | None = noise,
    rate_hz: int = RATE_HZ,
) -> Path:
    """A dataset of every song at every setting, captured so far.

    ``more``: columns of all takes. ``sound``: makes the audio; None: there are no files.
    """
    (root / "manifest").mkdir(parents=True)
    identity = {"schema_version": 1, "dataset_id": "made", "name": "made"}
    (root / "dataset.json").write_text(json.dumps(identity), "utf-8")
    (root / "rig.yaml").write_text(packaged("rig", "simulated"), "utf-8")
    (root / "plan.yaml").write_text(packaged("plan", "quickstart"), "utf-8")
    takes: list[Row] = []
    song_rows = [_song(root, song, sound, rate_hz) for song in songs]
    for chosen, setting_split in settings:
        for song in song_rows:
            takes.append(
                _take(root, song, chosen, sound) | {"setting_split": setting_split} | (more or {})
            )
    columns = take_columns(CONTROLS)
    own = {n: k for n, k in columns.items() if n in takes[0] and n in _values(settings[0][0])}
    _table(root, "takes", columns, takes)
    _table(root, "songs", SONG_COLUMNS, song_rows)
    rows = [
        {"setting_id": one.setting_id, "setting_split": s} | _values(one) for one, s in settings
    ]
    first = {"setting_id": "string", "setting_split": "string", "takes": "int64"}
    _table(root, "settings", first | own, [row | {"takes": len(songs)} for row in rows])
    return root


def _table(root: Path, name: str, columns: dict[str, str], rows: list[Row]) -> None:
    tables.write(root / "manifest", name, columns, rows)


def _values(chosen: Setting) -> Row:
    row: Row = {}
    for name, value in chosen.items():
        row[name] = None if value is AUTO else value
    return row | {"release_auto": chosen["release_s"] is AUTO}


def _song(root: Path, song: Song, sound: Sound | None, rate_hz: int) -> Row:
    frames = round(song.seconds * rate_hz)
    file = f"data/inputs/{song.name}.flac"
    seed = int.from_bytes(hashlib.sha256(song.name.encode()).digest()[:4], "big")
    sha256 = _write(root / file, sound, rate_hz, frames, 2, seed)
    return {
        "song_id": song.name,
        "name": song.name,
        "split": song.split,
        "source_sha256": hashlib.sha256(song.name.encode()).hexdigest(),
        "input_file": file,
        "input_sha256": sha256,
        "sample_rate_hz": rate_hz,
        "num_frames": frames,
    }


def _take(root: Path, song: Row, chosen: Setting, sound: Sound | None) -> Row:
    take_id = hashlib.sha256(f"{song['song_id']} {chosen.setting_id}".encode()).hexdigest()[:20]
    stem = f"data/takes/{song['song_id']}/{song['song_id']}-{chosen.setting_id}-r1"
    seed, frames = int(take_id[:8], 16), song["num_frames"]
    row = {name: song[name] for name in ("song_id", "split", "input_file", "input_sha256")}
    for kind, end, channels in (("output", "out", 2), ("cv", "cv", 1)):
        row[f"{kind}_file"] = f"{stem}.{end}.flac"
        path = root / row[f"{kind}_file"]
        rate_hz = song["sample_rate_hz"]
        row[f"{kind}_sha256"] = _write(path, sound, rate_hz, frames, channels, seed + channels)
    return (
        row
        | _values(chosen)
        | {
            "take_id": take_id,
            "setting_id": chosen.setting_id,
            "repeat": 1,
            "calibration_id": "cal-made",
            "session_id": "session-made",
            "sample_rate_hz": song["sample_rate_hz"],
            "num_frames": frames,
            "gain_db_per_fs": -97.5,
            "gain_db_at_zero": 0.25,
            "gain_law_origin": "measured",
        }
    )


def _write(
    path: Path, sound: Sound | None, rate_hz: int, frames: int, channels: int, seed: int
) -> str:
    """A 24-bit FLAC; gives its hash."""
    if sound is None:
        return "0" * 64
    path.parent.mkdir(parents=True, exist_ok=True)
    with FlacWriter(path, rate_hz, channels) as file:
        file.write(sound(frames, channels, seed))
    return hashlib.sha256(path.read_bytes()).hexdigest()
