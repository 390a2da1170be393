"""How far the rack has drifted: the reference's takes against its first one. Pure.

The same song at the same setting again and again: whatever differs, the rack did. Compared are

* gain      the level of each return, RMS, in dB: static gain, make-up and reduction together;
* cv        the mean gain that the CV says, each by the law of its own calibration, in dB;
* response  the features of the fingerprints, RMS, in dB; null where there is none.

Positive is louder, or less reduction, than the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from capture.model import REVISION
from capture.records import FingerprintRecord, TakeRecord


@dataclass(frozen=True, slots=True)
class Drift:
    """Of a reference take against the first of its song and setting; in dB."""

    take_id: str
    first_take_id: str
    captured_at: str
    gain_left_db: float | None
    gain_right_db: float | None
    cv_db: float
    response_db: float | None

    @property
    def most_db(self) -> float:
        """The largest of its figures, in size."""
        figures = (self.gain_left_db, self.gain_right_db, self.cv_db, self.response_db)
        return max(abs(figure) for figure in figures if figure is not None)


@dataclass(frozen=True, slots=True)
class Accepted:
    """``accepted_by`` says that the rack may go on as it was at this take.

    The take is known by its id and its time: recorded again, it is another.
    """

    take_id: str
    captured_at: str
    accepted_by: str
    accepted_at: str


def is_reference(take: TakeRecord) -> bool:
    """Repeat 1 is the planned take; the reference's are those after it."""
    return take.repeat % REVISION > 1


def drifts(takes: Iterable[TakeRecord], proofs: Mapping[str, FingerprintRecord]) -> Iterator[Drift]:
    """Of every take but the first of its song and setting.

    ``takes``: the reference's, in the order in which they were captured (a clock may be set back).
    ``proofs``: the fingerprints by their ids.
    """
    first: dict[tuple[str, str], TakeRecord] = {}
    for take in takes:
        before = first.setdefault((take.song_id, take.setting_id), take)
        if before is not take:
            yield drift(before, take, proofs)


def since_accepted(
    takes: Iterable[TakeRecord],
    proofs: Mapping[str, FingerprintRecord],
    accepted: Iterable[Accepted],
) -> Drift | None:
    """Of the last take, against the last one before it that was accepted, else against the first.

    None where it is the first itself, or was accepted. ``takes``, ``proofs``: as for ``drifts``.
    """
    known = {(one.take_id, one.captured_at) for one in accepted}
    bases: dict[tuple[str, str], TakeRecord] = {}
    found: Drift | None = None
    for take in takes:
        cell = (take.song_id, take.setting_id)
        if cell not in bases or (take.take_id, take.captured_at) in known:
            bases[cell], found = take, None
        else:
            found = drift(bases[cell], take, proofs)
    return found


def drift(first: TakeRecord, now: TakeRecord, proofs: Mapping[str, FingerprintRecord]) -> Drift:
    """``now`` against ``first``."""
    return Drift(
        take_id=now.take_id,
        first_take_id=first.take_id,
        captured_at=now.captured_at,
        gain_left_db=_less(now.rms_left_dbfs, first.rms_left_dbfs),
        gain_right_db=_less(now.rms_right_dbfs, first.rms_right_dbfs),
        cv_db=_mean_gain_db(now) - _mean_gain_db(first),
        response_db=_response_db(
            proofs.get(first.fingerprint_id or ""), proofs.get(now.fingerprint_id or "")
        ),
    )


def _less(now: float | None, first: float | None) -> float | None:
    return None if now is None or first is None else now - first


def _mean_gain_db(take: TakeRecord) -> float:
    cv_fs = take.cv_mean_v / take.cv_volts_per_fs
    return cv_fs * take.law.gain_db_per_fs + take.law.gain_db_at_zero


def _response_db(first: FingerprintRecord | None, now: FingerprintRecord | None) -> float | None:
    if first is None or now is None or len(first.features_db) != len(now.features_db):
        return None
    off = [b - a for a, b in zip(first.features_db, now.features_db, strict=True)]
    return math.sqrt(sum(d * d for d in off) / len(off))
