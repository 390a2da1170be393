"""A rack that drifts: the session pauses, somebody says what is to be done, and that is kept."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.reference import Accepted, drifts, since_accepted
from tests.session.conftest import CAPTURE, Desk, rows
from tests.session.test_weeks import plain_rig
from tests.storage.conftest import take
from tests.view.conftest import Webhook
from tests.view.terminal import Terminal, terminal

REFERENCE = """
reference:
  setting: {threshold_db: -28, attack_ms: 0.1, release_s: 0.1, ratio: 4}
  every_settings: 2
"""
GAIN = "{kind: gain, gain_db: 0.3}"
READY = "s  stop: the next run measures it again"


def drifting(desk: Desk, faults: str) -> str:
    """A plan of 8 takes and 3 of the reference: those are number 1, 6 and 11."""
    rig = desk.folder / plain_rig(desk)
    text = rig.read_text("utf-8")
    assert "\n  faults: []\n" in text
    rig.write_text(text.replace("\n  faults: []\n", f"\n  faults: {faults}\n"), "utf-8")
    return desk.plan(rig=rig.name, releases="0.1", more=REFERENCE)


def well(takes: int) -> str:
    return "ok, " * takes


def gains(desk: Desk) -> list[float]:
    """What the manifest says of the left return's drift."""
    return [round(float(row["gain_left_db"]), 2) for row in rows(desk.folder / "d", "references")]


def withdrawn(desk: Desk) -> list[str]:
    """The reasons for which takes were withdrawn."""
    ledger = sqlite3.connect(desk.folder / "d/ledger.sqlite")
    found = [reason for (reason,) in ledger.execute("SELECT reason FROM withdrawn")]
    ledger.close()
    return found


def test_without_a_person_the_session_ends_and_the_next_run_looks_again(desk: Desk) -> None:
    """The gain is off by 0.3 dB in the second reference take: the sixth of all."""
    plan = drifting(desk, f"[{well(5)}{GAIN}, {GAIN}]")
    said = desk.fails(4, "run", plan, "--out", "d", input="a\nsomebody\n")
    assert (
        "the rack has drifted: the reference is off its first take by 0.300 dB (limit 0.1)" in said
    )
    assert "left +0.300, right +0.300" in said
    assert "run the same command again" in said
    assert len(rows(desk.folder / "d")) == 6  # nothing that was recorded is lost
    assert gains(desk) == [0.3]
    # A rig that is opened anew begins its script anew: the drift is there still, and again.
    drifting(desk, f"[{GAIN}]")
    said = desk.fails(4, "run", plan, "--out", "d")
    assert "nobody accepted it: the reference is recorded again" in said
    assert (len(rows(desk.folder / "d")), gains(desk)) == (6, [0.3])
    drifting(desk, "[]")  # it has gone
    said = desk.ok("run", plan, "--out", "d")
    assert "reference: 0.000 dB off the first (limit 0.1)" in said
    assert gains(desk) == [0.0, 0.0]
    assert [reason[:36] for reason in withdrawn(desk)] == [
        "the rack had drifted: the reference "
    ] * 2
    assert len(list((desk.folder / "d/lost+found").rglob("*.out.flac*"))) == 2
    assert desk.json("verify", "d")["ok"]
    assert "nothing to do" in desk.ok("run", plan, "--out", "d")


@given(st.lists(st.tuples(st.floats(-30, 0), st.booleans()), max_size=8))
def test_the_base_is_the_last_take_that_was_accepted_or_the_first(
    history: list[tuple[float, bool]],
) -> None:
    """``history``: the level of each take, and whether it was accepted."""
    takes = [
        take(0, take_id=str(number), captured_at=str(number), rms_left_dbfs=level)
        for number, (level, _) in enumerate(history)
    ]
    accepted = [
        Accepted(str(number), str(number), "Ada", "now")
        for number, (_, said) in enumerate(history)
        if said
    ]
    gone = [Accepted(str(number), "recorded before", "Ada", "now") for number in range(8)]
    found = since_accepted(takes, {}, [*gone, *accepted])
    bases = [0, *(number for number, (_, said) in enumerate(history) if said)]
    if len(history) < 2 or bases[-1] == len(history) - 1:
        assert found is None
        return
    assert found is not None
    assert (found.first_take_id, found.take_id) == (str(bases[-1]), str(len(history) - 1))
    assert found.gain_left_db == pytest.approx(history[-1][0] - history[bases[-1]][0])
    assert [drift.first_take_id for drift in drifts(takes, {})] == ["0"] * (len(history) - 1)


def asked(person: Terminal) -> Terminal:
    return person.until("THE RACK HAS DRIFTED").until(READY)


def test_a_drift_that_somebody_accepts_is_what_later_takes_are_compared_with(desk: Desk) -> None:
    plan = drifting(desk, f"[{well(5)}{GAIN}, {well(4)}{GAIN}]")
    run = [CAPTURE, "run", plan, "--out", "d"]
    with terminal([*run, "--limit", "6"], desk.folder) as person:
        asked(person)
        shown = " ".join(person.text.split())
        assert "the reference is off its first take by 0.300 dB (limit 0.1): left +0.300" in shown
        person.wipe().press("x").until("Keys: a accept").press("a").until("Who accepts it?")
        person.wipe().press("-\n").until(READY)  # taken back
        person.wipe().press("a").until("Who accepts it?").press("Ada, after a call\n")
        assert person.ended() == 0
        assert "accepted by Ada, after a call: the reference is off" in " ".join(
            person.text.split()
        )
    (row,) = rows(desk.folder / "d", "references")
    assert (row["accepted_by"], row["accepted_at"][:2]) == ("Ada, after a call", "20")
    # A later run, with nobody there: the same drift does not stop it.
    drifting(desk, f"[{well(4)}{GAIN}]")
    said = desk.ok("run", plan, "--out", "d")
    assert "reference: 0.300 dB off the first, 0.000 off the accepted one (limit 0.1)" in said
    assert gains(desk) == [0.3, 0.3]
    assert withdrawn(desk) == []
    assert desk.json("verify", "d")["ok"]


def test_a_drift_away_from_what_was_accepted_stops_all_the_same(desk: Desk) -> None:
    plan = drifting(desk, f"[{well(5)}{GAIN}, {well(4)}]")
    with terminal([CAPTURE, "run", plan, "--out", "d"], desk.folder) as person:
        asked(person).press("a").until("Who accepts it?").wipe().press("Ada\n")
        asked(person)
        shown = " ".join(person.text.split())
        assert "off the take that was accepted by 0.300 dB (limit 0.1): left -0.300" in shown
        assert "off the first by 0.000 dB" in shown
        person.press("s")
        assert person.ended() == 4
        assert "the rack has drifted" in person.text
    assert desk.json("status", "d")["last_session"]["outcome"] == "fault"


def test_somebody_is_called_and_has_it_measured_again(desk: Desk) -> None:
    plan = drifting(desk, f"[{well(5)}{GAIN}, {GAIN}]")
    with closing(Webhook()) as webhook:
        called = {"CAPTURE_NOTIFY": webhook.url}
        with terminal([CAPTURE, "run", plan, "--out", "d"], desk.folder, called) as person:
            asked(person)
            assert "the rack has drifted: the reference is off" in webhook.message()
            person.wipe().press("m")
            asked(person).press("m")  # it is there still
            assert person.ended() == 0
    assert gains(desk) == [0.0, 0.0]
    assert len(withdrawn(desk)) == 2
    assert desk.json("verify", "d")["ok"]


def test_where_nobody_can_answer_somebody_is_told(desk: Desk) -> None:
    with closing(Webhook()) as webhook:
        desk.environment["CAPTURE_NOTIFY"] = webhook.url
        desk.fails(4, "run", drifting(desk, f"[{well(5)}{GAIN}]"), "--out", "d")
        said = webhook.message()
    assert said.startswith("paused: there is no terminal to ask on. The rack has drifted: ")
    assert "0.300 dB" in said
