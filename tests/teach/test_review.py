"""A gradient written by hand is reviewed: right ones are never blamed, wrong ones in their line."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools import planted_reviews
from tools.planted_reviews import Plant
from tools.profiles import DEEP

import autonn
from autonn import review
from autonn.teach.reviewing import reviewing

PLANTS = list(planted_reviews.plants())
RIGHT = planted_reviews.right_programs()

# One of each kind, of those that are found soonest; the others by night.
DAILY = {
    "bias_columns-2", "bias_columns-4", "bias_columns-5", "bias_columns-10", "logistic-1",
    "logistic-2", "dict_layers-8", "relu_softmax-2", "example_loop-7",
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT if DEEP else ["bias_columns", "example_loop", "recurrent"])
def test_a_right_program_is_not_blamed(name: str, tmp_path: Path) -> None:
    found = planted_reviews.reviewed(name, RIGHT[name], tmp_path)
    assert found.right
    assert found.line is None
    assert "right" in found.cause


@pytest.mark.parametrize(
    "plant", [p for p in PLANTS if p.name in DAILY], ids=lambda plant: plant.name
)
def test_a_mistake_is_found_with_its_cause(plant: Plant, tmp_path: Path) -> None:
    found = planted_reviews.reviewed(plant.name, plant.source, tmp_path)
    assert planted_reviews.judged(plant, found) == (True, True), str(found)
    assert Path(found.file or "").parent == tmp_path
    assert f"{plant.line:4} ✗" in str(found)


def test_the_planted_mistakes_are_many_and_of_several_styles() -> None:
    assert len(PLANTS) >= 60
    assert len({p.program for p in PLANTS}) >= 6
    assert {p.name for p in PLANTS} >= DAILY


@pytest.mark.skipif(not DEEP, reason="all planted mistakes take minutes: in the profile deep")
def test_nearly_all_mistakes_are_found(tmp_path: Path) -> None:
    reviews = [planted_reviews.reviewed(p.name, p.source, tmp_path) for p in PLANTS]
    judged = [planted_reviews.judged(p, r) for p, r in zip(PLANTS, reviews, strict=True)]
    assert sum(line for line, _ in judged) >= 0.95 * len(PLANTS)
    assert sum(cause for _, cause in judged) >= 0.85 * len(PLANTS)


# ---- what a learner hands in


def descent(w: Any, x: Any, y: Any) -> Any:
    error = x @ w - y
    J = np.sum(error**2) / (2 * len(x))
    gradient = x.T @ error
    return J, gradient


def costs(w: Any, x: Any, y: Any) -> Any:
    return np.mean((x @ w - y) ** 2)


def data(m: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(3)
    return rng.normal(size=4), rng.normal(size=(m, 4)), rng.normal(size=m)


def test_what_was_given_stays_as_it_was_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def loud(w: Any, x: Any, y: Any) -> Any:
        print("here")
        x *= 2
        return descent(w, x, y)

    given = data(8)
    before = [a.copy() for a in given]
    codes = descent.__code__, loud.__code__
    assert not review(loud, *given).right
    assert all(np.array_equal(a, b) for a, b in zip(given, before, strict=True))
    assert (descent.__code__, loud.__code__) == codes
    assert capsys.readouterr().out == ""


def test_a_few_of_many_examples_are_taken_and_named() -> None:
    found = review(descent, *data(5000))
    assert found.line == descent.__code__.co_firstlineno + 3
    assert found.variable == "gradient"
    assert found.rows is not None
    assert len(found.rows) < 20
    assert "looked at with the examples 0, " in str(found)


def test_a_wrong_cost_is_told_where_the_right_one_is_given() -> None:
    def halved(w: Any, x: Any, y: Any) -> Any:
        error = x @ w - y
        J = np.sum(error**2) / (2 * len(x))
        return J, 2 * x.T @ error / len(x)

    found = review(halved, *data(8), cost=costs)
    assert not found.right
    assert "J itself is wrong" in found.cause


def test_two_mistakes_are_not_blamed_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reviewing, "SECONDS", 0.3)

    def twice(w: Any, b: Any, x: Any, y: Any) -> Any:
        error = x @ w + b - y
        J = np.sum(error**2) / (2 * len(x))
        gw = np.sum(x) * np.sqrt(abs(w))
        gb = np.sum(error**3) + 5
        return J, gw, gb

    w, x, y = data(8)
    found = review(twice, w, np.array(0.3), x, y, argnums=(0, 1))
    assert not found.right
    assert found.line is None
    assert "no single change of a line was found" in found.cause


def test_what_has_no_text_is_named() -> None:
    room: dict[str, Any] = {}
    exec("def f(w, x, y):\n    e = x @ w - y\n    return (e @ e) / 2, x.T @ e * 3", room)
    found = review(room["f"], *data(8))
    assert not found.right
    assert found.line is None
    assert "the line can't be found without the text of `f`; write it into a file" in found.cause


def test_a_helper_is_blamed_itself_where_it_is_called_several_times() -> None:
    def slope(a: Any) -> Any:
        return a * (1 + a)

    def net(w: Any, v: Any, x: Any, y: Any) -> Any:
        a = 1 / (1 + np.exp(-x @ w))
        b = 1 / (1 + np.exp(-a @ v))
        d = (b - y) * slope(b)
        return np.sum((b - y) ** 2) / 2, x.T @ (d @ v.T * slope(a)), a.T @ d

    rng = np.random.default_rng(0)
    found = review(
        net, *(rng.normal(size=s) for s in ((3, 4), (4, 2), (6, 3), (6, 2))), argnums=(0, 1)
    )
    assert found.line == slope.__code__.co_firstlineno + 1
    assert "sign" in found.cause


TWO_LAYERS = """
import numpy as np

def cost(W1, W2, X, y):
    a = {activation}
    p = a @ W2
    delta2 = (p - y) / len(X)
    delta1 = delta2 @ W2.T * {slope}
    return np.sum((p - y) ** 2) / (2 * len(X)), X.T @ delta1, a.T @ delta2
"""


@pytest.mark.parametrize(
    ("activation", "slope", "wanted"),
    [
        ("np.tanh(X @ W1)", "a * (1 - a)", "1 - a^2, that of tanh"),
        ("np.tanh(X @ W1)", "(a * (1 - a))", "1 - a^2, that of tanh"),
        ("1 / (1 + np.exp(-(X @ W1)))", "2 * (1 - a ** 2)", "a(1 - a), that of the sigmoid"),
        ("1 / (1 + np.exp(-(X @ W1)))", "1 / np.cosh(a)", "a(1 - a), that of the sigmoid"),
        ("np.maximum(X @ W1, 0)", "a * (1 - a)", "1 where `a` > 0, that of ReLU"),
    ],
)
def test_the_slope_of_another_activation_is_named_though_it_be_two_factors(
    activation: str, slope: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tmp_path.name
    (tmp_path / f"{name}.py").write_text(TWO_LAYERS.format(activation=activation, slope=slope))
    monkeypatch.syspath_prepend(str(tmp_path))
    rng = np.random.default_rng(0)
    shapes = (3, 4), (4, 2), (5, 3), (5, 2)
    cost = importlib.import_module(name).cost
    found = review(cost, *(rng.normal(size=shape) for shape in shapes), argnums=(0, 1))
    assert (found.line, found.variable) == (8, "delta1")
    assert f"the slope `{ast.unparse(ast.parse(slope))}` is the wrong one: {wanted}" in found.cause


def test_a_kink_at_the_very_point_given_is_no_mistake() -> None:
    def at_zero(w: Any, x: Any) -> Any:
        z = x @ w
        return np.sum(np.maximum(z, 0)), x.T @ (z >= 0).astype(float)

    assert review(at_zero, np.zeros(4), data(8)[1]).right


def test_a_gradient_that_is_wrong_elsewhere_is_wrong() -> None:
    def forgotten(w: Any, x: Any, y: Any) -> Any:
        error = x @ w - y
        return np.sum(error**2) / 2 + np.sum(w**2) / 2, x.T @ error

    assert not review(forgotten, np.zeros(4), *data(8)[1:]).right


@pytest.mark.parametrize("result", [1.0, (1.0,), "J"])
def test_what_is_no_cost_with_gradients_is_refused(result: Any) -> None:
    with pytest.raises(TypeError, match="return"):
        review(lambda w: result, np.ones(2))


def test_too_few_gradients_are_refused() -> None:
    with pytest.raises(ValueError, match="gradients were returned for 3 arguments"):
        review(lambda a, b, c: (1.0, a, b), *np.ones((3, 2)), argnums=(0, 1, 2))


def test_a_notebook_shows_the_wrong_line_in_red() -> None:
    found = review(descent, *data(8))
    page = found._repr_html_()
    assert page.count("✗") == 1
    assert "#8c1d18" in page
    assert "gradient = x.T @ error" in page
    assert repr(found) == str(found)


def test_it_is_at_the_front_door() -> None:
    assert autonn.teach.review is review
    assert "review" in dir(autonn)


def test_no_program_is_blamed_where_the_cost_is_no_number() -> None:
    def mean_of_squares(w: Any, X: Any, y: Any) -> tuple[Any, Any]:
        error = X @ w - y
        return np.sum(error**2) / (2 * len(y)), X.T @ error / len(y)

    right = np.ones(3), np.ones((2, 3)), np.zeros(2)
    assert review(mean_of_squares, *right).right
    for wrong in ((np.ones(3), np.ones((0, 3)), np.ones(0)), (np.full(3, np.inf), *right[1:])):
        with pytest.raises(ValueError, match=r"the cost is (nan|inf) here"):
            review(mean_of_squares, *wrong)


def test_the_librarys_own_functions_are_seen_through() -> None:
    def many(theta: Any, x: Any, y: Any) -> tuple[Any, Any]:
        a = autonn.sigmoid(x @ theta)
        J = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
        return J, x.T @ (a - y)

    # So many numbers that the slopes are not taken by differences.
    rng = np.random.default_rng(0)
    found = review(many, rng.normal(size=4001), rng.normal(size=(6, 4001)) / 60, np.eye(6)[0])
    assert "the factor 1/m is missing" in found.cause


dTheta = np.zeros((3, 4))  # in a notebook, what was computed before has the same name


def test_trials_write_to_nothing_of_the_callers() -> None:
    def penalised(Theta: Any, X: Any, Y: Any) -> tuple[Any, Any]:
        a1 = np.c_[np.ones(len(X)), X]
        a2 = 1 / (1 + np.exp(-a1 @ Theta.T))
        J = -np.sum(Y * np.log(a2) + (1 - Y) * np.log(1 - a2)) / len(X)
        J += np.sum(Theta[:, 1:] ** 2) / (2 * len(X))
        delta2 = (a2 - Y) * a2
        dTheta = delta2.T @ a1 / len(X)
        dTheta[:, 1:] += Theta[:, 1:] / len(X)
        return J, dTheta

    rng = np.random.default_rng(0)
    found = review(
        penalised, rng.normal(size=(3, 4)), rng.normal(size=(6, 3)), np.eye(3)[[0, 1, 2] * 2]
    )
    assert found.variable == "delta2"
    assert not dTheta.any()
