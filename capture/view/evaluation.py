"""How good predictions are: for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from capture.dataset.evaluate import (
    AUDIO_FIGURES,
    GAIN_FIGURES,
    Figures,
    Matched,
    Score,
    grouped,
    stem,
)
from capture.dataset.load import Takes
from capture.view.text import amount

WHICH = {
    "gain": "without make-up (0 dB at rest)",
    "total_gain": "with make-up (all the gain from input to output)",
    None: "none predicted",
}
WORDS = {"gain": "gain", "total_gain": "gain", "audio": "audio"}
HEADINGS = {
    "gain_l1_db": "L1",
    "gain_rms_db": "RMS",
    "gain_peak_db": "peak",
    "gain_bias_db": "bias",
    "l1": "L1",
    "l1_prefiltered": "L1 pre-f.",
    "esr": "ESR",
    "esr_prefiltered": "ESR pre-f.",
    "mste": "MSTE",
    "multi_resolution_stft": "MR-STFT",
}
SHOWN = 4
WIDTH = 10


def as_json(takes: Takes, folder: Path, matched: Matched, scored: Sequence[Score]) -> Any:
    """Every figure, each take's too; what is missing of each kind; what belongs to no take."""
    return {
        "dataset": str(takes.root),
        "release": str(takes.version) if takes.version else None,
        "predictions": str(folder),
        "gain": {"gain": "without make-up", "total_gain": "with make-up", None: None}[matched.gain],
        "missing": {
            kind: [take.take_id for take in takes] for kind, takes in matched.missing.items()
        },
        "strays": [str(path.relative_to(folder)) for path in matched.strays],
        "results": grouped(scored),
        "takes": [score.take | score.figures for score in scored],
    }


def as_text(takes: Takes, folder: Path, matched: Matched, scored: Sequence[Score]) -> str:
    """The same for a person, without each take's."""
    version = f"release {takes.version}" if takes.version else "what is captured so far"
    lines = [
        f"{takes.root}, {version}: {len(scored):,} of {amount(len(takes), 'take')} predicted in "
        f"{folder}"
    ]
    for kind, missing in matched.missing.items():
        if missing:
            parts = Counter(take.split or "in no split" for take in missing)
            counts = ", ".join(f"{count:,} {split}" for split, count in sorted(parts.items()))
            lines.append(f"no {WORDS[kind]} for {amount(len(missing), 'take')}: {counts}")
            lines += _some([f"{take.take_id}  {stem(take['output_file'])}" for take in missing])
    if matched.strays:
        lines.append(f"belong to no take: {amount(len(matched.strays), 'file')}")
        lines += _some([str(path.relative_to(folder)) for path in matched.strays])
    lines.append(f"gain: {WHICH[matched.gain]}")
    groups = grouped(scored)
    if matched.gain:
        lines += ["", *_table("gain error, dB", "gain_takes", GAIN_FIGURES, groups)]
    if groups["all"]["all"]["audio_takes"]:
        lines += ["", *_table("audio error", "audio_takes", AUDIO_FIGURES, groups)]
    return "\n".join(lines)


def _some(names: Sequence[str]) -> list[str]:
    lines = [f"  {name}" for name in names[:SHOWN]]
    return lines + ([f"  ... {len(names) - SHOWN:,} more (--json)"] if len(names) > SHOWN else [])


def _table(
    title: str, count: str, figures: Sequence[str], groups: dict[str, dict[str, Figures]]
) -> list[str]:
    rows = [
        ("all" if column == "all" else f"{column.removesuffix('_id')} {value}", one)
        for column, parts in groups.items()
        for value, one in parts.items()
        if one[count]
    ]
    wide = max(len(title), *(len(name) for name, _ in rows))
    heads = ("takes", *(HEADINGS[name] for name in figures))
    lines = [f"{title:<{wide}}" + "".join(f"{head:>{WIDTH + 1}}" for head in heads)]
    for name, one in rows:
        cells = (f"{one[count]:,.0f}", *(_figure(name, one[name]) for name in figures))
        lines.append(f"{name:<{wide}}" + "".join(f"{cell:>{WIDTH + 1}}" for cell in cells))
    return lines


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if name in GAIN_FIGURES else f"{value:.4g}"
