"""Losses: one number that says how wrong the network is, exact even where it is sure."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine import ops
from autonn.engine.lineage import attribute_of, input_of
from autonn.engine.modes import is_tracing
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module


class CrossEntropy:
    """The tutorials' cost on probabilities, a mean over examples and a sum over classes.

    ``J = -1/m sum_i sum_k [ y_k ln a_k + (1 - y_k) ln(1 - a_k) ]``

    Where the probabilities come from a sigmoid, the cost and its gradient ``(a - y) / m`` are
    computed from the sigmoid's own input, and stay exact where `a` rounds to 0 or 1; so they are
    from a softmax's input, ``ln(1 - a_k)`` by the logarithm of the others' sum.

    Examples
    --------
    >>> CrossEntropy()(Tensor([[0.5, 0.5]]), [1])
    Tensor(1.38629436)
    """

    def __call__(
        self,
        probabilities: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost.

        Parameters
        ----------
        probabilities
            The output `a` of the network, shape (m, k).
        targets
            Classes, whole numbers of shape (m,), or probabilities of shape (m, k), as one-hot
            rows are.
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError
            If the shapes differ, or something is not a probability.
        IndexError, TypeError
            For a class outside 0..k-1, and for classes that are not whole numbers.
        """
        a = probabilities if isinstance(probabilities, Tensor) else Tensor(probabilities)
        y = _targets(targets, a, "CrossEntropy")
        if weights is not None:
            column = _column(weights, a, "CrossEntropy")
            return cast(Tensor, ops.weighted_cross_entropy(*_logarithms(a), y, column))
        logits = input_of(a, ops.sigmoid)
        if logits is not None:
            return cast(Tensor, ops.sigmoid_cross_entropy(logits, y))
        logits = _softmax_input(a)
        if logits is not None:
            return cast(Tensor, ops.softmax_each_cross_entropy(logits, y))
        _check_probabilities(values_of(a), "CrossEntropy", "probabilities")
        return cast(Tensor, ops.cross_entropy(a, y))

    def __repr__(self) -> str:
        return "CrossEntropy()"


class SoftmaxCrossEntropy:
    """The cost of choosing one class, ``J = -1/m sum_i sum_k y_k ln softmax(z)_k``.

    It takes the logits z, or the output of a `Softmax`, whose input it then uses. Its gradient
    for the logits is ``(softmax(z) - y) / m``.

    Examples
    --------
    >>> SoftmaxCrossEntropy()(Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    """

    def __call__(
        self,
        logits: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost.

        Parameters
        ----------
        logits
            Shape (m, k).
        targets
            Classes, whole numbers of shape (m,), or rows of k probabilities that sum to 1.
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError, IndexError, TypeError
            As `CrossEntropy`, and for rows that do not sum to 1.
        """
        z = logits if isinstance(logits, Tensor) else Tensor(logits)
        source = _softmax_input(z)
        z = z if source is None else source
        y = _targets(targets, z, "SoftmaxCrossEntropy")
        _check_sums(values_of(y), "SoftmaxCrossEntropy")
        if weights is not None:
            y = y * _column(weights, z, "SoftmaxCrossEntropy")  # the cost is linear in y
        return cast(Tensor, ops.softmax_cross_entropy(z, y))

    def __repr__(self) -> str:
        return "SoftmaxCrossEntropy()"


class MeanSquaredError:
    """The mean of the squared differences, ``J = 1/n sum (a - y)^2`` over all n numbers.

    Examples
    --------
    >>> MeanSquaredError()(Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """

    def __call__(
        self,
        predictions: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost; `ValueError` where the shapes of predictions and targets differ.

        `weights`, one a row, are factors of the rows' squares; the mean is still over all n.
        """
        a = predictions if isinstance(predictions, Tensor) else Tensor(predictions)
        y = targets if isinstance(targets, Tensor) else np.asarray(targets)
        if y.shape != a.shape:
            raise ValueError(
                f"MeanSquaredError: targets of shape {y.shape} against predictions of shape "
                f"{a.shape}; they must be equal, reshape one"
            )
        squares = np.square(a - y)
        if weights is not None:
            squares = squares * _column(weights, a, "MeanSquaredError")
        return cast(Tensor, np.mean(squares))

    def __repr__(self) -> str:
        return "MeanSquaredError()"


def l2_penalty(model: Module, strength: float, examples: int) -> Tensor:
    """Return the tutorials' ``lambda / (2m)`` times the sum of squares of all weights.

    The biases are left out: a module says which parameters they are.

    Parameters
    ----------
    model
        The module whose weights are penalised.
    strength
        The tutorials' lambda, not negative.
    examples
        Their m, the number of examples that the cost is a mean over.

    Examples
    --------
    >>> from autonn import Layer
    >>> l2_penalty(Layer(2, 1, weight=[[1.0, 2.0]], bias=[9.0]), 1.0, examples=5)
    Tensor(0.5, requires_grad=True)
    """
    if not 0 <= strength < np.inf:
        raise ValueError(f"l2_penalty: lambda is at least 0 and finite, not {strength}")
    if examples < 1:
        raise ValueError(f"l2_penalty: a mean over {examples} examples; it takes at least 1")
    weights = model.weights()
    if not weights:
        raise ValueError(f"l2_penalty: {model!r} has no weights to penalise")
    return cast(Tensor, ops.sum_of_squares(*weights, factor=strength / (2 * examples)))


def _softmax_input(a: Tensor) -> Tensor | None:
    """Return the logits that a softmax over the classes made `a` from, if any did."""
    logits = input_of(a, ops.softmax)
    if logits is None:
        return None
    return logits if attribute_of(a, "axis") in (-1, a.ndim - 1) else None


def logits_of(a: Tensor) -> Tensor:
    """Return what a sigmoid, or a softmax over the classes, made `a` from; or else `a` itself.

    The largest of a row has the same place in both.

    >>> from autonn import sigmoid
    >>> logits_of(sigmoid(Tensor([[50.0, 60.0]], requires_grad=True))).data  # both give 1.0
    array([[50., 60.]])
    """
    sources = input_of(a, ops.sigmoid), _softmax_input(a)
    return next((logits for logits in sources if logits is not None), a)


def _logarithms(a: Tensor) -> tuple[Any, Any]:
    """Return ln a and ln(1 - a), from the input of a sigmoid or softmax where one made `a`."""
    logits = input_of(a, ops.sigmoid)
    if logits is not None:
        return ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    logits = _softmax_input(a)
    if logits is not None:
        return ops.log_softmax(logits), ops.log_others(logits)
    _check_probabilities(values_of(a), "CrossEntropy", "probabilities")
    with np.errstate(divide="ignore"):  # where such a logarithm counts, the cost is inf
        return np.log(a), np.log1p(-a)


def _column(weights: Any, a: Tensor, name: str) -> Any:
    """Bring one weight a row to the shape of the predictions."""
    w = weights if isinstance(weights, Tensor) else np.asarray(weights, a.dtype)
    if w.shape != a.shape[:1]:
        raise ValueError(
            f"{name}: weights of shape {w.shape} for predictions of shape {a.shape}; give one a "
            f"row, shape {a.shape[:1]}"
        )
    return w.reshape(-1, *[1] * (a.ndim - 1))


def _targets(targets: Any, a: Tensor, name: str) -> Any:
    """Bring the targets to one row of probabilities for each row of predictions."""
    y = np.asarray(values_of(targets))
    if a.ndim != 2:
        raise ValueError(f"{name}: predictions of shape {a.shape}; they are (examples, classes)")
    if y.ndim == 1:
        if len(y) != len(a):
            raise ValueError(f"{name}: {len(a)} predictions against {len(y)} targets")
        return ops.one_hot_rows(targets if is_tracing() else y, classes=a.shape[1], dtype=a.dtype)
    if y.shape != a.shape:
        raise ValueError(
            f"{name}: targets of shape {y.shape} against predictions of shape {a.shape}; give "
            f"classes of shape ({len(a)},), as y.ravel() may, or one-hot rows of shape {a.shape}"
        )
    _check_probabilities(y, name, "targets")  # compiled: once, while tracing
    return targets if isinstance(targets, Tensor) else y.astype(a.dtype, copy=False)


# Without a sign the bits of floating-point numbers are in the order of the numbers, and those of
# negative numbers and of NaN are beyond all others: so one comparison with the bits of 1 will do.
_BITS = {
    np.dtype(dtype): (np.dtype(bits), np.array(1, dtype).view(bits))
    for dtype, bits in ((np.float32, np.uint32), (np.float64, np.uint64))
}


def _check_probabilities(p: Array, name: str, what: str) -> None:
    bits = _BITS.get(p.dtype)
    if bits and np.count_nonzero(p.view(bits[0]) > bits[1]) == 0:  # a third of the time
        return
    good = (p >= 0) & (p <= 1)
    if np.count_nonzero(good) < good.size:  # a microsecond less than good.all()
        at = np.unravel_index(int(good.argmin()), p.shape)
        raise ValueError(f"{name}: {what} are from 0 to 1, not {p[at]} as at {tuple(map(int, at))}")


def _check_sums(y: Array, name: str) -> None:
    sums = y.sum(axis=1)
    wrong = np.abs(sums - 1) > 1e-5  # rows of float32 probabilities sum to 1 within 1e-6
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}: the targets in row {row} sum to {sums[row]:g}, not to 1")
