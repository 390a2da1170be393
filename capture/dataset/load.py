"""A dataset as a sequence of takes, for whoever trains on it (docs/loading.md).

Nothing is decoded before it is asked for, and then only the frames that are asked for; nothing is
kept. No file stays open, so takes can be sent to other processes, and read from several threads.
Rows are read from the manifest's columns one cell at a time: a hundred columns of many thousand
takes would be a lot of Python objects.

An AC-coupled CV is made good from its row and its file alone (docs/measurements.md, 'Gain from the
CV'). That takes a sum over all frames before; it is made once a file and process, and kept for
every ``BLOCK_FRAMES``-th frame.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from capture.dataset import query, snapshot
from capture.dataset.audio import BLOCK_FRAMES
from capture.dataset.snapshot import Row, Snapshot
from capture.dataset.version import Version
from capture.errors import BadInput, DamagedData
from capture.model import AUTO, Setting, Value, base_name

Audio = NDArray[np.float32]
KEPT_SUMS = 1024


class _Row(Mapping[str, Any]):
    """A row of a pyarrow.Table, by its column's names. As a dict where it is sent elsewhere."""

    def __init__(self, table: Any, index: int) -> None:
        self._table, self._index = table, index

    def __getitem__(self, name: str) -> Any:
        return self._table[name][self._index].as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (dict(self),))


class _Calibrations:
    """The rows of ``calibrations`` by their id; read when one is asked for."""

    def __init__(self, found: Snapshot) -> None:
        self._found = found

    @functools.cached_property
    def rows(self) -> dict[str, Row]:
        return {row["calibration_id"]: row for row in self._found.rows("calibrations")}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_Calibrations, (self._found,))


@dataclass(frozen=True, slots=True)
class LoadedTake:
    """One song at one setting: all of it, or the frames of it that ``slice`` was asked for.

    ``row`` has every column of ``takes`` by its name (docs/dataset.md). ``start`` and ``stop`` are
    frames of the whole take, and ``input``, ``output`` and ``gain_db`` have ``stop - start`` each.
    They are as recorded: what is left of the delays after the whole frames were cut is in
    ``delay_left_frames``, ``delay_right_frames`` and ``delay_cv_frames``.

    Audio and gain are decoded each time that they are asked for. They raise DamagedData where a
    file is missing, cannot be decoded, or is not as its row says.
    """

    root: Path
    row: Mapping[str, Any] = field(hash=False)
    settings: Setting
    """Where the knobs stood: numbers in the unit of the control's name, or ``AUTO``."""
    start: int
    stop: int
    calibrations: _Calibrations = field(compare=False)

    def __repr__(self) -> str:
        return f"<take {self.take_id}: {self['song_id']}, {self.settings}, {self.frames} frames>"

    def __getitem__(self, column: str) -> Any:
        return self.row[column]

    @property
    def take_id(self) -> str:
        return str(self.row["take_id"])

    @property
    def split(self) -> str | None:
        """By song: ``train`` or ``test``; None where the plan has no splits."""
        return cast("str | None", self.row["split"])

    @property
    def setting_split(self) -> str | None:
        """By setting: ``seen``, ``unseen`` or ``reference``; None likewise."""
        return cast("str | None", self.row["setting_split"])

    @property
    def calibration(self) -> Row:
        """The row of ``calibrations`` that the take stands on. Raises DamagedData."""
        name = self.row["calibration_id"]
        try:
            return self.calibrations.rows[name]
        except KeyError:
            raise DamagedData(
                f"{self.root}: take {self.take_id} stands on calibration {name}, which the "
                "manifest lacks; see: capture verify"
            ) from None

    @property
    def sample_rate_hz(self) -> int:
        return int(self.row["sample_rate_hz"])

    @property
    def frames(self) -> int:
        return self.stop - self.start

    def slice(self, start: int, stop: int) -> LoadedTake:
        """The frames from ``start`` up to, not including, ``stop``, counted from this take's first.

        Raises BadInput unless 0 <= start <= stop <= frames: a window is never silently shorter.
        """
        if not 0 <= start <= stop <= self.frames:
            raise BadInput(
                f"take {self.take_id}: frames {start} to {stop} were asked for; it has 0 to "
                f"{self.frames}"
            )
        return replace(self, start=self.start + start, stop=self.start + stop)

    @property
    def input(self) -> Audio:
        """The song as played, before the send gain: (frames, 2), full scale 1."""
        return self._read("input_file", 2)

    @property
    def output(self) -> Audio:
        """The stereo return: (frames, 2), full scale 1."""
        return self._read("output_file", 2)

    @property
    def gain_db(self) -> Audio:
        """The gain by the control voltage: (frames,), negative = attenuation, 0 = at rest.

        Make-up, send and static gain are not in it: see ``static_left_db`` in the row.
        """
        cv_fs = self._cv_fs()
        gain_db = cv_fs * self.row["gain_db_per_fs"] + self.row["gain_db_at_zero"]
        return np.asarray(gain_db, np.float32)

    def _cv_fs(self) -> NDArray[np.float64]:
        """The CV as its law reads it, full scale 1."""
        corner_hz = self.row["cv_corner_hz"]
        if corner_hz is None:
            return self._read("cv_file", 1)[:, 0].astype(np.float64)
        offset_fs, path = self.row["cv_offset_fs"], self.root / self.row["cv_file"]
        first_fs, sums = _sums(path, self._whole, offset_fs)
        block = self.start // BLOCK_FRAMES
        known = block * BLOCK_FRAMES
        moved = _read(path, known, self.stop, self._whole, 1)[:, 0].astype(np.float64) - offset_fs
        omega = 2 * math.pi * corner_hz / self.sample_rate_hz
        charge = sums[block] + np.cumsum(moved) - (moved + first_fs) / 2
        repaired = moved + self.row["cv_start_fs"] + omega * charge
        return cast(NDArray[np.float64], repaired[self.start - known :])

    @property
    def _whole(self) -> int:
        return int(self.row["num_frames"])

    def _read(self, column: str, channels: int) -> Audio:
        return _read(self.root / self.row[column], self.start, self.stop, self._whole, channels)


class Takes(Sequence[LoadedTake]):
    """The takes of one version of a dataset, in the manifest's order. What ``load`` gives."""

    def __init__(self, found: Snapshot, table: Any, controls: Mapping[str, str | None]) -> None:
        self._found, self._controls = found, controls
        self._calibrations = _Calibrations(found)
        self.table = table
        """Their rows as a pyarrow.Table: ``takes.table.to_pandas()`` for a data frame."""

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        return self._found.root

    @property
    def version(self) -> Version | None:
        """The release; None: what is captured so far."""
        return self._found.version

    def __repr__(self) -> str:
        return f"<{len(self)} takes of {self._found.root}, {self.version or 'in no release'}>"

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> LoadedTake: ...
    @overload
    def __getitem__(self, index: slice) -> Takes: ...
    def __getitem__(self, index: int | slice) -> LoadedTake | Takes:
        if isinstance(index, slice):
            return self._of(self.table.take(list(range(len(self))[index])))
        row = _Row(self.table, range(len(self))[index])
        setting = _setting(row, self._controls)
        frames, calibrations = row["num_frames"], self._calibrations
        return LoadedTake(self._found.root, row, setting, 0, frames, calibrations)

    def filter(self, wanted: str) -> Takes:
        """The takes whose rows are as asked: ``"split = test, ratio >= 4, release_s = auto"``.

        ``capture.dataset.query`` has the language. None may be left. Raises BadInput.
        """
        return self._of(self.table.filter(query.mask(self.table, wanted)))

    def _of(self, table: Any) -> Takes:
        return Takes(self._found, table.combine_chunks(), self._controls)


def load(dataset: str | os.PathLike[str], version: str | None = None) -> Takes:
    """The takes of the dataset folder ``dataset``; no audio is read yet.

    ``version``: a release as ``1.0.0``; by default the newest one, and where there is none, what is
    captured so far.

    Raises:
        BadInput: no dataset, or no such release: the message lists those that there are.
        DamagedData: its tables cannot be read.
    """
    found = snapshot.snapshot(Path(dataset), version)
    return Takes(found, found.table("takes").combine_chunks(), _flags(found.controls))


def _flags(columns: Sequence[str]) -> dict[str, str | None]:
    """Each control, and the column that says whether it stands at auto, where it can."""
    flags = {name: f"{base_name(name)}_auto" for name in columns}
    autos = set(columns).intersection(flags.values())
    return {
        name: flag if flag in autos else None for name, flag in flags.items() if name not in autos
    }


def _setting(row: Mapping[str, Any], controls: Mapping[str, str | None]) -> Setting:
    values: dict[str, Value] = {}
    for name, flag in controls.items():
        if flag is not None and row[flag]:
            values[name] = AUTO
        elif (value := row[name]) is not None:
            values[name] = value
    return Setting(values)


def _read(path: Path, start: int, stop: int, whole: int, channels: int) -> Audio:
    """Frames of a FLAC file that has ``whole``: (stop - start, channels), full scale 1.

    24 bits fit into a float32: nothing is rounded. Raises DamagedData.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if (file.frames, file.channels) != (whole, channels):
                raise DamagedData(
                    f"{path}: has {file.frames} frames and {file.channels} channels, not {whole} "
                    f"and {channels} as its row says; see: capture verify"
                )
            file.seek(start)
            samples = cast(Audio, file.read(stop - start, "float32", always_2d=True))
    except (soundfile.SoundFileError, OSError) as error:
        why = error if path.is_file() else "there is no such file"
        raise DamagedData(f"{path}: cannot be read: {why}; see: capture verify") from None
    if len(samples) != stop - start:
        raise DamagedData(f"{path}: ends at frame {start + len(samples)}; see: capture verify")
    return samples


@functools.lru_cache(maxsize=KEPT_SUMS)
def _sums(path: Path, whole: int, offset_fs: float) -> tuple[float, NDArray[np.float64]]:
    """The first sample less the offset; and the sum of all before each block's first frame."""
    first_fs, sums = 0.0, [0.0]
    for start in range(0, whole, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, whole)
        moved = _read(path, start, stop, whole, 1)[:, 0].astype(np.float64) - offset_fs
        if start == 0:
            first_fs = float(moved[0])
        sums.append(sums[-1] + float(np.sum(moved)))
    return first_fs, np.asarray(sums)
