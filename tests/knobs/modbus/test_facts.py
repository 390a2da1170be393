"""The section ``modbus`` of a rig profile: from a position to what the wire says, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.documents import Strict, read
from capture.errors import BadInput
from capture.hardware.modbus_facts import ModbusControl, ModbusFacts
from capture.model import Control
from tests.knobs.modbus.conftest import ATTACK, CONTROLS, MOTOR, RATIO, control

WORDS = st.integers(0, 65535)


class Rig(Strict):
    modbus: ModbusFacts


def parse(text: str) -> ModbusFacts:
    return read(text, "rig.yaml").check(Rig).modbus


def said(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse(text)
    return str(caught.value)


def messages(registers: dict[str, Any], *controls: Control) -> list[str]:
    facts = ModbusFacts.model_validate({"port": {"vid_pid": "1a86:7523"}, "registers": registers})
    return [
        f"{'.'.join(map(str, fault.path))}: {fault.message}" for fault in facts.faults(controls)
    ]


def numbered(count: int) -> Control:
    return control("ratio", *map(float, range(count)))


def round_the_circle(a: int, b: int) -> int:
    """How many steps of a counter that wraps lie between ``a`` and ``b``, counted one by one."""
    low, high = sorted((a, b))
    return min(high - low, 65536 - high + low)


@given(
    values=st.lists(WORDS, min_size=1, max_size=12),
    tolerance=st.integers(0, 200),
    found=WORDS,
)
def test_positions_and_registers_map_both_ways(
    values: list[int], tolerance: int, found: int
) -> None:
    """Sound facts name one position at most for what is read, and it is the near one."""
    read_back = {"input_register": 32, "tolerance": tolerance}
    data = {"unit": 1, "holding_register": 16, "values": values, "read": read_back}
    facts = ModbusControl.model_validate(data)
    near = [n for n, value in enumerate(values) if round_the_circle(value, found) <= tolerance]
    clash = any(
        round_the_circle(a, b) <= 2 * tolerance for n, a in enumerate(values) for b in values[:n]
    )
    assert bool(messages({"ratio": data}, numbered(len(values)))) == clash
    if clash:
        return
    assert [facts.index(value) for value in values] == list(range(len(values)))
    assert facts.index(found) == (near[0] if near else None)
    for index, value in enumerate(values):
        assert facts.index((value + tolerance) % 65536) == index
        assert facts.index((value - tolerance) % 65536) == index


@given(st.lists(st.integers(0, 1999), min_size=1, max_size=12))
def test_positions_and_coils_map_both_ways(coils: list[int]) -> None:
    data = {"unit": 1, "coils": coils}
    facts = ModbusControl.model_validate(data)
    same = len(set(coils)) < len(coils)
    assert bool(messages({"ratio": data}, numbered(len(coils)))) == same
    if not same:
        assert [facts.index(coil) for coil in coils] == list(range(len(coils)))
        assert {facts.index(coil) for coil in set(range(2000)) - set(coils)} == {None}


def test_a_whole_section_is_read() -> None:
    facts = parse(
        """
        modbus:
          port: {vid_pid: "1A86:7523"}
          baud: 19200
          parity: N
          stop_bits: 2
          settle_s: 0.1
          registers:
            ratio: {unit: 1, holding_register: 0x10, values: [0, 1, 2]}
            attack_ms: {unit: 2, coils: [0, 1, 2, 3, 4, 5]}
            makeup_db:
              unit: 1
              holding_register: 20
              values: [0, 500, 1000]
              read: {input_register: 32, tolerance: 2, within_s: 10}
        """
    )
    assert facts.registers["ratio"] == ModbusControl.model_validate(RATIO)
    assert facts.registers["attack_ms"] == ModbusControl.model_validate(ATTACK)
    assert facts.registers["makeup_db"] == ModbusControl.model_validate(MOTOR)
    assert facts.faults(list(CONTROLS.values())) == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{unit: 1}", "give either holding_register and values, or coils"),
        (
            "{unit: 1, holding_register: 1, values: [1], coils: [1]}",
            "give either holding_register and values, or coils",
        ),
        ("{unit: 1, holding_register: 1}", "holding_register and values belong together"),
        (
            "{unit: 1, coils: [0], read: {input_register: 1}}",
            "read belongs to a holding_register",
        ),
        ("{unit: 1, coils: [0, 2000]}", "coils must lie within 2000"),
        ("{unit: 0, coils: [0]}", "unit: must be greater than or equal to 1, not 0"),
        ("{unit: 248, coils: [0]}", "unit: must be less than or equal to 247, not 248"),
        ("{unit: 1, coils: []}", "should have at least 1 item"),
        ("{unit: 1, holding_register: 65536, values: [1]}", "must be less than or equal to 65535"),
        ("{unit: 1, coils: [0], koils: [1]}", "registers.ratio.koils: unknown key"),
    ],
)
def test_what_makes_no_sense_is_refused(entry: str, words: str) -> None:
    line = f"modbus: {{port: {{path: /dev/serial/by-id/x}}, registers: {{ratio: {entry}}}}}"
    assert words in said(line)


def test_a_parity_that_does_not_exist() -> None:
    assert "modbus.parity: must be 'N', 'E' or 'O', not \"M\"" in said(
        "modbus: {port: {path: /dev/serial/by-id/x}, parity: M, registers: {}}"
    )


def test_all_that_does_not_fit_the_controls_is_told_at_once() -> None:
    close = MOTOR | {"values": [0, 4, 1000]}
    registers = {
        "ratoi": RATIO,
        "ratio": RATIO | {"values": [0, 1]},
        "attack_ms": ATTACK | {"unit": 1, "coils": [0, 1, 2, 3, 4, 4]},
        "makeup_db": close,
    }
    knee = control("knee_db", 0.0, 6.0)
    assert messages(registers, *CONTROLS.values(), knee) == [
        "modbus.registers.ratoi: there is no control 'ratoi' with the driver modbus; did you mean "
        "'ratio'?",
        "modbus.registers: says nothing of knee_db, whose driver is modbus; give it an entry",
        "modbus.registers.ratio.values: has 2, one for each position, but ratio has 3 positions: "
        "2, 4, 10",
        "modbus.registers.attack_ms.coils: cannot tell 10 and 30 apart: 4 and 4",
        "modbus.registers.makeup_db.values: cannot tell 0 and 5 apart: 0 and 4 within a tolerance "
        "of 2",
        "modbus.registers.ratio: holding register 16 of unit 1 is that of ratoi already",
    ]


def test_two_controls_do_not_share_a_relay() -> None:
    registers = {"ratio": {"unit": 2, "coils": [5, 6, 7]}, "attack_ms": ATTACK}
    assert messages(registers, CONTROLS["ratio"], CONTROLS["attack_ms"]) == [
        "modbus.registers.attack_ms: coil 5 of unit 2 is that of ratio already"
    ]
    registers["attack_ms"] = ATTACK | {"unit": 3}
    assert messages(registers, CONTROLS["ratio"], CONTROLS["attack_ms"]) == []


def test_a_range_needs_steps_that_can_be_listed() -> None:
    free = Control("ratio", ":1", minimum=1.0, maximum=10.0)
    assert messages({"ratio": RATIO}, free) == [
        "modbus.registers.ratio.values: has 3, one for each position, but ratio has too many to "
        "list: 1 to 10"
    ]
    stepped = Control("ratio", ":1", minimum=2.0, maximum=4.0, step=1.0)
    assert messages({"ratio": RATIO}, stepped) == []
