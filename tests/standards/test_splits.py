"""The splits of the Hugging Face view: every take in one of them, ``test`` what is unseen."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.dataset.standards import huggingface

TAKES = st.lists(
    st.tuples(
        st.sampled_from(["train", "test", None]),
        st.sampled_from(["seen", "unseen", "reference", None]),
        st.sampled_from([0, 1000, 2000]),
        st.integers(2, 999),
    ),
    min_size=1,
)


def table(takes: list[tuple[str | None, str | None, int, int]]) -> pa.Table:
    """A reference's take is a repeat; all others are the first of their cell, or revised."""
    reference = [setting == "reference" for _, setting, _, _ in takes]
    return pa.table(
        {
            "number": pa.array(range(len(takes)), pa.int64()),
            "split": pa.array([song for song, _, _, _ in takes], pa.string()),
            "setting_split": pa.array([setting for _, setting, _, _ in takes], pa.string()),
            "repeat": pa.array(
                [revision + (again if repeated else 1)
                 for repeated, (_, _, revision, again) in zip(reference, takes, strict=True)],
                pa.int64(),
            ),
        }
    )  # fmt: skip


@given(TAKES)
@settings(deadline=None)
def test_every_take_is_in_one_split(takes: list[tuple[str | None, str | None, int, int]]) -> None:
    found = table(takes)
    parts = {
        name: set(found.filter(mask)["number"].to_pylist())
        for name, mask in huggingface.splits(found).items()
    }
    assert all(parts.values())
    test = parts.pop("test", set[int]())
    assert sorted(number for part in parts.values() for number in part) == list(range(len(takes)))
    unseen = [part for name, part in parts.items() if name.startswith("unseen")]
    assert test == set[int]().union(*unseen)
    assert parts.get("reference", set[int]()) == {
        number for number, (_, setting, _, _) in enumerate(takes) if setting == "reference"
    }


def test_without_splits_all_planned_takes_train() -> None:
    takes = pa.table(
        {
            "split": pa.array([None] * 4, pa.string()),
            "setting_split": pa.array([None] * 4, pa.string()),
            "repeat": [1, 2, 1001, 1002],
        }
    )
    masks = {name: mask.to_pylist() for name, mask in huggingface.splits(takes).items()}
    assert masks == {"train": [True, False, True, False], "reference": [False, True, False, True]}
    assert huggingface.sizes(takes) == {"train": 2, "reference": 2}
