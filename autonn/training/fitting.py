"""`fit`: show the examples to the model again and again, and keep the history.

Nothing is printed here. Whoever wants to watch passes callbacks, of which `ProgressBar` is one.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from typing import Any, Never

import numpy as np
from numpy.typing import ArrayLike

from autonn import checks
from autonn.files.reading import PathLike
from autonn.habits import refuse_keywords
from autonn.nn.module import Module
from autonn.optim.averages import Average, require_average
from autonn.optim.base import Optimizer
from autonn.training.away import Away
from autonn.training.checkpoints import Store
from autonn.training.columns import lay_out
from autonn.training.examples import ClassWeight, Examples
from autonn.training.feeds import augmenting
from autonn.training.fingerprint import fingerprint
from autonn.training.given import Data, Shares, given_data
from autonn.training.history import Callback, History
from autonn.training.hooks import Hooks
from autonn.training.interrupts import noted_in
from autonn.training.loop import train
from autonn.training.loss import boundary
from autonn.training.losses import as_loss
from autonn.training.measures import measures
from autonn.training.parts import checked_parts
from autonn.training.penalties import Strength, penalties, strength
from autonn.training.state import Run
from autonn.training.task import Task


def fit(
    model: Module,
    X: Any,
    y: Any = None,
    loss: Any = None,
    optimizer: Any = None,
    *,
    l2: Strength = 0.0,
    l1: Strength = 0.0,
    epochs: int = 1,
    batch_size: int | None = None,
    validation: Any = None,
    metrics: Any = None,
    seed: int | np.random.Generator | None = None,
    callbacks: Iterable[Callback] | Callback = (),
    class_weight: ClassWeight | None = None,
    sample_weight: ArrayLike | None = None,
    augment: Callable[..., Any] | None = None,
    steps: int | None = None,
    examples: int | None = None,
    accumulate: int = 1,
    average: Average | None = None,
    patience: int | None = None,
    checkpoint: PathLike | None = None,
    every: int | None = None,
    resume: bool = False,
    compile: bool | None = None,
    workers: Any = None,
    **unknown: Never,
) -> History:
    """Train the model, ``min J = loss(model(X), y) + l2 / (2m) sum of squares of the weights``.

    Ctrl-C or SIGTERM finishes the step and keeps what was learned; a second one stops at once,
    but never within an update. A cost that is no longer finite ends training with a warning and
    the last finite weights. The same seed gives the same bits, also after `resume`.

    Parameters
    ----------
    model
        The module whose parameters are changed, in place. A tuple of inputs is given to it one
        after the other and a dict by name, where `forward` takes these, or else as one argument.
    X, y
        Examples, one a row, and their targets, as the loss takes them; y may be None where it needs
        none. Each is an array, memory map, list of numbers, frame or series of pandas or polars, or
        a tuple or dict of these. Targets (m,) and (m, 1) are the same for losses of autonn's that
        take one number a row.

        Or X gives batches, each ``(X, y)`` or ``(X, y, weights)``, and there is no y: what can be
        gone through again each epoch, as a list of such tuples or a loader of PyTorch's; a function
        that returns such a thing, a generator among them; or a function that returns one batch, and
        is called for each of the `steps`. A function that has an argument, or one called `rng`, is
        given the run's generator to draw from.
    loss
        A function of predictions and targets, as `CrossEntropy()`; and of the weights of the
        rows, if there are any: see `Loss`. Some are known by name, as "mse" and "cross_entropy",
        which is `SoftmaxCrossEntropy`. Of a model with several outputs a function of all; or a
        tuple or dict of losses, one for each, see `Losses`, which also takes a weight for each.
    optimizer
        What changes the parameters; it is bound to the model's. `optim.groups` has several. By
        name: "adam", "adamw", "rmsprop", "lbfgs", "newton".
    l2, l1
        The tutorials' lambda, and that of ``l1 / m sum of |w|``; biases are never penalised. A dict
        by patterns of the parameters' names, as ``{"0.*": 1.0}``, penalises these alone; each has
        the lambda of the first pattern that it fits.
    epochs
        How often all examples are shown; for L-BFGS, its iterations.
    batch_size
        Examples per step, drawn anew each epoch; None shows all at once. The last batch of an
        epoch may be short.
    validation
        Held-out examples and targets, measured after each epoch; or what gives batches of them; or
        the share of the examples, as 0.2, that is held out, of each class in proportion.
    metrics
        What else is measured after each epoch, of the held-out examples or, without these, of all:
        ``"accuracy"``, ``"label_accuracy"``, ``"exact_match"`` and ``"f1"`` for rows of several
        labels, ``"top_3"``, ``"mean_error"``, ``"root_mean_square"``, ``"r2"``, ``"perplexity"``,
        or functions of predictions and targets, arrays both; in a list, or a dict by names of one's
        own, where ``(output, metric)`` is of one output of several. See ``history.metrics``.
    seed
        For the order of mini-batches: a whole number or a `numpy.random.Generator`.
    callbacks
        Functions of the history, or one, called after each epoch; or objects with methods
        ``on_begin``, ``on_step``, ``on_epoch``, ``on_end``, which are given what they may see of
        the run: see `Seen`. Raising `StopIteration` ends training.
    class_weight
        How much each class counts: (k,), or a dict by class, of which those left out count 1; or
        "balanced", ``m / (k m_c)`` for a class of m_c examples.
    sample_weight
        How much each example counts, (m,). The product of both multiplies the example's part of
        the loss, which is still divided by m.
    augment
        Changes each batch before it is shown: a function of ``(X, rng)`` that returns another X, or
        of ``(X, y, rng)`` that returns both. Floating dtypes stay as they were.
    steps
        Where X gives batches, how many are an epoch, at most; for a function that returns one, 1.
    examples
        Where X gives batches, the m of l1 and l2.
    accumulate
        Of how many batches the gradients are added up for one update, by their rows, as if they
        were one batch.
    average
        `optim.EMA` or `optim.SWA`: an average of the weights, and of floating buffers, which is
        what is validated, and what the model has in the end.
    patience
        Stop after so many epochs without a new best cost of the validation, and end, however
        training ends, with the weights that had the best.
    checkpoint
        A file for all that the run depends on, written whole or not at all: each `every` steps
        (None: after each epoch) and at the end. Its weights are those of the last step.
    resume
        Whether to go on from `checkpoint`, if the file is there, as if nothing had happened: bit
        for bit, but for the searches by SciPy, which begin anew from the weights. Batches that do
        not come again as they were are refused.
    compile
        Whether to derive a flat program from the step, see `autonn.compile`: None does so where it
        can be done, True also warns where it can't, False never does. It can't where the model or
        the loss reads values, or a module draws random numbers in plain NumPy or sets its own
        attributes; then the step runs as it is, and gives the same. The history says whether it
        was compiled and, if not, why. What else a `forward` does beside computing, such as append
        to a list, it does at each step only with ``compile=False``.
    workers
        Who hold the rows and compute the sums over them, for rows that no one machine holds: a
        client of Dask's, or `autonn.distributed.Threads()`. X and y are then Dask arrays too,
        chunked by rows, or arrays and memory maps that are dealt out; all rows are shown at each
        step. The result has the same bits whoever holds which rows, whatever dies meanwhile.

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
    NoSumError, ConnectionError
        With workers: for a cost that is no sum over rows; where their scheduler is lost.
    OSError, FileFormatError
        For a checkpoint that can't be written, before the first step or later, when the model
        keeps what it has learned; for one that is damaged, of a newer format, or of another run,
        with other data, loss, settings or seed.

    Warns
    -----
    LintWarning
        Once, before anything is learned, for what the graph of the first step shows to be wrong
        whatever is learned: a softmax of a softmax, targets (m,) against predictions (m, 1),
        parameters that no gradient reaches, biases in the loss's own penalty. The warning says how
        to switch it off; `autonn.lint` looks for more.

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
    given: dict[str, Any] = {
        "l2": strength("l2", l2), "l1": strength("l1", l1), "batch_size": batch_size,
        "seed": seed, "accumulate": accumulate, "steps": steps, "augment": augment,
        "average": require_average("fit: average", average),
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    if workers is not None:
        _check_workers(given, steps, examples, validation, metrics, compile)
    data = given_data(
        X, y, validation, rng,
        Shares(class_weight, sample_weight), batch_size, steps, examples, augmenting(augment),
        workers,
    )  # fmt: skip
    _check_numbers(
        epochs=epochs, batch_size=batch_size, patience=patience, every=every, accumulate=accumulate
    )
    checks.one_of("fit: compile", compile, (None, True, False))
    _check_together(optimizer, data, given, patience, checkpoint, resume or every is not None)
    loss = as_loss(loss)
    parts = penalties(model, l2=given["l2"], l1=given["l1"])
    measured = measures(metrics, boundary(loss))
    held_rows = data.held if isinstance(data.held, Examples) else None
    lay_out(model, loss, data.examples, held_rows)
    task = Task(model, loss, parts, data.m, data.examples, held_rows, measured)
    task.require_width()
    optimizer.bind(model)
    task.by_rows = accumulate == 1 and optimizer.takes_rows
    model.train()
    hooks = Hooks(_listed(callbacks))
    run = Run(task, optimizer, rng, data.feed, hooks, patience, accumulate, average)
    with data.examples.dealt() if isinstance(data.examples, Away) else nullcontext():
        store = _store(run, data, given, checkpoint, every, resume)
        with noted_in(run.interrupts):
            try:
                train(run, store, epochs, compile, data.held)
            finally:
                run.keep_the_best()
    return run.history


def _store(
    run: Run, data: Data, given: dict[str, Any], checkpoint: Any, every: int | None, resume: bool
) -> Store | None:
    """Begin to keep the run in a file, or go on from one, if it is to be kept."""
    if checkpoint is None:
        return None
    data.feed.keeps_digest = True
    store = Store(checkpoint, every, fingerprint(run, data.held, given))
    store.begin(run, resume)
    return store


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


def _check_together(
    optimizer: Optimizer,
    data: Data,
    given: Mapping[str, Any],
    patience: int | None,
    checkpoint: PathLike | None,
    speaks_of_checkpoint: bool,
) -> None:
    """Refuse arguments that do not go together, with what to do."""
    if patience is not None and data.held is None:
        raise ValueError("fit: patience waits for the validation cost; give validation=(X, y)")
    if checkpoint is None and speaks_of_checkpoint:
        raise ValueError("fit: resume and every speak of a checkpoint; give checkpoint=path")
    if checkpoint is not None and data.drew_rows and given["seed"] is None:
        raise ValueError(
            "fit: a share is held out at random, so the run can't go on from its checkpoint; give "
            "seed=, a whole number"
        )
    if optimizer.full_batch:
        _check_search(optimizer, data, given)
    if data.m is None and (given["l1"] or given["l2"]):
        raise ValueError(
            "fit: l1 and l2 are divided by m, the number of all examples, which batches do not "
            "tell; give examples=m"
        )


def _check_workers(
    given: Mapping[str, Any],
    steps: Any,
    examples: Any,
    validation: Any,
    metrics: Any,
    compile: bool | None,
) -> None:
    """Refuse what has no meaning where others hold the rows."""
    if given["batch_size"] is not None:
        raise ValueError(
            "fit: workers are asked once a step, which takes 2 to 6 ms, and a mini-batch of 50 "
            "rows 0.2 ms; leave batch_size=None and take optim.LBFGS(), or leave workers out"
        )
    for name, value in {"augment": given["augment"], "steps": steps, "examples": examples}.items():
        if value is not None:
            raise ValueError(f"fit: workers hold rows as they are; leave {name} out")
    if metrics is not None and validation is None:
        raise ValueError(
            "fit: metrics look at all predictions, and no one has all rows; give validation=(X, y)"
        )
    if compile is False:
        raise ValueError("fit: workers run the step as a program; leave compile=False out")


def _check_search(optimizer: Optimizer, data: Data, given: Mapping[str, Any]) -> None:
    """Refuse what an optimiser that searches with all examples at once can't make use of."""
    looks = f"fit: {optimizer!r} looks at all examples at each step"
    if given["batch_size"] is not None:
        raise ValueError(f"{looks}; leave batch_size=None")
    for name in ("augment", "average"):
        if given[name] is not None:
            raise ValueError(f"fit: {optimizer!r} takes no {name}; leave it out, or take Adam")
    if given["accumulate"] != 1 or data.examples is None:
        raise ValueError(
            f"{looks}; give arrays X and y, without accumulate, or take an optimiser of single "
            "steps, such as Adam"
        )
