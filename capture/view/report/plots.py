"""Plots as SVG, the same bytes for the same figures. matplotlib is loaded when the first is drawn.

Text stays text. What is many is drawn as histograms, and as the band in which it lies.
"""

from __future__ import annotations

import importlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import BadInput

Doubles = NDArray[np.float64]
WIDTH, HEIGHT, BOTTOM, TOP = 7.2, 2.6, 0.45, 0.1
"""Inches of 72 points."""
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#d55e00", "#009e73", "#c1121f", "#666666"
COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#8c6d00", "#000000", "#999933")
"""Told apart by those who see fewer colours (Okabe and Ito)."""
MOST_POINTS = 300
BANDS = 120
BINS = 60
STYLE = {
    "svg.hashsalt": "capture",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # it comes with matplotlib
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
}


@dataclass(frozen=True, slots=True)
class Series:
    """``times`` and ``values`` (n,), ``errors``: one standard deviation each, or None."""

    name: str
    times: Doubles
    values: Doubles
    errors: Doubles | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """A line that a figure must not cross; ``warn`` is dashed."""

    name: str
    value: float
    warn: bool = False


def require() -> None:
    """Raises BadInput where plots cannot be drawn."""
    try:
        importlib.import_module("matplotlib.backends.backend_svg")
    except ImportError:
        raise BadInput(
            "capture report draws with matplotlib, which is not installed: "
            'pip install "capture[report]"'
        ) from None


def over_time(series: Sequence[Series], x: str, y: str) -> str:
    """Figures with their uncertainties, in the order of time."""
    with _Drawing(x, y) as drawing:
        for one, colour in zip(series, COLOURS, strict=False):
            if len(one.values) > MOST_POINTS:
                _band(drawing.axes, one, colour)
                continue
            drawing.axes.errorbar(
                one.times, one.values, one.errors, fmt="o-", color=colour, label=one.name,
                markersize=2.5, linewidth=0.7, capsize=2,
            )  # fmt: skip
        if len(series) > 1:
            drawing.axes.legend(fontsize=7, frameon=False, loc="best")
    return drawing.svg


def histogram(
    parts: Sequence[tuple[str, Doubles]], x: str, limits: Sequence[Limit] = (), y: str = "takes"
) -> str:
    """How often each value occurs, of each part; the axis shows the limits too."""
    with _Drawing(x, y) as drawing:
        everything = np.concatenate([values for _, values in parts])
        ends = [*everything[[0]], *(limit.value for limit in limits)]
        low, high = min(everything.min(), *ends), max(everything.max(), *ends)
        if high - low < 1e-12 * max(1.0, abs(high)):
            low, high = low - 0.5, high + 0.5
        edges: Doubles = np.linspace(low, high, BINS + 1, dtype=np.float64)
        most = 0
        for (name, values), colour in zip(parts, COLOURS, strict=False):
            counts = np.histogram(values, edges)[0]
            most = max(most, int(counts.max()))
            filled = len(parts) == 1
            drawing.axes.stairs(counts, edges, fill=filled, color=colour, label=name)
        _lines(drawing.axes, limits)
        if most > 50:
            drawing.axes.set_yscale("symlog", linthresh=1)
            drawing.axes.set_ylim(bottom=0)
        if len(parts) > 1 or limits:
            drawing.axes.legend(fontsize=7, frameon=False, loc="best", ncols=1 + len(parts) // 5)
    return drawing.svg


def ranges(
    names: Sequence[str], middle: Doubles, low: Doubles, high: Doubles, x: str, y: str, log: bool
) -> str:
    """Of each name the middle value, and the range about it."""
    with _Drawing(x, y) as drawing:
        places = np.arange(len(names))
        drawing.axes.errorbar(
            places, middle, np.stack([middle - low, high - middle]), fmt="o", color=BLUE,
            markersize=4, capsize=4,
        )  # fmt: skip
        drawing.axes.set_xticks(places, names)
        if log:
            drawing.axes.set_yscale("log")
    return drawing.svg


def bars(names: Sequence[str], counts: Sequence[int], x: str) -> str:
    with _Drawing(x, "", height=0.6 + 0.22 * len(names), left=0.2) as drawing:
        drawing.axes.barh(np.arange(len(names))[::-1], counts, color=BLUE, height=0.7)
        drawing.axes.set_yticks(np.arange(len(names))[::-1], names)
    return drawing.svg


def _lines(axes: Any, limits: Sequence[Limit]) -> None:
    for limit in limits:
        style = "--" if limit.warn else "-"
        axes.axvline(
            limit.value, color=GREY if limit.warn else RED, linestyle=style, label=limit.name
        )


def _band(axes: Any, one: Series, colour: str) -> None:
    """The median and the range of as many points as can be seen beside each other."""
    order = np.argsort(one.times, kind="stable")
    parts = [part for part in np.array_split(order, BANDS) if len(part)]
    times = [float(np.median(one.times[part])) for part in parts]
    low, middle, high = np.array(
        [np.percentile(one.values[part], (0, 50, 100)) for part in parts]
    ).T
    axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(times, middle, color=colour, linewidth=1, label=f"{one.name} (median, range)")


class _Drawing:
    """One plot: draw on ``axes`` in the ``with`` block; then there is ``svg``."""

    def __init__(self, x: str, y: str, height: float = HEIGHT, left: float = 0.12) -> None:
        require()
        matplotlib: Any = importlib.import_module("matplotlib")
        figures: Any = importlib.import_module("matplotlib.figure")
        self._context = matplotlib.rc_context(STYLE)
        self._context.__enter__()
        self._figure = figures.Figure((WIDTH, height))
        sides = (left, BOTTOM / height, 0.98 - left, 1 - (BOTTOM + TOP) / height)
        self.axes: Any = self._figure.add_axes(sides)
        self.axes.set_xlabel(x)
        self.axes.set_ylabel(y)
        self.svg = ""

    def __enter__(self) -> _Drawing:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self.svg = self._drawn()
        finally:
            self._context.__exit__(None, None, None)

    def _drawn(self) -> str:
        backend: Any = importlib.import_module("matplotlib.backends.backend_svg")
        buffer = io.StringIO()
        backend.FigureCanvasSVG(self._figure).print_svg(buffer)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        # It says when and with what it was drawn, which is nothing of the dataset's.
        text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
        return re.sub(r"[ \t]+\n", "\n", text)
