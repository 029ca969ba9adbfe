"""Writing that leaves no half-written file: it takes its place whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from autonn.files.reading import PathLike


@contextmanager
def atomic_write(path: PathLike) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes `path`'s place only when it is complete and on the disk.

    What is written goes to a temporary file in the same folder; leaving the block flushes it,
    syncs it, renames it over `path` and syncs the folder. If anything fails, also on a full
    disk, the old file is untouched and the temporary one is removed. A missing folder raises
    FileNotFoundError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "note"
    ...     with atomic_write(path) as file:
    ...         _ = file.write(b"whole")
    ...     path.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(path))  # so that a link keeps pointing at the file
    if not target.parent.exists():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.is_file():
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and renames durably by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
