"""What each table and each column means: one place for Croissant, Data Package and card. Pure."""

from __future__ import annotations

import functools

from capture.dataset.standards.meaning_texts import CHECKS, TABLES

TITLES = {
    "takes": "One row per take: its setting, its files, its gain law, its levels and checks",
    "songs": "One row per song: where it came from, and how it was made",
    "settings": "One row per setting of the knobs",
    "calibrations": "One row per calibration: latency and gain of each channel",
    "laws": "One row each time that the law of the control voltage was measured",
    "law_steps": "The staircase of each law, level by level",
    "enrolments": "What the unit shows of its settings, each time that it was enrolled",
    "fingerprints": "Every visit to a setting that was probed, and what the sound said of it",
    "anchors": "What full scale is, in dBu and volts",
    "references": "The reference's takes against the first: how far the rack had drifted",
    "visits": "Every time that the knobs were set",
    "sessions": "Every run",
    "releases": "The releases before this one",
}
"""In the order in which people want to see them."""

KEYS = {
    "takes": ("take_id",),
    "songs": ("song_id",),
    "settings": ("setting_id",),
    "calibrations": ("calibration_id",),
    "laws": ("law_id",),
    "law_steps": ("law_id", "step"),
    "enrolments": ("enrolment_id",),
    "fingerprints": ("fingerprint_id",),
    "sessions": ("session_id",),
    "releases": ("version",),
}
"""The columns that name a row; the other tables have none."""

FOREIGN = ("songs", "settings", "calibrations", "sessions")
"""The tables that every take names a row of, by the column that is their key."""

LABEL = "the panel's label, in the unit of its name. A label, not a measurement. Null at `auto`"
AUTO = "whether the control stands at auto; only for controls that have it"
READ_BACK = "what the knobs' driver reports; null where it cannot"
CHECK = "take check: {} (docs/measurements.md); null if there was nothing to measure"
VERDICT = "take check: `pass`, `warn` or `unverified`; a captured take has no `fail`"


@functools.cache
def _single() -> dict[tuple[str, str], str]:
    return {
        (table, name): text
        for table, columns in TABLES.items()
        for names, text in columns.items()
        for name in names.split()
    }


@functools.cache
def _checks() -> dict[str, str]:
    return {name: text for names, text in CHECKS.items() for name in names.split()}


def meaning(table: str, column: str) -> str | None:
    """What ``column`` of ``table`` means, in Markdown; None where nobody has said it."""
    own = _single().get((table, column))
    if own is not None:
        return own
    if table == "fingerprints" and column.endswith("_uncertainty"):
        measured = column.removesuffix("_uncertainty")
        return f"standard deviation of `{measured}`" if (table, measured) in _single() else None
    if column.startswith("check_"):
        return _check(column.removeprefix("check_"))
    return _control(column) if table in ("takes", "settings", "visits") else None


def _check(name: str) -> str | None:
    if name.removesuffix("_verdict") not in _checks():
        return None
    return VERDICT if name.endswith("_verdict") else CHECK.format(_checks()[name])


def _control(column: str) -> str:
    """Of a column that the rig's controls made: all others are in ``TABLES``."""
    if column.endswith("_read_back"):
        return READ_BACK
    return AUTO if column.endswith("_auto") else LABEL
