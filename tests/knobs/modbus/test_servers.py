"""The driver against two implementations of Modbus that are not this project's.

Each is a program of its own at the other end of a pair of pseudo-terminals; both are the same
boards (``server_pymodbus.py`` says which) and pass the same tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from capture.errors import DeviceLost, HardwareFault
from capture.hardware.knobs.modbus import ModbusKnobs
from capture.hardware.modbus_facts import ModbusFacts
from tests.knobs.modbus.conftest import ATTACK, CONTROLS, MOTOR, RATIO, at, section
from tests.knobs.modbus.wire import Wire

STRANGER = {"unit": 9, "holding_register": 16, "values": [0, 1, 2]}


@pytest.fixture(scope="module", params=["server_pymodbus.py", "server_modbus_tk.py"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    wire = Wire(request.param, tmp_path_factory.mktemp("wire"))
    yield wire
    wire.close()


@pytest.fixture
def wire(server: Wire) -> Wire:
    """With a cable of its own."""
    server.unplug()
    server.plug()
    return server


@pytest.fixture
def knobs(wire: Wire) -> Iterator[Callable[..., ModbusKnobs]]:
    opened: list[ModbusKnobs] = []

    def make(answer_s: float = 5.0, **registers: Any) -> ModbusKnobs:
        facts: ModbusFacts = section(wire.path, registers, baud=115200, answer_s=answer_s)
        opened.append(ModbusKnobs(facts, list(CONTROLS.values())))
        return opened[-1]

    yield make
    for driver in opened:
        driver.close()


def test_every_position_is_written_and_read_back(
    knobs: Callable[..., ModbusKnobs], wire: Wire
) -> None:
    driver = knobs(ratio=RATIO, attack_ms=ATTACK)
    for ratio, attack_ms in zip(
        (2.0, 10.0, 4.0) * 2, (30.0, 0.1, 3.0, 0.3, 1.0, 10.0), strict=True
    ):
        setting = at(ratio=ratio, attack_ms=attack_ms)
        proof = driver.set(setting)
        assert (proof.confirmed, proof.position) == ("read_back", setting)
        assert driver.verify(setting).position == setting
    with pytest.raises(HardwareFault) as caught:
        driver.verify(at(ratio=2.0, attack_ms=0.1))
    assert len(caught.value.messages) == 2
    assert wire.tapped[-1] == ("01 03 00 10 00 01 85 cf", "01 03 02 00 01 79 84")
    assert wire.tapped[-2][1].startswith("02 01 01 10 ")


def test_a_motor_arrives(knobs: Callable[..., ModbusKnobs], wire: Wire) -> None:
    driver = knobs(makeup_db=MOTOR)
    assert driver.set(at(makeup_db=10.0)).position == at(makeup_db=10.0)
    assert driver.set(at(makeup_db=0.0)).position == at(makeup_db=0.0)
    readings = [answer for request, answer in wire.tapped if request.startswith("01 04")]
    assert len(readings) == 10  # 300, 600, 900, 1000 and once more; and down again


def test_a_motor_that_is_blocked(knobs: Callable[..., ModbusKnobs]) -> None:
    read = {"input_register": 33, "tolerance": 2, "within_s": 0.3}
    driver = knobs(makeup_db=MOTOR | {"holding_register": 21, "read": read})
    with pytest.raises(
        HardwareFault, match=r"makeup_db: should stand at 10 .*: 1000 wanted, 700 found"
    ):
        driver.set(at(makeup_db=10.0))
    driver.set(at(makeup_db=5.0))


def test_a_board_that_says_yes_and_does_nothing(knobs: Callable[..., ModbusKnobs]) -> None:
    driver = knobs(ratio=RATIO | {"holding_register": 18})
    with pytest.raises(HardwareFault, match="ratio: should stand at 4 and stands at 2 "):
        driver.set(at(ratio=4.0))


def test_a_relay_that_is_welded(knobs: Callable[..., ModbusKnobs]) -> None:
    driver = knobs(ratio={"unit": 2, "coils": [6, 7, 8]})
    driver.set(at(ratio=2.0))
    with pytest.raises(HardwareFault, match="ratio: coil 8 of unit 2 is not closed, because 6 "):
        driver.set(at(ratio=10.0))


def test_exceptions(knobs: Callable[..., ModbusKnobs], wire: Wire) -> None:
    driver = knobs(ratio=RATIO | {"holding_register": 17, "values": [0, 10, 11]})
    with pytest.raises(HardwareFault, match="exception 3, illegal data value"):
        driver.set(at(ratio=4.0))
    driver.set(at(ratio=2.0))
    driver.close()
    driver = knobs(ratio=RATIO | {"holding_register": 99})
    with pytest.raises(HardwareFault, match="exception 2, illegal data address"):
        driver.set(at(ratio=4.0))
    assert wire.tapped[-1] == ("01 06 00 63 00 01 b8 14", "01 86 02 c3 a1")


def test_a_unit_that_is_not_there_and_one_that_is(
    knobs: Callable[..., ModbusKnobs], wire: Wire
) -> None:
    driver = knobs(answer_s=0.25, ratio=STRANGER, makeup_db=MOTOR)
    with pytest.raises(HardwareFault) as caught:
        driver.set(at(ratio=4.0, makeup_db=0.0))
    (message,) = caught.value.messages
    assert message.startswith("ratio: unit 9 does not answer, asked 3 times to write 1 to ")
    assert wire.tapped[-3:] == [("09 06 00 10 00 01 48 87", "")] * 3
    driver.set(at(makeup_db=0.0))


def test_garbage_and_then_none(knobs: Callable[..., ModbusKnobs], wire: Wire) -> None:
    driver = knobs(answer_s=0.25, ratio=RATIO)
    wire.answer = lambda data: bytes(byte ^ 0x55 for byte in data)
    with pytest.raises(HardwareFault, match="gives no answer to that but 54 53 "):
        driver.set(at(ratio=4.0))
    wire.answer = bytes
    driver.set(at(ratio=10.0))


@pytest.mark.parametrize("request_number", [0, 1])
def test_a_cable_that_is_pulled(
    request_number: int, knobs: Callable[..., ModbusKnobs], wire: Wire
) -> None:
    wire.cut_at = request_number
    driver = knobs(ratio=RATIO)
    with pytest.raises(DeviceLost, match=r"is gone: .* Plug it in again"):
        driver.set(at(ratio=4.0))
    with pytest.raises(HardwareFault, match="no serial port with path"):
        driver.set(at(ratio=4.0))
    wire.unplug()
    wire.plug()
    assert driver.set(at(ratio=4.0)).position == at(ratio=4.0)
