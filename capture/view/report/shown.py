"""What the sections have in common: plots over time, tables of how values are spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import numpy as np

from capture.view.report import plots
from capture.view.report.page import Cell, Plot, Table
from capture.view.report.plots import Doubles, Series
from capture.view.report.source import Row

Figure = str | Callable[[Row], float | None]
"""A column, or what is made of a row."""
Wanted = tuple[str, Sequence[Row], Figure, Figure | None]
"""What is drawn over time: its name, rows, figure and uncertainty."""


class Clock:
    """Hours since the first of some rows, or days where that are many."""

    def __init__(self, rows: Sequence[Row], key: str) -> None:
        self._key = key
        first = min((row[key] for row in rows), default=None)
        self._first = datetime.fromisoformat(first) if first else None
        last = max((self._seconds(row) for row in rows), default=0.0)
        self._unit_s, unit = (86400.0, "days") if last > 72 * 3600 else (3600.0, "hours")
        self.label = f"{unit} since {first}"

    def __call__(self, row: Row) -> float:
        return self._seconds(row) / self._unit_s

    def _seconds(self, row: Row) -> float:
        assert self._first is not None
        return (datetime.fromisoformat(row[self._key]) - self._first).total_seconds()


def drawn(
    title: str,
    clock: Clock,
    unit: str,
    wanted: Sequence[Wanted],
    says: str,
) -> list[Plot | Table]:
    """A plot over time of what is known; none where nothing is."""
    series: list[Series] = []
    for name, rows, key, error in wanted:
        points = [
            (clock(row), value, _value(row, error) if error else None)
            for row in rows
            if (value := _value(row, key)) is not None
        ]
        if points:
            times, values, errors = zip(*points, strict=True)
            known = error is not None and None not in errors
            bars = np.array(errors, np.float64) if known else None
            series.append(Series(name, np.array(times), np.array(values, np.float64), bars))
    if not series:
        return []
    return [Plot(title, plots.over_time(series, clock.label, unit), says)]


def _value(row: Row, figure: Figure) -> float | None:
    return figure(row) if callable(figure) else row.get(figure)


def spread(title: str, parts: Sequence[tuple[str, Doubles]]) -> Table:
    rows = [(name, len(values), *five(values)) for name, values in parts]
    return Table(title, ("", "count", "lowest", "5 %", "median", "95 %", "highest"), rows)


def five(values: Doubles) -> tuple[Cell, ...]:
    if not len(values):
        return (None,) * 5
    return tuple(float(one) for one in np.percentile(values, (0, 5, 50, 95, 100)))


def ranked(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def panel_order(label: str) -> tuple[bool, float]:
    """Numbers as they rise, ``auto`` last."""
    return (True, 0.0) if label == "auto" else (False, float(label))


def doubles(values: Iterable[float]) -> Doubles:
    return np.array(values if isinstance(values, Sequence) else list(values), np.float64)
