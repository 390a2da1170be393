"""Every layout, written by the program, and read by its own reader or by its published rules."""

from __future__ import annotations

import ast
import configparser
import csv
import hashlib
import io
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import scipy.io.wavfile
import soundfile

from tests.export.conftest import codes, floats, gain_db, side
from tests.session.conftest import Desk

Take = dict[str, Any]
FORMATS = ("hf-parquet", "webdataset", "cv-db", "tonetwist", "signaltrain", "frictionless")
KNOBS = ("threshold_db", "attack_ms", "release_s", "release_auto", "ratio")


@pytest.fixture(scope="module")
def exports(desk: Desk, takes: list[Take]) -> dict[str, Path]:
    """Each format's folder."""
    for name in FORMATS:
        done = desk.json("export", name, "dataset", f"out/{name}", "--jobs", "1")
        assert done["finished"]
        assert done["takes"] + done["left_out"] == len(takes)
        assert done["takes"] == (9 if name in ("tonetwist", "signaltrain") else 11)
    return {name: desk.folder / "out" / name for name in FORMATS}


def close(got: np.ndarray, wanted: np.ndarray) -> bool:
    """As near as a float32 of some 30 dB can be."""
    return got.dtype == np.float32 and np.allclose(got, wanted, rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("name", FORMATS)
def test_the_list_of_hashes_has_every_file(exports: dict[str, Path], name: str) -> None:
    out = exports[name]
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, check=False)
    assert done.returncode == 0
    listed = {line.split("  ", 1)[1] for line in (out / "SHA256SUMS").read_text().splitlines()}
    there = {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file() and ".export" not in path.parts
    }
    assert listed == there - {"SHA256SUMS"}


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_loads_its_parquet(
    exports: dict[str, Path], dataset: Path, takes: list[Take], tmp_path: Path
) -> None:
    import datasets

    loaded = datasets.load_dataset(str(exports["hf-parquet"]), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "unseen_song", "unseen_setting", "unseen_both", "reference"}
    by_id = {take["take_id"]: take for take in takes}
    seen = []
    for split, rows in loaded.items():
        assert isinstance(rows.features["input"], datasets.Audio)
        assert isinstance(rows.features["output"], datasets.Audio)
        assert rows.features["release_s"].dtype == "float64"
        # Decoding inside ``datasets`` takes torch; the bytes are what it would be given.
        packed = rows.cast_column("input", datasets.Audio(decode=False))
        packed = packed.cast_column("output", datasets.Audio(decode=False))
        for row in packed.with_format("numpy"):
            take = by_id[str(row["take_id"])]
            seen.append(take["take_id"])
            assert side(take) == split
            assert row["start_frame"] == 0
            assert row["num_frames"] == row["take_frames"] == take["num_frames"]
            assert bool(row["release_auto"]) == take["release_auto"]
            for kind in ("input", "output"):
                file = io.BytesIO(row[kind]["bytes"])
                assert soundfile.info(file).subtype == "PCM_24"
                file.seek(0)
                assert np.array_equal(
                    soundfile.read(file, dtype="int32")[0], codes(dataset, take, kind)
                )
            assert close(row["gain_db"], gain_db(dataset, take))
    assert sorted(seen) == sorted(by_id)
    card = (exports["hf-parquet"] / "README.md").read_text("utf-8")
    assert "# A small one" in card
    assert "cc0-1.0" in card


@pytest.mark.filterwarnings("ignore")
def test_webdataset_reads_its_shards(
    exports: dict[str, Path], dataset: Path, takes: list[Take]
) -> None:
    import webdataset

    by_id = {take["take_id"]: take for take in takes}
    seen = []
    for shard in sorted(exports["webdataset"].glob("*.tar")):
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False).decode():
            facts = sample["json"]
            take = by_id[facts["take_id"]]
            seen.append(take["take_id"])
            assert sample["__key__"] == f"{take['take_id']}-00000"
            assert shard.name == f"{side(take)}-000000.tar"
            for name in KNOBS:
                assert facts[name] == take[name]
            for kind in ("input", "output"):
                audio, rate_hz = soundfile.read(io.BytesIO(sample[f"{kind}.flac"]), dtype="int32")
                assert rate_hz == facts["sample_rate_hz"] == 44100
                assert np.array_equal(audio, codes(dataset, take, kind))
            assert close(sample["gain.npy"], gain_db(dataset, take))
    assert sorted(seen) == sorted(by_id)


def test_the_authors_of_g384_could_read_their_layout(
    exports: dict[str, Path], dataset: Path, takes: list[Take]
) -> None:
    """The rules of torchCompTrain: its required columns, and paths that start at the root."""
    out = exports["cv-db"]
    rows = pyarrow.parquet.read_table(out / "metadata/metadata_main.parquet").to_pylist()
    required = ["clip_id", "permutation_id", "audio_in_path", "audio_out_path", "cv_path", "ratio"]
    assert all(row[name] is not None for row in rows for name in [*required, "release_mode"])
    assert len({tuple(row[name] for name in required) for row in rows}) == len(takes)
    by_id = {take["take_id"]: take for take in takes}
    number: dict[str, str] = {}
    for row in rows:
        take, clip, permutation = by_id.pop(row["take_id"]), row["clip_id"], row["permutation_id"]
        assert re.fullmatch(r"p\d{3}", permutation)
        assert number.setdefault(take["setting_id"], permutation) == permutation
        again = f"_r{take['repeat']}" if take["repeat"] > 1 else ""
        assert row["audio_in_path"] == f"audio_in/{clip}.wav"
        assert row["audio_out_path"] == f"audio_out/{permutation}/{clip}_{permutation}{again}.wav"
        assert row["cv_path"] == f"cv/{permutation}/{clip}_{permutation}{again}.wav"
        assert ("auto" in row["release_mode"].lower()) == take["release_auto"]
        for kind, name in (("input", "audio_in_path"), ("output", "audio_out_path")):
            assert soundfile.info(out / row[name]).subtype == "PCM_24"
            audio, rate_hz = soundfile.read(out / row[name], dtype="int32")
            assert rate_hz == 44100
            assert np.array_equal(audio, codes(dataset, take, kind))
        assert soundfile.info(out / row["cv_path"]).subtype == "FLOAT"
        cv, _ = soundfile.read(out / row["cv_path"], dtype="float32")
        assert cv.ndim == 1
        assert close(cv, gain_db(dataset, take))
        assert cv.min() < -3  # attenuation is negative
    assert not by_id
    assert len(set(number.values())) == len(number) == 3


def test_nablafx_would_pair_and_read_its_layout(
    exports: dict[str, Path], dataset: Path, takes: list[Take]
) -> None:
    """The rules of nablafx' ParametricPluginDataset, and those of PluginDataset."""
    out = exports["tonetwist"]
    with (out / "settings.csv").open(encoding="utf-8", newline="") as table:
        folders = {row["setting_id"]: row["folder"] for row in csv.DictReader(table)}
    left = {(t["song_id"], folders[t["setting_id"]]): t for t in takes if t["repeat"] == 1}
    for place in ("trainval", "test"):
        wet = sorted((out / "small" / place).glob("*/*.target.wav"))
        for dry in sorted((out / "DRY" / place).glob("*.input.wav")):
            target = dry.name[:-4].replace("input", "target")
            matched = [path for path in wet if target in str(path)]
            assert matched
            for path in matched:
                words, song = path.name.split(".")[-4], path.name.split(".")[-3]
                assert path == out / "small" / place / words / f"{words}.{song}.target.wav"
                threshold, _, release, auto, ratio = (float(w[1:]) / 100 for w in words.split("_"))
                take = left.pop((song, words))
                assert (place == "trainval") == (side(take) == "train")
                assert auto == (1.0 if take["release_auto"] else 0.0)
                assert threshold == pytest.approx((take["threshold_db"] + 28) / 40)
                assert 0 <= release <= 1
                assert 0 <= ratio <= 1
                for kind, file in (("input", dry), ("output", path)):
                    assert soundfile.info(file).subtype == "FLOAT"
                    audio = soundfile.read(file, dtype="float64")[0]
                    assert np.array_equal(audio, floats(dataset, take, kind))
    assert not left
    assert len(set(folders.values())) == 3


def test_signaltrain_would_pair_and_read_its_layout(
    exports: dict[str, Path], dataset: Path, takes: list[Take]
) -> None:
    """The rules of SignalTrain's FileEffect and AudioFileDataSet, and of micro-TCN's loader."""
    out = exports["signaltrain"]
    config = configparser.ConfigParser()
    config.read(out / "effect_info.ini")
    assert config["effect"]["name"] == "small"
    names = ast.literal_eval(config.get("effect", "knob_names"))
    ranges = np.array(ast.literal_eval(config.get("effect", "knob_ranges")))
    assert names == list(KNOBS)
    assert (ranges[:, 0] < ranges[:, 1]).all()
    with (out / "takes.csv").open(encoding="utf-8", newline="") as table:
        known = {row["target"]: row["take_id"] for row in csv.DictReader(table)}
    by_id = {take["take_id"]: take for take in takes}
    songs: dict[str, set[str]] = {}
    for folder in ("Train", "Val", "Test"):
        inputs = sorted(map(str, (out / folder).glob("input_*")))
        targets = sorted(map(str, (out / folder).glob("target_*")))
        assert len(inputs) == len(targets) > 0
        for dry, wet in zip(inputs, targets, strict=True):
            assert Path(dry).name.split("_")[1] == Path(wet).name.split("_")[1]
            take = by_id[known.pop(f"{folder}/{Path(wet).name}")]
            songs.setdefault(folder, set()).add(take["song_id"])
            assert (folder == "Test") == (side(take) != "train")
            knobs = np.array([float(x) for x in Path(wet).name.replace(".wav", "").split("__")[1:]])
            assert ((ranges[:, 0] <= knobs) & (knobs <= ranges[:, 1])).all()
            assert knobs.tolist() == [float(take[name] or 0) for name in KNOBS]
            for kind, file in (("input", dry), ("output", wet)):
                # pytest makes the warning that its reader stumbles over an error
                rate_hz, audio = scipy.io.wavfile.read(file)
                assert rate_hz == 44100
                assert audio.dtype == np.float32
                assert np.array_equal(audio, floats(dataset, take, kind))
    assert not known
    assert not songs["Train"] & songs["Val"]


@pytest.mark.filterwarnings("ignore")
def test_frictionless_validates_and_reads_its_package(
    exports: dict[str, Path], dataset: Path, takes: list[Take]
) -> None:
    import frictionless

    out = exports["frictionless"]
    package = frictionless.Package(str(out / "datapackage.json"))
    report = package.validate()
    assert report.valid, report.to_summary()
    assert package.title == "A small one"
    assert package.licenses == [{"name": "CC0-1.0"}]
    rows = {row["take_id"]: row for row in package.get_resource("takes").read_rows()}
    assert len(rows) == len(takes)
    for take in takes:
        row = rows[take["take_id"]]
        for name in ("repeat", "release_auto", "release_s", "gain_db_per_fs", "captured_at"):
            assert row[name] == take[name] or float(row[name]) == take[name]
        for kind in ("input", "output"):
            copy = (out / row[f"{kind}_file"]).read_bytes()
            assert hashlib.sha256(copy).hexdigest() == take[f"{kind}_sha256"]
        gain, _ = soundfile.read(out / row["gain_file"], dtype="float32")
        assert close(gain, gain_db(dataset, take))


@pytest.mark.filterwarnings("ignore")
def test_frictionless_finds_a_flipped_byte(exports: dict[str, Path], desk: Desk) -> None:
    """The package is worth validating: its hashes count."""
    import frictionless

    desk.ok("export", "frictionless", "dataset", "flipped", "--songs", "1", "--jobs", "1")
    file = next((desk.folder / "flipped/gain").rglob("*.wav"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    report = frictionless.Package(str(desk.folder / "flipped/datapackage.json")).validate()
    assert not report.valid
    assert file.name in str(report.to_summary())
