"""What a file's header says, what decoding it gives, and what is refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from capture.model import Recipe
from capture.songs.decode import UnusableSong, blocks, frames_at, identify, survey
from capture.songs.find import Source

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "float.wav": ("WAVEX", "FLOAT"),
    "rf64": ("RF64", "PCM_24"),
    "flac": ("FLAC", "PCM_24"),
    "aiff": ("AIFF", "PCM_24"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}


def recipe(rate: int = 44100, **changes: float) -> Recipe:
    return Recipe(rate, "peak", -12.0, 5.0, -5.0, **changes)


def tone(frames: int, channels: int, rate: int) -> NDArray[np.float64]:
    t = np.arange(frames)[:, np.newaxis] / rate
    return 0.5 * np.sin(2 * np.pi * np.array([440.0, 660.0])[:channels] * t)


def written(path: Path, song: NDArray[np.float64], rate: int, form: str = "wav") -> Source:
    container, encoding = FORMATS[form]
    soundfile.write(path, song, rate, format=container, subtype=encoding)
    return Source(path.stem, path.name, path)


def decoded(source: Source, made: Recipe, block_frames: int = 65536) -> NDArray[np.float64]:
    return np.concatenate(list(blocks(source, made, block_frames)))


def reason(source: Source, made: Recipe | None = None) -> str:
    with pytest.raises(UnusableSong) as caught:
        decoded(source, made or recipe())
    assert caught.value.source is source
    assert str(caught.value) == f"{source.where}: {caught.value.reason}"
    return caught.value.reason


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44100, 48000, 24000])
def test_every_format(tmp_path: Path, form: str, channels: int, rate: int) -> None:
    if form == "opus" and rate == 44100:
        rate = 16000
    frames = int(1.1 * rate) + 7
    source = written(tmp_path / "song", tone(frames, channels, rate), rate, form)
    song = decoded(source, recipe(44100))
    assert len(song) == survey(source, 44100) == frames_at(frames, rate, 44100)
    middle = song[10000:-10000]
    expected = tone(len(song), 2, 44100)[10000:-10000, [0, channels - 1]]
    lossy = form in ("ogg", "opus", "mp3")
    assert np.max(np.abs(middle - expected)) < (0.15 if lossy else 1e-4)


@settings(max_examples=150, deadline=None)
@given(
    frames=st.integers(24000, 90000),
    rates=st.tuples(*[st.sampled_from([8000, 22050, 44056, 44100, 48000, 96000])] * 2),
    block_frames=st.sampled_from([1000, 4096, 65536]),
)
@example(frames=48000 + 960, rates=(96000, 22050), block_frames=65536)  # exactly half a frame
@example(frames=96000 * 10 + 400, rates=(96000, 88200), block_frames=65536)
def test_survey_is_what_decoding_gives(
    tmp_path_factory: pytest.TempPathFactory,
    frames: int,
    rates: tuple[int, int],
    block_frames: int,
) -> None:
    path = tmp_path_factory.getbasetemp() / "survey.wav"
    frames = max(frames, rates[0] // 2)
    source = written(path, np.full((frames, 1), 0.25), rates[0])
    song = blocks(source, recipe(rates[1]), block_frames)
    assert sum(map(len, song)) == survey(source, rates[1])


@pytest.mark.parametrize(("rate", "fade_s"), [(44100, 0.0), (48000, 0.0), (48000, 0.21)])
def test_blocks_do_not_matter_to_the_bit(tmp_path: Path, rate: int, fade_s: float) -> None:
    song = np.random.default_rng(0).uniform(-1, 1, (40000, 2))
    source = written(tmp_path / "song", song, 44100)
    made = recipe(rate, fade_in_s=fade_s, fade_out_s=fade_s)
    whole = decoded(source, made, 10**6)
    for block_frames in (997, 16384):
        assert np.array_equal(decoded(source, made, block_frames), whole)


def test_a_song_at_the_right_rate_is_untouched(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(-(2**23), 2**23, (30000, 2))
    source = written(tmp_path / "song", steps / 2**23, 44100, "wav24")
    assert np.array_equal(decoded(source, recipe()) * 2**23, steps)


def test_resampling_keeps_the_time_and_the_level(tmp_path: Path) -> None:
    frames, at = 96000, 48000
    click = np.zeros((frames, 1))
    click[at] = 0.5
    song = decoded(written(tmp_path / "song", click, 96000, "float.wav"), recipe(48000))
    assert np.argmax(np.abs(song[:, 0])) == at // 2


def test_fades(tmp_path: Path) -> None:
    source = written(tmp_path / "song", np.full((44100, 1), 0.5), 44100, "float.wav")
    song = decoded(source, recipe(fade_in_s=0.1, fade_out_s=0.2), 3000)[:, 0] / 0.5
    assert song[0] < 1e-6
    assert song[2205] == pytest.approx(0.5, abs=1e-3)
    assert np.all(song[4410 : 44100 - 8820] == 1)
    assert song[44100 - 4410] == pytest.approx(0.5, abs=1e-3)
    assert song[-1] < 1e-6
    assert np.all(np.diff(song[:4410]) > 0)
    assert np.all(np.diff(song[-8820:]) < 0)


def test_identity_is_the_hash_of_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 10**6)
    assert identify(Source("x", "x", path)) == hashlib.sha256(b"abc" * 10**6).hexdigest()
    groove = identify(Source("groove", "demo:groove", None))
    assert groove == hashlib.sha256(b"demo:groove@1").hexdigest()
    with pytest.raises(UnusableSong, match=r"cannot be read \(No such file"):
        identify(Source("y", "y", tmp_path / "y"))


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def stub(data: bytes) -> bytes:
    return data[:30]


def garble(data: bytes) -> bytes:
    random = np.random.default_rng(0).bytes(3000)
    return data[: len(data) // 2] + random + data[len(data) // 2 + 3000 :]


@pytest.mark.parametrize(
    ("form", "damage", "expected"),
    [
        ("wav", cut(0.6), "the end of the file is missing"),
        ("wav24", cut(0.9999), "the end of the file is missing"),
        ("rf64", cut(0.6), "the end of the file is missing"),
        ("aiff", cut(0.6), "the end of the file is missing"),
        ("ogg", cut(0.6), "the end of the file is missing"),
        ("opus", cut(0.6), "the end of the file is missing"),
        ("flac", cut(0.6), "it is damaged and cannot be decoded"),
        ("mp3", cut(0.4), "frames can be decoded"),
        ("flac", garble, "it is damaged and cannot be decoded"),
        ("mp3", garble, "it is damaged and cannot be decoded"),
        ("ogg", garble, "frames can be decoded"),
        ("wav", cut(0.0), "the file is empty"),
        ("wav", stub, "not a sound file"),
        ("flac", stub, "not a sound file"),
        ("mp3", cut(0.001), "not a sound file"),
    ],
)
def test_damage(tmp_path: Path, form: str, damage: Callable[[bytes], bytes], expected: str) -> None:
    song = np.random.default_rng(0).uniform(-0.5, 0.5, (144000, 2))
    source = written(tmp_path / "song", song, 48000, form)
    assert source.path
    source.path.write_bytes(damage(source.path.read_bytes()))
    assert expected in reason(source)


@pytest.mark.parametrize(
    "data",
    [b"hello world\n" * 500, np.random.default_rng(1).bytes(100000), b"RIFF", b"fLaC" + bytes(99)],
)
def test_what_is_no_sound_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(data)
    assert "not a sound file" in reason(Source("song", "song.wav", path))


@pytest.mark.parametrize("name", ["x.raw", "x.gsm", "x.txt", "x", "\udcff.wav", "new\nline.wav"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"hello world\n" * 500)
    assert "not a sound file" in reason(Source("x", "x", path))
    good = written(tmp_path / "good.wav", tone(44100, 2, 44100), 44100)
    assert good.path
    good.path.rename(path)
    assert len(decoded(replace(good, path=path), recipe())) == 44100


def test_sizes_of_audio_that_are_refused(tmp_path: Path) -> None:
    zero = written(tmp_path / "zero.wav", np.zeros((0, 2)), 44100)
    assert reason(zero) == "it holds no audio"
    short = written(tmp_path / "short.wav", np.ones((22049, 2)) / 2, 44100)
    assert "a song needs at least 0.5 s" in reason(short)
    surround = written(tmp_path / "surround.wav", np.ones((44100, 6)) / 2, 44100)
    assert reason(surround) == "it has 6 channels; mix it down to 2"
    for source in (zero, short, surround):
        with pytest.raises(UnusableSong):
            survey(source, 48000)


def test_samples_that_are_not_numbers(tmp_path: Path) -> None:
    for bad in (np.nan, np.inf, -1e30):
        song = np.full((44100, 2), 0.1)
        song[12345, 1] = bad
        assert "no audio (NaN" in reason(written(tmp_path / "x.wav", song, 44100, "float.wav"))


def test_a_wav_from_a_pipe_does_not_know_its_size(tmp_path: Path) -> None:
    source = written(tmp_path / "x.wav", tone(44100, 2, 44100), 44100)
    assert source.path
    data = bytearray(source.path.read_bytes())
    at = data.find(b"data") + 4
    data[at : at + 4] = b"\xff" * 4
    source.path.write_bytes(data)
    assert len(decoded(source, recipe())) == survey(source, 44100) == 44100


def test_a_flac_that_does_not_know_its_length(tmp_path: Path) -> None:
    source = written(tmp_path / "x.flac", tone(44100, 2, 44100), 44100, "flac")
    assert source.path
    data = bytearray(source.path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    source.path.write_bytes(data)
    assert "does not say how long it is" in reason(source)


def test_a_survey_of_many_songs_is_quick(tmp_path: Path) -> None:
    sources = [
        written(tmp_path / f"{i}.{form}", tone(24000, 2, 24000), 24000, form)
        for i, form in enumerate(["wav", "flac", "ogg", "mp3", "aiff"] * 2)
    ]
    started = time.process_time()
    for source in sources * 17:
        survey(source, 44100)
    assert time.process_time() - started < 0.5


def test_heavy_imports_are_late() -> None:
    code = (
        "import sys, capture.songs.find, capture.songs.decode, capture.songs.levels,"
        "capture.songs.ingest, capture.songs.demo;"
        "sys.exit(bool({'soundfile', 'soxr', 'scipy', 'pyloudnorm'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
