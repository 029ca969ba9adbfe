"""A model as a function of its parameters: `functional_call`, for derivatives by all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from autonn.checks import NamesError, differences
from autonn.engine.modes import changes, surroundings
from autonn.engine.tensor import Tensor
from autonn.engine.trees import tree_leaves, tree_unflatten
from autonn.habits import answers_of
from autonn.nn.module import Module

# One call at a time: while it lasts, the modules hold what stands in.
_LOCK = threading.RLock()


def functional_call(
    model: Module, parameters: Mapping[str, Any], x: Any, *args: Any, **kwargs: Any
) -> Any:
    """Compute ``model(x)`` with other parameters and buffers, those of a dict, for this call only.

    It is a function of the dict, so that a gradient by all parameters is
    ``grad(lambda p: loss(functional_call(model, p, X), y))(model.state_dict())``, and one through
    a step of descent, as of MAML, is a `grad` around a `grad`. The model has its own again
    afterwards, also where `forward` raises.

    A buffer that `forward` sets, as a running mean, is set in the dict's Tensor, and in no array;
    a result or an argument of a compiled function can't be set, which is an error there: close over
    such buffers, or call ``model.eval()``.

    Two threads that come here at once wait for each other. But a plain ``model(x)`` in another
    thread may meanwhile see what stands in: give that thread a copy of the model.

    Parameters
    ----------
    model
        The module to call.
    parameters
        Arrays or Tensors by dotted name, as `state_dict` has them, for all parameters; buffers that
        are left out are the model's own. A Tensor that is shared in the model stands under its
        first name and is replaced everywhere.
    x, args, kwargs
        What the model is called with.

    Raises
    ------
    ValueError
        For entries that are missing, unknown, or of another shape or dtype, with all of them, as
        `Module.load_state_dict`; if any is missing or unknown, it is a KeyError as well.
    RuntimeError
        For a `forward` that sets a buffer which can't be set: see above.

    Examples
    --------
    >>> from autonn import Layer, grad
    >>> layer = Layer(2, 1)
    >>> parameters = {"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])}
    >>> functional_call(layer, parameters, [[1.0, 1.0]])
    Tensor([[6.]])
    >>> grad(lambda p: np.sum(functional_call(layer, p, [[1.0, 4.0]])))(parameters)
    {'weight': array([[1., 4.]]), 'bias': array([1.])}
    """
    with _LOCK:
        tensors = model.named_tensors()
        buffers = dict(model.named_buffers())
        parameters = {k: b for k, b in buffers.items() if k not in parameters} | {**parameters}
        wrong = differences(tensors, parameters)
        if wrong:
            error = ValueError if tensors.keys() == parameters.keys() else NamesError
            raise error(
                f"functional_call: {model!r} was given other parameters: {'; '.join(wrong)}"
            )
        standing = {id(own): _stand_in(own, parameters[name]) for name, own in tensors.items()}
        call: Any = model
        with _standing_in(model, standing):
            return call(x, *args, **kwargs)


def _stand_in(own: Tensor, given: Any) -> Tensor:
    """Return a Tensor of the same dtype; an array's numbers are the caller's own."""
    if not isinstance(given, Tensor):
        array = np.asarray(given).astype(own.dtype, copy=False)
        return Tensor(array, copy=not own.requires_grad)
    return given if given.dtype == own.dtype else given.astype(own.dtype)


@contextmanager
def _standing_in(model: Module, standing: Mapping[int, Tensor]) -> Iterator[None]:
    """Let all modules hold what stands in, and give them back the very things that they held."""
    before: list[tuple[Module, str, Any]] = []
    outer = surroundings.get()

    @contextmanager
    def again() -> Iterator[None]:
        """Stand in once more, while what `checkpoint` forgot is computed for the gradient."""
        with _LOCK, outer(), _standing_in(model, standing):
            yield

    token = surroundings.set(again)
    try:
        for _, module in model.named_modules():
            attributes = vars(module)
            for name, value in list(attributes.items()):
                leaves = tree_leaves(value)
                found = [standing.get(id(leaf), leaf) for leaf in leaves]
                if any(new is not old for new, old in zip(found, leaves, strict=True)):
                    before.append((module, name, value))
                    attributes[name] = tree_unflatten(value, found)
        changes.count += 1  # whoever asks for the parameters meanwhile looks anew
        yield
    finally:
        surroundings.reset(token)
        for module, name, value in before:
            vars(module)[name] = value
            object.__setattr__(module, "_kept", getattr(module, "_kept", frozenset()) - {name})
        changes.count += 1


if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
