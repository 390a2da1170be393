"""The manifests' schema: what a version says, it says for ever."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from capture.dataset import schema
from capture.dataset.folder import SCHEMA_VERSION
from tests.session.conftest import Desk

SCHEMAS = Path(schema.__file__).parent / "schemas"
FROZEN = {1: "9db12c57a54b361ca395ff0d7d7d75a78c909abecadeb8f9a148b1c4f9bd36fe"}
"""The SHA-256 of the schema of each version that is no more written."""


def stored(version: int) -> Any:
    return json.loads((SCHEMAS / f"{version}.json").read_text("utf-8"))


def test_the_schema_of_today_is_the_one_that_is_committed() -> None:
    """Whoever changes a column makes a new version, an upgrade to it, and a golden dataset."""
    assert schema.json_schema() == stored(SCHEMA_VERSION)


def test_there_is_a_schema_and_a_golden_dataset_of_every_version() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {
        str(version) for version in range(1, SCHEMA_VERSION + 1)
    }
    golden = Path(__file__).parent.parent / "golden"
    for version in range(1, SCHEMA_VERSION + 1):
        identity = json.loads((golden / f"v{version}/dataset.json").read_text("utf-8"))
        assert identity["schema_version"] == version


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_older_schemas_never_change(version: int) -> None:
    text = (SCHEMAS / f"{version}.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == FROZEN[version]


def test_every_row_of_a_dataset_is_as_its_model_says(desk: Desk) -> None:
    desk.ok("release", "d", "1.0.0")
    for folder in ("manifest", "releases/1.0.0"):
        for path in sorted((desk.folder / "d" / folder).glob("*.parquet")):
            for row in pq.read_table(path).to_pylist():
                schema.model(path.stem).model_validate(row)
    assert {path.stem for path in (desk.folder / "d/manifest").glob("*.parquet")} == set(
        schema.fixed_columns()
    )


@pytest.mark.parametrize(
    ("table", "cells"),
    [
        ("songs", {"num_frames": 1.5}),
        ("songs", {"peak_dbfs": float("nan")}),
        ("songs", {"another": 1}),
        ("takes", {"take_id": 5}),
    ],
    ids=["fraction", "nan", "strange", "number"],
)
def test_a_row_that_is_not_so_is_refused(table: str, cells: dict[str, Any]) -> None:
    row: dict[str, Any] = dict.fromkeys(schema.fixed_columns()[table])
    schema.model(table).model_validate(row)
    with pytest.raises(ValidationError):
        schema.model(table).model_validate(row | cells)
