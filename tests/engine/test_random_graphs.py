"""Nobody thinks of every graph: a machine grows them, and a naive engine must agree on each.

Each step is done twice, by autonn and by the naive engine of `naive.py`. After an op its value is
compared, and then made equal to the last bit, so that ties and kinks fall alike on both sides.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from numpy.typing import NDArray
from oracles.naive import (
    Node,
    arrange,
    exp,
    formula,
    gradients,
    log,
    matmul,
    sigmoid,
    sin,
    sum_over,
    tanh,
)
from scipy import special
from tools.planting import planted

import autonn
from autonn import Tensor, no_grad
from autonn.engine import ops

Array = NDArray[Any]
STEPS = 40
LARGEST = 50.0  # a value beyond it is squashed
POOL = 12  # tensors that may be used again

# ---- the ops, once on Tensors and once on Nodes

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


# ---- the machine


@dataclass(eq=False)
class Pair:
    """One value in both engines; the Tensor may be an array or a number that has no gradient."""

    tensor: Any
    node: Node


@dataclass(eq=False)
class Leaf:
    """A leaf, what it was in the course of time, and its array as somebody else may hold it."""

    tensor: Tensor
    versions: list[Node]
    alias: Array | None = None


class Graphs(RuleBasedStateMachine):
    """Grow a graph in both engines."""

    dtype: Any = np.float64
    tolerance = 1e-10

    def __init__(self) -> None:
        super().__init__()
        self.pool: list[Pair] = []
        self.leaves: list[Leaf] = []
        self.drops = 0

    def pair(self, k: int) -> Pair:
        return self.pool[-1 - k % len(self.pool)]

    def assert_close(self, got: Any, want: Array, scale: float, what: str) -> None:
        assert got.dtype == self.dtype, what
        assert got.shape == want.shape, what
        error = np.abs(got - want).max(initial=0)
        scale = max(scale, np.abs(want).max(initial=0))
        assert error <= self.tolerance * scale, f"{what}: {got} instead of {want}"

    def apply(
        self,
        name: str,
        on_tensors: Callable[..., Any],
        on_nodes: Callable[..., Node],
        *pairs: Pair,
        recording: bool = True,
    ) -> Pair:
        with contextlib.nullcontext() if recording else no_grad():
            tensor = on_tensors(*(p.tensor for p in pairs))
        node = on_nodes(*(p.node for p in pairs))
        assert isinstance(tensor, Tensor), name
        tracked = any(getattr(p.tensor, "requires_grad", False) for p in pairs)
        assert tensor.requires_grad == (tracked and recording), name
        value = tensor.numpy()
        self.assert_close(value, node.value, 1.0, f"value of {name}")
        if recording:
            node.value = value.astype(float)
        else:
            node = Node(value)
        return Pair(tensor, node)

    def named(self, table: dict[str, Any], name: str, *pairs: Pair, recording: bool = True) -> Pair:
        return self.apply(name, *table[name][-2:], *pairs, recording=recording)

    def fit(self, pair: Pair, domain: str) -> Pair:
        """Bring a value to where an op is defined and tame."""
        values = pair.node.value
        half = Pair(0.5, Node(0.5))
        if domain == "small" and np.abs(values).max(initial=0) > 3:
            return self.named(UNARY, "tanh", pair)
        if domain == "positive" and values.min(initial=1) < 0.1:
            return self.named(BINARY, "add", self.named(UNARY, "square", pair), half)
        return pair

    def keep(self, pair: Pair) -> None:
        if np.abs(pair.node.value).max(initial=0) > LARGEST:
            pair = self.named(UNARY, "tanh", pair)
        if pair.node.value.ndim <= 4 and pair.node.value.size <= 64:
            self.pool.append(pair)
        if len(self.pool) > POOL:
            self.drops += 1
            del self.pool[self.drops * 5 % POOL]

    # ---- rules that grow it

    @initialize(seed=SEED, k=ANY, shape=st.sampled_from(SHAPES[1:]))
    def first_leaf(self, seed: int, k: int, shape: tuple[int, ...]) -> None:
        self.leaf(shape, seed, True)

    @rule(seed=SEED, shape=st.sampled_from(SHAPES * 2 + EMPTY), wanted=st.booleans())
    def another_leaf(self, seed: int, shape: tuple[int, ...], wanted: bool) -> None:
        self.leaf(shape, seed, wanted)

    def leaf(self, shape: tuple[int, ...], seed: int, wanted: bool) -> None:
        values = self.draw(shape, seed)
        tensor = Tensor(values, requires_grad=wanted)
        node = Node(values)
        self.leaves.append(Leaf(tensor, [node]))
        self.pool.append(Pair(tensor, node))

    def draw(self, shape: tuple[int, ...], seed: int) -> Array:
        others = np.concatenate([np.zeros(1), *(p.node.value.ravel() for p in self.pool)])
        return numbers(np.random.default_rng(seed), shape, self.dtype, others)

    @rule(name=st.sampled_from(sorted(UNARY)), k=ANY)
    def unary(self, name: str, k: int) -> None:
        self.keep(self.named(UNARY, name, self.fit(self.pair(k), UNARY[name][0])))

    @rule(name=st.sampled_from(sorted(UNARY)), k=ANY, seed=SEED)
    def without_recording(self, name: str, k: int, seed: int) -> None:
        """Cut the graph: by an op in no_grad, by a view made there, or by detach()."""
        pair = self.pair(k)
        if seed % 3 == 0:
            pair = self.fit(pair, UNARY[name][0])
            self.keep(self.named(UNARY, name, pair, recording=False))
        elif seed % 3 == 1:
            how = one_of(moves(pair.tensor.shape, np.random.default_rng(seed)), seed)
            self.keep(self.apply("move", how, moved(how), pair, recording=False))
        else:
            self.keep(Pair(pair.tensor.detach(), Node(pair.node.value)))

    @rule(name=st.sampled_from(sorted(BINARY)), k=ANY, other=ANY, swap=st.booleans())
    def binary(self, name: str, k: int, other: int, swap: bool) -> None:
        x = self.pair(k)
        fitting = [p for p in self.pool if broadcasts(p.tensor.shape, x.tensor.shape)]
        pairs = [x, one_of(fitting, other)]
        if swap:
            pairs.reverse()
        domains = BINARY[name][:2]
        fitted = [self.fit(p, d) for p, d in zip(pairs, domains, strict=True)]
        self.keep(self.named(BINARY, name, *fitted))

    @rule(name=st.sampled_from(sorted(BINARY)), k=ANY, seed=SEED, kind=ANY, swap=st.booleans())
    def beside_a_constant(self, name: str, k: int, seed: int, kind: int, swap: bool) -> None:
        """Take an array or a Python number for one operand, and change the array afterwards."""
        x = self.pair(k)
        values = self.draw(x.tensor.shape[kind % 2 :], seed)
        if values.shape == x.tensor.shape:  # ties, where maximum and minimum share the gradient
            tied = np.random.default_rng(seed + 1).random(values.shape) < 0.2
            values = np.where(tied, x.tensor.numpy(), values)
        domains = list(BINARY[name][:2])[:: -1 if swap else 1]
        if domains[1] == "positive":
            values = np.array(np.abs(values) + 0.5, self.dtype)
        given = float(values.flat[0]) if kind % 3 == 0 and values.size else values
        pairs = [self.fit(x, domains[0]), Pair(given, Node(given))]
        result = self.named(BINARY, name, *(pairs[::-1] if swap else pairs))
        values[...] = 7
        self.keep(result)

    @rule(k=ANY, other=ANY)
    def product_of_matrices(self, k: int, other: int) -> None:
        x = self.pair(k)
        fitting = [p for p in self.pool if multiplies(x.tensor.shape, p.tensor.shape)]
        if fitting:
            self.keep(self.apply("matmul", np.matmul, matmul, x, one_of(fitting, other)))

    @rule(k=ANY)
    def product_with_its_own_transpose(self, k: int) -> None:
        x = self.pair(k)
        if x.tensor.ndim > 1:
            self.keep(self.apply("x @ x.T", gram, gram_node, x))

    @rule(name=st.sampled_from(sorted(REDUCTIONS)), k=ANY, axis=ANY, keepdims=st.booleans())
    def reduction(self, name: str, k: int, axis: int, keepdims: bool) -> None:
        domain, on_tensors, on_nodes = REDUCTIONS[name]
        x = self.fit(self.pair(k), domain)
        rank = x.tensor.ndim
        choices: list[Any] = [None, *range(-rank, rank)]
        if rank > 1 and name != "norm":
            choices.append((0, -1))
        chosen = one_of(choices, axis)
        axes = tuple(np.arange(rank)[list(np.atleast_1d(chosen))]) if chosen is not None else None
        axes = tuple(range(rank)) if axes is None else tuple(int(a) for a in axes)
        if name not in ("sum", "prod") and not all(x.tensor.shape[a] for a in axes):
            return
        self.keep(
            self.apply(
                name,
                lambda a: on_tensors(a, axis=chosen, keepdims=keepdims),
                lambda n: arrange(
                    [on_nodes(n, axes)], lambda p: p if keepdims else np.squeeze(p, axes)
                ),
                x,
            )
        )

    @rule(name=st.sampled_from(sorted(ALONG)), k=ANY)
    def along_the_last_axis(self, name: str, k: int) -> None:
        x = self.pair(k)
        if x.tensor.ndim and x.tensor.size:
            self.keep(self.named(ALONG, name, self.fit(x, ALONG[name][0])))

    @rule(k=ANY, seed=SEED)
    def move(self, k: int, seed: int) -> None:
        x = self.pair(k)
        how = one_of(moves(x.tensor.shape, np.random.default_rng(seed)), seed)
        self.keep(self.apply("move", how, moved(how), x))

    @rule(k=ANY, seed=SEED)
    def index(self, k: int, seed: int) -> None:
        x = self.pair(k)
        key = indices(x.tensor.shape, np.random.default_rng(seed))
        how = lambda a: a[key]  # noqa: E731
        self.keep(self.apply("index", how, moved(how), x))

    @rule(k=ANY, other=ANY, seed=SEED)
    def where(self, k: int, other: int, seed: int) -> None:
        x = self.pair(k)
        y = one_of([p for p in self.pool if broadcasts(p.tensor.shape, x.tensor.shape)], other)
        shape = np.broadcast_shapes(x.tensor.shape, y.tensor.shape)
        mask = np.random.default_rng(seed).random(shape) < 0.5
        how = lambda p, q: np.where(mask.copy(), p, q)  # noqa: E731
        self.keep(self.apply("where", how, moved(how), x, y))

    @rule(name=st.sampled_from(["maximum", "minimum"]), k=ANY, seed=SEED)
    def ties(self, name: str, k: int, seed: int) -> None:
        """Compare a value with one that equals it in places: by chance two seldom do."""
        x = self.pair(k)
        others = Node(self.draw(x.tensor.shape, seed))
        mask = np.random.default_rng(seed).random(x.tensor.shape) < 0.5
        y = self.apply(
            "where",
            lambda a: np.where(mask, a, others.value.astype(self.dtype)),
            lambda n: choose(mask, n, others),
            x,
        )
        self.keep(self.named(BINARY, name, x, y))

    @rule(k=ANY, others=st.lists(ANY, min_size=1, max_size=2), axis=ANY)
    def concatenate(self, k: int, others: list[int], axis: int) -> None:
        x = self.pair(k)
        if not x.tensor.ndim:
            return
        axis %= x.tensor.ndim
        fitting = [p for p in self.pool if joins(p.tensor.shape, x.tensor.shape, axis)]
        pairs = [x, *(one_of(fitting, i) for i in others)]
        how = lambda *parts: np.concatenate(parts, axis=axis)  # noqa: E731
        self.keep(self.apply("concatenate", how, moved(how), *pairs))

    @precondition(lambda self: len(self.pool) > 3)
    @rule(k=ANY)
    def drop(self, k: int) -> None:
        self.pool.remove(self.pair(k))

    @rule(k=ANY, way=st.sampled_from(["fill", "assign", "scale", "alias"]), seed=SEED)
    def change_a_leaf(self, k: int, way: str, seed: int) -> None:
        leaf = one_of(self.leaves, k)
        new = self.draw(leaf.tensor.shape, seed)
        if way == "fill":
            leaf.alias = leaf.tensor.data
            leaf.alias[...] = new
        elif way == "assign":
            leaf.tensor.data = new
            new[...] = 7
        elif way == "scale":
            leaf.tensor.data *= 0.5
        elif leaf.alias is not None:
            with contextlib.suppress(ValueError):  # read-only while a graph needs it
                leaf.alias[...] = new
        node = Node(leaf.tensor.numpy())
        leaf.versions.append(node)
        for pair in self.pool:
            if pair.tensor is leaf.tensor:
                pair.node = node

    # ---- what has to agree

    @invariant()
    def recorded_values_stay(self) -> None:
        for pair in self.pool:
            assert np.array_equal(pair.tensor.numpy(), pair.node.value)

    def collected(self) -> list[Any]:
        """Take the gradients of all leaves and leave none behind."""
        gradients = []
        for leaf in self.leaves:
            g, leaf.tensor.grad = leaf.tensor.grad, None
            assert g is None or leaf.tensor.requires_grad
            gradients.append(np.zeros(leaf.tensor.shape, self.dtype) if g is None else g)
        return gradients

    def wanted(self, root: Node) -> tuple[list[Node], float]:
        """Differentiate by every leaf: by all that it has been."""
        flat = [v for leaf in self.leaves for v in leaf.versions]
        found, scale = gradients(root, flat)
        parts = iter(found)
        sums = []
        for leaf in self.leaves:
            total = Node(np.zeros(leaf.tensor.shape))
            for _ in leaf.versions:
                total = total + next(parts)
            sums.append(total if leaf.tensor.requires_grad else Node(np.zeros(total.value.shape)))
        return sums, scale

    def assert_gradients(self, got: list[Any], want: list[Node], scale: float, order: str) -> None:
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            array = g.data if isinstance(g, Tensor) else g
            self.assert_close(array, w.value, scale, f"{order} gradient of leaf {k}")

    @rule(k=ANY, seed=SEED, spend=st.booleans())
    def first_order(self, k: int, seed: int, spend: bool) -> None:
        pair = self.pair(k)
        weights = self.draw(pair.tensor.shape, seed)
        if not pair.tensor.requires_grad:
            with pytest.raises(RuntimeError, match="requires_grad=True"):
                pair.tensor.backward(weights)
            return
        want, scale = self.wanted(sum_over(Node(weights) * pair.node, None))
        pair.tensor.backward(weights, retain_graph=True)
        got = self.collected()
        self.assert_gradients(got, want, scale, "first")
        root = np.sum(pair.tensor * weights)
        root.backward(retain_graph=True)
        root.backward(retain_graph=not spend)
        for once, twice in zip(got, self.collected(), strict=True):
            assert np.array_equal(twice, once + once)
        if spend:
            with pytest.raises(RuntimeError, match="freed"):
                root.backward()
            first = Pair(self.leaves[0].tensor, self.leaves[0].versions[-1])
            self.pool = [p for p in self.pool if p.tensor.is_leaf] or [first]

    @rule(k=ANY, seed=SEED)
    def second_order(self, k: int, seed: int) -> None:
        pair = self.pair(k)
        if not pair.tensor.requires_grad:
            return
        weights = self.draw(pair.tensor.shape, seed)
        refused = False
        try:
            pair.tensor.backward(weights, create_graph=True)
        except RuntimeError as error:
            refused = "got new data" in str(error)
            if not refused:
                raise
        if refused:  # rightly so only where a leaf was changed
            assert any(len(leaf.versions) > 1 for leaf in self.leaves)
            return
        got = self.collected()
        want, scale = self.wanted(sum_over(Node(weights) * pair.node, None))
        self.assert_gradients(got, want, scale, "first")
        again = [self.draw(leaf.tensor.shape, seed + i) for i, leaf in enumerate(self.leaves)]
        root = sum(np.sum(g * v) for g, v in zip(got, again, strict=True))
        if isinstance(root, Tensor) and root.requires_grad:
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where() drops inf
                root.backward(retain_graph=True)
        node = Node(0)
        for g, v in zip(want, again, strict=True):
            node = node + sum_over(g * Node(v), None)
        second, larger_scale = self.wanted(node)
        self.assert_gradients(self.collected(), second, larger_scale * scale, "second")

    def teardown(self) -> None:
        for k in range(min(2, len(self.pool))):
            self.first_order(k, k, False)
            self.second_order(k, k)


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


class SingleGraphs(Graphs):
    """The same in single precision: whatever leaks float64 shows."""

    dtype = np.float32
    tolerance = 1e-3


TestRandomGraphs = Graphs.TestCase
TestRandomGraphs.settings = settings(stateful_step_count=STEPS)
TestRandomGraphsOfFloat32 = SingleGraphs.TestCase
TestRandomGraphsOfFloat32.settings = settings(stateful_step_count=STEPS)


# ---- the machine is tested too


def off_by_little(d: Any, *args: Any) -> Any:
    return d * (1 + 1e-8)


def cut_off(d: Any, *args: Any) -> Any:
    """Give the right numbers, and no gradient of the gradient."""
    return d.detach() if isinstance(d, Tensor) else d


def last_one_wins(d: Any, g: Any, z: Any, x: Any, key: Any) -> Any:
    """Forget to add where an index repeats."""
    if isinstance(g, Tensor):
        return d
    d = np.zeros(x.shape, g.dtype)
    d[key] = g
    return d


@pytest.mark.parametrize(
    ("op", "position", "wrong"),
    [
        ("multiply", 1, off_by_little),
        ("matmul", 0, lambda d, *args: -d),
        ("getitem", 0, last_one_wins),
        ("maximum", 0, lambda d, g, z, x, y: np.where(x >= y, g, 0)),
        ("matmul", 0, cut_off),
    ],
)
def test_the_machine_catches_a_wrong_rule(
    op: str, position: int, wrong: Callable[..., Any]
) -> None:
    hurried = settings(
        max_examples=500,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
    )
    with planted(op, position, wrong), pytest.raises(AssertionError, match="gradient of leaf"):
        run_state_machine_as_test(Graphs, settings=hurried)
