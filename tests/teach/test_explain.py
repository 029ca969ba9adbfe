"""Every printed formula, evaluated as printed, gives the engine's numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import nn
from autonn.engine.transforms import gradients
from autonn.teach import Explanation, explain
from autonn.teach.formulas import is_close

Random = np.random.Generator


def assert_evaluates(told: Explanation) -> None:
    """Demand of each step that its formula gives its numbers, to 1e-12 of the largest."""
    assert told.steps
    for step in told.steps:
        found = np.asarray(told.evaluate(step.name))
        assert found.shape == step.value.shape, step
        if step.value.dtype.kind != "f":
            assert np.array_equal(found, step.value), step
            continue
        scale = np.abs(step.value).max(initial=0)
        tolerance = 1e-12 if step.value.dtype == np.float64 else 1e-5
        assert np.abs(found - step.value).max(initial=0) <= tolerance * scale, step
    names = [step.name for step in told.steps]
    assert len(set(names)) == len(names)


def assert_gradients(told: Explanation, model: nn.Module, cost: an.Tensor) -> None:
    """Demand that the steps hold the gradients that `gradients` gives of the same cost."""
    named = dict(model.named_parameters())
    expected = dict(zip(named, gradients(cost, list(named.values())), strict=True))
    for name, gradient in expected.items():
        place, _, own = name.rpartition(".")
        label = f"d{own}_{place}".replace(".", "_").rstrip("_")
        if any(step.name == label for step in told.steps):
            assert is_close(told[label].value, gradient), name
        else:  # the loss does not depend on it
            assert not np.any(gradient), name


# ---- every layer there is


def square(output: Any, y: Any) -> Any:
    """Cost the mean of the squares of all that a model returns."""
    parts = output if isinstance(output, tuple) else (output,)
    flat = [p for part in parts for p in (part if isinstance(part, tuple) else (part,))]
    return sum((np.mean(np.square(part - 0.3)) for part in flat), start=0.0)


def floats(*shape: int) -> Callable[[Random], Any]:
    return lambda rng: rng.normal(size=shape)


def whole(most: int, *shape: int) -> Callable[[Random], Any]:
    return lambda rng: rng.integers(0, most, size=shape)


def always(kind: Callable[[], nn.Module]) -> Callable[[Random], nn.Module]:
    return lambda rng: kind()


BENDS = [
    an.ELU, an.GELU, an.Identity, an.LeakyReLU, an.LogSoftmax, an.ReLU, an.Sigmoid, an.SiLU,
    an.Softmax, an.Softplus, an.Tanh,
]  # fmt: skip
ROWS = floats(4, 6)
PICTURES = floats(3, 2, 7, 6)
LINES = floats(3, 2, 9)
SEQUENCES = floats(2, 4, 3)
LAYERS: dict[str, tuple[Callable[[Random], nn.Module], Callable[[Random], Any]]] = {
    **{kind.__name__: (always(kind), ROWS) for kind in BENDS},
    "Layer": (lambda rng: an.Layer(6, 3, rng=rng), ROWS),
    "Layer without bias": (lambda rng: an.Layer(6, 3, bias=False, rng=rng), ROWS),
    "Layer on sequences": (lambda rng: an.Layer(3, 2, rng=rng), SEQUENCES),
    "Dropout": (lambda rng: an.Dropout(0.5, rng=rng), ROWS),
    "Lambda": (lambda rng: an.Lambda(lambda x: np.where(x > 0, x, np.expm1(x))), ROWS),
    "BatchNorm": (lambda rng: an.BatchNorm(2), PICTURES),
    "BatchNorm1d": (lambda rng: an.BatchNorm1d(6), ROWS),
    "BatchNorm2d": (lambda rng: an.BatchNorm2d(2), PICTURES),
    "LayerNorm": (lambda rng: an.LayerNorm(6), ROWS),
    "GroupNorm": (lambda rng: an.GroupNorm(1, 2), PICTURES),
    "Conv1d": (lambda rng: an.Conv1d(2, 3, 3, padding=1, rng=rng), LINES),
    "Conv2d": (lambda rng: an.Conv2d(2, 3, 3, stride=2, padding=1, rng=rng), PICTURES),
    "Conv2d in groups": (lambda rng: an.Conv2d(2, 4, 2, groups=2, rng=rng), PICTURES),
    "ConvTranspose2d": (lambda rng: an.ConvTranspose2d(2, 3, 2, stride=2, rng=rng), PICTURES),
    "MaxPool1d": (lambda rng: an.MaxPool1d(2), LINES),
    "MaxPool2d": (lambda rng: an.MaxPool2d(2), PICTURES),
    "AvgPool1d": (lambda rng: an.AvgPool1d(3), LINES),
    "AvgPool2d": (lambda rng: an.AvgPool2d(2), PICTURES),
    "GlobalAveragePool": (lambda rng: an.GlobalAveragePool(), PICTURES),
    "Flatten": (lambda rng: an.Flatten(), PICTURES),
    "Upsample": (lambda rng: an.Upsample(2), PICTURES),
    "Embedding": (lambda rng: an.Embedding(5, 3, padding_idx=0, rng=rng), whole(5, 2, 4)),
    "PositionEncoding": (lambda rng: an.PositionEncoding(6, 4), floats(2, 4, 6)),
    "RNN": (lambda rng: an.RNN(3, 2, rng=rng), SEQUENCES),
    "GRU": (lambda rng: an.GRU(3, 2, rng=rng), SEQUENCES),
    "LSTM": (lambda rng: an.LSTM(3, 2, rng=rng), SEQUENCES),
    "LSTM, two layers both ways": (
        lambda rng: an.LSTM(3, 2, layers=2, bidirectional=True, rng=rng), SEQUENCES,
    ),
    "Outputs": (lambda rng: an.Sequential(an.RNN(3, 2, rng=rng), an.Outputs()), SEQUENCES),
    "Last": (lambda rng: an.Sequential(an.GRU(3, 2, rng=rng), an.Last()), SEQUENCES),
    "RNNCell": (lambda rng: an.RNNCell(6, 3, rng=rng), ROWS),
    "GRUCell": (lambda rng: an.GRUCell(6, 3, rng=rng), ROWS),
    "LSTMCell": (lambda rng: an.LSTMCell(6, 3, rng=rng), ROWS),
    "MultiheadAttention": (lambda rng: an.MultiheadAttention(6, 2, rng=rng), floats(2, 3, 6)),
}  # fmt: skip


def test_no_layer_is_left_out() -> None:
    kinds = {
        name
        for name in nn.__all__
        if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module)
    }
    assert kinds - {"Module", "Sequential", "Linear"} <= set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_formulas_of_each_layer_give_the_numbers_of_the_engine(name: str) -> None:
    rng = np.random.default_rng(sum(map(ord, name)))
    make, draw = LAYERS[name]
    layer, X = make(rng), draw(rng)
    scale = an.Tensor(0.7, requires_grad=True)  # so that layers without parameters have a gradient

    class Scaled(nn.Module):
        def __init__(self) -> None:
            self.layer, self.scale = layer, scale

        def forward(self, x: Any) -> Any:
            return self.layer(x * self.scale if np.asarray(X).dtype.kind == "f" else x)

    model = Scaled()
    buffers = {k: v.numpy() for k, v in model.named_buffers()}
    states = [str(m.rng.bit_generator.state) for _, m in model.named_modules() if hasattr(m, "rng")]
    told = explain(model, X, np.zeros(1), loss=square)
    after = [str(m.rng.bit_generator.state) for _, m in model.named_modules() if hasattr(m, "rng")]
    assert states == after
    assert all(np.array_equal(dict(model.named_buffers())[k].data, v) for k, v in buffers.items())
    assert all(p.grad is None for p in model.parameters())
    assert_evaluates(told)
    fed = an.Tensor(X) if np.asarray(X).dtype.kind == "f" else X
    assert_gradients(told, model, square(model(fed), None))
    assert "\n" in str(told)
    assert "<table>" in told.html()


class Two(nn.Module):
    """Two inputs and two outputs."""

    def __init__(self) -> None:
        self.left, self.right = an.Layer(2, 3, rng=0), an.Layer(3, 3, rng=1)
        self.kind, self.value = an.Layer(3, 3, rng=2), an.Layer(3, 1, rng=3)

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        hidden = np.tanh(self.left(left) + self.right(right))
        return {"kind": self.kind(hidden), "the value": self.value(hidden)}


def test_several_inputs_and_outputs_are_explained_by_their_names() -> None:
    rng, model = np.random.default_rng(0), Two()
    X = {"left": rng.normal(size=(4, 2)), "right": rng.normal(size=(4, 3))}
    y = {"kind": np.array([0, 1, 2, 0]), "the value": rng.normal(size=(4, 1))}
    losses = {"kind": an.SoftmaxCrossEntropy(), "the value": "mse"}
    told = explain(model, X, y, loss=losses, l2=0.3)
    assert_evaluates(told)
    for name in ("X_left", "X_right", "y_the_value"):
        assert name in str(told)
    output = model(*map(an.Tensor, X.values()))
    cost = an.SoftmaxCrossEntropy()(output["kind"], y["kind"])
    cost = cost + an.MeanSquaredError()(output["the value"], y["the value"])
    assert_gradients(told, model, cost + an.l2_penalty(model, 0.3, 4))


PARTS: dict[str, list[Callable[[Random, int], nn.Module]]] = {
    "rows": [
        lambda rng, n: an.Layer(n, n, rng=rng), lambda rng, n: an.Tanh(), lambda rng, n: an.ReLU(),
        lambda rng, n: an.Sigmoid(), lambda rng, n: an.LayerNorm(n),
        lambda rng, n: an.BatchNorm1d(n),
        lambda rng, n: an.Dropout(0.3, rng=rng), lambda rng, n: an.Softplus(),
        lambda rng, n: an.GELU(), lambda rng, n: an.Layer(n, n, bias=False, rng=rng),
    ],
    "pictures": [
        lambda rng, n: an.Conv2d(n, n, 3, padding=1, rng=rng), lambda rng, n: an.ReLU(),
        lambda rng, n: an.BatchNorm2d(n), lambda rng, n: an.MaxPool2d(2, stride=1),
        lambda rng, n: an.SiLU(),
    ],
    "sequences": [
        lambda rng, n: an.Sequential(an.GRU(n, n, rng=rng), an.Outputs()),
        lambda rng, n: an.MultiheadAttention(n, 2, rng=rng), lambda rng, n: an.LayerNorm(n),
        lambda rng, n: an.Layer(n, n, rng=rng), lambda rng, n: an.Tanh(),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "seed"), list(itertools.product(PARTS, range(4))))
def test_formulas_of_random_networks_give_the_numbers_of_the_engine(kind: str, seed: int) -> None:
    rng = np.random.default_rng([seed, len(kind)])
    n, m = 4, 3
    chosen = [PARTS[kind][k](rng, n) for k in rng.integers(0, len(PARTS[kind]), size=3)]
    shape = {"rows": (m, n), "pictures": (m, n, 6, 6), "sequences": (m, 3, n)}[kind]
    flat = [] if kind == "rows" else [an.Flatten()]
    with an.no_grad():
        width = an.Sequential(*chosen, *flat)(rng.normal(size=shape)).shape[-1]
    model = an.Sequential(*chosen, *flat, an.Layer(width, 3, rng=rng))
    X, y = rng.normal(size=shape), rng.integers(0, 3, size=m)
    told = explain(model, X, y, loss=an.SoftmaxCrossEntropy(), l2=0.5)
    assert_evaluates(told)
    cost = an.SoftmaxCrossEntropy()(model(an.Tensor(X)), y) + an.l2_penalty(model, 0.5, m)
    if not told.in_letters and "Dropout" not in repr(model):
        assert_gradients(told, model, cost)


def test_formulas_in_float32_give_the_numbers_too() -> None:
    rng = np.random.default_rng(0)
    model = an.Sequential(an.Conv2d(1, 2, 3, rng=rng), an.Tanh(), an.Flatten(), an.Layer(32, 2))
    X = rng.normal(size=(2, 1, 6, 6)).astype(np.float32)
    told = explain(model.astype(np.float32), X, np.array([0, 1]), loss=an.SoftmaxCrossEntropy())
    assert_evaluates(told)


# ---- a wrong formula is seen


def test_a_step_with_a_wrong_formula_is_seen() -> None:
    told = of_layers()
    step = told["delta2"]
    step.formula = step.formula.replace("(1 - a2)", "(1 + a2)")
    with pytest.raises(AssertionError):
        assert_evaluates(told)


# ---- the letters of the course


def of_layers(seed: int = 0, **options: Any) -> Explanation:
    """Explain the smallest network of the course, 3 - 4 - 2, on five examples."""
    rng = np.random.default_rng(seed)
    model = an.Sequential(
        an.Layer(3, 4, rng=rng), an.Sigmoid(), an.Layer(4, 2, rng=rng), an.Sigmoid()
    )
    X, y = rng.normal(size=(5, 3)), rng.integers(0, 2, size=5)
    return explain(model, X, y, loss=an.CrossEntropy(), **options)


def test_a_network_of_layers_is_told_in_the_letters_of_the_course() -> None:
    told = of_layers(l2=1.0)
    assert told.in_letters
    formulas = {step.shown: step.formula for step in told.steps}
    thetas = "(np.sum(Theta1[:, 1:] ** 2) + np.sum(Theta2[:, 1:] ** 2))"
    assert formulas == {
        "a1": "X",
        "z2": "np.c_[np.ones(m), a1] @ Theta1.T",
        "a2": "sigmoid(z2)",
        "z3": "np.c_[np.ones(m), a2] @ Theta2.T",
        "a3": "sigmoid(z3)",
        "J": f"-np.sum(y * np.log(a3) + (1 - y) * np.log(1 - a3)) / m + lam / (2 * m) * {thetas}",
        "delta3": "a3 - y",
        "dJ/dTheta2": "delta3.T @ np.c_[np.ones(m), a2] / m"
        " + lam / m * np.c_[np.zeros(len(Theta2)), Theta2[:, 1:]]",
        "delta2": "(delta3 @ Theta2[:, 1:]) * a2 * (1 - a2)",
        "dJ/dTheta1": "delta2.T @ np.c_[np.ones(m), a1] / m"
        " + lam / m * np.c_[np.zeros(len(Theta1)), Theta1[:, 1:]]",
    }
    assert_evaluates(told)
    assert [section.title for section in told.sections] == [
        "input", "0 Layer(3, 4), 1 Sigmoid()", "2 Layer(4, 2), 3 Sigmoid()", "loss",
        "loss", "2 Layer(4, 2), 3 Sigmoid()", "0 Layer(3, 4), 1 Sigmoid()",
    ]  # fmt: skip


@pytest.mark.parametrize("bend", [an.Sigmoid, an.Tanh, an.ReLU, an.Softplus])
@pytest.mark.parametrize(
    ("end", "loss"),
    [
        ([an.Sigmoid()], an.CrossEntropy()),
        ([], an.SigmoidCrossEntropy()),
        ([an.Softmax()], an.SoftmaxCrossEntropy()),
        ([an.Softmax()], an.CrossEntropy()),
        ([], an.SoftmaxCrossEntropy()),
        ([an.Tanh()], an.MeanSquaredError()),
        ([], an.MeanSquaredError()),
    ],
)
def test_each_bend_and_loss_has_its_delta(bend: Any, end: Any, loss: Any) -> None:
    rng = np.random.default_rng(3)
    model = an.Sequential(
        an.Layer(3, 4, rng=rng), bend(), an.Layer(4, 4, bias=False, rng=rng), bend(),
        an.Layer(4, 2, rng=rng), *end,
    )  # fmt: skip
    X, y = rng.normal(size=(6, 3)), np.eye(2)[rng.integers(0, 2, size=6)]
    told = explain(model, X, y, loss=loss, l2=0.1)
    assert told.in_letters
    assert_evaluates(told)
    cost = loss(model(X), y) + an.l2_penalty(model, 0.1, 6)
    (theta,) = gradients(cost, [model[0].weight])
    assert is_close(told["dTheta1"].value[:, 1:], theta)
    starts = ("a4 - y", "2 / k * (a4 - y)", "(a4 - y) / k", "a4 * (r4 - np.sum(a4 * r4")
    assert told["delta4"].formula.startswith(starts)
    assert_evaluates(told)


def test_where_sigmoids_round_to_one_the_exact_formula_is_printed() -> None:
    model = an.Sequential(an.Layer(1, 1, weight=[[1.0]], bias=[0.0]), an.Sigmoid())
    told = explain(
        model, np.array([[40.0], [-800.0]]), np.array([[0.0], [1.0]]), loss=an.CrossEntropy()
    )
    assert "log_sigmoid" in told["J"].formula
    assert told["J"].value == pytest.approx(420.0)
    assert_evaluates(told)


def test_what_is_frozen_has_no_gradient() -> None:
    model = an.Sequential(an.Layer(3, 2, rng=0), an.Tanh(), an.Layer(2, 1, rng=0))
    model[0].weight.requires_grad = False
    told = explain(model, np.ones((4, 3)), np.ones((4, 1)), loss=an.MeanSquaredError())
    names = {step.name for step in told.steps}
    assert {"dbias_0", "dweight_2", "dbias_2"} <= names
    assert "dweight_0" not in names
    assert_evaluates(told)


def mixed(rng: Random) -> Any:
    w = an.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    return np.sum(np.einsum("ij,jk->ik", w, w) ** 2) + np.max(w) + np.prod(w[0])


def inverse(rng: Random) -> Any:
    w = an.Tensor(rng.normal(size=(3, 3)), requires_grad=True)
    return np.sum(np.linalg.inv(w) @ w.T) + np.linalg.det(w)


def penalty(rng: Random) -> Any:
    w = an.Tensor(rng.normal(size=3), requires_grad=True)
    return np.sum(an.grad(lambda w: np.sum(w**3))(w) ** 2)


def recomputed(rng: Random) -> Any:
    w = an.Tensor(rng.normal(size=3), requires_grad=True)
    return np.sum(an.checkpoint(lambda x: np.exp(np.sin(x)))(w) * w)


def own_op(rng: Random) -> Any:
    cube = an.op(lambda g, z, x: g * 3 * x**2, formula="z = x^3")(lambda x: x * x * x)
    return np.mean(cube(an.Tensor(rng.normal(size=3), requires_grad=True)))


@pytest.mark.parametrize("cost", [mixed, inverse, penalty, recomputed, own_op])
def test_other_costs_are_told_too(cost: Callable[[Random], Any]) -> None:
    assert_evaluates(explain(cost(np.random.default_rng(0))))


def test_a_compiled_part_is_told_by_its_ops() -> None:
    part = an.compile(lambda x: np.exp(np.sin(x)))
    rng = np.random.default_rng(0)
    model = an.Sequential(an.Layer(3, 2, rng=rng), an.Lambda(part))
    told = explain(model, rng.normal(size=(4, 3)), np.ones((4, 2)), loss=an.MeanSquaredError())
    assert told["a2"].formula == "np.exp(np.sin(z2))"
    assert_evaluates(told)


# ---- a loss alone


def test_a_loss_is_told_with_the_callers_own_names() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4, 3)), rng.normal(size=4)
    W = an.Tensor(rng.normal(size=3), requires_grad=True)
    shift = an.Tensor(0.5, requires_grad=True)
    h = np.tanh(X @ W + shift)
    cost: Any = np.mean((h - y) ** 2)
    told = explain(cost)
    assert told["h"].formula == "np.tanh((X @ W) + shift)"
    assert told["J"].formula == "np.mean((h - y) ** 2)"
    assert {"dW", "dshift"} <= {step.name for step in told.steps}
    assert_evaluates(told)
    cost.backward()  # the graph is whole
    assert is_close(told["dJ/dW"].value, W.grad)


def test_a_value_whose_name_begins_with_d_is_no_gradient() -> None:
    data = an.Tensor([1.0, 2.0], requires_grad=True)
    distance: Any = np.square(data)
    cost: Any = np.sum(distance)
    told = explain(cost)
    assert [step.shown for step in told.steps] == ["distance", "J", "dJ/ddistance", "dJ/ddata"]
    assert told["dJ/ddata"].value.tolist() == [2.0, 4.0]
    assert told.of("distance[1]").value == 4.0


def test_a_cost_that_is_linear_begins_with_one() -> None:
    w = an.Tensor(3.0, requires_grad=True)
    cost: Any = w * 2.0 + 1.0
    told = explain(cost)
    assert told["dJ/dw"].value == 2.0
    assert_evaluates(told)


def test_names_can_be_given() -> None:
    model = an.Sequential(an.Layer(2, 3, rng=0), an.LayerNorm(3))
    cost: Any = np.mean(np.square(model(np.ones((2, 2)))))
    assert explain(cost, names=model)["dweight_1"].value.shape == (3,)
    told = explain(cost, names={"gamma": model[1].weight})
    assert told["dJ/dgamma_"].shown == "dJ/dgamma_"  # gamma is a function of SciPy
    assert sum(step.name[:2] == "dw" for step in told.steps) == 3  # the others, w1, w2, w3
    assert_evaluates(told)


def test_what_cannot_be_explained_is_refused() -> None:
    model, X = an.Layer(2, 1, rng=0), np.ones((3, 2))
    cost: Any = np.mean(model(X))
    with pytest.raises(TypeError, match="give examples, targets and a loss"):
        explain(model)
    with pytest.raises(TypeError, match="takes a model with X, y and loss="):
        explain(3.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="go with a model"):
        explain(cost, X)
    with pytest.raises(RuntimeError, match="no graph leads to this loss"):
        explain(an.Tensor(1.0))
    with pytest.raises(ValueError, match=r"a loss of shape \(3, 1\)"):
        explain(model(X))
    cost.backward()
    with pytest.raises(RuntimeError, match="was freed by an earlier backward"):
        explain(cost)


class Fork(nn.Module):
    """Several inputs, one of whole numbers, and several outputs."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.words, self.mixed = an.Embedding(4, 3, rng=rng), an.Layer(5, 6, rng=rng)
        self.value, self.kind = an.Layer(6, 1, rng=rng), an.Layer(6, 3, rng=rng)

    def forward(self, numbers: Any, word: Any) -> Any:  # type: ignore[override]
        hidden = np.tanh(self.mixed(np.concatenate([numbers, self.words(word)], axis=1)))
        return {"value": self.value(hidden), "kind": self.kind(hidden)}


def test_several_inputs_and_outputs_are_explained_as_fit_takes_them() -> None:
    rng = np.random.default_rng(1)
    numbers, word = rng.normal(size=(5, 2)), np.array([0, 1, 2, 3, 3])
    y = {"value": rng.normal(size=(5, 1)), "kind": np.array([0, 1, 2, 1, 0])}
    losses = {"value": "mse", "kind": an.SoftmaxCrossEntropy()}
    model = Fork()
    out = model(numbers, word)
    cost = an.MeanSquaredError()(out["value"], y["value"])
    cost = cost + an.SoftmaxCrossEntropy()(out["kind"], y["kind"])
    examples: list[Any] = [(numbers, word), {"word": word, "numbers": numbers}]
    for X in examples:
        told = explain(model, X, y, loss=losses)
        assert_evaluates(told)
        assert_gradients(told, model, cost)
    assert "X_numbers" in str(told)


def test_a_loss_without_targets_is_explained_and_one_with_asks_for_them() -> None:
    triplets = np.random.default_rng(1).normal(size=(4, 3, 2))
    model = an.Layer(2, 2, rng=0)
    told = explain(model, triplets, loss=an.TripletLoss(2.0))
    assert_evaluates(told)
    assert_gradients(told, model, an.TripletLoss(2.0)(model(triplets)))
    with pytest.raises(TypeError, match="y is None, and CrossEntropy"):
        explain(model, triplets, loss=an.CrossEntropy())
