"""Boards by pymodbus' own server, a program of its own: ``server_pymodbus.py PORT``.

Unit 1: holding registers 16 to 22, of which 17 takes no more than 9 and 18 never moves; input
register 32 follows 20 by 300 a reading, 33 follows 21 and is blocked at 700. Unit 2: coils 0 to 9,
of which 6 is welded once it is closed.
"""

from __future__ import annotations

import asyncio
import sys

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

STEP = 300
BLOCKED_AT = 700
WELDED = 6

holding = [0] * 7
where = {32: 0, 33: 0}


async def motors(
    function: int,
    start: int,
    address: int,
    count: int,
    registers: list[int],
    wanted: list[int] | list[bool] | None,
) -> ExcCodes | None:
    """What happens in unit 1 at each request. ``registers`` are the device's own, from 0."""
    if function == 6 and wanted:
        if address == 17 and wanted[0] > 9:
            return ExcCodes.ILLEGAL_VALUE
        if address == 18:
            wanted[0] = registers[18 - start]
        holding[address - 16] = int(wanted[0])
    if function == 4 and address in where:
        target = holding[address - 12 - 16]
        if address == 33:
            target = min(target, BLOCKED_AT)
        here = where[address]
        where[address] = here + max(-STEP, min(STEP, target - here))
        registers[address - start] = where[address]
    return None


async def relays(
    function: int,
    start: int,
    address: int,
    count: int,
    registers: list[int],
    wanted: list[int] | list[bool] | None,
) -> ExcCodes | None:
    """What happens in unit 2 at each request."""
    if function == 5 and wanted and address == WELDED and registers[0] >> WELDED & 1:
        wanted[0] = True
    return None


async def nobody(*request: object) -> None:
    """A unit that is not there; this version of the server answers for it else, by a mistake."""
    await asyncio.Event().wait()


def block(start: int, count: int, kind: DataType) -> list[SimData]:
    return [SimData(start, values=[0] * count, datatype=kind)]


async def main(port: str) -> None:
    nothing = block(0, 1, DataType.REGISTERS)
    bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    units = [
        SimDevice(
            1,
            simdata=(
                bits,
                bits,
                block(16, 7, DataType.REGISTERS),
                block(32, 2, DataType.REGISTERS),
            ),
            action=motors,
        ),
        SimDevice(2, simdata=(bits, bits, nothing, nothing), action=relays),
        SimDevice(0, simdata=block(16, 7, DataType.REGISTERS), action=nobody),  # all others
    ]
    server = ModbusSerialServer(units, port=port, baudrate=115200)
    await server.serve_forever(background=True)
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
