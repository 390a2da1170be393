"""Messages to a person who is not at the rack, through whatever apprise can reach.

The addresses come from the environment variable CAPTURE_NOTIFY, and from nowhere else: they hold
passwords, and plans and rigs are frozen in datasets. They are never printed.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Sequence
from typing import Protocol

from capture.errors import BadInput

VARIABLE = "CAPTURE_NOTIFY"
MOST_S = 30.0


class Service(Protocol):
    """Of apprise, what is used here. Both say whether it went well; neither raises."""

    def add(self, services: str) -> bool: ...

    def notify(self, body: str, title: str) -> object: ...


class Notifier:
    """Sends to ``addresses``. Raises BadInput for those that apprise does not understand."""

    def __init__(self, addresses: Sequence[str] = ()) -> None:
        self._services = _services(addresses)
        self._failed: set[int] = set()
        self._one_by_one = threading.Lock()

    def send(self, text: str, *, wait: bool = False) -> None:
        """Returns at once: nobody waits for a slow network. ``wait``: it is the last message.

        One that does not arrive is said on standard error, once for each address.
        """
        if self._services:
            sending = threading.Thread(target=self._send, args=(text,), daemon=True)
            sending.start()
            sending.join(MOST_S if wait else 0)

    def _send(self, text: str) -> None:
        with self._one_by_one:
            for number, service in enumerate(self._services, 1):
                arrived = service.notify(body=text, title=f"capture on {platform.node()}")
                if not arrived and number not in self._failed:
                    self._failed.add(number)
                    sys.stderr.write(
                        f"{_place(number, self._services)}: the message did not get through; "
                        "nothing waits for it\n"
                    )


def of_environment() -> Notifier:
    """Addresses are separated by blanks or newlines; without any, nothing is sent."""
    return Notifier(os.environ.get(VARIABLE, "").split())


def _services(addresses: Sequence[str]) -> list[Service]:
    """One for each address."""
    if not addresses:
        return []
    import apprise  # late: it takes a while, and most runs send nothing

    services: list[Service] = [apprise.Apprise() for _ in addresses]
    wrong = [
        f"{_place(number, addresses)}: is no address that apprise knows (it is not shown, since it "
        "may hold a password); correct it, or unset the variable. docs/knobs/manual.md has examples"
        for number, address in enumerate(addresses, 1)
        if not services[number - 1].add(address)
    ]
    if wrong:
        raise BadInput(*wrong)
    return services


def _place(number: int, addresses: Sequence[object]) -> str:
    return VARIABLE if len(addresses) == 1 else f"{VARIABLE}, number {number} of {len(addresses)}"
