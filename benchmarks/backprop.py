"""Autograd against hand-written backprop: one cost and gradient of the 400-25-10 digit network.

    python benchmarks/backprop.py [--seconds 20]

Every contender computes the tutorials' regularised cost and all four gradients on the same digits
and the same weights. The rounds are interleaved, so that a machine that slows down slows all of
them, and medians are shown, with the middle half of the rounds as their spread. The tutorials'
own code is in tests/reference.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, l2_penalty, load_digits, one_hot

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import reference

Array = NDArray[Any]
Evaluation = Callable[[], Any]
BASELINE = "vectorised by hand"


class Problem:
    """The digits and random weights at one size and dtype, and the contenders on them."""

    def __init__(self, m: int, dtype: Any) -> None:
        digits = load_digits()
        rng = np.random.default_rng(0)
        rows = rng.permutation(len(digits.y))[:m]
        self.x = np.ascontiguousarray(digits.X[rows], dtype)
        self.y = one_hot(digits.y[rows], 10, dtype)
        shapes = (25, 401), (10, 26)
        self.thetas = t1, t2 = [rng.uniform(-0.12, 0.12, s).astype(dtype) for s in shapes]
        self.contenders: dict[str, Evaluation] = {
            "tutorial's loop": lambda: reference.looped(t1, t2, self.x, self.y, 1.0),
            BASELINE: lambda: reference.vectorised(t1, t2, self.x, self.y, 1.0),
            "autonn, eager": self.autonn_eager(),
            "matrix products alone": self.products(),
        }

    def autonn_eager(self) -> Evaluation:
        """Write the cost as the README does."""
        layers = [Layer(t.shape[1] - 1, len(t), dtype=t.dtype) for t in self.thetas]
        for layer, theta in zip(layers, self.thetas, strict=True):
            layer.theta = theta
        model = Sequential(layers[0], Sigmoid(), layers[1], Sigmoid())
        loss = CrossEntropy()

        def evaluate() -> Any:
            model.zero_grad()
            cost = loss(model(self.x), self.y) + l2_penalty(model, 1.0, examples=len(self.x))
            cost.backward()
            return cost.item(), *(p.grad for p in model.parameters())

        return evaluate

    def products(self) -> Evaluation:
        """Multiply the matrices that any backprop must, and do nothing else: the floor."""
        (w1, w2), x = (np.ascontiguousarray(t[:, 1:]) for t in self.thetas), self.x
        a2, delta3 = x @ w1.T, self.y

        def evaluate() -> Any:
            return x @ w1.T, a2 @ w2.T, delta3.T @ a2, (delta3 @ w2).T @ x

        return evaluate

    def check(self) -> None:
        """Make sure that all compute the same before they are timed."""
        tolerance = 1e-12 if self.x.dtype == np.float64 else 1e-4
        cost, *gradients = self.contenders[BASELINE]()
        apart = [part for g in gradients for part in (g[:, 1:], g[:, 0])]  # weight, bias, ...
        for name, expected in (
            ("tutorial's loop", (cost, *gradients)),
            ("autonn, eager", (cost, *apart)),
        ):
            for a, b in zip(self.contenders[name](), expected, strict=True):
                if not np.allclose(a, b, rtol=tolerance, atol=tolerance):
                    raise SystemExit(f"{name} disagrees with {BASELINE}")


def timed(contenders: dict[str, Evaluation], seconds: float) -> dict[str, Array]:
    """Run the contenders in turn until the time is up; return the seconds of each round.

    One that takes more than a tenth of a second is run in fewer rounds, at least three.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    end = time.perf_counter() + seconds
    done = 0
    while done < 5 or time.perf_counter() < end:
        for name, evaluate in contenders.items():
            if len(times[name]) >= 3 and min(times[name]) > 0.1:
                continue
            start = time.perf_counter()
            evaluate()
            times[name].append(time.perf_counter() - start)
        done += 1
    return {name: np.array(t[1:]) for name, t in times.items()}  # the first one warms up


def machine() -> str:
    """Say what the figures were measured on."""
    pools = ", ".join(
        f"{Path(p['filepath']).name[:20]}... {p['num_threads']} threads" for p in threadpool_info()
    )
    return (
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"{os.cpu_count()} CPUs\nBLAS: {pools}"
    )


def table(times: dict[str, Array]) -> str:
    """Lay out medians, spreads and ratios to the plain vectorised backprop."""
    base = float(np.median(times[BASELINE]))
    lines = []
    for name, t in times.items():
        low, median, high = np.percentile(t, [25, 50, 75]) * 1e3
        ratio = median / 1e3 / base
        lines.append(
            f"  {name:<22} {median:>9.3f} ms  ({low:.3f} - {high:.3f}) {ratio:>8.2f} x"
            f"  {len(t):>5} rounds"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure every size and dtype, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="for each table (default 20)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 500, 5000])
    options = parser.parse_args()
    print(machine())
    for dtype in (np.float64, np.float32):
        for m in options.sizes:
            problem = Problem(m, dtype)
            problem.check()
            times = timed(problem.contenders, options.seconds)
            print(f"\n{dtype.__name__}, m = {m}: one cost + gradient")
            print(table(times))


if __name__ == "__main__":
    main()
