"""Modules in a row, and any function as a module."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from autonn.engine.tensor import Operand, Tensor
from autonn.nn.addresses import add_feeder
from autonn.nn.module import Module, as_tensor


class Lambda(Module):
    """Any function of one argument as a module.

    Parameters
    ----------
    function
        What `forward` computes; of Tensors, by functions of NumPy and autonn.

    Raises
    ------
    TypeError
        For what is no function of one argument; for a module, which needs none of it.

    Examples
    --------
    >>> import numpy as np
    >>> Lambda(np.tanh)
    Lambda(tanh)
    >>> Lambda(np.tanh)([0.0, 1.0])
    Tensor([0.        , 0.76159416])
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        _require_function(function)
        self.function = function

    def forward(self, x: Any) -> Tensor:
        """Compute the function."""
        return as_tensor(self.function(as_tensor(x)))

    def __repr__(self) -> str:
        return f"Lambda({getattr(self.function, '__name__', repr(self.function))})"


def _require_function(function: Any) -> None:
    """Refuse what is no function of one argument, with what to write in its place."""
    if isinstance(function, type):
        name = function.__name__
        raise TypeError(f"Lambda: {name} is a class; make one of its kind, {name}()")
    if isinstance(function, Module):
        raise TypeError(f"Lambda: {function!r} is a module already; it needs no Lambda")
    if not callable(function):
        raise TypeError(f"Lambda takes a function of one argument, not {function!r}")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        raise TypeError(
            f"Lambda takes a function of one argument, not {function!r} ({error}); a loss is no "
            "part of the model, and what has arguments of its own becomes lambda x: f(x, ...)"
        ) from error
    except ValueError:
        pass  # written in C, as NumPy's: nothing is known of its arguments


class Sequential(Module):
    """Modules in a row: ``Sequential(f, g)(x) = g(f(x))``.

    Parameters
    ----------
    modules
        One after another, or in one list; a function among them is wrapped in a `Lambda`.

    Raises
    ------
    TypeError
        For what is neither a module nor a function of one argument.

    Examples
    --------
    >>> from autonn import Layer, Sigmoid
    >>> model = Sequential(Layer(400, 25), Sigmoid(), Layer(25, 10), Sigmoid())
    >>> model
    Sequential(Layer(400, 25), Sigmoid(), Layer(25, 10), Sigmoid())
    >>> model[0].weight.shape
    (25, 400)
    >>> model[:2]
    Sequential(Layer(400, 25), Sigmoid())
    """

    passes_on = True

    def __init__(self, *modules: Any) -> None:
        if len(modules) == 1 and isinstance(modules[0], list | tuple):
            modules = tuple(modules[0])
        self.modules = tuple(map(_as_module, modules))

    def held(self) -> Iterable[tuple[str, Any]]:
        """Name the modules by their positions, "0", "1" and so on."""
        return zip(map(str, range(len(self.modules))), self.modules, strict=True)

    def forward(self, x: Operand) -> Tensor:
        """Pass x through the modules, in order."""
        given: Any = x
        for k, module in enumerate(self.modules):
            try:
                given = module(given)
            except Exception as error:
                if k:
                    add_feeder(error, self.modules[k - 1])
                if k and isinstance(error, TypeError) and isinstance(given, tuple):
                    raise TypeError(
                        f"{module!r} was given the {len(given)} results of "
                        f"{self.modules[k - 1]!r}; put between them what takes one: after "
                        "recurrent layers Outputs() or Last()"
                    ) from error
                raise
        return cast(Tensor, given) if isinstance(given, tuple) else as_tensor(given)

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.modules)

    def __getitem__(self, k: int | slice) -> Any:
        """Return a module; or those of a slice, as a Sequential that shares their parameters."""
        chosen = self.modules[k]
        return Sequential(*chosen) if isinstance(chosen, tuple) else chosen

    def __setitem__(self, k: int, module: Any) -> None:
        """Put another module there, as the last one of a trained network.

        >>> from autonn import Layer, Sigmoid
        >>> model = Sequential(Layer(4, 3), Sigmoid(), Layer(3, 10))
        >>> model[-1] = Layer(3, 2)
        >>> model
        Sequential(Layer(4, 3), Sigmoid(), Layer(3, 2))
        """
        modules = list(self.modules)
        modules[operator.index(k)] = _as_module(module)
        self.modules = tuple(modules)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.modules))})"


def _as_module(part: Any) -> Module:
    """Take a module, or a function as one."""
    if isinstance(part, Module):
        return part
    try:
        return Lambda(part)
    except TypeError as error:
        said = str(error).removeprefix("Lambda")
        if isinstance(part, str):
            said = f" takes modules and functions, not {part!r}; write ReLU(), np.tanh, ..."
        elif not callable(part):
            said = f" takes modules and functions, not {part!r}"
        raise TypeError(f"Sequential{said}") from error
