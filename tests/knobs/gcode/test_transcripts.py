"""Every way in which a controller fails: what is said to it, word for word, and to the user.

Each is played twice, in memory and behind a pseudo-terminal; the transcripts must be the same.
After each fault the next ``set`` homes, and succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.driver import GcodeKnobs
from tests.knobs.gcode.cases import BORNE, FAULTS, HELD, Case
from tests.knobs.gcode.rig import CONTROLS, ONE, OTHER, PATIENT, SOON, facts, in_memory
from tests.knobs.gcode.scripted import PEERS, Peer, ScriptedGrbl
from tests.knobs.gcode.wires import Pty

Make = Callable[[Case, Peer], tuple[GcodeKnobs, Callable[[], None]]]


@pytest.fixture(params=["memory", "pty"])
def knobs_of(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Make]:
    """Knobs behind a peer, and what plugs it in again."""
    wires: list[Pty] = []

    def make(case: Case, peer: Peer) -> tuple[GcodeKnobs, Callable[[], None]]:
        waits = SOON if case.silent else PATIENT
        if request.param == "memory":
            return in_memory(peer, case.firmware, waits), lambda: None
        # Byte by byte; but after a fatal line the rest is heard only if it comes with it.
        piece = 1 if case.said is None else 4096
        wire = Pty(peer, tmp_path / "port", piece).__enter__()
        wires.append(wire)
        return GcodeKnobs(facts(case.firmware, wire.path), CONTROLS, waits), wire.plug_in

    yield make
    for wire in wires:
        wire.__exit__(None, None, None)


def text(knobs: GcodeKnobs) -> str:
    return "".join(f"{line}\n" for line in knobs.transcript)


@pytest.mark.parametrize("case", BORNE, ids=str)
def test_what_is_borne(case: Case, knobs_of: Make) -> None:
    peer = case.peer()
    knobs, _ = knobs_of(case, peer)
    proof = knobs.set(ONE)
    assert (proof.confirmed, proof.position) == ("read_back", ONE)
    assert (peer.stands["X"], peer.stands["Y"], peer.moving) == (30.0, 22.5, False)
    assert text(knobs) == case.transcript
    knobs.close()


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_what_is_a_fault(case: Case, knobs_of: Make) -> None:
    peer = case.peer()
    knobs, plug_in = knobs_of(case, peer)
    with pytest.raises(HardwareFault) as caught:
        knobs.set(ONE)
    sentence, said = caught.value.messages
    assert str(case.said) in sentence
    assert text(knobs).replace(HELD, "") == case.transcript
    shown = said.removeprefix("last said: ").split(" | ")
    assert shown == list(knobs.transcript)[-len(shown) :]
    if peer.unplugged:
        plug_in()
    before = len(peer.lines)
    assert knobs.set(OTHER).position == OTHER
    assert peer.lines[before + 1] == ("G28 X Y" if case.firmware == "marlin" else "$H")
    assert (peer.stands["X"], peer.stands["Y"]) == (60.0, 22.5)
    knobs.close()


def test_one_that_greets_nobody_is_reset(knobs_of: Make) -> None:
    case = Case("grblhal", "", 0, "", "", silent=True)
    peer = PEERS["grblhal"](greets=False)
    knobs, _ = knobs_of(case, peer)
    knobs.set(ONE)
    assert knobs.transcript[:2] == ("> (reset)", "< GrblHAL 1.1f ['$' or '$HELP' for help]")
    assert "< ALARM:11" in knobs.transcript[:4]


def test_one_that_is_not_there(knobs_of: Make) -> None:
    class Nobody(ScriptedGrbl):
        def receive(self, data: bytes) -> bytes:
            return b""

    knobs, _ = knobs_of(Case("grbl", "", 0, "", "", silent=True), Nobody(greets=False))
    with pytest.raises(HardwareFault, match="does not greet: is it on\\? Are firmware and baud"):
        knobs.set(ONE)
    assert knobs.transcript == ("> (reset)",)
