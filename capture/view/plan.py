"""What ``capture plan`` says: for people, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from capture.model import format_value
from capture.plan.expand import Expansion
from capture.plan.summary import Summary
from capture.view.lines import plain
from capture.view.text import amount, hours, size

ORDER_SHOWN = 12


def as_json(name: str, expansion: Expansion, summary: Summary, notes: Sequence[str]) -> Any:
    """Every figure, the order of the settings, and what is worth knowing."""
    return {
        "name": name,
        **dataclasses.asdict(summary),
        "below_plan_order_percent": summary.below_plan_order_percent,
        "excluded": [{"reason": r, "settings": n} for r, n in summary.excluded],
        "holes": sum(n for _, n in summary.excluded),
        "order": [
            {"setting_id": setting.setting_id, **plain(setting)} for setting in expansion.visits
        ],
        "splits": {
            split: sum(s == split for s in expansion.splits.values()) for split in ("train", "test")
        }
        if expansion.splits
        else None,
        "notes": list(notes),
    }


def as_text(name: str, expansion: Expansion, summary: Summary, notes: Sequence[str]) -> str:
    """The same for a person."""
    sizes = " x ".join(
        f"{len(values)} {control}"
        for control, values in zip(
            expansion.chosen.grid.names, expansion.chosen.grid.values, strict=True
        )
    )
    lines = [
        f"plan       {name}",
        f"settings   {summary.settings:,}: a grid of {sizes} = {summary.grid_cells:,}",
    ]
    for reason, count in summary.excluded:
        lines.append(f"           less {count:,}: {reason}")
    if summary.extras:
        lines.append(f"           and {summary.extras:,} besides the grid")
    lines.append(f"songs      {summary.songs:,}{_splits(expansion)}")
    references = ""
    if summary.references and summary.takes:
        references = f", {summary.references} of them the reference"
    lines += [
        f"takes      {summary.takes:,}{references}",
        f"audio      {hours(summary.audio_s)}",
        f"wall clock {hours(summary.wall_s)} (playing, settling, turning)",
        f"on disk    {size(summary.bytes)} at most",
        *_turning(summary),
        "order      " + "  ".join(expansion.controls[i].name for i in _columns(expansion)),
    ]
    visits = list(expansion.visits)
    for setting in visits[:ORDER_SHOWN]:
        values = (setting[expansion.controls[i].name] for i in _columns(expansion))
        widths = (len(expansion.controls[i].name) for i in _columns(expansion))
        cells = (f"{format_value(v):>{w}}" for v, w in zip(values, widths, strict=True))
        lines.append("           " + "  ".join(cells))
    if len(visits) > ORDER_SHOWN:
        lines.append(f"           ... {amount(len(visits) - ORDER_SHOWN, 'more visit')} (--json)")
    lines += [f"note       {note}" for note in notes]
    return "\n".join(lines)


def _turning(summary: Summary) -> list[str]:
    """How much the knobs are turned, and how much less that is than in plan order."""
    turns, positions, time = (f"{p:.0f} %" for p in summary.below_plan_order_percent.values())
    return [
        f"knob turns {summary.knob_turns:,}, passing {summary.positions_passed:,} positions "
        f"({hours(summary.turning_s)})",
        f"plan order {summary.nested_knob_turns:,}, passing {summary.nested_positions_passed:,} "
        f"positions ({hours(summary.nested_turning_s)})",
        f"           so {turns} fewer turns, {positions} fewer positions, {time} less time",
    ]


def _columns(expansion: Expansion) -> range:
    return range(len(expansion.controls))


def _splits(expansion: Expansion) -> str:
    if not expansion.splits:
        return ""
    test = sum(split == "test" for split in expansion.splits.values())
    return f": {len(expansion.splits) - test:,} to train, {test:,} to test"
