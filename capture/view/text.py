"""Figures as people read them."""

from __future__ import annotations


def hours(seconds: float) -> str:
    """``2528 h``, ``3 h 20 min``, ``4 min 5 s``, ``12 s``."""
    whole = round(seconds)
    if whole >= 100 * 3600:
        return f"{whole / 3600:,.0f} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s"


def size(count: float) -> str:
    """``1.4 TB``, ``23 MB``: powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def amount(count: int, noun: str) -> str:
    """``1 take``, ``2,000 takes``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def level(dbfs: float | None) -> str:
    """``-12.3 dBFS``; silence has no level."""
    return "silence" if dbfs is None else f"{dbfs:.1f} dBFS"


def pace(times: float) -> str:
    """How many seconds of audio were captured in a second."""
    return f"{times:.0f} times real time" if times >= 10 else f"{times:.2g} times real time"
