"""A file is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tools.made_files import EVERY, contents, in_folder, same_bits, text

from autonn import Layer, Sequential
from autonn.data import write_examples
from autonn.files import atomic as room
from autonn.files import atomic_write, save_weights, write_weights


def fails(*_: object) -> None:
    """Stand in for a system call on a full disk."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_failed_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, X: Any, y: Any, thetas: list[Any]
) -> None:
    """The old files are whole and no temporary one is left."""
    for name in ("d.mat", "X.in", "y.in", "w.mat", "W1.in", "W2.in"):
        (tmp_path / name).write_bytes(b"old")
    before = contents(tmp_path)
    monkeypatch.setattr(os, call, fails)
    writes: list[Callable[[], None]] = [
        lambda: write_examples(X, y, tmp_path / "d.mat"),
        lambda: write_examples(X, y, tmp_path / "X.in", tmp_path / "y.in"),
        lambda: write_weights(thetas, tmp_path / "w.mat"),
        lambda: write_weights(thetas, tmp_path / "W1.in", tmp_path / "W2.in"),
    ]
    for write in writes:
        with pytest.raises(OSError, match="No space left"):
            write()
        assert contents(tmp_path) == before


def test_neither_file_changes_if_the_second_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, X: Any, y: Any
) -> None:
    """Both are on the disk before either takes its place."""
    paths = [text(tmp_path / "X.in", "old"), text(tmp_path / "y.in", "old")]
    before, sync = contents(tmp_path), os.fsync
    calls: Iterator[Callable[[int], None]] = iter([os.fsync, fails])
    monkeypatch.setattr(os, "fsync", lambda handle: next(calls, sync)(handle))
    with pytest.raises(OSError, match="No space left"):
        write_examples(X, y, *paths)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_a_writer_that_raises_changes_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    """Ctrl-C in the middle of a file is as harmless."""
    path = text(tmp_path / "note", "old")
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(error))
        stack.enter_context(atomic_write(path)).write(b"ne")
        raise error
    assert contents(tmp_path) == {"note": b"old"}


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    """Readers never see a half-written file."""
    path = text(tmp_path / "note", "old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert contents(tmp_path) == {"note": b"new"}


def test_a_missing_folder_is_named(tmp_path: Path, thetas: list[Any]) -> None:
    """Not the temporary file, which the caller has never heard of."""
    with pytest.raises(FileNotFoundError, match=r"no such folder to write into: '.*none'$"):
        write_weights(thetas, tmp_path / "none" / "w.mat")
    with pytest.raises(OSError, match="folder"):
        write_weights(thetas, text(tmp_path / "folder", "a file"), tmp_path / "folder" / "w.in")


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions and links")
def test_permissions_and_links_survive(tmp_path: Path) -> None:
    """A private file stays private, a link keeps pointing; a new file obeys the umask."""
    path = text(tmp_path / "note", "old")
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    with atomic_write(tmp_path / "fresh") as file:
        file.write(b"")
    assert (tmp_path / "fresh").stat().st_mode == text(tmp_path / "plain", "").stat().st_mode


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    """It can't be replaced, and nothing is left beside it."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"), atomic_write(tmp_path / "folder") as file:
        file.write(b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_arguments_are_left_alone(tmp_path: Path, X: Any, y: Any, thetas: list[Any]) -> None:
    """Writing rolls and converts copies."""
    before = [a.copy() for a in (X, y, *thetas)]
    write_examples(X, y, tmp_path / "d.mat")
    write_weights(thetas, tmp_path / "w.mat")
    assert all(same_bits(a, b) for a, b in zip(before, (X, y, *thetas), strict=True))


# A disk that fills.


class FullDisk(io.FileIO):
    """A file on a disk that has room for some bytes, for all files together."""

    room = 0

    def write(self, content: Any) -> int:
        taken = min(FullDisk.room, len(content))
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        FullDisk.room -= taken
        return super().write(bytes(content[:taken]))


def open_on_full_disk(path: Any, mode: str) -> Any:
    if mode == "xb":
        return io.BufferedWriter(FullDisk(path, mode))
    return builtins.open(path, mode)


@pytest.mark.parametrize("names", [*EVERY, ["d.mat"], ["X.in", "y.in"]])
def test_a_disk_that_fills_at_any_byte_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    small = Sequential(Layer(1, 1, rng=0), Layer(1, 2, rng=1))
    paths = in_folder(tmp_path, names)

    def save() -> None:
        if names in EVERY:
            save_weights(small, *paths)
        else:
            write_examples([[0.1], [0.2]], [3, 0], *paths)

    save()
    size = sum(map(len, contents(tmp_path).values()))
    for path in paths:
        path.write_bytes(b"old")
    old = contents(tmp_path)
    monkeypatch.setattr(room, "open", open_on_full_disk, raising=False)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # slow, and not what is tested
    for byte in range(size):
        FullDisk.room = byte
        with pytest.raises(OSError, match="No space left"):
            save()
        assert contents(tmp_path) == old
    FullDisk.room = size
    save()
    assert contents(tmp_path) != old
