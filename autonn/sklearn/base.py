"""What classifiers and regressors share: how they are trained, and what they give."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Real
from typing import Any, Self, cast

import numpy as np

try:
    from sklearn.base import BaseEstimator, clone
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "autonn.sklearn stands on scikit-learn, 1.6 or newer, which is not there; "
        "write pip install 'autonn[sklearn]'"
    ) from error

from autonn.engine.modes import no_grad
from autonn.engine.tensor import Array, Tensor
from autonn.nn.module import Module
from autonn.nn.sequential import Sequential
from autonn.optim.adaptive import Adam
from autonn.optim.base import Optimizer
from autonn.sklearn.networks import Network, mlp
from autonn.training.fitting import fit
from autonn.training.history import Callback, History
from autonn.training.loss import Loss, checked_loss
from autonn.training.parts import checked_parts
from autonn.training.progress import ProgressBar

DTYPES = [np.float64, np.float32]


class Net(BaseEstimator):
    """What classifiers and regressors share: how they are trained, and what they give.

    >>> from autonn.sklearn import NetClassifier, NetRegressor
    >>> issubclass(NetClassifier, Net), issubclass(NetRegressor, Net)
    (True, True)
    >>> NetRegressor().set_params(optimizer__lr=0.1).optimizer.lr
    0.1
    """

    network: Any
    loss: Any
    optimizer: Any
    l2: float
    epochs: int
    batch_size: int | None
    validation_fraction: float | None
    patience: int | None
    callbacks: Sequence[Callback] | None
    warm_start: bool
    random_state: Any
    verbose: int

    network_: Module
    optimizer_: Optimizer
    loss_: Loss
    history_: History
    loss_curve_: list[float]
    n_iter_: int
    n_features_in_: int

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of the network and the optimiser, as ``optimizer__lr``."""
        if self.network is None and any(name.startswith("network__") for name in params):
            self.network = Network(mlp)
        usual = self.optimizer is None or isinstance(self.optimizer, str)
        if usual and any(name.startswith("optimizer__") for name in params):
            self.optimizer = self._new_optimizer()
        super().set_params(**params)
        return self

    def _new_optimizer(self) -> Optimizer:
        """Return an optimiser of the kind that was given, without parameters so far."""
        given = Adam(lr=0.01) if self.optimizer is None else self.optimizer
        if isinstance(given, Optimizer):
            return cast(Optimizer, clone(given, safe=False))
        return checked_parts(type(self).__name__, Sequential(), given)

    def _begin(self, X: Array, outputs: int, anew: bool) -> None:
        """Make the network and what trains it, or keep those of before."""
        if not anew:
            return
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        self._rng = np.random.default_rng(seed)
        self.network_ = self._new_network(X.shape[1], outputs)
        width = self.network_.predict(self._fed(X[:1])).shape[1:]
        loss = self._usual_loss(width) if self.loss is None else self.loss
        self.loss_ = checked_loss(loss, type(self).__name__)
        self.optimizer_ = self._new_optimizer()
        self.history_, self.loss_curve_, self.n_iter_ = History(), [], 0

    def _new_network(self, inputs: int, outputs: int) -> Module:
        name = type(self).__name__
        given = Network(mlp) if self.network is None else self.network
        if isinstance(given, Module):
            return copy.deepcopy(given)
        if not callable(given):
            raise TypeError(
                f"{name}: network is {given!r}; give a Module, or what makes one of the numbers of "
                "inputs and outputs, as Network(mlp, hidden=(25,))"
            )
        made = given(inputs, outputs, rng=self._rng)
        if not isinstance(made, Module):
            raise TypeError(f"{name}: {given!r} made a {type(made).__name__}; it makes a Module")
        return made

    def _usual_loss(self, width: tuple[int, ...]) -> Loss:
        raise NotImplementedError

    def _fed(self, X: Array) -> Array:
        """Bring numbers to the dtype of the network."""
        dtypes = [p.dtype for p in self.network_.parameters()] or [np.dtype(float)]
        return X.astype(dtypes[0], copy=False)

    def _learn(self, X: Array, y: Array, weights: Array | None, epochs: int) -> Self:
        """Train the network on rows that count as much as their weights say.

        scikit-learn takes a row of weight k for the same row k times, and so for m rows in all
        where the weights sum to m: `fit` divides by the rows that there are, loss and penalty.
        """
        factor = 1.0
        if weights is not None:
            X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
            factor = len(weights) / weights.sum()
            weights = weights * factor
        X, y, weights, held_out = self._split(self._fed(X), y, weights)
        whole = self.optimizer_.full_batch or self.batch_size is None or self.batch_size >= len(X)
        callbacks = [*(self.callbacks or ()), *([ProgressBar(epochs)] if self.verbose else ())]
        history = fit(
            self.network_, X, y, loss=self.loss_, optimizer=self.optimizer_, l2=self.l2 * factor,
            epochs=epochs, batch_size=None if whole else self.batch_size, validation=held_out,
            patience=None if held_out is None else self.patience, callbacks=callbacks,
            sample_weight=weights, seed=self._rng,
        )  # fmt: skip
        self.history_ = history
        self.loss_curve_ = self.loss_curve_ + history.cost
        self.n_iter_ += len(history)
        if history.interrupted:  # or a search would go on, with a network that is half trained
            raise KeyboardInterrupt
        return self

    def _split(self, X: Array, y: Array, weights: Array | None) -> tuple[Any, ...]:
        """Hold rows out where it was asked for."""
        if self.validation_fraction is None:
            if self.patience is not None:
                raise ValueError(
                    f"{type(self).__name__}: patience waits for the validation cost; give "
                    "validation_fraction=0.1"
                )
            return X, y, weights, None
        rows, others = train_test_split(
            np.arange(len(X)), test_size=self.validation_fraction,
            random_state=int(self._rng.integers(2**31 - 1)),
            stratify=y if y.dtype.kind == "i" else None,
        )  # fmt: skip
        return X[rows], y[rows], None if weights is None else weights[rows], (X[others], y[others])

    def _checked_weights(self, given: Any, m: int) -> Array | None:
        """Return a weight for each row, or None where all count the same."""
        if given is None:
            return None
        if isinstance(given, Real):
            given = np.full(m, given)
        weights = check_array(given, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if weights.shape != (m,):
            raise ValueError(f"sample_weight has shape {weights.shape}, expected ({m},)")
        if weights.min() < 0:
            raise ValueError(f"sample_weight is at least 0, not {weights.min()}")
        if not weights.any():
            raise ValueError("sample_weight is 0 in all rows: Sample weights must contain at least "
                             "one non-zero number.")  # fmt: skip
        return cast(Array, weights)

    def _outputs(self, X: Any) -> Tensor:
        """Compute what the network gives, in evaluation mode."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=DTYPES, reset=False)
        with no_grad(), self.network_.evaluating():
            return self.network_(self._fed(X))
