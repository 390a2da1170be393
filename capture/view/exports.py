"""What an export did, for people."""

from __future__ import annotations

from pathlib import Path

from capture.dataset.export.work import Report
from capture.dataset.version import Version
from capture.view.text import amount, size


def source_text(dataset: Path, version: Version | None) -> str:
    """Which version is exported."""
    what = f"release {version}" if version else "what is captured so far (it has no release)"
    return f"{dataset}: {what}"


def report_text(done: Report) -> str:
    """What is there, what this run wrote, what is missing."""
    lines = [
        f"{done.out}: {done.format}, {amount(done.takes, 'take')} of {amount(done.songs, 'song')}, "
        f"{done.hours:.4g} h",
        f"{done.done} of {amount(done.parts, 'part')} written, {done.written} now; "
        f"{amount(done.files, 'file')}, {size(done.bytes)}",
    ]
    if done.left_out:
        lines.append(f"{amount(done.left_out, 'take')} left out: {done.why}")
    if done.finished:
        lines.append("finished; SHA256SUMS lists every file")
    else:
        lines.append("not finished: run without --slice, or the other slices")
    return "\n".join(lines)
