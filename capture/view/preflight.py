"""What ``capture check`` says: for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from capture.signal.preflight import Finding
from capture.view.lines import plain


def as_json(found: Sequence[Finding]) -> dict[str, Any]:
    """``ok`` is true if nothing failed."""
    counted = Counter(finding.status for finding in found)
    return {
        "ok": not counted["fail"],
        "failed": counted["fail"],
        "warnings": counted["warning"],
        "findings": plain(list(found)),
    }


def as_text(found: Sequence[Finding]) -> str:
    """A line for each finding, and one that counts them."""
    width = max((len(finding.name) for finding in found), default=0)
    lines = [f"{f.status:<8} {f.name:<{width}}  {f.message}" for f in found]
    counted = Counter(finding.status for finding in found)
    words = {"ok": "ok", "warning": "warned", "fail": "failed", "skipped": "skipped"}
    counts = (f"{counted[status]} {word}" for status, word in words.items() if counted[status])
    return "\n".join([*lines, f"looked at {len(found)}: {', '.join(counts)}; no take was recorded"])
