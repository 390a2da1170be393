"""What the frozen documents of a version say: whose it is, and where its knobs can stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capture.dataset.snapshot import Row, Snapshot
from capture.documents import read
from capture.errors import BadInput, DamagedData
from capture.hardware.profile import RigProfile
from capture.model import Control, Value
from capture.plan.spec import AboutSpec, PlanSpec

NOT_STATED = "not stated"


def about(found: Snapshot) -> AboutSpec:
    """What the plan says of the dataset as a whole. Raises DamagedData."""
    try:
        return read(*_document(found, "plan")).check(PlanSpec).about
    except BadInput as error:
        raise DamagedData(*error.messages) from None


def controls(found: Snapshot) -> dict[str, Control]:
    """The rig's controls by name. Raises DamagedData."""
    try:
        profile = read(*_document(found, "rig")).check(RigProfile)
    except BadInput as error:
        raise DamagedData(*error.messages) from None
    return {control.name: control for control in profile.control_values}


def _document(found: Snapshot, kind: str) -> tuple[str, str]:
    folder = found.root if found.version is None else found.folder
    path = folder / f"{kind}.yaml"
    try:
        return path.read_text("utf-8"), str(path)
    except (OSError, ValueError) as error:
        raise DamagedData(f"{path}: cannot be read: {error}") from None


def bounds(control: Control) -> tuple[float, float]:
    """Its least and its largest number; ``auto`` is none."""
    if not control.stepped:
        return control.minimum, control.maximum
    values = _numbers(control)
    return min(values), max(values)


def travel(control: Control, value: Value) -> float:
    """How far a knob is turned, 0 to 1: stepped ones by the position, without ``auto``."""
    if not control.stepped:
        low, high = bounds(control)
        return (float(value) - low) / (high - low)  # pyright: ignore[reportArgumentType]
    values = _numbers(control)
    return values.index(value) / max(len(values) - 1, 1)  # pyright: ignore[reportArgumentType]


def _numbers(control: Control) -> list[float]:
    """The positions that are numbers, in panel order."""
    return [p.value for p in control.positions if isinstance(p.value, float)]


def knobs(take: Row, names: list[str]) -> Mapping[str, float]:
    """The setting as floats: 0 where the number is absent as the control stands at ``auto``, whose
    column is then 1. Loaders that turn a label into a float lose nothing of it."""
    return {name: float(take[name] or 0) for name in names}


def card(found: Snapshot, head: Mapping[str, Any], path: Path) -> None:
    """A README.md: ``head`` as its YAML (JSON is YAML), and what the plan states."""
    told = about(found)
    version = f"release {found.version}" if found.version else "as captured so far, not a release"
    title = told.title or found.identity.get("name") or NOT_STATED
    front: dict[str, Any] = {"pretty_name": title, **head}
    if told.license and "/" not in told.license:
        front["license"] = told.license.lower()
    lines = [
        "---", *(f"{key}: {json.dumps(value)}" for key, value in front.items()), "---",
        f"# {title}", "",
        told.description or "", "",
        f"- version: {version}, dataset {found.identity.get('dataset_id')}",
        f"- creators: {', '.join(told.creators) or NOT_STATED}",
        f"- licence: {told.license or NOT_STATED}",
        f"- citation: {told.citation or NOT_STATED}",
        "",
    ]  # fmt: skip
    path.write_text("\n".join(lines), "utf-8", newline="\n")
