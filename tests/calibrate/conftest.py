"""The simulated rig with some of its facts changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ruamel.yaml import YAML

from capture import presets
from capture.documents import read
from tests.session.conftest import Desk, desk

__all__ = ["desk"]

Rack = Callable[..., str]


@pytest.fixture
def rack(desk: Desk) -> Rack:
    """Writes rack.yaml: ``rack({"calibration.drift_limit_db": 1})``; None takes a key out."""

    def make(changes: dict[str, Any]) -> str:
        data = read(presets.packaged("rig", "simulated"), "simulated.yaml").data
        for change, value in changes.items():
            *folders, name = change.split(".")
            place = data
            for folder in folders:
                place = place[folder]
            if value is None:
                del place[name]
            else:
                place[name] = value
        plain = json.loads(json.dumps(data, default=lambda value: value.value))
        with (desk.folder / "rack.yaml").open("w") as file:
            YAML().dump(plain, file)
        return "rack.yaml"

    return make
