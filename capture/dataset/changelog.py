"""What changed, in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capture.dataset.diff import Diff

SHOWN = 50


def summary(changes: Diff) -> str:
    """One sentence: ``2 takes were added and 1 was superseded``."""
    counts = {
        "added": len(changes.added),
        "superseded": len(changes.superseded),
        "removed": len(changes.removed),
        "put into another split": len(changes.resplit),
    }
    said = [f"{count} takes were {what}" for what, count in counts.items() if count]
    said += [
        f"{name}.{column} was changed in {len(rows)} rows"
        for name, columns in changes.changed.items()
        for column, rows in columns.items()
    ]
    said += [f"{len(rows)} rows of {name} were removed" for name, rows in changes.lost.items()]
    for what, columns in (
        ("added", changes.columns_added),
        ("removed", changes.columns_removed),
    ):
        said += [f"{name}: columns {', '.join(c)} were {what}" for name, c in columns.items()]
    return "; ".join(said) or "nothing has changed"


def text(facts: dict[str, Any], changes: Diff | None) -> str:
    """The section of a release in Markdown; newest first, so the older ones follow it."""
    lines = [
        f"# {facts['version']} ({facts['released_at'][:10]})",
        "",
        f"{facts['takes']} takes of {facts['songs']} songs at {facts['settings']} settings.",
        "",
    ]
    if changes is None:
        lines += ["The first release.", ""]
    else:
        lines += [f"Since {facts['previous']}: {summary(changes)}.", ""]
        for title, ids in (
            ("Added", changes.added),
            ("Superseded", [f"{old} by {new}" for old, new in changes.superseded]),
            ("Removed", changes.removed),
            ("In another split", changes.resplit),
        ):
            lines += _listed(title, ids)
    missing = facts["missing"]
    if missing["takes"]:
        reasons = ", ".join(f"{count} {why}" for why, count in missing["by_reason"].items())
        lines += [f"The plan has {missing['takes']} takes more: {reasons}.", ""]
    return "\n".join(lines) + "\n"


def _listed(title: str, ids: Sequence[str]) -> list[str]:
    if not ids:
        return []
    more = [f"- and {len(ids) - SHOWN} more"] if len(ids) > SHOWN else []
    return [f"## {title}", "", *(f"- {one}" for one in ids[:SHOWN]), *more, ""]
