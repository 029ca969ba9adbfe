"""An archive is unpacked as far as its headers are right, and its names are never paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.made_files import arrays, assert_not_loaded, members_of, network, zipped
from tools.refusals import assert_refused

from autonn.files import FileFormatError
from autonn.files.npz import read_npz


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path, seen = tmp_path / "w.npz", list[Any]()
    np.savez_compressed(path, a=np.zeros(300), b=np.zeros(300))
    assert set(read_npz(path, seen.append, most=5200)) == {"a", "b"}
    assert_refused(
        lambda: read_npz(path, seen.append, most=5000), FileFormatError, ["unpacks to", "5,000"]
    )
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("../0.weight.npy", "../0.weight is unknown"),
        ("/0.weight.npy", "/0.weight is unknown"),
        ("0.weight.npy!.npy", r"'0.weight.npy\x00.npy'"),
        ("0.weight", "'0.weight', not NAME.npy"),
        ("0.weight.npy/", "not NAME.npy"),
        ("0.bias.npy", "two arrays are called 0.bias"),
    ],
)
def test_names_of_members_are_never_paths(tmp_path: Path, name: str, says: str) -> None:
    (_, content), *rest = members_of(arrays(network()))
    path = tmp_path / "w.npz"
    path.write_bytes(zipped([(name, content), *rest]).replace(b"!.npy", b"\0.npy"))
    assert_not_loaded(path, FileFormatError, [says])
    assert list(tmp_path.iterdir()) == [path]
