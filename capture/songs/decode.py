"""From a source to the song's frames: decoded, stereo, at the plan's rate, faded.

Everything streams: at no time is more in memory than a block of the source, what the resampler
holds back, and the length of the fade-out. A mono file plays on both channels. The resampler
(soxr, 'very high quality', 64-bit floats: its passband ends at 0.95 of the lower Nyquist frequency
and its errors lie below 24 bits) is linear-phase with its delay taken out; it is not used where
the rates are equal. Fades are raised cosines, and part of the song: levels are measured after them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from capture.errors import BadInput
from capture.model import Recipe
from capture.songs import demo
from capture.songs.damage import missing_bytes
from capture.songs.find import Source

if TYPE_CHECKING:
    from soundfile import SoundFile

Block = NDArray[np.float64]
"""Samples, shape (frames, channels); full scale is 1."""

BLOCK_FRAMES = 65536
MIN_SONG_S = 0.5
"""The shortest song: long enough for a loudness (0.4 s) and to be sure that it is no accident."""

MAX_AMPLITUDE = 1e4
"""Float files may go beyond full scale, but not this far: such bytes never were samples."""

MAX_FRAMES = 2**40
"""More than any file holds: what libsndfile says when a header gives no length."""


class UnusableSong(BadInput):
    """A file that cannot be a song. ``reason`` is a clause that follows the file's name."""

    def __init__(self, source: Source, reason: str) -> None:
        super().__init__(f"{source.where}: {reason}")
        self.source = source
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Shape:
    """What a source's header says. ``frames`` are frames of the source."""

    frames: int
    sample_rate_hz: int
    channels: int
    encoding: str


def shape(source: Source) -> Shape:
    """What the header says, checked as far as a header can be. Raises UnusableSong."""
    if source.path is None:
        return Shape(demo.FRAMES, demo.SAMPLE_RATE_HZ, 2, f"demo/{demo.VERSION}")
    with _reading(source):
        missing = missing_bytes(source.path)
        with _opened(source, source.path) as file:
            encoding = f"{file.format}/{file.subtype}"
            found = Shape(file.frames, file.samplerate, file.channels, encoding)
    if reason := _objection(found, missing):
        raise UnusableSong(source, reason)
    return found


def _objection(found: Shape, missing: int) -> str | None:
    if found.channels > 2:
        return f"it has {found.channels} channels; mix it down to 2"
    if missing:
        return "it was cut off: the end of the file is missing; copy it again from its origin"
    if found.frames <= 0:
        return "it holds no audio"
    if found.frames > MAX_FRAMES:
        return "its header does not say how long it is; decode it and save it again"
    length_s = found.frames / found.sample_rate_hz
    if length_s < MIN_SONG_S:
        return f"it is {length_s:.3g} s long; a song needs at least {MIN_SONG_S} s"
    return None


def survey(source: Source, sample_rate_hz: int) -> int:
    """The number of frames of the finished song, from the header alone.

    Ingestion gives the same number wherever the header tells the truth: always, except for some
    MP3 files. Raises UnusableSong.
    """
    found = shape(source)
    return frames_at(found.frames, found.sample_rate_hz, sample_rate_hz)


def frames_at(frames: int, from_hz: int, to_hz: int) -> int:
    """How many frames ``frames`` become when resampled: the arithmetic of libsoxr, to the ulp."""
    return frames if from_hz == to_hz else int(frames / (from_hz / to_hz) + 0.5)


def identify(source: Source) -> str:
    """The hex SHA-256 of the file's bytes; of the text ``demo:NAME@VERSION`` for a demo song.

    A demo song's samples may differ in the last bit between processors; its identity must not.
    Raises UnusableSong.
    """
    if source.path is None:
        return hashlib.sha256(f"{source.where}@{demo.VERSION}".encode()).hexdigest()
    with _reading(source), source.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def blocks(source: Source, recipe: Recipe, block_frames: int = BLOCK_FRAMES) -> Iterator[Block]:
    """The song before its gain: blocks of shape (frames, 2), float64, at the recipe's rate.

    Raises UnusableSong where the source cannot be decoded, ends before it should, or holds
    samples that are no audio.
    """
    found = shape(source)
    native = _decode(source, found, block_frames)
    song = _resample(native, found.sample_rate_hz, recipe.sample_rate_hz, found.channels)
    rate = recipe.sample_rate_hz
    song = _fade_in(_stereo(song), round(recipe.fade_in_s * rate))
    return _fade_out(song, round(recipe.fade_out_s * rate))


def _decode(source: Source, found: Shape, block_frames: int) -> Iterator[Block]:
    frames = 0
    for block in _raw_blocks(source, block_frames):
        if not np.all(np.abs(block) < MAX_AMPLITUDE):  # so written that NaN fails too
            reason = "it holds samples that are no audio (NaN, infinity or above +80 dBFS)"
            raise UnusableSong(source, reason)
        frames += len(block)
        yield block
    # The length of an MP3 file may be an estimate.
    slack = found.sample_rate_hz if found.encoding.startswith("MP3") else 0
    if frames < found.frames - slack:
        reason = f"it was cut off: {frames} of its {found.frames} frames can be decoded"
        raise UnusableSong(source, reason)


def _raw_blocks(source: Source, block_frames: int) -> Iterator[Block]:
    if source.path is None:
        song = demo.synthesise(source.name)
        yield from (song[at : at + block_frames] for at in range(0, len(song), block_frames))
        return
    import soundfile

    with _reading(source), _opened(source, source.path) as file:
        try:
            while len(block := file.read(block_frames, dtype="float64", always_2d=True)):
                yield cast(Block, block)
        except soundfile.SoundFileError as error:
            reason = f"it is damaged and cannot be decoded ({str(error).strip(' .')})"
            raise UnusableSong(source, reason) from error


@contextlib.contextmanager
def _opened(source: Source, path: Path) -> Generator[SoundFile]:
    """Opened by its bytes alone: from a name, libsndfile would guess at headerless formats."""
    import soundfile

    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            raise UnusableSong(source, "the file is empty")
        file.seek(0)
        try:
            sound = soundfile.SoundFile(file.fileno(), closefd=False)
        except soundfile.SoundFileError:
            raise UnusableSong(source, "not a sound file, or its beginning is damaged") from None
        with sound:
            yield sound


@contextlib.contextmanager
def _reading(source: Source) -> Generator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UnusableSong(source, f"it cannot be read ({reason})") from error


class _Resampler(Protocol):
    def resample_chunk(self, x: Block, last: bool = False) -> Block: ...


def _resample(song: Iterator[Block], from_hz: int, to_hz: int, channels: int) -> Iterator[Block]:
    if from_hz == to_hz:
        yield from song
        return
    import soxr

    stream = cast(
        _Resampler, soxr.ResampleStream(from_hz, to_hz, channels, dtype="float64", quality="VHQ")
    )
    for block in song:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.empty((0, channels)), last=True)


def _stereo(song: Iterator[Block]) -> Iterator[Block]:
    return (np.repeat(block, 2, axis=1) if block.shape[1] == 1 else block for block in song)


def _fade_in(song: Iterator[Block], frames: int) -> Iterator[Block]:
    ramp, at = _ramp(frames), 0
    for block in song:
        gains = ramp[at : at + len(block)]
        at += len(block)
        yield np.concatenate([block[: len(gains)] * gains, block[len(gains) :]])


def _fade_out(song: Iterator[Block], frames: int) -> Iterator[Block]:
    """Holds back the last ``frames`` frames, for nothing says which ones they are."""
    held = np.empty((0, 2))
    for block in song:
        held = np.concatenate([held, block])
        ready = max(0, len(held) - frames)
        yield held[:ready]
        held = held[ready:]
    yield held * _ramp(frames)[::-1][frames - len(held) :]


def _ramp(frames: int) -> Block:
    """A raised cosine from 0 to 1, shape (frames, 1)."""
    turn = (np.arange(frames) + 0.5) / max(frames, 1)
    return (0.5 - 0.5 * np.cos(np.pi * turn))[:, np.newaxis]
