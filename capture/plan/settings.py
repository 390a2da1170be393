"""Which settings a plan asks for: grid, exclusions, extras. Pure and deterministic.

The grid is a product: cell *n* is computed alone, from the mixed-radix digits of n. Random extras
are drawn by hashing (seed, draw number) to a cell of the rig's whole product and passing over
cells that are taken. So a draw depends on nothing but the seed and the rig, and asking for more
extras, or for a grid that grows elsewhere, leaves those drawn before as they were.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from capture.documents import nearest
from capture.errors import Fault, KeyPath
from capture.model import Control, Setting, Value, format_value
from capture.plan.spec import ExcludeSpec, PlanSpec

MAX_SETTINGS = 1_000_000
"""No plan has more: at ten seconds each that would be four months for one song."""
COUNT_LIMIT = 2_000_000
"""Above so many cells they are not counted one by one."""
DRAWS_PER_CELL = 200
"""Far more draws than all cells need: the last of n comes after about n ln n draws."""
DRAWS_AT_LEAST = 100_000
"""Where the cells were not counted: enough to find one free cell in a few thousand."""


@dataclass(frozen=True)
class Product:
    """All combinations of some values per control; the last control varies fastest."""

    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    def __len__(self) -> int:
        return math.prod(len(values) for values in self.values)

    def __getitem__(self, index: int) -> Setting:
        chosen: dict[str, Value] = {}
        for name, values in zip(reversed(self.names), reversed(self.values), strict=True):
            index, digit = divmod(index, len(values))
            chosen[name] = values[digit]
        return Setting(chosen)

    def __iter__(self) -> Iterator[Setting]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, setting: object) -> bool:
        return (
            isinstance(setting, Setting)
            and len(setting) == len(self.names)
            and all(setting.get(n) in v for n, v in zip(self.names, self.values, strict=True))
        )


@dataclass(frozen=True)
class Excluded:
    """What one entry of ``exclude`` leaves out of the grid."""

    reason: str
    settings: int


@dataclass(frozen=True)
class Chosen:
    """The settings of a plan, in listed order: the grid's cells, then the extras.

    ``whole`` is true if the grid is a full product and there is nothing besides it; then no list
    of its cells is kept.
    """

    grid: Product
    kept: tuple[Setting, ...] | None
    extras: tuple[Setting, ...]
    excluded: tuple[Excluded, ...]

    @property
    def whole(self) -> bool:
        return self.kept is None and not self.extras

    @functools.cached_property
    def grid_count(self) -> int:
        return len(self.grid) if self.kept is None else len(self.kept)

    def __len__(self) -> int:
        return self.grid_count + len(self.extras)

    def __iter__(self) -> Iterator[Setting]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Setting:
        if index >= self.grid_count:
            return self.extras[index - self.grid_count]
        return self.grid[index] if self.kept is None else self.kept[index]

    def is_extra(self, index: int) -> bool:
        return index >= self.grid_count


def excludes(entries: Sequence[ExcludeSpec], setting: Setting) -> int | None:
    """The index of the first entry that leaves ``setting`` out."""
    for index, entry in enumerate(entries):
        if all(setting.get(name) in values for name, values in entry.when.items()):
            return index
    return None


def faults(spec: PlanSpec, controls: Sequence[Control]) -> list[Fault]:
    """Everything in the plan that the rig's controls cannot do, and settings asked for twice."""
    known = {control.name: control for control in controls}
    found: list[Fault] = []
    for name, values in spec.grid.items():
        for index, value in enumerate(values):
            found += _position_faults(known, name, value, ("grid", name), index)
            if value in values[:index]:
                message = f"{format_value(value)} is listed twice"
                found.append(Fault(("grid", name, index), message))
    found += _missing(known, spec.grid, ("grid",))
    cells = math.prod(map(len, spec.grid.values()))
    if cells > MAX_SETTINGS:
        found.append(
            Fault(("grid",), f"has {cells:,} cells; at most {MAX_SETTINGS:,} are possible")
        )
    for number, entry in enumerate(spec.exclude):
        for name, values in entry.when.items():
            for index, value in enumerate(values):
                path = ("exclude", number, "when", name)
                found += _position_faults(known, name, value, path, index)
    if spec.reference:
        found += _cell_faults(known, spec.reference.setting, ("reference", "setting"))
    return found + _extra_faults(spec, known)


def choose(spec: PlanSpec, controls: Sequence[Control]) -> Chosen | list[Fault]:
    """The settings of a plan without ``faults``; or why the extras cannot be drawn."""
    grid = Product(tuple(spec.grid), tuple(tuple(values) for values in spec.grid.values()))
    kept: tuple[Setting, ...] | None = None
    excluded: tuple[Excluded, ...] = ()
    if spec.exclude:
        marks = [(setting, excludes(spec.exclude, setting)) for setting in grid]
        kept = tuple(setting for setting, mark in marks if mark is None)
        excluded = tuple(
            Excluded(entry.reason, sum(mark == number for _, mark in marks))
            for number, entry in enumerate(spec.exclude)
        )
    extras: tuple[Setting, ...] = ()
    if spec.extra and spec.extra.settings:
        extras = tuple(Setting(cell) for cell in spec.extra.settings)
    elif spec.extra and spec.extra.random:
        drawn = _draw(spec, controls, grid)
        if isinstance(drawn, Fault):
            return [drawn]
        extras = drawn
    chosen = Chosen(grid, kept, extras, excluded)
    if len(chosen) == 0:
        return [Fault(("exclude",), "leaves no setting at all")]
    return chosen


def _draw(
    spec: PlanSpec, controls: Sequence[Control], grid: Product
) -> tuple[Setting, ...] | Fault:
    """Random extras, or why there cannot be so many."""
    assert spec.extra is not None
    assert spec.extra.random is not None
    count = spec.extra.random.count
    here: KeyPath = ("extra", "random")
    endless = [control.name for control in controls if not control.count]
    if endless:
        names = ", ".join(endless)
        message = f"cannot draw from {names}: the rig gives a range without steps to count"
        return Fault(here, message)
    cells = _cells(controls)
    total = math.prod(map(len, cells.values))  # may be more than len() can say

    def free(setting: Setting) -> bool:
        return setting not in grid and excludes(spec.exclude, setting) is None

    available, draws = total - len(grid), DRAWS_PER_CELL * total
    if spec.exclude and total <= COUNT_LIMIT:
        available = sum(free(setting) for setting in cells)
    elif spec.exclude:
        draws = DRAWS_PER_CELL * count + DRAWS_AT_LEAST
    if count > available:
        message = f"{count} is more than the {available} settings outside the grid"
        return Fault((*here, "count"), message)
    taken: dict[Setting, None] = {}
    for number in range(draws):
        digest = hashlib.sha256(f"extra:{spec.extra.random.seed}:{number}".encode()).digest()
        setting = cells[int.from_bytes(digest[:16], "big") % total]
        if setting not in taken and free(setting):
            taken[setting] = None
            if len(taken) == count:
                return tuple(taken)
    return Fault((*here, "count"), f"{count} settings cannot be found outside the grid")


def _cells(controls: Sequence[Control]) -> Product:
    """All settings of a rig, in an order that does not depend on the order of its controls."""
    ordered = sorted(controls, key=lambda control: control.name)
    return Product(
        tuple(control.name for control in ordered),
        tuple(tuple(map(control.value_at, range(control.count))) for control in ordered),
    )


def _position_faults(
    known: Mapping[str, Control], name: str, value: Value, path: KeyPath, index: int | None
) -> list[Fault]:
    here = path if index is None else (*path, index)
    if name not in known:
        message = f"the rig has no control of this name{nearest(name, known)}"
        return [Fault(path, message)] if not index else []
    control = known[name]
    if control.place(value) is not None:
        return []
    message = f"{format_value(value)} is no position of this rig's {name}; it has {control.allowed}"
    return [Fault(here, message)]


def _missing(
    known: Mapping[str, Control], cell: Mapping[str, object], path: KeyPath
) -> list[Fault]:
    return [
        Fault(path, f"{name} is missing: say where this control stands ({control.allowed})")
        for name, control in known.items()
        if name not in cell
    ]


def _cell_faults(
    known: Mapping[str, Control], cell: Mapping[str, Value], path: KeyPath
) -> list[Fault]:
    found = _missing(known, cell, path)
    for name, value in cell.items():
        found += _position_faults(known, name, value, (*path, name), None)
    return found


def _extra_faults(spec: PlanSpec, known: Mapping[str, Control]) -> list[Fault]:
    """Listed extras that the rig lacks, that are cells of the grid, or excluded, or there twice."""
    if spec.extra is None:
        return []
    found: list[Fault] = []
    if (spec.extra.random is None) == (spec.extra.settings is None):
        found.append(Fault(("extra",), "must be either {random: {count, seed}} or a list"))
    grid = Product(tuple(spec.grid), tuple(tuple(values) for values in spec.grid.values()))
    seen: set[Setting] = set()
    for number, cell in enumerate(spec.extra.settings or ()):
        found += _cell_faults(known, cell, ("extra", number))
        setting = Setting(cell)
        mark = excludes(spec.exclude, setting)
        if setting in grid:
            found.append(Fault(("extra", number), "is a cell of the grid already; remove it"))
        elif setting in seen:
            found.append(Fault(("extra", number), "is listed twice; remove one"))
        elif mark is not None:
            found.append(Fault(("extra", number), f"is left out by exclude[{mark}]; remove one"))
        seen.add(setting)
    return found
