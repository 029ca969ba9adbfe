"""Further losses of classes: on the logits of yes and no, by margins, and between distributions."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.checks import positive
from autonn.engine import ops
from autonn.engine.lineage import input_of
from autonn.engine.tensor import Array, Tensor
from autonn.habits import AnsweringLoss
from autonn.nn.losses import softmax_input
from autonn.nn.module import as_tensor
from autonn.nn.targets import (
    as_probabilities,
    check_probabilities,
    check_targets,
    probabilities_like,
    require_same_shape,
    target_rows,
    target_values,
    weight_column,
    with_rows_of,
)


class SigmoidCrossEntropy(AnsweringLoss):
    """The cost of questions of yes and no, from their logits, a mean over all n of them.

    ``J = -1/n sum [ y ln s(z) + (1 - y) ln(1 - s(z)) ]``, with s the sigmoid; its gradient for the
    logits is ``(s(z) - y) / n``, exact however sure they are. It takes the logits z, or the output
    of a `Sigmoid`, whose input it then uses. (`CrossEntropy` of a sigmoid is the sum over the k
    outputs of an example, and so k times this.)

    Examples
    --------
    >>> SigmoidCrossEntropy()(Tensor([[0.0, 1000.0]]), [[1, 1]])
    Tensor(0.34657359)
    """

    takes_weights = classifies = True
    boundary = 0.0  # of a single output: above it class 1 is read

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
            Of any shape, one example a row.
        targets
            Probabilities of the shape of the logits, as 0 and 1 are; where there is one logit a
            row, shape (m, 1), also of shape (m,).
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError, TypeError
            If the shapes differ; for targets outside 0..1, and for what are no numbers.
        """
        z = as_tensor(logits)
        source = input_of(z, ops.sigmoid)
        z = z if source is None else source
        y = self._laid_out(target_values(targets, "SigmoidCrossEntropy"), z.shape)
        given = targets.reshape(y.shape) if isinstance(targets, Tensor) else targets
        y = probabilities_like(given, y, z, "SigmoidCrossEntropy")
        if weights is None:
            cost = ops.sigmoid_cross_entropy(z, y)
        else:
            column = weight_column(weights, z, "SigmoidCrossEntropy")
            logs = ops.log_sigmoid(z), ops.log_sigmoid(-z)
            cost = ops.weighted_cross_entropy(*logs, y, column)
        return cast(Tensor, cost if z.size == len(z) else cost * (len(z) / max(z.size, 1)))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of logits of this shape, however many rows it has."""
        y = target_values(targets, "SigmoidCrossEntropy")
        y = self._laid_out(y, with_rows_of(y, shape))
        check_probabilities(y, "SigmoidCrossEntropy", "targets")

    def _laid_out(self, y: Array, shape: tuple[int, ...]) -> Array:
        """Give targets (m,) for logits (m, 1) their shape, and refuse those of another."""
        if (*y.shape, 1) == shape:
            return y[..., None]
        if not shape:
            raise ValueError("SigmoidCrossEntropy: a single logit, shape (); give one a row, (m,)")
        require_same_shape(y.shape, shape, "SigmoidCrossEntropy")
        return y

    def __repr__(self) -> str:
        return "SigmoidCrossEntropy()"


class HingeLoss(AnsweringLoss):
    """What the right class is not ahead of the others by a margin, a mean over examples.

    ``J = 1/m sum_i sum_(j != y_i) max(0, margin + z_j - z_(y_i))`` of k scores; of a single one,
    with t = -1 for class 0 and 1 for class 1, ``J = 1/m sum_i max(0, margin - t_i z_i)``. At a kink
    the gradient is 0. (PyTorch's `MultiMarginLoss` divides by k as well.) Source: Weston and
    Watkins (1999), "Support vector machines for multi-class pattern recognition", section 2.

    Parameters
    ----------
    margin
        How far ahead the right class has to be, above 0.

    Examples
    --------
    >>> HingeLoss()(Tensor([[3.0, 2.5, 0.0]]), [0])
    Tensor(0.5)
    >>> HingeLoss()(Tensor([[3.0], [-0.25]]), [1, 0])
    Tensor(0.375)
    """

    takes_weights = classifies = True
    boundary = 0.0  # of a single output: above it class 1 is read

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = positive("HingeLoss: margin", margin)

    def __call__(
        self,
        scores: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost.

        Parameters
        ----------
        scores
            Shape (m, k), or (m, ..., k) for several in each example.
        targets
            Classes, whole numbers of shape (m, ...); of a single score 0 and 1.
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError, IndexError, TypeError
            As `CrossEntropy`, and for targets that are rows of probabilities.
        """
        z = as_tensor(scores)
        single = z.shape[-1:] == (1,)
        _require_no_rows(target_values(targets, "HingeLoss").shape, z.shape)
        y = target_rows(targets, z, "HingeLoss", single)
        if single:
            lacks = ops.relu(self.margin - (2 * y - 1) * z)
        else:
            right = np.sum(y * z, axis=-1, keepdims=True)
            lacks = (1 - y) * ops.relu(self.margin + z - right)
        if weights is not None:
            lacks = lacks * weight_column(weights, z, "HingeLoss")
        return cast(Tensor, np.sum(lacks) / max(z.size // z.shape[-1], 1))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of scores of this shape, however many rows it has."""
        y = target_values(targets, "HingeLoss")
        _require_no_rows(y.shape, with_rows_of(y, shape))
        check_targets(targets, shape, "HingeLoss", single=shape[-1:] == (1,))

    def __repr__(self) -> str:
        return f"HingeLoss({self.margin})"


def _require_no_rows(targets: tuple[int, ...], scores: tuple[int, ...]) -> None:
    """Refuse targets of the shape of the scores."""
    if targets == scores and len(scores) > 1:
        cure = "y.ravel() may be" if scores[-1] == 1 else "y.argmax(axis=-1) makes of one-hot rows"
        raise ValueError(
            f"HingeLoss: targets of shape {targets}; it takes classes of shape {scores[:-1]}, as "
            f"{cure}"
        )


class KLDivergence(AnsweringLoss):
    """How far predicted distributions are from the targets, a mean over examples.

    ``J = 1/m sum_i sum_k y_k (ln y_k - ln a_k)``, where 0 ln 0 = 0: the cross-entropy less the
    entropy of the targets, and so 0 where both are the same. Where the probabilities come from a
    `Softmax`, it is computed from the softmax's input. (PyTorch's `KLDivLoss` takes ln a.) Source:
    Kullback and Leibler (1951), "On information and sufficiency", equation 2.4.

    Examples
    --------
    >>> KLDivergence()(Tensor([[0.5, 0.5]]), [[0.5, 0.5]])
    Tensor(0.)
    >>> KLDivergence()(Tensor([[0.5, 0.5]]), [[1.0, 0.0]])
    Tensor(0.69314718)
    """

    takes_weights = classifies = True

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
            Shape (m, k), or (m, ..., k) for several in each example; rows sum to 1.
        targets
            Probabilities of the same shape, whose rows sum to 1, or classes of shape (m, ...).
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError, IndexError, TypeError
            As `CrossEntropy`, and for rows that do not sum to 1.
        """
        a = as_tensor(probabilities)
        logits = softmax_input(a)
        y = target_rows(targets, a, "KLDivergence", False, sums=True)
        if logits is None:
            a = as_probabilities(a, "KLDivergence", "probabilities", sums=True)
            with np.errstate(divide="ignore"):  # where such a logarithm counts, the cost is inf
                log_a: Any = np.log(a)
        else:
            log_a = ops.log_softmax(logits)
        log_y = np.log(np.where(np.greater(y, 0), y, 1))
        parts = ops.safe_multiply(y, log_y - log_a)
        if weights is not None:
            parts = parts * weight_column(weights, a, "KLDivergence")
        return cast(Tensor, np.sum(parts) / max(a.size // a.shape[-1], 1))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        check_targets(targets, shape, "KLDivergence", False, sums=True)

    def __repr__(self) -> str:
        return "KLDivergence()"
