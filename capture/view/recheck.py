"""What ``capture verify --audio`` found: for people, and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from capture.run.recheck import Report
from capture.view.lines import plain
from capture.view.text import amount, hours


def as_json(found: Report, rest: dict[str, Any] | None) -> dict[str, Any]:
    """``rest``: what was found out about everything else, where that was looked at."""
    rest = rest or {"ok": True, "damage": [], "notes": []}
    return rest | {
        "ok": rest["ok"] and not found.damage,
        "damage": [*rest["damage"], *plain(found.damage)],
        "notes": [*rest["notes"], *found.notes],
        "audio": {
            "takes": found.takes,
            "audio_s": found.audio_s,
            "differences": plain(found.differences),
            "largest_off": found.largest_off,
        },
    }


def as_text(dataset: Path, found: Report) -> str:
    lines = [f"{damage.kind}: {damage.file}: {damage.message}" for damage in found.damage]
    lines += [f"note: {note}" for note in found.notes]
    verdict = f"{len(found.damage)} damaged" if found.damage else "all as their rows say"
    lines.append(
        f"{dataset}: heard {amount(found.takes, 'take')} again "
        f"({hours(found.audio_s)}): {verdict}{_furthest(found)}"
    )
    return "\n".join(lines)


def _furthest(found: Report) -> str:
    if not found.largest_off:
        return ""
    name, off = max(found.largest_off.items(), key=lambda item: item[1])
    return f"; furthest off: {name}, by {off:.2g}" if off else "; every figure to the last digit"
