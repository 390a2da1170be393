"""The takes of a report, added up row by row: what is kept of each is a few numbers."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from capture.dataset.columns import CHECKS
from capture.model import format_value
from capture.view.report.source import Row, base

MOST_WARNINGS = 200
LEVELS = ("peak_left_dbfs", "peak_right_dbfs", "rms_left_dbfs", "rms_right_dbfs")


def _doubles() -> array[float]:
    return array("d")


@dataclass(frozen=True, slots=True)
class Warned:
    """A check that warned."""

    captured_at: str
    take_id: str
    song_id: str
    setting_id: str
    check: str
    figure: float | None


@dataclass(slots=True)
class Takes:
    """``figures`` and ``verdicts``: by check. ``deepest_db`` and ``mean_db``: the gain of each
    take, by control and position. ``warned``: the first ``MOST_WARNINGS``, in the rows' order."""

    controls: Sequence[str]
    count: int = 0
    audio_s: float = 0.0
    first: str = ""
    last: str = ""
    splits: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    songs: Counter[str] = field(default_factory=Counter[str])
    settings: Counter[str] = field(default_factory=Counter[str])
    sessions: Counter[str] = field(default_factory=Counter[str])
    attempts: Counter[int] = field(default_factory=Counter[int])
    figures: dict[str, array[float]] = field(default_factory=lambda: defaultdict(_doubles))
    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    warned: list[Warned] = field(default_factory=list[Warned])
    warnings: int = 0
    levels: dict[str, array[float]] = field(default_factory=lambda: defaultdict(_doubles))
    deepest_db: dict[str, dict[str, array[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(_doubles))
    )
    mean_db: dict[str, dict[str, array[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(_doubles))
    )

    def add(self, row: Row) -> None:
        self.count += 1
        self.audio_s += row["num_frames"] / row["sample_rate_hz"]
        at = row["captured_at"]
        self.first, self.last = min(self.first or at, at), max(self.last, at)
        self.splits[row["split"] or "none", row["setting_split"] or "none"] += 1
        self.songs[row["song_id"]] += 1
        self.settings[row["setting_id"]] += 1
        self.sessions[row["session_id"]] += 1
        self.attempts[row["attempts"]] += 1
        for name in LEVELS:
            if row[name] is not None:
                self.levels[name].append(row[name])
        self._add_checks(row)
        self._add_gain(row)

    def _add_checks(self, row: Row) -> None:
        for name in CHECKS:
            figure, verdict = row.get(f"check_{name}"), row.get(f"check_{name}_verdict")
            if verdict is None:
                continue
            self.verdicts[name][verdict] += 1
            if figure is not None:
                self.figures[name].append(figure)
            if verdict == "warn":
                self.warnings += 1
                if len(self.warned) < MOST_WARNINGS:
                    ids = (row["captured_at"], row["take_id"], row["song_id"], row["setting_id"])
                    self.warned.append(Warned(*ids, name, figure))

    def _add_gain(self, row: Row) -> None:
        slope = row["gain_db_per_fs"] / row["cv_volts_per_fs"]
        low, high, mean = (
            row[f"cv_{name}_v"] * slope + row["gain_db_at_zero"] for name in ("min", "max", "mean")
        )
        for control, position in positions(row, self.controls).items():
            self.deepest_db[control][position].append(min(low, high))
            self.mean_db[control][position].append(mean)


def positions(row: Row, controls: Sequence[str]) -> dict[str, str]:
    """Of each control the position at which it stands: ``4``, ``auto``."""
    found: dict[str, str] = {}
    for name in controls:
        value = row.get(name)
        if name.endswith("_auto") and isinstance(value, bool | None):
            if value:
                found[base(name)] = "auto"
        elif value is not None:
            found[base(name)] = format_value(value)
    return found
