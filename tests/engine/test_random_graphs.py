"""Nobody thinks of every graph: a machine grows them, and a naive engine must agree on each.

Each step is done twice, by autonn and by the naive engine of `naive.py`. After an op its value is
compared, and then made equal to the last bit, so that ties and kinks fall alike on both sides.
"""

from __future__ import annotations

import contextlib
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
from oracles.naive import Node, arrange, gradients, matmul, sum_over
from tools.graph_ops import (
    ALONG,
    ANY,
    BINARY,
    EMPTY,
    REDUCTIONS,
    SEED,
    SHAPES,
    UNARY,
    broadcasts,
    choose,
    gram,
    gram_node,
    indices,
    joins,
    moved,
    moves,
    multiplies,
    numbers,
    one_of,
)
from tools.planting import planted
from tools.profiles import THOROUGH

from autonn import Tensor, no_grad
from autonn.engine.backward import backpropagate, pull_back
from autonn.engine.lineage import age_of
from autonn.engine.tensor import values_of

Array = NDArray[Any]
STEPS = 40
LARGEST = 50.0  # a value beyond it is squashed
POOL = 12  # tensors that may be used again


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
        elif domains[1] == "small":  # 40 to the power of 40 is too much for float32
            values = np.array(np.clip(values, -3, 3), self.dtype)
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

    @rule(k=ANY, seed=SEED, chosen=st.lists(ANY, max_size=3))
    def both_passes(self, k: int, seed: int, chosen: list[int]) -> None:
        """Run the pass to be read and the tuned one: to the leaves, and to tensors in between."""
        root = self.pair(k).tensor
        if not root.requires_grad:
            return
        weights = self.draw(root.shape, seed)
        behind = [self.pair(i).tensor for i in chosen]
        leaves = [leaf.tensor for leaf in self.leaves if leaf.tensor.requires_grad]
        inner = {age_of(t): t for t in (*behind, *leaves) if getattr(t, "requires_grad", False)}
        for wanted in (None, list(inner.values())):
            for beyond in (True, False):
                self.assert_passes_agree(root, weights, wanted, beyond)

    def assert_passes_agree(
        self, root: Tensor, weights: Array, wanted: list[Tensor] | None, beyond: bool
    ) -> None:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where() drops inf
            tuned = backpropagate([(root, weights)], retain=True, wanted=wanted, beyond=beyond)
            try:
                plain = pull_back([(root, Tensor(weights))], wanted, beyond=beyond)
            except RuntimeError as error:
                if "got new data" not in str(error):
                    raise
                return  # rightly, as the second order shows
        found = {age_of(tensor): g for tensor, g in tuned}
        expected = {age_of(tensor): values_of(g) for tensor, g in plain}
        assert len(found) == len(tuned)
        assert set(found) == set(expected)
        scale = max((np.abs(g).max(initial=0) for g in expected.values()), default=1.0)
        for age, g in expected.items():
            self.assert_close(found[age], g, scale, "the tuned pass")

    def teardown(self) -> None:
        for k in range(min(2, len(self.pool))):
            self.both_passes(k, k, [k + 1, k + 2])
            self.first_order(k, k, False)
            self.second_order(k, k)


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


WRONG: list[tuple[str, int, Callable[..., Any]]] = [
    ("multiply", 1, off_by_little),
    ("matmul", 0, lambda d, *args: -d),
    ("getitem", 0, last_one_wins),
    ("matmul", 0, cut_off),
]
if THOROUGH:  # ties are rare: it takes as long as all the others
    WRONG.append(("maximum", 0, lambda d, g, z, x, y: np.where(x >= y, g, 0)))


@pytest.mark.parametrize(("op", "position", "wrong"), WRONG)
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
    with (
        planted(op, position, wrong),
        pytest.raises(AssertionError, match=r"gradient of leaf|the tuned pass"),
    ):
        run_state_machine_as_test(Graphs, settings=hurried)


def test_the_machine_catches_a_pass_that_goes_on_where_it_should_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it would in one of both passes alone."""
    right = pull_back
    monkeypatch.setitem(
        vars(Graphs)["assert_passes_agree"].__globals__,
        "pull_back",
        lambda roots, wanted, beyond: right(roots, wanted),
    )
    hurried = settings(
        max_examples=100, stateful_step_count=STEPS, phases=[Phase.generate], derandomize=True,
        database=None, report_multiple_bugs=False,
    )  # fmt: skip
    with pytest.raises(AssertionError, match=r"tuned pass|== \{"):
        run_state_machine_as_test(Graphs, settings=hurried)
