"""How the cost of a step grows with batch, width, depth and length: a panel each.

A step is the cost and the gradients of a perceptron of 256 inputs, ReLU and 10 classes, and of an
LSTM of 32 units on sequences, in float32. PyTorch takes part where it is installed, and so does
JAX, whose loop over a sequence is `lax.scan`. Each has a process of its own, and they run in turn.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import rounds
from rounds import Worker

import autonn
from autonn import LSTM, Last, Linear, ReLU, Sequential, SoftmaxCrossEntropy, gradients

OURS, TORCH, JAX = "autonn, compiled", "PyTorch", "JAX, jit"
PACKAGES = {OURS: "numpy", TORCH: "torch", JAX: "jax"}
COLOURS = {OURS: "#D55E00", TORCH: "#009E73", JAX: "#0072B2"}  # Okabe and Ito's
INPUTS, CLASSES, UNITS = 256, 10, 32

# What grows, and what stays: rows, width, hidden layers, and steps, 0 where there is no sequence.
PANELS: dict[str, list[tuple[int, int, int, int]]] = {
    "batch": [(m, 64, 1, 0) for m in (1, 10, 100, 1000, 10_000)],
    "width": [(256, width, 1, 0) for width in (16, 64, 256, 1024)],
    "depth": [(64, 64, depth, 0) for depth in (1, 4, 16, 64)],
    "length": [(32, UNITS, 0, steps) for steps in (5, 20, 80)],
}
GROWS = {"batch": 0, "width": 1, "depth": 2, "length": 3}


def batch(rows: int, steps: int) -> tuple[Any, Any]:
    """Make inputs and labels, of sequences if there are steps."""
    rng = np.random.default_rng(0)
    shape = (rows, steps, INPUTS) if steps else (rows, INPUTS)
    return rng.normal(size=shape).astype(np.float32), rng.integers(CLASSES, size=rows)


def network(width: int, depth: int, steps: int) -> Sequential:
    """Make the network, the same at each call."""
    rng = np.random.default_rng(0)
    if steps:
        model = Sequential(LSTM(INPUTS, width, rng=rng), Last(), Linear(width, CLASSES, rng=rng))
    else:
        widths = [INPUTS, *[width] * depth]
        hidden = [
            part for a, b in itertools.pairwise(widths) for part in (Linear(a, b, rng=rng), ReLU())
        ]
        model = Sequential(*hidden, Linear(width, CLASSES, rng=rng))
    return model.astype(np.float32)


def ours(rows: int, width: int, depth: int, steps: int) -> Callable[[], Any]:
    """Build the step of autonn."""
    model = network(width, depth, steps)
    parameters = model.parameters()

    def step(x: Any, y: Any) -> Any:
        cost = SoftmaxCrossEntropy()(model(x), y)
        return cost.detach(), gradients(cost, parameters)

    return functools.partial(autonn.compile(step), *batch(rows, steps))


def torchs(rows: int, width: int, depth: int, steps: int) -> Callable[[], Any]:
    """Build the step of PyTorch."""
    torch: Any = importlib.import_module("torch")
    nn = torch.nn
    state = {k: torch.tensor(v) for k, v in network(width, depth, steps).state_dict().items()}
    if steps:
        layers = nn.ModuleDict(
            {"0": nn.LSTM(INPUTS, width, batch_first=True), "2": nn.Linear(width, CLASSES)}
        )
    else:
        widths = [INPUTS, *[width] * depth, CLASSES]
        layers = nn.ModuleDict(
            {str(2 * k): nn.Linear(*widths[k : k + 2]) for k in range(len(widths) - 1)}
        )
    layers.load_state_dict(state)
    x, y = map(torch.tensor, batch(rows, steps))
    parameters = [*layers.parameters()]
    *hidden, last = list(layers.values())

    def step() -> Any:
        z = x
        for layer in hidden:
            z = layer(z)[0][:, -1] if steps else torch.relu(layer(z))
        cost = nn.functional.cross_entropy(last(z), y)
        return cost.detach(), torch.autograd.grad(cost, parameters)

    return step


def jaxs(rows: int, width: int, depth: int, steps: int) -> Callable[[], Any]:
    """Build the step of JAX."""
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    state = {k: jnp.asarray(v) for k, v in network(width, depth, steps).state_dict().items()}
    x, y = map(jnp.asarray, batch(rows, steps))

    def read(p: Any, x: Any) -> Any:
        """Go through the sequences as an LSTM does, and return its last output."""
        products = x @ p["0.weight_ih_l0"].T + p["0.bias_ih_l0"] + p["0.bias_hh_l0"]

        def one(carried: Any, product: Any) -> Any:
            h, c = carried
            i, f, g, o = jnp.split(product + h @ p["0.weight_hh_l0"].T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        start = (jnp.zeros((rows, width), x.dtype),) * 2
        (h, _), _ = jax.lax.scan(one, start, jnp.swapaxes(products, 0, 1))
        return h

    def cost(p: Any, x: Any, y: Any) -> Any:
        z = read(p, x) if steps else x
        for k in range(0, 2 * depth, 2):
            z = jax.nn.relu(z @ p[f"{k}.weight"].T + p[f"{k}.bias"])
        last = 2 if steps else 2 * depth
        z = z @ p[f"{last}.weight"].T + p[f"{last}.bias"]
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], axis=1))

    both = jax.jit(jax.value_and_grad(cost))

    def step() -> Any:
        value, slopes = jax.block_until_ready(both(state, x, y))
        return value, [slopes[key] for key in state]

    return step


# ---- in the workers

BUILD = {OURS: ours, TORCH: torchs, JAX: jaxs}
evaluation: Callable[[], Any] = tuple


def prepare(contender: str, sizes: tuple[int, int, int, int]) -> list[Any]:
    """Build a contender's step, and return what it computes."""
    global evaluation
    evaluation = BUILD[contender](*sizes)
    cost, slopes = evaluation()
    return [a.numpy() if hasattr(a, "numpy") else np.asarray(a) for a in (cost, *slopes)]


def turn() -> float:
    """Run the step for a while; return the seconds that it takes."""
    return rounds.burst(evaluation)


# ---- in the parent


def apart(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """Return by how much arrays differ, in multiples of the largest number of each."""
    pairs = zip(found, expected, strict=True)
    return max(float(np.abs(got - right).max() / np.abs(right).max()) for got, right in pairs)


def grown(
    hold: Callable[[int], None], threads: int, seconds: float, panels: Sequence[str] = tuple(PANELS)
) -> dict[str, dict[str, list[float]]]:
    """Check that all compute the same, and measure all sizes; return medians in ms."""
    workers = {
        name: Worker() for name, package in PACKAGES.items() if importlib.util.find_spec(package)
    }
    for worker in workers.values():
        worker.ask(hold, threads)
    found: dict[str, dict[str, list[float]]] = {}
    for panel in panels:
        found[panel] = {name: [] for name in workers}
        for sizes in PANELS[panel]:
            results = {name: worker.ask(prepare, name, sizes) for name, worker in workers.items()}
            for name, computed in results.items():
                if not apart(computed, results[OURS]) < 1e-3:  # in multiples of the largest number
                    raise SystemExit(f"{panel} {sizes}: {name} computes something else")
            turns = {name: functools.partial(worker.ask, turn) for name, worker in workers.items()}
            for name, times in rounds.in_turn(turns, seconds).items():
                found[panel][name].append(1e3 * float(np.median(times)))
    for worker in workers.values():
        worker.close()
    return found


def draw(path: str, found: dict[str, dict[str, list[float]]]) -> None:
    """Draw a panel for each that grows, both axes logarithmic, a line for each contender."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(found), figsize=(3.2 * len(found), 3.4), squeeze=False, layout="constrained"
    )
    for ax, (panel, lines) in zip(axes[0], found.items(), strict=True):
        sizes = [sizes[GROWS[panel]] for sizes in PANELS[panel]]
        for name, times in lines.items():
            ax.loglog(sizes, times, "o-", ms=4, color=COLOURS[name], label=name)
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.set_title(panel, fontsize=10)
        ax.grid(color="0.9", lw=0.6)
        ax.tick_params(labelsize=8)
    axes[0][0].set_ylabel("ms for a cost and its gradients")
    axes[0][0].legend(fontsize=8)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
