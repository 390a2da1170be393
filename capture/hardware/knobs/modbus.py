"""Knobs on a Modbus RTU line, by pymodbus: relay boards and motor boards.

Sources: Modbus Application Protocol V1.1b3 (requests 1, 3, 4, 5 and 6; exceptions), Modbus over
Serial Line V1.02 (silence between frames).

A request that stays unanswered is sent again, twice at most. That is harmless: reading changes
nothing, and a write says where to stand, not how far to move; written twice it is as written once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from capture.errors import HardwareFault
from capture.hardware.knobs.read_back import ReadBackKnobs, Reading
from capture.hardware.knobs.serial_line import SerialLine
from capture.hardware.modbus_facts import ModbusControl, ModbusFacts
from capture.model import Control

AGAIN = 2
SHORTEST_GAP_S = 0.00175  # above 19200 baud; below, 3.5 characters of 11 bits

EXCEPTIONS = {
    1: "illegal function: it knows no such request",
    2: "illegal data address: it has no such register or coil. They count from 0 here: what a "
    "manual calls 40017 is register 16",
    3: "illegal data value: it does not take this value",
    4: "device failure: it failed while doing it",
    5: "acknowledge: it has begun, and needs longer than it may",
    6: "device busy: it is busy with something else",
    7: "negative acknowledge: it cannot do this now",
    8: "memory parity error: its memory is damaged",
    10: "gateway path unavailable: the gateway is set up wrongly, or overloaded",
    11: "gateway target failed to respond: no such unit behind the gateway, or it is off",
}

logging.getLogger("pymodbus").addHandler(logging.NullHandler())  # it tells Python's stderr else


class _Client(ModbusSerialClient):
    """pymodbus' client on a port that was opened here, which it neither closes nor opens again.

    ``sent`` and ``heard``: the frames of the request at hand. pymodbus' own waiting goes by the
    time of day, which may be set back; pyserial's does not.
    """

    def __init__(self, port: Any, answer_s: float) -> None:
        super().__init__(port.name, baudrate=port.baudrate, timeout=answer_s, retries=AGAIN)
        self.socket = port
        self._port = port
        self._gap_s = max(3.5 * 11 / port.baudrate, SHORTEST_GAP_S)
        self.begin()

    def begin(self) -> None:
        self.sent: list[bytes] = []
        self.heard = b""

    def send(self, request: bytes, addr: tuple[Any, ...] | None = None) -> int:
        time.sleep(self._gap_s)
        self._port.read(self._port.in_waiting)  # the late answer to something else
        self.sent.append(request)
        return self._port.write(request)

    def recv(self, size: int | None) -> bytes:
        data = self._port.read(1)
        if data:
            data += self._port.read(self._port.in_waiting)
        self.heard += data
        return data


class _Line:
    """The line: one request at a time, and in words what came of it."""

    def __init__(self, facts: ModbusFacts) -> None:
        self._facts = facts
        self._serial = SerialLine(
            facts.port,
            baudrate=facts.baud,
            parity=facts.parity,
            stopbits=facts.stop_bits,
            timeout=facts.answer_s,
        )
        self._client: _Client | None = None

    def close(self) -> None:
        self._serial.close()

    def ask(
        self, unit: int, what: str, request: Callable[[ModbusSerialClient], ModbusPDU]
    ) -> ModbusPDU:
        """What ``unit`` answers. ``what`` is asked of it, in words.

        Raises HardwareFault where it refuses, or its answer is none; DeviceLost.
        """
        with self._serial.use() as port:
            if self._client is None or self._client.socket is not port:
                self._client = _Client(port, self._facts.answer_s)
            client = self._client
            client.begin()
            try:
                answer = request(client)
            except ModbusException:
                raise self._no_answer(unit, what, client) from None
            if len(client.sent) > 1:  # the answers to all before may still be under way
                time.sleep(self._facts.answer_s)
        if answer.function_code & 0x7F != client.sent[-1][1]:
            raise self._no_answer(unit, what, client)
        if isinstance(answer, ExceptionResponse):
            code = answer.exception_code
            words = EXCEPTIONS.get(code, "the protocol knows no such exception")
            raise HardwareFault(f"unit {unit} refuses to {what}: exception {code}, {words}")
        return answer

    def _no_answer(self, unit: int, what: str, client: _Client) -> HardwareFault:
        facts = self._facts
        stop_bits = "1 stop bit" if facts.stop_bits == 1 else f"{facts.stop_bits} stop bits"
        speed = f"{facts.baud} baud, parity {facts.parity}, {stop_bits}"
        count = len(client.sent)
        asked = f"asked {'once' if count == 1 else f'{count} times'} to {what}"
        if not client.heard:
            return HardwareFault(
                f"unit {unit} does not answer, {asked}: is it on, wired (A to A, B to B), set to "
                f"unit {unit} and to {speed}?"
            )
        frame = client.sent[-1].hex(" ")
        if client.heard.startswith(client.sent[0]):
            reason = "the adapter hands back what it sends: switch its echo off"
        else:
            reason = f"is it set to {speed}, is there one unit {unit} only, is the line terminated?"
        return HardwareFault(
            f"unit {unit}, {asked} ({frame}), gives no answer to that but "
            f"{client.heard[:64].hex(' ')}: {reason}"
        )


class _Register:
    """A holding register with a value for each position; a motor's input register tells more."""

    def __init__(self, line: _Line, facts: ModbusControl, register: int) -> None:
        self._line, self._facts, self._register = line, facts, register
        self.within_s = facts.read.within_s if facts.read else 0.0
        self._where = f"holding register {register}"
        if facts.read:
            self._where = f"input register {facts.read.input_register}"

    @property
    def name(self) -> str:
        return f"{self._where} of unit {self._facts.unit}"

    def expected(self, index: int) -> str:
        return str(self._facts.codes[index])

    def turn(self, index: int) -> None:
        unit, value = self._facts.unit, self._facts.codes[index]
        self._line.ask(
            unit,
            f"write {value} to holding register {self._register}",
            lambda client: client.write_register(self._register, value, device_id=unit),
        )

    def read(self) -> Reading:
        unit, motor = self._facts.unit, self._facts.read
        answer = self._line.ask(
            unit,
            f"read {self._where}",
            lambda client: (
                client.read_holding_registers(self._register, device_id=unit)
                if motor is None
                else client.read_input_registers(motor.input_register, device_id=unit)
            ),
        )
        if len(answer.registers) != 1:
            count = len(answer.registers)
            raise HardwareFault(f"unit {unit} sends {count} registers where one was asked for")
        value = answer.registers[0]
        return Reading(self._facts.index(value), str(value))


class _Relays:
    """A relay for each position, of which one is closed. Break before make."""

    within_s = 0.0

    def __init__(self, line: _Line, facts: ModbusControl, settle_s: float) -> None:
        self._line, self._facts, self._settle_s = line, facts, settle_s
        self._first, self._count = min(facts.codes), max(facts.codes) - min(facts.codes) + 1

    @property
    def name(self) -> str:
        return f"coils of unit {self._facts.unit}"

    def expected(self, index: int) -> str:
        return _closed([self._facts.codes[index]])

    def turn(self, index: int) -> None:
        wanted = self._facts.codes[index]
        others = [coil for coil in self._closed() if coil != wanted]
        for coil in others:
            self._write(coil, close=False)
        if others:
            time.sleep(self._settle_s)
            stuck = [coil for coil in self._closed() if coil != wanted]
            if stuck:
                raise HardwareFault(
                    f"coil {wanted} of unit {self._facts.unit} is not closed, because "
                    f"{_closed(stuck)} and will not open: is a relay stuck?"
                )
        self._write(wanted, close=True)

    def read(self) -> Reading:
        closed = self._closed()
        return Reading(self._facts.index(closed[0]) if len(closed) == 1 else None, _closed(closed))

    def _write(self, coil: int, close: bool) -> None:
        unit = self._facts.unit
        self._line.ask(
            unit,
            f"{'close' if close else 'open'} coil {coil}",
            lambda client: client.write_coil(coil, close, device_id=unit),
        )

    def _closed(self) -> list[int]:
        """The closed ones of its coils; what lies between them is not its own."""
        unit = self._facts.unit
        answer = self._line.ask(
            unit,
            f"read {self._count} coils from {self._first}",
            lambda client: client.read_coils(self._first, count=self._count, device_id=unit),
        )
        if len(answer.bits) < self._count:
            count = len(answer.bits)
            raise HardwareFault(
                f"unit {unit} sends {count} coils where {self._count} were asked for"
            )
        return [coil for coil in sorted(self._facts.codes) if answer.bits[coil - self._first]]


def _closed(coils: Sequence[int]) -> str:
    return f"{', '.join(map(str, coils)) or 'none'} closed"


class ModbusKnobs(ReadBackKnobs):
    """The rig's ``controls`` with the driver modbus. Raises HardwareFault."""

    def __init__(self, facts: ModbusFacts, controls: Sequence[Control]) -> None:
        self._line = _Line(facts)
        turners = {
            name: _Relays(self._line, control, facts.settle_s)
            if control.holding_register is None
            else _Register(self._line, control, control.holding_register)
            for name, control in facts.registers.items()
        }
        super().__init__(controls, turners, facts.settle_s)

    def close(self) -> None:
        self._line.close()
