"""Optimisers that hand the whole search to SciPy, which chooses the lengths of its steps itself."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import scipy
from threadpoolctl import ThreadpoolController

from autonn.checks import one_of, positive, whole
from autonn.engine.higher import hessian_products
from autonn.engine.ownership import writable
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.optim.base import Callback, Cost, Optimizer, Parameters
from autonn.optim.bounds import Bounds, checked_bounds, limits
from autonn.optim.selection import named_tensors
from autonn.threads import libraries_beside

Product = Callable[[list[Array]], Sequence[Any]]  # vectors, one array a parameter -> H v


class _Search(Optimizer):
    """Those that give SciPy the cost as a function of one vector that holds all parameters.

    While SciPy searches, its BLAS is held to one thread: NumPy and SciPy bring an OpenBLAS each,
    and their two thread pools, fighting over the cores, made a search of 200 iterations by L-BFGS
    take 9.2 instead of 1.9 seconds on two cores.
    """

    def _search(self, cost: Cost, iterations: int, callback: Callback | None, **how: Any) -> None:
        """Run SciPy's minimiser; whatever happens, the parameters end at the best iterate."""
        self._require_parameters()
        if whole(f"{type(self).__name__}: iterations", iterations, least=0) == 0:
            return  # SciPy would take one
        from scipy import optimize  # 90 ms to import, so only where it is needed

        best = self._joined([values_of(parameter) for parameter in self.parameters])
        tried = best.copy()

        def evaluate(point: Array) -> tuple[float, Array]:
            tried[:] = point
            self._assign(point)
            value = self.evaluate(cost)
            return value, self._joined([_gradient(parameter) for parameter in self.parameters])

        def after_each(intermediate_result: optimize.OptimizeResult) -> None:
            best[:] = intermediate_result.x
            self.costs.append(float(intermediate_result.fun))
            if callback is not None:
                if not np.array_equal(tried, best):  # the last point tried was no improvement
                    evaluate(best)
                callback(self.costs[-1])

        try:
            with _scipy_on_one_thread():
                optimize.minimize(evaluate, best.copy(), jac=True, callback=after_each, **how)
        finally:  # also when the search was interrupted between two iterations
            self._assign(best)

    def _joined(self, arrays: Iterable[Array]) -> Array:
        """Put all in one new float64 vector: SciPy keeps the gradients it was given."""
        return np.concatenate([array.ravel() for array in arrays], dtype=np.float64)

    def _split(self, vector: Array) -> list[Array]:
        """Cut a vector into views of the parameters' shapes."""
        parts, start = [], 0
        for parameter in self.parameters:
            stop = start + parameter.size
            parts.append(vector[start:stop].reshape(parameter.shape))
            start = stop
        return parts

    def _assign(self, vector: Array) -> None:
        for parameter, part in zip(self.parameters, self._split(vector), strict=True):
            writable(parameter)[...] = part


def _tolerance(name: str, value: Any) -> float | None:
    return None if value is None else positive(name, value)


class LBFGS(_Search):
    """The limited-memory quasi-Newton search of SciPy's L-BFGS-B.

    It looks at the whole data at each step, and needs nothing but costs and gradients.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later.
    memory
        How many of the last steps tell how the cost curves. Byrd, Lu, Nocedal & Zhu, "A limited
        memory algorithm for bound constrained optimization", 1995, advise 3 to 20. With 7 the digit
        network comes as far in 400 iterations as with the 10 that SciPy would take (costs 0.305,
        0.305 and 0.311 from three seeds; 0.304, 0.305 and 0.311), and each takes SciPy less time.
    tolerance
        When to stop before all iterations: at a gradient whose largest element, where no bound is
        in its way, is no larger, or where an iteration lowers the cost by no more than this share
        of it. None is for SciPy's own, 1e-5 and 2.2e-9.
    bounds
        Between what the parameters stay: ``(low, high)`` for all of them, None for no bound; or a
        dict of such pairs by patterns of their names, as ``{"scale": (0, None)}``, by modules or
        Tensors, which leaves the others free. What is outside begins at the bound.

    Raises
    ------
    ValueError, TypeError
        For a memory below 1; for one that is not a whole number; for a tolerance that is not
        positive; for bounds that are no numbers, that cross, or of no parameter.

    Examples
    --------
    >>> x = Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = LBFGS([x])
    >>> optimizer.minimize(lambda: np.sum((x - 1) ** 2), iterations=10)
    >>> bool(np.allclose(x.data, 1))
    True
    """

    ranges: ClassVar = {"memory": whole, "tolerance": _tolerance, "bounds": checked_bounds}

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        memory: int = 7,
        tolerance: float | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.memory, self.tolerance, self.bounds = memory, tolerance, bounds
        self._names: Mapping[str, Tensor] = {}
        super().__init__(parameters)

    def bind(self, parameters: Parameters) -> Self:
        """Take the parameters to change, and their names, which bounds may speak of."""
        super().bind(parameters)
        named = isinstance(parameters, Module)
        self._names = named_tensors(parameters if named else self.parameters)
        if self.bounds is not None:
            limits(self.bounds, self.parameters, self._names)  # what they speak of is there
        return self

    def minimize(self, cost: Cost, iterations: int, callback: Callback | None = None) -> None:
        """Search for so many iterations, or until nothing improves; keep the cost after each."""
        # maxfun: the line search seldom needs more than two evaluations per iteration
        options = {"maxiter": iterations, "maxfun": 20 * iterations, "maxcor": self.memory}
        how: dict[str, Any] = {} if self.tolerance is None else {"tol": self.tolerance}
        if self.bounds is not None:
            self._require_parameters()
            low, high = limits(self.bounds, self.parameters, self._names)
            how["bounds"] = np.stack([low, high], axis=1)
            here = self._joined([values_of(parameter) for parameter in self.parameters])
            self._assign(np.clip(here, low, high))
        self._search(cost, iterations, callback, method="L-BFGS-B", options=options, **how)


class Newton(_Search):
    """Newton's method by SciPy, with exact products of the Hessian and a vector.

    Each step minimises the quadratic model of the cost by conjugate gradients, for which it needs
    ``H v`` and never H: the gradient of ``<dJ/dtheta, v>``, which takes about as long as one and a
    half gradients of the cost. Close to a minimum the number of right digits doubles with each
    step. The cost should be smooth: at a kink, as relu has it, the model knows one side alone.

    Parameters
    ----------
    parameters
        A module, or a list of Tensors; or None, and `bind` later.
    method
        SciPy's ``"trust-ncg"``, which trusts the model within a radius, or ``"newton-cg"``, which
        searches along a line.
    tolerance
        When to stop: trust-ncg at a gradient of this norm, newton-cg at a step whose elements are
        on average this large.

    Raises
    ------
    ValueError, TypeError
        For a method of another name; for a tolerance that is not a positive, finite number.

    Examples
    --------
    >>> x = Tensor([-1.2, 1.0], requires_grad=True)
    >>> optimizer = Newton([x])
    >>> optimizer.minimize(lambda: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, iterations=100)
    >>> bool(np.allclose(x.data, 1, atol=1e-8))
    True
    """

    ranges: ClassVar = {
        "method": functools.partial(one_of, choices=("trust-ncg", "newton-cg")),
        "tolerance": positive,
    }
    needs_products = True

    def __init__(
        self,
        parameters: Parameters | None = None,
        *,
        method: str = "trust-ncg",
        tolerance: float = 1e-8,
    ) -> None:
        self.method, self.tolerance = method, tolerance
        super().__init__(parameters)

    def minimize(
        self,
        cost: Cost,
        iterations: int,
        callback: Callback | None = None,
        product: Product | None = None,
    ) -> None:
        """Search for so many iterations, or until nothing improves; keep the cost after each.

        Parameters
        ----------
        cost, iterations, callback
            As for `Optimizer.minimize`.
        product
            Computes ``H v`` from the parameters as they are and from v, one array for each of
            them. If it is None, the graph of the cost is differentiated, and so the cost function
            has to return a Tensor.
        """
        here: list[Any] = [None, product]  # a point, and the products there

        def curvature(point: Array, vector: Array) -> Array:
            self._assign(point)
            if product is None and not np.array_equal(here[0], point):
                here[:] = point.copy(), _products(cost, self.parameters)
            parts = zip(self._split(vector), self.parameters, strict=True)
            vectors = [part.astype(parameter.dtype) for part, parameter in parts]
            return self._joined(np.asarray(values_of(part)) for part in here[1](vectors))

        self._search(
            cost, iterations, callback, method=self.method, hessp=curvature, tol=self.tolerance,
            options={"maxiter": iterations},
        )  # fmt: skip


def _products(cost: Cost, parameters: list[Tensor]) -> Product:
    """Return ``v -> H v`` at the parameters as they are; one graph serves all the products."""
    result = cost()
    if not isinstance(result, Tensor):
        raise TypeError(
            "Newton: the cost function returned no Tensor, so its Hessian is not known; return "
            "one, or give minimize(product=) a function that computes Hessian times vector"
        )
    return hessian_products(result, parameters)


def _scipy_on_one_thread() -> Any:
    """Limit SciPy's own BLAS and leave NumPy's alone; a context manager.

    Where the two share one library nothing is limited.
    """
    paths = [library.filepath for library in libraries_beside(scipy)]
    return ThreadpoolController().select(filepath=paths).limit(limits=1)


def _gradient(parameter: Tensor) -> Array:
    """Return the gradient, or zeros where the cost did not depend on the parameter."""
    if parameter.grad is None:
        return np.zeros(parameter.shape, parameter.dtype)
    return np.asarray(values_of(parameter.grad))
