"""``capture evaluate`` as a process: the figures, what is missing, and everything that is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

import capture
from capture.dataset import evaluate
from capture.dataset.load import LoadedTake, Takes
from capture.errors import BadInput
from capture.model import AUTO
from tests.session.conftest import CAPTURE, Desk

RATE_HZ = 44100


@pytest.fixture(scope="module")
def takes(dataset: Path) -> Takes:
    return capture.load(dataset)


def stem(take: LoadedTake) -> str:
    return f"{take['song_id']}-{take['setting_id']}-r{take['repeat']}"


def save(folder: Path, name: str, gain_db: np.ndarray) -> None:
    """As .npy or as .wav, whichever the name says."""
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".npy"):
        np.save(folder / name, gain_db)
    else:
        soundfile.write(folder / name, gain_db, RATE_HZ, "FLOAT")


def evaluated(dataset: Path, folder: Path) -> Any:
    return Desk(folder.parent).json("evaluate", str(dataset), str(folder))


def refused(dataset: Path, folder: Path, *options: str) -> list[str]:
    """What is said, line by line, of bad input. As JSON it is the same."""
    command = [CAPTURE, "evaluate", str(dataset), str(folder), *options]
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.splitlines()
    assert "\n".join(json.loads(done.stdout)["error"]["messages"]).splitlines() == said
    return said


def test_gain_and_audio_of_every_take(dataset: Path, takes: Takes, tmp_path: Path) -> None:
    """Each take's gain is off by another constant, its audio is scaled: all figures are known."""
    folder = tmp_path / "predictions"
    endings = (".gain.npy", ".gain.wav")
    for number, take in enumerate(takes):
        off = np.float32(0.01 * number)
        save(folder, f"{stem(take)}{endings[number % 2]}", take.gain_db + off)
        name = folder / take["song_id"] / f"{take.take_id}.{('wav', 'flac')[number % 2]}"
        name.parent.mkdir(exist_ok=True)
        soundfile.write(name, take.output * 0.75, RATE_HZ, "PCM_24")
    found = evaluated(dataset, folder)
    assert found["gain"] == "without make-up"
    assert found["release"] is None
    assert found["missing"] == {"gain": [], "audio": []}
    assert found["strays"] == []
    rows = found["takes"]
    assert [row["take_id"] for row in rows] == [take.take_id for take in takes]
    for number, (row, take) in enumerate(zip(rows, takes, strict=True)):
        for name in ("gain_l1_db", "gain_rms_db", "gain_peak_db", "gain_bias_db"):
            assert row[name] == pytest.approx(0.01 * number, abs=2e-6)
        assert row["l1"] == pytest.approx(0.25 * np.abs(take.output).mean(), rel=1e-3)
        assert row["esr"] == pytest.approx(1 / 16, rel=1e-3)
        assert row["esr_prefiltered"] == pytest.approx(1 / 16, rel=1e-3)
        assert row["mste"] > 0
        assert row["multi_resolution_stft"] == pytest.approx(0.25 - np.log(0.75), abs=0.05)
    results = found["results"]
    assert set(results) == {"all", "split", "setting_split", "setting_id"}
    assert set(results["split"]) == {"train", "test"}
    assert set(results["setting_split"]) == {"seen", "unseen"}
    assert len(results["setting_id"]) == 5
    for column, parts in results.items():
        for value, one in parts.items():
            mine = [n for n, take in enumerate(takes) if column == "all" or take[column] == value]
            assert one["gain_takes"] == one["audio_takes"] == len(mine)
            assert one["gain_l1_db"] == pytest.approx(0.01 * np.mean(mine), abs=2e-6)
            assert one["gain_peak_db"] == pytest.approx(0.01 * max(mine), abs=2e-6)
            assert one["mste"] == pytest.approx(np.mean([rows[n]["mste"] for n in mine]))


def test_what_is_missing_and_what_belongs_to_no_take(
    dataset: Path, takes: Takes, tmp_path: Path
) -> None:
    folder = tmp_path / "predictions"
    test = [take for take in takes if take.split == "test"]
    for take in test:
        save(folder, f"{take.take_id}.gain.npy", take.gain_db)
    soundfile.write(folder / f"{stem(test[0])}.wav", test[0].output, RATE_HZ, "FLOAT")
    (folder / "notes.txt").write_text("made by hand")
    save(folder / "old", f"{stem(test[1])}-best.gain.npy", test[1].gain_db)
    save(folder, f"{stem(test[1])}.npy", test[1].gain_db)
    found = evaluated(dataset, folder)
    ids = {take.take_id for take in takes}
    assert set(found["missing"]["gain"]) == ids - {take.take_id for take in test}
    assert set(found["missing"]["audio"]) == ids - {test[0].take_id}
    assert found["strays"] == sorted(
        ["notes.txt", f"old/{stem(test[1])}-best.gain.npy", f"{stem(test[1])}.npy"]
    )
    assert found["results"]["all"]["all"]["gain_takes"] == 5
    assert found["results"]["all"]["all"]["audio_takes"] == 1
    assert found["results"]["all"]["all"]["gain_peak_db"] == 0
    assert set(found["results"]["split"]) == {"test"}
    text = Desk(tmp_path).ok("evaluate", str(dataset), str(folder))
    assert "what is captured so far: 5 of 15 takes predicted" in text
    assert "no gain for 10 takes: 10 train" in text
    assert "no audio for 14 takes: 4 test, 10 train" in text
    assert "... 6 more (--json)" in text
    assert "belong to no take: 3 files\n  notes.txt\n" in text
    assert "gain: without make-up (0 dB at rest)" in text
    assert "setting_split unseen" in text


def total_db(take: LoadedTake) -> np.ndarray:
    static_db = (take["static_left_db"] + take["static_right_db"]) / 2
    return take.gain_db + take["send_gain_db"] + static_db


def test_with_make_up(dataset: Path, takes: Takes, tmp_path: Path) -> None:
    """It is what the audio shows where nothing is reduced."""
    folder = tmp_path / "predictions"
    for take in takes:
        save(folder, f"{stem(take)}.total-gain.npy", total_db(take).astype(np.float32) - 0.5)
    found = evaluated(dataset, folder)
    assert found["gain"] == "with make-up"
    assert found["results"]["all"]["all"]["gain_bias_db"] == pytest.approx(-0.5, abs=1e-5)
    assert "gain: with make-up" in Desk(tmp_path).ok("evaluate", str(dataset), str(folder))
    take = next(take for take in takes if take.settings["release_s"] is not AUTO)
    spectra = [np.fft.rfft(x, axis=0)[:20_000] for x in (take.input, take.output)]
    audio_db = 20 * np.log10(np.linalg.norm(spectra[1]) / np.linalg.norm(spectra[0]))
    least, most = np.percentile(evaluate.total_gain_db(take), (0, 100))
    assert least < audio_db < most


def test_the_two_kinds_of_gain_are_never_mixed(dataset: Path, takes: Takes, tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    save(folder, f"{stem(takes[0])}.gain.npy", takes[0].gain_db)
    save(folder, f"{stem(takes[1])}.total-gain.npy", takes[1].gain_db)
    (said,) = refused(dataset, folder)
    assert "1 predictions are gain without make-up" in said
    assert "never mixed" in said


def test_make_up_that_was_not_measured_is_not_guessed(takes: Takes, tmp_path: Path) -> None:
    column = takes.table.column_names.index("static_left_db")
    nulls = pa.nulls(len(takes), pa.float64())
    table = takes.table.set_column(column, "static_left_db", nulls)
    unmeasured = Takes(takes._found, table, takes._controls)
    save(tmp_path, f"{stem(takes[0])}.total-gain.npy", takes[0].gain_db)
    with pytest.raises(BadInput, match="was not measured"):
        evaluate.match(unmeasured, tmp_path)


FAULTS: dict[str, tuple[str, Callable[[Path, LoadedTake], None], str]] = {
    "too short": (
        ".gain.npy", lambda path, take: np.save(path, take.gain_db[:-1]), "frames; take",
    ),
    "not one per frame": (
        ".gain.npy", lambda path, take: np.save(path, np.zeros((take.frames, 2), "f4")),
        "has 2 channels; gain has 1",
    ),
    "one number": (".gain.npy", lambda path, take: np.save(path, 1.0), "one number"),
    "integers": (
        ".gain.npy", lambda path, take: np.save(path, np.zeros(take.frames, "i4")), "holds int32",
    ),
    "objects": (
        ".gain.npy", lambda path, take: np.save(path, np.array([None] * take.frames)),
        "cannot be read",
    ),
    "no numbers": (".gain.npy", lambda path, take: path.write_bytes(b"no array"), "cannot be read"),
    "PCM": (
        ".gain.wav",
        lambda path, take: soundfile.write(path, take.gain_db * 0, RATE_HZ, "PCM_16"),
        "holds PCM_16; gain in dB must be float32",
    ),
    "mono": (
        ".wav", lambda path, take: soundfile.write(path, take.output[:, 0], RATE_HZ, "FLOAT"),
        "has 1 channels; audio has 2",
    ),
    "another rate": (
        ".wav", lambda path, take: soundfile.write(path, take.output, 48000, "FLOAT"),
        "is at 48000 Hz",
    ),
    "too long": (
        ".flac",
        lambda path, take: soundfile.write(path, np.zeros((take.frames + 1, 2)), RATE_HZ, "PCM_24"),
        "frames; take",
    ),
    "no audio": (".flac", lambda path, take: path.write_bytes(b"fLaC"), "cannot be read"),
}  # fmt: skip


def test_everything_that_headers_show_is_said_at_once(
    dataset: Path, takes: Takes, tmp_path: Path
) -> None:
    for take, (ending, make, _) in zip(takes, FAULTS.values(), strict=False):
        make(tmp_path / f"{take.take_id}{ending}", take)
    last = takes[-1]
    soundfile.write(tmp_path / f"{stem(last)}.wav", last.output, RATE_HZ, "FLOAT")
    soundfile.write(tmp_path / f"{last.take_id}.flac", last.output, RATE_HZ, "PCM_24")
    said = refused(dataset, tmp_path)
    assert len(said) == len(FAULTS) + 1
    for take, (ending, _, words) in zip(takes, FAULTS.values(), strict=False):
        (line,) = (line for line in said if f"{take.take_id}{ending}" in line)
        assert words in line
    assert any("are all for take" in line and f"{stem(last)}.wav" in line for line in said)


def test_what_only_the_content_shows_is_said_of_all_files(
    dataset: Path, takes: Takes, tmp_path: Path
) -> None:
    for number, value in ((0, np.nan), (2, np.inf)):
        gain_db = takes[number].gain_db
        gain_db[17] = value
        save(tmp_path, f"{stem(takes[number])}.gain.npy", gain_db)
    silent = takes[1].gain_db
    silent[17] = -np.inf  # no gain at all, which is a number
    save(tmp_path, f"{stem(takes[1])}.gain.npy", silent)
    cut = tmp_path / f"{stem(takes[3])}.flac"
    soundfile.write(cut, takes[3].output, RATE_HZ, "PCM_24")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    said = refused(dataset, tmp_path)
    assert len(said) == 3
    for line, number in zip(said, (0, 2, 3), strict=True):
        assert stem(takes[number]) in line


def test_nothing_to_evaluate(dataset: Path, tmp_path: Path) -> None:
    assert "is no folder of predictions" in refused(dataset, tmp_path / "nowhere")[0]
    (tmp_path / "song.wav").write_bytes(b"")
    assert "none of its 1 files belongs to a take" in refused(dataset, tmp_path)[0]
    assert "has no release 3.0.0" in refused(dataset, tmp_path, "--release", "3.0.0")[0]
    assert "is no dataset folder" in refused(tmp_path / "nowhere", tmp_path)[0]


def test_a_damaged_dataset_is_no_bad_prediction(
    dataset: Path, takes: Takes, tmp_path: Path
) -> None:
    root, folder = tmp_path / "copy", tmp_path / "predictions"
    shutil.copytree(dataset, root)
    (root / takes[0]["cv_file"]).unlink()
    save(folder, f"{stem(takes[0])}.gain.npy", takes[0].gain_db)
    said = Desk(tmp_path).fails(5, "evaluate", str(root), str(folder))
    assert takes[0]["cv_file"] in said
