"""All that the standards' files are made of, read once: a release's tables and documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capture.dataset.arrow import pyarrow
from capture.dataset.export.facts import about
from capture.dataset.snapshot import Snapshot, release_facts
from capture.dataset.standards.meanings import TITLES
from capture.documents import read
from capture.errors import BadInput, DamagedData
from capture.hardware.profile import RigProfile
from capture.plan.spec import AboutSpec, PlanSpec

NOT_STATED = "not stated"


@dataclass(frozen=True, slots=True)
class Facts:
    """``release``: release.json. ``takes``: takes.parquet, a pyarrow.Table."""

    found: Snapshot
    about: AboutSpec
    plan: PlanSpec
    rig: RigProfile
    release: dict[str, Any]
    takes: Any

    @property
    def version(self) -> str:
        return str(self.release["version"])

    @property
    def name(self) -> str:
        """The dataset's name: as a person would say it, if the plan has that."""
        return self.about.title or str(self.found.identity["name"])

    @property
    def description(self) -> str:
        if self.about.description:
            return self.about.description
        return (
            f"{self.release['songs']} songs played through a dynamic range compressor at "
            f"{self.release['settings']} settings, with its gain-control voltage."
        )

    @property
    def tables(self) -> list[str]:
        """The names of the release's tables."""
        return [name for name in TITLES if (self.found.folder / f"{name}.parquet").is_file()]

    @property
    def controls(self) -> list[str]:
        """The columns of the setting: ``threshold_db``, ..., ``release_auto``."""
        return [name for name in self.found.controls if not name.endswith("_read_back")]

    @property
    def captured(self) -> tuple[str, str]:
        """When the first and the last take were committed, UTC."""
        span = pyarrow().compute.min_max(self.takes["captured_at"]).as_py()
        return span["min"], span["max"]


def facts(found: Snapshot) -> Facts:
    """Raises BadInput where there is no release, DamagedData where it cannot be read."""
    if found.version is None:
        raise BadInput(f"{found.root}: has no release yet, so it cannot be described; see: "
                       "capture release")  # fmt: skip
    plan, rig = (_document(found, kind) for kind in ("plan", "rig"))
    try:
        return Facts(
            found=found,
            about=about(found),
            plan=plan.check(PlanSpec),
            rig=rig.check(RigProfile),
            release=release_facts(found),
            takes=found.table("takes"),
        )
    except BadInput as error:
        raise DamagedData(*error.messages) from None


def _document(found: Snapshot, kind: str) -> Any:
    path = found.folder / f"{kind}.yaml"
    try:
        return read(path.read_text("utf-8"), str(path))
    except (OSError, ValueError) as error:
        raise DamagedData(f"{path}: cannot be read: {error}") from None
