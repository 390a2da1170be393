"""The layouts by name."""

from __future__ import annotations

from capture.dataset.export import (
    cv_db,
    frictionless,
    hf_parquet,
    signaltrain,
    tonetwist,
    webdataset,
)
from capture.dataset.export.core import Format
from capture.documents import nearest
from capture.errors import BadInput

FORMATS: dict[str, Format] = {
    "hf-parquet": hf_parquet,
    "webdataset": webdataset,
    "cv-db": cv_db,
    "tonetwist": tonetwist,
    "signaltrain": signaltrain,
    "frictionless": frictionless,
}


def find(name: str) -> Format:
    """Raises BadInput, naming the nearest one."""
    try:
        return FORMATS[name]
    except KeyError:
        raise BadInput(f"{name}: there is no such format{nearest(name, FORMATS)}") from None
