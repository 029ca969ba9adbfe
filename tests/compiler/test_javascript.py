"""The program in JavaScript gives what NumPy gives: values, gradients, updates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS, drawn_network
from tools.javascript import NODE, furthest, program_of, run_javascript
from tools.planting import another

import autonn as an
from autonn import functional_call, value_and_grad
from autonn.compiler.javascript_numbers import NUMBERS
from autonn.engine import ops

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs JavaScript, is not there")

Case = tuple[str, Callable[..., Any], tuple[Any, ...]]


def of_network(name: str, model: Any, x: Any) -> Case:
    """Take a number of a network's outputs, and its gradients for all parameters and x."""
    if x.dtype.kind == "f":
        f = value_and_grad(
            lambda p, x: np.sum(np.sin(functional_call(model, p, x))), argnums=(0, 1)
        )
        return name, f, (model.state_dict(), x)
    f = value_and_grad(lambda p: np.sum(np.sin(functional_call(model, p, x))))
    return name, f, (model.state_dict(),)


def networks() -> Iterator[Case]:
    for name, (make, x) in NETWORKS.items():
        yield of_network(name, make().eval(), x)
    for seed in range(40):
        yield of_network(f"drawn {seed}", *drawn_network(seed))


def losses() -> Iterator[Case]:
    rng = np.random.default_rng(0)
    X, W, y = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), np.array([0, 1, 2, 0, 1])
    Y = np.eye(3)[y]
    made: list[tuple[str, Any, Any, Any]] = [
        ("sigmoid", an.CrossEntropy(), an.sigmoid, y),
        ("softmax", an.CrossEntropy(), an.softmax, y),
        ("plain", an.CrossEntropy(), lambda z: np.clip(z, 0.1, 0.9), Y),
        ("logits", an.SoftmaxCrossEntropy(), None, y), ("each", an.SigmoidCrossEntropy(), None, Y),
        ("squares", an.MeanSquaredError(), None, Y), ("huber", an.HuberLoss(), None, Y),
        ("hinge", an.HingeLoss(), None, y), ("kl", an.KLDivergence(), an.softmax, Y),
        ("cosine", an.CosineSimilarityLoss(), None, Y),
    ]  # fmt: skip
    for name, loss, end, t in made:
        f = value_and_grad(lambda W, t, loss=loss, end=end: loss(end(X @ W) if end else X @ W, t))
        yield name, f, (W, t)


def functions() -> Iterator[Case]:
    rng = np.random.default_rng(1)
    x, places = rng.normal(size=(4, 6)), np.array([2, 0, 2, -1])
    made: list[Any] = [
        lambda x: np.sum(x[places] * np.arange(4.0)[:, None]),
        lambda x: np.sum(np.sort(x, axis=1) * np.arange(6.0)),
        lambda x: np.sum(np.var(x, axis=0) * np.std(x, axis=0, ddof=1)),
        lambda x: np.sum(np.linalg.norm(x, axis=1)) + np.linalg.norm(x),
        lambda x: np.sum(np.prod(x, axis=1)) + np.max(x) - np.min(x),
        lambda x: np.sum(np.flip(x, 0)[1:, ::2] * np.roll(x, 1, axis=0)[:3, ::2]),
        lambda x: np.sum(np.einsum("ij,kj->ik", x, x) ** 2),
        lambda x: np.sum(np.cumsum(x, axis=0) * np.cumprod(x, axis=1)),
        lambda x: np.sum(ops.gelu(3 * x) + ops.erf(x) + ops.logaddexp(x, -x)),
        lambda x: np.sum(x[:, None, :] @ x[:, :, None]) + x[0] @ x[1] + np.sum(x @ x[0]),
        lambda x: np.sum(np.hypot(x, 2) + np.arctan2(x, 3) + np.exp2(x) + np.rint(x)),
    ]
    for k, f in enumerate(made):
        yield f"function {k}", value_and_grad(f), (x,)
    yield (
        "mask",
        lambda x: (np.argmax(x, axis=1), np.any(x > 2), x > 0, {"all": np.all(x < 9)}),
        (x,),
    )


def differences(cases: Iterator[Case]) -> dict[str, float]:
    """Return by name how far the programs are from NumPy; those that can't be written are 0."""
    listed = list(cases)
    results = run_javascript([program_of(f, *args) for _, f, args in listed])
    pairs = zip(listed, results, strict=True)
    return {name: furthest(result, f(*args)) for (name, f, args), result in pairs}


@pytest.mark.parametrize("cases", [networks, losses, functions])
def test_values_and_gradients_are_those_of_numpy(cases: Callable[[], Iterator[Case]]) -> None:
    found = differences(cases())
    assert {name: d for name, d in found.items() if not d < 1e-12} == {}


def test_a_wrong_expression_is_noticed() -> None:
    name, (make, x) = "residual", NETWORKS["residual"]
    with another(NUMBERS, ops.tanh.op, "Math.tanh({0}) * (1 + 1e-11)"):
        assert differences(iter([of_network(name, make(), x)]))[name] > 1e-12


def test_float32_is_computed_in_float32() -> None:
    model = NETWORKS["residual"][0]().astype(np.float32)
    case = of_network("f", model, NETWORKS["residual"][1].astype(np.float32))
    text = program_of(case[1], *case[2])[0]
    assert "Float64Array" not in text
    assert differences(iter([case]))["f"] < 1e-6


def test_a_compiled_step_has_it_with_the_same_names_and_formulas() -> None:
    model = an.Sequential(an.Layer(3, 2, rng=0), an.Sigmoid())
    loss = an.compile(lambda X, y: an.CrossEntropy()(model(X), y))
    with pytest.raises(RuntimeError, match="call it once"):
        _ = loss.javascript
    loss(np.ones((4, 3)), np.array([0, 1, 0, 1]))
    text = loss.javascript
    assert re.search(r"function program\(X, y, weight_0, bias_0\)", text)
    assert "Z = X Y" in text
    names = set(re.findall(r"\b(?:z|delta|d_weight|d_bias)_0\b", loss.source))
    assert names <= set(re.findall(r"\w+", text))


def test_chance_is_drawn_by_a_function_that_may_be_given() -> None:
    dropout = an.Dropout(0.5, rng=0)
    text, args = program_of(lambda x: dropout(x), np.ones(6))
    assert "random = Math.random" in text
    drawn = text.replace("random = Math.random", "random = () => 0.75")
    assert set(run_javascript([(drawn, args)])[0]) <= {0.0, 2.0}


def test_loops_are_written_step_by_step_and_parts_where_they_belong() -> None:
    x, w = np.random.default_rng(0).normal(size=(2, 3, 3))

    def backwards(x: Any, w: Any) -> Any:
        found = an.scan(lambda c, row: (np.tanh(c @ w + row),) * 2, np.zeros(3), x, reverse=True)
        return np.sum(found[0] * np.arange(3.0)) + np.sum(found[1] ** 2)

    def cut(x: Any, w: Any) -> Any:
        left, right = np.split(x @ w, [1], axis=1)
        return np.sum(np.tanh(left) * np.sin(right))

    both = [("loop", backwards), ("parts", cut)]
    cases = [(name, value_and_grad(f, argnums=(0, 1)), (x, w)) for name, f in both]
    assert {name for name, d in differences(iter(cases)).items() if not d < 1e-12} == set()


def test_what_has_no_words_is_named_with_its_layer() -> None:
    model = an.Sequential(an.Layer(3, 3, rng=0), lambda x: np.linalg.inv(x[:3]))
    with pytest.raises(NotImplementedError, match="inv in layer 1"):
        program_of(lambda X: model(X), np.eye(3))


@pytest.mark.parametrize("key", ["a'];throw 1;['", "__proto__", "\u2028", "\U000e0001", '"'])
def test_a_text_in_the_result_is_no_way_in(key: str) -> None:
    text, args = program_of(lambda x: {key: x * 2}, np.ones(2))
    assert run_javascript([(text, args)]) == [[[2.0, 2.0]]]


def test_whole_numbers_do_not_wrap_and_complex_ones_are_refused() -> None:
    text, args = program_of(lambda x: x * 2**40, np.arange(3))
    assert run_javascript([(text, args)]) == [[0, 2**40, 2**41]]
    with pytest.raises(NotImplementedError, match="no arrays of complex128"):
        program_of(lambda x: np.sum(x * 1j), np.ones(2))


def test_names_of_the_users_do_not_meet_those_of_the_language() -> None:
    def f(rows: Any, Float64Array: Any, i: Any, new_: Any, top: Any) -> Any:
        return np.sum(rows @ Float64Array + i, axis=0) * new_ + np.max(top, axis=0)

    rng = np.random.default_rng(0)
    args = tuple(rng.normal(size=s) for s in ((3, 2), (2, 4), (3, 4), (4,), (5, 4)))
    (result,) = run_javascript([program_of(f, *args)])
    assert furthest(result, f(*args)) < 1e-12
