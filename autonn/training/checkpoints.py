"""Checkpoints: all that a training run depends on, in one file that is always whole.

An ``.npz`` of arrays, one of them the bytes of a JSON text of everything else; nothing is ever
pickled. A `RunState` stands in it by name: ``weights/``, ``buffers/``, ``optimizer/``,
``history/``, ``best/`` and ``average/`` are arrays; the text tells the format, what the run is,
the states of the generators, and where in the epoch it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autonn import checks
from autonn.files.errors import FileFormatError, complaint, parsing
from autonn.files.npz import read_npz, write_npz
from autonn.files.reading import MAX_BYTES, Array, PathLike, require_names
from autonn.training.fingerprint import other_run, told_as
from autonn.training.history import SERIES, History
from autonn.training.state import (
    Progress,
    Run,
    RunState,
    Values,
    capture,
    check_random_states,
    restore,
)

FORMAT = 1
NOTES = "notes"
EXPECTED = "a checkpoint that `fit` wrote"
CURE = "take an older one, or start anew with resume=False"


def write_checkpoint(path: PathLike, arrays: Mapping[str, Array], notes: Any) -> None:
    """Write arrays by name, and notes of what JSON knows, NumPy's arrays as lists.

    The file takes its place when it is whole and on the disk; until then the one before stands.

    Raises
    ------
    OSError
        If the folder is missing or can't be written to, if the disk is full: the old file stands.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "run.npz")
    ...     write_checkpoint(path, {"w": np.ones(2)}, {"epoch": 3})
    ...     read_checkpoint(path)
    ({'w': array([1., 1.])}, {'epoch': 3})
    """
    text = json.dumps(notes, default=np.ndarray.tolist).encode()
    try:
        write_npz(path, {NOTES: np.frombuffer(text, np.uint8), **arrays})
    except OSError as error:
        said = f"the checkpoint could not be written ({error.strerror or error}); " + (
            "the one before still stands" if os.path.exists(path) else "there is none"
        )
        raise type(error)(error.errno, said, os.fspath(path)) from error


def read_checkpoint(path: PathLike) -> tuple[dict[str, Array], Any]:
    """Read the arrays by name, and the notes.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged or something else.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_checkpoint(f"{folder}/run.npz", {"model/weight": np.ones(2)}, {"epoch": 3})
    ...     arrays, notes = read_checkpoint(f"{folder}/run.npz")
    >>> arrays, notes["epoch"]
    ({'model/weight': array([1., 1.])}, 3)
    """
    most = max(MAX_BYTES, os.path.getsize(path))  # nothing in it is packed
    arrays = read_npz(path, lambda headers: require_names(path, headers, [NOTES]), most)
    with reading(path):
        notes = json.loads(arrays.pop(NOTES).tobytes())
    return arrays, notes


def reading(path: PathLike) -> AbstractContextManager[None]:
    """Turn whatever goes wrong in making sense of a file into a `FileFormatError`.

    >>> try:
    ...     with reading("run.npz"):
    ...         {}["weights"]
    ... except FileFormatError as error:
    ...     print(str(error)[:49])
    run.npz: content: found KeyError ('weights'), exp
    """
    return parsing(f"{path}: content", EXPECTED, CURE)


def group(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """Return the arrays whose names begin with ``prefix/``, by the rest of their names.

    >>> group({"a/x": np.zeros(1), "b/x": np.ones(1)}, "b")
    {'x': array([1.])}
    """
    start = f"{prefix}/"
    return {name[len(start) :]: a for name, a in arrays.items() if name.startswith(start)}


def refuse_differences(path: PathLike, differences: list[str]) -> None:
    """Raise `FileFormatError` with all that keeps a checkpoint from being that of this run."""
    if differences:
        raise FileFormatError(
            complaint(str(path), "; ".join(differences), "a checkpoint of this very run", CURE)
        )


# ---- the state of a run

METRICS = "metrics"

# Beside those of the last step, what may be held of weights and buffers.
APART = ("best", "average")

# What of `Progress` stands in the notes.
AT = ("steps", "batch", "cost", "correct", "order", "rows", "counted", "digest", "averaged")


@dataclass
class Store:
    """Where the checkpoints of a run go, how often, and what run it is."""

    path: PathLike
    every: int | None  # steps; None: each epoch
    kind: dict[str, Any]  # the fingerprint
    written: int = -1  # the number of steps at the last one

    def begin(self, run: Run, resume: bool) -> None:
        """Go on from the checkpoint, or write the first, so that a wrong path is known at once."""
        if resume and os.path.exists(self.path):
            restore(run, read_run(self.path, run, self.kind))
            self.written = run.progress.steps
        else:
            self.save(run)

    def is_due(self, steps: int) -> bool:
        """Whether one is to be written after so many steps, beside those of each epoch."""
        return self.every is not None and steps % self.every == 0

    def save(self, run: Run) -> None:
        """Write down all that the next step depends on."""
        state = capture(run)
        progress = state.progress
        notes = {
            "format": FORMAT,
            "run": self.kind,
            "random": state.random,
            "at": {name: getattr(progress, name) for name in AT},
        }
        write_checkpoint(self.path, _arrays(state), notes)
        self.written = progress.steps


def _arrays(state: RunState) -> dict[str, Array]:
    """Name the arrays of a state as they stand in the file."""
    arrays = _held(state.values)
    names = [*state.values.weights]
    for key, value in state.optimizer.items():
        arrays[f"optimizer/{_named(key, names)}"] = np.asarray(value)
    for name in SERIES:
        arrays[f"history/{name}"] = np.array(getattr(state.progress.history, name), np.float64)
    for name, values in state.progress.history.metrics.items():
        arrays[f"history/{METRICS}/{name}"] = np.array(values, np.float64)
    for name in APART:
        if getattr(state.progress, name) is not None:
            arrays |= _prefixed(name, _held(getattr(state.progress, name)))
    return arrays


def _held(values: Values) -> dict[str, Array]:
    return _prefixed("weights", values.weights) | _prefixed("buffers", values.buffers)


def _prefixed(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}


def _named(key: str, names: Sequence[str]) -> str:
    """Put the name of a parameter for its position, at the end of an optimiser's key.

    >>> _named("velocity.1", ["0.weight", "0.bias"]), _named("steps", ["0.weight"])
    ('velocity.0.bias', 'steps')
    """
    what, _, position = key.rpartition(".")
    if what and position.isdecimal() and int(position) < len(names):
        return f"{what}.{names[int(position)]}"
    return key


def read_run(path: PathLike, run: Run, kind: Mapping[str, Any]) -> RunState:
    """Read the state that a run goes on from; nothing of the run is changed.

    Raises
    ------
    FileNotFoundError, FileFormatError
        For a file that is missing; for one that is damaged, of a newer format, or of another run,
        with all the differences.
    """
    arrays, notes = read_checkpoint(path)
    with reading(path):
        _require_format(path, notes)
        then, random, at = (notes[part] for part in ("run", "random", "at"))
        own, progress = capture(run), _progress(arrays, at, run)
        wrong = _differences(arrays, own) + other_run(told_as(kind, then, run), then)
        if run.patience is None:
            progress.best = None  # nobody will go back to it
        elif progress.best is None and np.isfinite(progress.history.validation_cost).any():
            wrong.append("it was written without patience, and has no best weights")
        refuse_differences(path, wrong)
        check_random_states(run.generators(), random)
        names = [*own.values.weights]
        moments = group(arrays, "optimizer")
        return RunState(
            values=_values(arrays),
            optimizer={key: moments[_named(key, names)] for key in own.optimizer},
            random=random,
            progress=progress,
        )


def _require_format(path: PathLike, notes: Any) -> None:
    """Refuse what an older or a newer autonn wrote: what it means is not known here."""
    where, found = f"{path}: format", notes.get("format")
    if found is None:
        cure = "it was written by an older autonn; start anew with resume=False"
        raise FileFormatError(complaint(where, "none", str(FORMAT), cure))
    if checks.whole("format", found) > FORMAT:
        cure = "it was written by a newer autonn; update this one, or start anew with resume=False"
        raise FileFormatError(complaint(where, found, f"at most {FORMAT}", cure))


def _progress(arrays: Mapping[str, Array], at: Mapping[str, Any], run: Run) -> Progress:
    """Read how far the run was, and refuse what no run can be at."""
    progress = Progress(
        history=_history(arrays),
        steps=checks.whole("steps", at["steps"], 0),
        batch=checks.whole("batch", at["batch"], 0),
        cost=checks.number("cost", at["cost"]),
        correct=None if at["correct"] is None else checks.whole("correct", at["correct"], 0),
        order=at["order"],
        rows=checks.whole("rows", at.get("rows", 0), 0),
        counted=checks.whole("counted", at.get("counted", 0), 0),
        digest=str(at.get("digest", "")),
        averaged=checks.whole("averaged", at.get("averaged", 0), 0),
        **{name: _values(group(arrays, name)) for name in APART if group(arrays, name)},
    )
    if progress.batch and (run.feed.is_last(progress) or not progress.rows):
        raise ValueError(f"batch is {progress.batch}, with {progress.rows} rows of an epoch")
    if progress.order is not None:
        check_random_states({"order": run.rng}, {"order": progress.order})
    elif progress.batch:
        raise ValueError(f"batch is {progress.batch}, but there is no order of the rows")
    return progress


def _history(arrays: Mapping[str, Array]) -> History:
    """Read the series, each of one entry an epoch or empty."""
    series = {name: arrays[f"history/{name}"] for name in SERIES}
    epochs = len(series["cost"])
    for name, entries in series.items():
        if entries.dtype.kind != "f" or entries.shape not in ((0,), (epochs,)):
            raise ValueError(f"history/{name} is {entries.dtype} {entries.shape}")
    measured = group(group(arrays, "history"), METRICS)
    for name, entries in measured.items():
        if entries.dtype.kind != "f" or entries.ndim != 1 or len(entries) > epochs:
            raise ValueError(f"history/{METRICS}/{name} is {entries.dtype} {entries.shape}")
    lists = {name: entries.tolist() for name, entries in measured.items()}
    return History(**{name: series[name].tolist() for name in SERIES}, metrics=lists)


def _values(arrays: Mapping[str, Array]) -> Values:
    """Return weights and buffers, in memory that an average may be moved in."""
    own = {name: array.copy() for name, array in arrays.items()}
    return Values(group(own, "weights"), group(own, "buffers"))


def _differences(arrays: Mapping[str, Array], own: RunState) -> list[str]:
    """List in what the arrays of a file are not those of this run, or no state at all."""
    held = _held(own.values)
    apart: dict[str, Any] = {name: own.values if group(arrays, name) else None for name in APART}
    expected = _arrays(replace(own, progress=replace(own.progress, **apart)))
    wrong = checks.differences(_but_history(expected), _but_history(arrays), casting="equiv")
    for name, array in arrays.items():
        place = name.removeprefix("best/").removeprefix("average/")
        if place in held and place.startswith("weights/") and checks.not_finite(array):
            wrong.append(f"{name} has {checks.not_finite(array)}")
        if name.startswith("optimizer/") and array.dtype.kind == "i" and (array < 0).any():
            wrong.append(f"{name} is {array}, expected at least 0")
    return wrong


def _but_history(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: a for name, a in arrays.items() if not name.startswith("history/")}
