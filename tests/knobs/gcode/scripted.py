"""Controllers played by a script: GRBL, grblHAL and Marlin, with whatever goes wrong with them.

A script is a word for each line that comes, ``ok`` after its end:

* ``ok``, ``lost-ok`` (done, and not said), ``lost-line`` (never came), ``half`` (its end never
  came), ``noise`` (garbage before the ok), ``noisy-ok`` (garbage in it);
* ``behind`` (from here on every answer comes with the next line; an ok of nobody's comes first),
  ``lag`` (from here on every line is carried out when the next one comes);
* ``error:N``, ``alarm:N``, ``reset`` (of itself, in the middle of the move), ``stuck`` (the motor
  does not turn, and it knows), ``hold`` (from here on somebody holds it), ``wpos`` (from here on
  it reports no places of the machine);
* ``busy``, ``damaged`` (Marlin: wants the line again), ``sequence`` (Marlin: wants another one),
  ``says:TEXT`` with ``_`` for a blank (then ok);
* ``dead`` (from here on it says nothing), ``unplug``.

``stands`` is where the motors are in truth. What it reports counts from ``origin``, which is
wherever the motors stood when it was switched on or reset, until they are homed.
"""

from __future__ import annotations

import re

NOISE = b"\xff\x80\x00~x\x1b\r\n"
AXES = "XYZ"


class Peer:
    """What both kinds have in common. ``greets``: whether opening the port resets it."""

    greeting = b""

    def __init__(self, script: str = "", greets: bool = True, stands: float = 7.0) -> None:
        self.script, self.greets = script.split(), greets
        self.stands = dict.fromkeys(AXES, stands)  # a person left them there
        self.origin = dict(self.stands)
        self.goal = dict(self.stands)
        self.unplugged = self.dead = False
        self.lines: list[str] = []
        self._half = b""
        self._late: bytes | None = None
        self._held: list[str] | None = None

    @property
    def moving(self) -> bool:
        return self.goal != self.stands

    def opened(self) -> bytes:
        """What it says when its port is opened."""
        return self.reset() if self.greets else b""

    def reset(self) -> bytes:
        """Starts anew: half a move is made, and where it stands becomes the origin."""
        self._halt()
        self.origin = dict(self.stands)
        self._start()
        return self.greeting

    def _start(self) -> None:
        self._half, self._late, self._held, self.dead = b"", None, None, False

    def receive(self, data: bytes) -> bytes:
        """What it says to ``data``."""
        said = b""
        for byte in data:
            at_once = None if self.unplugged else self._at_once(byte)
            if at_once is not None:
                said += at_once
            elif byte == 0x0A:
                line, self._half = self._half.decode("ascii"), b""
                said += b"".join(map(self._scripted, self._come(line)))
            else:
                self._half += bytes([byte])
        return b"" if self.dead or self.unplugged else said

    def moved_by_hand(self, axis: str, to: float) -> None:
        self.goal[axis] = self.stands[axis] = to

    def _come(self, line: str) -> list[str]:
        """The lines whose turn it is when ``line`` comes."""
        if self.script[:1] == ["lag"]:
            self.script.pop(0)
            self._held = self._held or []
        if self._held is None:
            return [line]
        self._held.append(line)
        return [self._held.pop(0)] if len(self._held) > 1 else []

    def _scripted(self, line: str) -> bytes:
        word = self.script.pop(0) if self.script else "ok"
        if word == "lost-line":
            return b""
        if word == "half":
            self._half = line.encode("ascii")
            return b""
        self.lines.append(line)
        answer = self._played(word, line)
        if self._late is not None:
            answer, self._late = self._late, answer
        return answer

    def _played(self, word: str, line: str) -> bytes:
        """What it says when ``word`` befalls ``line``."""
        if word == "dead":
            self.dead = True
        elif word == "unplug":
            self.unplugged = True
        elif word == "reset":
            self.carry_out(line)
            return self.reset()
        elif word == "behind":
            self._late = b"ok\r\n"
        elif word == "noise":
            return NOISE + self.carry_out(line)
        elif word == "noisy-ok":
            return b"\xfe\x80" + self.carry_out(line)
        elif word == "lost-ok":
            self.carry_out(line)
            return b""
        elif word.startswith("says"):
            return (
                word.partition(":")[2].replace("_", " ").encode() + b"\r\n" + self.carry_out(line)
            )
        elif word not in ("ok", "lag"):
            return self._own(word, line)
        return self.carry_out(line)

    def _own(self, word: str, line: str) -> bytes:
        raise AssertionError(f"{word!r} is no word of {type(self).__name__}")

    def _at_once(self, byte: int) -> bytes | None:
        """What it says to a byte that is no part of a line; None if it is part of one."""
        return None

    def carry_out(self, line: str) -> bytes:
        raise NotImplementedError

    def reported(self, places: dict[str, float]) -> list[float]:
        return [places[axis] - self.origin[axis] for axis in AXES]

    def _send_to(self, line: str) -> None:
        for axis, place in re.findall(r"([XYZ])(-?\d+(?:\.\d+)?)", line):
            self.goal[axis] = self.origin[axis] + float(place)

    def _arrive(self) -> None:
        self.stands = dict(self.goal)

    def _halt(self) -> None:
        self.stands = {axis: (self.stands[axis] + self.goal[axis]) / 2 for axis in AXES}
        self.goal = dict(self.stands)

    def _home(self) -> None:
        self.stands, self.goal = dict.fromkeys(AXES, 0.0), dict.fromkeys(AXES, 0.0)
        self.origin = dict(self.stands)


class ScriptedGrbl(Peer):
    """GRBL 1.1 with homing enabled. A move ends at the barrier, or after being asked twice."""

    greeting = b"\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n"
    state = "Idle"
    fields = "MPos"
    locked, critical = True, False
    asked = 0

    def _start(self) -> None:
        super()._start()
        self.critical, self.state = False, "Idle"

    def reset(self) -> bytes:
        self.locked = True
        return super().reset()

    def _at_once(self, byte: int) -> bytes | None:
        if byte == 0x18:
            return self._soft_reset()
        if byte == ord("?"):
            return b"" if self.critical else self._status()
        return None

    def _soft_reset(self) -> bytes:
        said = b""
        if self.moving:
            self._halt()
            self.locked, said = True, b"ALARM:3\r\n"
        self._start()
        return said + self.greeting

    def _status(self) -> bytes:
        state = "Alarm" if self.locked else self.state
        if self.moving:
            state, self.asked = "Run", self.asked + 1
            if self.asked > 2:
                self.asked = 0
                self._arrive()
        places = ",".join(f"{place:.3f}" for place in self.reported(self.stands))
        return f"<{state}|{self.fields}:{places}|FS:0,0>\r\n".encode()

    def _own(self, word: str, line: str) -> bytes:
        kind, _, number = word.partition(":")
        if kind == "error":
            return f"error:{number}\r\n".encode()
        if kind == "alarm":
            self.carry_out(line)
            self._halt()
            self.locked, self.critical = True, number in "12"
            critical = "[MSG:Reset to continue]\r\n" if self.critical else ""
            return f"ALARM:{number}\r\n{critical}".encode()
        if word == "stuck":
            self.carry_out(line)
            self.goal = dict(self.stands)
            return b"ok\r\n"
        if word == "hold":
            self.state = "Hold:0"
            return self.carry_out(line)
        if word == "wpos":
            self.fields = "WPos"
            return self.carry_out(line)
        return super()._own(word, line)

    def carry_out(self, line: str) -> bytes:
        if self.critical:
            return b""
        if line == "$H":
            self._home()
            self.locked = False
        elif line == "$X":
            self.locked = False
            return b"[MSG:Caution: Unlocked]\r\nok\r\n"
        elif self.locked and line:
            return b"error:9\r\n"
        elif line == "G4 P0":
            self._arrive()
        elif re.fullmatch(r"G53 G1( [XYZ]-?\d+(\.\d+)?)+ F\d+", line):
            self._send_to(line)
        elif line not in ("", "G21 G90 G94"):
            return b"error:21\r\n"
        return b"ok\r\n"


class ScriptedGrblHal(ScriptedGrbl):
    """As GRBL, but an error is said to every line after it, until an empty one comes."""

    greeting = b"\r\nGrblHAL 1.1f ['$' or '$HELP' for help]\r\nALARM:11\r\n"
    latched = b""

    def _soft_reset(self) -> bytes:
        self.locked = True  # $22: homing is wanted after a soft reset as well
        return super()._soft_reset()

    def _own(self, word: str, line: str) -> bytes:
        answer = super()._own(word, line)
        if answer.startswith(b"error"):
            self.latched = answer
        return answer

    def carry_out(self, line: str) -> bytes:
        if not line:
            self.latched = b""
        return self.latched or super().carry_out(line)


class ScriptedMarlin(Peer):
    """Marlin 2. Says where it is going to stand; it stands there after M400."""

    greeting = b"\xffstart\necho:Marlin 2.1.2\necho: Last Updated: 2022-12-17\necho:SD init fail\n"
    last = 0

    def reset(self) -> bytes:
        self.last = 0
        return super().reset()

    def _scripted(self, line: str) -> bytes:
        """A damaged line, or one out of turn, is not carried out, whatever the script says."""
        found = re.fullmatch(r"N(\d+) (.*)\*(\d+)", line)
        assert found, f"{line!r} has no number or checksum"
        checksum = 0
        for byte in line.rpartition("*")[0].encode("ascii"):
            checksum ^= byte
        assert checksum == int(found[3])
        number, command = int(found[1]), found[2]
        if self.script[:1] == ["damaged"]:
            self.script.pop(0)
            return self._again("checksum mismatch", self.last + 1)
        if not command.startswith("M110") and number != self.last + 1:
            return self._again("Line Number is not Last Line Number+1", self.last + 1)
        if self.script[:1] == ["sequence"]:
            self.script.pop(0)
            return self._again("Line Number is not Last Line Number+1", number + 3)
        before, self.last = self.last, 0 if command.startswith("M110") else number
        if self.script[:1] == ["lost-line"]:
            self.last = before
        return super()._scripted(command)

    def _again(self, reason: str, number: int) -> bytes:
        return f"Error:{reason}, Last Line: {self.last}\nResend: {number}\nok\n".encode()

    def _own(self, word: str, line: str) -> bytes:
        if word == "busy":
            return b"echo:busy: processing\n" * 2 + self.carry_out(line)
        if word == "stuck":  # its drivers stall, and it thinks of an end switch
            self.carry_out(line)
            self.goal = dict(self.stands)
            return b"ok\n"
        return super()._own(word, line)

    def carry_out(self, line: str) -> bytes:
        if line.startswith("G28"):
            self._home()
        elif line == "M400":
            self._arrive()
        elif line == "M114":
            x, y, z = self.reported(self.goal)
            steps = f"Count X:{80 * x:.0f} Y:{80 * y:.0f} Z:{80 * z:.0f}"
            return f"X:{x:.2f} Y:{y:.2f} Z:{z:.2f} E:0.00 {steps}\nok\n".encode()
        elif line.startswith("G1 "):
            self._send_to(line)
        elif line not in ("M110 N0", "G21", "G90", "M84 S0"):
            return f'echo:Unknown command: "{line}"\nok\n'.encode()
        return b"ok\n"


PEERS = {"grbl": ScriptedGrbl, "grblhal": ScriptedGrblHal, "marlin": ScriptedMarlin}
