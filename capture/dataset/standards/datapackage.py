"""``datapackage.json``: the release's CSV tables, each column with its type and meaning. Pure.

Source: datapackage.org, Data Package, Data Resource and Table Schema (version 2).
"""

from __future__ import annotations

import json
import re
from typing import Any

from capture.dataset import files
from capture.dataset.arrow import pyarrow
from capture.dataset.standards.facts import Facts
from capture.dataset.standards.meanings import FOREIGN, KEYS, TITLES, meaning

NAME = "datapackage.json"
TYPES = {"string": "string", "int64": "integer", "double": "number", "bool": "boolean"}

Json = dict[str, Any]


def text(facts: Facts) -> str:
    """The file's text."""
    about, identity = facts.about, facts.found.identity
    package: Json = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": re.sub(r"[^a-z0-9._-]+", "-", str(identity["name"]).lower()),
        "id": identity["dataset_id"],
        "version": facts.version,
        "created": facts.release["released_at"],
        "title": facts.name,
        "description": facts.description,
        "homepage": about.url,
        "keywords": about.keywords or None,
        "licenses": [_license(about.license)] if about.license else None,
        "contributors": [{"title": n, "roles": ["creator"]} for n in about.creators] or None,
        "resources": [_resource(facts, name) for name in facts.tables],
    }
    stated = {key: value for key, value in package.items() if value is not None}
    return json.dumps(stated, indent=1, allow_nan=False) + "\n"


def _license(text: str) -> Json:
    return {"path": text} if "://" in text else {"name": text}


def _resource(facts: Facts, name: str) -> Json:
    path = facts.found.folder / f"{name}.csv"
    schema = pyarrow().parquet.read_schema(path.with_suffix(".parquet"))
    table: Json = {
        "fields": [
            {"name": field.name, "type": TYPES[str(field.type)]} | _meaning(name, field.name)
            for field in schema
        ],
        "missingValues": [""],
    }
    if name in KEYS:
        table["primaryKey"] = list(KEYS[name])
    if name == "takes":
        table["foreignKeys"] = [_reference(other) for other in FOREIGN if other in facts.tables]
    return {
        "name": name,
        "title": TITLES[name],
        "type": "table",
        "path": path.relative_to(facts.found.root).as_posix(),
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{files.sha256(path)}",
        "schema": table,
    }


def _meaning(table: str, column: str) -> Json:
    said = meaning(table, column)
    return {"description": said} if said else {}


def _reference(table: str) -> Json:
    key = list(KEYS[table])
    return {"fields": key, "reference": {"resource": table, "fields": key}}
