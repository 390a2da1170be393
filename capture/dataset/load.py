"""A dataset as a sequence of takes, for whoever trains on it (docs/loading.md).

Nothing is decoded before it is asked for, and then only the frames that are asked for; nothing is
kept. No file stays open, so takes can be sent to other processes, and read from several threads.
Rows are read from the manifest's columns one cell at a time: a hundred columns of many thousand
takes would be a lot of Python objects.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
from numpy.typing import NDArray

from capture.dataset import query, snapshot
from capture.dataset.audio import window
from capture.dataset.gain import gain_db
from capture.dataset.snapshot import Row, Snapshot
from capture.dataset.version import Version
from capture.errors import BadInput, DamagedData
from capture.model import AUTO, Setting, Value, base_name

Audio = NDArray[np.float32]


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
        return self._read("input_file")

    @property
    def output(self) -> Audio:
        """The stereo return: (frames, 2), full scale 1."""
        return self._read("output_file")

    @property
    def gain_db(self) -> Audio:
        """The gain by the control voltage: (frames,), negative = attenuation, 0 = at rest.

        Make-up, send and static gain are not in it: see ``static_left_db`` in the row.
        """
        return gain_db(self.root, self.row, self.start, self.stop)

    def _read(self, column: str) -> Audio:
        whole = int(self.row["num_frames"])
        return window(self.root / self.row[column], self.start, self.stop, whole, channels=2)


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
