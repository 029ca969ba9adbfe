"""Who may write to an array while a graph needs its values.

A graph keeps the values that its rules will read. What nobody else holds is safe; what the caller
holds too is copied while it is small, and made read-only for as long as the graph is pending
where it is large. So a change in place gives the right gradient or a clear error.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.typing import NDArray

from autonn.engine.modes import changes

__all__ = [
    "COPY_BYTES", "ReadOnlyLock", "held_by_locks", "protect_saved", "recast", "restored",
    "writable",
]  # fmt: skip

# Up to this size a copy is no dearer than keeping the caller from writing, which takes a step of a
# small network 5 microseconds, what lets go of the array included: of 100 KB a copy spares 2 %.
COPY_BYTES = 131072


def _references(tensor: Any) -> int:
    return sys.getrefcount(tensor._data)


class _Holder:
    """Holds an array as a Tensor does, so that references can be counted alike."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = np.zeros(())


_ALONE = _references(_Holder())


def writable(tensor: Any) -> NDArray[Any]:
    """Give the array of a leaf to be updated in place: no pending graph will see it.

    CPython's reference count tells whether anyone shares it, graphs and views included. An
    array that the caller may hold is theirs to share, unless a graph keeps it read-only.
    """
    shared = tensor._data.base is not None or _references(tensor) > _ALONE
    if not tensor._data.flags.writeable or (shared and not tensor._aliased):
        tensor._data = tensor._data.copy("K")
    data: NDArray[Any] = tensor._data
    return data


def recast(tensor: Any, dtype: np.dtype[Any]) -> None:
    """Let a leaf hold its numbers in another dtype, without a gradient; a graph keeps the old ones.

    >>> from autonn import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True)
    >>> recast(w, np.dtype(np.float32))
    >>> w.dtype
    dtype('float32')
    """
    if tensor._data.dtype != dtype:
        tensor._data, tensor._aliased, tensor.grad = tensor._data.astype(dtype), False, None
        changes.count += 1  # a program of the old dtype is looked at


@contextmanager
def restored(tensors: Sequence[Any]) -> Iterator[list[NDArray[Any]]]:
    """Let leaves be given other data for a while, and give them their very own arrays back.

    Copies would not do: the caller may hold an array in order to write to it, and a graph that
    waits may look for it, as that of `checkpoint` does. The arrays are yielded, to be read.

    >>> from autonn import Tensor
    >>> w = Tensor([1.0, 2.0])
    >>> held = w.data
    >>> with restored([w]) as (start,):
    ...     w.data = start + 1.0
    >>> w.data is held, held
    (True, array([1., 2.]))
    """
    before = [(tensor._data, tensor._aliased) for tensor in tensors]
    try:
        yield [data for data, _ in before]
    finally:
        for tensor, (data, aliased) in zip(tensors, before, strict=True):
            tensor._data, tensor._aliased = data, aliased


# By the id of an owner: how many graphs need its values, and which arrays they made read-only.
_holds: dict[int, list[Any]] = {}
_holds_lock = threading.RLock()  # the garbage collector may let a hold go while another is taken


class ReadOnlyLock:
    """Keeps a caller's array read-only for as long as a pending graph needs its values.

    It covers what it is a view of too, up to the array that owns the memory, so that none of them
    nor a view made from now on can be written to. (A view made earlier can: NumPy has no way to
    reach it.)
    """

    __slots__ = ("owner",)

    def __init__(self, array: Any) -> None:
        chain = [array]
        while isinstance(chain[-1].base, ndarray):
            chain.append(chain[-1].base)
        owner = chain[-1]
        self.owner = owner  # alive as long as its id is in use
        with _holds_lock:
            held = _holds.get(id(owner))
            if held is None:
                held = _holds[id(owner)] = [0, []]
            held[0] += 1
            for link in reversed(chain):
                if link.flags.writeable:
                    link.setflags(write=False)
                    held[1].append(link)

    def __del__(self) -> None:
        """Let the array be written to again, once the last graph has let go of it."""
        with _holds_lock:
            held = _holds[id(self.owner)]
            held[0] -= 1
            if held[0] == 0:
                del _holds[id(self.owner)]
                for array in held[1]:  # the owner came first: a view follows what it looks at
                    array.setflags(write=True)


def held_by_locks(tensors: Sequence[Any]) -> list[Any]:
    """List the arrays that the locks of these results hold, each once for each reference."""
    locks = {id(lock): lock for tensor in tensors for lock in getattr(tensor, "_locks", None) or ()}
    owners = {id(lock.owner): lock.owner for lock in locks.values()}
    links = [link for key in owners for link in _holds[key][1]]
    return [*(lock.owner for lock in locks.values()), *links]


def protect_saved(args: tuple[Any, ...], saved: list[Any]) -> list[ReadOnlyLock] | None:
    """See to it that saved values survive writes by others: copy the small, lock the large."""
    locks = None
    k = -1
    for a in args:
        k += 1  # by hand: enumerate takes 60 ns more
        if type(a) is ndarray or isinstance(a, ndarray):
            value = a
        elif getattr(a, "_aliased", False) and not _is_private_again(a, saved):
            value = a._data
        else:
            continue
        if value.nbytes <= COPY_BYTES:
            saved[k] = saved[k].copy("K")
        else:
            locks = [*(locks or ()), ReadOnlyLock(value)]
    return locks


def _is_private_again(tensor: Any, saved: list[Any]) -> bool:
    """Whether the caller has let go of an aliased array, so that only the tensor can change it."""
    ours = sum(value is tensor._data for value in saved)
    if tensor._data.base is None and _references(tensor) - ours <= _ALONE:
        tensor._aliased = False
    return not tensor._aliased
