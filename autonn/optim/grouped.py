"""Groups: parameters that learn in another way than the rest, by another rate or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from autonn.checks import Array
from autonn.engine.modes import CannotCompileError, is_tracing
from autonn.engine.row_gradients import RowGradient
from autonn.engine.tensor import Tensor
from autonn.nn.module import Module
from autonn.optim.base import Check, Optimizer, Parameters
from autonn.optim.selection import dealt, named_tensors
from autonn.optim.steps import StepOptimizer

__all__ = ["Groups", "groups"]


class Groups(StepOptimizer):
    """Several optimisers of single steps, each for a part of the parameters: see `groups`.

    Each has its own rate, schedule, moments and `clip_norm`, which is that of its own gradients.

    Attributes
    ----------
    rest
        The optimiser of all that fits no key.
    by
        The optimiser of each key, or None for what stays as it is.

    Examples
    --------
    >>> from autonn.optim import Adam
    >>> several = groups(Adam(lr=0.001), {"0.*": {"lr": 0.01}, "*.bias": None})
    >>> several.lr, several.by["0.*"].lr, several.by["*.bias"]
    (0.001, 0.01, None)
    """

    ranges: ClassVar[dict[str, Check]] = {}

    def __init__(
        self,
        rest: StepOptimizer,
        by: Mapping[Any, StepOptimizer | Mapping[str, Any] | None],
        parameters: Parameters | None = None,
    ) -> None:
        if not isinstance(by, Mapping) or not by:
            raise TypeError(
                "groups: give a dict of optimisers, settings or None by patterns of names or "
                f"modules, as {{'*.bias': dict(lr=0.01)}}, not {by!r}"
            )
        self.rest = _single("rest", rest)
        self.by = {key: _made(self.rest, key, given) for key, given in by.items()}
        self._places: list[list[int]] = []
        self.steps = 0
        Optimizer.__init__(self, parameters)

    @property
    def lr(self) -> Any:  # type: ignore[override]
        """The rate of the rest; set it on one of the optimisers."""
        return self.rest.lr

    @property
    def clip_norm(self) -> float | None:  # type: ignore[override]
        """The norm that gradients of the rest are brought down to."""
        return self.rest.clip_norm

    @property
    def learning_rate(self) -> float:
        """The rate of the next step, of the rest."""
        return self.rest.learning_rate

    @property
    def optimizers(self) -> list[StepOptimizer]:
        """All of them that have parameters to change, that of the rest at the end."""
        return [each for each in (*self.by.values(), self.rest) if each and each.parameters]

    def bind(self, parameters: Parameters) -> Self:
        """Take the parameters to change, and deal them out.

        Those of a module are known by their names; those of a list by their positions, "0", "1" and
        so on, or as themselves. Each goes to the first key that it fits.

        Raises
        ------
        ValueError
            For a key that no parameter fits, with all names.
        """
        if not isinstance(parameters, Module):
            parameters = self._checked_parameters(parameters)
        names = named_tensors(parameters)
        found = self._checked_parameters(names.values())
        decaying = parameters.weights() if isinstance(parameters, Module) else found
        chosen, left = dealt("groups", self.by, names)
        if [id(p) for p in found] != [id(p) for p in self.parameters]:
            self.steps = 0
        self.parameters = found
        at = {name: k for k, name in enumerate(names)}
        self._places = [[at[name] for name in own] for own in (*chosen.values(), left)]
        self._bind_each({id(weight) for weight in decaying})
        if not self.optimizers:
            raise ValueError("groups: all parameters stay as they are; leave some to learn")
        return self

    def _bind_each(self, decaying: set[int]) -> None:
        """Give each optimiser its own, and say which of them may decay."""
        for optimizer, places in zip((*self.by.values(), self.rest), self._places, strict=True):
            if optimizer is None:
                continue
            own = [self.parameters[k] for k in places]
            if own:
                optimizer.bind(own)
                optimizer._prepare([id(parameter) in decaying for parameter in own], False)
            else:
                optimizer.parameters = []

    def apply(self, gradients: Sequence[Array | Tensor | RowGradient | None]) -> None:
        """Change the parameters by gradients in their order, each group by its optimiser.

        >>> import numpy as np
        >>> from autonn.optim import SGD
        >>> x, y = (Tensor([1.0], requires_grad=True) for _ in range(2))
        >>> Groups(SGD(lr=0.5), {"1": {"lr": 0.1}}, [x, y]).apply([np.array([1.0])] * 2)
        >>> x, y
        (Tensor([0.5], requires_grad=True), Tensor([0.9], requires_grad=True))
        """
        self._require_parameters()
        if is_tracing():
            raise CannotCompileError(
                "Groups: a step within a compiled function would be taken once, while it is "
                "derived; return the gradients, and take the step outside"
            )
        arrays = self._checked_gradients(gradients)
        groups = [(each, [arrays[k] for k in places]) for _, each, places in self._numbered()]
        for optimizer, own in groups:  # what one of them refuses, none of them takes
            optimizer.require_step(own)
        self.steps += 1
        for optimizer, own in groups:
            optimizer.apply(own)

    def _steps_by_rows(self, k: int) -> bool:
        held = [(each, places) for _, each, places in self._numbered() if k in places]
        return any(each._steps_by_rows(places.index(k)) for each, places in held)

    def state_dict(self) -> dict[str, Any]:
        """Return those of all groups, by their number, and then by the position of the parameter.

        >>> from autonn.optim import SGD
        >>> x, y = (Tensor([1.0], requires_grad=True) for _ in range(2))
        >>> Groups(SGD(lr=0.5), {"1": SGD(lr=0.1, momentum=0.9)}, [x, y]).state_dict()
        {'steps': 0, '0.steps': 0, '0.velocity.1': array([0.]), '1.steps': 0}
        """
        state: dict[str, Any] = {"steps": self.steps}
        for number, optimizer, places in self._numbered():
            for key, value in optimizer.state_dict().items():
                state[f"{number}.{_at(key, places)}"] = value
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, bit for bit; or change nothing."""
        self._require_parameters()
        Optimizer.load_state_dict(self, state)
        for number, optimizer, places in self._numbered():
            own = {key: state[f"{number}.{_at(key, places)}"] for key in optimizer.state_dict()}
            optimizer.load_state_dict(own)
        self.steps = int(state["steps"])

    def _numbered(self) -> list[tuple[int, StepOptimizer, list[int]]]:
        """List the optimisers with parameters, each with its number and their positions."""
        pairs = zip((*self.by.values(), self.rest), self._places, strict=True)
        return [(n, each, places) for n, (each, places) in enumerate(pairs) if each and places]


def groups(
    rest: StepOptimizer, by: Mapping[Any, StepOptimizer | Mapping[str, Any] | None]
) -> Groups:
    """Make one optimiser of several, each for a part of the parameters.

    Parameters
    ----------
    rest
        The optimiser of all that fits no key, as `Adam()`.
    by
        For each key an optimiser of its own; or a dict of what is other than in `rest`, as
        ``{"lr": 0.01}``; or None for parameters that stay as they are. (With
        ``parameter.requires_grad = False`` their gradients are not computed either.) A key is a
        pattern of names, as ``"0"``, ``"0.*"`` or ``"*.bias"``, or a module. Each parameter goes to
        the first key that it fits.

    Returns
    -------
    An optimiser for `fit`, `train_step` and loops of one's own. Its state and its checkpoints hold
    those of all.

    Raises
    ------
    TypeError, ValueError
        For what is no optimiser of single steps; for settings that it has not; when bound, for a
        key that no parameter fits.

    Examples
    --------
    >>> from autonn import Layer, Sequential
    >>> from autonn.optim import Adam, SGD
    >>> model = Sequential(Layer(2, 3), Layer(3, 1))
    >>> groups(Adam(lr=0.01), {"0": None, "*.bias": SGD(lr=0.1)}).bind(model)
    Groups(rest=Adam(lr=0.01), by={'0': None, '*.bias': SGD(lr=0.1)})
    """
    return Groups(rest, by)


def _single(name: str, optimizer: Any) -> StepOptimizer:
    if isinstance(optimizer, Groups) or not isinstance(optimizer, StepOptimizer):
        raise TypeError(
            f"groups: {name} is an optimiser of single steps, as SGD(lr=0.1) or Adam(), not "
            f"{optimizer!r}"
        )
    return optimizer


def _made(rest: StepOptimizer, key: Any, given: Any) -> StepOptimizer | None:
    """Return the optimiser that is meant by one, by settings, or by None."""
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return _single(f"[{key!r}]", given)
    there = rest.get_params()
    unknown = [name for name in given if name not in there]
    if unknown:
        raise ValueError(
            f"groups: [{key!r}]: {type(rest).__name__} has no {', '.join(map(repr, unknown))}; it "
            f"has {', '.join(there)}"
        )
    return type(rest)(**(there | dict(given)))


def _at(key: str, places: list[int]) -> str:
    """Put the position among all parameters for that within the group, at a key's end."""
    what, _, position = key.rpartition(".")
    return f"{what}.{places[int(position)]}" if what else key
