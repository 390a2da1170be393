"""Numbers of releases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.dataset.version import Bump, Version

numbers = st.integers(0, 999_999)
versions = st.builds(Version, numbers, numbers, numbers)


@given(versions)
def test_a_version_reads_back(version: Version) -> None:
    assert Version.of(str(version)) == version


@given(versions, st.sampled_from(["major", "minor", "patch"]))
def test_what_follows_is_later(version: Version, bump: Bump) -> None:
    assert version.after(bump) > version


@given(st.lists(versions))
def test_the_order_is_by_number_and_not_by_letter(found: list[Version]) -> None:
    assert [v.minor for v in sorted(Version(1, v.minor, 0) for v in found)] == sorted(
        v.minor for v in found
    )


@pytest.mark.parametrize(
    "text",
    ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-rc1", "v1.0.0", "1.0.-1", "1.0.0 ", "١.٠.٠"],
)
def test_whatever_else_is_no_version(text: str) -> None:
    assert Version.of(text) is None
