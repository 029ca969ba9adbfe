"""Losses: one number that says how wrong the network is, exact even where it is sure."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.engine import ops
from autonn.engine.lineage import attribute_of, input_of
from autonn.engine.tensor import Tensor
from autonn.nn.targets import (
    as_probabilities,
    check_targets,
    target_rows,
    target_values,
    weight_column,
    with_rows_of,
)


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

    takes_weights = True  # of examples, as a third argument
    classifies = True  # the targets are classes, and there is an accuracy

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
            rows are. Of a single output, k = 1, the classes 0 and 1 are the targets themselves;
            of one or two outputs, False and True are the classes 0 and 1.
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError
            If the shapes differ, or something is not a probability.
        IndexError, TypeError
            For a class outside 0..k-1, and for classes that are not whole numbers; for a masked
            array or an `np.matrix`.
        """
        a = probabilities if isinstance(probabilities, Tensor) else Tensor(probabilities)
        logits = input_of(a, ops.sigmoid)
        source = _softmax_input(a) if logits is None else None
        single = a.shape[1:] == (1,) and source is None
        y = target_rows(targets, a, "CrossEntropy", single)
        if weights is not None:
            column = weight_column(weights, a, "CrossEntropy")
            return cast(Tensor, ops.weighted_cross_entropy(*_logarithms(a), y, column))
        if logits is not None:
            return cast(Tensor, ops.sigmoid_cross_entropy(logits, y))
        if source is not None:
            return cast(Tensor, ops.softmax_each_cross_entropy(source, y))
        a = as_probabilities(a, "CrossEntropy", "probabilities")
        return cast(Tensor, ops.cross_entropy(a, y))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        check_targets(targets, shape, "CrossEntropy", single=shape[1:] == (1,))

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

    takes_weights = classifies = True

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
        y = target_rows(targets, z, "SoftmaxCrossEntropy", single=False, sums=True)
        if weights is not None:
            y = y * weight_column(weights, z, "SoftmaxCrossEntropy")  # the cost is linear in y
        return cast(Tensor, ops.softmax_cross_entropy(z, y))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of logits of this shape, however many rows it has."""
        check_targets(targets, shape, "SoftmaxCrossEntropy", single=False, sums=True)

    def __repr__(self) -> str:
        return "SoftmaxCrossEntropy()"


class MeanSquaredError:
    """The mean of the squared differences, ``J = 1/n sum (a - y)^2`` over all n numbers.

    Examples
    --------
    >>> MeanSquaredError()(Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """

    takes_weights = True
    classifies = False

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
        y = targets if isinstance(targets, Tensor) else target_values(targets, "MeanSquaredError")
        _require_shape(y.shape, a.shape)
        squares = np.square(a - y)
        if weights is not None:
            squares = squares * weight_column(weights, a, "MeanSquaredError")
        return cast(Tensor, np.mean(squares))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        y = target_values(targets, "MeanSquaredError")
        _require_shape(y.shape, with_rows_of(y, shape))

    def __repr__(self) -> str:
        return "MeanSquaredError()"


def _require_shape(targets: tuple[int, ...], predictions: tuple[int, ...]) -> None:
    if targets != predictions:
        raise ValueError(
            f"MeanSquaredError: targets of shape {targets} against predictions of shape "
            f"{predictions}; they must be equal, reshape one"
        )


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
    a = as_probabilities(a, "CrossEntropy", "probabilities")
    with np.errstate(divide="ignore"):  # where such a logarithm counts, the cost is inf
        return np.log(a), np.log1p(-a)
