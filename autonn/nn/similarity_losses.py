"""Losses of directions and distances: of vectors that are to be near or far from others."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.checks import positive
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.habits import AnsweringLoss
from autonn.nn.module import as_tensor
from autonn.nn.targets import check_values, values_like, weight_column


class CosineSimilarityLoss(AnsweringLoss):
    """How far predicted vectors point away from the targets, ``J = 1/m sum_i (1 - cos(a_i, y_i))``.

    ``cos(a, y) = a y / (|a| |y|)`` along the last axis, in which neither length counts as less than
    1e-8: a vector of zeros has the cosine 0 with all others.

    Examples
    --------
    >>> CosineSimilarityLoss()(Tensor([[1.0, 0.0], [0.0, 2.0]]), [[3.0, 0.0], [1.0, 0.0]])
    Tensor(0.5)
    """

    takes_weights = True
    classifies = False

    def __call__(
        self,
        predictions: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost.

        Parameters
        ----------
        predictions, targets
            Vectors, of one shape (m, ..., d).
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError
            If the shapes differ, or have less than two axes.
        """
        a = as_tensor(predictions)
        _require_vectors(a.shape)
        y = values_like(targets, a, "CosineSimilarityLoss")
        lengths = _length(a) * _length(y)
        parts = 1 - np.sum(a * y, axis=-1) / lengths
        if weights is not None:
            parts = parts * weight_column(weights, parts, "CosineSimilarityLoss")
        return cast(Tensor, np.mean(parts))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        _require_vectors(shape)
        check_values(targets, shape, "CosineSimilarityLoss")

    def __repr__(self) -> str:
        return "CosineSimilarityLoss()"


def _length(x: Any) -> Any:
    return np.maximum(np.linalg.norm(x, axis=-1), 1e-8)


def _require_vectors(shape: tuple[int, ...]) -> None:
    if len(shape) < 2:
        raise ValueError(
            f"CosineSimilarityLoss: predictions of shape {shape}; they are vectors, (m, ..., d)"
        )


class TripletLoss(AnsweringLoss):
    """What an anchor is not nearer to its like than to its unlike by a margin, a mean of triplets.

    ``J = 1/m sum_i max(0, |a_i - p_i| - |a_i - n_i| + margin)``, of an anchor a, a positive p,
    which is its like, and a negative n. The predictions are those of all three, shape (m, 3, d), as
    a model of layers gives them for examples of shape (m, 3, ...). At a kink, and where two are the
    same, the gradient is 0. A model that gives the three one by one, ``return a, p, n``, is right
    as well. (PyTorch's `TripletMarginLoss` adds 1e-6 to the differences.) Source:
    Schroff, Kalenichenko and Philbin (2015), "FaceNet", equation 2, there with squares.

    Parameters
    ----------
    margin
        How much nearer it has to be, above 0.

    Examples
    --------
    >>> TripletLoss()(Tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 5.5]]]))
    Tensor(0.5)
    """

    takes_weights = True
    classifies = False
    needs_targets = False  # what is alike stands in the examples
    takes_tuple = True  # the three one by one

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = positive("TripletLoss: margin", margin)

    def __call__(
        self,
        predictions: Tensor | ArrayLike | tuple[Tensor | ArrayLike, ...],
        targets: Tensor | ArrayLike | None = None,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost.

        Parameters
        ----------
        predictions
            Shape (m, 3, d): of each example the anchor, the positive and the negative; or a tuple
            of the three, each of shape (m, d).
        targets
            Nothing is read of them: `fit` needs none, as in ``fit(model, triplets, loss=...)``.
        weights
            How much each triplet counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError
            For predictions of another shape.
        """
        if isinstance(predictions, tuple):
            predictions = cast(Tensor, np.stack(cast(Any, predictions), axis=1))
        a = as_tensor(predictions)
        self.check(None, a.shape)
        near, far = (np.linalg.norm(a[:, 0] - a[:, k], axis=-1) for k in (1, 2))
        lacks = ops.relu(near - far + self.margin)
        if weights is not None:
            lacks = lacks * weight_column(weights, lacks, "TripletLoss")
        return cast(Tensor, np.mean(lacks))

    def check(
        self, targets: Tensor | ArrayLike | None, shape: tuple[int, ...] | list[tuple[int, ...]]
    ) -> None:
        """Refuse what the call would, of predictions of this shape, or of these one by one."""
        if isinstance(shape, list) and len(set(shape)) == 1 and shape[0]:
            shape = (shape[0][0], len(shape), *shape[0][1:])
        if len(shape) != 3 or shape[1] != 3:
            raise ValueError(
                f"TripletLoss: predictions of shape {shape}; they are (m, 3, d), of an anchor, a "
                "positive and a negative, as of examples np.stack([a, p, n], axis=1)"
            )

    def __repr__(self) -> str:
        return f"TripletLoss({self.margin})"
