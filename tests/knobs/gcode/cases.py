"""What goes wrong with a controller, and what is said then: to it, by it, and to the user."""

from __future__ import annotations

from dataclasses import dataclass

from tests.knobs.gcode.scripted import PEERS, Peer

OK = "< ok\n"
MOVE, BARRIER, ASK = "> G53 G1 X30 Y22.5 F1500\n", "> G4 P0\n", "> ?\n"
HERE = "< <Idle|MPos:30.000,22.500,0.000|FS:0,0>\n"
HOME = "< <Idle|MPos:0.000,0.000,0.000|FS:0,0>\n"
RUN = "< <Run|MPos:0.000,0.000,0.000|FS:0,0>\n"
HELD = "> ?\n< <Hold:0|MPos:30.000,22.500,0.000|FS:0,0>\n"  # as often as it is asked
NOISE = "< \\xff\\x80\\x00~x\\x1b\n"

GREETING = "< Grbl 1.1h ['$' for help]\n< [MSG:'$H'|'$X' to unlock]\n"
HAL_GREETING = "< GrblHAL 1.1f ['$' or '$HELP' for help]\n< ALARM:11\n"
HELLO = "> (empty line)\n" + OK
BEGUN = HELLO + "> $H\n< ok\n> G21 G90 G94\n< ok\n"
READY, HAL_READY = GREETING + BEGUN, HAL_GREETING + BEGUN

M_MOVE, M_BARRIER = "> N5 G1 X30 Y22.5 F1500*86\n", "> N6 M400*33\n"
M_ASK, M_AGAIN, M_THIRD = "> N7 M114*32\n", "> N8 M114*47\n", "> N9 M114*46\n"
M_HERE = "< X:30.00 Y:22.50 Z:0.00 E:0.00 Count X:2400 Y:1800 Z:0\n" + OK
M_ARRIVED = M_BARRIER + OK + M_ASK + M_HERE + M_AGAIN + M_HERE
M_GREETING = (
    "< \\xffstart\n< echo:Marlin 2.1.2\n< echo: Last Updated: 2022-12-17\n< echo:SD init fail\n"
)
M_HELLO, M_HOME = "> N0 M110 N0*125\n", "> N1 G28 X Y*19\n"
M_SET_UP = "> N2 G21*24\n< ok\n> N3 G90*19\n< ok\n> N4 M84 S0*88\n< ok\n"
M_BEGUN = M_HELLO + OK + M_HOME + OK + M_SET_UP
M_READY = M_GREETING + M_BEGUN
M_BUSY = "< echo:busy: processing\n" * 2
M_DAMAGED = "< Error:checksum mismatch, Last Line: 4\n< Resend: 5\n"
M_SEQUENCE = "< Error:Line Number is not Last Line Number+1, Last Line: 4\n"

AWAY = (
    "says that release_s (axis X) was sent to 30 and stands at 0; ratio (axis Y) was sent to 22.5 "
    "and stands at 0"
)


@dataclass(frozen=True)
class Case:
    """A controller that does as ``script`` says after ``ok`` lines that go well.

    ``said``: of the fault; None: it is borne. ``silent``: something is waited for in vain.
    """

    firmware: str
    name: str
    ok: int
    script: str
    transcript: str
    said: str | None = None
    silent: bool = False

    def __str__(self) -> str:
        return f"{self.firmware}: {self.name}"

    def peer(self) -> Peer:
        return PEERS[self.firmware]("ok " * self.ok + self.script)


BORNE = [
    Case("grbl", "sound", 0, "", READY + MOVE + OK + BARRIER + OK + (ASK + HERE) * 2),
    Case("grblhal", "sound", 0, "", HAL_READY + MOVE + OK + BARRIER + OK + (ASK + HERE) * 2),
    Case("marlin", "sound", 0, "", M_READY + M_MOVE + OK + M_ARRIVED),
    Case(
        *("grbl", "noise", 3, "noise noise"),
        READY + MOVE + NOISE + OK + BARRIER + NOISE + OK + (ASK + HERE) * 2,
    ),
    Case(
        *("grbl", "the ok of the move is lost", 3, "lost-ok"),
        READY + MOVE + ASK + RUN + BARRIER + OK + (ASK + HERE) * 2,
        silent=True,
    ),
    Case(
        *("grblhal", "the ok of the move is garbled", 3, "noisy-ok"),
        HAL_READY + MOVE + "< \\xfe\\x80ok\n" + ASK + RUN + BARRIER + OK + (ASK + HERE) * 2,
        silent=True,
    ),
    Case(
        *("grbl", "the ok of the barrier is lost", 4, "lost-ok"),
        READY + MOVE + OK + BARRIER + (ASK + HERE) * 2,
        silent=True,
    ),
    Case(
        *("marlin", "the ok of the move is lost", 5, "lost-ok"),
        M_READY + M_MOVE + "> N6 M114*33\n" + M_HERE + "> N7 M400*32\n" + OK
        # the barrier has its turn only now
        + M_AGAIN + M_HERE + M_THIRD + M_HERE,
        silent=True,
    ),
    Case(
        *("marlin", "the report is lost", 7, "lost-ok"),
        M_READY + M_MOVE + OK + M_BARRIER + OK + M_ASK + M_AGAIN + M_HERE + M_THIRD + M_HERE,
        silent=True,
    ),
    Case(
        *("grbl", "answers one line behind", 3, "behind"),
        READY + MOVE + OK + BARRIER + OK + (ASK + HERE) * 2,
    ),
    Case(
        *("grbl", "carries out one line behind", 3, "lag"),
        READY + MOVE + ASK + HOME + BARRIER + OK + (ASK + RUN) * 2
        + ASK + HERE.replace("Idle", "Run") + (ASK + HERE) * 2,
        silent=True,
    ),
    Case(
        *("marlin", "it is still starting", 0, "lost-line lost-line"),
        M_GREETING + M_HELLO * 2 + M_BEGUN + M_MOVE + OK + M_ARRIVED,
        silent=True,
    ),
    Case(
        *("marlin", "it is busy", 1, "busy ok ok ok ok busy"),
        M_GREETING + M_HELLO + OK + M_HOME + M_BUSY + OK + M_SET_UP
        + M_MOVE + OK + M_BARRIER + M_BUSY + OK + M_ASK + M_HERE + M_AGAIN + M_HERE,
    ),
    Case(
        *("marlin", "a line comes damaged, twice", 5, "damaged damaged"),
        M_READY + M_MOVE + M_DAMAGED + M_MOVE + OK + M_DAMAGED + M_MOVE + OK + OK + M_ARRIVED,
    ),
]  # fmt: skip

FAULTS = [
    Case(
        *("grbl", "an error", 3, "error:33"),
        READY + MOVE + "< error:33\n",
        "says 'error:33' to 'G53 G1 X30 Y22.5 F1500': the place is not valid",
    ),
    Case(
        *("grbl", "an error of no list", 3, "error:199"),
        READY + MOVE + "< error:199\n",
        "says 'error:199' to 'G53 G1 X30 Y22.5 F1500': see the firmware's list of errors",
    ),
    Case(
        *("grbl", "homing is not enabled", 1, "error:5"),
        GREETING + HELLO + "> $H\n< error:5\n",
        "says 'error:5' to '$H': homing is not enabled: wire the switches and set $22, or say "
        "home: false",
    ),
    Case(
        *("grblhal", "an error that is latched", 3, "error:39"),
        HAL_READY + MOVE + "< error:39\n",
        "says 'error:39' to 'G53 G1 X30 Y22.5 F1500': the value is out of range: is the place "
        "outside of the travel?",
    ),
    Case(
        *("grbl", "a limit switch", 3, "alarm:1"),
        READY + MOVE + "< ALARM:1\n< [MSG:Reset to continue]\n",
        "says 'ALARM:1': a limit switch was hit; the position is lost",
    ),
    Case(
        *("grbl", "outside of the travel", 3, "alarm:2"),
        READY + MOVE + "< ALARM:2\n< [MSG:Reset to continue]\n",
        "says 'ALARM:2': the place is outside of the travel; nothing moved",
    ),
    Case(
        *("grbl", "an alarm in the middle of the move", 4, "alarm:3"),
        READY + MOVE + OK + BARRIER + "< ALARM:3\n",
        "says 'ALARM:3': it was reset while moving; the position is lost",
    ),
    Case(
        *("grblhal", "no limit switch", 1, "alarm:9"),
        HAL_GREETING + HELLO + "> $H\n< ALARM:9\n",
        "says 'ALARM:9': homing failed: no limit switch was found: is it wired, is the travel "
        "($130...) right?",
    ),
    Case(
        *("grbl", "a reset in the middle of the move", 3, "reset"),
        READY + MOVE + GREETING,
        "was reset: where its axes stand is lost",
    ),
    Case(
        *("marlin", "a reset at the barrier", 6, "reset"),
        M_READY + M_MOVE + OK + M_BARRIER + M_GREETING,
        "was reset: where its axes stand is lost",
    ),
    Case(
        *("grbl", "the move is lost", 3, "lost-line"),
        READY + MOVE + ASK + HOME + BARRIER + OK + (ASK + HOME) * 2,
        AWAY,
        silent=True,
    ),
    Case(
        *("grbl", "the end of the move is lost", 3, "half"),
        READY + MOVE + ASK + HOME + BARRIER + "< error:21\n",
        "says 'error:21' to 'G4 P0': two commands of one kind in a line: bytes were lost on the "
        "way",
        silent=True,
    ),
    Case(
        *("marlin", "the move is lost", 5, "lost-line"),
        M_READY + M_MOVE + "> N6 M114*33\n" + M_SEQUENCE + "< Resend: 5\n" + OK,
        "says 'Resend: 5' to 'M114': line 6 was the last: a line never came, or it was reset",
        silent=True,
    ),
    Case(
        *("grbl", "the motor is stuck", 3, "stuck"),
        READY + MOVE + OK + BARRIER + OK + (ASK + HOME) * 2,
        AWAY,
    ),
    Case(
        *("grbl", "an error one line behind", 2, "behind error:33"),
        READY + MOVE + OK + BARRIER + "< error:33\n",
        "says 'error:33' to 'G4 P0': the place is not valid",
    ),
    Case(
        *("grbl", "somebody holds it", 3, "hold"),
        READY + MOVE + OK + BARRIER + OK,
        "does not come to rest: it is in the state Hold",
        silent=True,
    ),
    Case(
        *("grbl", "it falls silent", 3, "dead"),
        READY + MOVE + ASK * 2,
        "does not say where it stands, asked 2 times",
        silent=True,
    ),
    Case(
        *("marlin", "it falls silent", 5, "dead"),
        M_READY + M_MOVE + "> N6 M114*33\n" + M_ASK,
        "does not say where it stands, asked 2 times",
        silent=True,
    ),
    Case(
        *("marlin", "it never speaks", 0, "dead"),
        M_GREETING + M_HELLO * 3,
        "does not answer the first line, said 3 times",
        silent=True,
    ),
    Case(
        *("marlin", "it falls silent while homing", 1, "dead"),
        M_GREETING + M_HELLO + OK + M_HOME,
        "does not answer 'G28 X Y' within 0.5 s",
        silent=True,
    ),
    Case(
        *("marlin", "another line is wanted", 5, "sequence"),
        M_READY + M_MOVE + M_SEQUENCE + "< Resend: 8\n" + OK,
        "says 'Resend: 8' to 'G1 X30 Y22.5 F1500': line 5 was the last: a line never came, or it "
        "was reset",
    ),
    Case(
        *("marlin", "it is killed", 5, "says:Error:Printer_halted._kill()_called!"),
        M_READY + M_MOVE + "< Error:Printer halted. kill() called!\n" + OK,
        "says 'Error:Printer halted. kill() called!' to 'G1 X30 Y22.5 F1500'",
    ),
    Case(
        *("marlin", "it forgot its origin", 5, "says:echo:Home_X_First"),
        M_READY + M_MOVE + "< echo:Home X First\n" + OK,
        "says 'echo:Home X First' to 'G1 X30 Y22.5 F1500'",
    ),
    Case(*("grbl", "unplugged in the middle", 3, "unplug"), READY + MOVE, "is gone"),
]
