"""Writing that leaves no half-written file: it takes its place whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from autonn.files.reading import PathLike

if sys.platform != "win32":
    import fcntl

NAME_LENGTH = 40  # of the file's name in the temporary one's, whose 255 bytes have to be enough
DAY = 86_400  # seconds
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


@contextmanager
def atomic_write(path: PathLike) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes `path`'s place only when it is complete and on the disk.

    What is written goes to a hidden file in the same folder; leaving the block flushes it, syncs
    it, renames it over `path` and syncs the folder. If anything fails, also on a full disk, the old
    file is untouched and the hidden one is removed. What a writer of the same file left that was
    killed is removed by the next.

    Raises
    ------
    FileNotFoundError
        For a missing folder.
    OSError
        If `path` is a folder, a device or a pipe, which a file would replace; if the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note"
    ...     with atomic_write(path) as file:
    ...         _ = file.write(b"whole")
    ...     path.read_bytes()
    b'whole'
    """
    _require_replaceable(path)
    target = Path(os.path.realpath(path))  # so that a link keeps pointing at the file
    if not target.parent.exists():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    _remove_abandoned(target)
    with _hidden_file(target) as (temporary, file):
        yield file
        file.flush()
        os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, temporary)
        if sys.platform == "win32":
            file.close()  # where no open file is renamed
        os.replace(temporary, target)
    _sync_folder(target.parent)


def _require_replaceable(path: PathLike) -> None:
    """Refuse what is there and is no regular file: written over, /dev/null would be one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        return
    found = KINDS.get(stat.S_IFMT(mode), "a device")
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    said = f"found {found}, expected a file or nothing; give another path to write to"
    raise OSError(number, said, os.fspath(path))


def _sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk: without them a new file would have no name."""
    if os.name == "nt":  # Windows cannot open a folder, and renames durably by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- the hidden file, and those of writers that were killed
#
# A writer holds a lock on its file until it is renamed, and the system lets go of it when the
# process ends, however it ends. So what is not locked is abandoned; a process's number would not
# tell, since another process may have it by now, or the same one in another container.


def _hidden_start(target: Path) -> str:
    return f".{target.name[:NAME_LENGTH]}."


@contextmanager
def _hidden_file(target: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Yield a new file in the same folder, locked while it is open; remove it if anything fails."""
    while True:
        temporary = target.parent / f"{_hidden_start(target)}{secrets.token_hex(8)}.tmp"
        try:
            with open(temporary, "xb") as file:
                if _is_held(file):
                    yield temporary, file
                    return
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _is_held(file: IO[bytes]) -> bool:
    """Lock a new file; False if somebody took it for abandoned in the meantime."""
    if sys.platform == "win32":
        return True  # where no open file is removed
    try:
        _lock(file)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks, where nobody can lock it and so remove it
    return os.fstat(file.fileno()).st_nlink > 0


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed; raise OSError where another has it, or where none can."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(target: Path) -> None:
    """Remove what killed writers of the same file left beside it."""
    name = re.compile(re.escape(_hidden_start(target)) + r"[0-9a-f]{16}\.tmp")
    found: list[os.DirEntry[str]] = []
    with suppress(OSError), os.scandir(target.parent) as entries:  # not every folder can be listed
        found = [e for e in entries if name.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    for entry in found:
        with suppress(OSError):  # it belongs to a living writer, or to another user
            _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    """Remove a file if no writer holds it; raise OSError if one does."""
    if sys.platform == "win32":
        # No open file is removed there, but for a moment before it is renamed it is not open.
        if time.time() - os.stat(path).st_mtime > DAY:
            os.unlink(path)
        return
    with open(path, "r+b") as file:
        _lock(file)
        os.unlink(path)


def write_together(paths: Sequence[PathLike], contents: Sequence[bytes]) -> None:
    """Write every file beside its place before any takes it, so a full disk changes none."""
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise ValueError(f"each matrix needs a path of its own, got {paths}")
    with ExitStack() as stack:
        files = [stack.enter_context(atomic_write(path)) for path in paths]
        for file, content in zip(files, contents, strict=True):
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
