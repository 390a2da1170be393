"""OctoPrint's virtual printer behind a pseudo-terminal: a program of its own.

    python octoprint_peer.py LINK [SETTING=JSON ...]

makes LINK a link to the terminal, and says ready. Settings are those of OctoPrint's virtual
printer; its own defaults hold for the rest. A line of standard input is one of its debugging
commands, which holds for all that comes after the next ready. It ends where its input ends.
"""

from __future__ import annotations

import functools
import json
import os
import select
import sys
import tempfile
import threading
import tty
import types
from pathlib import Path

sys.modules["netifaces"] = types.ModuleType("netifaces")  # has to be compiled, and is never asked

from octoprint.plugin import plugin_manager  # noqa: E402
from octoprint.plugins.virtual_printer import VirtualPrinterPlugin  # noqa: E402
from octoprint.plugins.virtual_printer.virtual import VirtualPrinter  # noqa: E402


class Settings:
    """OctoPrint's settings, of this plugin alone."""

    def __init__(self, changed):
        self._values = {**VirtualPrinterPlugin().get_settings_defaults(), **changed}

    def get(self, path, **_):
        return functools.reduce(lambda value, key: value[key], path, self._values)

    get_int = get_float = get_boolean = get

    def global_get_basefolder(self, _):
        return tempfile.gettempdir()


def main(link, *settings):
    changed = dict(setting.split("=", 1) for setting in settings)
    changed = {name: json.loads(value) for name, value in changed.items()}
    plugin_manager(init=True, plugin_folders=[], plugin_bases=[], plugin_entry_points=[])
    with tempfile.TemporaryDirectory() as folder:
        printer = VirtualPrinter(Settings(changed), None, folder, read_timeout=0.01)
        master, slave = os.openpty()
        tty.setraw(slave)
        Path(link).symlink_to(os.ttyname(slave))
        threading.Thread(target=answers, args=(printer, master), daemon=True).start()
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([master, sys.stdin], [], [])
            if sys.stdin in ready:
                command = os.read(sys.stdin.fileno(), 4096)
                if not command:
                    os._exit(0)  # its threads end for nothing less
                printer.write(b"!!DEBUG:" + command)
                print("ready", flush=True)
            if master in ready:
                printer.write(os.read(master, 4096))


def answers(printer, master):
    while True:
        line = printer.readline().rstrip(b"\n")  # some of its lines have an end, and some do not
        if line:
            os.write(master, line + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
