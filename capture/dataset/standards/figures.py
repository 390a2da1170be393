"""Figures of a release for its card: counts, ranges, histograms, known faults. Column by column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.dataset.arrow import pyarrow
from capture.dataset.standards.facts import Facts

Array = NDArray[np.float64]
BAR = 40
"""The longest bar of a histogram, in characters."""


def counts(table: Any, column: str) -> dict[str, int]:
    """How often each value of a column stands there, the most frequent first; null is ``null``."""
    if column not in table.column_names:
        return {}
    found = {
        "null" if pair["values"] is None else str(pair["values"]): int(pair["counts"])
        for pair in pyarrow().compute.value_counts(table[column]).to_pylist()
    }
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def tally(table: Any, column: str) -> str:
    """``confirmed 12, doubtful 1``; ``null`` is read as not measured."""
    found = counts(table, column)
    return ", ".join(
        f"{'not measured' if value == 'null' else value} {count}" for value, count in found.items()
    )


def values(table: Any, column: str) -> Array:
    """The numbers of a column, nulls left out. Shape (n,)."""
    if column not in table.column_names:
        return np.empty(0)
    return np.asarray(table[column].drop_null().to_numpy(), dtype=np.float64)


def span(table: Any, *columns: str) -> str | None:
    """``-28.1 to -3``: the least and the largest of some columns; None where all is null."""
    found = np.concatenate([values(table, column) for column in columns])
    return f"{found.min():.4g} to {found.max():.4g}" if len(found) else None


def largest(table: Any, *columns: str) -> str | None:
    """The largest magnitude of some columns; None where all is null."""
    found = np.concatenate([np.abs(values(table, column)) for column in columns])
    return f"{found.max():.2g}" if len(found) else None


def deepest_gain_db(takes: Any) -> Array:
    """The lowest gain of each take, by its law. Shape (takes,), negative = attenuation.

    Takes whose CV is AC-coupled are left out: the law does not hold for the CV as it is.
    """
    fields = ("cv_min_v", "cv_max_v", "cv_volts_per_fs", "gain_db_per_fs", "gain_db_at_zero")
    takes = takes.filter(pyarrow().compute.is_null(takes["cv_corner_hz"]))
    low, high, volts, slope, zero = (np.asarray(takes[name].to_numpy()) for name in fields)
    return np.minimum(low / volts * slope, high / volts * slope) + zero


def histogram(found: Array, step: float, unit: str) -> str:
    """A histogram as text, bins of ``step``, bars to scale; a sentence where there is nothing."""
    if not len(found):
        return "nothing was measured\n"
    bins = np.floor(found / step).astype(int)
    lowest, highest = int(bins.min()), int(bins.max())
    heights = np.bincount(bins - lowest, minlength=highest - lowest + 1)
    lines: list[str] = []
    for place, height in enumerate(heights.tolist()):
        low = (lowest + place) * step
        bar = "#" * math.ceil(BAR * height / int(heights.max()))
        lines.append(f"{low:>6g} to {low + step:>4g} {unit} {height:>7}  {bar}".rstrip())
    return "\n".join(lines) + "\n"


def warnings(takes: Any) -> list[tuple[str, int, int]]:
    """Of each take check that is not all pass: its name, how many warn, how many are unverified."""
    found: list[tuple[str, int, int]] = []
    for column in takes.column_names:
        if not (column.startswith("check_") and column.endswith("_verdict")):
            continue
        said = counts(takes, column)
        warned, unverified = said.get("warn", 0), said.get("unverified", 0) + said.get("null", 0)
        if warned or unverified:
            name = column.removeprefix("check_").removesuffix("_verdict")
            found.append((name, warned, unverified))
    return found


def faults(facts: Facts) -> list[str]:
    """What is known to be wrong with the release, or unproven: sentences; empty if nothing is."""
    takes, total = facts.takes, facts.takes.num_rows
    warned = sum(count for _, count, _ in warnings(takes))
    doubtful = counts(takes, "fingerprint_verdict").get("doubtful", 0)
    unproven = total - doubtful - counts(takes, "fingerprint_verdict").get("confirmed", 0)
    expected = counts(takes, "gain_law_origin").get("expected", 0)
    coupled = total - int(takes["cv_corner_hz"].null_count)
    again = int(np.count_nonzero(values(takes, "attempts") > 1))
    differing = {
        name: counts(takes, f"{name}_gain_verdict").get("differs", 0) for name in ("send", "return")
    }
    lacking = facts.release["missing"]["takes"]
    said = [
        (lacking, "{} takes of the plan are missing"),
        (doubtful, "the sound leaves the setting of {} takes doubtful"),
        (unproven, "no sound proves the setting of {} takes (not verifiable, or not probed)"),
        (expected, "the gain law of {} takes is the rig profile's, not measured"),
        (coupled, "the CV of {} takes is AC-coupled: it must be repaired before the law holds"),
        (differing["send"], "the send gain of {} takes is not the plan's"),
        (differing["return"], "the return gain of {} takes is not the plan's"),
        (warned, "{} warnings of take checks"),
        (again, "{} takes needed more than one try"),
    ]
    return [sentence.format(count) for count, sentence in said if count]


def device(facts: Facts) -> str:
    """The interface in a few words."""
    rig = facts.rig
    if rig.simulated:
        return "no hardware: a simulation"
    if rig.audio.device is None:
        return "PortAudio, device not named"
    host = rig.audio.device.host_api
    return rig.audio.device.name + (f" by {host}" if host else "")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
