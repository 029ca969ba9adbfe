"""What a module holds is found by looking through its attributes, lists, tuples and dicts."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from autonn.engine.modes import changes
from autonn.engine.tensor import Tensor

Names = tuple[str, ...] | None
Role = tuple[str, Tensor, str, Names]  # the dotted name, and what `is_bias` asks for


class Holder:
    """What may hold Tensors, and holders, in its attributes: every module."""

    __slots__ = ()

    # The attributes that play the role of a bias: neither L2 nor weight decay touches them. None
    # leaves it to their names, see `is_bias`.
    biases: Names = None

    def held(self) -> Iterable[tuple[str, Any]]:
        """Give what is looked through for parameters, buffers and modules, each with its name."""
        return vars(self).items()


# Tuples, because `Tensor | Holder` would be built anew at each question.
_PART = Tensor, Holder
_CONTAINER = dict, list, tuple


def parts(items: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """List the Tensors and modules among items, also in lists, tuples and dicts, with their names.

    >>> [name for name, part in parts({"a": [Tensor(1.0), {"b": Tensor(2.0)}], "c": 3}.items())]
    ['a.0', 'a.1.b']
    """
    found = []
    for name, value in items:
        if isinstance(value, _PART):
            found.append((name, value))
        elif isinstance(value, _CONTAINER):
            found += parts(_inside(name, value))
    return found


def _inside(name: Any, container: Any) -> list[tuple[str, Any]]:
    inside = container.items() if isinstance(container, dict) else enumerate(container)
    return [(f"{name}.{inner}", value) for inner, value in inside]


def is_bias(name: str, tensor: Tensor, biases: Names = None) -> bool:
    """Tell whether a parameter is a bias, from the names that the module gives, or from its own.

    If the module gives none, it is a bias if "b", "bias" or "biases" is a word of its name, digits
    and underscores apart, and if it is a number, a row or a column: at most one of its axes is
    longer than 1.

    >>> [is_bias(name, Tensor([1.0, 2.0])) for name in ("b", "b1", "bias_2", "hidden_bias", "beta")]
    [True, True, True, True, False]
    >>> is_bias("b1", Tensor([[1.0, 2.0], [3.0, 4.0]])), is_bias("b1", Tensor([[1.0, 2.0]]))
    (False, True)
    """
    if biases is not None:
        return name in biases
    return _sounds_like_a_bias(name) and sum(length > 1 for length in tensor.shape) <= 1


@functools.lru_cache(1024)  # a walk asks for each Tensor, and with lists there are many walks
def _sounds_like_a_bias(name: str) -> bool:
    return not {"b", "bias", "biases"}.isdisjoint(_BETWEEN_WORDS.split(name))


# Made here, not where it is first used: within a trace, that would be watched, too.
_BETWEEN_WORDS = re.compile(r"[\W\d_]+")


class Walk:
    """What was found on one way through a module, and whether another would find the same.

    What is set on modules is counted; what a list or dict holds may change unseen.
    """

    def __init__(self, module: Holder) -> None:
        self.count = changes.count
        self.roles: list[Role] = []
        self.seen: set[int] = set()
        self.fixed = True
        self.collect(module.held(), "", module.biases)
        self.parameters = [role[1] for role in self.roles if role[1].requires_grad]

    @functools.cached_property
    def weights(self) -> list[Tensor]:
        """The parameters that are no biases."""
        learned = (role for role in self.roles if role[1].requires_grad)
        return [t for _, t, name, biases in learned if not is_bias(name, t, biases)]

    def named(self, requires_grad: bool) -> Iterator[tuple[str, Tensor]]:
        """Return the parameters, or the buffers, each with its dotted name."""
        return (role[:2] for role in self.roles if role[1].requires_grad is requires_grad)

    def holds(self) -> bool:
        """Whether nothing was set since, on any module."""
        return self.fixed and self.count == changes.count

    def collect(self, items: Iterable[tuple[Any, Any]], path: str, biases: Names) -> None:
        """Add the Tensors among items, and in the modules and containers among them."""
        for name, value in items:
            if type(value) is Tensor:  # a result is none of the module's, though it be kept there
                if id(value) not in self.seen and value.is_leaf:
                    self.seen.add(id(value))
                    self.roles.append((f"{path}{name}", value, name, biases))
            elif isinstance(value, Holder):
                self.collect(value.held(), f"{path}{name}.", value.biases)
            elif isinstance(value, _CONTAINER):
                self.fixed &= isinstance(value, tuple)
                self.collect(_inside(name, value), path, biases)


def own_tensors(holder: Holder) -> Mapping[str, Tensor]:
    """Return the Tensors that a module holds itself, not those of modules below.

    >>> from autonn import Layer
    >>> list(own_tensors(Layer(2, 1)))
    ['weight', 'bias']
    """
    found = parts(holder.held())
    return {name: part for name, part in found if isinstance(part, Tensor) and part.is_leaf}
