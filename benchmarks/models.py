"""One step of the networks that tutorials build: cost and gradients, beside PyTorch, all in a run.

    python benchmarks/models.py [--seconds 3] [--only gpt lstm] [--threads 2] [--brief]
                                [--json FILE] [--compare FILE] [--plot FILE]

The networks stand in networks.py, and once more for PyTorch in twins.py. Each contender has a
process of its own, of so many threads, and they run in turn, as in backprop.py; both start at the
same parameters, and must agree in cost and gradients before they are timed. Gradients of tables of
words are those of the rows that were looked up, by both. Ratios are taken round by round. `--plot`
draws how the cost of a step grows with batch, width, depth and length, also beside JAX where it is
installed. `--brief` measures each once, in float32.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import batches
import contenders
import growth
import networks
import numpy as np
import report
import rounds
from report import Figure
from rounds import Worker

import autonn
from autonn import gradients
from autonn.engine.row_gradients import RowGradient

EAGER, COMPILED, TORCH = "autonn, eager", "autonn, compiled", "PyTorch"
# In multiples of the largest number of each gradient. In float32 a few pictures' maxima are rounded
# to another place, which moved a gradient of LeNet's by 2e-3; in float64 none is.
TOLERANCE = {"float32": 1e-2, "float64": 1e-9}
NAMES = [make.__name__ for make in networks.ALL]
Evaluation = Callable[[], Any]
Shapes = dict[str, tuple[int, ...]]  # of the gradients, by the names of the parameters


def batch_of(name: str, dtype: str) -> list[Any]:
    """Make the batch of a network; whole numbers stay what they are."""
    arrays = getattr(batches, name)(np.random.default_rng(1))
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def ours(name: str, dtype: str, compiled: bool) -> tuple[Evaluation, Shapes]:
    """Build the step of autonn, and name the gradients that it returns, with their shapes."""
    model, cost = getattr(networks, name)(np.random.default_rng(0))
    model = model.astype(np.dtype(dtype))
    parameters = dict(model.named_parameters())

    def step(*batch: Any) -> Any:
        value = cost(*batch)
        return value.detach(), gradients(value, [*parameters.values()], by_rows=True)

    call = autonn.compile(step) if compiled else step
    shapes = {key: parameter.shape for key, parameter in parameters.items()}
    return functools.partial(call, *batch_of(name, dtype)), shapes


def torchs(name: str, dtype: str) -> tuple[Evaluation, Shapes]:
    """Build the step of PyTorch, from the parameters of autonn."""
    twins, torch = importlib.import_module("twins"), importlib.import_module("torch")
    state = getattr(networks, name)(np.random.default_rng(0))[0].state_dict()
    model, cost = getattr(twins, name)()
    model = model.to(getattr(torch, dtype))
    lacking = model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    wrong = {key for key in lacking.missing_keys if not key.endswith("num_batches_tracked")}
    if wrong or lacking.unexpected_keys:
        raise SystemExit(f"{name}: the twin has other parameters: {lacking}")
    parameters, batch = (
        dict(model.named_parameters()),
        list(map(torch.tensor, batch_of(name, dtype))),
    )

    def step() -> Any:
        value = cost(*batch)
        return value.detach(), torch.autograd.grad(value, [*parameters.values()])

    return step, {key: tuple(parameter.shape) for key, parameter in parameters.items()}


def results(step: Evaluation, shapes: Shapes) -> dict[str, Any]:
    """Take a step, and return the cost and the gradients by their names, as whole arrays."""
    cost, slopes = step()
    found = {"cost": cost.numpy() if hasattr(cost, "numpy") else np.asarray(cost)}
    for (key, shape), slope in zip(shapes.items(), slopes, strict=True):
        if isinstance(slope, RowGradient):
            found[key] = slope.dense(shape)
        else:  # PyTorch's may be of some rows, too
            found[key] = np.asarray(slope.to_dense() if hasattr(slope, "to_dense") else slope)
    return found


# ---- in the workers

evaluation: Evaluation = tuple


def hold(count: int) -> None:
    """Hold the threads of whatever computes here to so many."""
    importlib.import_module("threadpoolctl").threadpool_limits(count)
    if importlib.util.find_spec("torch") is not None:
        importlib.import_module("torch").set_num_threads(count)


def prepare(contender: str, name: str, dtype: str) -> tuple[float, dict[str, Any]]:
    """Build a contender's step; return the seconds of its first call, and what it computes."""
    global evaluation
    if contender == TORCH:
        evaluation, shapes = torchs(name, dtype)
    else:
        evaluation, shapes = ours(name, dtype, contender == COMPILED)
    return rounds.seconds(evaluation), results(evaluation, shapes)


def turn() -> float:
    """Run the step for a while; return the seconds that it takes."""
    return rounds.burst(evaluation)


# ---- in the parent


def differences(found: dict[str, Any], expected: dict[str, Any], dtype: str) -> list[str]:
    """List what is not what it is expected to be, and by how much."""
    wrong = []
    for key, right in expected.items():
        off = np.abs(found[key] - right).max() / max(float(np.abs(right).max()), 1e-3)
        if not off < TOLERANCE[dtype]:
            wrong.append(f"{key}, off by {off:.1e}")
    return wrong


def measure(workers: dict[str, Worker], name: str, dtype: str, seconds: float) -> list[Figure]:
    """Check that all compute the same, and time them in turn."""
    expected: dict[str, Any] = {}
    firsts = {}
    for contender, worker in workers.items():
        firsts[contender], found = worker.ask(prepare, contender, name, dtype)
        expected = expected or found
        for wrong in differences(found, expected, dtype):
            raise SystemExit(f"{name}, {dtype}: {contender} has another {wrong}")
    turns = {name: functools.partial(worker.ask, turn) for name, worker in workers.items()}
    rows = {row: [1e3 * s for s in t] for row, t in rounds.in_turn(turns, seconds).items()}
    kind, _, count = (getattr(batches, name).__doc__ or "").rstrip(".").rpartition(", ")
    title = f"{name}, {count} {kind.lower()}, {dtype}"
    figures = [Figure.of(title, row, "ms", ms, rows.get(TORCH)) for row, ms in rows.items()]
    if COMPILED in firsts:
        figures.append(Figure.of(title, "first call, compiled", "s", [firsts[COMPILED]]))
    return figures


def summary(figures: Sequence[Figure]) -> str:
    """Lay the ratios to PyTorch out, float32 and float64, the slowest first."""
    ratios: dict[str, dict[str, float]] = {}
    for f in figures:
        if f.row == COMPILED and f.ratios:
            title, _, dtype = f.title.rpartition(", ")
            ratios.setdefault(title, {})[dtype] = f.ratios[1]
    width = max(map(len, ratios), default=0) + 2
    lines = [f"{'':{width}}" + "".join(f"{dtype:>10}" for dtype in TOLERANCE)]
    for title, found in sorted(ratios.items(), key=lambda item: -max(item[1].values())):
        cells = (report.number(found[d]) if d in found else "" for d in TOLERANCE)
        lines.append(f"{title:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    """Measure every network, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="for each network (default 3)")
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES, metavar="NAME")
    parser.add_argument("--threads", type=int, default=2, help="of each process (default 2)")
    parser.add_argument("--brief", action="store_true", help="each for a moment, float32 alone")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--compare", metavar="FILE", help="the figures of another run, by --json")
    parser.add_argument("--plot", metavar="FILE", help="draw how the cost of a step grows")
    options = parser.parse_args()
    old = report.read(options.compare) if options.compare else []
    started = time.perf_counter()
    names = [EAGER, COMPILED] + [TORCH] * (importlib.util.find_spec("torch") is not None)
    workers = {name: Worker() for name in names}
    for worker in workers.values():
        worker.ask(hold, options.threads)
    print(report.machine(), workers[COMPILED].ask(contenders.describe, "numpy"), sep="\n")
    seconds, dtypes = (0.0, ["float32"]) if options.brief else (options.seconds, [*TOLERANCE])
    figures: list[Figure] = []
    for name in options.only:
        for dtype in dtypes:
            found = measure(workers, name, dtype, seconds)
            print(f"\n{found[0].title}\n{report.table(found, TORCH)}", flush=True)
            figures += found
    for worker in workers.values():
        worker.close()
    if TORCH in names:
        print(f"\nautonn, compiled, in multiples of PyTorch\n{summary(figures)}")
    if options.json:
        setting = {"machine": report.machine(), "seconds": seconds, "threads": options.threads}
        report.write(options.json, setting, figures)
    if old:
        print(f"\n{report.compared(old, figures)}")
    if options.plot:
        growth.draw(options.plot, growth.grown(hold, options.threads, seconds))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
