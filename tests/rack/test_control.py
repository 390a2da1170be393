"""Knobs and faults over TCP, on a real socket; and the port Knobs at its other end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import HardwareFault
from capture.hardware.ports import Proof
from capture.hardware.profile import RigProfile
from capture.hardware.rack import control
from capture.hardware.rack.control import ControlServer, answer, ask
from capture.hardware.rack.knobs import RackKnobs
from capture.hardware.rack.stream import RackStream
from capture.hardware.simulation import AnyFault
from capture.model import AUTO, Setting

SETTING = Setting({"threshold_db": -20.0, "attack_ms": 1.0, "release_s": AUTO, "ratio": 4.0})


class Stand:
    """A rack's stream behind its control server, without JACK. Notes what it was told."""

    def __init__(self, profile: RigProfile) -> None:
        self.told: list[dict[str, Any]] = []
        self.stream = RackStream(profile, on_event=self.told.append, compiled=False)
        self.server = ControlServer(self, 0)
        self.port = self.server.port

    def set(self, setting: Setting) -> None:
        self.stream.set(setting)

    def fault(self, fault: AnyFault) -> None:
        self.stream.fault(fault)

    def state(self) -> dict[str, Any]:
        return {"frames": self.stream.frame}

    def again(self) -> None:
        """A rack that was started again on the same port."""
        self.server.close()
        self.server = ControlServer(self, self.port)


@pytest.fixture
def stand(profile: Callable[..., RigProfile]) -> Iterator[Stand]:
    found = Stand(profile())
    yield found
    found.server.close()


@pytest.fixture(scope="module")
def module_stand(profile: Callable[..., RigProfile]) -> Iterator[Stand]:
    found = Stand(profile())
    yield found
    found.server.close()


def say(port: int, *lines: bytes) -> list[dict[str, Any]]:
    """Sends ``lines`` over one connection: the answers to them, in order."""
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        link.sendall(b"".join(lines))
        link.shutdown(socket.SHUT_WR)
        with link.makefile("rb") as stream:
            return [json.loads(line) for line in stream]


def test_the_knobs_turn(stand: Stand) -> None:
    assert RackKnobs(stand.port).set(SETTING) == Proof("acknowledged")
    shown = {"threshold_db": "-20", "attack_ms": "1", "release_s": "auto", "ratio": "4"}
    assert stand.told == [{"event": "knobs", "frame": 0, "setting": shown}]


@pytest.mark.parametrize(
    "change", [{"attack_ms": 77.0}, {"threshold_db": -500.0}, {"ratio": None}, {"pan": 1}], ids=str
)
def test_a_setting_that_is_not_there_is_refused(stand: Stand, change: dict[str, Any]) -> None:
    knobs = RackKnobs(stand.port)
    values = {k: v for k, v in {**SETTING, **change}.items() if v is not None}
    with pytest.raises(HardwareFault, match=r"the rack refuses: .*(attack_ms|threshold|ratio|pan)"):
        knobs.set(Setting(values))
    knobs.set(SETTING)


def test_closing_twice_is_harmless(stand: Stand) -> None:
    knobs = RackKnobs(stand.port)
    for _ in range(2):
        knobs.close()
    with pytest.raises(HardwareFault, match="closed"):
        knobs.set(SETTING)


def test_a_rack_that_was_started_again_is_found_again(stand: Stand) -> None:
    knobs = RackKnobs(stand.port)
    knobs.set(SETTING)
    stand.again()
    knobs.set(SETTING)
    assert len(stand.told) == 2


def test_a_rack_that_is_not_there(stand: Stand) -> None:
    knobs = RackKnobs(stand.port)
    stand.server.close()
    with pytest.raises(HardwareFault, match=r"not there(.|\n)*capture rack"):
        knobs.set(SETTING)
    stand.again()
    knobs.set(SETTING)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "did not answer within 0.2 s"),
        (b"", "broke off"),
        (b"HTTP/1.1 400 Bad Request\r\n", "is not the rack"),
        (b"[]\n", "is not the rack"),
        (b'{"ok": "yes"}\n', "refuses"),
        (b'{"ok": false, "why": "because"}\n', "refuses: because"),
    ],
    ids=str,
)
def test_whatever_else_answers_is_a_fault(reply: bytes | None, words: str) -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(1000)
                if reply is None:
                    over.wait(5)
                else:
                    link.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with pytest.raises(HardwareFault, match=words):
                RackKnobs(listener.getsockname()[1], deadline_s=0.2).set(SETTING)
        finally:
            over.set()
            thread.join()


def test_two_racks_cannot_share_a_port(stand: Stand) -> None:
    with pytest.raises(HardwareFault, match=f"{stand.port}.*control_port|cannot listen"):
        ControlServer(stand, stand.port)


GARBAGE = [
    b"\n",
    b"GET / HTTP/1.1\r\n",
    b"\xff\xfe\x00\n",
    b"null\n",
    b"[1, 2]\n",
    b"{}\n",
    b'{"do": ["set"]}\n',
    b'{"do": "reboot"}\n',
    b'{"do": "state", "more": 1}\n',
    b'{"do": "set"}\n',
    b'{"do": "set", "setting": [1]}\n',
    b'{"do": "set", "setting": {"ratio": "4"}}\n',
    b'{"do": "set", "setting": {"ratio": NaN}}\n',
    b'{"do": "set", "setting": {"ratio": true}}\n',
    b'{"do": "set", "setting": {"ratio": 1e999}}\n',
    b'{"do": "set", "setting": {"ratio": ' + b"9" * 5000 + b"}}\n",
    b'{"do": "fault"}\n',
    b'{"do": "fault", "fault": "earthquake"}\n',
    b'{"do": "fault", "fault": {"kind": "freeze", "for_ms": -1}}\n',
    b'{"do": "fault", "fault": {"kind": "freeze", "for_ms": Infinity}}\n',
    b'{"do": "fault", "fault": {"kind": {"a": 1}}}\n',
    b"[" * 60_000 + b"\n",
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: repr(line[:40]))
def test_garbage_is_answered_and_the_connection_lives(stand: Stand, line: bytes) -> None:
    first, second = say(stand.port, line, b'{"do": "state"}\n')
    assert first["ok"] is False
    assert 0 < len(first["why"]) <= control.WHY_CHARACTERS
    assert second == {"ok": True, "frames": 0}
    assert stand.told == []


def test_a_line_without_an_end_is_cut_off(stand: Stand) -> None:
    (only,) = say(stand.port, b"x" * control.LINE_BYTES)
    assert only == {"ok": False, "why": "the line is too long"}
    ask(stand.port, {"do": "state"})


@settings(max_examples=200, deadline=None)
@given(line=st.binary(max_size=200))
def test_any_bytes_have_an_answer(module_stand: Stand, line: bytes) -> None:
    assert isinstance(answer(module_stand, line)["ok"], bool)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    what=st.sampled_from(["set", "fault", "state"]),
    key=st.sampled_from(["setting", "fault"]),
    names=st.dictionaries(st.sampled_from([*SETTING, "kind", "at_s", "for_ms"]), JSON) | JSON,
)
def test_any_request_has_an_answer(module_stand: Stand, what: str, key: str, names: object) -> None:
    line = json.dumps({"do": what, key: names}).encode()
    assert isinstance(answer(module_stand, line)["ok"], bool)


def test_faults_are_passed_on(stand: Stand) -> None:
    ask(stand.port, {"do": "fault", "fault": "swap"})
    ask(stand.port, {"do": "fault", "fault": {"kind": "gain", "gain_db": 3}})
    assert [event["fault"]["kind"] for event in stand.told] == ["swap", "gain"]


def test_many_at_once(stand: Stand) -> None:
    links = [socket.create_connection(("127.0.0.1", stand.port), 5) for _ in range(20)]
    try:
        for link in links:
            link.sendall(b'{"do": "state"}\n')
        for link in links:
            assert json.loads(link.makefile("rb").readline())["ok"] is True
    finally:
        for link in links:
            link.close()
