"""A file is there whole or not at all, whatever happens while it is written."""

from __future__ import annotations

import builtins
import errno
import io
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from tools.made_files import EVERY, contents, in_folder, same_bits, text
from tools.refusals import assert_refused

from autonn import Layer, Sequential
from autonn.data import write_examples
from autonn.files import atomic as room
from autonn.files import atomic_write, save_weights, write_weights
from autonn.files.npz import write_npz


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


# What is no file is not replaced by one.


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_replaced(tmp_path: Path, thetas: list[Any]) -> None:
    pipe, link = tmp_path / "W1.in", tmp_path / "link.mat"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    words = ["W1.in", "found a pipe, expected a file or nothing; give another path"]
    assert_refused(lambda: write_weights(thetas[:1], pipe), OSError, words)
    assert_refused(lambda: write_weights(thetas, link), OSError, ["link.mat", "found a pipe"])
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "mknod"), reason="there are no devices with names")
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    """One like /dev/null, which only root can make; a failure would cost the machine its own."""
    null = tmp_path / "null"
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    words = ["null", "found a device, expected a file or nothing", "give another path"]
    assert_refused(lambda: save(null), OSError, words)
    assert_refused(lambda: write_npz(null, {}), OSError, words)
    assert stat.S_ISCHR(null.stat().st_mode)
    assert os.listdir(tmp_path) == ["null"]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets with names")
def test_a_socket_is_not_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        assert_refused(lambda: save(tmp_path / "s"), OSError, ["found a socket"])
        assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)


# Writers that are killed.

WRITER = """
import contextlib, sys, time
from autonn.files import atomic_write
with contextlib.ExitStack() as stack:
    for path in sys.argv[1:]:
        file = stack.enter_context(atomic_write(path))
        file.write(b"half")
        file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


@contextmanager
def writer(*paths: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that is writing to the paths, and kill it in the end."""
    command = [sys.executable, "-c", WRITER, *map(str, paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.kill()


def save(path: Path) -> None:
    with atomic_write(path) as file:
        file.write(b"new")


NAMES = ["w.npz", "w*[a-z].npz", 120 * "\N{GREEK SMALL LETTER THETA}"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return files, each in its folder, to which two processes were writing as they were killed."""
    paths = {name: text(tmp_path_factory.mktemp("killed") / name, "old") for name in NAMES}
    with writer(*paths.values()), writer(*paths.values()):
        pass
    return paths


@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_writer_left_is_removed_by_the_next(
    name: str, killed: dict[str, Path]
) -> None:
    path = killed[name]
    assert path.read_bytes() == b"old"
    assert len(contents(path.parent)) == 3
    save(path)
    assert contents(path.parent) == {name: b"new"}


def test_what_a_living_writer_has_begun_is_left_alone(tmp_path: Path) -> None:
    """Another process, and another writer in this one."""
    path = tmp_path / "w.npz"
    with writer(path), atomic_write(path) as file:
        file.write(b"mine")
        begun = {name for name in contents(tmp_path) if name != path.name}
        save(path)
        assert path.read_bytes() == b"new"
        assert {name for name in contents(tmp_path) if name != path.name} == begun
        assert len(begun) == 2
    assert path.read_bytes() == b"mine"
    save(path)
    assert contents(tmp_path) == {path.name: b"new"}


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Only this very name's, and no folder or link."""
    code = "0123456789abcdef"
    others = [f".v.npz.{code}.tmp", f"w.npz.{code}.tmp", ".w.npz.tmp", ".w.npz.0.tmp"]
    others += [f".w.npz.{code}.tmp.bak", f".w.npz.{code[:-1]}g.tmp", f".w.npz.{code}0.tmp"]
    for name in others:
        text(tmp_path / name, "other")
    folder, link = tmp_path / f".w.npz.{code}.tmp", tmp_path / f".w.npz.{code[::-1]}.tmp"
    folder.mkdir()
    link.symlink_to(tmp_path / others[0])
    save(tmp_path / "w.npz")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, folder.name, link.name, "w.npz"])
    folder.rmdir()
    link.unlink()
    text(tmp_path / f".w.npz.{code}.tmp", "abandoned")
    save(tmp_path / "w.npz")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "w.npz"])


@pytest.mark.skipif(os.name == "nt", reason="where no open file is removed")
@pytest.mark.parametrize("locked", [False, True])
def test_a_file_removed_before_it_was_locked_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """Another writer may take it for abandoned just then: it holds the lock, or has removed it."""
    files: list[IO[bytes]] = []

    def opened(path: Any, mode: str) -> IO[bytes]:
        return builtins.open(path, mode)

    def lost(path: Any, mode: str) -> IO[bytes]:
        files.append(opened(path, mode))
        if len(files) == 1:
            files.append(opened(path, "rb"))
            if locked:
                room._lock(files[1])
            os.unlink(path)
        return files[-2 if len(files) == 2 else -1]

    monkeypatch.setattr(room, "open", lost, raising=False)
    save(tmp_path / "w.npz")
    files[1].close()
    assert len(files) == 3
    assert contents(tmp_path) == {"w.npz": b"new"}


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written to as ever, and nothing is taken for abandoned."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    left = text(tmp_path / ".w.npz.0123456789abcdef.tmp", "left")
    monkeypatch.setattr(room, "_lock", refuse)
    save(tmp_path / "w.npz")
    assert contents(tmp_path) == {left.name: b"left", "w.npz": b"new"}


def test_without_locks_of_the_system_a_day_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    young = text(tmp_path / ".w.npz.0123456789abcdef.tmp", "left")
    old = text(tmp_path / ".w.npz.fedcba9876543210.tmp", "left")
    os.utime(old, (time.time() - 90_000,) * 2)
    monkeypatch.setattr(sys, "platform", "win32")
    save(tmp_path / "w.npz")
    monkeypatch.undo()
    assert contents(tmp_path) == {young.name: b"left", "w.npz": b"new"}


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
