"""Controls a hardware capture rig and builds datasets for modelling dynamic range compressors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from capture.dataset.load import Takes

__version__ = "0.1.0"


def load(dataset: str | os.PathLike[str], version: str | None = None) -> Takes:
    """The takes of a dataset, to train on: docs/loading.md.

    ``version``: a release as ``1.0.0``; by default the newest one, and where there is none, what is
    captured so far.

    Raises:
        capture.errors.BadInput: no dataset, or no such release.
        capture.errors.DamagedData: its tables cannot be read.
    """
    from capture.dataset import load as loader  # late: this imports numpy, pyarrow ...

    return loader.load(dataset, version)
