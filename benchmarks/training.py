"""Whole runs on the 5,000 digits: time, memory, and what the optimiser, `fit` and `compile` add.

    python benchmarks/training.py [--repeats 3] [--json FILE] [--compare FILE]

800 iterations of gradient descent, 200 of L-BFGS, one epoch of mini-batches of 32 with Adam; what
`fit` adds to the bare steps on such batches; the memory of one cost and its gradients; the time to
trace and compile the digit network. All runs of one kind start at the same parameters and must end
at the same cost. Each run has a process of its own, the contenders run in turn, and PyTorch takes
part where it is installed. The tutorials' loop is timed for three iterations and the rest is
reckoned.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import contenders
import handwritten
import numpy as np
import report
import rounds
from contenders import Array, Case, Problem, compiled_step, network, torch_cost
from numpy.typing import NDArray
from oracles import reference
from report import Figure
from rounds import Worker
from scipy import optimize

from autonn import CrossEntropy, fit, optim

RATE, BATCH_RATE, ADAM_RATE, BATCH = 0.8, 0.1, 0.001, 32
LOOP_ITERATIONS = 3
LOOP = f"tutorial's loop (reckoned from {LOOP_ITERATIONS})"

Outcome = dict[str, float]  # seconds, the cost at the end, and what else was measured
Run = Callable[[Problem, int], Outcome]


@contextmanager
def timing(outcome: Outcome, name: str = "s") -> Iterator[None]:
    """Add the seconds that a block takes."""
    outcome.setdefault(name, 0.0)
    start = time.perf_counter()
    yield
    outcome[name] += time.perf_counter() - start


# ---- gradient descent


def descent_loop(p: Problem, iterations: int) -> Outcome:
    """Time the tutorials' loop over the examples for a few iterations, and reckon the others."""
    outcome = descent_plain(p, min(iterations, LOOP_ITERATIONS), reference.looped)
    outcome["s"] *= iterations / min(iterations, LOOP_ITERATIONS)
    if iterations > LOOP_ITERATIONS:
        del outcome["cost"]  # it is not there yet
    return outcome


def descent_plain(p: Problem, iterations: int, gradient: Any = reference.vectorised) -> Outcome:
    """Follow the plain backprop, with matrices and bias columns."""
    outcome: Outcome = {}
    t1, t2 = p.thetas
    with timing(outcome):
        for _ in range(iterations):
            cost, slope1, slope2 = gradient(t1, t2, p.x, p.y, p.lam)
            t1 = t1 - RATE * slope1
            t2 = t2 - RATE * slope2
    return outcome | {"cost": float(cost)}


def descent_best(p: Problem, iterations: int) -> Outcome:
    """Follow the best backprop by hand, in place."""
    outcome: Outcome = {}
    with timing(outcome):
        digits = handwritten.Digits(p.weights, p.biases, p.m, p.lam)
        for _ in range(iterations):
            cost, *_ = digits(p.x, p.y)
            digits.descend(RATE)
    return outcome | {"cost": float(cost)}


def descent_compiled(p: Problem, iterations: int) -> Outcome:
    """Give a compiled cost and its gradients to `optim.SGD`."""
    outcome: Outcome = {}
    model = network(p)
    step = compiled_step(p, model)
    optimizer = optim.SGD(model, lr=RATE)
    with timing(outcome):
        optimizer.minimize(functools.partial(paired, step, p.x, p.y), iterations)
    return outcome | {"cost": optimizer.costs[-1]}


def descent_fit(p: Problem, iterations: int) -> Outcome:
    """Let `fit` do it, which keeps the accuracy too."""
    return fitted(p, optim.SGD(lr=RATE), iterations)


def descent_torch(p: Problem, iterations: int) -> Outcome:
    """Use PyTorch and its SGD."""
    torch = importlib.import_module("torch")
    parameters, evaluate = torch_parts(p)
    optimizer = torch.optim.SGD(parameters, lr=RATE)
    outcome: Outcome = {}
    with timing(outcome):
        for _ in range(iterations):
            optimizer.zero_grad()
            cost = evaluate()
            cost.backward()
            optimizer.step()
        value = cost.item()
    return outcome | {"cost": value}


# ---- L-BFGS


def search_plain(p: Problem, iterations: int) -> Outcome:
    """Give the plain backprop to SciPy, unrolled into a vector, as one of the tutorials does."""
    t1, t2 = p.thetas
    outcome: Outcome = {}

    def cost(vector: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        with timing(outcome, "inside"):
            one, two = vector[: t1.size].reshape(t1.shape), vector[t1.size :].reshape(t2.shape)
            value, *slopes = reference.vectorised(one, two, p.x, p.y, p.lam)
            return float(value), np.concatenate([slope.ravel() for slope in slopes])

    start = np.concatenate([t1.ravel(), t2.ravel()])
    with timing(outcome):
        found = optimize.minimize(
            cost, start, jac=True, method="L-BFGS-B",
            options={"maxiter": iterations, "maxfun": 20 * iterations},
        )  # fmt: skip
    return outcome | {"cost": float(found.fun)}


def search_compiled(p: Problem, iterations: int) -> Outcome:
    """Give a compiled cost and its gradients to `optim.LBFGS`."""
    outcome: Outcome = {}
    model = network(p)
    step = compiled_step(p, model)
    optimizer = optim.LBFGS(model)

    def cost() -> tuple[Any, Any]:
        with timing(outcome, "inside"):
            return paired(step, p.x, p.y)

    with timing(outcome):
        optimizer.minimize(cost, iterations)
    return outcome | {"cost": optimizer.costs[-1]}


def search_fit(p: Problem, iterations: int) -> Outcome:
    """Let `fit` do it."""
    return fitted(p, optim.LBFGS(), iterations)


def search_torch(p: Problem, iterations: int) -> Outcome:
    """Use PyTorch's L-BFGS, with as long a memory as SciPy's and its own line search."""
    torch = importlib.import_module("torch")
    parameters, evaluate = torch_parts(p)
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=iterations, max_eval=20 * iterations, history_size=10,
        tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe",
    )  # fmt: skip
    outcome: Outcome = {}

    def closure() -> Any:
        with timing(outcome, "inside"):
            optimizer.zero_grad()
            cost = evaluate()
            cost.backward()
            return cost

    with timing(outcome):
        optimizer.step(closure)
    return outcome  # another search: it ends elsewhere


# ---- mini-batches


def batches_compiled(p: Problem, epochs: int) -> Outcome:
    """Give a compiled cost of each mini-batch to `optim.Adam`."""
    outcome: Outcome = {"cost": 0.0}
    model = network(p)
    step = compiled_step(p, model)
    optimizer = optim.Adam(model, lr=ADAM_RATE)
    with timing(outcome):
        for rows in shuffled(p, epochs):
            cost = functools.partial(paired, step, p.x[rows], p.y[rows])
            outcome["cost"] += optimizer.evaluate(cost) * len(rows) / p.m
            optimizer.step()
    return outcome


def batches_fit(p: Problem, epochs: int) -> Outcome:
    """Let `fit` do it."""
    return fitted(p, optim.Adam(lr=ADAM_RATE), epochs, BATCH)


def batches_torch(p: Problem, epochs: int) -> Outcome:
    """Use PyTorch and its Adam."""
    torch = importlib.import_module("torch")
    parameters, evaluate = torch_parts(p)
    optimizer = torch.optim.Adam(parameters, lr=ADAM_RATE)
    outcome: Outcome = {"cost": 0.0}
    with timing(outcome):
        for rows in shuffled(p, epochs):
            optimizer.zero_grad()
            cost = evaluate(torch.from_numpy(rows))
            cost.backward()
            optimizer.step()
            outcome["cost"] += cost.item() * len(rows) / p.m
    return outcome


def shuffled(p: Problem, epochs: int) -> Iterator[Array]:
    """Deal out mini-batches in a new order each epoch."""
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        order = rng.permutation(p.m)
        for start in range(0, p.m, BATCH):
            yield order[start : start + BATCH]


# ---- what fit adds


def overhead_sgd(p: Problem, epochs: int) -> Outcome:
    """Measure it with the optimiser that does least."""
    return overhead(p, epochs, lambda: optim.SGD(lr=BATCH_RATE))


def overhead_adam(p: Problem, epochs: int) -> Outcome:
    """Measure it with Adam."""
    return overhead(p, epochs, lambda: optim.Adam(lr=ADAM_RATE))


def overhead(p: Problem, epochs: int, make: Callable[[], optim.StepOptimizer]) -> Outcome:
    """Measure the time of a step in `fit` and in the bare loop, and what `fit` adds, in percent.

    The bare loop is the same training as a user would write it by hand: it deals the rows out anew,
    slices them, calls a compiled function that returns the cost and its gradients, and hands these
    to `apply`; nothing else. `fit` also counts the right answers and sums up the costs, looks for
    costs and weights that are not finite, keeps the history and the last finite weights, minds
    Ctrl-C, and calls callbacks. Without validation and checkpoints, that is its overhead.

    Whole epochs are timed, in one process. In `fit` an epoch lasts from one return of its callback
    to the next call; within the callback, the bare loop takes its turn, with parameters of its own.
    The first epoch, in which both compile, is left out. The overhead is the median, over the
    epochs, of ``time in fit / time in the bare loop that follows - 1``. Both see the same rows in
    the same order, and must end at the same parameters.
    """
    by_fit, by_hand, optimizer = network(p), network(p), make()
    optimizer.bind(by_hand)
    step, deal = compiled_step(p, by_hand), shuffled(p, epochs)
    steps = -(-p.m // BATCH)
    times: dict[str, list[float]] = {"fit": [], "bare loop": []}
    start = 0.0

    def bare_epoch() -> None:
        for rows in itertools.islice(deal, steps):
            _, *slopes = step(p.x[rows], p.labels[rows])
            optimizer.apply(slopes)

    def take_turns(history: Any) -> None:
        nonlocal start
        times["fit"].append(time.perf_counter() - start)
        times["bare loop"].append(rounds.seconds(bare_epoch))
        start = time.perf_counter()

    fit(
        by_fit, p.x, p.labels, loss=CrossEntropy(), optimizer=make(), l2=p.lam,
        epochs=epochs, batch_size=BATCH, seed=0, callbacks=[take_turns],
    )  # fmt: skip
    for one, other in zip(by_fit.parameters(), by_hand.parameters(), strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-6, atol=1e-9)
    fitted, bare = (np.array(times[name][1:]) for name in times)
    return {
        "fit us": float(np.median(fitted)) / steps * 1e6,
        "bare loop us": float(np.median(bare)) / steps * 1e6,
        "overhead %": 100 * float(np.median(fitted / bare - 1)),
    }


# ---- memory, and the time to compile


def memory_best(p: Problem, _: int) -> Outcome:
    """Measure the best by hand, with the memory that it keeps."""
    return peaks(lambda: contenders.by_hand(p))


def memory_plain(p: Problem, _: int) -> Outcome:
    """Measure the plain backprop."""
    return peaks(lambda: contenders.vectorised(p))


def memory_compiled(p: Problem, _: int) -> Outcome:
    """Measure the compiled program with its workspaces, and in the first call its derivation."""
    contenders.compiled(Problem(Case("digits", 32, p.case.dtype)))()  # what is loaded once, is
    model = network(p)

    def build() -> contenders.Evaluation:
        step = compiled_step(p, model)
        return lambda: step(p.x, p.y)

    return peaks(build)


def memory_eager(p: Problem, _: int) -> Outcome:
    """Measure a graph and its gradients."""
    return peaks(lambda: contenders.eager(p))


def peaks(build: Callable[[], contenders.Evaluation]) -> Outcome:
    """Return the most megabytes beyond what was there before, in the first and second call.

    The result of each call is held until it is over. tracemalloc counts NumPy's arrays.
    """
    outcome: Outcome = {}
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    evaluate = build()
    for call in ("first MB", "MB"):
        result = evaluate()
        outcome[call] = (tracemalloc.get_traced_memory()[1] - before) / 1e6
        del result
        tracemalloc.reset_peak()
    tracemalloc.stop()
    return outcome


def compile_time(p: Problem, _: int) -> Outcome:
    """Time the first call of a newly compiled step, less that of the next one.

    The very first one also reads the sources of some helpers.
    """
    outcome: Outcome = {}
    for name in ("first in its process ms", "ms"):
        step = compiled_step(p, network(p))
        call = functools.partial(step, p.x, p.y)
        first, later = rounds.seconds(call), rounds.seconds(call)
        outcome[name] = (first - later) * 1e3
    return outcome


# ---- shared


def paired(step: Callable[..., Any], x: Array, y: Array) -> tuple[Any, Any]:
    """Turn (J, dJ/dW1, ...) into what an optimiser takes: J, and the gradients."""
    cost, *slopes = step(x, y)
    return cost, slopes


def fitted(p: Problem, optimizer: Any, epochs: int, batch_size: int | None = None) -> Outcome:
    """Train by `fit`."""
    outcome: Outcome = {}
    model = network(p)
    with timing(outcome):
        history = fit(
            model, p.x, p.labels, loss=CrossEntropy(), optimizer=optimizer, l2=p.lam,
            epochs=epochs, batch_size=batch_size, seed=0,
        )  # fmt: skip
    return outcome | {"cost": history.cost[-1]}


def torch_parts(p: Problem) -> tuple[list[Any], Callable[..., Any]]:
    """Return PyTorch's parameters, and the cost of all rows or of some."""
    torch = importlib.import_module("torch")
    x, y, cost = torch.from_numpy(p.x), torch.from_numpy(p.y), torch_cost(p)
    parameters = p.in_order(lambda a: torch.from_numpy(a).requires_grad_())

    def evaluate(rows: Any = None) -> Any:
        if rows is None:
            return cost(x, y, *parameters)
        return cost(x[rows], y[rows], *parameters)

    return parameters, evaluate


# ---- the tables


@dataclass(frozen=True)
class Table:
    """Runs that are shown together.

    Attributes
    ----------
    title, runs
        What they do, with a place for the size, and who does it.
    base
        The row to which ratios are shown.
    size, brief
        How many iterations or epochs, and how many where it has to be brief.
    agree
        How far the costs at the end may be apart.
    """

    title: str
    runs: dict[str, Run]
    base: str
    size: int = 1
    brief: int = 1
    agree: float = 0.0


TABLES = (
    Table(
        "gradient descent, {} iterations",
        {
            LOOP: descent_loop,
            "vectorised by hand": descent_plain,
            "best by hand": descent_best,
            "autonn, fit": descent_fit,
            "autonn, compiled, SGD": descent_compiled,
            "PyTorch, SGD": descent_torch,
        },
        base=LOOP,
        size=800,
        brief=LOOP_ITERATIONS,
        agree=1e-9,
    ),
    Table(
        "L-BFGS, {} iterations",
        {
            "vectorised by hand, SciPy": search_plain,
            "autonn, fit": search_fit,
            "autonn, compiled, LBFGS": search_compiled,
            "PyTorch, LBFGS": search_torch,
        },
        base="vectorised by hand, SciPy",
        size=200,
        brief=3,
        agree=0.02,  # rounding differs, and with it the way
    ),
    Table(
        f"mini-batches of {BATCH} with Adam, {{}} epoch",
        {
            "autonn, fit": batches_fit,
            "autonn, compiled, Adam": batches_compiled,
            "PyTorch, Adam": batches_torch,
        },
        base="autonn, fit",
        agree=1e-9,
    ),
    Table(
        f"fit's overhead over a bare loop of steps, mini-batches of {BATCH}, {{}} epochs each",
        {"SGD": overhead_sgd, "Adam": overhead_adam},
        base="",
        size=60,
        brief=2,
    ),
    Table(
        "peak memory of one cost + gradient",
        {
            "vectorised by hand": memory_plain,
            "best by hand": memory_best,
            "autonn, eager": memory_eager,
            "autonn, compiled": memory_compiled,
        },
        base="best by hand",
    ),
    Table(
        "tracing and compiling one cost + gradient",
        {"autonn.compile": compile_time},
        base="",
    ),
)


# ---- in the workers


def outcome_of(table: int, row: str, size: int) -> Outcome:
    """Do one run from the start."""
    return TABLES[table].runs[row](Problem(Case("digits", 5000, "float64")), size)


# ---- in the parent


def measure(number: int, size: int, repeats: int, only: Sequence[str]) -> list[Figure]:
    """Do all runs of a table in turn, check that they agree, and return the figures."""
    table = TABLES[number]
    rows = [row for row in table.runs if report.chosen(f"{table.title}: {row}", only)]
    if importlib.util.find_spec("torch") is None:
        rows = [row for row in rows if "PyTorch" not in row]
    found: dict[str, list[Outcome]] = {row: [] for row in rows}
    for _ in range(repeats):
        workers = {row: Worker() for row in rows}
        for worker in workers.values():
            worker.ask(int)  # all have started before one is timed
        for row, worker in workers.items():
            found[row].append(worker.ask(outcome_of, number, row, size))
            worker.close()
    costs = {row: runs[-1]["cost"] for row, runs in found.items() if "cost" in runs[-1]}
    if costs and max(costs.values()) - min(costs.values()) > table.agree:
        raise SystemExit(f"{table.title.format(size)}: the costs at the end differ: {costs}")
    title = table.title.format(size)
    return [figure for row, runs in found.items() for figure in figures_of(title, row, runs)]


def figures_of(title: str, row: str, runs: list[Outcome]) -> Iterator[Figure]:
    """Sum up what the runs of one contender measured: "first MB" is a row of its own, in MB."""
    for name in runs[0]:
        values = [run[name] for run in runs]
        if name == "cost":
            continue  # it was compared
        if name == "inside":
            total = [run["s"] for run in runs]
            shares = [100 * (a - b) / b for a, b in zip(total, values, strict=True)]
            yield Figure.of(title, f"{row}, beside the evaluations", "%", shares)
        else:
            what, _, unit = name.rpartition(" ")
            yield Figure.of(title, f"{row}, {what}" if what else row, unit, values)


def main() -> None:
    """Measure all tables, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of each run (default 3)")
    parser.add_argument("--brief", action="store_true", help="a few iterations of each, once")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help="contenders whose names, or whose tables' titles, contain one of these",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--compare", metavar="FILE", help="the figures of another run, by --json")
    options = parser.parse_args()
    old = report.read(options.compare) if options.compare else []
    packages = [p for p in ("numpy", "torch") if importlib.util.find_spec(p)]
    worker = Worker()
    versions = [worker.ask(contenders.describe, package) for package in packages]
    worker.close()
    print(report.machine(), *versions, sep="\n")
    figures: list[Figure] = []
    for number, table in enumerate(TABLES):
        size, repeats = (table.brief, 1) if options.brief else (table.size, options.repeats)
        found = measure(number, size, repeats, options.only)
        if not found:
            continue
        print(f"\n5,000 digits, 400-25-10: {found[0].title}")
        print(report.table(found, table.base), flush=True)
        figures += found
    if options.json:
        report.write(options.json, {"machine": report.machine(), "versions": versions}, figures)
    if old:
        print(f"\n{report.compared(old, figures)}")


if __name__ == "__main__":
    main()
