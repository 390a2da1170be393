"""Durable writes: all or nothing, in the order that survives power loss; refusals in words."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from capture.dataset import files
from capture.errors import StorageRefused


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_files_appear_whole_under_their_names(tmp_path: Path) -> None:
    targets = tmp_path / "a" / "one", tmp_path / "b" / "two"
    with files.staged(*targets) as parts:
        for part in parts:
            part.write_bytes(b"content")
            assert part.name.startswith(".")
            assert part.name.endswith(files.PART)
        assert not any(target.exists() for target in targets)
    assert all(target.read_bytes() == b"content" for target in targets)
    assert names(tmp_path) == {"one", "two"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_in_the_block_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "one").write_text("before")

    def fail() -> None:
        with files.staged(tmp_path / "one", tmp_path / "two") as (one, _):
            one.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert names(tmp_path) == {"one"}
    assert (tmp_path / "one").read_text() == "before"


def test_a_file_that_was_not_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageRefused, match="No such file"),
        files.staged(tmp_path / "a", tmp_path / "b") as (a, _),
    ):
        a.write_text("only one of two")
    assert names(tmp_path) == set()


def test_flush_rename_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new folder's name reaches the disk, then every file, then all are renamed, then the folder
    is flushed."""
    seen: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(("fsync", path.name))
        fsync(descriptor)

    def watched_replace(self: Path, target: Path) -> Path:
        seen.append(("rename", Path(target).name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    with files.staged(tmp_path / "x" / "one", tmp_path / "x" / "two") as parts:
        for part in parts:
            part.write_text("")
    assert seen == [
        ("fsync", tmp_path.name),
        ("fsync", ".one.part"),
        ("fsync", ".two.part"),
        ("rename", "one"),
        ("rename", "two"),
        ("fsync", "x"),
    ]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EFBIG, "disk is full"),
        (errno.EACCES, "no right"),
        (errno.EPERM, "no right"),
        (errno.EROFS, "no right"),
        (errno.ENOTDIR, "a file stands"),
    ],
)
def test_refusals_are_sentences_with_exit_code_6(tmp_path: Path, number: int, said: str) -> None:
    with pytest.raises(StorageRefused, match=said) as caught, files.writing(tmp_path / "x"):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 6
    assert str(tmp_path / "x") in str(caught.value)


def test_any_other_error_is_told_in_the_system_s_words(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="I/O error"), files.writing(tmp_path):
        raise OSError(errno.EIO, "I/O error")


def test_a_full_disk_is_said_even_as_the_file_is_closed(tmp_path: Path) -> None:
    """libsndfile keeps silent when its last writes fail: a truncated take must not pass for whole.

    The operating system's own refusal, by a limit on file size, a little below what is needed.
    """
    script = tmp_path / "write.py"
    script.write_text(
        "import sys, resource, numpy as np\n"
        "from pathlib import Path\n"
        "from capture.dataset.audio import FlacWriter\n"
        "limit = int(sys.argv[2])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))\n"
        "x = np.random.default_rng(0).integers(-2**20, 2**20, (100_000, 2)).astype('int32') << 8\n"
        "try:\n"
        "    with FlacWriter(Path(sys.argv[1]), 44100, 2) as writer:\n"
        "        for at in range(0, len(x), 65536):\n"
        "            writer.write(x[at:at + 65536])\n"
        "except OSError as error:\n"
        "    sys.exit(error.errno)\n"
    )

    def code(limit: int) -> int:
        command = [sys.executable, str(script), str(tmp_path / "f.flac"), str(limit)]
        return subprocess.run(command, check=False, timeout=60).returncode

    assert code(resource.RLIM_INFINITY) == 0
    size = (tmp_path / "f.flac").stat().st_size
    assert code(size) == 0
    for short in (1, 42, 1000, 5000, size // 2, size - 100, size):
        assert code(size - short) == errno.EFBIG, short
