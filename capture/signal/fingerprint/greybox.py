"""The enrolled unit: a grey box that predicts the features of every setting.

White is the structure, the general physics of ``sidechain.py``; black is every number in it. All
are fitted to probes of this one unit (``enrol.py``), none is read off the panel:

    threshold   per position: dBFS
    attack      per position: time constant of the charge
    release     per position: fast and slow time constant, transfer; auto is a position like others
    ratio       per position: the detector's curve, 8 slopes
    delay       one: frames by which the CV comes later than the audio's whole-frame latency

So a probe of one position tells something of all settings that share it, and a few dozen settings
tell of all. Controls are known by their role, which is their name without its unit. A role that
the rig has no control for is one nameless position. Controls of other names (make-up gain, a mix)
are not modelled: the CV against its rest does not show them.

What this proves is 'the same positions as were enrolled', not that 4:1 is four to one.

What moves from one visit to the next without any knob standing elsewhere is not fitted but
**projected out**, as a covariance of the features (``directions``): the threshold is set
again, parts get warm, the CV's law drifts, latency is cut at whole frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capture.errors import BadInput, DamagedData
from capture.model import AUTO, Setting, Value, base_name, format_value
from capture.signal.fingerprint import sidechain
from capture.signal.fingerprint.probe import Signal, probe
from capture.signal.fingerprint.sidechain import (
    ATTACK,
    COLUMNS,
    CURVE,
    FAST,
    KNOTS_DB,
    SLOW,
    THRESHOLD,
    TRANSFER,
)

ALGORITHM_VERSION = "fingerprint-1"

ROLES = ("threshold", "attack", "release", "ratio")
MAX_ENROLMENT = 30

THRESHOLD_RESET_DB = 0.25
"""Standard deviation of a threshold that is set again (uniform within 0.4 dB: 0.23)."""
PARTS = 0.03
"""That of a time constant or the loop's gain since the enrolment, as a share: warmth and age."""
PARTS_ENROLLING = 0.01
"""That from one probe of the enrolment to the next."""
MOVED = 4.5
"""Nothing is held to have moved further than so many standard deviations."""
CV_SCALE = 0.005
"""That of the CV's slope, as a share: 1.5 degrees of an uncompensated VCA, 0.1 dB in 20."""
DELAY_FRAMES = 0.3
"""That of the CV's delay (a latency that is cut at whole frames: uniform within half a frame)."""

_PARTS: dict[str, tuple[int, ...]] = {
    "threshold": (THRESHOLD,),
    "attack": (ATTACK,),
    "release": (FAST, SLOW, TRANSFER),
    "ratio": tuple(range(CURVE, COLUMNS)),
}
STEPS = np.array([0.05, 0.01, 0.01, 0.02, 0.01] + [0.02] * len(KNOTS_DB))
"""By how much each column is moved to see what the features do."""


@dataclass(frozen=True, slots=True)
class Model:
    """An enrolled unit. ``values`` and ``covariance`` are those of ``names``.

    ``controls``: each role's control, for the roles that have one. A name is a role, a position
    and the number of its part: ``release auto 0``. ``misfit_db``: what the fit leaves of each
    feature, one standard deviation, and ``misfit_moves`` how much further each of MOVES seemed to
    go from probe to probe than it should: 0 where the unit is built as assumed. ``probes``: how
    many were fitted, refinements included.
    """

    algorithm_version: str
    sample_rate_hz: int
    controls: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    values: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    misfit_db: tuple[float, ...]
    misfit_moves: tuple[float, ...]
    probes: int

    def to_json(self) -> dict[str, Any]:
        """Plain data: text, whole numbers, and lists of them and of floats."""
        return {
            "algorithm_version": self.algorithm_version,
            "sample_rate_hz": self.sample_rate_hz,
            "controls": [list(pair) for pair in self.controls],
            "names": list(self.names),
            "values": list(self.values),
            "covariance": [list(row) for row in self.covariance],
            "misfit_db": list(self.misfit_db),
            "misfit_moves": list(self.misfit_moves),
            "probes": self.probes,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Model:
        """The inverse of ``to_json``.

        Raises:
            BadInput: another version of the algorithm made it: enrol again.
            DamagedData: it lacks something, or its lists do not match.
        """
        if data.get("algorithm_version") != ALGORITHM_VERSION:
            raise BadInput(
                f"the enrolment was made by {data.get('algorithm_version')}, this is "
                f"{ALGORITHM_VERSION}: enrol the unit again"
            )
        try:
            model = cls(
                algorithm_version=ALGORITHM_VERSION,
                sample_rate_hz=int(data["sample_rate_hz"]),
                controls=tuple((str(role), str(name)) for role, name in data["controls"]),
                names=tuple(map(str, data["names"])),
                values=tuple(map(float, data["values"])),
                covariance=tuple(tuple(map(float, row)) for row in data["covariance"]),
                misfit_db=tuple(map(float, data["misfit_db"])),
                misfit_moves=tuple(map(float, data["misfit_moves"])),
                probes=int(data["probes"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedData(f"the stored enrolment cannot be read: {error!r}") from None
        count = len(model.names)
        shape = {len(model.values), len(model.covariance), *map(len, model.covariance)}
        misfits = len(model.misfit_db), len(model.misfit_moves)
        expected = len(probe(model.sample_rate_hz).features), len(MOVES)
        if shape != {count} or misfits != expected:
            raise DamagedData("the stored enrolment's lists do not match each other")
        return model

    def movements(self, rest_noise_db: float) -> Signal:
        """One standard deviation of each of MOVES since the enrolment."""
        return np.hypot(movements(rest_noise_db), np.array(self.misfit_moves, np.float64))

    def knows(self, setting: Setting) -> bool:
        """Whether every position of ``setting`` was enrolled."""
        known = set(self.names)
        return all(name in known for name in names_of(self.controls, setting))


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What a model expects of some settings.

    ``features`` (settings, features) in dB, ``slopes`` (settings, features, COLUMNS): what they
    gain when a column of the side chain moves by one, ``delays`` (settings, features): when the CV
    comes a frame later. ``lanes`` (settings, COLUMNS), and the model's ``covariance`` of each.
    """

    model: Model
    settings: tuple[Setting, ...]
    lanes: Signal
    covariance: Signal
    features: Signal
    slopes: Signal
    delays: Signal


def roles(controls: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Each role's control, in the order of ROLES.

    Raises:
        BadInput: two controls have the same role.
    """
    found: dict[str, str] = {}
    for control in controls:
        role = base_name(control)
        if role in found:
            raise BadInput(f"{found[role]} and {control} are both the unit's {role}")
        if role in ROLES:
            found[role] = control
    return tuple((role, found[role]) for role in ROLES if role in found)


def names_of(controls: Sequence[tuple[str, str]], setting: Setting) -> list[str]:
    """The names of a setting's parameters, in the order of a lane's columns."""
    control = dict(controls)
    names: list[str] = []
    for role in ROLES:
        position = format_value(setting[control[role]]) if role in control else "-"
        names += [f"{role} {position} {part}" for part in range(len(_PARTS[role]))]
    return names


def enrolment_settings(positions: Mapping[str, Sequence[Value]]) -> list[Setting]:
    """The settings to probe, at most MAX_ENROLMENT: a pure function of the positions to be known.

    ``positions``: each control's, in panel order; a plan's grid or a rig's panel. First a base
    setting (lowest threshold, fastest attack, middle release and ratio) and from it one knob at a
    time, so that every position is seen at least once under the most reduction; then settings that
    hold the most pairs of positions not yet seen together.

    Raises:
        BadInput: the positions are too many to see each of them once.
    """
    base = Setting({name: _base(base_name(name), values) for name, values in positions.items()})
    chosen = [base]
    for _, name in roles(positions):
        others = (value for value in positions[name] if value != base[name])
        chosen += [Setting({**base, name: value}) for value in others]
    if len(chosen) > MAX_ENROLMENT:
        raise BadInput(
            f"{len(chosen)} probes would be needed to see each of the controls' positions once; "
            f"at most {MAX_ENROLMENT} are allowed",
            "name fewer positions: those of the plan's grid",
        )
    return chosen + _pairs(base, positions, chosen)


def _base(role: str, values: Sequence[Value]) -> Value:
    numbers = sorted(value for value in values if value is not AUTO)
    if not numbers or role not in ROLES:
        return values[0]
    return numbers[0] if role in ("threshold", "attack") else numbers[len(numbers) // 2]


def _pairs(
    base: Setting, positions: Mapping[str, Sequence[Value]], chosen: Sequence[Setting]
) -> list[Setting]:
    """As many more settings as allowed, each with the most pairs that none before it holds."""
    names = [name for _, name in roles(positions)]
    grid = np.array(list(np.ndindex(*(len(positions[name]) for name in names))), np.intp)
    seen: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for a in range(len(names)):
        for b in range(a):
            seen[a, b] = np.zeros((len(positions[names[a]]), len(positions[names[b]])), bool)
    for setting in chosen:
        place = [list(positions[name]).index(setting[name]) for name in names]
        for (a, b), pairs in seen.items():
            pairs[place[a], place[b]] = True
    more: list[Setting] = []
    while len(chosen) + len(more) < MAX_ENROLMENT:
        fresh = sum(
            (~pairs[grid[:, a], grid[:, b]] for (a, b), pairs in seen.items()),
            np.zeros(len(grid), np.intp),
        )
        best = grid[int(np.argmax(fresh))]
        if not fresh.max(initial=0):
            break
        for (a, b), pairs in seen.items():
            pairs[best[a], best[b]] = True
        places: list[int] = best.tolist()
        values = {name: positions[name][i] for name, i in zip(names, places, strict=True)}
        more.append(Setting({**base, **values}))
    return more


def neighbours(setting: Setting, positions: Mapping[str, Sequence[Value]]) -> list[Setting]:
    """The settings that one knob one step away leads to. ``positions`` as above; a control that is
    not among them, or does not stand at one of them, stays."""
    found: list[Setting] = []
    for name, values in positions.items():
        at = list(values).index(setting[name]) if setting.get(name) in values else None
        steps = () if at is None else (at - 1, at + 1)
        found += [Setting({**setting, name: values[i]}) for i in steps if 0 <= i < len(values)]
    return found


def candidates(model: Model, label: Setting, settings: Iterable[Setting]) -> list[Setting]:
    """What ``label`` is to be judged against: itself, and those of ``settings`` that were enrolled
    and are like it in every control that the model does not know. To the model, settings that
    differ in such a control only would be the same."""
    known = {name for _, name in model.controls}
    others = [name for name in label if name not in known]
    fit = (s for s in settings if all(s.get(name) == label[name] for name in others))
    return list(dict.fromkeys([label, *(s for s in fit if model.knows(s))]))


def forecast(model: Model, settings: Iterable[Setting]) -> Forecast:
    """What ``model`` expects of each of ``settings``, no two of which are the same to it.

    Raises:
        BadInput: a setting has a position that was not enrolled.
    """
    wanted = tuple(settings)
    lanes, covariance = lanes_of(model, wanted)
    delay = model.values[model.names.index("delay")]
    features, slopes, delays = sloped(model.sample_rate_hz, lanes, delay)
    return Forecast(model, wanted, lanes, covariance, features, slopes, delays)


def lanes_of(model: Model, settings: Sequence[Setting]) -> tuple[Signal, Signal]:
    """The side chain's numbers (n, COLUMNS), and their covariance (n, COLUMNS, COLUMNS).

    Raises:
        BadInput: a setting has a position that was not enrolled.
    """
    number = {name: i for i, name in enumerate(model.names)}
    rows = [names_of(model.controls, setting) for setting in settings]
    missing = {name.rpartition(" ")[0] for row in rows for name in row if name not in number}
    if missing:
        raise BadInput(
            f"not enrolled: {', '.join(sorted(missing))}; enrol the unit with these positions"
        )
    places = np.array([[number[name] for name in row] for row in rows], np.intp)
    values, covariance = np.array(model.values), np.array(model.covariance)
    return values[places], covariance[places[:, :, None], places[:, None, :]]


def sloped(
    sample_rate_hz: int, lanes: Signal, delay_frames: float
) -> tuple[Signal, Signal, Signal]:
    """Features, slopes and delays of ``lanes`` (n, COLUMNS), as ``Forecast`` holds them."""
    moved = np.concatenate([lanes[None], lanes + np.diag(STEPS)[:, None, :]])
    features, delays = sidechain.predict(probe(sample_rate_hz), moved.reshape(-1, COLUMNS))
    features = (features + delay_frames * delays).reshape(len(moved), len(lanes), -1)
    slopes = (features[1:] - features[0]) / STEPS[:, None, None]
    return features[0], np.moveaxis(slopes, 0, 2), delays[: len(lanes)]


MOVES = (
    "threshold_db", "attack", "release", "slow_release", "transfer", "loop_gain", "cv_scale",
    "cv_delay_frames", "rest_db",
)  # fmt: skip
"""What moves while all knobs stand as they should, in the unit that the name ends in, else as a
share of what it was."""


def movements(rest_noise_db: float, parts: float = PARTS) -> Signal:
    """One standard deviation of each of MOVES."""
    return np.array(
        [
            THRESHOLD_RESET_DB, parts, parts, parts, parts, parts, CV_SCALE, DELAY_FRAMES,
            rest_noise_db,
        ]
    )  # fmt: skip


def directions(lanes: Signal, features: Signal, slopes: Signal, delays: Signal) -> Signal:
    """What a unit of each of MOVES does to the features: (n, features, len(MOVES)), in dB.

    Arguments as in ``Forecast``, for n settings.
    """
    return np.stack(
        [
            slopes[:, :, THRESHOLD],
            slopes[:, :, ATTACK],
            slopes[:, :, FAST],
            slopes[:, :, SLOW],
            lanes[:, None, TRANSFER] * slopes[:, :, TRANSFER],
            slopes[:, :, CURVE:].sum(axis=2),
            features,
            delays,
            np.ones_like(features),
        ],
        axis=2,
    )


def spread(moved: Signal) -> Signal:
    """The covariance (..., n, n) of independent directions (..., n, k), each as
    long as its standard deviation."""
    return moved @ np.swapaxes(moved, -1, -2)


def solve(covariance: Signal, errors: Signal) -> Signal:
    """The inverse of each of ``covariance`` (..., k, k) times its ``errors`` (..., k)."""
    columns = np.expand_dims(errors, -1)
    return np.asarray(np.linalg.solve(covariance, columns), np.float64)[..., 0]


def movement(moved: Signal, covariance: Signal, errors: Signal) -> tuple[Signal, Signal]:
    """How far each of ``moved`` (..., k, moves) has most likely gone, given ``errors`` (..., k) of
    ``covariance`` (..., k, k): in the lengths of ``moved``, and in the standard deviations that
    this estimate has if the covariance is true; (..., moves) each."""
    inverse = np.asarray(np.linalg.solve(covariance, moved), np.float64)
    variance = np.maximum(np.sum(moved * inverse, axis=-2), 1e-9)
    likely: Signal = np.sum(inverse * np.expand_dims(errors, -1), axis=-2)
    return likely, likely / np.sqrt(variance)
