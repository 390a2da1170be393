"""Whatever comes over the bus, the driver ends in a fault that says so, and in nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import HardwareFault
from capture.hardware.knobs.dynamixel import DynamixelKnobs
from tests.knobs.dynamixel.test_transcripts import AT_4, RATIO, section
from tests.knobs.script import Babbler


def crc(data: bytes) -> bytes:
    """The packet's end, bit by bit: CRC-16 with the polynomial 0x8005, from 0."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
    return value.to_bytes(2, "little")


def packet(start: bytes, length: int, rest: bytes) -> bytes:
    body = b"\xff\xff\xfd\x00" + start + length.to_bytes(2, "little") + rest
    return body + crc(body)


@pytest.fixture(scope="module")
def babbler() -> Iterator[Babbler]:
    found = Babbler()
    yield found
    found.close()


@pytest.fixture(scope="module")
def knobs(babbler: Babbler) -> Iterator[DynamixelKnobs]:
    odd = [0.0, -11111.1, 90.0]  # an angle that no answer hits by chance
    facts = section(babbler.path, answer_s=0.005, within_s=0.0, at_deg=odd)
    driver = DynamixelKnobs(facts, [RATIO])
    yield driver
    driver.close()


RESTS = st.binary(max_size=10) | st.binary(max_size=9).map(lambda data: b"\x55" + data)
SOUND = st.builds(lambda rest: packet(b"\x01", len(rest) + 2, rest), RESTS)
ODD = st.builds(packet, st.binary(min_size=1, max_size=1), st.integers(0, 20), RESTS)


@given(answer=SOUND | ODD | st.binary(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_answer_ends_in_a_fault(babbler: Babbler, knobs: DynamixelKnobs, answer: bytes) -> None:
    babbler.answer = answer
    with pytest.raises(HardwareFault, match=r"^ratio: "):
        knobs.set(AT_4)
