"""A model's answers against the takes they are for: ``capture evaluate`` (docs/loading.md).

A folder of predictions has one file per take, in any subfolder, named by the take's id or by its
files' stem (``SONG-SETTING-rN``):

    NAME.wav, NAME.flac                        audio, 2 channels: against ``output``
    NAME.gain.npy, NAME.gain.wav               gain in dB, 0 = at rest: against ``gain_db``
    NAME.total-gain.npy, NAME.total-gain.wav   gain in dB with send gain, make-up and return in it:
                                               against ``total_gain_db``

So a file says itself whether make-up is in it. The two kinds of gain are never mixed: a folder has
the one or the other. What headers show to be wrong is told of all files at once, before anything is
computed. One take at a time is in a process' memory.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from capture.dataset.load import LoadedTake, Takes
from capture.dataset.snapshot import Row
from capture.errors import BadInput
from capture.run.spread import spread
from capture.signal import metrics

Kind = Literal["audio", "gain", "total_gain"]
Figures = dict[str, float | None]
Found = dict[int, dict[Kind, list[Path]]]
"""By the take's place: the files of each kind."""

ENDINGS: dict[str, Kind] = {
    ".total-gain.npy": "total_gain",
    ".total-gain.wav": "total_gain",
    ".gain.npy": "gain",
    ".gain.wav": "gain",
    ".wav": "audio",
    ".flac": "audio",
}
"""The longer ones first."""
GAIN_FIGURES = tuple(f"gain_{field.name}" for field in dataclasses.fields(metrics.GainError))
AUDIO_FIGURES = ("l1", "l1_prefiltered", "esr", "esr_prefiltered", "mste", "multi_resolution_stft")
FIGURES = (*GAIN_FIGURES, *AUDIO_FIGURES)
COLUMNS = ("take_id", "song_id", "setting_id", "repeat", "split", "setting_split")
LARGEST = "gain_peak_db"
"""Of several takes the largest; of all others the mean."""
MOST_JOBS = 8
"""So many processes at most: each holds a take."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What there is for one take. At most one of ``gain`` and ``total_gain`` is there."""

    take: LoadedTake
    files: dict[Kind, Path]


@dataclass(frozen=True, slots=True)
class Matched:
    """``missing``: of each kind that the folder has, the takes that lack it. ``strays``: the files
    that belong to no take."""

    predictions: list[Prediction]
    missing: dict[Kind, list[LoadedTake]]
    strays: list[Path]

    @property
    def gain(self) -> Kind | None:
        """Which of the two kinds of gain the folder has."""
        return next((kind for kind in self.missing if kind != "audio"), None)


@dataclass(frozen=True, slots=True)
class Score:
    """One take's figures; None where there is no such prediction, or it is not defined.

    ``take``: those ``COLUMNS`` of its row.
    """

    take: Row
    figures: Figures
    faults: tuple[str, ...] = ()


def match(takes: Takes, folder: Path) -> Matched:
    """Which file belongs to which take.

    Raises BadInput with everything that is wrong, of all files: two of a kind for one take, both
    kinds of gain, not readable, another length, rate or number of channels.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: is no folder of predictions")
    names = _names(takes)
    found: Found = {}
    strays: list[Path] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        index, kind = _belongs(path.name, names)
        if index is None or kind is None:
            strays.append(path)
        else:
            found.setdefault(index, {}).setdefault(kind, []).append(path)
    faults = _mixed(found)
    predictions: list[Prediction] = []
    for index, kinds in sorted(found.items()):
        take = takes[index]
        for kind, paths in kinds.items():
            faults += _doubled(take, paths)
            faults += (fault for path in paths for fault in _header_faults(take, kind, path))
        faults += _unknown_makeup(take, kinds)
        predictions.append(Prediction(take, {kind: paths[0] for kind, paths in kinds.items()}))
    if faults:
        raise BadInput(*faults)
    if not predictions:
        raise BadInput(
            f"{folder}: none of its {len(strays)} files belongs to a take; name each by its take's "
            f"id or files, such as {next(iter(names), 'SONG-SETTING-r1')}.gain.npy"
        )
    return Matched(predictions, _missing(takes, found), strays)


def scores(matched: Matched) -> Iterator[Score]:
    """Each prediction's figures, in the manifest's order, worked out on all cores.

    Raises:
        BadInput: predictions that cannot be decoded or hold NaN: all of them, at the end.
        DamagedData: a file of the dataset is not as its row says.
    """
    jobs = min(os.cpu_count() or 1, MOST_JOBS, len(matched.predictions))
    faults: list[str] = []
    for score in spread(score_of, matched.predictions, jobs):
        faults += score.faults
        yield score
    if faults:
        raise BadInput(*faults)


def score_of(prediction: Prediction) -> Score:
    """One take's figures; ``faults`` instead, where a file cannot be used."""
    take, figures = prediction.take, cast(Figures, dict.fromkeys(FIGURES))
    faults: list[str] = []
    for kind, path in prediction.files.items():
        try:
            said = _read(path)
        except (ValueError, OSError, RuntimeError) as error:  # soundfile's own is a RuntimeError
            faults.append(f"{path}: cannot be read: {error}")
            continue
        if np.isnan(said).any() or np.isposinf(said).any():
            faults.append(f"{path}: holds NaN or infinity; a gain of 0 may be -inf dB")
        elif kind == "audio":
            figures |= _audio_figures(take.output, said)
        else:
            true = take.gain_db if kind == "gain" else total_gain_db(take)
            error = metrics.gain_error(true, said[:, 0])
            figures |= {f"gain_{name}": value for name, value in dataclasses.asdict(error).items()}
    return Score({name: take[name] for name in COLUMNS}, figures, tuple(faults))


def total_gain_db(take: LoadedTake) -> NDArray[np.float32]:
    """All the gain from ``input`` to ``output``: (frames,), in dB.

    ``gain_db``, the send gain, and the static gain of unit and return (make-up is in that; the mean
    of left and right), which must have been measured.
    """
    static_db = (take["static_left_db"] + take["static_right_db"]) / 2
    return take.gain_db + np.float32(take["send_gain_db"] + static_db)


def together(scored: Iterable[Score]) -> Figures:
    """Several takes' figures as one: of ``LARGEST`` the largest, else the mean. Each take counts
    alike, however long; one whose figure is None does not count. ``gain_takes`` and
    ``audio_takes`` are how many have them."""
    rows = [score.figures for score in scored]
    summary: Figures = {
        "gain_takes": sum(row["gain_l1_db"] is not None for row in rows),
        "audio_takes": sum(row["l1"] is not None for row in rows),
    }
    for name in FIGURES:
        known = [value for row in rows if (value := row[name]) is not None]
        one = max(known) if name == LARGEST else sum(known) / len(known) if known else None
        summary[name] = one if known else None
    return summary


def grouped(scored: Sequence[Score]) -> dict[str, dict[str, Figures]]:
    """``together`` of all, and by the columns ``split``, ``setting_split`` and ``setting_id``."""
    groups: dict[str, dict[str, list[Score]]] = {"all": {"all": list(scored)}}
    for column in ("split", "setting_split", "setting_id"):
        for score in scored:
            value = score.take[column]
            if value is not None:
                groups.setdefault(column, {}).setdefault(value, []).append(score)
    return {
        column: {value: together(part) for value, part in sorted(parts.items())}
        for column, parts in groups.items()
    }


def _names(takes: Takes) -> dict[str, int]:
    """What a prediction may be called, and the take's place."""
    columns = takes.table.select(["take_id", "output_file"]).to_pydict()
    stems = {stem(file): index for index, file in enumerate(columns["output_file"])}
    return stems | {name: index for index, name in enumerate(columns["take_id"])}


def stem(output_file: str) -> str:
    """The beginning of a take's files' names: ``SONG-SETTING-rN``."""
    return PurePosixPath(output_file).name.removesuffix(".out.flac")


def _belongs(name: str, names: dict[str, int]) -> tuple[int | None, Kind | None]:
    for ending, kind in ENDINGS.items():
        if name.endswith(ending):
            return names.get(name.removesuffix(ending)), kind
    return None, None


def _missing(takes: Takes, found: Found) -> dict[Kind, list[LoadedTake]]:
    return {
        kind: [take for index, take in enumerate(takes) if kind not in found.get(index, {})]
        for kind in dict.fromkeys(ENDINGS.values())
        if any(kind in kinds for kinds in found.values())
    }


def _mixed(found: Found) -> list[str]:
    counts = Counter(kind for kinds in found.values() for kind in kinds)
    if not (counts["gain"] and counts["total_gain"]):
        return []
    return [
        f"{counts['gain']} predictions are gain without make-up (.gain), {counts['total_gain']} "
        "with it (.total-gain); they are never mixed: put them into folders of their own"
    ]


def _doubled(take: LoadedTake, paths: Sequence[Path]) -> list[str]:
    if len(paths) == 1:
        return []
    return [f"{', '.join(map(str, paths))}: are all for take {take.take_id}; leave one of them"]


def _unknown_makeup(take: LoadedTake, kinds: dict[Kind, list[Path]]) -> list[str]:
    if "total_gain" not in kinds or take["static_left_db"] is not None:
        return []
    return [
        f"{kinds['total_gain'][0]}: the make-up of take {take.take_id} was not measured "
        "(static_left_db is null); predict without it (.gain.npy)"
    ]


def _header_faults(take: LoadedTake, kind: Kind, path: Path) -> Iterator[str]:
    """What is wrong with a file, by its header."""
    try:
        frames, channels, rate_hz, encoding = _header(path)
    except (ValueError, OSError, RuntimeError) as error:
        yield f"{path}: cannot be read: {error}"
        return
    wanted = 2 if kind == "audio" else 1
    if frames != take.frames:
        yield f"{path}: has {frames} frames; take {take.take_id} has {take.frames}"
    if channels != wanted:
        yield f"{path}: has {channels} channels; {kind.replace('_', ' ')} has {wanted}"
    if rate_hz not in (None, take.sample_rate_hz):
        yield f"{path}: is at {rate_hz} Hz; take {take.take_id} is at {take.sample_rate_hz}"
    if kind != "audio" and encoding not in ("FLOAT", "DOUBLE"):
        yield f"{path}: holds {encoding}; gain in dB must be float32"


def _header(path: Path) -> tuple[int, int, int | None, str]:
    """Frames, channels, rate in Hz, encoding. Raises what the readers raise."""
    if path.suffix == ".npy":
        data: NDArray[np.generic] = np.load(path, "r", allow_pickle=False)
        if data.ndim == 0:
            raise ValueError("it holds one number, not one per frame")
        encoding = {"float32": "FLOAT", "float64": "DOUBLE"}.get(data.dtype.name, data.dtype.name)
        return len(data), 1 if data.ndim == 1 else data.size // max(len(data), 1), None, encoding
    import soundfile

    info = soundfile.info(path)
    return info.frames, info.channels, info.samplerate, info.subtype


def _read(path: Path) -> NDArray[np.float32]:
    """A prediction as (frames, channels). Raises what the readers raise."""
    if path.suffix == ".npy":
        data: NDArray[np.floating] = np.load(path, allow_pickle=False)
        return data.astype(np.float32, copy=False).reshape(len(data), -1)
    import soundfile

    samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return cast(NDArray[np.float32], samples)


def _audio_figures(y: metrics.Signal, y_hat: metrics.Signal) -> Figures:
    return {
        "l1": metrics.l1(y, y_hat),
        "l1_prefiltered": metrics.l1(y, y_hat, prefilter=True),
        "esr": metrics.esr(y, y_hat),
        "esr_prefiltered": metrics.esr(y, y_hat, prefilter=True),
        "mste": metrics.mste(y, y_hat),
        "multi_resolution_stft": metrics.multi_resolution_stft(y, y_hat),
    }
