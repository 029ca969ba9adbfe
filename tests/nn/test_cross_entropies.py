"""The cross-entropies in full: several predictions an example, and what may be said of classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import costs
from tools.directions import check_along
from tools.refusals import assert_refused

from autonn import (
    CrossEntropy,
    Embedding,
    Layer,
    Sequential,
    Softmax,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    fit,
    gradients,
    optim,
    sigmoid,
    value_and_grad,
)
from autonn.training.loss import described

Array = NDArray[Any]
Random = np.random.Generator
seeds = st.integers(0, 2**32 - 1)


def drawn(rng: Random) -> tuple[Array, Array, Array | None]:
    """Draw logits of two to four axes, classes or probabilities for them, and perhaps weights."""
    lead = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    k = int(rng.integers(2, 6))
    z = 3 * rng.standard_normal((*lead, k))
    return z, rng.integers(0, k, lead), rng.random(lead[0]) if rng.random() < 0.5 else None


def settings(rng: Random, k: int) -> dict[str, Any]:
    """Draw what is said of the classes, each in half of the cases."""
    given: dict[str, Any] = {
        "label_smoothing": float(rng.random()),
        "ignore_index": int(rng.integers(k)),
        "class_weight": rng.random(k),
    }
    return {name: value for name, value in given.items() if rng.random() < 0.5}


def expected(z: Array, y: Array, weights: Array | None, said: dict[str, Any]) -> float:
    return costs.softmax_cross_entropy(
        z, y, weights, said.get("label_smoothing", 0.0), said.get("ignore_index"),
        said.get("class_weight"),
    )  # fmt: skip


@given(seeds)
def test_the_softmax_cross_entropy_is_its_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y, weights = drawn(rng)
    said = settings(rng, z.shape[-1])
    if "ignore_index" not in said and rng.random() < 0.5:
        y = rng.dirichlet(np.ones(z.shape[-1]), z.shape[:-1])
    loss, right = SoftmaxCrossEntropy(**said), expected(z, y, weights, said)
    assert loss(z, y, weights).item() == pytest.approx(right, rel=1e-12, abs=1e-14)
    assert loss(Softmax()(Tensor(z)), y, weights).item() == pytest.approx(
        right, rel=1e-12, abs=1e-14
    )
    loss.check(y, z.shape)


@given(seeds)
def test_a_program_takes_other_classes_at_each_call(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y, weights = drawn(rng)
    said = settings(rng, z.shape[-1])
    loss = SoftmaxCrossEntropy(**said)
    program = compile(value_and_grad(lambda z, y: loss(z, y, weights)))
    for _ in range(2):
        found, slopes = program(z, y)
        assert found == pytest.approx(expected(z, y, weights, said), rel=1e-12, abs=1e-14)
        t = Tensor(z, requires_grad=True)
        loss(t, y, weights).backward()
        np.testing.assert_allclose(slopes, t.grad, rtol=1e-11, atol=1e-14)
        y = rng.permutation(y.ravel()).reshape(y.shape)


@given(seeds)
def test_the_cross_entropy_is_a_mean_over_all_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y, weights = drawn(rng)
    if rng.random() < 0.5:
        y = rng.random(z.shape)
    a = 1 / (1 + np.exp(-z))
    right = costs.cross_entropy(a, y, weights)
    for probabilities in (a, sigmoid(Tensor(z, requires_grad=True))):
        cost = CrossEntropy()(probabilities, y, weights)
        assert cost.item() == pytest.approx(right, rel=1e-12)
    softmaxed = Softmax()(Tensor(z, requires_grad=True))
    cost = CrossEntropy()(softmaxed, y, weights)
    right = costs.cross_entropy(softmaxed.data, y, weights)
    assert cost.item() == pytest.approx(right, rel=1e-9)
    CrossEntropy().check(y, z.shape)


SAID: list[dict[str, Any]] = [
    {"label_smoothing": 0.1},
    {"ignore_index": 1},
    {"class_weight": [0.5, 2.0, 1.0]},
    {"label_smoothing": 0.3, "ignore_index": 1, "class_weight": [0.5, 2.0, 1.0]},
]
RNG = np.random.default_rng(0)
Z, Y = RNG.standard_normal((4, 2, 3)), np.array([[0, 1], [2, 2], [1, 1], [0, 2]])


@pytest.mark.parametrize("said", SAID, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_are_the_slopes_and_float32_stays(said: dict[str, Any], dtype: Any) -> None:
    loss, weights = SoftmaxCrossEntropy(**said), np.array([1.0, 2.0, 0.5, 0.0])
    check_along(lambda z: loss(z, Y, weights), Z)
    t = Tensor(Z.astype(dtype), requires_grad=True)
    cost = loss(t, Y, weights)
    cost.backward()
    assert cost.dtype == t.grad.dtype == dtype
    both = value_and_grad(lambda z: loss(z, Y))
    (_, slopes), (_, program) = both(t.data), compile(both)(t.data)
    assert program.dtype == dtype
    np.testing.assert_allclose(program, slopes, rtol=1e-5, atol=1e-7)


def test_what_is_ignored_has_no_gradient_and_no_say() -> None:
    loss = SoftmaxCrossEntropy(ignore_index=-100, label_smoothing=0.2)
    y = np.array([2, -100, 0, -100])
    t = Tensor(Z[:, 0], requires_grad=True)
    cost = loss(t, y)
    cost.backward()
    np.testing.assert_array_equal(t.grad[[1, 3]], 0)
    rest = SoftmaxCrossEntropy(label_smoothing=0.2)(Z[[0, 2], 0], y[[0, 2]])
    assert cost.item() == pytest.approx(rest.item(), rel=1e-14)
    t.grad = None
    with np.errstate(all="raise"):
        nothing = loss(t, np.full(4, -100))
        nothing.backward()
    assert nothing.item() == 0
    np.testing.assert_array_equal(t.grad, 0)
    assert loss(Z[:, 0], np.array([1, 2, 0, 1], np.uint8)).item() > 0


def test_class_weights_are_those_of_fit() -> None:
    X, y = RNG.standard_normal((30, 4)), RNG.integers(0, 3, 30)
    runs = []
    given = [0.5, 2.0, 1.0]
    cases: list[tuple[Any, dict[str, Any]]] = [
        (SoftmaxCrossEntropy(class_weight=given), {}),
        (SoftmaxCrossEntropy(), {"class_weight": given}),
    ]
    for loss, options in cases:
        model = Sequential(Layer(4, 3, rng=0))
        history = fit(
            model, X, y, loss=loss, optimizer=optim.SGD(lr=0.3), epochs=3, batch_size=10, seed=0,
            **options,
        )  # fmt: skip
        assert history.compiled
        runs.append((history.cost, model[0].weight.data))
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_text_is_learned_place_by_place(compiled: bool) -> None:
    X = RNG.integers(0, 6, (20, 5))
    y = np.where(X == 5, -1, X % 3)
    model = Sequential(Embedding(6, 4, rng=0), Layer(4, 3, rng=0))
    history = fit(
        model, X, y, loss=SoftmaxCrossEntropy(ignore_index=-1), optimizer=optim.Adam(lr=0.1),
        epochs=30, batch_size=7, seed=0, compile=compiled, validation=(X[:3], y[:3]),
    )  # fmt: skip
    assert history.compiled is compiled
    assert history.cost[-1] < 0.1 < history.cost[0]
    read = model.predict(X).argmax(axis=-1)
    assert np.array_equal(read[y >= 0], y[y >= 0])


def test_no_accuracy_is_measured_where_some_do_not_count() -> None:
    X, y = RNG.standard_normal((12, 4)), np.arange(12) % 4 - 1
    options: dict[str, Any] = {"optimizer": optim.SGD(lr=0.1), "epochs": 1}
    history = fit(
        Sequential(Layer(4, 3, rng=0)), X, y, loss=SoftmaxCrossEntropy(ignore_index=-1), **options
    )
    assert history.accuracy == []
    history = fit(Sequential(Layer(4, 3, rng=0)), X, y + 1, loss=Widest(), **options)
    assert len(history.accuracy) == 1


class Widest(SoftmaxCrossEntropy):
    """One of one's own whose constructor does not know of what may be said."""

    def __init__(self) -> None:
        pass

    def __call__(self, logits: Any, targets: Any, weights: Any = None) -> Tensor:
        wider = np.concatenate([logits, logits[:, :1]], axis=1)
        return super().__call__(wider, targets, weights)


def test_rows_are_shared_out_where_all_count() -> None:
    model = Sequential(Layer(3, 4, rng=0))
    X, y = RNG.standard_normal((4096, 3)), RNG.integers(0, 4, 4096)
    for said, is_cut in (
        ({}, True), ({"label_smoothing": 0.1, "class_weight": np.arange(4.0)}, True),
        ({"ignore_index": 1}, False),  # each row has to know how many count
    ):  # fmt: skip
        loss = SoftmaxCrossEntropy(**said)

        def step(X: Any, y: Any, loss: Any = loss) -> Any:
            cost = loss(model(X), y)
            return cost.detach(), gradients(cost, model.parameters())

        cut, whole = compile(step), compile(step, share_rows=False)
        (cost, grads), (right, others) = cut(X, y), whole(X, y)
        assert ("\nSLICES = [" in cut.source) is is_cut
        assert cost.item() == pytest.approx(right.item(), rel=1e-12)
        np.testing.assert_allclose(grads[0], others[0], rtol=1e-9, atol=1e-12)


def test_it_says_what_it_was_told() -> None:
    assert described(SoftmaxCrossEntropy()) == "SoftmaxCrossEntropy()"
    loss = SoftmaxCrossEntropy(label_smoothing=0.1, ignore_index=-100, class_weight=[1, 2])
    assert described(loss) == (
        "SoftmaxCrossEntropy(label_smoothing=0.1, ignore_index=-100, class_weight=[1.0, 2.0])"
    )


S = SoftmaxCrossEntropy
P = np.full((2, 3), 1 / 3)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: S(label_smoothing=1.5), ValueError, ["label_smoothing", "at most 1", "1.5"]),
    (lambda: S(label_smoothing="a"), TypeError, ["label_smoothing", "'a'"]),  # type: ignore[arg-type]
    (lambda: S(ignore_index=0.5), TypeError, ["ignore_index", "0.5"]),  # type: ignore[arg-type]
    (lambda: S(class_weight=[1.0, -1.0]), ValueError, ["class_weight", "-1.0", "of 1"]),
    (lambda: S(class_weight=[1.0, np.nan]), ValueError, ["class_weight", "nan", "row 1"]),
    (lambda: S(class_weight=[[1.0]]), ValueError, ["class_weight", "(1, 1)", "(k,)"]),
    (lambda: S(class_weight=3.0), ValueError, ["class_weight", "()"]),
    (lambda: S(class_weight=[1.0, 2.0])(P, [0, 1]), ValueError, ["2 numbers", "3 classes"]),
    (lambda: S(ignore_index=1)(P, P), TypeError, ["ignore_index=1", "(2, 3)", "weight 0"]),
    (lambda: S(ignore_index=-1)(P, [0, -2]), IndexError, ["class -2 of 3 in row 1"]),
    (lambda: S(ignore_index=-1)(P, [-1, 3]), IndexError, ["class 3 of 3 in row 1"]),
    (lambda: S(ignore_index=5)(P[:, :1], [5, 2]), IndexError, ["class 2 of 1 in row 1"]),
    (lambda: S()(Z, Y + 1), IndexError, ["class 3 of 3 in row 1, column 0"]),
    (lambda: S()(Z, Y[:, :1]), ValueError, ["(4, 1)", "(4, 2, 3)", "classes of shape (4, 2)"]),
    (lambda: S()(Z, np.ones((4, 2, 3))), ValueError, ["in row 0, column 0 sum to 3"]),
    (lambda: CrossEntropy()(P[:, :1], [0, 2]), IndexError, ["class 2 of 1 in row 1"]),
    (
        lambda: CrossEntropy()(np.full((2, 2, 1), 0.5), [[0, 1], [0, 2]]),
        IndexError,
        ["1, column 1"],
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


@pytest.mark.parametrize(
    ("loss", "y", "error"),
    [
        (S(ignore_index=-1), np.array([0, -1, 3, 1]), IndexError),
        (S(ignore_index=-1), np.full((4, 3), 1 / 3), TypeError),
        (S(class_weight=[1.0, 2.0]), np.zeros(4, int), ValueError),
        (S(), np.array([[0, 1]] * 3 + [[0, 3]]), IndexError),
    ],
)
def test_the_check_refuses_what_the_call_does(loss: Any, y: Array, error: type[Exception]) -> None:
    z = Z if y.shape == (4, 2) else Z[:, 0]
    with pytest.raises(error) as of_the_call:
        loss(z, y)
    with pytest.raises(error) as of_the_check:
        loss.check(y, (1, *z.shape[1:]))
    assert str(of_the_check.value) == str(of_the_call.value)
    program = compile(partial(loss, z))
    if error is IndexError:
        program(np.maximum(y - 1, 0))
        with pytest.raises(error) as of_the_program:
            program(y)
        assert str(of_the_program.value) == str(of_the_call.value)
