"""The two estimators: a network that tells classes, and one that tells numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, cast

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from autonn.engine.ops import sigmoid, softmax
from autonn.engine.tensor import Array
from autonn.nn.class_losses import SigmoidCrossEntropy
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy, logits_of
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.sklearn.base import DTYPES, Net
from autonn.sklearn.networks import Build, Network
from autonn.training.history import Callback
from autonn.training.loss import Loss


class NetClassifier(ClassifierMixin, Net):
    """A network as a classifier of scikit-learn.

    Parameters
    ----------
    network
        How the network is made: a `Network`, or a function ``(inputs, outputs, *, rng)`` that
        returns a `Module`; or a `Module`, which is copied. None is ``Network(mlp)``, a layer of 100
        units and ReLU. It gives logits, one for each class, or one for two classes; or
        probabilities, by a `Softmax` or a `Sigmoid` at its end.
    loss
        None is `SoftmaxCrossEntropy`, or `SigmoidCrossEntropy` of a single output.
    optimizer
        None is ``Adam(lr=0.01)``.
    l2, epochs, batch_size, patience, callbacks
        As for `fit`; a batch that is as large as the data, or None, shows all of them at once.
    class_weight
        How much each class counts: a dict by class, or "balanced".
    validation_fraction
        Which share of the rows is held out, and measured after each epoch.
    warm_start
        Whether `fit` goes on from the network of the call before.
    random_state
        A seed, a `numpy.random.RandomState`, or None: for the first weights and the batches.
    verbose
        Whether to show a progress bar.

    Attributes
    ----------
    classes_
        The classes, in the order of `predict_proba`.
    network_, optimizer_, loss_
        What was trained, by what, and what was made small.
    history_, loss_curve_, n_iter_
        What the last `fit` saw; the costs and the number of epochs since the network was made.

    Raises
    ------
    KeyboardInterrupt
        By `fit`, after Ctrl-C or SIGTERM, so that a search ends; the network keeps what it learned.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from autonn.sklearn import mlp
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NetClassifier(Network(mlp, hidden=(10,)), epochs=50, random_state=0)
    >>> bool(cross_val_score(net, X, y, cv=3).mean() > 0.9)
    True
    >>> net.set_params(optimizer__lr=0.02).optimizer
    Adam(lr=0.02)
    """

    classes_: Array

    def __init__(
        self,
        network: Module | Network | Build | None = None,
        *,
        loss: Loss | str | None = None,
        optimizer: Optimizer | str | None = None,
        l2: float = 0.0,
        epochs: int = 100,
        batch_size: int | None = 200,
        class_weight: Any = None,
        validation_fraction: float | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callback] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.l2, self.epochs, self.batch_size = l2, epochs, batch_size
        self.class_weight = class_weight
        self.validation_fraction, self.patience = validation_fraction, patience
        self.callbacks, self.warm_start = callbacks, warm_start
        self.random_state, self.verbose = random_state, verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network, or with `warm_start` that of before, on rows X and their classes y."""
        return self._fit(X, y, sample_weight, self.epochs, self._is_new() or not self.warm_start)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Show rows once, and go on from there; the first call is told all the classes."""
        return self._fit(X, y, sample_weight, 1, self._is_new(), classes)

    def _is_new(self) -> bool:
        return not hasattr(self, "network_")

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, epochs: int, anew: bool, classes: Any = None
    ) -> Self:
        X, y = validate_data(self, X, y, dtype=DTYPES, reset=anew)
        check_classification_targets(y)
        if anew:
            self.classes_ = np.unique(y if classes is None else np.asarray(classes))
        self._require_known(y)
        weights = self._checked_weights(sample_weight, len(X))
        if self.class_weight is not None:
            by_class = compute_sample_weight(self.class_weight, y)
            weights = by_class if weights is None else weights * by_class
        self._begin(X, len(self.classes_), anew)
        return self._learn(X, np.searchsorted(self.classes_, y), weights, epochs)

    def _require_known(self, y: Array) -> None:
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"{type(self).__name__}: y has the classes {unknown.tolist()}, which are not among "
                f"those that it began with, {self.classes_.tolist()}"
            )

    def _usual_loss(self, width: tuple[int, ...]) -> Loss:
        return SigmoidCrossEntropy() if width == (1,) else SoftmaxCrossEntropy()

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (m, k) in float64, rows that sum to 1."""
        output = self._outputs(X)
        given = logits_of(output) is not output or isinstance(self.loss_, CrossEntropy)
        if not given:
            output = sigmoid(output) if output.shape[1] == 1 else softmax(output, axis=1)
        p = output.numpy().astype(np.float64)
        if p.shape[1] == 1 and len(self.classes_) == 2:
            return np.concatenate([1 - p, p], axis=1)
        return cast(Array, p / p.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return cast(Array, self.classes_[best])


class NetRegressor(RegressorMixin, Net):
    """A network as a regressor of scikit-learn, of one target or of several.

    Parameters
    ----------
    network
        As for `NetClassifier`; it gives a number for each target.
    loss
        None is `MeanSquaredError`.
    optimizer, l2, epochs, batch_size, validation_fraction, patience, callbacks, warm_start, \
random_state, verbose
        As for `NetClassifier`.

    Attributes
    ----------
    network_, optimizer_, loss_, history_, loss_curve_, n_iter_
        As for `NetClassifier`.

    Raises
    ------
    KeyboardInterrupt
        By `fit`, after Ctrl-C or SIGTERM, so that a search ends; the network keeps what it learned.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> net = NetRegressor(random_state=0).fit(X, np.abs(X[:, 0]))
    >>> bool(net.score(X, np.abs(X[:, 0])) > 0.9)
    True
    """

    def __init__(
        self,
        network: Module | Network | Build | None = None,
        *,
        loss: Loss | str | None = None,
        optimizer: Optimizer | str | None = None,
        l2: float = 0.0,
        epochs: int = 100,
        batch_size: int | None = 200,
        validation_fraction: float | None = None,
        patience: int | None = None,
        callbacks: Sequence[Callback] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.network, self.loss, self.optimizer = network, loss, optimizer
        self.l2, self.epochs, self.batch_size = l2, epochs, batch_size
        self.validation_fraction, self.patience = validation_fraction, patience
        self.callbacks, self.warm_start = callbacks, warm_start
        self.random_state, self.verbose = random_state, verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a network, or with `warm_start` that of before, on rows X and their targets y."""
        anew = not (self.warm_start and hasattr(self, "network_"))
        return self._fit(X, y, sample_weight, self.epochs, anew)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Show rows once, and go on from there."""
        return self._fit(X, y, sample_weight, 1, not hasattr(self, "network_"))

    def _fit(self, X: Any, y: Any, sample_weight: Any, epochs: int, anew: bool) -> Self:
        X, y = validate_data(
            self, X, y, dtype=DTYPES, reset=anew, multi_output=True, y_numeric=True
        )
        weights = self._checked_weights(sample_weight, len(X))
        self._single = y.ndim == 1
        y = y.reshape(len(y), -1).astype(np.float64)
        self._begin(X, y.shape[1], anew)
        return self._learn(X, self._fed(y), weights, epochs)

    def _usual_loss(self, width: tuple[int, ...]) -> Loss:
        return MeanSquaredError()

    def predict(self, X: Any) -> Array:
        """Return the targets of each row, (m,) or (m, k) as they were given to `fit`."""
        found = self._outputs(X).numpy()
        return found[:, 0] if self._single else found
