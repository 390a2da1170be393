"""What the knob drivers' sections have in common: an entry for each control that they turn."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from capture.documents import nearest
from capture.errors import Fault, KeyPath
from capture.model import Control, format_value


def misnamed(
    path: KeyPath, driver: str, entries: Collection[str], controls: Collection[str]
) -> Iterator[Fault]:
    """``entries`` that are none of the ``controls`` with this driver; controls without an entry."""
    for name in entries:
        if name not in controls:
            message = f"there is no control '{name}' with the driver {driver}"
            yield Fault((*path, name), message + nearest(name, controls))
    for name in controls:
        if name not in entries:
            yield Fault(path, f"says nothing of {name}, whose driver is {driver}; give it an entry")


def miscounted(path: KeyPath, given: Sequence[object], control: Control) -> Iterator[Fault]:
    """``given`` that does not have one for each position of ``control``."""
    if len(given) != control.count:
        wanted = f"{control.count} positions" if control.count else "too many to list"
        message = f"has {len(given)}, one for each position, but {control.name} has {wanted}"
        yield Fault(path, f"{message}: {control.allowed}")


def named(control: Control, *indexes: int) -> str:
    """Positions by their numbers: ``2 and 4``."""
    return " and ".join(format_value(control.value_at(index)) for index in indexes)
