"""The ops of random graphs, each once on Tensors and once on the nodes of the naive engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles.naive import Node, arrange, exp, formula, log, matmul, sigmoid, sin, sum_over, tanh
from scipy import special

import autonn
from autonn import Tensor
from autonn.engine import ops

Array = NDArray[Any]

MINUS = Node(-1)
ONE = Node(1)


def constant(x: Node, values: Any) -> Node:
    return Node(np.broadcast_to(values, x.value.shape))


def choose(mask: Any, x: Node, y: Node) -> Node:
    return arrange([x, y], lambda p, q: np.where(mask, p, q))


def larger(x: Node, y: Node, sign: int = 1) -> Node:
    """Give the larger of two, half of each where they are equal; the smaller for sign -1."""
    d = sign * (x.value - y.value)
    return Node((d > 0) + 0.5 * (d == 0)) * x + Node((d < 0) + 0.5 * (d == 0)) * y


def masked(f: Callable[[Any], Any]) -> Callable[[Tensor], Any]:
    """Apply f everywhere and keep it where it is defined, the idiom that needs 0 x inf = 0."""

    def on_tensors(x: Tensor) -> Any:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inner = f(x)
        return np.where(x.data > 0.1, inner, 0)

    return on_tensors


def masked_node(f: Callable[[Node], Node]) -> Callable[[Node], Node]:
    def on_nodes(x: Node) -> Node:
        mask = x.value > 0.1
        return choose(mask, f(choose(mask, x, constant(x, 1))), constant(x, 0))

    return on_nodes


def abs_node(x: Node) -> Node:
    return Node(np.sign(x.value)) * x


softplus = formula(lambda a: np.logaddexp(a, 0), sigmoid)
arctan = formula(np.arctan, lambda x: (ONE + x**2) ** -1)
erf = formula(special.erf, lambda x: Node(2 / np.sqrt(np.pi)) * exp(MINUS * x**2))
# Each with what its argument has to be: "any", "small" (within -3 and 3) or "positive" (over 0.1).
UNARY: dict[str, tuple[str, Callable[[Any], Any], Callable[[Node], Node]]] = {
    "negative": ("any", np.negative, lambda x: MINUS * x),
    "positive": ("any", np.positive, lambda x: ONE * x),
    "square": ("any", np.square, lambda x: x**2),
    "absolute": ("any", abs, abs_node),
    "sign": ("any", np.sign, lambda x: Node(np.sign(x.value))),
    "floor": ("any", np.floor, lambda x: Node(np.floor(x.value))),
    "sqrt": ("positive", np.sqrt, lambda x: x**0.5),
    "exp": ("small", np.exp, exp),
    "expm1": ("small", np.expm1, lambda x: exp(x) + MINUS),
    "log": ("positive", np.log, log),
    "log1p": ("positive", np.log1p, lambda x: log(ONE + x)),
    "sin": ("any", np.sin, sin),
    "cos": ("any", np.cos, lambda x: sin(x + Node(np.pi / 2))),
    "arctan": ("any", np.arctan, arctan),
    "sinh": ("small", np.sinh, lambda x: Node(0.5) * (exp(x) + MINUS * exp(MINUS * x))),
    "tanh": ("any", np.tanh, tanh),
    "reciprocal": ("positive", np.reciprocal, lambda x: x**-1),
    "power 0": ("any", lambda x: x**0, lambda x: x**0),
    "power 0.0": ("any", lambda x: np.power(x, 0.0), lambda x: x**0),
    "power 1": ("any", lambda x: x**1, lambda x: x**1),
    "power 3": ("small", lambda x: x**3, lambda x: x**3),
    "power -1.5": ("positive", lambda x: x**-1.5, lambda x: x**-1.5),
    "power of 2": ("small", lambda x: 2.0**x, lambda x: exp(Node(np.log(2)) * x)),
    "sigmoid": ("any", autonn.sigmoid, sigmoid),
    "log_sigmoid": ("any", autonn.log_sigmoid, lambda x: MINUS * softplus(MINUS * x)),
    "softplus": ("any", autonn.softplus, softplus),
    "relu": ("any", autonn.relu, lambda x: Node(x.value > 0) * x),
    "erf": ("any", special.erf, erf),
    "clip": (
        "any",
        lambda x: np.clip(x, -0.5, 1),
        lambda x: choose((x.value >= -0.5) & (x.value <= 1), x, Node(np.clip(x.value, -0.5, 1))),
    ),
    "log where positive": ("any", masked(np.log), masked_node(log)),
    "sqrt where positive": ("any", masked(np.sqrt), masked_node(lambda x: x**0.5)),
    "1 / x where positive": ("any", masked(lambda x: 1 / x), masked_node(lambda x: x**-1)),
}

BINARY: dict[str, tuple[str, str, Callable[..., Any], Callable[[Node, Node], Node]]] = {
    "add": ("any", "any", np.add, lambda x, y: x + y),
    "subtract": ("any", "any", np.subtract, lambda x, y: x + MINUS * y),
    "multiply": ("any", "any", np.multiply, lambda x, y: x * y),
    "divide": ("any", "positive", np.divide, lambda x, y: x * y**-1),
    "power": ("positive", "small", np.power, lambda x, y: exp(y * log(x))),
    "maximum": ("any", "any", np.maximum, larger),
    "minimum": ("any", "any", np.minimum, lambda x, y: larger(x, y, -1)),
    "logaddexp": (
        "any",
        "any",
        np.logaddexp,
        lambda x, y: x + softplus(y + MINUS * x),
    ),
}


def mean_node(x: Node, axes: tuple[int, ...]) -> Node:
    return sum_over(x, axes) * Node(1 / math.prod(x.value.shape[a] for a in axes))


def extreme(best: Callable[..., Any]) -> Callable[[Node, tuple[int, ...]], Node]:
    def on_nodes(x: Node, axes: tuple[int, ...]) -> Node:
        hit = x.value == best(x.value, axis=axes, keepdims=True)
        return sum_over(Node(hit / hit.sum(axis=axes, keepdims=True)) * x, axes)

    return on_nodes


def prod_node(x: Node, axes: tuple[int, ...]) -> Node:
    """Multiply slice by slice, as one would by hand."""
    for axis in axes:
        result = constant(sum_over(x, axis), 1)
        for k in range(x.value.shape[axis]):
            result = result * arrange([x], lambda n, k=k, axis=axis: n.take([k], axis))
        x = result
    return x


def var_node(x: Node, axes: tuple[int, ...]) -> Node:
    return mean_node((x + MINUS * mean_node(x, axes)) ** 2, axes)


REDUCTIONS: dict[str, tuple[str, Callable[..., Any], Callable[[Node, tuple[int, ...]], Node]]] = {
    "sum": ("any", np.sum, sum_over),
    "mean": ("any", np.mean, mean_node),
    "max": ("any", np.max, extreme(np.max)),
    "min": ("any", np.min, extreme(np.min)),
    "prod": ("small", np.prod, prod_node),
    "var": ("any", np.var, var_node),
    "norm": ("positive", np.linalg.norm, lambda x, axes: sum_over(x**2, axes) ** 0.5),
    "logsumexp": ("small", ops.logsumexp, lambda x, axes: log(sum_over(exp(x), axes))),
}


def triangle(x: Node, below: Node) -> Node:
    """Make of (..., n) the matrices (..., n, n) that hold x up to the diagonal."""
    n = x.value.shape[-1]
    wide = arrange([x], lambda p: np.broadcast_to(p[..., None, :], (*p.shape[:-1], n, n)))
    return choose(np.tri(n, dtype=bool), wide, below)


def without(x: Node, axis: int) -> Node:
    return arrange([x], lambda n: np.squeeze(n, axis))


def cumsum_node(x: Node) -> Node:
    return without(sum_over(triangle(x, Node(0)), -1), -1)


def cumprod_node(x: Node) -> Node:
    return without(prod_node(triangle(x, ONE), (-1,)), -1)


def softmax_node(x: Node) -> Node:
    return exp(x) * sum_over(exp(x), -1) ** -1


# What keeps the shape, of arguments with at least one axis, and works along the last.
ALONG: dict[str, tuple[str, Callable[[Any], Any], Callable[[Node], Node]]] = {
    "cumsum": ("any", lambda x: np.cumsum(x, axis=-1), cumsum_node),
    "cumprod": ("small", lambda x: np.cumprod(x, axis=-1), cumprod_node),
    "softmax": ("small", ops.softmax, softmax_node),
}


# ---- what is drawn

SHAPES = [(), (1,), (3,), (2, 3), (3, 3), (3, 1), (1, 3), (2, 1, 3), (2, 3, 3), (1, 1, 1)]
EMPTY = [(0,), (0, 3), (2, 0)]
ANY = st.integers(0, 2**16)  # read modulo the number of choices
SEED = st.integers(0, 2**32 - 1)


def one_of(options: Any, k: int) -> Any:
    options = list(options)
    return options[k % len(options)]


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, others: Array) -> Array:
    """Draw numbers, 30 % of them where gradients break: at kinks, at ties, at the tiny."""
    info = np.finfo(dtype)
    special_points = [0.0, -0.0, 1, -1, 0.5, -0.5, info.eps, -info.eps, info.tiny, -info.tiny]
    ties = rng.choice(others, 6)
    points = np.array([*special_points, info.smallest_subnormal, *ties], dtype)
    drawn = np.where(rng.random(shape) < 0.3, rng.choice(points, shape), rng.uniform(-2, 2, shape))
    return np.array(drawn, dtype)


def indices(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Draw an index: slices, integers, new axes, and integer arrays, which often repeat."""
    keys: list[Any] = []
    length = rng.integers(1, 5)
    for n in shape[: rng.integers(1, 4)]:
        kinds: list[Any] = [slice(None), slice(None, None, -1), slice(1, None), slice(0, n, 2)]
        if n:
            kinds += [int(rng.integers(-n, n)), *(rng.integers(-n, n, length) for _ in range(3))]
        keys.append(kinds[rng.integers(len(kinds))])
    if rng.random() < 0.3:
        keys.insert(int(rng.integers(len(keys) + 1)), None)
    return (*keys, ...) if rng.random() < 0.3 else tuple(keys)


def moves(shape: tuple[int, ...], rng: np.random.Generator) -> list[Callable[[Any], Any]]:
    """List ways to move the elements of one array, the same for Tensors and for arrays."""
    rank, axes = len(shape), [int(a) for a in rng.permutation(len(shape))]
    ways: list[Callable[[Any], Any]] = [
        lambda a: np.transpose(a),
        lambda a: np.transpose(a, axes),
        lambda a: np.reshape(a, (-1,)) if a.size else np.reshape(a, (0,)),
        lambda a: np.expand_dims(a, 0),
        lambda a: np.broadcast_to(a, (2, *shape)),
        lambda a: np.squeeze(a),
        lambda a: np.stack([a, a]),
        lambda a: np.ravel(a),
    ]
    if rank:
        axis = axes[0]
        taken = rng.integers(0, max(shape[axis], 1), 4)
        ways += [
            lambda a: np.swapaxes(a, axis, -1),
            lambda a: np.flip(a, axis),
            lambda a: np.roll(a, 1, axis),
            lambda a: np.repeat(a, 2, axis),
            lambda a: np.tile(a, (2, 1)),
            lambda a: np.concatenate([a, a], axis),
            lambda a: np.moveaxis(a, axis, 0),
        ]
        if shape[axis]:
            ways.append(lambda a: np.take(a, taken, axis))
    if rank > 1:
        ways.append(lambda a: np.diagonal(a))
    return ways


def moved(how: Callable[..., Any]) -> Callable[..., Node]:
    return lambda *nodes: arrange(nodes, how)


# ---- what fits together


def broadcasts(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def joins(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> bool:
    return len(a) == len(b) and all(a[i] == b[i] for i in range(len(a)) if i != axis)


def gram(x: Any) -> Any:
    return x @ np.swapaxes(x, -1, -2)


def gram_node(x: Node) -> Node:
    return matmul(x, arrange([x], lambda n: np.swapaxes(n, -1, -2)))


def multiplies(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    if not a or not b or a[-1] != b[-2:][0]:
        return False
    return broadcasts(a[:-2], b[:-2])
