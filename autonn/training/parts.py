"""What training is made of: refuses what is no model or no optimiser."""

from __future__ import annotations

from typing import Any

from autonn.nn.module import Module
from autonn.optim.adaptive import Adam, AdamW, RMSprop
from autonn.optim.base import Optimizer
from autonn.optim.search import LBFGS, Newton

# What optimisers are called by name, where they need not be told anything.
_NAMED: dict[str, type[Optimizer]] = {
    "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "lbfgs": LBFGS, "l-bfgs": LBFGS,
    "newton": Newton,
}  # fmt: skip


def checked_parts(name: str, model: Any, optimizer: Any) -> Optimizer:
    """Return the optimiser, also of its name; refuse what is no model or no optimiser.

    >>> from autonn import Layer
    >>> checked_parts("fit", Layer(2, 1), "adam")
    Adam()
    >>> checked_parts("fit", None, None)
    Traceback (most recent call last):
    TypeError: fit: model is a Module, not None
    """
    if not isinstance(model, Module):
        cure = f"; give one of its kind, {model.__name__}(...)" if isinstance(model, type) else ""
        raise TypeError(f"{name}: model is a Module, not {model!r}{cure}")
    if isinstance(optimizer, str) and optimizer.lower() in _NAMED:
        return _NAMED[optimizer.lower()]()
    if isinstance(optimizer, type):
        kind = optimizer.__name__
        raise TypeError(
            f"{name}: optimizer is the class {kind}; give one of its kind, "
            f"optimizer=optim.{kind}(...)"
        )
    if not isinstance(optimizer, Optimizer):
        cure = "an optimiser, such as optim.Adam() or optim.LBFGS()"
        if isinstance(optimizer, str):
            cure = "optim.SGD(lr=0.1)" if optimizer.lower() == "sgd" else cure
            cure += f", or a name of {', '.join(_NAMED)}"
        raise TypeError(f"{name}: optimizer is {optimizer!r}; give {cure}")
    return optimizer
