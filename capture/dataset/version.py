"""Numbers of releases: Semantic Versioning as Croissant 1.1 defines it for data. Pure.

MAJOR: what was there has changed or is gone. MINOR: what was there is unmodified, and something was
added. PATCH: the same data, packed or described in another way.
Source: MLCommons, Croissant format specification 1.1, 'Versioning'; semver.org 2.0.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Bump = Literal["major", "minor", "patch"]
PATTERN = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @staticmethod
    def of(text: str) -> Version | None:
        """``1.10.0``; None where it is no such number. Nothing may follow the third."""
        found = PATTERN.fullmatch(text)
        return Version(*map(int, found.groups())) if found else None

    def after(self, bump: Bump) -> Version:
        """The one number that follows this one."""
        match bump:
            case "major":
                return Version(self.major + 1, 0, 0)
            case "minor":
                return Version(self.major, self.minor + 1, 0)
            case "patch":
                return Version(self.major, self.minor, self.patch + 1)
