"""`fit`: show the examples to the model again and again, and keep the history.

Nothing is printed here. Whoever wants to watch passes callbacks, of which `ProgressBar` is one.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Never

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.files.reading import PathLike
from autonn.habits import refuse_keywords
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.training.checkpoints import Store
from autonn.training.columns import lay_out
from autonn.training.examples import ClassWeight, Examples, held_out_examples
from autonn.training.fingerprint import fingerprint
from autonn.training.history import Callback, History
from autonn.training.interrupts import noted_in
from autonn.training.loop import train
from autonn.training.loss import Loss, checked_loss
from autonn.training.parts import checked_parts
from autonn.training.state import Run
from autonn.training.task import Task


def fit(
    model: Module,
    X: ArrayLike,
    y: ArrayLike,
    loss: Loss | str,
    optimizer: Optimizer | str,
    *,
    l2: float = 0.0,
    epochs: int = 1,
    batch_size: int | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int | np.random.Generator | None = None,
    callbacks: Iterable[Callback] | Callback = (),
    class_weight: ClassWeight | None = None,
    sample_weight: ArrayLike | None = None,
    patience: int | None = None,
    checkpoint: PathLike | None = None,
    every: int | None = None,
    resume: bool = False,
    compile: bool | None = None,
    **unknown: Never,
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
        Examples, one a row, and their targets, as the loss takes them: arrays and memory maps,
        lists, frames and series of pandas or polars. Targets (m,) and (m, 1) are the same where
        the loss takes one number a row.
    loss
        A function of predictions and targets, as `CrossEntropy()`; and of the weights of the
        rows, if there are any: see `Loss`. Some are known by name, as "mse" and
        "cross_entropy", which is `SoftmaxCrossEntropy`.
    optimizer
        What changes the parameters; it is bound to the model's. By name: "adam", "adamw",
        "rmsprop", "lbfgs", "newton".
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
        Functions of the history, or one, called after each epoch; raising `StopIteration` ends
        training.
    class_weight
        How much each class counts: (k,), or a dict by class, of which those left out count 1; or
        "balanced", ``m / (k m_c)`` for a class of m_c examples.
    sample_weight
        How much each example counts, (m,). The product of both multiplies the example's part of
        the loss, which is still divided by m.
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
        Whether to derive a flat program from the step, see `autonn.compile`: None does so where it
        can be done, True also warns where it can't, False never does. It can't where the model or
        the loss reads values, or a module draws random numbers in plain NumPy or sets its own
        attributes; then the step runs as it is, and gives the same. The history says whether it
        was compiled and, if not, why. What else a `forward` does beside computing, such as append
        to a list, it does at each step only with ``compile=False``.

    Raises
    ------
    ValueError, TypeError, IndexError
        For NaN or inf in X or y, with row and column; for X and y of different lengths; for
        sizes that are not positive; for a loss that takes no weights; for targets that the loss
        can't take, wherever they stand.
    RuntimeError
        For a callback that replaces a parameter, or sets its `requires_grad`.
    FloatingPointError
        For rows whose cost or gradient is not finite whatever was learned: it names them, and
        the model keeps its last finite weights.
    OSError, FileFormatError
        For a checkpoint that can't be written, before the first step or later, when the model
        keeps what it has learned; for one that is damaged, of a newer format, or of another run,
        with other data, loss, settings or seed.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid, optim
    >>> X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    >>> model = Sequential(Layer(1, 2, rng=0), Sigmoid())
    >>> history = fit(model, X, y, loss=CrossEntropy(), optimizer=optim.SGD(lr=1.0), epochs=50)
    >>> history.cost[-1] < history.cost[0], history.accuracy[-1]
    (True, 1.0)
    """
    _refuse(unknown)
    optimizer = checked_parts("fit", model, optimizer)
    examples = Examples.checked(X, y, "fit").weighted(class_weight, sample_weight)
    held_out = None if validation is None else held_out_examples(validation)
    _check_numbers(epochs=epochs, batch_size=batch_size, patience=patience, every=every)
    checks.number("fit: l2, the tutorials' lambda,", l2, least=0)
    checks.one_of("fit: compile", compile, (None, True, False))
    if patience is not None and held_out is None:
        raise ValueError("fit: patience waits for the validation cost; give validation=(X, y)")
    if checkpoint is None and (resume or every is not None):
        raise ValueError("fit: resume and every speak of a checkpoint; give checkpoint=path")
    if batch_size is not None and optimizer.full_batch:
        raise ValueError(
            f"fit: {optimizer!r} looks at all examples at each step; leave batch_size=None"
        )
    loss = checked_loss(loss)
    lay_out(model, loss, examples, held_out)
    task = Task(model, loss, l2, examples, held_out)
    task.require_width()
    optimizer.bind(model)
    model.train()
    rng = np.random.default_rng(seed)
    run = Run(task, optimizer, rng, batch_size, _listed(callbacks), patience)
    store = None
    if checkpoint is not None:
        store = Store(checkpoint, every, fingerprint(run, seed))
        store.begin(run, resume)
    with noted_in(run.interrupts):
        try:
            train(run, store, epochs, compile)
        finally:
            run.keep_the_best()
    return run.history


def _refuse(unknown: Mapping[str, Any]) -> None:
    """Refuse arguments that there are not, with what may have been meant."""
    known = [*inspect.signature(fit).parameters][3:-1]
    for name in unknown:
        refuse_keywords("fit", "fit()", [name])
        near = difflib.get_close_matches(name, known, 1)
        meant = f"write {near[0]}=" if near else f"there are {', '.join(known)}"
        raise TypeError(f"fit has no argument {name!r}; {meant}")


def _listed(callbacks: Iterable[Callback] | Callback) -> tuple[Callback, ...]:
    """Take several callbacks, or one."""
    return tuple(callbacks) if isinstance(callbacks, Iterable) else (callbacks,)


def _check_numbers(**counts: int | None) -> None:
    for name, count in counts.items():
        if count is not None:
            checks.whole(f"fit: {name}", count)
