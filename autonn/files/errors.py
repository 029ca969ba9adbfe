"""One exception for whatever is wrong with a file's content.

It says in a sentence where, what was found, what was expected and what to do. Nothing that hostile
bytes make a parser raise comes out as anything else.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class FileFormatError(ValueError):
    """A file was found and read, but what is in it is not what it should be.

    The message names the file, the field, what was found, what was expected and, where there
    is one, the cure. A missing file stays a `FileNotFoundError`.

    >>> issubclass(FileFormatError, ValueError)
    True
    """


class FileNamesError(FileFormatError, KeyError):
    """A file whose arrays have other names than they should: some are missing, or too many.

    >>> FileNamesError("w.npz: found no 0.bias")
    FileNamesError('w.npz: found no 0.bias')
    >>> issubclass(FileNamesError, KeyError)
    True
    """

    __str__ = Exception.__str__  # KeyError would show the message in quotes


class Damage(ValueError):
    """What a parser of ours found wrong, in words that follow "found"; `parsing` says the rest."""


def complaint(where: str, found: object, expected: str, cure: str = "") -> str:
    """Say in one sentence what is wrong, where, and what to do."""
    return f"{where}: found {found}, expected {expected}" + (f"; {cure}" if cure else "")


@contextmanager
def parsing(where: str, expected: str, cure: str = "") -> Iterator[None]:
    """Turn whatever a parser raises, or warns of, into a FileFormatError.

    Hostile bytes make parsers raise nearly anything: zlib.error, struct.error, KeyError,
    TypeError, OverflowError, MemoryError. The bytes are in memory by then, so no
    error of the disk can be mistaken for one of the content.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", DeprecationWarning)  # a parser's age is no fault
            yield
    except FileFormatError:
        raise  # it says already what is wrong
    except Damage as damage:
        raise FileFormatError(complaint(where, damage, expected, cure)) from damage
    except Exception as error:
        found = f"{type(error).__name__} ({str(error) or 'no details'})"
        raise FileFormatError(complaint(where, found, expected, cure)) from error
