"""The manifests' rows as models, and the JSON Schema of each version of them.

A version's schema is a file in ``schemas/`` that never changes. The columns of controls depend on
the rig; all others are fixed. Absent is null, in every column.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, create_model

from capture.dataset import columns
from capture.dataset.columns import Columns
from capture.dataset.folder import SCHEMA_VERSION

KINDS: dict[str, Any] = {
    "string": str | None,
    "int64": int | None,
    "double": float | None,
    "bool": bool | None,
}
CONTROLLED = ("takes", "settings", "visits")
"""The tables that have columns of the rig's controls besides."""


def fixed_columns() -> dict[str, Columns]:
    """By table, the columns that do not depend on the rig, in order."""
    return {
        "takes": columns.take_columns(()),
        "songs": columns.SONG_COLUMNS,
        "settings": columns.SETTING_COLUMNS,
        "calibrations": columns.CALIBRATION_COLUMNS,
        "laws": columns.LAW_COLUMNS,
        "law_steps": columns.LAW_STEP_COLUMNS,
        "enrolments": columns.ENROLMENT_COLUMNS,
        "fingerprints": columns.FINGERPRINT_COLUMNS,
        "anchors": columns.ANCHOR_COLUMNS,
        "sessions": columns.SESSION_COLUMNS,
        "releases": columns.RELEASE_COLUMNS,
        "references": columns.REFERENCE_COLUMNS,
        "visits": columns.VISIT_COLUMNS,
    }


@cache
def model(table: str) -> type[BaseModel]:
    """The model of a table's rows: strict; what a control is called is the rig's business."""
    fields = {name: (KINDS[kind], ...) for name, kind in fixed_columns()[table].items()}
    extra = "allow" if table in CONTROLLED else "forbid"
    config = ConfigDict(strict=True, extra=extra, allow_inf_nan=False)
    return create_model(f"{table}_row", __config__=config, **cast(dict[str, Any], fields))


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of all tables, as ``schemas/VERSION.json`` has it."""
    tables: dict[str, Any] = {}
    for name in fixed_columns():
        found = model(name).model_json_schema()
        del found["title"]
        found["properties"] = {
            column: {"type": [one["type"] for one in said["anyOf"]]}
            for column, said in found["properties"].items()
        }
        if name in CONTROLLED:  # a control's number, whether it is auto, what was read back
            found["additionalProperties"] = {"type": ["number", "boolean", "null"]}
        tables[name] = found
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "capture manifests",
        "schema_version": SCHEMA_VERSION,
        "$defs": tables,
    }
