"""Controls and sections of a rig profile for the tests."""

from __future__ import annotations

from typing import Any

from capture.hardware.modbus_facts import ModbusFacts
from capture.model import Control, Position, Setting, Value, format_value

RATIO: dict[str, Any] = {"unit": 1, "holding_register": 16, "values": [0, 1, 2]}
ATTACK: dict[str, Any] = {"unit": 2, "coils": [0, 1, 2, 3, 4, 5]}
MOTOR: dict[str, Any] = {
    "unit": 1,
    "holding_register": 20,
    "values": [0, 500, 1000],
    "read": {"input_register": 32, "tolerance": 2},
}


def control(name: str, *values: Value) -> Control:
    return Control(name, "", tuple(Position(format_value(v), v) for v in values))


CONTROLS = {
    "attack_ms": control("attack_ms", 0.1, 0.3, 1.0, 3.0, 10.0, 30.0),
    "ratio": control("ratio", 2.0, 4.0, 10.0),
    "makeup_db": control("makeup_db", 0.0, 5.0, 10.0),
}


def section(port: str, registers: dict[str, Any], **changes: Any) -> ModbusFacts:
    """The section ``modbus`` for some of ``CONTROLS``, which it fits; nothing settles."""
    data = {"port": {"path": port}, "settle_s": 0.0, "registers": registers}
    facts = ModbusFacts.model_validate(data | changes)
    assert facts.faults([CONTROLS[name] for name in registers]) == []
    return facts


def at(**values: Value) -> Setting:
    return Setting(values)
