"""The knobs: what is turned, from which side, and what is believed afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.controller import Waits
from capture.hardware.knobs.gcode.driver import GcodeKnobs
from capture.model import AUTO, Setting
from tests.knobs.gcode.rig import CONTROLS, ONE, OTHER, PATIENT, SOON, facts, in_memory
from tests.knobs.gcode.scripted import PEERS, ScriptedGrbl, ScriptedMarlin
from tests.knobs.gcode.wires import MemoryPort, Pty

ratios = st.sampled_from([1.0, 1.5, 3.0, 5.0])
releases = st.sampled_from([0.1, 1.2, AUTO])


def moves(peer: ScriptedGrbl) -> list[str]:
    return [line for line in peer.lines if "G1 " in line]


def knobs_with(peer: ScriptedGrbl, **changed: object) -> GcodeKnobs:
    return GcodeKnobs(facts("grbl", **changed), CONTROLS, PATIENT, lambda _: MemoryPort(peer))


def test_nothing_is_opened_before_it_is_needed() -> None:
    def opener(_: object) -> MemoryPort:
        raise HardwareFault("opened")

    knobs = GcodeKnobs(facts("grbl"), CONTROLS, PATIENT, opener)
    with pytest.raises(HardwareFault, match="opened"):
        knobs.set(ONE)


def test_only_what_changes_is_turned() -> None:
    peer = ScriptedGrbl()
    knobs = in_memory(peer, "grbl")
    for setting in (ONE, ONE, OTHER):
        assert knobs.set(setting).position == setting
    assert moves(peer) == ["G53 G1 X30 Y22.5 F1500", "G53 G1 X60 F1500"]
    assert peer.lines.count("$H") == 1


def test_every_place_is_come_to_from_the_same_side() -> None:
    peer = ScriptedGrbl()
    knobs = knobs_with(peer, overshoot=5.0)
    for setting in (ONE, OTHER, ONE):
        knobs.set(setting)
    assert moves(peer) == [
        "G53 G1 X35 F1500",
        "G53 G1 X30 Y22.5 F1500",
        "G53 G1 X65 F1500",
        "G53 G1 X60 F1500",
        "G53 G1 X35 F1500",
        "G53 G1 X30 F1500",
    ]
    peer = ScriptedGrbl()
    knobs_with(peer, overshoot=-2.5).set(ONE)
    assert moves(peer) == ["G53 G1 X27.5 F1500", "G53 G1 X30 Y22.5 F1500"]


@given(st.lists(st.tuples(releases, ratios), min_size=1, max_size=6))
def test_the_motors_follow(path: list[tuple[float, float]]) -> None:
    peer = ScriptedMarlin()
    knobs = in_memory(peer, "marlin")
    for release, ratio in path:
        knobs.set(Setting({"release_s": release, "ratio": ratio}))
        place = {0.1: 0.0, 1.2: 30.0, AUTO: 60.0}[release]
        assert (peer.stands["X"], peer.stands["Y"]) == (place, (ratio - 1) / 4 * 90)


def test_verify_moves_nothing() -> None:
    peer = ScriptedGrbl()
    knobs = in_memory(peer, "grbl")
    knobs.set(ONE)
    sent = list(peer.lines)
    proof = knobs.verify(ONE)
    assert (proof.confirmed, proof.position) == ("read_back", ONE)
    assert peer.lines == sent
    assert knobs.transcript[-4:] == ("> ?", "< <Idle|MPos:30.000,22.500,0.000|FS:0,0>") * 2


def test_verify_sees_what_moved() -> None:
    peer = ScriptedGrbl()
    knobs = in_memory(peer, "grbl")
    knobs.set(ONE)
    peer.moved_by_hand("X", 31.0)
    with pytest.raises(HardwareFault) as caught:
        knobs.verify(ONE)
    assert caught.value.messages[0].endswith(
        "says that release_s (axis X) was moved, or lost steps; it should stand at 30 and stands "
        "at 31"
    )
    before = len(peer.lines)
    knobs.set(ONE)
    assert peer.lines[before : before + 2] == ["", "$H"]
    knobs.verify(ONE)


def test_verify_of_what_was_never_set() -> None:
    knobs = in_memory(ScriptedGrbl(), "grbl")
    with pytest.raises(HardwareFault, match=r"were not set to ratio 2, release_s 1\.2; set them"):
        knobs.verify(ONE)
    knobs.set(OTHER)
    with pytest.raises(HardwareFault, match="were not set"):
        knobs.verify(ONE)


@pytest.mark.parametrize("firmware", sorted(PEERS))
@pytest.mark.parametrize("heard", [True, False])
def test_a_reset_between_takes(firmware: str, heard: bool) -> None:
    """Even if nobody hears it greet."""
    peer = PEERS[firmware]()
    ports: list[MemoryPort] = []

    def opener(_: object) -> MemoryPort:
        ports.append(MemoryPort(peer))
        return ports[-1]

    knobs = GcodeKnobs(facts(firmware), CONTROLS, SOON, opener)
    for ask in (knobs.verify, knobs.set):
        knobs.set(ONE)
        greeting = peer.reset()
        if heard:
            ports[-1].push(greeting)
        before = len(peer.lines)
        with pytest.raises(HardwareFault) as caught:
            ask(ONE if ask == knobs.verify else OTHER)
        said = caught.value.messages[0]
        assert "was reset: where its axes stand is lost" in said if heard else "controller" in said
        assert not heard or peer.lines[before:] in ([], ["M114"])  # it must not move
    assert knobs.set(ONE).position == ONE
    assert len(ports) == 3
    assert (peer.stands["X"], peer.stands["Y"]) == (30.0, 22.5)


class Homing(MemoryPort):
    """Marlin, which says that it is busy every 2 s, ``times``, before it has homed."""

    def __init__(self, times: int) -> None:
        super().__init__(ScriptedMarlin())
        self._times, self._answer = times, b""

    def write(self, data: bytes) -> None:
        super().write(data)
        if b"G28" in data:
            self._answer, self._waiting = self._waiting, b""

    def read(self, wait: bool) -> bytes:
        if not self._answer or not wait:
            return super().read(wait)
        self._now_s += 2.0
        self._times -= 1
        if self._times >= 0:
            return b"echo:busy: processing\n"
        answer, self._answer = self._answer, b""
        return answer


def test_one_that_says_it_is_busy_is_waited_for_but_not_for_ever() -> None:
    waits = Waits(home_s=3, busy_s=100)
    for times, patient in ((40, True), (60, False)):
        port = Homing(times)
        knobs = GcodeKnobs(facts("marlin"), CONTROLS, waits, lambda _, port=port: port)
        if patient:
            assert knobs.set(ONE).position == ONE
            continue
        with pytest.raises(HardwareFault, match="does not answer 'G28 X Y'"):
            knobs.set(ONE)


def test_without_switches_it_is_unlocked_and_a_loss_is_final() -> None:
    peer = ScriptedGrbl(stands=0.0)
    knobs = knobs_with(peer, home=False)
    knobs.set(ONE)
    assert peer.lines[:3] == ["", "$X", "G21 G90 G94"]
    assert peer.stands["X"] == 30.0
    peer.moved_by_hand("X", 31.0)
    with pytest.raises(HardwareFault, match="should stand at 30 and stands at 31"):
        knobs.verify(ONE)
    for _ in range(2):
        with pytest.raises(HardwareFault, match="turn each to its place 0 by hand, then start"):
            knobs.set(ONE)


def test_without_switches_it_may_fail_to_begin() -> None:
    peer = ScriptedGrbl("error:7", stands=0.0)
    knobs = knobs_with(peer, home=False)
    with pytest.raises(HardwareFault, match="stored settings could not be read"):
        knobs.set(ONE)
    assert knobs.set(ONE).position == ONE  # nothing had moved yet


def test_places_of_the_work_are_no_places_of_the_machine() -> None:
    knobs = in_memory(ScriptedGrbl("wpos"), "grbl")
    with pytest.raises(
        HardwareFault, match=r"does not report the place of axis X \(GRBL: set \$10"
    ):
        knobs.set(ONE)


@pytest.mark.parametrize("setting", [{"release_s": 0.7}, {"ratio": AUTO}, {"ratio": 6}, {"mix": 1}])
def test_what_no_motor_turns(setting: dict[str, float]) -> None:
    peer = ScriptedGrbl()
    knobs = in_memory(peer, "grbl")
    with pytest.raises(HardwareFault, match="no motor turns"):
        knobs.set(Setting(setting))
    assert peer.lines == []


@pytest.mark.parametrize("home", [True, False])
def test_forgotten_is_homed_anew_where_that_can_be(home: bool) -> None:
    peer = ScriptedGrbl(stands=0.0)
    knobs = knobs_with(peer, home=home)
    for times in (1, 2):
        knobs.set(ONE)
        knobs.forget()
        assert peer.lines.count("$H") == (times if home else 0)
        assert len(moves(peer)) == (times if home else 1)


def test_closed_is_closed() -> None:
    knobs = in_memory(ScriptedGrbl(), "grbl")
    knobs.set(ONE)
    knobs.close()
    knobs.close()
    for ask in (knobs.set, knobs.verify):
        with pytest.raises(HardwareFault):
            ask(ONE)


def test_one_program_at_a_time(tmp_path: Path) -> None:
    with Pty(ScriptedGrbl(), tmp_path / "port") as wire:
        first = GcodeKnobs(facts("grbl", wire.path), CONTROLS, PATIENT)
        second = GcodeKnobs(facts("grbl", wire.path), CONTROLS, PATIENT)
        first.set(ONE)
        with pytest.raises(HardwareFault, match="another program has it open"):
            second.set(ONE)
        first.verify(ONE)
        first.close()
        second.set(ONE)
        second.close()


@pytest.mark.parametrize("ask", ["set", "verify"])
def test_unplugged_between_takes(ask: str, tmp_path: Path) -> None:
    with Pty(ScriptedGrbl(), tmp_path / "port") as wire:
        knobs = GcodeKnobs(facts("grbl", wire.path), CONTROLS, PATIENT)
        knobs.set(ONE)
        wire.unplug()
        with pytest.raises(HardwareFault, match="is gone") as caught:
            getattr(knobs, ask)(ONE)
        assert caught.value.messages[-1].startswith("last said: ")
        with pytest.raises(HardwareFault, match="no serial port with path"):
            knobs.set(ONE)
        wire.plug_in()
        assert knobs.set(ONE).position == ONE
        assert wire.peer.lines.count("$H") == 2
        knobs.close()
