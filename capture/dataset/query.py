"""Which rows of a table: a small language over its columns, with no code in it.

    ratio >= 4, release_s = 0.1|auto, setting_split != reference

Conditions with commas between them, all of which must hold. Each is a column, one of
``= != < <= > >=``, and a value; after ``=`` and ``!=`` also several, with ``|`` between them, of
which one must be. A value is a number, a text, ``true`` or ``false``, ``auto`` for a control that
has it, or ``null``. Nothing is larger or smaller than what is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.documents import nearest
from capture.errors import BadInput
from capture.model import base_name

CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(!=|<=|>=|==|=|<|>)\s*(.+?)\s*", re.ASCII)
COMPARE = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
TRUTH = {"true": True, "false": False}
FORM = "it must be COLUMN = VALUE; the signs are = != < <= > >=, and | between values"


def mask(table: Any, query: str) -> Any:
    """For each row of the pyarrow.Table, whether it is as ``query`` says: a boolean array.

    Raises BadInput with everything that is wrong in it.
    """
    pa = pyarrow()
    faults: list[str] = []
    masks: list[Any] = []
    for text in query.split(","):
        try:
            masks.append(_condition(table, text))
        except BadInput as error:
            faults += error.messages
    if faults:
        raise BadInput(*faults)
    found = masks[0]
    for other in masks[1:]:
        found = pa.compute.and_(found, other)
    return found


def _condition(table: Any, text: str) -> Any:
    parsed = CONDITION.fullmatch(text)
    if parsed is None:
        raise BadInput(f"'{text.strip()}' is no condition: {FORM}")
    name, sign, values = parsed.groups()
    if name not in table.column_names:
        raise BadInput(f"there is no column {name}{nearest(name, table.column_names)}")
    if sign in COMPARE:
        return _compared(table, name, sign, values)
    pa = pyarrow()
    matches = [_equal(table, name, value.strip()) for value in values.split("|")]
    found = matches[0]
    for other in matches[1:]:
        found = pa.compute.or_(found, other)
    return pa.compute.invert(found) if sign == "!=" else found


def _compared(table: Any, name: str, sign: str, text: str) -> Any:
    pa = pyarrow()
    column = table[name]
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise BadInput(f"{name} {sign} {text}: {name} is no number; use = or !=")
    compare: Callable[..., Any] = getattr(pa.compute, COMPARE[sign])
    return compare(column, _number(name, text)).fill_null(False)


def _equal(table: Any, name: str, text: str) -> Any:
    """Whether each row has this one value. Never null."""
    pa = pyarrow()
    column = table[name]
    flag = f"{base_name(name)}_auto"
    if text == "null":
        return column.is_null()
    if text == "auto" and flag in table.column_names:
        return table[flag].fill_null(False)
    if pa.types.is_boolean(column.type):
        if text not in TRUTH:
            raise BadInput(f"{name} = {text}: {name} is true or false")
        return pa.compute.equal(column, TRUTH[text]).fill_null(False)
    value = text if pa.types.is_string(column.type) else _number(name, text)
    return pa.compute.equal(column, pa.scalar(value)).fill_null(False)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{name}: '{text}' is not a number") from None
