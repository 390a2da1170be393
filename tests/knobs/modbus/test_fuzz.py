"""Whatever comes over the line, the driver ends in a fault that says so, and in nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from capture.errors import HardwareFault
from capture.hardware.knobs.modbus import ModbusKnobs
from tests.knobs.modbus.conftest import ATTACK, CONTROLS, RATIO, at, section
from tests.knobs.script import Babbler


def crc(data: bytes) -> bytes:
    """The frame's end, bit by bit as in Modbus over Serial Line V1.02, 6.2.2."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


@pytest.fixture(scope="module")
def babbler() -> Iterator[Babbler]:
    found = Babbler()
    yield found
    found.close()


@pytest.fixture(scope="module")
def knobs(babbler: Babbler) -> Iterator[ModbusKnobs]:
    registers = {"ratio": RATIO, "attack_ms": ATTACK}
    facts = section(babbler.path, registers, baud=115200, answer_s=0.005)
    driver = ModbusKnobs(facts, list(CONTROLS.values()))
    yield driver
    driver.close()


FRAMES = st.builds(
    lambda unit, rest: unit + rest + crc(unit + rest),
    st.sampled_from([b"\x01", b"\x02"]),
    st.builds(
        lambda function, rest: bytes([function]) + rest,
        st.sampled_from([1, 3, 5, 6, 8, 0x2B, 0x81, 0x83, 0x86]) | st.integers(0, 255),
        st.binary(max_size=12),
    ),
)


@given(answer=FRAMES | st.binary(min_size=1, max_size=40))
@example(answer=b"\x01\x08\x00\x00")
@example(answer=b"\x01\x2b\x0e\x01\x01\x00\x00\x01")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_answer_ends_in_a_fault(babbler: Babbler, knobs: ModbusKnobs, answer: bytes) -> None:
    """No frame answers both the reading of a register and that of coils, in two units."""
    babbler.answer = answer
    with pytest.raises(HardwareFault) as caught:
        knobs.set(at(ratio=10.0, attack_ms=1.0))
    assert all(message.startswith(("ratio: ", "attack_ms: ")) for message in caught.value.messages)
