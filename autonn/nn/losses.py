"""Losses: one number that says how wrong the network is, exact even where it is sure."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.checks import number, whole
from autonn.engine import ops
from autonn.engine.lineage import attribute_of, input_of
from autonn.engine.tensor import Tensor
from autonn.habits import AnsweringLoss
from autonn.nn.module import as_tensor
from autonn.nn.targets import (
    as_probabilities,
    check_targets,
    check_values,
    class_weights,
    target_rows,
    values_like,
    weight_column,
)


class CrossEntropy(AnsweringLoss):
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
            The output `a` of the network, shape (m, k), or (m, ..., k) for several in each example.
        targets
            Classes, whole numbers of shape (m, ...), or probabilities of shape (m, ..., k), as
            one-hot rows are. Of a single output, k = 1, the classes 0 and 1 are the targets
            themselves; of one or two outputs, False and True are the classes 0 and 1.
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
        a = as_tensor(probabilities)
        logits = input_of(a, ops.sigmoid)
        source = softmax_input(a) if logits is None else None
        single = a.shape[-1:] == (1,) and source is None
        y = target_rows(targets, a, "CrossEntropy", single)
        if weights is not None:
            column = weight_column(weights, a, "CrossEntropy")
            return _mean_over_rows(ops.weighted_cross_entropy(*_logarithms(a), y, column), a)
        if logits is not None:
            return _mean_over_rows(ops.sigmoid_cross_entropy(logits, y), a)
        if source is not None:
            return _mean_over_rows(ops.softmax_each_cross_entropy(source, y), a)
        a = as_probabilities(a, "CrossEntropy", "probabilities")
        return _mean_over_rows(ops.cross_entropy(a, y), a)

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        check_targets(targets, shape, "CrossEntropy", single=shape[-1:] == (1,))

    def __repr__(self) -> str:
        return "CrossEntropy()"


class SoftmaxCrossEntropy(AnsweringLoss):
    """The cost of choosing one class, ``J = -1/m sum_i sum_k y_k ln softmax(z)_k``.

    It takes the logits z, or the output of a `Softmax`, whose input it then uses. Its gradient
    for the logits is ``(softmax(z) - y) / m``. Of predictions (m, ..., k), as one for each place in
    a text, it is the mean over all of them.

    Parameters
    ----------
    label_smoothing
        How much of each target is shared out among all k classes, ``(1 - s) y + s / k``, from 0
        to 1. Source: Szegedy et al. (2016), "Rethinking the Inception architecture", section 7.
    ignore_index
        A class, as -100, whose predictions do not count: neither in the sum nor in the m that it is
        divided by. If none counts, the cost is 0. `fit` then measures no accuracy.
    class_weight
        How much each class counts, shape (k,): a factor of its part of the sum, which is divided by
        m all the same, as in `fit`. (PyTorch's `weight` divides by the sum of the weights.)

    Raises
    ------
    ValueError, TypeError
        For numbers out of their range, for weights that are negative or not finite.

    Examples
    --------
    >>> SoftmaxCrossEntropy()(Tensor([[0.0, 0.0]]), [1])
    Tensor(0.69314718)
    >>> SoftmaxCrossEntropy(ignore_index=-1)(Tensor([[0.0, 0.0], [5.0, 0.0]]), [1, -1])
    Tensor(0.69314718)
    """

    takes_weights = True
    classifies: bool = True

    label_smoothing: float = 0.0
    ignore_index: int | None = None
    class_weight: Any = None  # an array (k,), or None

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        class_weight: ArrayLike | None = None,
    ) -> None:
        name = "SoftmaxCrossEntropy"
        self.label_smoothing = number(f"{name}: label_smoothing", label_smoothing, least=0, most=1)
        if ignore_index is not None:
            self.ignore_index = whole(f"{name}: ignore_index", ignore_index, least=-(2**63))
            self.classifies = False  # what is ignored would count as wrong
        if class_weight is not None:
            self.class_weight = class_weights(f"{name}: class_weight", class_weight)

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
            Shape (m, k), or (m, ..., k).
        targets
            Classes, whole numbers of shape (m, ...), or rows of k probabilities that sum to 1.
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError, IndexError, TypeError
            As `CrossEntropy`, and for rows that do not sum to 1; for probabilities beside
            `ignore_index`; for another number of classes than of class weights.
        """
        z = as_tensor(logits)
        source = softmax_input(z)
        z = z if source is None else source
        ignored = self.ignore_index
        y = target_rows(targets, z, "SoftmaxCrossEntropy", False, sums=True, ignored=ignored)
        share = None if ignored is None else _counted_share(y)
        if self.label_smoothing:
            even = self.label_smoothing / z.shape[-1]
            kept = 1.0 if ignored is None else np.sum(y, axis=-1, keepdims=True)
            y = (1 - self.label_smoothing) * y + even * kept
        if self.class_weight is not None:
            self._require_classes(z.shape)
            y = y * self.class_weight.astype(z.dtype)  # the cost is linear in y
        if weights is not None:
            y = y * weight_column(weights, z, "SoftmaxCrossEntropy")
        cost = _mean_over_rows(ops.softmax_cross_entropy(z, y), z)
        return cost if share is None else cost / share

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of logits of this shape, however many rows it has."""
        check_targets(
            targets, shape, "SoftmaxCrossEntropy", False, sums=True, ignored=self.ignore_index
        )
        if self.class_weight is not None:
            self._require_classes(shape)

    def _require_classes(self, shape: tuple[int, ...]) -> None:
        """Refuse another number of classes than there are weights."""
        if shape[-1:] != self.class_weight.shape:
            raise ValueError(
                f"SoftmaxCrossEntropy: class_weight has {len(self.class_weight)} numbers for "
                f"{shape[-1]} classes; give one for each"
            )

    def __repr__(self) -> str:
        smoothing = f"label_smoothing={self.label_smoothing}" if self.label_smoothing else ""
        ignored = "" if self.ignore_index is None else f"ignore_index={self.ignore_index}"
        given = self.class_weight
        weight = "" if given is None else f"class_weight={given.tolist()}"
        return f"SoftmaxCrossEntropy({', '.join(filter(None, (smoothing, ignored, weight)))})"


class MeanSquaredError(AnsweringLoss):
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
        a = as_tensor(predictions)
        squares = np.square(a - values_like(targets, a, "MeanSquaredError"))
        if weights is not None:
            squares = squares * weight_column(weights, a, "MeanSquaredError")
        return cast(Tensor, np.mean(squares))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        check_values(targets, shape, "MeanSquaredError")

    def __repr__(self) -> str:
        return "MeanSquaredError()"


def _mean_over_rows(cost: Any, a: Tensor) -> Tensor:
    """Divide by all rows of (m, ..., k) what was divided by m."""
    return cast(Tensor, cost if a.ndim == 2 else cost * (a.shape[0] * a.shape[-1] / max(a.size, 1)))


def _counted_share(y: Any) -> Any:
    """Return which share of the rows counts, of one-hot rows with zeros in the others."""
    rows = y.size // y.shape[-1]
    return np.maximum(np.sum(y), 1) / max(rows, 1)


def softmax_input(a: Tensor) -> Tensor | None:
    """Return the logits that a softmax over the classes made `a` from, if any did.

    >>> from autonn import softmax
    >>> softmax_input(softmax(Tensor([[1.0, 2.0]], requires_grad=True))).data
    array([[1., 2.]])
    """
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
    sources = input_of(a, ops.sigmoid), softmax_input(a)
    return next((logits for logits in sources if logits is not None), a)


def _logarithms(a: Tensor) -> tuple[Any, Any]:
    """Return ln a and ln(1 - a), from the input of a sigmoid or softmax where one made `a`."""
    logits = input_of(a, ops.sigmoid)
    if logits is not None:
        return ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
    logits = softmax_input(a)
    if logits is not None:
        return ops.log_softmax(logits), ops.log_others(logits)
    a = as_probabilities(a, "CrossEntropy", "probabilities")
    with np.errstate(divide="ignore"):  # where such a logarithm counts, the cost is inf
        return np.log(a), np.log1p(-a)
