"""`fit`: show the examples to the model again and again, and keep the history.

Nothing is printed here. Whoever wants to watch passes callbacks, of which `ProgressBar` is one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from autonn.formats import PathLike
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.optim.steps import StepOptimizer
from autonn.training.examples import Examples
from autonn.training.history import Callback, History
from autonn.training.interrupts import interruptible
from autonn.training.loop import Run, Store
from autonn.training.task import Loss, Task, takes_weights


def fit(
    model: Module,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: Loss,
    optimizer: Optimizer,
    l2: float = 0.0,
    epochs: int = 1,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int | np.random.Generator | None = None,
    callbacks: Iterable[Callback] = (),
    class_weights: ArrayLike | None = None,
    sample_weights: ArrayLike | None = None,
    patience: int | None = None,
    checkpoint: PathLike | None = None,
    every: int | None = None,
    resume: bool = False,
    compile: bool = True,
) -> History:
    """Train the model, ``min J = loss(model(X), y) + l2 / (2m) sum of squares of the weights``.

    Ctrl-C or SIGTERM finishes the step and keeps what was learned; a second one stops at once,
    but never within an update. A cost that is no longer finite ends training with a warning and
    the last finite weights. The same seed gives the same bits, also after `resume`.

    Parameters
    ----------
    model
        The module whose parameters are changed, in place.
    X, y
        Examples, one a row, and their targets, as the loss takes them.
    loss
        A function of predictions and targets, as `CrossEntropy()`; and of the weights of the
        rows, if there are any.
    optimizer
        What changes the parameters; it is bound to the model's.
    l2
        The tutorials' lambda; biases are never penalised.
    epochs
        How often all examples are shown; for L-BFGS, its iterations.
    batch_size
        Examples per step, drawn anew each epoch; None shows all at once. The last batch of an
        epoch may be short.
    validation
        Held-out examples and targets, measured after each epoch.
    seed
        For the order of mini-batches: a whole number or a `numpy.random.Generator`.
    callbacks
        Functions of the history, called after each epoch; raising `StopIteration` ends training.
    class_weights, sample_weights
        How much each class counts, (k,), and each example, (m,); their product multiplies the
        example's part of the loss, which is still divided by m.
    patience
        Stop after so many epochs without a new best cost of the validation, and end, however
        training ends, with the weights that had the best.
    checkpoint
        A file for all that the run depends on, written whole or not at all: each `every` steps
        (None: after each epoch) and at the end.
    resume
        Whether to go on from `checkpoint`, if the file is there, as if nothing had happened: bit
        for bit, but for the searches by SciPy, which begin anew from the weights.
    compile
        Whether to derive a flat program from the step, see `autonn.compile`. Where that fails,
        since the model or the loss reads values, or a module draws random numbers in plain NumPy
        or sets its own attributes, the step runs as it is, and gives the same. What else a
        `forward` does beside computing, such as append to a list, it does at each step only with
        ``compile=False``.

    Raises
    ------
    ValueError, TypeError
        For NaN or inf in X or y, with row and column; for X and y of different lengths; for
        sizes that are not positive; for a loss that takes no weights.
    FloatingPointError
        For rows whose cost or gradient is not finite whatever was learned: it names them, and
        the model keeps its last finite weights.
    OSError, FileFormatError
        For a checkpoint that can't be written, before the first step or later, when the model
        keeps what it has learned; for one that is damaged, or of another run.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid, optim
    >>> X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    >>> history = fit(model, X, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=50)
    >>> history.cost[-1] < history.cost[0], history.accuracy[-1]
    (True, 1.0)
    """
    examples = Examples.checked(X, y, "fit").weighted(class_weights, sample_weights)
    held_out = None if validation is None else Examples.checked(*validation, "fit: validation")
    _check_counts(epochs=epochs, batch_size=batch_size, patience=patience, every=every)
    if patience is not None and held_out is None:
        raise ValueError("fit: patience waits for the validation cost; give validation=(X, y)")
    if checkpoint is None and (resume or every is not None):
        raise ValueError("fit: resume and every speak of a checkpoint; give checkpoint=path")
    if batch_size is not None and not isinstance(optimizer, StepOptimizer):
        raise ValueError(
            f"fit: {optimizer!r} looks at all examples at each step; leave batch_size=None"
        )
    if examples.weights is not None and not takes_weights(loss):
        raise TypeError(
            f"fit: the loss {loss!r} takes no weights of examples; write one that is a function "
            "of predictions, targets and weights"
        )
    optimizer.bind(model)
    model.train()
    task = Task(model, loss, l2, examples)
    rng = np.random.default_rng(seed)
    store = None if checkpoint is None else Store(checkpoint, every)
    run = Run(task, optimizer, held_out, tuple(callbacks), batch_size, rng, patience, store)
    run.begin(resume)
    with interruptible(run):
        try:
            run.train(epochs, compile)
        finally:
            run.keep_the_best()
    return run.history


def _check_counts(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"fit: {name} is at least 1, not {count}")
