"""Optimisers: how the gradients change the parameters.

Both ways of the tutorials are here: gradient descent, which takes one step per gradient, and
L-BFGS, which hands the whole search to SciPy. Each keeps the history of its costs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy
from threadpoolctl import ThreadpoolController

from autonn.engine.tensor import Array, Tensor

Cost = Callable[[], Tensor]
Callback = Callable[[float], Any]


class Optimizer:
    """What all optimisers share: the parameters they change and the costs they have seen.

    The parameters may be given at once or later, by `bind`, as `fit` does.
    """

    def __init__(self, parameters: Iterable[Tensor] | None = None) -> None:
        self.parameters: list[Tensor] = []
        self.costs: list[float] = []
        if parameters is not None:
            self.bind(parameters)

    def bind(self, parameters: Iterable[Tensor]) -> Self:
        """Take the parameters to change; `ValueError` for none, for duplicates, for results."""
        found = list(parameters)
        name = type(self).__name__
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
            raise ValueError(f"{name} was given the same parameter twice")
        self.parameters = found
        return self

    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters:
            parameter.grad = None

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Make the cost smaller, at most so many times.

        Parameters
        ----------
        cost
            Computes the cost, one number, from the parameters as they are.
        iterations
            The steps to take.
        callback
            Is told the cost after each step, and stops the search by raising `StopIteration`.
        """
        raise NotImplementedError

    def evaluate(self, cost: Cost) -> float:
        """Compute the cost and leave its gradients in the parameters."""
        self._require_parameters()
        self.zero_grad()
        loss = cost()
        loss.backward()
        return float(loss)

    def _require_parameters(self) -> None:
        if not self.parameters:
            raise RuntimeError(
                f"{type(self).__name__} has no parameters yet; call bind(model.parameters())"
            )


class StepOptimizer(Optimizer):
    """Those that take one step per gradient, and so can learn from mini-batches."""

    def step(self) -> None:
        """Change the parameters by the gradients that `backward` left."""
        raise NotImplementedError

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Take so many steps; the costs kept are those before each step."""
        for _ in range(iterations):
            self.costs.append(self.evaluate(cost))
            self.step()
            if callback is not None:
                try:
                    callback(self.costs[-1])
                except StopIteration:
                    return


class SGD(StepOptimizer):
    """Gradient descent, ``theta = theta - lr dJ/dtheta``; the tutorials' alpha is `lr`.

    Raises
    ------
    ValueError, TypeError
        For a learning rate that is not a positive, finite number.

    Examples
    --------
    >>> x = Tensor(1.0, requires_grad=True)
    >>> optimizer = SGD([x], lr=0.25)
    >>> optimizer.minimize(lambda: x * x, iterations=2)
    >>> x, optimizer.costs
    (Tensor(0.25, requires_grad=True), [1.0, 0.25])
    """

    def __init__(self, parameters: Iterable[Tensor] | None = None, *, lr: float) -> None:
        super().__init__(parameters)
        self.lr = _positive(lr, "SGD: lr")

    def step(self) -> None:
        """Take one step down the gradients that `backward` left; no gradient, no change."""
        for parameter in self.parameters:
            if parameter.grad is not None:
                data = parameter._writable()
                data -= self.lr * _array(parameter.grad)

    def __repr__(self) -> str:
        return f"SGD(lr={self.lr})"


class LBFGS(Optimizer):
    """The limited-memory quasi-Newton search of SciPy's L-BFGS-B, on all parameters in one vector.

    It looks at the whole data at each step. While it runs, SciPy's BLAS is held to one thread:
    NumPy and SciPy bring an OpenBLAS each, and their two thread pools, fighting over the cores,
    made a search of 200 iterations take 9.2 instead of 1.9 seconds on two cores.

    Examples
    --------
    >>> x = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = LBFGS([x])
    >>> optimizer.minimize(lambda: np.sum((x - 1) ** 2), iterations=10)
    >>> bool(np.allclose(x.data, 1))
    True
    """

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Search for so many iterations, or until nothing improves; keep the cost after each."""
        from scipy import optimize  # 90 ms to import, so only where it is needed

        self._require_parameters()
        best = self._vector([p._data for p in self.parameters])

        def evaluate(vector: Array) -> tuple[float, Array]:
            self._assign(vector)
            value = self.evaluate(cost)
            return value, self._vector([_gradient(p) for p in self.parameters])

        def after_each(intermediate_result: optimize.OptimizeResult) -> None:
            best[:] = intermediate_result.x
            self.costs.append(float(intermediate_result.fun))
            if callback is not None:
                callback(self.costs[-1])

        # maxfun: the line search seldom needs more than two evaluations per iteration
        options: Any = {"maxiter": iterations, "maxfun": 20 * iterations}
        try:
            with _scipy_on_one_thread():
                optimize.minimize(
                    evaluate, best.copy(), method="L-BFGS-B", jac=True,
                    callback=after_each, options=options,
                )  # fmt: skip
        finally:  # also when the search was interrupted between two iterations
            self._assign(best)

    def _vector(self, arrays: Iterable[Array]) -> Array:
        return np.concatenate([a.ravel() for a in arrays]).astype(np.float64)

    def _assign(self, vector: Array) -> None:
        start = 0
        for parameter in self.parameters:
            stop = start + parameter.size
            parameter._writable()[...] = vector[start:stop].reshape(parameter.shape)
            start = stop

    def __repr__(self) -> str:
        return "LBFGS()"


def _scipy_on_one_thread() -> Any:
    """Limit SciPy's own BLAS and leave NumPy's alone; a context manager.

    The two are told apart by the folder: wheels keep theirs in scipy.libs, or in scipy/.dylibs on
    a Mac. Where NumPy and SciPy share one library nothing is limited.
    """
    home = Path(scipy.__file__).parent
    folders = {home, home.with_name("scipy.libs")}
    controller = ThreadpoolController()
    paths = [library["filepath"] for library in controller.info()]
    scipys = [path for path in paths if folders & set(Path(path).parents)]
    return controller.select(filepath=scipys).limit(limits=1)


def _array(gradient: Any) -> Array:
    data: Array = gradient._data if isinstance(gradient, Tensor) else gradient
    return data


def _gradient(parameter: Tensor) -> Array:
    """Return the gradient, or zeros where the cost did not depend on the parameter."""
    if parameter.grad is None:
        return np.zeros(parameter.shape, parameter.dtype)
    return _array(parameter.grad)


def _positive(value: float, name: str) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is a number, not {value!r}")
    if not 0 < value < math.inf:
        raise ValueError(f"{name} is positive and finite, not {value}")
    return float(value)
