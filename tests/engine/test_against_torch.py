"""PyTorch is the engine that most people trust: random graphs must agree with it.

``AUTONN_GRAPHS=10000 python -m pytest tests/engine/test_against_torch.py`` runs that many graphs.

Left out are the points where the conventions differ: PyTorch's clamp, abs and relu are asked only
off their kinks (random numbers do not hit them), its `max` over several axes is `amax`, which
shares the gradient of ties evenly as autonn does, and nothing of 0 meets log, sqrt or a division.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

import autonn
from autonn import Tensor
from autonn.engine import ops

torch: Any = pytest.importorskip("torch")

Array = NDArray[Any]
Random = np.random.Generator
Pair = tuple[Any, Any]  # a value in autonn and in PyTorch
GRAPHS = int(os.environ.get("AUTONN_GRAPHS", "300"))
BATCHES = 20
TOLERANCE = 1e-10

# ---- functions of one number, with what the argument must be

UNARY: dict[str, tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "negative": ("any", np.negative, torch.neg),
    "square": ("any", np.square, torch.square),
    "absolute": ("any", np.absolute, torch.abs),
    "sqrt": ("positive", np.sqrt, torch.sqrt),
    "cbrt": ("positive", np.cbrt, lambda x: x ** (1 / 3)),
    "reciprocal": ("positive", np.reciprocal, torch.reciprocal),
    "exp": ("small", np.exp, torch.exp),
    "exp2": ("small", np.exp2, torch.exp2),
    "expm1": ("small", np.expm1, torch.expm1),
    "log": ("positive", np.log, torch.log),
    "log2": ("positive", np.log2, torch.log2),
    "log10": ("positive", np.log10, torch.log10),
    "log1p": ("positive", np.log1p, torch.log1p),
    "sin": ("any", np.sin, torch.sin),
    "cos": ("any", np.cos, torch.cos),
    "tan": ("unit", np.tan, torch.tan),
    "arcsin": ("unit", np.arcsin, torch.arcsin),
    "arccos": ("unit", np.arccos, torch.arccos),
    "arctan": ("any", np.arctan, torch.arctan),
    "sinh": ("small", np.sinh, torch.sinh),
    "cosh": ("small", np.cosh, torch.cosh),
    "tanh": ("any", np.tanh, torch.tanh),
    "arcsinh": ("any", np.arcsinh, torch.arcsinh),
    "arccosh": ("positive", lambda x: np.arccosh(x + 1), lambda x: torch.arccosh(x + 1)),
    "arctanh": ("unit", np.arctanh, torch.arctanh),
    "erf": ("any", special.erf, torch.erf),
    "sign": ("any", np.sign, torch.sign),
    "floor": ("any", np.floor, torch.floor),
    "ceil": ("any", np.ceil, torch.ceil),
    "sigmoid": ("any", autonn.sigmoid, torch.sigmoid),
    "log_sigmoid": ("any", autonn.log_sigmoid, torch.nn.functional.logsigmoid),
    "softplus": ("small", autonn.softplus, torch.nn.functional.softplus),
    "relu": ("any", autonn.relu, torch.relu),
    "leaky_relu": ("any", ops.leaky_relu, torch.nn.functional.leaky_relu),
    "elu": ("any", ops.elu, torch.nn.functional.elu),
    "gelu": ("any", ops.gelu, torch.nn.functional.gelu),
    "silu": ("any", ops.silu, torch.nn.functional.silu),
    "clip": ("any", lambda x: np.clip(x, -0.7, 0.9), lambda x: torch.clamp(x, -0.7, 0.9)),
    "power 3": ("small", lambda x: x**3, lambda x: x**3),
    "power -1.5": ("positive", lambda x: x**-1.5, lambda x: x**-1.5),
    "power of 2": ("small", lambda x: 2.0**x, lambda x: 2.0**x),
    "where": (
        "any",
        lambda x: np.where(x > 0.1, x, -3 * x),
        lambda x: torch.where(x > 0.1, x, -3 * x),
    ),
}

BINARY: dict[str, tuple[str, str, Callable[..., Any], Callable[..., Any]]] = {
    "add": ("any", "any", np.add, torch.add),
    "subtract": ("any", "any", np.subtract, torch.subtract),
    "multiply": ("any", "any", np.multiply, torch.multiply),
    "divide": ("any", "positive", np.divide, torch.divide),
    "power": ("positive", "small", np.power, torch.pow),
    "maximum": ("any", "any", np.maximum, torch.maximum),
    "minimum": ("any", "any", np.minimum, torch.minimum),
    "hypot": ("positive", "any", np.hypot, torch.hypot),
    "arctan2": ("any", "positive", np.arctan2, torch.arctan2),
    "logaddexp": ("small", "small", np.logaddexp, torch.logaddexp),
}


def frobenius(x: Tensor, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Measure along one axis or two; more are too many for a norm in NumPy."""
    if len(axis) > 2:
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    return np.linalg.norm(x, axis=axis, keepdims=keepdims)


# Reductions take axes, which is a tuple, and keepdims.
REDUCTIONS: dict[str, tuple[str, Callable[..., Any], Callable[..., Any]]] = {
    "sum": ("any", np.sum, lambda x, a, k: torch.sum(x, a, k)),
    "mean": ("any", np.mean, lambda x, a, k: torch.mean(x, a, k)),
    "max": ("any", np.max, lambda x, a, k: torch.amax(x, a, k)),
    "min": ("any", np.min, lambda x, a, k: torch.amin(x, a, k)),
    "var": ("any", np.var, lambda x, a, k: torch.var(x, a, correction=0, keepdim=k)),
    "norm": ("positive", frobenius, lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k)),
    "logsumexp": ("small", ops.logsumexp, lambda x, a, k: torch.logsumexp(x, a, k)),
}

# Functions along one axis.
ALONG: dict[str, tuple[str, Callable[[Any, int], Any], Callable[[Any, int], Any]]] = {
    "prod": ("small", lambda x, a: np.prod(x, axis=a), torch.prod),
    "cumsum": ("any", lambda x, a: np.cumsum(x, axis=a), torch.cumsum),
    "cumprod": ("small", lambda x, a: np.cumprod(x, axis=a), torch.cumprod),
    "softmax": ("small", lambda x, a: ops.softmax(x, axis=a), torch.softmax),
    "log_softmax": ("small", lambda x, a: ops.log_softmax(x, axis=a), torch.log_softmax),
    "norm": (
        "positive",
        lambda x, a: np.linalg.norm(x, axis=a),
        lambda x, a: torch.linalg.vector_norm(x, dim=a),
    ),
    "flip": ("any", np.flip, lambda x, a: torch.flip(x, (a,))),
    "roll": ("any", lambda x, a: np.roll(x, 1, a), lambda x, a: torch.roll(x, 1, a)),
    "repeat": (
        "any",
        lambda x, a: np.repeat(x, 2, a),
        lambda x, a: torch.repeat_interleave(x, 2, a),
    ),
    "swapaxes": ("any", lambda x, a: np.swapaxes(x, a, 0), lambda x, a: torch.swapaxes(x, a, 0)),
    "moveaxis": ("any", lambda x, a: np.moveaxis(x, a, 0), lambda x, a: torch.moveaxis(x, a, 0)),
    "expand_dims": ("any", np.expand_dims, torch.unsqueeze),
    "stack": ("any", lambda x, a: np.stack([x, x * x], a), lambda x, a: torch.stack([x, x * x], a)),
    "split": (
        "any",
        lambda x, a: np.array_split(x, 2, a)[0],
        lambda x, a: torch.tensor_split(x, 2, a)[0],
    ),
    "sort": ("any", np.sort, lambda x, a: torch.sort(x, dim=a, stable=True)[0]),
}


def definite(x: Pair) -> Pair:
    """Make a positive definite matrix: half of x times its transpose, plus two on the diagonal."""
    a, t = x
    eye = 2 * np.eye(a.shape[-2])
    mine = a @ np.swapaxes(a, -1, -2) / 2 + eye
    return mine, t @ torch.swapaxes(t, -1, -2) / 2 + torch.from_numpy(eye)


# Functions of a matrix, or of a stack of them, that is positive definite.
MATRIX: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "inv": (np.linalg.inv, torch.linalg.inv),
    "det": (np.linalg.det, torch.linalg.det),
    "slogdet": (lambda x: np.linalg.slogdet(x)[1], lambda x: torch.linalg.slogdet(x)[1]),
    "solve": (
        lambda x: np.linalg.solve(x, x[..., :1] + 1),
        lambda x: torch.linalg.solve(x, x[..., :1] + 1),
    ),
    "cholesky": (np.linalg.cholesky, lambda x: torch.linalg.cholesky(x)),
    "tril": (np.tril, torch.tril),
    "triu": (lambda x: np.triu(x, 1), lambda x: torch.triu(x, 1)),
    "diagonal": (
        lambda x: np.diagonal(x, 0, -2, -1),
        lambda x: torch.diagonal(x, 0, -2, -1),
    ),
    "einsum": (
        lambda x: np.einsum("...ij,...kj->...ik", x, x),
        lambda x: torch.einsum("...ij,...kj->...ik", x, x),
    ),
    "einsum of a trace": (
        lambda x: np.einsum("...ii->...", x),
        lambda x: torch.einsum("...ii->...", x),
    ),
}

# ---- graphs


def choice(rng: Random, options: Any) -> Any:
    options = list(options)
    return options[rng.integers(len(options))]


def agree(got: Any, want: Array, scale: float, what: str) -> None:
    assert got.shape == want.shape, what
    assert got.dtype == want.dtype == np.float64, what
    error = np.abs(got - want).max(initial=0)
    scale = max(scale, np.abs(want).max(initial=0))
    assert error <= TOLERANCE * scale, f"{what}: {got} instead of {want}"


def fit(x: Pair, domain: str) -> Pair:
    """Bring a value to where an op is defined and tame."""
    a, t = x
    size = np.abs(a.data).max(initial=0)
    if domain == "unit":
        return 0.9 * np.tanh(a), 0.9 * torch.tanh(t)
    if domain == "small" and size > 2:
        return 2 * np.tanh(a), 2 * torch.tanh(t)
    if domain == "positive" and a.data.min(initial=1) < 0.1:
        return a * a + 0.5, t * t + 0.5
    return x


def partner(x: Pair, pool: list[Pair], rng: Random) -> Pair:
    """Find an operand that broadcasts with x: itself or another."""

    def fits(other: Pair) -> bool:
        try:
            return math.prod(np.broadcast_shapes(x[0].shape, other[0].shape)) <= 500
        except ValueError:
            return False

    a, t = choice(rng, filter(fits, pool))
    return a, t


def unary(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    name = choice(rng, UNARY)
    domain, mine, theirs = UNARY[name]
    a, t = fit(choice(rng, pool), domain)
    return name, (mine(a), theirs(t))


def binary(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    name = choice(rng, BINARY)
    left, right, mine, theirs = BINARY[name]
    x = choice(rng, pool)
    pairs = [x, partner(x, pool, rng)]
    (a, t), (b, u) = (pairs[i] for i in rng.permutation(2))
    (a, t), (b, u) = fit((a, t), left), fit((b, u), right)
    return name, (mine(a, b), theirs(t, u))


def reduction(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    name = choice(rng, REDUCTIONS)
    domain, mine, theirs = REDUCTIONS[name]
    a, t = fit(choice(rng, pool), domain)
    axes = tuple(int(i) for i in rng.permutation(a.ndim)[: rng.integers(1, a.ndim + 1)])
    axes = tuple(i - a.ndim if rng.random() < 0.3 else i for i in axes)
    keep = bool(rng.random() < 0.5)
    return name, (mine(a, axis=axes, keepdims=keep), theirs(t, axes, keep))


def along(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    name = choice(rng, ALONG)
    domain, mine, theirs = ALONG[name]
    a, t = fit(choice(rng, pool), domain)
    axis = int(rng.integers(-a.ndim, a.ndim))
    return name, (mine(a, axis), theirs(t, axis))


def shape(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    a, t = choice(rng, pool)
    order = [int(i) for i in rng.permutation(a.ndim)]
    taken = rng.integers(0, a.shape[0], 4)
    n = a.ndim - 1
    ways: dict[str, Pair] = {
        "transpose": (np.transpose(a, order), torch.permute(t, order)),
        "reshape": (np.reshape(a, (-1, a.shape[0])), torch.reshape(t, (-1, a.shape[0]))),
        "broadcast_to": (np.broadcast_to(a, (2, *a.shape)), torch.broadcast_to(t, (2, *a.shape))),
        "tile": (np.tile(a, (2,) * a.ndim), torch.tile(t, (2,) * a.ndim)),
        "squeeze": (np.squeeze(a), torch.squeeze(t)),
        "slice": (a[..., 1:], t[..., 1:]),
        "step": (a[::2], t[::2]),
        "integer": (a[..., -1], t[..., -1]),
        "newaxis": (a[:, None], t[:, None]),
        "repeated rows": (a[taken], t[torch.from_numpy(taken)]),
        "mask": (a[a.data > 0], t[t > 0]),
        "take": (np.take(a, taken, 0), t[torch.from_numpy(taken)]),
        "concatenate": (np.concatenate([a, -a]), torch.cat([t, -t])),
        "pad": (
            np.pad(a, [(0, 0)] * n + [(1, 2)]),
            torch.nn.functional.pad(t, (1, 2)),
        ),
    }
    name = choice(rng, ways)
    return name, ways[name]


def matrices(pool: list[Pair], rng: Random) -> tuple[str, Pair]:
    """Multiply matrices and stacks of them, or decompose them."""
    a, t = fit(choice(rng, pool), "small")
    if a.ndim == 1:
        return "inner", (a @ a, t @ t)
    if rng.random() < 0.3:
        row = a[..., 0, :], t[..., 0, :]
        if row[0].ndim == 1:
            return "matrix by vector", (a @ row[0], t @ row[1])
    gram = definite((a, t))
    if rng.random() < 0.4:
        rule = "...a,...b->...ab"
        outer = np.einsum(rule, a[..., 0], a[..., -1]), torch.einsum(rule, t[..., 0], t[..., -1])
        named = {"x @ x.T": gram, "outer": outer}
        name = choice(rng, named)
        return name, named[name]
    name = choice(rng, MATRIX)
    mine, theirs = MATRIX[name]
    return name, (mine(gram[0]), theirs(gram[1]))


def leaf(rng: Random) -> Pair:
    sides = tuple(int(n) for n in rng.choice([1, 2, 3, 4], rng.integers(1, 4)))
    values = rng.uniform(-2, 2, sides)
    theirs = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    return Tensor(values, requires_grad=True), theirs


def grow(rng: Random) -> tuple[list[Pair], list[Pair], set[str]]:
    """Grow a graph of both kinds; compare each value; return the leaves, all nodes, the ops."""
    leaves = [leaf(rng) for _ in range(rng.integers(1, 4))]
    pool, used = list(leaves), set()
    for _ in range(rng.integers(3, 13)):
        step = choice(rng, (unary, unary, binary, binary, reduction, along, shape, matrices))
        name, (a, t) = step(pool, rng)
        agree(a.data, t.detach().numpy(), 1.0, f"value of {name}")
        used.add(name)
        if np.abs(a.data).max(initial=0) > 30:
            a, t = np.tanh(a), torch.tanh(t)
        if a.ndim and 0 < a.size <= 200 and a.ndim <= 4:
            pool.append((a, t))
    return leaves, pool, used


def compare(seed: int) -> set[str]:
    rng = np.random.default_rng(seed)
    leaves, pool, used = grow(rng)
    mine: Any = 0.0
    theirs: Any = 0.0
    for a, t in pool[-3:]:
        w = rng.standard_normal(a.shape)
        mine, theirs = mine + np.sum(w * a), theirs + torch.sum(torch.tensor(w) * t)
    agree(mine.data, theirs.detach().numpy(), 1e3, f"value of graph {seed}")
    mine.backward()
    theirs.backward()
    want = [np.zeros(a.shape) if t.grad is None else t.grad.numpy() for a, t in leaves]
    got = [np.zeros(a.shape) if a.grad is None else a.grad for a, _ in leaves]
    scale = max(1.0, *(np.abs(g).max() for g in want))
    for k in range(len(leaves)):
        agree(got[k], want[k], scale, f"gradient of leaf {k} of graph {seed} ({sorted(used)})")
    return used


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_graphs_have_the_values_and_gradients_of_torch(batch: int) -> None:
    for seed in range(batch, GRAPHS, BATCHES):
        compare(seed)


def test_every_op_is_drawn_again_and_again() -> None:
    """A graph drawn at random is worth something only if the draw reaches everything."""
    drawn = set().union(*(compare(10**6 + seed) for seed in range(400)))
    assert {*UNARY, *BINARY, *REDUCTIONS, *ALONG, *MATRIX} <= drawn
