"""What GRBL's and grblHAL's numbers mean, and what to do. GRBL numbers 1 to 38; the rest grblHAL's.

Those that turning knobs can meet; of any other the number itself is told.
"""

ERRORS = {
    1: "a word without its letter: bytes were lost on the way",
    2: "a number is missing or malformed: bytes were lost on the way",
    3: "this $ command is not known to it",
    4: "a negative value where a positive one belongs",
    5: "homing is not enabled: wire the switches and set $22, or say home: false",
    7: "its stored settings could not be read and are the default ones: set steps and travel again",
    8: "it is not idle",
    9: "it is locked by an alarm",
    10: "soft limits need homing: set $22",
    11: "the line is too long for it",
    12: "a setting asks for more steps per second than it can make",
    13: "its safety door is open",
    15: "the place is outside of the travel",
    18: "its reset input is held",
    20: "it does not know this command",
    21: "two commands of one kind in a line: bytes were lost on the way",
    22: "no feed rate: feed_per_min was not understood",
    23: "a whole number was expected",
    24: "two commands in a line want the axes: bytes were lost on the way",
    25: "a word twice in a line",
    26: "no axis in a line that needs one",
    27: "the line's number is not valid",
    28: "a command lacks its value",
    30: "G53 with something that is no straight move",
    31: "an axis that no command uses",
    33: "the place is not valid",
    36: "a value that no command uses",
    39: "the value is out of range: is the place outside of the travel?",
    45: "a limit switch is pressed: only homing is allowed",
    46: "it wants to be homed first: say home: true",
    49: "its own test failed when it was switched on: switch it off and on",
    50: "the emergency stop is pressed",
    51: "a motor's driver reports a fault",
    52: "a setting's value is out of range",
    53: "a setting is not available",
    77: "it wants a password",
    78: "it denies access",
    79: "something critical is still active: an emergency stop, a limit switch, a motor fault",
}

ALARMS = {
    1: "a limit switch was hit; the position is lost",
    2: "the place is outside of the travel; nothing moved",
    3: "it was reset while moving; the position is lost",
    4: "the probe was not as it should be before probing",
    5: "the probe touched nothing",
    6: "homing failed: it was reset meanwhile",
    7: "homing failed: the safety door was opened meanwhile",
    8: "homing failed: the limit switch stays pressed after pulling off ($27)",
    9: "homing failed: no limit switch was found: is it wired, is the travel ($130...) right?",
    10: "the emergency stop is pressed (GRBL: homing failed, the second switch was not found)",
    11: "it wants to be homed",
    12: "a limit switch is pressed: free it by hand",
    13: "the probe is touching",
    14: "the spindle did not reach its speed",
    15: "homing failed: the second switch of an axis was not found",
    16: "its own test failed when it was switched on: switch it off and on",
    17: "a motor's driver reports a fault",
    18: "homing failed: it is not configured as its axes are",
}


def error(number: int) -> str:
    return ERRORS.get(number, "see the firmware's list of errors")


def alarm(number: int) -> str:
    return ALARMS.get(number, "see the firmware's list of alarms")
