"""A convolutional network on pictures: one cost and its gradients, eager, compiled, and PyTorch's.

    python benchmarks/pictures.py [--seconds 5] [--sizes 1 64 256] [--json FILE] [--compare FILE]

LeNet-5 on pictures of 28 x 28, with ReLU and max-pooling. Each has a process of its own and they
run in turn, as in backprop.py; all start at the same weights, which PyTorch loads by their names,
and must agree before they are timed. PyTorch takes part where it is installed.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import contenders
import numpy as np
import report
import rounds
from report import Figure
from rounds import Worker

import autonn
from autonn import (
    Conv2d,
    Flatten,
    Layer,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    gradients,
)

EAGER, COMPILED, TORCH = "autonn, eager", "autonn, compiled", "PyTorch"
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
Evaluation = Callable[[], Any]


def lenet(dtype: Any) -> Sequential:
    """Make the network, the same at each call."""
    rng = np.random.default_rng(0)
    more: dict[str, Any] = {"rng": rng, "dtype": dtype}
    return Sequential(
        Conv2d(1, 6, 5, padding=2, **more), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5, **more), ReLU(), MaxPool2d(2), Flatten(),
        Layer(400, 120, **more), ReLU(), Layer(120, 84, **more), ReLU(), Layer(84, 10, **more),
    )  # fmt: skip


def ours(x: Any, y: Any, dtype: Any, compiled: bool) -> Evaluation:
    """Build the step of autonn."""
    model = lenet(dtype)
    parameters = model.parameters()

    def step(x: Any, y: Any) -> Any:
        cost = SoftmaxCrossEntropy()(model(x), y)
        return cost.detach(), gradients(cost, parameters)

    call = autonn.compile(step) if compiled else step
    return functools.partial(call, x, y)


def torchs(x: Any, y: Any, dtype: Any) -> Evaluation:
    """Build the step of PyTorch, from the same weights."""
    torch: Any = importlib.import_module("torch")
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    model = model.to(getattr(torch, np.dtype(dtype).name))
    model.load_state_dict({k: torch.tensor(v) for k, v in lenet(dtype).state_dict().items()})
    parameters, pictures, labels = [*model.parameters()], torch.tensor(x), torch.tensor(y)
    loss = nn.CrossEntropyLoss()

    def step() -> Any:
        cost = loss(model(pictures), labels)
        return cost.detach(), torch.autograd.grad(cost, parameters)

    return step


# ---- in the workers

evaluation: Evaluation = tuple


def prepare(name: str, m: int, dtype: str) -> list[Any]:
    """Build a contender's step, and return what it computes."""
    global evaluation
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((m, 1, 28, 28)).astype(dtype), rng.integers(0, 10, m)
    kind = np.dtype(dtype).type
    evaluation = torchs(x, y, kind) if name == TORCH else ours(x, y, kind, name == COMPILED)
    evaluation()
    cost, slopes = evaluation()
    return [np.array(getattr(a, "data", a)) for a in (cost, *slopes)]


def turn() -> float:
    """Run the step for a while; return the seconds that it takes."""
    return rounds.burst(evaluation)


# ---- in the parent


def measure(workers: dict[str, Worker], m: int, dtype: str, seconds: float) -> list[Figure]:
    """Check that all compute the same, and time them in turn."""
    expected: list[Any] = []
    for name, worker in workers.items():
        results = worker.ask(prepare, name, m, dtype)
        for got, right in zip(results, expected or results, strict=True):
            if not np.allclose(got, right, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]):
                raise SystemExit(f"{name} is wrong by {np.max(np.abs(got - right)):.1e}")
        expected = expected or results
    turns = {name: functools.partial(worker.ask, turn) for name, worker in workers.items()}
    times = rounds.in_turn(turns, seconds)
    rows = {name: [1e3 * s for s in found] for name, found in times.items()}
    title = f"LeNet-5, m = {m}, {dtype}"
    return [Figure.of(title, row, "ms", ms, rows.get(TORCH)) for row, ms in rows.items()]


def main() -> None:
    """Measure every size, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="for each size (default 5)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 64, 256], metavar="M")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--compare", metavar="FILE", help="the figures of another run, by --json")
    options = parser.parse_args()
    old = report.read(options.compare) if options.compare else []
    names = [EAGER, COMPILED] + [TORCH] * (importlib.util.find_spec("torch") is not None)
    workers = {name: Worker() for name in names}
    print(report.machine(), *map(contenders.describe, ["numpy"]), sep="\n")
    figures: list[Figure] = []
    for dtype in TOLERANCE:
        for m in options.sizes:
            found = measure(workers, m, dtype, options.seconds)
            print(f"\n{found[0].title}: one cost + gradient")
            print(report.table(found, TORCH), flush=True)
            figures += found
    for worker in workers.values():
        worker.close()
    if options.json:
        setting = {"machine": report.machine(), "seconds": options.seconds}
        report.write(options.json, setting, figures)
    if old:
        print(f"\n{report.compared(old, figures)}")


if __name__ == "__main__":
    main()
