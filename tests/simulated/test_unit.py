"""The compressor against its circuit, worked out by hand: curves, time constants, links."""

import math

import numpy as np
import pytest

from capture.hardware.ports import Label
from capture.hardware.simulated import open_simulated, render
from capture.model import AUTO

RATE = 44100
FULL = 2**23
CAPACITOR, SLOW = 0.47e-6, 6.8e-6
ATTACK = {0.1: 820, 0.3: 2.7e3, 1: 8.2e3, 3: 27e3, 10: 82e3, 30: 270e3}
RELEASE = {0.1: 180e3, 0.3: 270e3, 0.6: 560e3, 1.2: 1.2e6}


def held(*parts):
    """A signal of constant value, (level in dBFS or None, seconds) after each other, int32."""
    pieces = [
        np.full((round(s * RATE), 2), 0 if level is None else round(FULL * 10 ** (level / 20)))
        for level, s in parts
    ]
    return (np.concatenate(pieces).astype(np.int64) * 256).clip(max=2**31 - 256).astype(np.int32)


def reduction(profile, setting, play):
    return -render(profile, setting, play)[1].gain_db


def rest_of(drive, leak):
    """Where the loop rests: r = leak * drive(r), by bisection; drive falls with r."""
    low, high = 0.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if leak * drive(middle) > middle else (low, middle)
    return low


@pytest.mark.parametrize("ratio", [1.5, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("release", [0.1, 1.2])
def test_static_curve_is_that_of_a_feedback_loop(ideal, at, ratio, release):
    setting = at(-20.0, 0.1, release, float(ratio))
    leak = RELEASE[release] / (RELEASE[release] + ATTACK[0.1])  # what R1 takes from u at rest
    for level in (-26.0, -23.1, -21.0, -18.0, -15.0, -8.0, -1.0):
        r = reduction(ideal(), setting, held((level, 0.3)))[-1]
        over, slope, knee = level + 20.0, ratio - 1.0, 6.0
        hard = leak * slope * over / (1 + leak * slope)
        if over - hard > knee / 2:
            expected = hard
        elif over < -knee / 2:
            expected = 0.0
        else:  # r = leak * slope (over - r + W/2)^2 / 2W: a quadratic in e = over - r + W/2
            k = leak * slope / (2 * knee)
            e = (-1 + math.sqrt(1 + 4 * k * (over + knee / 2))) / (2 * k)
            expected = over + knee / 2 - e
        assert r == pytest.approx(expected, abs=2e-5), level  # the level is rounded to 24 bits


def test_ratio_is_the_slope_above_the_knee(ideal, at):
    ends = [reduction(ideal(), at(-28.0, 0.1, 1.2, 2.0), held((x, 0.3)))[-1] for x in (-12, -2)]
    assert 10 / (10 - (ends[1] - ends[0])) == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize("ratio", [2, 4, 10])
def test_circuit_law_rests_where_its_equation_says(ideal, at, ratio):
    profile = ideal({"unit": {"law": "circuit"}})
    leak = RELEASE[0.1] / (RELEASE[0.1] + ATTACK[30])
    for level in (-19.0, -15.0, -5.0):
        r = reduction(profile, at(-20.0, 30.0, 0.1, float(ratio)), held((level, 1.0)))[-1]

        def drive(r, over=level + 20.0):
            return (ratio - 1) * 20 / math.log(10) * (10 ** ((over - r) / 20) - 1)

        assert r == pytest.approx(rest_of(drive, leak), abs=1e-4)


def test_nothing_happens_below_the_knee_or_threshold(ideal, at):
    assert not reduction(ideal(), at(), held((-23.01, 0.2))).any()
    assert reduction(ideal(), at(), held((-22.9, 0.2))).any()
    circuit = ideal({"unit": {"law": "circuit"}})
    assert not reduction(circuit, at(), held((-20.01, 0.2))).any()


@pytest.mark.parametrize("ratio", [2, 4])
@pytest.mark.parametrize("attack", [3.0, 10.0, 30.0])
def test_attack_constant_is_the_networks_divided_by_the_loop(ideal, at, attack, ratio):
    r = reduction(ideal(), at(-20.0, attack, 1.2, float(ratio)), held((-2.0, 1.0)))
    ra, r1 = ATTACK[attack], RELEASE[1.2]
    rate = (1 / ra * ratio + 1 / r1) / CAPACITOR  # of r' = ((R - 1)(E - r) - r) / Ra C - r / R1 C
    distance = r[-1] - r
    until = np.argmax(distance < distance[0] * 0.05)
    slope = np.polyfit(np.arange(until) / RATE, np.log(distance[:until]), 1)[0]
    assert -slope == pytest.approx(rate, rel=0.02)


def test_a_frame_is_read_before_it_acts(ideal, at):
    r = reduction(ideal(), at(), held((-2.0, 0.01)))
    assert r[0] == 0.0
    assert r[1] > 0.5


@pytest.mark.parametrize("release", RELEASE)
@pytest.mark.parametrize("law", ["log-detector", "circuit"])
def test_release_constant_is_rc(ideal, at, release, law):
    r = reduction(
        ideal({"unit": {"law": law}}),
        at(-20.0, 1.0, release, 4.0),
        held((-2.0, 0.2), (None, 1.0)),
    )
    tail = r[-RATE // 2 :]
    slope = np.polyfit(np.arange(len(tail)) / RATE, np.log(tail), 1)[0]
    assert -1 / slope == pytest.approx(RELEASE[release] * CAPACITOR, rel=1e-9)


def test_auto_releases_in_two_sections_that_shared_the_charge(ideal, at):
    """At rest both carry one current, so x1 : x2 = R1 : R2; then each decays alone."""
    r1, r2 = 91e3, 750e3
    hold = 8.0
    r = reduction(ideal(), at(release="auto"), held((-2.0, hold), (None, 3.0)))
    tail = r[round(hold * RATE) :]
    t = np.arange(len(tail)) / RATE
    shape = np.column_stack([np.exp(-t / (r1 * CAPACITOR)), np.exp(-t / (r2 * SLOW))])
    parts, residual, *_ = np.linalg.lstsq(shape, tail, rcond=None)
    assert residual[0] < 1e-18
    assert parts[0] / parts[1] == pytest.approx(r1 / r2, rel=1e-3)
    leak = (r1 + r2) / (r1 + r2 + ATTACK[0.1])
    assert sum(parts) == pytest.approx(leak * 3 * 18 / (1 + leak * 3), rel=1e-4)


def test_auto_forgets_a_short_sound_faster_than_a_long_one(ideal, at):
    def half_life(hold):
        r = reduction(ideal(), at(release="auto"), held((-2.0, hold), (None, 4.0)))
        tail = r[round(hold * RATE) :]
        return np.argmax(tail < tail[0] / 2) / RATE

    assert half_life(0.002) < 0.05
    assert half_life(5.0) > 2.5


def test_the_slow_capacitor_keeps_its_charge_while_another_release_is_used(ideal, at):
    truths = []
    rig = open_simulated(ideal(), on_truth=truths.append)
    rig.knobs.set(at(release="auto"))
    list(rig.audio.record([held((-2.0, 8.0))], Label("take", "a")))
    before = -truths[-1].gain_db[-1]
    rig.knobs.set(at(release=0.1))
    rig.audio.settle(2 * RATE)
    rig.knobs.set(at(release="auto"))
    list(rig.audio.record([held((None, 0.01))], Label("take", "b")))
    slow = before * 750 / 841 * math.exp(-2 / (750e3 * SLOW))
    assert -truths[-1].gain_db[0] == pytest.approx(slow, rel=1e-3)


def test_tolerance_scales_times_and_loop(ideal, at):
    spoilt = {"resistance": 1.1, "capacitance": 1.2, "loop_gain": 0.5}
    profile = ideal({"unit": {"tolerance": spoilt}})
    r = reduction(profile, at(-20.0, 0.1, 0.1, 3.0), held((-2.0, 0.3), (None, 0.5)))
    tail = r[-RATE // 4 :]
    slope = np.polyfit(np.arange(len(tail)) / RATE, np.log(tail), 1)[0]
    assert -1 / slope == pytest.approx(RELEASE[0.1] * CAPACITOR * 1.32, rel=1e-9)
    assert r[round(0.3 * RATE) - 1] == pytest.approx(18 / 2, rel=0.01)  # ratio 3 acts as 2


def test_channels_are_linked_by_the_louder(ideal, at):
    play = held((-2.0, 0.2))
    both = render(ideal(), at(), play)[1]
    play[:, 0] //= 1000
    one = render(ideal(), at(), play)[1]
    np.testing.assert_array_equal(one.gain_db, both.gain_db)
    expected = (play[-1] >> 8) / FULL * 10 ** (one.gain_db[-1] / 20)
    np.testing.assert_allclose(one.output[-1], expected, rtol=1e-12)


def test_vca_distorts_and_its_channels_differ(ideal, at):
    profile = ideal({"vca": {"second": 1e-3, "third": 2e-3, "mismatch_db": 0.4}})
    rng = np.random.default_rng(1)
    play = rng.integers(-(2**22), 2**22, (1000, 2)).astype(np.int32) << 8
    out = render(profile, at(threshold=12.0), play)[1].output
    for channel, db in ((0, 0.2), (1, -0.2)):
        z = (play[:, channel] >> 8) / FULL * 10 ** (db / 20)
        np.testing.assert_allclose(out[:, channel], z + 1e-3 * z**2 + 2e-3 * z**3, rtol=1e-12)


def test_makeup_is_in_the_output_and_not_in_the_gain(ideal, at):
    plain = render(ideal(), at(), held((-10.0, 0.1)))[1]
    more = render(ideal({"unit": {"makeup_db": 6.0}}), at(), held((-10.0, 0.1)))[1]
    np.testing.assert_array_equal(more.gain_db, plain.gain_db)
    assert more.makeup_db == 6.0
    np.testing.assert_allclose(more.output, plain.output * 10**0.3, rtol=1e-12)


def test_threshold_offset_shifts_the_scale(ideal, at):
    play = held((-10.0, 0.1))
    shifted = reduction(ideal({"unit": {"threshold_offset_db": 8.0}}), at(threshold=-28.0), play)
    np.testing.assert_allclose(shifted, reduction(ideal(), at(threshold=-20.0), play), atol=1e-12)


def music(seed, seconds):
    """Dense noise under a wandering envelope, -12 dBFS peak, int32."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    knots = np.arange(0, n + 2000, 2000)
    envelope = np.interp(np.arange(n), knots, rng.uniform(0.02, 1, len(knots)) ** 2)
    x = rng.standard_normal((n, 2)) * envelope[:, None]
    return np.rint(x / np.abs(x).max() * 0.25 * FULL).astype(np.int32) << 8


@pytest.mark.parametrize("law", ["log-detector", "circuit"])
@pytest.mark.parametrize("release", [0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.6, AUTO])
def test_compiled_or_not_the_bits_are_the_same(packaged, at, law, release):
    pytest.importorskip("numba")
    for seed, attack, ratio in ((1, 0.1, 10.0), (2, 1.0, 4.0), (3, 30.0, 5.0)):
        profile, setting = packaged(unit={"law": law}, seed=seed), at(-28.0, attack, release, ratio)
        play = music(seed, 0.5)
        slow, slow_truth = render(profile, setting, play, compiled=False)
        fast, fast_truth = render(profile, setting, play, compiled=True)
        assert slow_truth.gain_db.min() < -1
        assert slow_truth.gain_db.tobytes() == fast_truth.gain_db.tobytes()
        assert slow.tobytes() == fast.tobytes()


def test_without_numba_it_runs_all_the_same(packaged, at, monkeypatch):
    from capture.hardware.simulated import law

    monkeypatch.setattr(law, "_compiled", lambda name: None)
    recorded, truth = render(packaged(), at(), music(1, 0.1), compiled=True)
    assert len(recorded) == len(truth.gain_db) == RATE // 10


@pytest.mark.parametrize("damage", [RuntimeError("no locator"), OSError(), EOFError()])
def test_a_cache_that_cannot_be_used_does_not_matter(monkeypatch, damage):
    numba = pytest.importorskip("numba")
    from capture.hardware.simulated import law

    def njit(signature, cache=False):
        if cache:
            raise damage
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    law._compiled.cache_clear()
    try:
        assert law._compiled("circuit") is law.LOOPS["circuit"]
    finally:
        law._compiled.cache_clear()


def test_circuits_power_of_ten_is_exact_to_a_few_ulp(ideal, at):
    """First frame after rest: r = b u, so u(d) = S (20/ln 10)(10^(d/20) - 1) can be read off."""
    profile = ideal({"unit": {"law": "circuit"}})
    pole = (1 / 270e3 + 1 / 180e3) / CAPACITOR
    b = (1 - math.exp(-pole / RATE)) / (pole * 270e3 * CAPACITOR)
    for level in np.linspace(-19.9, -0.1, 100):
        play = held((level, 2 / RATE))
        d = 20 * math.log10((play[0, 0] >> 8) / FULL) + 20
        u = 3 * 20 / math.log(10) * (10 ** (d / 20) - 1)
        r = reduction(profile, at(-20.0, 30.0, 0.1, 4.0), play)[1]
        assert r == pytest.approx(b * u, rel=1e-11)
