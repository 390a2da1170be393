"""The latency's probe played loud: delays and gains of made-up ways to the inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import MeasurementFailed
from capture.hardware.ports import Interval
from capture.model import GainLaw
from capture.records import CalibrationRecord, LoudProbe
from capture.run import loud
from capture.run.calibrate import channel_delay
from capture.run.probe import Played
from capture.signal import delay
from capture.signal.levels import FULL_SCALE, amplified, codes_of

RATE = 44100
INPUTS = ("left", "right", "cv", "loopback")
LATENCY = 100
AT_REST = np.zeros(2 * round(1.4 * RATE))


def played(signal: np.ndarray, send_gain_db: float, **paths: np.ndarray) -> Played:
    """What comes back by ``paths``, impulse responses of inputs; else half, after 100 frames."""
    sent = amplified(codes_of(signal), send_gain_db)
    plain = np.zeros(LATENCY + 1)
    plain[LATENCY] = 0.5
    received = np.zeros((len(sent), len(INPUTS)), np.int32)
    for column, name in enumerate(INPUTS):
        if name != "cv":
            way = paths.get(name, plain)
            heard = np.convolve(sent[:, delay.SENDS[name]] / FULL_SCALE, way)[: len(sent)]
            received[:, column] = codes_of(heard)
    return Played(sent, received, INPUTS, RATE, Interval(0, len(sent), frozenset()))


def quiet(**paths: np.ndarray) -> CalibrationRecord:
    signal = delay.probe(RATE)
    back = played(signal, 0.0, **paths)
    heard = {name: back.column(name) for name in delay.SENDS}
    found = delay.of_inputs(signal, heard, RATE)
    return CalibrationRecord(
        "cal-1", "2026-11-22T00:00:00+00:00", RATE, LATENCY,
        {name: channel_delay(one) for name, one in found.items()},
        GainLaw(-50.0, 0.0, "expected"), {}, "delay-3",
    )  # fmt: skip


@pytest.fixture(scope="module")
def before() -> CalibrationRecord:
    return quiet()


def compare(before: CalibrationRecord, send_gain_db: float = 5.0, **paths: np.ndarray) -> LoudProbe:
    back = played(loud.probe(RATE, send_gain_db), send_gain_db, **paths)
    return loud.compare(back, before, send_gain_db, AT_REST)


@settings(max_examples=8, deadline=None)
@given(send_gain_db=st.floats(-60, 60))
def test_any_send_gain_is_found_at_the_loopback(
    before: CalibrationRecord, send_gain_db: float
) -> None:
    found = compare(before, send_gain_db)
    # As songs are played, rounded to 24 bits; and 0.5 of it comes back.
    expected_db = send_gain_db + 20 * np.log10(0.5)
    assert found.delays["loopback"].gain_db == pytest.approx(expected_db, abs=0.002)
    assert found.level_dbfs == pytest.approx(min(-6.0, send_gain_db - 0.1))
    assert max(map(abs, found.shift_frames.values())) < 0.001


def test_a_way_that_is_longer_when_it_is_loud_is_named_with_both_figures(
    before: CalibrationRecord,
) -> None:
    later = np.zeros(LATENCY + 2)
    later[LATENCY : LATENCY + 2] = 0.4, 0.1  # 0.2 frame, by and large
    with pytest.raises(MeasurementFailed) as failed:
        compare(before, right=later)
    (message,) = failed.value.messages
    assert "latency of the input right: 100.0000 frames under the quiet probe" in message
    assert "look for a second path" in message


def test_polarity_and_latency_are_told_at_once(before: CalibrationRecord) -> None:
    turned, later = np.zeros(LATENCY + 1), np.zeros(LATENCY + 3)
    turned[LATENCY], later[-1] = -0.5, 0.5
    with pytest.raises(MeasurementFailed) as failed:
        compare(before, left=turned, loopback=later)
    polarity, latency = failed.value.messages
    assert "polarity of the input left: as sent under the quiet probe, inverted at" in polarity
    assert "input loopback: 100.0000 frames under the quiet probe, 102.0000 at -6 dBFS" in latency


def test_polarity_that_is_turned_in_both_is_no_fault() -> None:
    turned = np.zeros(LATENCY + 1)
    turned[LATENCY] = -0.5
    found = compare(quiet(left=turned), left=turned)
    assert found.delays["left"].inverted
    assert abs(found.shift_frames["left"]) < 0.001


def test_how_hard_the_unit_worked_is_read_against_its_rest(before: CalibrationRecord) -> None:
    gain_db = np.full(len(AT_REST), 0.3)  # an offset that is none of its doing
    gain_db[1000:9000] -= 12.0
    back = played(loud.probe(RATE, 0.0), 0.0)
    assert loud.compare(back, before, 0.0, gain_db).deepest_gain_db == pytest.approx(-12.0)
