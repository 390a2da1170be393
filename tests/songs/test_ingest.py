"""Songs are made once: to the target, to the bit, and not at all when something is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.dataset import audio, files
from capture.errors import BadInput, Interrupted
from capture.model import Recipe, SongRecord
from capture.songs import ingest
from capture.songs.decode import UnusableSong, survey
from capture.songs.find import Source, find
from capture.songs.ingest import measure, prepare, quantise
from capture.songs.levels import Levels

RECIPE = Recipe(44100, "peak", -12.0, 5.0, -5.0)


def noise(seconds: float, rate: int, seed: int, level: float = 0.1) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    swell = np.linspace(0.02, 1, int(seconds * rate))[:, np.newaxis] ** 2
    return np.clip(level * swell * random.standard_normal((int(seconds * rate), 2)), -1, 1)


def song(folder: Path, name: str, seed: int, rate: int = 44100, level: float = 0.1) -> Source:
    path = folder / name
    soundfile.write(path, noise(1.3, rate, seed, level), rate, subtype="PCM_16")
    return Source(path.stem, name, path)


def known(records: list[SongRecord]) -> dict[str, SongRecord]:
    return {record.source: record for record in records}


def inputs(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data/inputs").glob("*"))


@pytest.mark.parametrize(
    ("normalize", "target_db"), [("peak", -12.0), ("rms", -35.0), ("lufs", -33.0)]
)
@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("fade_s", [0.0, 0.3])
def test_the_finished_file_meets_its_target(
    tmp_path: Path,
    normalize: Literal["peak", "rms", "lufs"],
    target_db: float,
    rate: int,
    fade_s: float,
) -> None:
    source = song(tmp_path, "One (mix).wav", 1)
    recipe = Recipe(rate, normalize, target_db, 3.0, -3.0, fade_s, fade_s)
    (record,) = prepare([source], recipe, tmp_path / "d", {}).songs

    samples = audio.read(tmp_path / "d" / record.input_file)
    assert len(samples) == record.num_frames == survey(source, rate)
    assert not np.any(samples & 0xFF)
    levels = Levels(rate)
    levels.feed(samples / 2**31)
    found = {
        "peak": levels.peak_dbfs,
        "rms": levels.rms_dbfs,
        "lufs": levels.loudness_lufs(),
    }
    assert found[normalize] == pytest.approx(target_db, abs=0.01)
    assert found == pytest.approx(
        {"peak": record.peak_dbfs, "rms": record.rms_dbfs, "lufs": record.loudness_lufs}
    )
    assert re.fullmatch(r"one-mix-[0-9a-f]{8}", record.song_id)
    assert record.input_file == f"data/inputs/{record.song_id}.flac"
    assert record.input_sha256 == files.sha256(tmp_path / "d" / record.input_file)
    assert record.source_sha256 == files.sha256(source.path or tmp_path)
    assert (record.source_format, record.source_rate_hz) == ("WAV/PCM_16", 44100)
    assert (record.source_channels, record.source_frames) == (2, int(1.3 * 44100))
    assert re.match(r"capture songs \d+, soxr \d.*, pyloudnorm .*, libsndfile 1", record.made_with)
    header = audio.header(tmp_path / "d" / record.input_file)
    assert (header.bits, header.channels) == (24, 2)


def test_again_gives_the_same_bytes(tmp_path: Path) -> None:
    sources = [song(tmp_path, "a.wav", 1, 48000), Source("drums", "demo:drums", None)]
    first = prepare(sources, RECIPE, tmp_path / "1", {}).songs
    assert prepare(sources, RECIPE, tmp_path / "2", {}).songs == first
    assert [record.input_sha256 for record in first] == [
        files.sha256(tmp_path / "2" / record.input_file) for record in first
    ]


@given(st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=40))
def test_rounding_is_to_the_nearest_and_holds_at_full_scale(values: list[float]) -> None:
    block = np.array([values, values]).T
    samples = quantise(block)
    assert samples.dtype == np.int32
    assert not np.any(samples & 0xFF)
    error = samples / 2**31 - np.clip(block, -1, 1 - 2**-23)
    assert np.max(np.abs(error)) <= 2**-24


def test_a_known_song_is_kept_without_being_read(tmp_path: Path) -> None:
    sources = [song(tmp_path, "a.wav", 1), song(tmp_path, "b.wav", 2)]
    first = prepare(sources, RECIPE, tmp_path, {}).songs
    told: list[str] = []

    def tell(source: Source, doing: str) -> None:
        told.append(f"{doing} {source.name}")

    again = prepare(sources, RECIPE, tmp_path, known(first), tell)
    assert again.songs == first
    assert told == []

    os.utime(tmp_path / "a.wav", ns=(1, 1))  # touched, but the same
    again = prepare(sources, RECIPE, tmp_path, known(first), tell)
    assert again.songs == first
    assert told == ["reading a"]


def test_a_file_that_moved_is_the_song_that_it_was(tmp_path: Path) -> None:
    first = prepare([song(tmp_path, "a.wav", 1)], RECIPE, tmp_path, {}).songs
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    moved = Source("b", "b.wav", tmp_path / "b.wav")
    assert prepare([moved], RECIPE, tmp_path, known(first)).songs == first


def test_a_changed_file_is_reported_and_its_song_untouched(tmp_path: Path) -> None:
    sources = [song(tmp_path, "a.wav", 1), song(tmp_path, "b.wav", 2)]
    first = prepare(sources, RECIPE, tmp_path / "d", {}).songs
    song(tmp_path, "a.wav", 3)
    again = prepare(sources, RECIPE, tmp_path / "d", known(first))
    assert again.changed == [(sources[0], first[0])]
    assert again.songs == [first[1]]
    assert files.sha256(tmp_path / "d" / first[0].input_file) == first[0].input_sha256


def test_the_same_audio_twice(tmp_path: Path) -> None:
    sources = [song(tmp_path, "a.wav", 1), song(tmp_path, "b.wav", 1), song(tmp_path, "c.wav", 2)]
    prepared = prepare(sources, RECIPE, tmp_path, {})
    assert [record.name for record in prepared.songs] == ["a", "c"]
    assert prepared.unusable == [(sources[1], "it is the same audio as a.wav; list it once")]
    assert prepare(sources, RECIPE, tmp_path, known(prepared.songs)) == prepared


def test_bad_songs_cost_no_good_ones(tmp_path: Path) -> None:
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.full((44100, 2), 9e-5), 44100, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("hello")
    flac = tmp_path / "cut.flac"
    soundfile.write(flac, noise(3, 44100, 5), 44100)
    flac.write_bytes(flac.read_bytes()[:200_000])
    sources = [
        Source("cut", "cut.flac", flac),
        song(tmp_path, "a.wav", 1),
        Source("silent", "silent.wav", silent),
        Source("text", "text.wav", tmp_path / "text.wav"),
        Source("gone", "gone.wav", tmp_path / "gone.wav"),
        Source("groove", "demo:groove", None),
    ]
    prepared = prepare(sources, RECIPE, tmp_path, {})
    assert [record.name for record in prepared.songs] == ["a", "groove"]
    assert [source.name for source, _ in prepared.unusable] == ["cut", "silent", "text", "gone"]
    assert "its peak is below -80 dBFS" in prepared.unusable[1][1]
    assert len(inputs(tmp_path)) == 2


def test_too_quiet_for_a_loudness(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, np.full((44100, 2), 2e-4), 44100, subtype="FLOAT")
    with pytest.raises(UnusableSong, match="below -70 LUFS"):
        measure(Source("x", "x.wav", path), replace(RECIPE, normalize="lufs"))


def test_shorter_than_its_fades(tmp_path: Path) -> None:
    recipe = replace(RECIPE, fade_in_s=1.0, fade_out_s=0.4)
    with pytest.raises(UnusableSong, match="shorter than its fades"):
        measure(song(tmp_path, "a.wav", 1), recipe)


def test_clipping_is_refused_before_any_file_is_written(tmp_path: Path) -> None:
    sources = [song(tmp_path, name, seed) for seed, name in enumerate(["a.wav", "b.wav"])]
    with pytest.raises(BadInput) as caught:
        prepare(sources, replace(RECIPE, target_db=-3.0), tmp_path, {})
    assert caught.value.messages == tuple(
        f"{name} would clip by 2.00 dB when sent at +5 dB; "
        "lower level.target_db or level.send_gain_db by at least 2.00 dB"
        for name in ("a.wav", "b.wav")
    )
    assert not (tmp_path / "data").exists()

    loud = replace(RECIPE, normalize="rms", target_db=-6.0, send_gain_db=-20.0)
    with pytest.raises(BadInput, match=r"lower level.target_db by at least \d+\.\d\d dB"):
        prepare(sources, loud, tmp_path, {})


def test_the_advice_on_clipping_is_enough(tmp_path: Path) -> None:
    source = song(tmp_path, "a.wav", 1)
    recipe = replace(RECIPE, normalize="lufs", target_db=-12.0)
    with pytest.raises(BadInput) as caught:
        prepare([source], recipe, tmp_path, {})
    (over_db,) = re.findall(r"by at least ([0-9.]+) dB", caught.value.messages[0])
    less = replace(recipe, target_db=recipe.target_db - float(over_db))
    assert len(prepare([source], less, tmp_path, {}).songs) == 1


def test_exactly_full_scale_is_no_clipping(tmp_path: Path) -> None:
    recipe = replace(RECIPE, target_db=0.0, send_gain_db=0.0)
    (record,) = prepare([song(tmp_path, "a.wav", 1)], recipe, tmp_path, {}).songs
    assert -2e-6 < record.peak_dbfs <= 0


def test_floats_beyond_full_scale_are_music_too(tmp_path: Path) -> None:
    path = tmp_path / "hot.wav"
    soundfile.write(path, 40 * noise(1, 44100, 0), 44100, subtype="FLOAT")
    measured = measure(Source("hot", "hot.wav", path), RECIPE)
    assert measured.gain_db < -12
    assert measured.peak_dbfs == pytest.approx(-12)


def test_an_interrupt_leaves_whole_songs_and_no_part(tmp_path: Path) -> None:
    sources = [song(tmp_path, "a.wav", 1), song(tmp_path, "b.wav", 2)]
    finished: list[SongRecord] = []

    def stop() -> None:
        if finished:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        prepare(sources, RECIPE, tmp_path, {}, stop=stop, done=finished.append)
    (record,) = finished
    assert inputs(tmp_path) == [f"{record.song_id}.flac"]
    resumed = prepare(sources, RECIPE, tmp_path, known(finished))
    assert [song.name for song in resumed.songs] == ["a", "b"]


def test_stop_is_asked_at_every_block(tmp_path: Path) -> None:
    asked: list[None] = []
    source = Source("groove", "demo:groove", None)
    prepare([source], RECIPE, tmp_path, {}, stop=lambda: asked.append(None))
    assert len(asked) > 2 * 9 * 44100 / 65536


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    source = song(tmp_path, "a.wav", 1)

    def tell(told: Source, doing: str) -> None:
        if doing == "writing":
            song(tmp_path, "a.wav", 2)
            os.utime(tmp_path / "a.wav", ns=(1, 1))

    prepared = prepare([source], RECIPE, tmp_path / "d", {}, tell)
    assert prepared.songs == []
    assert "changed while it was being read" in prepared.unusable[0][1]
    assert inputs(tmp_path / "d") == []


def test_all_demo_songs_at_another_rate(tmp_path: Path) -> None:
    sources = find(["demo:*"], [], tmp_path).sources
    recipe = replace(RECIPE, sample_rate_hz=48000)
    prepared = prepare(sources, recipe, tmp_path, {})
    assert [record.source for record in prepared.songs] == [source.where for source in sources]
    assert {record.num_frames for record in prepared.songs} == {survey(sources[0], 48000)}


PEAK_MEMORY = """
import resource, sys
from pathlib import Path
from capture.model import Recipe
from capture.songs.find import Source
from capture.songs.ingest import prepare
made = prepare(
    [Source("x", "x", Path(sys.argv[1]))], Recipe(44100, "lufs", -30.0, 0.0, 0.0, 0.5, 0.5),
    Path(sys.argv[2]), {},
)
assert len(made.songs) == 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    minute = noise(60, 16000, 0)[:, :1]
    peaks_kb: list[int] = []
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.wav"
        with soundfile.SoundFile(path, "w", 16000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        command = [sys.executable, "-c", PEAK_MEMORY, str(path), str(tmp_path)]
        peaks_kb.append(int(subprocess.run(command, check=True, capture_output=True).stdout))
    assert peaks_kb[1] - peaks_kb[0] < 8192, peaks_kb  # as floats, 10 minutes are 423 MB


def test_the_records_name_their_algorithm() -> None:
    assert ingest.made_with().startswith(f"capture songs {ingest.ALGORITHM_VERSION}, ")
