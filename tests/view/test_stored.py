"""What ``capture status`` says of a ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.model import AUTO, CheckResult
from capture.run.ledger import Ledger
from capture.view import stored
from tests.storage.conftest import take

BAD = (
    CheckResult("swap", 12.3456, 6.0, "fail"),
    CheckResult("polarity", None, 0.0, "fail"),
    CheckResult("cv_noise_db", 1.0, 0.5, "warn"),
)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger.open(tmp_path)
    yield found
    found.close()


def reject(ledger: Ledger, number: int) -> None:
    ledger.commit_take(
        take(
            number,
            status="rejected",
            checks=BAD,
            output_file=f"evidence/rejected/song/{number}.out.flac",
            setting={"ratio": 4.0, "release_s": AUTO},
        )
    )


def test_rejected_takes_are_listed_with_what_failed_and_where_they_are(ledger: Ledger) -> None:
    ledger.commit_take(take(0))
    reject(ledger, 1)
    found = stored.status(ledger.path.parent, ledger)
    (rejected,) = found["rejected_takes"]
    assert rejected["failed"] == [
        {"check": "swap", "figure": 12.3456, "limit": 6.0},
        {"check": "polarity", "figure": None, "limit": 0.0},
    ]
    assert rejected["setting"] == {"ratio": 4.0, "release_s": "auto"}
    assert rejected["files"] == ["evidence/rejected/song/1.out.flac", "data/takes/s/1.cv.flac"]
    assert (
        "rejected: song-00000001 at ratio 4, release_s auto: swap: 12.35 (limit 6); "
        "polarity: nothing to measure (evidence/rejected/song)"
    ) in stored.status_text(found)


def test_only_the_first_ten_are_shown_in_the_text(ledger: Ledger) -> None:
    for number in range(12):
        reject(ledger, number)
        ledger.add_impossible(f"setting-{number:02}", "it is stuck")
    found = stored.status(ledger.path.parent, ledger)
    assert (len(found["rejected_takes"]), len(found["impossible"])) == (12, 12)
    text = stored.status_text(found)
    for what in ("rejected", "impossible"):
        lines = [line for line in text.splitlines() if line.startswith(f"{what}: ")]
        assert len(lines) == 11
        assert lines[-1] == f"{what}: and 2 more (--json has all)"
    assert "impossible: setting-09: it is stuck" in text
    assert "12 settings are called impossible" in text


def test_no_row_of_a_captured_take_is_read(ledger: Ledger) -> None:
    """Of 60,000 takes only those are read that failed: the others could be anything."""
    ledger.commit_take(take(0))
    reject(ledger, 1)
    with sqlite3.connect(ledger.path) as other:
        other.execute("UPDATE takes SET record = '{}' WHERE status = 'captured'")
    found = stored.status(ledger.path.parent, ledger)
    assert (found["captured"], len(found["rejected_takes"])) == (1, 1)
