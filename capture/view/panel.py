"""The prompt for a person at the rack: what to turn, and a drawing of the whole panel.

Drawn with ASCII characters, so that it reads the same on every terminal; bold, reverse and dim
only add to what the brackets say already:

    >10<    turn it here
    (0.3)   it stands here now
    [4]     it stands here and stays
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from capture.hardware.ports import Turn
from capture.model import Auto, Control, Value, base_name, format_value

TARGET, STRONG, FAINT = "bold reverse", "bold", "dim"
QUARTERS = 4
LEAST_SCALE_CELLS = 9
INDENT = 4

Cell = tuple[str, str]
"""A text and its style."""


def title(control: Control) -> str:
    """``attack_ms`` -> ``ATTACK``."""
    return base_name(control.name).replace("_", " ").upper()


def label(control: Control, value: Value) -> str:
    """What the panel says where ``value`` is."""
    said = (position.label for position in control.positions if position.value == value)
    return next(said, format_value(value))


def named(control: Control, value: Value | None) -> str:
    """The label, a number with its unit: ``10 ms``, ``4:1``, ``AUTO``; ``?`` if nobody knows."""
    if value is None:
        return "?"
    said = label(control, value)
    if not said.lstrip("+-").replace(".", "", 1).isdigit():
        return said
    return said + (control.unit if control.unit.startswith((":", "%")) else f" {control.unit}")


def short(turns: Sequence[Turn]) -> str:
    """In one line, for a message: ``ATTACK 0.3 ms -> 10 ms; RATIO ? -> 4:1``."""
    return "; ".join(
        f"{title(turn.control)} {named(turn.control, turn.before)} -> "
        f"{named(turn.control, turn.after)}"
        for turn in turns
    )


def prompt(turns: Sequence[Turn], panel: Sequence[Turn], width: int) -> Text:
    """What to turn, from where to where, and the panel as it is to stand; ``width`` columns."""
    knobs = "THIS KNOB" if len(turns) == 1 else f"THESE {len(turns)} KNOBS"
    rule = "=" * width + "\n"
    found = Text(f"\n{rule}").append(f"    TURN {knobs}".ljust(width), TARGET).append(f"\n{rule}\n")
    names = max(len(title(turn.control)) for turn in turns)
    befores = max(len(named(turn.control, turn.before)) for turn in turns)
    for turn in turns:
        found.append(f"    {title(turn.control):<{names}}   ", STRONG)
        found.append(f"{named(turn.control, turn.before):>{befores}}  ->  ")
        found.append(f" {named(turn.control, turn.after)} ", TARGET).append("\n")
    if any(turn.before is None for turn in turns):
        found.append("\n    ?: nobody knows how it stands\n", FAINT)
    found.append("\n    the panel:  >turn it here<  (stands here now)  [stays here]\n\n", FAINT)
    return found.append_text(_drawn(panel, width))


def _drawn(panel: Sequence[Turn], width: int) -> Text:
    """Every control, a row of its positions or a scale, behind its name and unit."""
    names = max(len(title(turn.control)) for turn in panel)
    units = max(len(turn.control.unit) for turn in panel)
    left = INDENT + names + 1 + units + 2
    found = Text()
    for turn in panel:
        head = f"{title(turn.control):<{names}} {turn.control.unit:<{units}}"
        rows = (_row if turn.control.stepped else _scale)(turn, width - left)
        for row in rows:
            found.append(f"{'':<{INDENT}}{head}  ", STRONG).append_text(row).append("\n")
            head = " " * len(head)
    return found


def _row(turn: Turn, width: int) -> list[Text]:
    """The positions side by side, in as many lines as they need; each is kept whole."""
    rows = [Text()]
    for position in turn.control.positions:
        text, style = _marked(turn, position.value)
        if rows[-1] and len(rows[-1]) + 1 + len(text) > width:
            rows.append(Text())
        rows[-1].append(" " if rows[-1] else "").append(text, style)
    return rows


def _marked(turn: Turn, value: Value) -> Cell:
    """The label, between brackets if the control stands at ``value`` or is to."""
    said = label(turn.control, value)
    if value == turn.after:
        return (f"[{said}]", STRONG) if turn.before == turn.after else (f">{said}<", TARGET)
    return (f"({said})", STRONG) if value == turn.before else (f" {said} ", FAINT)


def _scale(turn: Turn, width: int) -> list[Text]:
    """A range from end to end, and a pointer below it for each place that matters."""
    control = turn.control
    low, high = format_value(control.minimum), format_value(control.maximum)
    cells = max(LEAST_SCALE_CELLS, width - len(low) - len(high) - 2)
    body = ["-"] * cells
    for quarter in range(QUARTERS + 1):
        body[round(quarter * (cells - 1) / QUARTERS)] = "+"
    rows = [Text(f"{low} {''.join(body)} {high}")]
    for value in dict.fromkeys((turn.before, turn.after)):
        if value is not None and not isinstance(value, Auto):  # a range has no position auto
            share = (value - control.minimum) / (control.maximum - control.minimum)
            place = len(low) + 1 + round(share * (cells - 1))
            rows.append(_pointer(place, _marked(turn, value), right=share > 0.5))
    return rows


def _pointer(place: int, cell: Cell, *, right: bool) -> Text:
    """A caret at column ``place``, and the value beside it: on the side where there is room."""
    text, style = cell
    before = place - len(text) - 1
    if right and before >= 0:
        return Text(" " * before).append(text, style).append(" ^", STRONG)
    return Text(" " * place).append("^ ", STRONG).append(text, style)
