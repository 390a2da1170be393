"""Messages reach a real web server; what goes wrong with them never stops anything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.view.conftest import RACK, Rack, Webhook

READY = "p      pause the session"


def test_who_does_not_answer_is_reminded(rack: Rack, webhook: Webhook) -> None:
    desk = rack("--remind", "0.1", CAPTURE_NOTIFY=f"\n{webhook.url}\n").until(READY)
    asked = "please turn THRESHOLD ? -> -20 dB; ATTACK ? -> 0.3 ms; RELEASE ? -> AUTO; "
    assert webhook.message() == f"{asked}RATIO ? -> 4:1"
    for _ in range(2):
        assert webhook.message() == f"still waiting: {asked}RATIO ? -> 4:1"
    desk.until("Still waiting, for").press("s").until("Skipped for now.")
    assert desk.shown.count(b"\a") >= 3


@pytest.mark.parametrize("fails", ["refused", "unreachable"])
def test_a_message_that_fails_is_said_once_and_stops_nothing(
    rack: Rack, webhook: Webhook, closed_port: Callable[[], int], fails: str
) -> None:
    """Of two addresses one fails; the other is served all the same."""
    webhook.status = 200
    bad = f"json://desk:hunter2@127.0.0.1:{closed_port()}"
    other = Webhook() if fails == "refused" else None
    if other:
        other.status, bad = 500, other.url
    try:
        desk = rack(CAPTURE_NOTIFY=f"{bad} {webhook.url}")
        for _ in range(3):
            desk.until(READY)
            webhook.message()
            desk.wipe().press("\n")
        assert desk.ended() == 0
    finally:
        if other:
            other.close()
    said = desk.shown.decode().replace("\r\n", "\n")
    assert said.count("CAPTURE_NOTIFY, number 1 of 2: the message did not get through") == 1
    assert "number 2 of 2" not in said
    assert "hunter2" not in said
    assert len(rack.log) == 3


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ("hunter2", "CAPTURE_NOTIFY: is no address"),
        ("hunter2://secret", "CAPTURE_NOTIFY: is no address"),
        ("json://desk:hunter2@ json://localhost", "CAPTURE_NOTIFY, number 1 of 2: is no address"),
    ],
)
def test_a_bad_address_is_refused_and_not_shown(
    tmp_path: Path, rack: Rack, addresses: str, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, RACK, "log"],
        cwd=tmp_path,
        env={**os.environ, "CAPTURE_NOTIFY": addresses},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    ((message,),) = [line["messages"] for line in rack.log]
    assert message.startswith(said)
    assert "hunter2" not in message + done.stdout + done.stderr
    assert "secret" not in message + done.stdout + done.stderr


def test_apprise_is_not_loaded_where_nobody_is_to_be_notified() -> None:
    code = (
        "import sys; from capture.view import notify, operator; "
        "notify.of_environment().send('text'); print('apprise' in sys.modules)"
    )
    without = {name: value for name, value in os.environ.items() if name != "CAPTURE_NOTIFY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=without, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "False\n", done.stderr
