"""The side chain's loop: the one part of the rig that must go frame by frame.

State: the voltages x1, x2 >= 0 of two capacitors, in dB; gain reduction r = x1 + x2. With the
level L of the louder channel and the threshold T, in dB, d = L - T - r is what the detector sees
behind the side-chain VCA (the law is a feedback law). It makes a drive u:

* ``log_detector``: u = 0 below the knee, S (d + W/2)^2 / 2W inside, S d above. In rest u = r, so
  above the knee r = S (L - T) / (1 + S): the ratio is R = 1 + S.
* ``circuit``: u = S (20 / ln 10) (10^(d/20) - 1), not below 0: a linear rectifier into an
  exponential VCA. Its slope at d = 0 is S as well; above, it is far steeper.

If u > r the diode conducts: both capacitors are charged by (u - r) / attack resistor while each
leaks through its own release resistor. Otherwise each decays alone. u is held for one frame, and
the step is exact (``network.py``). A frame's r is read before its update.

The loop is plain Python, with scalars in locals, and where numba can be imported the same function
is compiled: some 25 times faster. Both give the same bits, because the loop does nothing but IEEE
additions, multiplications and comparisons, in one order (numba contracts nothing unless asked to
with fastmath). That is why ``circuit`` has its power of ten from a table and a polynomial: libm's
and a compiler's own might differ in the last bit. The two laws are two whole loops: a call for each
frame would cost the plain one most of its speed.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.hardware.simulated.network import Network

Floats = NDArray[np.float64]
State = tuple[float, float]

# 10^(d/20) for d = 0, 1/16 ... 160 dB. d <= -T, as levels are <= 0 dBFS; and T >= -140 dBFS.
_TABLE = np.exp(np.arange(160 * 16 + 1) * (math.log(10) / 20 / 16))
_TABLE_LIST: list[float] = _TABLE.tolist()


def _log_detector(
    level_db: Sequence[float],
    reduction_db: list[float],
    x: State,
    network: Network,
    slope: float,
    half_knee_db: float,
    table: Sequence[float],
) -> State:
    a11, a12, a21, a22, b1, b2, p1, p2 = network
    x1, x2 = x
    r = x1 + x2
    bend = slope / (4.0 * half_knee_db)
    for i, level in enumerate(level_db):
        reduction_db[i] = r
        d = level - r
        if d > half_knee_db:
            u = slope * d
        elif d > -half_knee_db:
            d += half_knee_db
            u = bend * d * d
        else:
            u = 0.0
        if u > r:
            x1, x2 = a11 * x1 + a12 * x2 + b1 * u, a21 * x1 + a22 * x2 + b2 * u
            r = x1 + x2
        elif r > 0.0:
            x1 *= p1
            x2 *= p2
            r = x1 + x2
    return x1, x2


def _circuit(
    level_db: Sequence[float],
    reduction_db: list[float],
    x: State,
    network: Network,
    slope: float,
    half_knee_db: float,
    table: Sequence[float],
) -> State:
    a11, a12, a21, a22, b1, b2, p1, p2 = network
    x1, x2 = x
    r = x1 + x2
    nepers = 0.11512925464970229  # ln 10 / 20
    scale = slope / nepers
    for i, level in enumerate(level_db):
        reduction_db[i] = r
        d = level - r
        u = 0.0
        if d > 0.0:
            k = int(d * 16.0 + 0.5)
            e = nepers * (d - k * 0.0625)  # at most 0.0036: the next term is below 1e-14
            u = scale * (
                table[k] * (1.0 + e * (1.0 + e * (0.5 + e * (1 / 6 + e * (1 / 24))))) - 1.0
            )
        if u > r:
            x1, x2 = a11 * x1 + a12 * x2 + b1 * u, a21 * x1 + a22 * x2 + b2 * u
            r = x1 + x2
        elif r > 0.0:
            x1 *= p1
            x2 *= p2
            r = x1 + x2
    return x1, x2


LOOPS: dict[str, Callable[..., State]] = {"log-detector": _log_detector, "circuit": _circuit}


def run(
    law: str,
    level_db: Floats,
    x: State,
    network: Network,
    slope: float,
    knee_db: float,
    *,
    compiled: bool,
) -> tuple[Floats, State]:
    """Runs the side chain over ``level_db`` (n,), which is relative to the threshold.

    Returns the gain reduction in dB (n,), float64, never negative, and the state after it.
    """
    if compiled and (loop := _compiled(law)):
        reduction_db = np.empty(len(level_db))
        x = loop(level_db, reduction_db, x, network, slope, knee_db / 2, _TABLE)
        return reduction_db, x
    levels: list[float] = level_db.tolist()
    reductions = levels.copy()
    x = LOOPS[law](levels, reductions, x, network, slope, knee_db / 2, _TABLE_LIST)
    return np.array(reductions), x


def can_compile() -> bool:
    """Whether numba is installed. Does not import it."""
    return importlib.util.find_spec("numba") is not None


@functools.cache
def _compiled(law: str) -> Callable[..., State] | None:
    """The loop compiled, from numba's cache on disk where there is one; None without numba."""
    try:
        import numba
    except ImportError:  # not installed, or not made for this numpy
        return None
    jit: Any = numba.njit  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    floats: Any = numba.float64[::1]
    pair: Any = numba.types.UniTuple(numba.float64, 2)
    eight: Any = numba.types.UniTuple(numba.float64, 8)
    signature = pair(floats, floats, pair, eight, numba.float64, numba.float64, floats)
    try:
        return jit(signature, cache=True)(LOOPS[law])
    except Exception:  # a cache that cannot be written, or is damaged, is done without
        return jit(signature)(LOOPS[law])
