"""Networks that learn from the data how wide they are, with settings to search over."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from autonn.nn.activations import ReLU
from autonn.nn.linear import Layer
from autonn.nn.module import Module
from autonn.nn.sequential import Sequential

# Makes a network of the numbers of inputs and outputs, as build(4, 3, rng=rng).
Build = Callable[..., Module]


def mlp(
    inputs: int,
    outputs: int,
    *,
    hidden: Sequence[int] = (100,),
    activation: Callable[[], Module] = ReLU,
    rng: np.random.Generator | int | None = None,
) -> Sequential:
    """Make a network of layers, with an activation after each but the last, which gives logits.

    Parameters
    ----------
    inputs, outputs
        How many numbers each example has, and how many classes or targets there are.
    hidden
        The widths of the layers between.
    activation
        The class of what follows them, as `ReLU` or `Tanh`.
    rng
        A generator, or a seed for one.

    Examples
    --------
    >>> mlp(4, 3, hidden=(10, 5), rng=0)
    Sequential(Layer(4, 10), ReLU(), Layer(10, 5), ReLU(), Layer(5, 3))
    """
    generator = np.random.default_rng(rng)
    modules: list[Module] = []
    for width in hidden:
        modules += [Layer(inputs, width, rng=generator), activation()]
        inputs = width
    return Sequential(*modules, Layer(inputs, outputs, rng=generator))


class Network:
    """How to make a network, with settings that scikit-learn can search over.

    Parameters
    ----------
    build
        A function ``build(inputs, outputs, *, rng, ...)`` that returns a `Module`, as `mlp`.
    settings
        What else it is given by name.

    Raises
    ------
    ValueError
        For a setting that the function does not take.

    Examples
    --------
    >>> network = Network(mlp, hidden=(25,))
    >>> network(400, 10, rng=0)
    Sequential(Layer(400, 25), ReLU(), Layer(25, 10))
    >>> network.set_params(hidden=(50, 25))
    Network(mlp, hidden=(50, 25))
    """

    def __init__(self, build: Build = mlp, **settings: Any) -> None:
        self.build = build
        self.settings: dict[str, Any] = {}
        self.set_params(**settings)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the function and all its settings by name, also those that it has by itself."""
        usual = {
            name: parameter.default
            for name, parameter in inspect.signature(self.build).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY and name != "rng"
        }
        return {"build": self.build} | usual | self.settings

    def set_params(self, **settings: Any) -> Self:
        """Set the function or its settings by name; returns itself."""
        self.build = settings.pop("build", self.build)
        takes = inspect.signature(self.build).parameters
        unknown = [name for name in settings if name not in takes]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
            raise ValueError(
                f"Network: {_named(self.build)} takes no {', '.join(unknown)}; it takes "
                f"{', '.join(takes)}"
            )
        self.settings |= settings
        return self

    def __call__(self, inputs: int, outputs: int, *, rng: np.random.Generator | int | None) -> Any:
        """Make the network."""
        return self.build(inputs, outputs, rng=rng, **self.settings)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.settings.items()]
        return f"Network({', '.join([_named(self.build), *given])})"


def _named(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)
