"""24-bit FLAC: whatever is written is what is read, bit for bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from capture.dataset.audio import FlacWriter, Header, header, read, read_blocks
from capture.errors import DamagedData

CODES = st.integers(-(2**23), 2**23 - 1)
EXTREMES = [-(2**23), -(2**23) + 1, -1, 0, 1, 2**23 - 2, 2**23 - 1]


def write(path: Path, samples: np.ndarray, sizes: list[int] | None = None) -> None:
    with FlacWriter(path, 44100, samples.shape[1]) as writer:
        at = 0
        for size in sizes or [len(samples)]:
            writer.write(samples[at : at + size])
            at += size
        writer.write(samples[at:])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2).flatmap(
        lambda channels: arrays.arrays(
            np.int32,
            st.tuples(st.integers(1, 5000), st.just(channels)),
            elements=CODES,
            fill=st.sampled_from(EXTREMES),
        )
    ),
    st.lists(st.integers(1, 2000), max_size=4),
)
def test_bits_survive(
    tmp_path_factory: pytest.TempPathFactory, codes: np.ndarray, sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("flac") / "f.flac"
    samples = codes << 8
    write(path, samples, sizes)
    assert np.array_equal(read(path), samples)
    assert np.array_equal(np.concatenate(list(read_blocks(path, block_frames=777))), samples)


def test_the_extremes_survive(tmp_path: Path) -> None:
    samples = np.array(EXTREMES * 1000, np.int32).reshape(-1, 1) << 8
    write(tmp_path / "f.flac", samples)
    assert np.array_equal(read(tmp_path / "f.flac"), samples)


def test_parts_and_blocks(tmp_path: Path) -> None:
    samples = np.arange(40_000, dtype=np.int32).reshape(-1, 2) << 8
    path = tmp_path / "f.flac"
    write(path, samples)
    assert header(path).frames == 20_000
    assert header(path).bits == 24
    assert np.array_equal(read(path, 100, 200), samples[100:200])
    blocks = list(read_blocks(path, 5, 10_005, 4096))
    assert [len(block) for block in blocks] == [4096, 4096, 1808]
    assert np.array_equal(np.concatenate(blocks), samples[5:10_005])


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**23), 2**23, (50_000, 2)).astype(np.int32) << 8
    for name, sizes in (("a", [50_000]), ("b", [1, 4096, 20_000])):
        write(tmp_path / name, samples, sizes)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_damaged_file_is_damage(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**22), 2**22, (90_000, 2)).astype(np.int32) << 8
    path = tmp_path / "f.flac"
    write(path, samples)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(DamagedData, match=r"f\.flac"):
        list(read_blocks(path))
    with pytest.raises(DamagedData, match=r"none\.flac"):
        list(read_blocks(tmp_path / "none.flac"))


def test_a_format_that_flac_does_not_have_leaves_no_open_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        FlacWriter(tmp_path / "f.flac", 10**9, 2)


@settings(deadline=None)
@given(
    rate=st.sampled_from([8000, 44100, 48000, 96000, 192000]),
    channels=st.integers(1, 8),
    frames=st.integers(1, 10_000),
    subtype=st.sampled_from(["PCM_16", "PCM_24"]),
)
def test_a_header_is_what_libsndfile_reads(
    rate: int, channels: int, frames: int, subtype: str
) -> None:
    """Of no frames at all libsndfile makes an empty file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.flac"
        soundfile.write(path, np.zeros((frames, channels), np.int32), rate, subtype)
        found = header(path)
    assert found == Header(frames, rate, channels, int(subtype[4:]))


@pytest.mark.parametrize("content", [b"", b"fLaC", b"RIFF" + bytes(100), b"fLaC\x01" + bytes(60)])
def test_what_is_no_flac_file_has_no_header(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(content)
    with pytest.raises(DamagedData, match="does not begin as one"):
        header(path)
