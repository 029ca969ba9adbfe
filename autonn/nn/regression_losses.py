"""Further losses of numbers: one that bears outliers, and one that says how sure it is."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from autonn.checks import positive
from autonn.engine.tensor import Tensor
from autonn.habits import AnsweringLoss
from autonn.nn.module import as_tensor
from autonn.nn.targets import (
    check_values,
    require_same_shape,
    target_values,
    values_like,
    weight_column,
    with_rows_of,
)


class HuberLoss(AnsweringLoss):
    """Half the squares of small differences and the size of large ones, a mean over all n numbers.

    ``J = 1/n sum h(a - y)``, ``h(d) = d^2 / 2`` up to delta and ``delta (|d| - delta / 2)`` beyond.
    Source: Huber (1964), "Robust estimation of a location parameter", section 4.

    Parameters
    ----------
    delta
        From which size on a difference counts as an outlier, above 0.

    Examples
    --------
    >>> HuberLoss()(Tensor([1.0, 3.0]), [0.5, 0.0])
    Tensor(1.3125)
    """

    takes_weights = True
    classifies = False

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = positive("HuberLoss: delta", delta)

    def __call__(
        self,
        predictions: Tensor | ArrayLike,
        targets: Tensor | ArrayLike,
        weights: Tensor | ArrayLike | None = None,
    ) -> Tensor:
        """Return the cost; `ValueError` where the shapes of predictions and targets differ.

        `weights`, one a row, are factors of the rows' parts; the mean is still over all n.
        """
        a = as_tensor(predictions)
        difference = a - values_like(targets, a, "HuberLoss")
        held: Any = np.clip(difference, -self.delta, self.delta)
        parts = held * (difference - held / 2)  # d^2 / 2 where d is not held
        if weights is not None:
            parts = parts * weight_column(weights, a, "HuberLoss")
        return cast(Tensor, np.mean(parts))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        check_values(targets, shape, "HuberLoss")

    def __repr__(self) -> str:
        return f"HuberLoss({self.delta})"


class GaussianNLL(AnsweringLoss):
    """How unlikely the targets are by normal distributions whose mean and variance are predicted.

    ``J = 1/n sum [ s + (y - mu)^2 e^-s ] / 2`` over all n targets, with ``s = ln variance``, and
    without the constant ``ln(2 pi) / 2``. The first half of the last axis of the predictions are
    the means, the second half the logarithms of the variances, which may so be any numbers.
    (PyTorch's `GaussianNLLLoss` takes the variances themselves.) Source: Nix and Weigend (1994),
    "Estimating the mean and variance of the target probability distribution", equation 4.

    Examples
    --------
    >>> GaussianNLL()(Tensor([[1.0, 0.0], [2.0, 0.0]]), [0.0, 2.0])
    Tensor(0.25)
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
        predictions
            Shape (m, ..., 2 k): k means, and k logarithms of variances.
        targets
            Shape (m, ..., k); where k = 1, also (m, ...).
        weights
            How much each example counts, shape (m,): a factor of its part of the sum.

        Raises
        ------
        ValueError
            For shapes that do not fit.
        """
        a = as_tensor(predictions)
        y = targets if isinstance(targets, Tensor) else target_values(targets, "GaussianNLL")
        k = _half(y.shape, a.shape)
        mean, log_variance = a[..., :k], a[..., k:]
        y = values_like(y.reshape(mean.shape), mean, "GaussianNLL")
        parts = (log_variance + np.square(y - mean) * np.exp(-log_variance)) / 2
        if weights is not None:
            parts = parts * weight_column(weights, a, "GaussianNLL")
        return cast(Tensor, np.mean(parts))

    def check(self, targets: Tensor | ArrayLike, shape: tuple[int, ...]) -> None:
        """Refuse what the call would, of predictions of this shape, however many rows it has."""
        y = target_values(targets, "GaussianNLL")
        _half(y.shape, with_rows_of(y, shape))

    def __repr__(self) -> str:
        return "GaussianNLL()"


def _half(targets: tuple[int, ...], predictions: tuple[int, ...]) -> int:
    """Return how many means there are, and refuse targets that do not fit them."""
    if len(predictions) < 2 or predictions[-1] % 2:
        raise ValueError(
            f"GaussianNLL: predictions of shape {predictions}; they are (m, ..., 2 k), k means and "
            "k logarithms of variances, as a last layer of 2 k outputs gives them"
        )
    k = predictions[-1] // 2
    if (*targets, 1) != (*predictions[:-1], k):
        require_same_shape(targets, (*predictions[:-1], k), "GaussianNLL")
    return k
