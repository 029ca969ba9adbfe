"""What training is made of: refuses what is no model or no optimiser."""

from __future__ import annotations

from typing import Any

from autonn.nn.module import Module
from autonn.optim.base import Optimizer


def check_parts(name: str, model: Any, optimizer: Any) -> None:
    """Refuse what is no model or no optimiser, with what to write in its place.

    >>> check_parts("fit", None, None)
    Traceback (most recent call last):
    TypeError: fit: model is a Module, not None
    """
    if not isinstance(model, Module):
        cure = f"; give one of its kind, {model.__name__}(...)" if isinstance(model, type) else ""
        raise TypeError(f"{name}: model is a Module, not {model!r}{cure}")
    if isinstance(optimizer, type):
        kind = optimizer.__name__
        raise TypeError(
            f"{name}: optimizer is the class {kind}; give one of its kind, "
            f"optimizer=optim.{kind}(...)"
        )
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{name}: optimizer is {optimizer!r}; give an optimiser, such as optim.Adam() or "
            "optim.LBFGS()"
        )
