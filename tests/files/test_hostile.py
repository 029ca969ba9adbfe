"""What a hostile file only claims to hold costs neither memory nor time."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from tools.made_files import arrays, claiming, members_of, network, tensors, zipped

from autonn.files import FileFormatError, load_weights
from autonn.files.reading import MAX_BYTES


def inflated_mat(claim: int, zeros: int) -> bytes:
    """Return a .mat file whose packed variable claims a size, and unpacks to as many zeros."""
    packed = zlib.compress(struct.pack("<II", 14, claim) + bytes(zeros))
    return b"".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed


BOMB = 2**26
HOSTILE = [
    "zeros.npz",
    "header.npz",
    "padded.npz",
    "claim.npz",
    "negative.npz",
    "lzma.npz",
    "length.safetensors",
    "almost.safetensors",
    "shape.safetensors",
    "deep.safetensors",
    "claim.mat",
    "more.mat",
    "less.mat",
    "room.mat",
]


@pytest.fixture(scope="module")
def hostile() -> dict[str, bytes]:
    """Return files of less than 512 kB that claim to be large, or would be if they were read."""
    good = arrays(network())
    deflated = zipfile.ZIP_DEFLATED
    weight = {"dtype": "F64", "shape": [2**62, 2**62], "data_offsets": [0, 96]}
    deep = b'{"a":' + b"[" * 100_000
    return {
        "zeros.npz": zipped(
            [("0.weight.npy", claiming(f"({BOMB // 8},)") + bytes(BOMB))], deflated
        ),
        "header.npz": zipped(
            [("0.weight.npy", b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + bytes(BOMB))], deflated
        ),
        "padded.npz": zipped(
            [
                ("0.weight.npy", claiming("(3, 4)") + bytes(BOMB)),
                *members_of({k: v for k, v in good.items() if k != "0.weight"}),
            ],
            deflated,
        ),
        "claim.npz": zipped([("0.weight.npy", claiming(f"({2**60}, {2**60})"))]),
        "negative.npz": zipped([("0.weight.npy", claiming("(-3, -4)") + bytes(96))]),
        "lzma.npz": zipped(members_of(good), zipfile.ZIP_LZMA),
        "length.safetensors": tensors(b"{}", b"", 2**63),
        "almost.safetensors": tensors(b"{}", b"", 2**26),
        "shape.safetensors": tensors({"0.weight": weight}, bytes(96)),
        "deep.safetensors": tensors(deep, b""),
        "claim.mat": inflated_mat(2**31, 100),
        "more.mat": inflated_mat(96, BOMB),
        "less.mat": inflated_mat(2**28, 100),
        "room.mat": inflated_mat(MAX_BYTES + 8, 100),
    }


def test_every_hostile_file_is_tried(hostile: dict[str, bytes]) -> None:
    assert list(hostile) == HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_bombs_are_refused_before_memory_is_spent(
    tmp_path: Path, hostile: dict[str, bytes], name: str
) -> None:
    path, model = tmp_path / name, network()
    path.write_bytes(hostile[name])
    assert path.stat().st_size < 2**19
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(FileFormatError, match=name):
            load_weights(model, path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**22
    assert time.perf_counter() - began < 5
