"""What all optimisers share: the parameters they change, the cost function, the costs so far."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from autonn.checks import differences
from autonn.engine.row_gradients import RowGradient
from autonn.engine.tensor import Tensor, values_of
from autonn.habits import HABITS, AnsweringOptimizer, answer_attributes, answers_keywords
from autonn.nn.module import Module

# What an optimiser makes small: the cost as a Tensor, or its value and the gradients by the
# parameters, in their order, as a compiled function returns them.
Cost = Callable[[], Tensor | tuple[Any, Sequence[Any]]]
Callback = Callable[[float], Any]
Parameters = Module | Iterable[Tensor]
Check = Callable[[str, Any], Any]  # of a name and a value; returns the value as it is kept


class Optimizer(AnsweringOptimizer):
    """What all optimisers share: the parameters they change and the costs they have seen.

    The parameters may be given at once or later, by `bind`, as `fit` does. A copy of the optimiser
    alone has copies of the parameters; so copy both at once, ``copy.deepcopy((model, optimizer))``,
    or `bind` the copy to the model that it is to train.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later.

    Examples
    --------
    >>> from autonn.optim import SGD
    >>> optimizer = SGD(lr=0.1).set_params(momentum=0.9)
    >>> optimizer
    SGD(lr=0.1, momentum=0.9)
    >>> optimizer.lr = -1
    Traceback (most recent call last):
    ValueError: SGD: lr is at least 0 and finite, not -1
    """

    # The arguments, each with what is asked of it whenever it is set.
    ranges: ClassVar[dict[str, Check]] = {}

    # Whether it looks at all examples at each step, and so can't learn from mini-batches.
    full_batch: ClassVar[bool] = True

    # Whether `minimize` takes `product=`, a function for the Hessian times a vector.
    needs_products: ClassVar[bool] = False

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters: list[Tensor] = []
        self.costs: list[float] = []
        if parameters is not None:
            self.bind(parameters)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.ranges:
            value = self.ranges[name](f"{type(self).__name__}: {name}", value)
        elif name in _IGNORED:  # nobody would look at it
            habit = HABITS[_IGNORED[name], name]
            raise AttributeError(habit.sentence(type(self).__name__), name=None)
        object.__setattr__(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that it was made with, by name; the parameters are none of them.

        `deep` changes nothing: it is there for whoever treats it as an estimator of scikit-learn.
        """
        names = (name for name in inspect.signature(type(self)).parameters if name != "parameters")
        return {name: getattr(self, name) for name in names if hasattr(self, name)}

    def set_params(self, **arguments: Any) -> Self:
        """Set arguments by name, all or, where one is refused, none; moments and steps are kept."""
        twin = type(self)(**(self.get_params() | arguments))
        vars(self).update(twin.get_params())
        return self

    def bind(self, parameters: Parameters) -> Self:
        """Take the parameters to change: those of a module, or a list of Tensors.

        A module says which of its parameters are biases, which weight decay leaves alone; of bare
        Tensors all decay. Binding the same parameters again goes on where it was: moments and
        steps are kept.

        Raises
        ------
        ValueError, TypeError
            For no parameters, for duplicates, for results of ops; for what is not a Tensor.
        """
        weights: list[Tensor] | None = None
        if isinstance(parameters, Module):
            weights, parameters = parameters.weights(), parameters.parameters()
        found = self._checked_parameters(parameters)
        decaying = {id(weight) for weight in (found if weights is None else weights)}
        is_new = [id(p) for p in found] != [id(p) for p in self.parameters]
        self.parameters = found
        self._prepare([id(parameter) in decaying for parameter in found], is_new)
        return self

    def _checked_parameters(self, parameters: Iterable[Tensor]) -> list[Tensor]:
        name = type(self).__name__
        if isinstance(parameters, Tensor):
            raise TypeError(f"{name} takes a module or a list of Tensors; write [tensor] for one")
        if not isinstance(parameters, Iterable):
            rate = isinstance(parameters, float | int) and "lr" in self.ranges
            cure = f"; write {name}(lr={parameters!r})" if rate else ""
            raise TypeError(
                f"{name} takes a module or a list of Tensors first, not {parameters!r}{cure}"
            )
        found = list(parameters)
        if not found:
            raise ValueError(f"{name} was given no parameters; is model.parameters() empty?")
        for parameter in found:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{name} takes Tensors, not {type(parameter).__name__}")
            if not parameter.is_leaf or not parameter.requires_grad:
                raise ValueError(
                    f"{name} was given a Tensor of shape {parameter.shape} that is not a "
                    "parameter: it takes leaves with requires_grad=True"
                )
        if len({id(parameter) for parameter in found}) < len(found):
            raise ValueError(f"{name} was given the same parameter twice; list each once")
        return found

    def _prepare(self, decays: list[bool], is_new: bool) -> None:
        """Make room for what is remembered of each parameter; a search remembers nothing."""

    @answers_keywords("state()")
    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters:
            parameter.grad = None

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Make the cost smaller, at most so many times.

        Parameters
        ----------
        cost
            Computes the cost, one number, from the parameters as they are; see `evaluate`.
        iterations
            The steps to take.
        callback
            Is told the cost after each step, and stops the search by raising `StopIteration`.
        """
        raise NotImplementedError

    def evaluate(self, cost: Cost) -> float:
        """Compute the cost and leave its gradients in the parameters' ``.grad``.

        All optimisers come through here and read ``.grad`` afterwards, whichever way the gradients
        came: a cost function returns a Tensor, whose `backward` is run, or the pair of the value
        and the gradients, one array for each parameter in their order, or None, which are not
        copied.
        """
        self._require_parameters()
        self.zero_grad()
        result = cost()
        if isinstance(result, tuple):
            value, gradients = result
            arrays = self._checked_gradients(gradients)
            for parameter, array in zip(self.parameters, arrays, strict=True):
                parameter.grad = array
            return float(value)
        if not isinstance(result, Tensor):
            raise TypeError(
                f"{type(self).__name__}: the cost function returned {type(result).__name__}; "
                "it returns a Tensor, or the pair of the cost and the gradients"
            )
        result.backward()
        return float(result)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of what the next step depends on, beside parameters and arguments.

        Numbers and arrays by name and position of the parameter, as ``m.0``. A search by SciPy
        begins anew each time: its state is empty.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave, bit for bit.

        Raises
        ------
        ValueError
            If an entry is missing, unknown or of another shape or type; then nothing changes.
        """
        wrong = differences(self.state_dict(), state)
        wrong += [f"{k} is {n}, not at least 0" for k, n in state.items() if _is_negative(n)]
        if wrong:
            raise ValueError(
                f"{type(self).__name__}: the state is not one of this optimiser with these "
                f"parameters: {'; '.join(wrong)}"
            )

    def _checked_gradients(self, gradients: Sequence[Any]) -> list[Any]:
        """Take the arrays out of Tensors, and refuse what does not belong to the parameters."""
        name = type(self).__name__
        if isinstance(gradients, dict):
            raise TypeError(
                f"{name}: gradients are a list, in the order in which the parameters were bound, "
                "not a dict; write [found[n] for n, _ in model.named_parameters()]"
            )
        if len(gradients) != len(self.parameters):
            raise ValueError(
                f"{name}: {len(gradients)} gradients for {len(self.parameters)} parameters; "
                "give one for each, or None, in the order in which the parameters were bound"
            )
        pairs = enumerate(zip(self.parameters, gradients, strict=True))
        return [self._checked_gradient(k, parameter, g) for k, (parameter, g) in pairs]

    def _checked_gradient(self, k: int, parameter: Tensor, g: Any) -> Any:
        if isinstance(g, RowGradient):
            g = RowGradient(*map(values_of, g))
            table = g.values.shape[1:] == parameter.shape[1:]
            if table and self._steps_by_rows(k):
                return g.summed(parameter.shape[0])
            g = g.dense(parameter.shape) if table else g.values
        array = g if g is None or type(g) is np.ndarray else np.asarray(values_of(g))
        if array is not None and array.shape != parameter.shape:
            raise ValueError(
                f"{type(self).__name__}: a gradient of shape {array.shape} for parameter {k} of "
                f"shape {parameter.shape}; they must be the same"
            )
        return array

    @property
    def takes_rows(self) -> bool:
        """Whether there is a parameter of whose gradient a few rows are enough, as of a table."""
        return any(self._steps_by_rows(k) for k in range(len(self.parameters)))

    def _steps_by_rows(self, k: int) -> bool:
        """Whether a step of the k-th parameter leaves rows alone whose gradient is 0."""
        return False

    def _require_parameters(self) -> None:
        if not self.parameters:
            raise RuntimeError(f"{type(self).__name__} has no parameters yet; call bind(model)")

    def __repr__(self) -> str:
        """Show the arguments that are not the usual ones."""
        usual = inspect.signature(type(self)).parameters
        given = {k: v for k, v in self.get_params().items() if v != usual[k].default}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in given.items())})"


_IGNORED = {"param_groups": "Optimizer", "betas": "Optimizer"} | dict.fromkeys(
    ("epsilon", "beta_1", "beta_2", "clipnorm", "weight_decay", "learning_rate"), "optimizers()"
)

answer_attributes(Optimizer)


def _is_negative(value: Any) -> bool:
    """Whether it is a count below 0; the numbers of a state are counts, all else are arrays."""
    kept = np.asarray(value)
    return kept.shape == () and kept.dtype.kind == "i" and bool(kept < 0)
