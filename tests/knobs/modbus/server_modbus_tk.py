"""The same boards as ``server_pymodbus.py``, by modbus-tk: ``server_modbus_tk.py PORT``."""

from __future__ import annotations

import struct
import sys
import threading
from typing import Any

import serial
from modbus_tk import defines, hooks, modbus, modbus_rtu

STEP = 300
BLOCKED_AT = 700
WELDED = 6


def main(port: str) -> None:
    server = modbus_rtu.RtuServer(serial.Serial(port, 115200))
    motors, relays = server.add_slave(1), server.add_slave(2)
    motors.add_block("holding", defines.HOLDING_REGISTERS, 16, 7)
    motors.add_block("input", defines.ANALOG_INPUTS, 32, 2)
    relays.add_block("coils", defines.COILS, 0, 16)

    def write_register(given: tuple[Any, bytes]) -> None:
        _, address, value = struct.unpack(">BHH", given[1])
        if address == 17 and value > 9:
            raise modbus.ModbusError(defines.ILLEGAL_DATA_VALUE)

    def read_holding(given: tuple[Any, bytes]) -> None:
        motors.set_values("holding", 18, [0])  # it acknowledges, and never moves

    def read_input(given: tuple[Any, bytes]) -> None:
        _, address, _ = struct.unpack(">BHH", given[1])
        (target,) = motors.get_values("holding", address - 12, 1)
        target = min(target, BLOCKED_AT) if address == 33 else target
        (here,) = motors.get_values("input", address, 1)
        motors.set_values("input", address, [here + max(-STEP, min(STEP, target - here))])

    welded = [False]

    def read_coils(given: tuple[Any, bytes]) -> None:
        welded[0] = welded[0] or bool(relays.get_values("coils", WELDED, 1)[0])
        relays.set_values("coils", WELDED, [welded[0]])

    slave = "modbus.Slave.handle_"
    hooks.install_hook(f"{slave}write_single_register_request", write_register)
    hooks.install_hook(f"{slave}read_holding_registers_request", read_holding)
    hooks.install_hook(f"{slave}read_input_registers_request", read_input)
    hooks.install_hook(f"{slave}read_coils_request", read_coils)
    server.start()
    print("ready", flush=True)
    threading.Event().wait()


main(sys.argv[1])
