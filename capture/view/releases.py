"""Releases, what changed between them, and what was merged: for people, and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capture.dataset import changelog
from capture.dataset.diff import Diff
from capture.dataset.release import Released
from capture.run.merge import Merged
from capture.view.lines import plain
from capture.view.text import amount, hours, size

SHOWN = 20


def release_json(found: Released) -> dict[str, Any]:
    changes = plain(found.changes) if found.changes else None
    return found.facts | {"not_stated": list(found.not_stated), "changes": changes}


def release_text(dataset: Path, found: Released) -> str:
    facts = found.facts
    lines = [
        f"{dataset}: release {facts['version']}: {amount(facts['takes'], 'take')} of "
        f"{amount(facts['songs'], 'song')} at {amount(facts['settings'], 'setting')} "
        f"({hours(facts['audio_s'])} of audio, {size(facts['bytes'])})"
    ]
    if found.changes is not None:
        lines.append(f"since {found.previous}: {changelog.summary(found.changes)}")
    if facts["missing"]["takes"]:
        reasons = facts["missing"]["by_reason"].items()
        why = ", ".join(f"{count} {reason}" for reason, count in reasons)
        lines.append(f"the plan has {amount(facts['missing']['takes'], 'take')} more: {why}")
    lines += [f"not stated: {fault}" for fault in found.not_stated]
    return "\n".join(lines)


def diff_json(before: str, after: str, changes: Diff) -> dict[str, Any]:
    return {"from": before, "to": after, "bump": changes.bump, **plain(changes)}


def diff_text(before: str, after: str, changes: Diff) -> str:
    lines = [f"{before} -> {after} ({changes.bump}): {changelog.summary(changes)}"]
    for what, ids in (
        ("added", changes.added),
        ("superseded", [f"{old} by {new}" for old, new in changes.superseded]),
        ("removed", changes.removed),
        ("re-split", changes.resplit),
    ):
        lines += [f"{what}: {one}" for one in ids[:SHOWN]]
        if len(ids) > SHOWN:
            lines.append(f"{what}: and {len(ids) - SHOWN} more (--json lists all)")
    return "\n".join(lines)


def merged_text(found: Merged) -> str:
    said = f"{found.dataset}: {amount(found.taken, 'take')} taken over"
    if found.known:
        said += f", {found.known:,} captured here already"
    if found.superseded:
        said += f", {found.superseded:,} recorded again here since"
    return said
