"""What grows with the takes, counted and not timed: `make bench` has the times for 60,000.

Counted are SQL statements, and take records that are read whole, which is what costs.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.dataset import manifest
from capture.dataset import verify as verifier
from capture.dataset.folder import Folder
from capture.records import TakeRecord
from capture.run import session
from capture.run.asked import ask
from capture.run.laws import Laws
from capture.run.ledger import Ledger
from capture.view import stored
from tests.many_takes import CAPTURE, LEFT, Size, make

FEW, MANY = Size(2, (3, 1, 1, 1)), Size(8, (4, 3, 2, 1))


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of 3 and of 190 takes."""
    return [make(tmp_path_factory.mktemp("many") / "x", size) for size in (FEW, MANY)]


class Counted:
    """What was done with a ledger."""

    def __init__(self) -> None:
        self.statements = 0
        self.records = 0


@contextlib.contextmanager
def counting(ledger: Ledger) -> Iterator[Counted]:
    counted = Counted()

    def called(frame: object, event: str, what: Any) -> None:
        if event == "c_call" and what.__name__ == "validate_json":
            counted.records += what.__self__.title == TakeRecord.__name__

    def stated(statement: str) -> None:
        counted.statements += 1

    ledger._database.set_trace_callback(stated)
    sys.setprofile(called)
    try:
        yield counted
    finally:
        sys.setprofile(None)
        ledger._database.set_trace_callback(None)


def count(dataset: Path, act: Callable[[Path, Ledger], object]) -> tuple[int, Counted]:
    """The takes of a dataset, and what ``act`` does with its ledger."""
    ledger = Ledger.open(dataset)
    try:
        with counting(ledger) as counted:
            act(dataset, ledger)
        return len(ledger.take_ids()), counted
    finally:
        ledger.close()


def status(dataset: Path, ledger: Ledger) -> None:
    stored.status_text(stored.status(dataset, ledger))


def resume(dataset: Path, ledger: Ledger) -> None:
    """All that comes before the rig is opened, and the law that is asked for then."""
    asked = ask("plan.yaml", None, dataset.parent)
    job, _ = session.begin(
        asked, Folder(dataset), ledger, _no_rig, lambda event: None, lambda: None
    )
    assert len(job.task.expansion) == len(ledger.take_ids()) + LEFT
    laws = Laws(Folder(dataset), ledger, asked.profile, lambda event: None)
    assert laws.open
    assert len(ledger.takes_since(ledger.laws()[-1].law_id)) > 0


def _no_rig() -> Any:
    raise AssertionError("nothing is recorded here")


def write(dataset: Path, ledger: Ledger) -> None:
    controls = ask("plan.yaml", None, dataset.parent).controls
    manifest.write(dataset, manifest.of_ledger(ledger, controls))


def verify(dataset: Path, ledger: Ledger) -> None:
    controls = ask("plan.yaml", None, dataset.parent).controls
    report = verifier.verify(Folder(dataset), ledger, controls, lambda name: None)
    assert not report.damage, report.damage
    assert not report.notes


@pytest.mark.parametrize("act", [status, resume])
def test_no_take_is_read_whole_and_no_statement_is_made_for_one(
    datasets: list[Path], act: Callable[[Path, Ledger], None]
) -> None:
    (few, before), (many, after) = (count(dataset, act) for dataset in datasets)
    assert many > 20 * few
    # A song has its split written, and a reference take is looked at.
    spared = {status: (0, 0), resume: (MANY.songs - FEW.songs, 3)}[act]
    assert after.statements - before.statements <= spared[0]
    assert after.records <= spared[1]


@pytest.mark.parametrize(("act", "times"), [(write, 1), (verify, 2)])
def test_every_take_is_read_so_often_and_not_more(
    datasets: list[Path], act: Callable[[Path, Ledger], None], times: int
) -> None:
    """Besides, one of each setting, and the reference's."""
    few, before = count(datasets[0], act)
    many, after = count(datasets[1], act)
    settings = 24 + 3
    assert times * many <= after.records <= times * many + settings
    assert after.statements - before.statements <= times * (many - few) + settings


def test_the_program_finds_every_file_and_goes_on(datasets: list[Path]) -> None:
    folder = datasets[1].parent
    for command in (["run", "plan.yaml", "--out", "d"], ["verify", "d"]):
        done = subprocess.run(
            [CAPTURE, *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    with contextlib.closing(Ledger.read(datasets[1])) as ledger:
        assert len(ledger.take_ids()) == 8 * 24 + 3
