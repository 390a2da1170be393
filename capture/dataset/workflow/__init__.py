"""The Snakemake workflow as files for the user to copy: ``capture workflow FOLDER``."""

from __future__ import annotations

from pathlib import Path

from capture.dataset import files
from capture.errors import BadInput

FILES = {
    "Snakefile": "Snakefile",
    "config.yaml": "config.yaml",
    "slurm.yaml": "slurm/config.yaml",  # a profile is a folder
}


def copy(folder: Path) -> list[Path]:
    """Copies the files to ``folder``; gives their paths.

    Raises BadInput where one of them is there and is not as shipped: it may have been edited.
    """
    here = Path(__file__).parent
    shipped = {folder / name: (here / ours).read_text("utf-8") for ours, name in FILES.items()}
    edited = [path for path, text in shipped.items() if path.is_file() and _text(path) != text]
    if edited:
        raise BadInput(*(f"{path}: is there, and another one; remove it first" for path in edited))
    for path, text in shipped.items():
        files.write_text(path, text)
    return list(shipped)


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace")
