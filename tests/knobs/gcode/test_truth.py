"""Whatever happens: a proof is never given for knobs that stand elsewhere.

The scripted controllers know where their motors are in truth, whatever they say.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import HardwareFault
from capture.hardware.knobs.gcode.controller import Waits
from capture.hardware.knobs.gcode.driver import GcodeKnobs
from capture.model import Setting
from tests.knobs.gcode.rig import CONTROLS, RATIO, RELEASE, facts, in_memory
from tests.knobs.gcode.scripted import PEERS, Peer

COMMON = ["ok", "ok", "ok", "lost-ok", "lost-line", "noise", "noisy-ok", "behind", "reset", "stuck"]
COMMON += ["lag", "dead", "unplug"]
WORDS = {
    "grbl": [*COMMON, "half", "error:20", "error:9", "alarm:1", "alarm:2", "alarm:3", "hold"],
    "grblhal": [*COMMON, "half", "error:20", "alarm:3", "alarm:9"],
    "marlin": [*COMMON, "busy", "damaged", "sequence", "says:Error:Heating_failed"],
}
SHORT = Waits(1, 1, 1, 1, 2, look_s=0.1)

setting = st.builds(
    lambda release, ratio: Setting({"release_s": release, "ratio": ratio}),
    st.sampled_from([position.value for position in RELEASE.positions]),
    st.sampled_from([RATIO.value_at(index) for index in range(RATIO.count)]),
)
step = st.one_of(
    st.tuples(st.just("set"), setting),
    st.tuples(st.just("set"), setting),
    st.tuples(st.just("verify"), st.none()),
    st.tuples(st.just("moved"), st.sampled_from("XY")),
    st.tuples(st.just("power"), st.none()),
)


def stands_at(peer: Peer, wanted: Setting) -> bool:
    axes = facts("grbl").axes
    return not peer.moving and all(
        abs(peer.stands[axes[c.name].axis] - axes[c.name].place(c, wanted[c.name])) < 0.051
        for c in CONTROLS
    )


def played(knobs: GcodeKnobs, peer: Peer, do: str, what: object, last: Setting | None) -> bool:
    """Whether it went well; checks what can never be. ``last``: what was set and not undone."""
    before = len(peer.lines)
    try:
        if do == "set":
            assert isinstance(what, Setting)
            proof = knobs.set(what)
            assert proof.position == what
            assert stands_at(peer, what)
        elif last is not None:
            assert knobs.verify(last).position == last
            assert stands_at(peer, last)
    except HardwareFault:
        return False
    finally:
        sent = [line for line in peer.lines[before:] if "G1 " in line]
        assert all(a != b for a, b in pairwise(sent)), "a move was sent again"
    return True


@pytest.mark.parametrize("firmware", sorted(PEERS))
@settings(deadline=None)
@given(data=st.data())
def test_a_proof_is_true(firmware: str, data: st.DataObject) -> None:
    script = " ".join(data.draw(st.lists(st.sampled_from(WORDS[firmware]), max_size=25)))
    peer = PEERS[firmware](script, greets=data.draw(st.booleans()))
    knobs = in_memory(peer, firmware, SHORT, piece=data.draw(st.sampled_from([1, 3, 4096])))
    last: Setting | None = None
    for do, what in data.draw(st.lists(step, min_size=1, max_size=8)):
        if do == "moved":
            peer.moved_by_hand(what, 13.0)
        elif do == "power":
            peer.reset()  # its greeting is lost as well
        elif not played(knobs, peer, do, what, last):
            last = None
        elif do == "set":
            last = what
    # Switched off and on, with nothing going wrong any more, a fault is over with the next set.
    peer.script.clear()
    peer.reset()
    wanted = data.draw(setting)
    assert played(knobs, peer, "set", wanted, None) or played(knobs, peer, "set", wanted, None)
