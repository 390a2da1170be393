"""Datasets of many thousand takes, made in seconds: a real one is begun, and its first take copied.

Plan, rig, songs, the first take, its law and its fingerprint come from a run of the program. All
other rows are theirs under other names, written through ``capture.run.ledger`` in one transaction.
Every file that a row claims is there, with that size and that hash: a hard link.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from capture.dataset import manifest
from capture.dataset.folder import Folder
from capture.hardware.ports import Rig
from capture.model import Take
from capture.records import VisitRecord, utc_now
from capture.run import session
from capture.run.asked import ask
from capture.run.ledger import Ledger

CAPTURE = str(Path(sys.executable).with_name("capture"))
RATE_HZ = 44100
SONG_S = 0.5
LEFT = 5
"""So many takes are not recorded: something to go on with."""
CALIBRATION_TAKES = 24
"""A stream is opened anew every hour: 24 takes of the field's 152 s."""
LAW_TAKES = 1000
"""So many takes to a law, and to a session."""
PLAN = """\
schema_version: 1
name: many
rig: simulated
songs: {{paths: ["songs/*"]}}
level: {{normalize: peak, target_db: -12.0, send_gain_db: 5.0, return_gain_db: -5.0}}
sample_rate_hz: 44100
grid:
  threshold_db: {}
  attack_ms: {}
  release_s: {}
  ratio: {}
splits: {{seed: 1, test_songs: 1}}
reference:
  setting: {{threshold_db: -28, attack_ms: 0.1, release_s: 0.1, ratio: 4}}
  every_settings: 20
"""
PANEL = (
    [-28, -24, -20, -16, -12, -8, -4, 0, 4, 8, 12],
    [0.1, 0.3, 1, 3, 10, 30],
    [0.1, 0.2, 0.3, 0.4, 0.6, 0.8],
    [4, 2, 10, 3, 5],
)


@dataclass(frozen=True)
class Size:
    """Songs, and positions of each control: threshold, attack, release, ratio."""

    songs: int
    positions: tuple[int, int, int, int]

    @property
    def settings(self) -> int:
        return math.prod(self.positions)

    @property
    def plan(self) -> str:
        return PLAN.format(*(p[:count] for p, count in zip(PANEL, self.positions, strict=True)))


SMALL = Size(100, (5, 3, 2, 2))
"""6,000 takes: 100 songs at 60 settings, and the reference's."""
LARGE = Size(250, (10, 4, 3, 2))
"""60,000 takes: 250 songs at 240 settings, and the reference's."""


def make(folder: Path, size: Size) -> Path:
    """Makes ``plan.yaml``, ``songs/`` and the dataset ``d``, which lacks its last takes."""
    (folder / "songs").mkdir(parents=True)
    for number in range(size.songs):
        noise = np.random.default_rng(number).uniform(-0.5, 0.5, (round(SONG_S * RATE_HZ), 2))
        soundfile.write(folder / "songs" / f"{number:03}.wav", noise, RATE_HZ, "PCM_24")
    (folder / "plan.yaml").write_text(size.plan, "utf-8")
    command = [CAPTURE, "run", "plan.yaml", "--out", "d", "--limit", "1"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    dataset = Folder(folder / "d")
    asked = ask("plan.yaml", None, folder)
    ledger = Ledger.open(dataset.root)
    try:
        job, _ = session.begin(asked, dataset, ledger, _no_rig, lambda event: None, lambda: None)
        _Copies(dataset, ledger).make(list(job.task.expansion)[1:-LEFT])
        manifest.write(dataset.root, manifest.of_ledger(ledger, asked.controls))
    finally:
        ledger.close()
    return dataset.root


def _no_rig() -> Rig:
    raise AssertionError("nothing is recorded here")


class _Copies:
    """Adds rows and files to a dataset of one take. Ids are counted, not made of content."""

    def __init__(self, folder: Folder, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        (self._take,) = ledger.takes()
        (self._proof,) = ledger.fingerprints()
        self._laws, self._calibration = ledger.laws(), ledger.calibrations()[-1]
        self._session = ledger.sessions()[-1]
        self._first: dict[tuple[str, Path], Path] = {}

    def make(self, takes: Sequence[Take]) -> None:
        """``takes`` follow the one that there is."""
        for number in range(len(takes) // LAW_TAKES):
            self._add_law(number)
        visit = 0
        with self._ledger._transaction():
            for number, take in enumerate(takes, 1):
                if number % CALIBRATION_TAKES == 0:
                    self._add_calibration(number)
                if take.visit != visit:
                    self._add_visit(take)
                self._add_take(take)
                visit = take.visit

    def _add_law(self, number: int) -> None:
        """And the session that ended with it. The last one is the latest: takes stand on that."""
        before = self._laws[-1]
        name, now = f"law-{number:012}", utc_now()
        law = replace(before, law_id=name, measured_at=now, previous_id=before.law_id, drift_db=0.0)
        self._link_all(f"calibration/{before.law_id}", f"calibration/{name}", before.files)
        self._ledger.add_law(law)
        self._laws.append(law)
        self._ledger.put_session(replace(self._session, session_id=f"session-{number}"))

    def _add_calibration(self, number: int) -> None:
        before, name = self._calibration, f"cal-{number:012}"
        law = self._laws[min(number // LAW_TAKES, len(self._laws) - 1)]
        self._link_all(f"calibration/{before.calibration_id}", f"calibration/{name}", before.files)
        self._calibration = replace(before, calibration_id=name, law_id=law.law_id)
        self._ledger.add_calibration(self._calibration)

    def _add_visit(self, take: Take) -> None:
        name, setting = f"fp-{take.visit:012}", dict(take.setting)
        file = self._folder.fingerprint_file(take.setting.setting_id, name)
        self._link(self._folder.root / self._proof.file, file)
        self._proof = replace(
            self._proof,
            fingerprint_id=name,
            setting=setting,
            calibration_id=self._calibration.calibration_id,
            file=self._folder.relative(file),
        )
        self._ledger.add_fingerprint(self._proof)
        self._ledger.add_visit(VisitRecord(setting, utc_now(), "acknowledged", None, 0.0))

    def _add_take(self, take: Take) -> None:
        output, cv, markers = self._folder.take_files(take)
        names = (self._take.output_file, self._take.cv_file, self._take.markers_file)
        for name, file in zip(names, (output, cv, markers), strict=True):
            assert name is not None
            self._link_own(name, file)
        self._ledger.commit_take(
            replace(
                self._take,
                take_id=take.take_id,
                song_id=take.song_id,
                setting_id=take.setting.setting_id,
                setting=dict(take.setting),
                repeat=take.repeat,
                split=take.split,
                setting_split=take.setting_split,
                calibration_id=self._calibration.calibration_id,
                fingerprint_id=self._proof.fingerprint_id,
                output_file=self._folder.relative(output),
                cv_file=self._folder.relative(cv),
                markers_file=self._folder.relative(markers),
            )
        )

    def _link_all(self, before: str, after: str, names: Iterable[str]) -> None:
        for name in names:
            self._link(self._folder.root / before / name, self._folder.root / after / name)

    def _link_own(self, name: str, target: Path) -> None:
        """To a copy in its own folder: a file may have some 65,000 names, not more."""
        first = self._first.setdefault((name, target.parent), target)
        if first is not target:
            os.link(first, target)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._folder.root / name, target)

    @staticmethod
    def _link(file: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
