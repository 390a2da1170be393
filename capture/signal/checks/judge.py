"""From a figure to a verdict."""

from __future__ import annotations

from dataclasses import replace

from capture.model import CheckResult


def above(name: str, figure: float | None, limit: float, warn: float | None = None) -> CheckResult:
    """Fails above ``limit``, warns above ``warn``; unverified where there is no figure.

    The limit that is reported is the one that was passed, or else the one that fails.
    """
    if figure is None:
        return CheckResult(name, None, limit, "unverified")
    if figure > limit:
        return CheckResult(name, figure, limit, "fail")
    if warn is not None and figure > warn:
        return CheckResult(name, figure, warn, "warn")
    return CheckResult(name, figure, limit, "pass")


def below(name: str, figure: float | None, limit: float, warn: float | None = None) -> CheckResult:
    """Fails below ``limit``, warns below ``warn``."""
    if figure is None:
        return CheckResult(name, None, limit, "unverified")
    if figure < limit:
        return CheckResult(name, figure, limit, "fail")
    if warn is not None and figure < warn:
        return CheckResult(name, figure, warn, "warn")
    return CheckResult(name, figure, limit, "pass")


def off(name: str, figure: float | None, limit: float, warn: float | None = None) -> CheckResult:
    """Fails further than ``limit`` from 0, either way, warns further than ``warn``."""
    found = above(name, None if figure is None else abs(figure), limit, warn)
    return replace(found, figure=figure)


def run(name: str, figure: int, limit: int) -> CheckResult:
    """A run of frames fails where it is as long as ``limit``."""
    return CheckResult(name, figure, limit, "fail" if figure >= limit else "pass")
