"""Where in a model an error came up: its path, what it was fed, and by whom.

It is told by a note below the error, whose kind and words stay as they are. The note is written by
the innermost module and completed by those around it while the error passes through their calls.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from autonn.engine.lineage import op_of
from autonn.engine.tensor import Tensor
from autonn.nn.walk import Holder, parts

__all__ = ["add_address", "add_feeder", "address_of", "title_of", "would_fit"]


class _Address(str):
    """The text of a note, and what it was made of, so that it can be completed."""

    __slots__ = ("feeder", "modules", "x")

    modules: list[Any]  # the outermost first
    x: Any  # what the innermost was fed
    feeder: tuple[Any, ...]  # the modules that lead to who fed it; () where that is not known

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # the models stay here


def _address(modules: list[Any], x: Any, feeder: tuple[Any, ...], by: str = "") -> _Address:
    """Write the note."""
    own = _Address(f"in {address_of(modules)}, fed {describe(x)}{by}")
    own.modules, own.x, own.feeder = modules, x, feeder
    return own


def add_address(error: Exception, module: Any, x: Any) -> None:
    """Note that an error passed through the call of a module that was fed x."""
    notes: list[str] = error.__dict__.setdefault("__notes__", [])
    known = next((k for k, note in enumerate(notes) if isinstance(note, _Address)), None)
    if known is None:
        notes.append(_address([module], x, ()))
        return
    inner = notes[known]
    assert isinstance(inner, _Address)
    if all(child is not inner.modules[0] for _, child in parts(module.held())):
        return  # it is called, but not held: what is known stays
    modules = [module, *inner.modules]
    feeder = (module, *inner.feeder) if inner.feeder else ()
    by = f" by {address_of(feeder)}" if feeder else _source(inner.x, x)
    notes[known] = _address(modules, inner.x, feeder, by)


def _source(x: Any, given: Any) -> str:
    """Say where what a module was fed came from, where no module is known to have made it."""
    if x is given:
        return ", the model's own input"
    op = op_of(x) if isinstance(x, Tensor) else None
    return f", made by {op.name}" if op is not None else ""


def add_feeder(error: Exception, feeder: Any) -> None:
    """Note which module gave what the innermost was fed."""
    notes = getattr(error, "__notes__", [])
    for k, note in enumerate(notes):
        if isinstance(note, _Address) and len(note.modules) == 1 and not note.feeder:
            notes[k] = _address(note.modules, note.x, (feeder,), f" by {title_of(feeder)}")


def describe(x: Any) -> str:
    """Say what something is: shape and dtype of numbers, the kind of anything else.

    >>> import numpy as np
    >>> describe(np.ones((5, 24))), describe([1.0, 2.0]), describe((1, 2)), describe(None)
    ('(5, 24) float64', 'a list of 2', 'a tuple of 2', 'None')
    """
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if isinstance(x, Tensor) or (shape is not None and dtype is not None):
        return f"{tuple(shape)} {dtype}" if shape is not None else str(dtype)
    if isinstance(x, list | tuple | dict | str):
        return f"a {type(x).__name__} of {len(x)}"
    return "None" if x is None else f"a {type(x).__name__}"


def would_fit(module: Any, *sizes: int) -> str:
    """Say which sizes would have fitted, as the end of a message.

    >>> from autonn import Layer
    >>> would_fit(Layer(3, 2), 5, 2)
    '; Layer(5, 2) would fit'
    """
    return f"; {type(module).__name__}({', '.join(map(str, sizes))}) would fit"


def address_of(modules: Sequence[Any]) -> str:
    """Name the last of some modules, each within the one before, as "model.1 Layer(25, 10)".

    >>> from autonn import Layer, ReLU, Sequential
    >>> model = Sequential(ReLU(), Layer(25, 10))
    >>> address_of([model, model[1]]), address_of([model]), address_of([])
    ('model.1 Layer(25, 10)', 'model Sequential', '')
    """
    if not modules:
        return ""
    path = "model"
    for outer, inner in itertools.pairwise(modules):
        names = (name for name, child in parts(outer.held()) if child is inner)
        name = next(names, None)
        path = "model" if name is None else f"{path}.{name}"  # what is not held is a model itself
    return f"{path} {title_of(modules[-1])}"


def title_of(module: Any) -> str:
    """Name a module by its settings; what holds others by its class alone.

    >>> from autonn import Layer, Sequential
    >>> title_of(Layer(2, 3)), title_of(Sequential(Layer(2, 3)))
    ('Layer(2, 3)', 'Sequential')
    """
    holds = any(isinstance(part, Holder) for _, part in parts(module.held()))
    return type(module).__name__ if holds else repr(module)
