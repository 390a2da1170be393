"""``capture run`` with knobs that a person turns, on a terminal, to the end of the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

import capture.presets
from tests.session.conftest import CAPTURE, Desk, hashes, rows
from tests.view.terminal import terminal

READY = "p      pause the session"
BY_HAND = ("attack_ms", "ratio")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Two songs, and the simulated rig: its attack and its ratio are turned by hand."""
    found = Desk(tmp_path)
    found.song("one.wav", seed=1)
    found.song("two.wav", 2.0, seed=2)
    text = capture.presets.packaged("rig", "simulated")
    text = text[: text.index("\ncalibration:")] + text[text.index("\nsimulation:") :]
    (tmp_path / "motor.yaml").write_text(text, "utf-8")
    for control in BY_HAND:
        before, after = text.split(f"  {control}:\n")
        after = after.replace("driver: simulated", "driver: manual", 1)
        text = f"{before}  {control}:\n{after}"
    (tmp_path / "hand.yaml").write_text(text, "utf-8")
    return found


def test_interrupted_at_a_knob_and_gone_on_with_it_is_as_if_a_motor_had_turned(desk: Desk) -> None:
    plan = desk.plan(rig="hand.yaml", releases="0.1", ratios="4")
    run = [CAPTURE, "run", plan, "--out", "hand"]
    with terminal(run, desk.folder) as person:
        person.until("TURN THESE 2 KNOBS").until("ATTACK   ?  ->   0.1 ms").until(READY)
        person.wipe().press("\n").until("ATTACK   0.1 ms  ->   3 ms").until(READY)
        person.wipe().press("\x03")
        assert person.ended() == 130
        assert person.modes_now == person.modes
        assert "interrupted; all that was captured is saved, run again to go on" in person.text
    assert 0 < desk.json("status", "hand")["captured"] < 8
    with terminal(run, desk.folder) as person:
        person.until("TURN THESE 2 KNOBS").until("ATTACK   ?  ->   3 ms").until(READY)
        person.wipe().press("\n")
        assert person.ended() == 0
        assert "finished: 8 of 8 takes captured" in person.text
    assert {row["knobs_confirmed"] for row in rows(desk.folder / "hand")} == {"told"}
    desk.ok("run", plan, "--rig", "motor.yaml", "--out", "motor")
    assert audio(desk, "hand") == audio(desk, "motor")


def audio(desk: Desk, dataset: str) -> dict[str, str]:
    """Of the takes. Latencies are measured once more where a run was interrupted."""
    found = hashes(desk.folder / dataset)
    return {name: sha256 for name, sha256 in found.items() if name.startswith("data/")}


def test_a_person_goes_back_puts_off_and_says_that_it_cannot_be(desk: Desk) -> None:
    plan = desk.plan(rig="hand.yaml", releases="0.1", ratios="4")
    run = [CAPTURE, "run", plan, "--out", "d"]
    with terminal(run, desk.folder) as person:
        person.until("ATTACK   ?  ->   0.1 ms").until(READY).wipe().press("\n")
        person.until("ATTACK   0.1 ms  ->   3 ms").until(READY).press("b").until("once more")
        person.wipe().press("b")
        # The takes at -20 dB are withdrawn; which knob stood wrong is not known.
        person.until("TURN THESE 2 KNOBS").until("ATTACK   ?  ->   0.1 ms").until(READY)
        person.wipe().press("\n").until("ATTACK   0.1 ms  ->   3 ms").until(READY)
        person.wipe().press("s").until("ATTACK   ?  ->   3 ms").until(READY)
        person.wipe().press("i").until("Why").press("it is stuck\n")
        person.until("ATTACK   ?  ->   3 ms").until(READY).wipe().press("\n")
        assert person.ended() == 0
        assert "finished: 6 of 8 takes captured" in person.text
    status = desk.json("status", "d")
    assert list(status["impossible"].values()) == ["it is stuck"]
    assert "nothing to do" in desk.ok("run", plan, "--out", "d")
    lost = {p.name for p in (desk.folder / "d" / "lost+found").rglob("*.flac")}
    assert len(lost) == 6
    assert all("threshold-20" in name for name in lost)
    with terminal([*run, "--retry-rejected"], desk.folder) as person:
        person.until("ATTACK   ?  ->   3 ms").until(READY).press("\n")
        assert person.ended() == 0
    assert desk.json("status", "d")["captured"] == 8
    assert desk.json("verify", "d")["ok"]


def test_a_terminal_that_hangs_up_interrupts_the_session(desk: Desk) -> None:
    plan = desk.plan(rig="hand.yaml", releases="0.1", ratios="4")
    with terminal([CAPTURE, "run", plan, "--out", "d"], desk.folder) as person:
        person.until(READY).hang_up()
        assert person.process.wait(60) == 130
    assert desk.json("status", "d")["last_session"]["outcome"] == "interrupted"


def test_without_a_terminal_the_session_pauses(desk: Desk) -> None:
    plan = desk.plan(rig="hand.yaml", releases="0.1", ratios="4")
    said = desk.fails(130, "run", plan, "--out", "d", input="\n\n\n")
    assert "ATTACK ? -> 0.1 ms; RATIO ? -> 4:1" in said
    assert "there is no terminal to ask on" in said
    assert "Run the same command in a terminal to go on" in said


def test_a_bad_address_for_messages_is_bad_input(desk: Desk) -> None:
    desk.environment["CAPTURE_NOTIFY"] = "json://desk:hunter2@"
    said = desk.fails(2, "run", desk.plan(rig="hand.yaml"), "--out", "d")
    assert "CAPTURE_NOTIFY: is no address that apprise knows" in said
    assert "hunter2" not in said
    assert not (desk.folder / "d").exists()


def test_nobody_is_needed_for_a_preflight(desk: Desk) -> None:
    found = desk.json("check", desk.plan(rig="hand.yaml"), "--out", "d")["findings"]
    (knobs,) = [finding for finding in found if finding["name"] == "knobs"]
    assert knobs["status"] == "skipped"
    assert all(control in knobs["message"] for control in BY_HAND)
