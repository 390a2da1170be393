"""The whole report."""

from __future__ import annotations

from capture.view.report import rack, recorded
from capture.view.report.page import page
from capture.view.report.source import Source
from capture.view.report.takes import Takes


def report(source: Source) -> str:
    """The page as HTML; the same for the same dataset, byte for byte. Raises DamagedData."""
    takes = Takes(source.controls)
    for row in source.takes():
        takes.add(row)
    shown = [
        recorded.captured(source, takes),
        rack.calibration(source, takes),
        rack.fingerprints(source),
        rack.references(source),
        recorded.checks(source, takes),
        recorded.rejected(source),
        recorded.gain(takes),
        recorded.sessions(source, takes),
    ]
    name = source.identity.get("name")
    says = (
        f"This page shows {source.what}. Every figure stands in the dataset's tables "
        "(docs/dataset.md), and how it was measured in docs/measurements.md.",
    )
    return page(f"Capture report: {name}", says, shown)
