"""Makes the songs of a dataset: measured first, all of them; then written, one by one.

A song is decoded twice: once to measure it, once to write it with the gain that the measurement
asks for. Only when every song has been measured, and none would clip, is the first file written.

The written file is the song: what is played, what a model gets as its input. It holds 24-bit
samples, each rounded to the nearest and not dithered. Dither would hide the rounding under noise
to please an ear; here the rounded file is itself the definition of the input, 30 dB below the
noise of any converter, and the same source and recipe must give the same bytes.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from capture.dataset.audio import FlacWriter
from capture.dataset.files import sha256, staged
from capture.errors import BadInput
from capture.model import Recipe, SongRecord, song_id
from capture.songs.decode import Block, UnusableSong, blocks, identify, shape
from capture.songs.find import Source
from capture.songs.levels import Levels

ALGORITHM_VERSION = 1
INPUTS = PurePosixPath("data/inputs")

SILENT_DBFS = -80.0
"""A song whose peak is below this is silence, or a cable that was not plugged in."""

CLIP_TOLERANCE_DB = 1e-6
"""Less than the largest 24-bit sample lacks to 1: a target of exactly 0 dBFS is no clipping."""

FULL_SCALE = 2.0**23


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Measured:
    """What the finished song will be.

    ``gain_db`` brings it to the recipe's target; ``peak_dbfs`` is its peak after that. It, or it
    after the send gain, exceeds full scale by ``clips_by_db`` (0: it does not).
    """

    num_frames: int
    gain_db: float
    peak_dbfs: float
    clips_by_db: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """What came of the sources.

    ``songs`` holds the records in the sources' order, known and new; ``unusable`` the sources that
    cannot be songs, and why; ``changed`` the sources whose file is not the one that the known
    record was made from, with that record (it is not among ``songs``; its file is untouched).
    """

    songs: list[SongRecord] = field(default_factory=list[SongRecord])
    unusable: list[tuple[Source, str]] = field(default_factory=list[tuple[Source, str]])
    changed: list[tuple[Source, SongRecord]] = field(
        default_factory=list[tuple[Source, SongRecord]]
    )


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What a file looks like without reading it."""

    size_bytes: int
    mtime_ns: int


@dataclass(slots=True)
class _Job:
    """A source that is to become a song."""

    source: Source
    stamp: _Stamp
    sha256: str
    measured: Measured | None = None


def measure(source: Source, recipe: Recipe, stop: Callable[[], None] = _nothing) -> Measured:
    """Decodes the whole song and says what it will be; writes nothing.

    ``stop`` is called at every block and may raise. Memory does not grow with the song's length,
    but for 80 bytes a second (see ``levels``). Raises UnusableSong.
    """
    levels = _levels(blocks(source, recipe), recipe, stop)
    if levels.frames < (recipe.fade_in_s + recipe.fade_out_s) * recipe.sample_rate_hz:
        raise UnusableSong(source, "it is shorter than its fades; shorten the fades of the plan")
    if levels.peak_dbfs < SILENT_DBFS:
        reason = f"it is silent (its peak is below {SILENT_DBFS:g} dBFS)"
        raise UnusableSong(source, reason)
    gain_db = levels.gain_db(recipe.normalize, recipe.target_db)
    if gain_db is None:
        raise UnusableSong(source, "it is too quiet for a loudness (all of it is below -70 LUFS)")
    peak_dbfs = levels.peak_dbfs + gain_db
    over_db = peak_dbfs + max(0.0, recipe.send_gain_db)
    clips_by_db = over_db if over_db > CLIP_TOLERANCE_DB else 0.0
    return Measured(levels.frames, gain_db, peak_dbfs, clips_by_db)


def prepare(
    sources: Sequence[Source],
    recipe: Recipe,
    folder: Path,
    known: Mapping[str, SongRecord],
    progress: Callable[[Source, str], None] = lambda source, doing: None,
    stop: Callable[[], None] = _nothing,
    done: Callable[[SongRecord], None] = lambda record: None,
) -> Prepared:
    """Makes every source a song in ``folder``/data/inputs, except those that are one already.

    ``known`` holds the songs that the dataset has, by their ``source``. Such a song is kept as it
    is if its file's size and time are the same, or else if its hash is (also when the same file
    is now found under another name). ``progress`` is told what begins for which source: 'reading',
    'measuring', 'writing'. ``stop`` is called at every block, and raises to interrupt. ``done``
    gets the record of each new song as soon as its file is durable; a song that was written but
    not committed is simply made again, with the same bytes.

    Raises BadInput, before any file is written, if songs would clip, naming all of them;
    StorageRefused where there is no room or no right to write; whatever a callback raises.
    """
    prepared = Prepared()
    records: dict[str, SongRecord] = {}  # by Source.where
    jobs: list[_Job] = []
    by_hash = {record.source_sha256: record for record in known.values()}
    first: dict[str, Source] = {}
    for source in sources:
        stop()
        try:
            job = _recognise(source, known.get(source.where), progress)
            _refuse_duplicate(source, first.setdefault(job.sha256, source))
            if job.sha256 in by_hash:
                records[source.where] = by_hash[job.sha256]
            elif source.where in known:
                prepared.changed.append((source, known[source.where]))
            else:
                jobs.append(job)
        except UnusableSong as error:
            prepared.unusable.append((source, error.reason))
    for job in jobs:
        progress(job.source, "measuring")
        with _noting(prepared):
            job.measured = measure(job.source, recipe, stop)
    _refuse_clipping(jobs, recipe)
    for job in jobs:
        if job.measured is None:
            continue
        progress(job.source, "writing")
        with _noting(prepared):
            record = _write(job, job.measured, recipe, folder, stop)
            records[job.source.where] = record
            done(record)
    prepared.songs.extend(records[s.where] for s in sources if s.where in records)
    prepared.unusable.sort(key=lambda item: sources.index(item[0]))
    return prepared


def remake(
    source: Source,
    known: SongRecord,
    recipe: Recipe,
    folder: Path,
    stop: Callable[[], None] = _nothing,
) -> bool:
    """Writes a known song's file again: whether it has the same bytes as before.

    Nothing is written where the source is another one now. Raises UnusableSong, StorageRefused,
    what ``stop`` does.
    """
    job = _Job(source, _stamp(source), identify(source))
    if job.sha256 != known.source_sha256:
        return False
    made = _write(job, measure(source, recipe, stop), recipe, folder, stop)
    return made.input_sha256 == known.input_sha256


@contextlib.contextmanager
def _noting(prepared: Prepared) -> Generator[None]:
    """One bad song must not cost the others."""
    try:
        yield
    except UnusableSong as error:
        prepared.unusable.append((error.source, error.reason))


def _recognise(
    source: Source, record: SongRecord | None, progress: Callable[[Source, str], None]
) -> _Job:
    stamp = _stamp(source)
    if source.path and record and stamp == _Stamp(record.source_bytes, record.source_mtime_ns):
        return _Job(source, stamp, record.source_sha256)
    progress(source, "reading")
    return _Job(source, stamp, identify(source))


def _stamp(source: Source) -> _Stamp:
    if source.path is None:
        return _Stamp(0, 0)
    try:
        status = source.path.stat()
    except OSError as error:
        raise UnusableSong(source, f"it cannot be read ({error.strerror})") from error
    return _Stamp(status.st_size, status.st_mtime_ns)


def _refuse_duplicate(source: Source, first: Source) -> None:
    if source is not first:
        raise UnusableSong(source, f"it is the same audio as {first.where}; list it once")


def _refuse_clipping(jobs: Sequence[_Job], recipe: Recipe) -> None:
    faults: list[str] = []
    for job in jobs:
        if job.measured is None or not job.measured.clips_by_db:
            continue
        over_db = math.ceil(100 * job.measured.clips_by_db - 1e-4) / 100
        sent = f" when sent at {recipe.send_gain_db:+g} dB" if recipe.send_gain_db > 0 else ""
        # A lower send gain does not help a file that clips before it.
        lower = "level.target_db"
        if job.measured.peak_dbfs <= CLIP_TOLERANCE_DB:
            lower += " or level.send_gain_db"
        faults.append(
            f"{job.source.where} would clip by {over_db:.2f} dB{sent}; "
            f"lower {lower} by at least {over_db:.2f} dB"
        )
    if faults:
        raise BadInput(*faults)


def _levels(song: Iterator[Block], recipe: Recipe, stop: Callable[[], None]) -> Levels:
    levels = Levels(recipe.sample_rate_hz)
    for block in song:
        stop()
        levels.feed(block)
    return levels


def _write(
    job: _Job, measured: Measured, recipe: Recipe, folder: Path, stop: Callable[[], None]
) -> SongRecord:
    source, rate = job.source, recipe.sample_rate_hz
    found = shape(source)
    identity = song_id(source.name, job.sha256)
    file = INPUTS / f"{identity}.flac"
    with staged(folder / file) as (part,):
        with FlacWriter(part, rate, 2) as writer:
            levels = _levels(_written(writer, blocks(source, recipe), measured), recipe, stop)
        if levels.frames != measured.num_frames or _stamp(source) != job.stamp:
            raise UnusableSong(source, "it changed while it was being read; run again")
        digest, size_bytes = sha256(part), part.stat().st_size
    return SongRecord(
        song_id=identity,
        name=source.name,
        source=source.where,
        source_sha256=job.sha256,
        source_bytes=job.stamp.size_bytes,
        source_mtime_ns=job.stamp.mtime_ns,
        source_format=found.encoding,
        source_rate_hz=found.sample_rate_hz,
        source_channels=found.channels,
        source_frames=found.frames,
        input_file=str(file),
        input_sha256=digest,
        input_bytes=size_bytes,
        sample_rate_hz=rate,
        num_frames=levels.frames,
        gain_db=measured.gain_db,
        peak_dbfs=levels.peak_dbfs,
        rms_dbfs=levels.rms_dbfs,
        loudness_lufs=levels.loudness_lufs(),
        made_with=made_with(),
    )


def _written(writer: FlacWriter, song: Iterator[Block], measured: Measured) -> Iterator[Block]:
    """Writes the song; yields what was written, full scale 1."""
    gain = 10 ** (measured.gain_db / 20)
    for block in song:
        samples = quantise(block * gain)
        writer.write(samples)
        yield samples / 2.0**31


def quantise(block: Block) -> NDArray[np.int32]:
    """Rounds to 24 bits: full scale 1 becomes int32, left-justified, the largest value 2**31 - 256.

    Ties go to even; what lies beyond full scale is held there.
    """
    steps = np.clip(np.rint(block * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return steps.astype(np.int32) << 8


def made_with() -> str:
    """The programs that decide a song's samples."""
    import soundfile

    versions = [f"capture songs {ALGORITHM_VERSION}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in ("soxr", "pyloudnorm")]
    return ", ".join([*versions, f"libsndfile {soundfile.__libsndfile_version__}"])
