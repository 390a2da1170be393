"""The main job on real music, against the simulator's truth.

Three songs of the Debian package singularity-music (48 kHz OGG) at eight settings. What was
recorded must be the unit's true output, late by nothing but the fraction that the manifest states,
with nothing added but the noise, hum and rounding that the rig profile states; and the CV must
give the true gain.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from capture import presets
from capture.hardware.simulated import Truth, render
from capture.model import AUTO, Setting
from capture.run.asked import read_profile
from tests.session.conftest import Desk

MUSIC = Path("/usr/share/games/singularity/music")
SONGS = ("lose/Chimes They Fade.ogg", "lose/March Thee to Dis.ogg", "win/Apex Aleph.ogg")
FULL_SCALE = 2.0**31

PLAN = """\
schema_version: 1
name: real-music
rig: simulated
songs: {{paths: [{paths}]}}
level: {{normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}}
sample_rate_hz: 44100
grid:
  threshold_db: [-28, -16]
  attack_ms: [0.1, 3]
  release_s: [0.1, auto]
  ratio: [4]
splits: {{seed: 1, test_songs: 1}}
"""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of the three songs at eight settings."""
    if not MUSIC.is_dir() and not os.environ.get("CI"):
        pytest.skip("needs the Debian package singularity-music (make test installs it for root)")
    desk = Desk(tmp_path_factory.mktemp("real"))
    paths = ", ".join(f'"{MUSIC / name}"' for name in SONGS)
    (desk.folder / "plan.yaml").write_text(PLAN.format(paths=paths), "utf-8")
    said = desk.ok("run", "plan.yaml", "--out", "d")
    assert "finished: 24 of 24 takes captured" in said
    print("\nreal music, 3 songs x 8 settings:", said.splitlines()[-1])
    assert desk.json("verify", "d")["ok"] is True
    return desk.folder / "d"


def takes() -> list[int]:
    return list(range(24))


def delayed(signal: np.ndarray, frames: float) -> np.ndarray:
    """``signal`` later by a fraction of a frame, by the Fourier transform; ends are not valid."""
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(len(signal)) * frames)
    return np.fft.irfft(np.fft.rfft(signal, axis=0) * turn[:, None], len(signal), axis=0)


def band(signal: np.ndarray, low: float, high: float) -> np.ndarray:
    """The part of ``signal`` between two frequencies, as fractions of the sample rate."""
    spectrum = np.fft.rfft(signal, axis=0)
    frequency = np.fft.rfftfreq(len(signal))
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.fft.irfft(spectrum, len(signal), axis=0)


def rms_dbfs(signal: np.ndarray) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(signal**2))))


def truth_of(row: dict, dataset: Path, frames: int) -> Truth:
    """What the simulator says of a take's first frames: rendered anew, from the input file."""
    rig = read_profile(presets.find("rig", "simulated", Path()).document)
    sent = soundfile.read(dataset / row["input_file"], stop=frames, dtype="int32")[0]
    gain = 10 ** (row["send_gain_db"] / 20)
    codes = np.rint(sent * gain / 2**8).astype(np.int32) << 8
    setting = Setting(
        {name: row[name] for name in ("threshold_db", "attack_ms", "ratio")}
        | {"release_s": AUTO if row["release_auto"] else row["release_s"]}
    )
    return render(rig, setting, codes)[1]


@pytest.mark.parametrize("number", takes())
def test_a_take_is_the_truth_but_for_fraction_noise_and_rounding(
    captured: Path, number: int
) -> None:
    row = pq.read_table(captured / "manifest/takes.parquet").to_pylist()[number]
    frames = 30 * 44100
    truth = truth_of(row, captured, frames)
    output = soundfile.read(captured / row["output_file"], stop=frames, dtype="int32")[0]
    output = output / FULL_SCALE
    expected = truth.output * 10 ** (row["return_gain_db"] / 20)
    inside = slice(4096, -4096)
    for channel, side in enumerate(("left", "right")):
        true_fraction = truth.delay_frames[side] - row["latency_frames"]
        assert row[f"delay_{side}_frames"] == pytest.approx(true_fraction, abs=0.005)
        late = delayed(expected[:, channel : channel + 1], true_fraction)[inside, 0]
        # Up to 0.40 of the rate: where the converter's filter is flat (tests/simulated).
        error = band((output[inside, channel] - late)[:, None], 0.001, 0.40)
        # Noise of -100 dBFS and the -95 dB of crosstalk; nothing else.
        level = rms_dbfs(truth.output[inside])
        assert rms_dbfs(error) < max(-99.0, level - 92), (side, rms_dbfs(error), level)


@pytest.mark.parametrize("number", takes())
def test_the_cv_is_the_true_gain(captured: Path, number: int) -> None:
    row = pq.read_table(captured / "manifest/takes.parquet").to_pylist()[number]
    frames = 30 * 44100
    truth = truth_of(row, captured, frames)
    cv = soundfile.read(captured / row["cv_file"], stop=frames, dtype="int32")[0] / FULL_SCALE
    lag = truth.delay_frames["cv"] - row["latency_frames"]
    late = delayed(truth.gain_db[:, None], lag)
    gain_db = cv * row["gain_db_per_fs"] + row["gain_db_at_zero"]
    assert row["gain_law_origin"] == "measured"
    error = (gain_db - late[:, 0])[4096:-4096]
    # But for the CV's bandwidth: the gain jumps by decibels within a frame.
    assert np.sqrt(np.mean(error**2)) < 0.05
    assert abs(np.mean(error)) < 0.002
    line = np.polynomial.Polynomial.fit(late[4096:-4096, 0], gain_db[4096:-4096], 1).convert()
    assert line.coef[1] == pytest.approx(1, abs=2e-3)
