"""The side chain's timing network, from its components, in discrete time.

Two sections in series, each a capacitor with its own release resistor across it; in front of both
the attack resistor, behind a diode. With the drive u and r = x1 + x2 (all in dB, which are volts
at that point of the circuit):

    diode conducts:  C1 x1' = (u - r) / Ra - x1 / R1      C2 x2' = (u - r) / Ra - x2 / R2
    diode is open:   C1 x1' = -x1 / R1                    C2 x2' = -x2 / R2

u is held during a frame, so a step of dt seconds is exact with P = exp(A dt), A the matrix of the
first line, and x[n+1] = P x[n] + A^-1 (P - 1) b u. Auto release uses both sections; every other
position only the first, and the second, disconnected, goes on leaking.

Source of the values: SSL's G-type, as published in obscureSignals/differential_dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np

from capture.hardware.simulation import UnitFacts
from capture.model import AUTO, Value, format_value

Network = tuple[float, float, float, float, float, float, float, float]
"""a11, a12, a21, a22, b1, b2 of a charging step, and p1, p2, the factors of a leaking one."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One position of attack and release. Time constants in seconds; the second is auto's own."""

    network: Network
    first_s: float
    second_s: float
    both: bool


def timing(facts: UnitFacts, attack_ms: Value, release_s: Value, rate_hz: int) -> Timing:
    """The network that stands behind two positions of the panel."""
    ohm, farad = facts.tolerance.resistance, facts.tolerance.capacitance * 1e-6
    auto = facts.auto
    both = release_s is AUTO
    attack = facts.attack_ohm[format_value(attack_ms)] * ohm
    c1 = facts.capacitor_uf * farad
    if both:
        assert auto is not None  # the position was checked
        r1 = auto.fast_ohm * ohm
    else:
        r1 = facts.release_ohm[format_value(release_s)] * ohm
    if auto is None:
        r2, c2 = r1, c1  # never connected
    else:
        r2, c2 = auto.slow_ohm * ohm, auto.slow_uf * farad
    charge = _two_sections if both else _one_section
    p1, p2 = exp(-1 / (r1 * c1 * rate_hz)), exp(-1 / (r2 * c2 * rate_hz))
    network = (*charge(attack, r1, c1, r2, c2, 1 / rate_hz), p1, p2)
    return Timing(network, r1 * c1, r2 * c2, both)


Charge = tuple[float, float, float, float, float, float]


def _one_section(ra: float, r1: float, c1: float, r2: float, c2: float, dt: float) -> Charge:
    pole = -(1 / ra + 1 / r1) / c1
    p = exp(pole * dt)
    return p, 0.0, 0.0, 0.0, (p - 1) / (pole * ra * c1), 0.0


def _two_sections(ra: float, r1: float, c1: float, r2: float, c2: float, dt: float) -> Charge:
    b = np.array([1 / (ra * c1), 1 / (ra * c2)])
    a = -np.diag([1 / (r1 * c1), 1 / (r2 * c2)]) - np.column_stack([b, b])
    rates, vectors = np.linalg.eig(a)  # real and different: a is a scaled symmetric matrix
    p = (vectors * np.exp(rates * dt)) @ np.linalg.inv(vectors)
    held = np.linalg.solve(a, (p - np.eye(2)) @ b)
    return (
        float(p[0, 0]), float(p[0, 1]), float(p[1, 0]), float(p[1, 1]),
        float(held[0]), float(held[1]),
    )  # fmt: skip
