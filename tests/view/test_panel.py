"""The drawing: what is to be turned is marked, once; everything fits; nothing needs colours."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from capture.hardware.ports import Turn
from capture.model import AUTO, Control, Position, Value, format_value
from capture.view import panel

UNITS = st.sampled_from(("dB", "ms", "s", ":1", "%"))
NAMES = ("threshold_db", "attack_ms", "release_s", "ratio", "mix_percent", "make_up_gain_db")
VALUES = st.floats(-100, 100).map(lambda value: round(value, 2) + 0.0)


@st.composite
def stepped(draw: st.DrawFn, name: str) -> Turn:
    values: list[Value] = list(draw(st.lists(VALUES, min_size=1, max_size=25, unique=True)))
    if draw(st.booleans()):
        values.append(AUTO)
    control = Control(name, draw(UNITS), tuple(Position(format_value(v), v) for v in values))
    known = st.sampled_from(values)
    return Turn(control, draw(st.none() | known), draw(known))


@st.composite
def continuous(draw: st.DrawFn, name: str) -> Turn:
    low, high = sorted(draw(st.lists(VALUES, min_size=2, max_size=2, unique=True)))
    places = st.floats(low, high).map(lambda value: min(high, max(low, round(value, 2))) + 0.0)
    control = Control(name, draw(UNITS), minimum=low, maximum=high)
    return Turn(control, draw(st.none() | places), draw(places))


@st.composite
def panels(draw: st.DrawFn) -> list[Turn]:
    count = draw(st.integers(1, len(NAMES)))
    return [draw(stepped(name) | continuous(name)) for name in NAMES[:count]]


def drawn(turns: list[Turn], width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    with console.capture() as found:
        console.print(panel.prompt([t for t in turns if t.before != t.after], turns, width))
    return found.get()


def rows_of(text: str, turn: Turn, turns: list[Turn]) -> list[str]:
    """The lines of the drawing that are this control's."""
    drawing = text.split("[stays here]\n\n")[1].rstrip("\n").splitlines()
    heads = [f"    {panel.title(other.control)} " for other in turns]
    starts = [i for i, line in enumerate(drawing) if line.startswith(tuple(heads))]
    assert len(starts) == len(turns)
    own = turns.index(turn)
    return drawing[starts[own] : [*starts, len(drawing)][own + 1]]


@given(panels().filter(lambda turns: any(t.before != t.after for t in turns)))
def test_each_control_is_drawn_and_marked_where_it_stands_and_is_to_stand(
    turns: list[Turn],
) -> None:
    text = drawn(turns, 80)
    assert text.isascii()
    assert all(len(line) <= 80 for line in text.splitlines())
    for turn in turns:
        rows = " ".join(rows_of(text, turn, turns))
        after = panel.label(turn.control, turn.after)
        moves = turn.before != turn.after
        assert rows.count(f">{after}<") == moves
        assert rows.count(f"[{after}]") == (not moves)
        if turn.before is not None and moves:
            assert rows.count(f"({panel.label(turn.control, turn.before)})") == 1
        if turn.control.stepped:
            for position in turn.control.positions:
                assert position.label in rows.replace(">", " ").replace("<", " ")
    changing = [turn for turn in turns if turn.before != turn.after]
    said = text.split("the panel:")[0]
    for turn in turns:
        assert (f"    {panel.title(turn.control)} " in said) == (turn in changing)


@given(continuous("threshold_db").filter(lambda turn: turn.before != turn.after))
def test_a_pointer_stands_below_its_place_on_the_scale(turn: Turn) -> None:
    scale, *pointers = rows_of(drawn([turn], 80), turn, [turn])
    first, last = scale.index("+"), scale.rindex("+")
    places = [value for value in (turn.before, turn.after) if value is not None]
    assert len(pointers) == len(places)
    for pointer, value in zip(pointers, places, strict=True):
        assert isinstance(value, float)
        share = (value - turn.control.minimum) / (turn.control.maximum - turn.control.minimum)
        assert abs(pointer.index("^") - (first + share * (last - first))) <= 0.5 + 1e-6


@given(panels().filter(lambda turns: any(t.before != t.after for t in turns)), st.integers(20, 79))
def test_a_narrow_terminal_loses_nothing(turns: list[Turn], width: int) -> None:
    text = "".join(drawn(turns, width).split())
    for turn in turns:
        after = panel.label(turn.control, turn.after)
        assert (f">{after}<" if turn.before != turn.after else f"[{after}]") in text


def test_labels_and_units_are_those_of_the_panel() -> None:
    clock = Control("mix_percent", "%", (Position("noon", 50.0), Position("3 o'clock", 75.0)))
    release = Control("release_s", "s", (Position("1.2", 1.2), Position("AUTO", AUTO)))
    ratio = Control("ratio", ":1", (Position("4", 4.0),))
    threshold = Control("threshold_db", "dB", minimum=-28.0, maximum=12.0)
    said = panel.short(
        [
            Turn(clock, 50.0, 75.0),
            Turn(release, AUTO, 1.2),
            Turn(ratio, None, 4.0),
            Turn(threshold, -28.0, 1.5),
        ]
    )
    assert said == (
        "MIX noon -> 3 o'clock; RELEASE AUTO -> 1.2 s; RATIO ? -> 4:1; THRESHOLD -28 dB -> 1.5 dB"
    )
