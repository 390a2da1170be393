"""The plan as it is written in YAML. Strict; knows nothing of any rig or file."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field

from capture.documents import PositionValue, SchemaVersion, Strict
from capture.model import CheckLimits, Recipe

Seed = Annotated[int, Field(ge=0, lt=2**63)]
FadeSeconds = Annotated[float, Field(ge=0, le=10)]


def _listed(data: object) -> object:
    return cast(object, data) if isinstance(data, list) else [data]


def _settings(data: object) -> object:
    return {"settings": cast(object, data)} if isinstance(data, list) else data


class SongsSpec(Strict):
    """Where the songs are: globs relative to the plan's folder, or ``demo:NAME``."""

    paths: Annotated[list[str], Field(min_length=1)]
    exclude: list[str] = []
    fade_in_s: FadeSeconds = 0.0
    fade_out_s: FadeSeconds = 0.0


class LevelSpec(Strict):
    normalize: Literal["peak", "rms", "lufs"]
    target_db: Annotated[float, Field(ge=-80, le=0)]
    send_gain_db: Annotated[float, Field(ge=-60, le=60)] = 0.0
    return_gain_db: Annotated[float, Field(ge=-60, le=60)] = 0.0


class ExcludeSpec(Strict):
    """Settings that are left out: those where every named control has one of the values."""

    when: Annotated[
        dict[str, Annotated[list[PositionValue], BeforeValidator(_listed)]], Field(min_length=1)
    ]
    reason: Annotated[str, Field(min_length=1)]


class RandomSpec(Strict):
    count: Annotated[int, Field(ge=1, le=100_000)]
    seed: Seed


class ExtraSpec(Strict):
    """Settings besides the grid: drawn at random, or a list of them."""

    random: RandomSpec | None = None
    settings: list[dict[str, PositionValue]] | None = None


class OrderSpec(Strict):
    """``travel``: the order that turns knobs least; ``listed``: nested loops, last key inmost."""

    settings: Literal["travel", "listed"] = "travel"
    songs: Literal["listed"] = "listed"


class ReferenceSpec(Strict):
    """One setting, played with the first song before every so many settings and at the end.

    A take of it that is further off the first than ``drift_limit_db`` pauses the session.
    """

    setting: dict[str, PositionValue]
    every_settings: Annotated[int, Field(ge=1, le=1_000_000)]
    drift_limit_db: Annotated[float, Field(gt=0, le=60)] = 0.1


class SplitsSpec(Strict):
    seed: Seed
    test_songs: Annotated[int, Field(ge=0)]
    seen: Literal["grid"] = "grid"
    unseen: Literal["extra"] = "extra"


class AboutSpec(Strict):
    """What nobody can measure: whose the dataset is, and what others may do with it.

    ``license`` is an SPDX identifier or an address. All of it may change at any time.
    """

    title: Annotated[str | None, Field(max_length=200)] = None
    description: str | None = None
    creators: list[Annotated[str, Field(min_length=1)]] = []
    license: str | None = None
    url: Annotated[str | None, Field(pattern=r"^https?://\S+$")] = None
    citation: str | None = None
    keywords: list[str] = []


class PlanSpec(Strict):
    """A plan: one YAML file in ``sessions/`` or of the user's."""

    schema_version: SchemaVersion
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
    rig: Annotated[str, Field(min_length=1)] = "simulated"
    songs: SongsSpec
    level: LevelSpec
    sample_rate_hz: Annotated[int, Field(ge=8000, le=384000)]
    grid: Annotated[
        dict[str, Annotated[list[PositionValue], Field(min_length=1)]], Field(min_length=1)
    ]
    exclude: list[ExcludeSpec] = []
    extra: Annotated[ExtraSpec | None, BeforeValidator(_settings)] = None
    order: OrderSpec = OrderSpec()
    reference: ReferenceSpec | None = None
    splits: SplitsSpec | None = None
    checks: CheckLimits = CheckLimits()
    about: AboutSpec = AboutSpec()

    @property
    def recipe(self) -> Recipe:
        return Recipe(
            sample_rate_hz=self.sample_rate_hz,
            normalize=self.level.normalize,
            target_db=self.level.target_db,
            send_gain_db=self.level.send_gain_db,
            return_gain_db=self.level.return_gain_db,
            fade_in_s=self.songs.fade_in_s,
            fade_out_s=self.songs.fade_out_s,
        )
