"""Every loss alike: its formula, its gradients, its program, its dtypes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import costs
from tools.directions import check_along
from tools.pairs import combinations
from tools.refusals import assert_refused

from autonn import (
    CosineSimilarityLoss,
    CrossEntropy,
    GaussianNLL,
    HingeLoss,
    HuberLoss,
    KLDivergence,
    Layer,
    MeanSquaredError,
    Sequential,
    Sigmoid,
    SigmoidCrossEntropy,
    Softmax,
    SoftmaxCrossEntropy,
    Tensor,
    TripletLoss,
    compile,
    fit,
    nn,
    optim,
    softmax,
    value_and_grad,
)
from autonn.training.loss import described

Array = NDArray[Any]
Random = np.random.Generator
Draw = Callable[[Random, tuple[int, ...]], tuple[Array, Array]]  # predictions and targets


@dataclass(frozen=True)
class Case:
    """A loss, its formula, and how to draw predictions and targets for some leading lengths."""

    loss: Any
    formula: Callable[..., float]
    draw: Draw


def spread(rng: Random, *shape: int) -> Array:
    return 3 * rng.standard_normal(shape)


def numbers(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return spread(rng, *lead, 4), spread(rng, *lead, 4)


def answers(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return spread(rng, *lead), rng.random(lead)


def scores(k: int, rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return spread(rng, *lead, k), rng.integers(0, max(k, 2), lead)


def distributions(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    a, y = rng.dirichlet(np.full(3, 2.0), lead), rng.dirichlet(np.full(3, 2.0), lead)
    y[..., 0] = np.where(rng.random(lead) < 0.3, 0, y[..., 0])  # 0 ln 0
    return a, y / y.sum(axis=-1, keepdims=True)


def shares(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return rng.uniform(0.05, 0.95, (*lead, 3)), rng.random((*lead, 3))


def normals(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return spread(rng, *lead, 4), spread(rng, *lead, 2)


def one_normal(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return spread(rng, *lead, 2), spread(rng, *lead)


def triplets(rng: Random, lead: tuple[int, ...]) -> tuple[Array, Array]:
    return rng.standard_normal((lead[0], 3, 2)), np.zeros(lead[0])


CASES: dict[str, Case] = {
    "SoftmaxCrossEntropy": Case(
        SoftmaxCrossEntropy(), costs.softmax_cross_entropy, partial(scores, 4)
    ),
    "CrossEntropy": Case(CrossEntropy(), costs.cross_entropy, shares),
    "SigmoidCrossEntropy": Case(SigmoidCrossEntropy(), costs.sigmoid_cross_entropy, answers),
    "HingeLoss": Case(HingeLoss(), costs.hinge, partial(scores, 4)),
    "HingeLoss of one": Case(
        HingeLoss(0.5), partial(costs.hinge, margin=0.5), partial(scores, 1)
    ),
    "KLDivergence": Case(KLDivergence(), costs.kl_divergence, distributions),
    "MeanSquaredError": Case(MeanSquaredError(), costs.squares, numbers),
    "HuberLoss": Case(HuberLoss(), costs.huber, numbers),
    "HuberLoss of 3": Case(HuberLoss(3.0), partial(costs.huber, delta=3.0), numbers),
    "GaussianNLL": Case(GaussianNLL(), costs.gaussian_nll, normals),
    "GaussianNLL of one": Case(GaussianNLL(), costs.gaussian_nll, one_normal),
    "CosineSimilarityLoss": Case(CosineSimilarityLoss(), costs.cosine, numbers),
    "TripletLoss": Case(TripletLoss(), costs.triplets, triplets),
    "TripletLoss of 3": Case(TripletLoss(3.0), partial(costs.triplets, margin=3.0), triplets),
}  # fmt: skip
every = pytest.mark.parametrize("name", CASES)


def drawn(name: str, *lead: int) -> tuple[Any, Array, Array]:
    case = CASES[name]
    return case.loss, *case.draw(np.random.default_rng(1), lead)


@every
@given(st.integers(0, 2**32 - 1))
def test_a_loss_is_its_formula(name: str, seed: int) -> None:
    case, rng = CASES[name], np.random.default_rng(seed)
    lead = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    a, y = case.draw(rng, lead)
    weights = (3 * rng.random(len(a)),) if rng.random() < 0.5 else ()
    cost = case.loss(a if rng.random() < 0.5 else Tensor(a), y, *weights)
    assert cost.item() == pytest.approx(case.formula(a, y, *weights), rel=1e-12, abs=1e-13)
    case.loss.check(y, a.shape)


@pytest.mark.parametrize("name", [name for name in CASES if name != "KLDivergence"])
@pytest.mark.parametrize("weighted", [True, False])
def test_gradients_of_both_orders_are_the_slopes(name: str, weighted: bool) -> None:
    loss, a, y = drawn(name, 2, 2)
    weights = (np.linspace(0.5, 2, len(a)),) if weighted else ()
    check_along(lambda a: loss(a, y, *weights), a)


@pytest.mark.parametrize("of", [Softmax(), lambda z: 1 * softmax(z)], ids=["known", "unknown"])
def test_so_are_those_of_distributions_which_sum_to_1(of: Any) -> None:
    loss, a, y = drawn("KLDivergence", 3, 2)
    weights = np.array([0.5, 2.0, 1.0])
    check_along(lambda z: loss(of(z), y, weights), 3 * a)


@every
@pytest.mark.parametrize("weighted", [True, False])
def test_a_program_takes_other_targets_at_each_call(name: str, weighted: bool) -> None:
    loss, a, y = drawn(name, 5)
    weights = (np.linspace(0, 2, len(a)),) if weighted else ()
    program = compile(value_and_grad(lambda a, y: loss(a, y, *weights)))
    for _ in range(3):
        found, slopes = program(a, y)
        cost = loss(t := Tensor(a, requires_grad=True), y, *weights)
        cost.backward()
        assert found == pytest.approx(cost.item(), rel=1e-12)
        np.testing.assert_allclose(slopes, t.grad, rtol=1e-11, atol=1e-14)
        a, y = np.roll(a, 1, axis=0), y[::-1].copy()


@pytest.mark.parametrize(
    ("name", "way", "of_targets"),
    combinations(CASES, ["eager", "compiled"], [np.float32, np.float64]),
)
def test_float32_stays_float32(name: str, way: str, of_targets: Any) -> None:
    loss, a, y = drawn(name, 5)
    y = y.astype(of_targets) if y.dtype.kind == "f" else y
    weights = np.linspace(0, 2, len(a))

    f = value_and_grad(loss)
    found, slopes = (compile(f) if way == "compiled" else f)(a.astype(np.float32), y, weights)
    assert np.asarray(found).dtype == np.float32
    assert slopes.dtype == np.float32
    expected = CASES[name].formula(a, y, weights)
    assert float(found) == pytest.approx(expected, rel=1e-4)


# ---- what it says of itself


def test_every_loss_is_here_and_takes_weights() -> None:
    losses = {name for name in nn.__all__ if callable(getattr(getattr(nn, name), "check", None))}
    assert losses == {type(case.loss).__name__ for case in CASES.values()}
    assert all(case.loss.takes_weights for case in CASES.values())
    assert {name.split()[0] for name, case in CASES.items() if case.loss.classifies} == {
        "SoftmaxCrossEntropy", "CrossEntropy", "SigmoidCrossEntropy", "HingeLoss", "KLDivergence",
    }  # fmt: skip


def test_they_say_what_they_are() -> None:
    for name, case in CASES.items():
        assert described(case.loss).partition("(")[0] == name.split()[0]
    told = [HuberLoss(2), HingeLoss(0.5), TripletLoss(0.2), GaussianNLL()]
    assert list(map(described, told)) == [
        "HuberLoss(2.0)", "HingeLoss(0.5)", "TripletLoss(0.2)", "GaussianNLL()",
    ]  # fmt: skip


# ---- in training

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5))
T = RNG.standard_normal((40, 3, 5))


def model_for(name: str) -> Sequential:
    outputs = CASES[name].draw(RNG, (1,))[0].shape[-1]
    ends: dict[str, list[Any]] = {"CrossEntropy": [Sigmoid()], "KLDivergence": [Softmax()]}
    return Sequential(Layer(5, outputs, rng=0), *ends.get(name, []))


TRAINED = [name for name in CASES if name != "SigmoidCrossEntropy"]


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("compiled", [True, False])
def test_fit_makes_it_small(name: str, compiled: bool) -> None:
    case = CASES[name]
    y = case.draw(np.random.default_rng(2), (40,))[1]
    history = fit(
        model_for(name), T if name.startswith("Triplet") else X, y, loss=case.loss,
        optimizer=optim.Adam(lr=0.02), epochs=8, batch_size=16, seed=0, compile=compiled,
        sample_weight=np.linspace(0, 2, 40),
    )  # fmt: skip
    assert history.compiled is compiled
    assert history.cost[-1] < history.cost[0]


@pytest.mark.parametrize("loss", [SigmoidCrossEntropy(), HingeLoss()])
def test_a_single_logit_is_read_as_class_1_above_0(loss: Any) -> None:
    y = (X[:, 0] > 0.3).astype(int)
    ends: list[list[Any]] = [[], [Sigmoid()]]
    for end in ends[: 1 if isinstance(loss, HingeLoss) else 2]:
        model = Sequential(Layer(5, 1, rng=0), *end)
        history = fit(
            model, X, y, loss=loss, optimizer=optim.Adam(lr=0.05), epochs=40, seed=0,
            validation=(X[:20], y[:20]),
        )  # fmt: skip
        logits = model[0].predict(X)[:, 0]
        assert history.validation_accuracy[-1] == np.mean((logits[:20] > 0) == y[:20])
        assert history.accuracy[-1] > 0.85


def bad_row(name: str, row: int) -> tuple[Any, type[Exception]]:
    """Spoil the targets of one row, so that only a look at the numbers can tell."""
    y = CASES[name].draw(np.random.default_rng(2), (40,))[1]
    if y.dtype.kind == "i":
        y[row] = 9
        return y, IndexError
    y[row] = -0.5
    return y, ValueError


@pytest.mark.parametrize("compiled", [None, False])
@pytest.mark.parametrize("name", ["CrossEntropy", "HingeLoss", "HingeLoss of one", "KLDivergence"])
def test_fit_finds_bad_targets_before_the_first_step(name: str, compiled: bool | None) -> None:
    for row in (0, 17, 39):
        y, error = bad_row(name, row)
        model = model_for(name)
        before = model.state_dict()
        with pytest.raises(error, match=rf"row {row}\b|\({row}, "):
            fit(
                model, X, y, loss=CASES[name].loss, optimizer=optim.SGD(lr=0.1), batch_size=10,
                seed=0, compile=compiled,
            )  # fmt: skip
        for key, array in model.state_dict().items():
            np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize("name", ["SigmoidCrossEntropy", "HingeLoss", "KLDivergence"])
def test_a_program_looks_at_the_targets_of_each_call(name: str) -> None:
    loss, a, y = drawn(name, 5)
    program = compile(loss)
    program(a, y)
    y[3] = 7
    with pytest.raises((ValueError, IndexError), match=r"row 3\b|\(3,"):
        program(a, y)


# ---- what it refuses

B, H, K, C = SigmoidCrossEntropy(), HingeLoss(), KLDivergence(), CosineSimilarityLoss()
P = np.full((2, 2), 0.5)
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: B(np.zeros(3), [0, 1]), ValueError, ["SigmoidCrossEntropy", "(2,)", "(3,)"]),
    (lambda: B(P, [0, 1]), ValueError, ["(2,)", "(2, 2)"]),
    (lambda: B(np.zeros(2), [0, 2]), ValueError, ["targets", "from 0 to 1", "2", "(1,)"]),
    (lambda: B(np.zeros((2, 1)), [0.5, -1]), ValueError, ["from 0 to 1", "-1.0"]),
    (lambda: B(0.0, 1.0), ValueError, ["single logit", "(m,)"]),
    (lambda: B(np.zeros(2), ["a", "b"]), TypeError, ["SigmoidCrossEntropy: targets", "<U1"]),
    (lambda: H(P, np.eye(2)), ValueError, ["HingeLoss", "(2, 2)", "y.argmax(axis=-1)"]),
    (lambda: H(P[:, :1], [[0], [1]]), ValueError, ["HingeLoss", "(2, 1)", "y.ravel()"]),
    (lambda: H(P, [0, 2]), IndexError, ["class 2 of 2 in row 1"]),
    (lambda: H(P[:, :1], [0, -1]), IndexError, ["class -1 of 1 in row 1", "0 and 1"]),
    (lambda: H(P, [0.0, 1.0]), TypeError, ["integers"]),
    (lambda: H(P[0], [0, 1]), ValueError, ["HingeLoss", "(2,)"]),
    (lambda: HingeLoss(0), ValueError, ["HingeLoss: margin", "positive"]),
    (lambda: K(2 * P, P), ValueError, ["probabilities", "sum to 2"]),
    (lambda: K(P - 1, P), ValueError, ["probabilities", "-0.5", "Softmax"]),
    (lambda: K(P, 2 * P), ValueError, ["targets in row 0 sum to 2"]),
    (lambda: K(P, P[:, :1]), ValueError, ["(2, 1)", "(2, 2)"]),
    (lambda: HuberLoss(-1), ValueError, ["HuberLoss: delta", "-1"]),
    (lambda: HuberLoss()(P, P[0]), ValueError, ["HuberLoss", "(2,)", "(2, 2)"]),
    (lambda: GaussianNLL()(P, P), ValueError, ["GaussianNLL", "(2, 2)", "(2, 1)"]),
    (lambda: GaussianNLL()(P[:, :1], P[:, 0]), ValueError, ["(2, 1)", "2 k outputs"]),
    (lambda: GaussianNLL()(P[0], P[0, 0]), ValueError, ["GaussianNLL", "(2,)"]),
    (lambda: C(P, P[:, :1]), ValueError, ["CosineSimilarityLoss", "(2, 1)", "(2, 2)"]),
    (lambda: C(P[0], P[0]), ValueError, ["CosineSimilarityLoss", "(2,)", "(m, ..., d)"]),
    (lambda: TripletLoss("a"), TypeError, ["TripletLoss: margin", "'a'"]),  # type: ignore[arg-type]
    (
        lambda: TripletLoss()(P),
        ValueError,
        ["TripletLoss", "(2, 2)", "np.stack([a, p, n], axis=1)"],
    ),
    *(
        (partial(case.loss, *case.draw(RNG, (4,)), np.ones(3)), ValueError, ["weights", "(3,)"])
        for case in CASES.values()
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- where they are at their ends


def test_a_sure_logit_costs_what_it_is_wrong_by() -> None:
    z = Tensor([[1e4, -1e4, 50.0]], requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        cost = B(z, [[0, 0, 1]])
        cost.backward()
    assert cost.item() == pytest.approx(1e4 / 3, rel=1e-15)
    np.testing.assert_allclose(z.grad, [[1 / 3, 0, -np.exp(-50.0) / 3]], rtol=1e-14)


def test_a_distribution_is_as_near_as_can_be_to_itself() -> None:
    z = Tensor(np.array([[1e3, 0.0, -1e3], [1.0, 2.0, 3.0]]), requires_grad=True)
    a = Softmax()(z)
    with np.errstate(all="raise", under="ignore"):
        cost = K(a, a.detach())
        cost.backward()
    assert cost.item() == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(z.grad, 0, atol=1e-15)
    assert K(Softmax()(z), [2, 0]).item() == pytest.approx(1e3 + 1.2038, rel=1e-4)
    assert K(np.array([[1.0, 0.0]]), [[0.0, 1.0]]).item() == np.inf
    assert K(np.array([[1.0, 0.0]]), [[1.0, 0.0]]).item() == 0


def test_zeros_have_no_direction_and_equal_points_no_distance() -> None:
    t = Tensor(np.zeros((2, 3)), requires_grad=True)
    with np.errstate(all="raise"):
        cost = C(t, np.eye(3)[:2])
        cost.backward()
        assert cost.item() == 1
        assert np.isfinite(t.grad).all()
        same = Tensor(np.ones((1, 3, 2)), requires_grad=True)
        cost = TripletLoss(0.5)(same)
        cost.backward()
    assert cost.item() == 0.5
    np.testing.assert_array_equal(same.grad, 0)


def test_huber_has_one_slope_at_its_joint() -> None:
    t = Tensor([1.0, -1.0, 0.0, 7.0], requires_grad=True)
    HuberLoss()(t, np.zeros(4)).backward()
    np.testing.assert_array_equal(t.grad, np.array([1, -1, 0, 1]) / 4)
