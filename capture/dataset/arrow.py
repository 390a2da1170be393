"""pyarrow, late and as Any: it has no types, and ``capture --help`` must not load it."""

from __future__ import annotations

import importlib
from typing import Any


def pyarrow() -> Any:
    """The package with its parquet, compute and csv modules loaded."""
    for name in ("parquet", "compute"):
        importlib.import_module(f"pyarrow.{name}")
    return importlib.import_module("pyarrow")
