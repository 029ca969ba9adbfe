"""`debug` names the op, the layer and the line of what was planted, and blames nothing else."""

from __future__ import annotations

import gc
import inspect
import pickle
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn.engine.lineage import op_of
from autonn.teach import NonFiniteError, debug

# ---- what is planted: each function has the comment "here" in the line of the birth


def lines_of(cost: Callable[..., Any]) -> set[str]:
    """Return the lines that are marked in a function, as errors name them."""
    source, first = inspect.getsourcelines(cost)
    file = inspect.getsourcefile(cost)
    return {f"{file}:{first + k}" for k, line in enumerate(source) if "# here" in line}


@dataclass
class Plant:
    """A cost of x that is well at `good` and gives a NaN or an inf at `bad`."""

    cost: Callable[[Any], Any]
    good: Any
    bad: Any
    op: str
    layer: str = ""
    back: bool = False
    branch: str = ""
    line: str = ""  # where it is not the marked one


def elementwise(function: Callable[[Any], Any], op: str, bad: float, **more: Any) -> Plant:
    """Plant a bad number among good ones; a lambda's own line is that of the birth."""

    def cost(x: Any) -> Any:
        h = x * 1.0
        z = function(h)  # here
        return np.sum(z)

    good = np.array([[0.3, 0.4], [0.5, 0.6]]) + more.pop("shift", 0.0)
    wrong = good.copy()
    wrong[1, 0] = bad
    code = getattr(function, "__code__", None)
    line = f"{code.co_filename}:{code.co_firstlineno}" if code else ""
    return Plant(cost, good, wrong, op, line=line, **more)


ROOTS = an.Sequential(an.Layer(2, 2, weight=np.eye(2)), an.ReLU(), an.Lambda(np.sqrt))


def roots(x: Any) -> Any:
    return np.sum(ROOTS(x))  # here: the function of the Lambda is NumPy's


class Ratio(an.Module):
    """A layer that divides by its own spread."""

    def __init__(self) -> None:
        self.scale = an.Tensor(2.0, requires_grad=True)

    def forward(self, x: Any) -> Any:
        centred = x - np.mean(x, axis=1, keepdims=True)
        spread = np.sqrt(np.mean(np.square(centred), axis=1, keepdims=True).detach())
        return centred / spread * self.scale  # here


RATIO = an.Sequential(an.Sequential(an.Identity(), Ratio()), an.Tanh())
LOGS = an.Sequential(an.Layer(2, 2, weight=np.eye(2)), an.Lambda(lambda h: np.log(h)))  # here
WIDE = an.Sequential(an.Tanh(), an.Layer(2, 2, weight=np.full((2, 2), 1.5e308)))


def ratio(x: Any) -> Any:
    return np.sum(RATIO(x))


def logs(x: Any) -> Any:
    return np.sum(LOGS(x))


def wide(x: Any) -> Any:
    return np.sum(WIDE(x) * 1e-300)  # here


def masked(x: Any) -> Any:
    scores = np.where(x > 0, x, -np.inf)
    return np.sum(an.softmax(scores))  # here


def by_hand(x: Any) -> Any:
    e = np.exp(x)  # here
    return np.sum(e / np.sum(e, axis=1, keepdims=True))


def infinities(x: Any) -> Any:
    e = np.exp(x)  # here
    return np.sum(e - e * 2)


def probabilities(x: Any) -> Any:
    return an.CrossEntropy()(x * 1.0, np.array([0, 1]))  # here


def convolved(x: Any) -> Any:
    kernel = np.full((1, 1, 2, 2), 1e308)
    return np.sum(an.nn.conv2d(x, kernel) * 1e-300)  # here


def matrices(x: Any) -> Any:
    return np.sum((x @ np.full((2, 2), 1e200)) * 1e-200)  # here


def not_taken(x: Any) -> Any:
    e = np.exp(x)  # here
    return np.sum(np.where(x < 500, e, x))


def tiny(x: Any) -> Any:
    return np.sum(1e-3 / x)  # here


@an.op(lambda g, z, x: g / (x - 1), formula="z = x, with a wrong rule")
def wrong_rule(x: Any) -> Any:
    return x + 0.0


def own_op(x: Any) -> Any:
    return np.sum(wrong_rule(x))  # here


GOOD = np.array([[0.3, 0.4], [0.5, 0.6]])


def with_number(number: float) -> Any:
    changed = GOOD.copy()
    changed[1, 0] = number
    return changed


FORWARD = {
    "log of 0": elementwise(np.log, "log", 0.0),
    "log of -1": elementwise(np.log, "log", -1.0),
    "log2": elementwise(np.log2, "log2", -1.0),
    "log10": elementwise(np.log10, "log10", 0.0),
    "log1p": elementwise(np.log1p, "log1p", -1.0),
    "sqrt": elementwise(np.sqrt, "sqrt", -1.0),
    "exp": elementwise(np.exp, "exp", 1000.0),
    "expm1": elementwise(np.expm1, "expm1", 1000.0),
    "1 / x": elementwise(lambda h: 1 / h, "divide", 0.0),
    "x / x": elementwise(lambda h: h / h, "divide", 0.0),
    "power": elementwise(lambda h: h**0.5, "power", -1.0),
    "arcsin": elementwise(np.arcsin, "arcsin", 2.0),
    "arctanh": elementwise(np.arctanh, "arctanh", 1.0),
    "arccosh": elementwise(np.arccosh, "arccosh", 0.5, shift=1.0),
    "sinh": elementwise(np.sinh, "sinh", 1000.0),
    "square": elementwise(np.square, "square", 1e200),
    "multiply": elementwise(lambda h: h * 1e200, "multiply", 1e200),
    "in a Lambda": Plant(logs, GOOD, with_number(-2.0), "log", "model.1 Lambda(<lambda>)"),
    "in a layer of one's own": Plant(
        ratio, GOOD, np.array([[0.3, 0.4], [0.5, 0.5]]), "divide", "model.0.1 Ratio()"
    ),
    "in a Layer": Plant(wide, GOOD * 0.1, with_number(3.0), "affine", "model.1 Layer(2, 2)"),
    "all masked": Plant(masked, GOOD, np.array([[0.3, 0.4], [-0.5, -0.6]]), "softmax"),
    "softmax by hand": Plant(by_hand, GOOD, with_number(1000.0), "exp"),
    "inf - inf": Plant(infinities, GOOD, with_number(1000.0), "exp"),
    "probability 0": Plant(
        probabilities, GOOD, np.array([[0.3, 0.4], [0.5, 0.0]]), "cross_entropy"
    ),
    "convolution": Plant(convolved, np.full((1, 1, 3, 3), 0.1), np.ones((1, 1, 3, 3)), "conv"),
    "product of matrices": Plant(matrices, GOOD, with_number(1e200), "matmul"),
}
BACK = {
    "sqrt at 0": elementwise(np.sqrt, "sqrt", 0.0, back=True),
    "power at 0": elementwise(lambda h: h**0.5, "power", 0.0, back=True),
    "cbrt at 0": elementwise(np.cbrt, "cbrt", 0.0, back=True),
    "arcsin at 1": elementwise(np.arcsin, "arcsin", 1.0, back=True),
    "log of the smallest": elementwise(np.log, "log", 1e-310, back=True),
    "1 / x of a small one": Plant(tiny, GOOD, with_number(1e-200), "divide", back=True),
    "sqrt after ReLU": Plant(
        roots, GOOD, with_number(-1.0), "sqrt", "model.2 Lambda(sqrt)", back=True
    ),
    "branch not taken": Plant(not_taken, GOOD, with_number(1e3), "exp", back=True, branch="x"),
    "a wrong rule": Plant(own_op, GOOD, with_number(1.0), "wrong_rule", back=True),
}  # fmt: skip
PLANTS = FORWARD | BACK


def run_eagerly(plant: Plant, x: Any) -> Any:
    tensor = an.Tensor(x, requires_grad=True)
    plant.cost(tensor).backward()
    return tensor.grad


def compiled(plant: Plant) -> Callable[[Any], Any]:
    """Compile a cost and its gradient, and run it where all is well."""
    step = an.compile(an.value_and_grad(plant.cost))
    step(plant.good)
    assert "def program" in step.source
    return step


def found(plant: Plant, run: Callable[[], Any]) -> NonFiniteError:
    with pytest.raises(NonFiniteError) as caught, debug():
        run()
    error = caught.value
    assert error.op == plant.op
    assert error.layer == plant.layer
    assert error.line in marked(plant)
    assert error.back is plant.back
    assert error.branch == plant.branch
    assert error.op in str(error)
    assert error.line in str(error)
    return error


def marked(plant: Plant) -> set[str]:
    """Return the lines that may be named: those of the cost, and of what it calls."""
    if plant.line:
        return {plant.line}
    if plant.cost is ratio:
        return lines_of(Ratio)
    if plant.cost is logs:
        text = inspect.getsource(inspect.getmodule(logs)).splitlines()  # type: ignore[arg-type]
        (number,) = (k for k, line in enumerate(text, 1) if line.startswith("LOGS ="))
        return {f"{inspect.getsourcefile(logs)}:{number}"}
    return lines_of(plant.cost)


def test_there_are_enough_plants() -> None:
    assert len(PLANTS) >= 30


@pytest.mark.parametrize("name", PLANTS)
def test_the_birthplace_is_named(name: str) -> None:
    plant = PLANTS[name]
    with debug():
        run_eagerly(plant, plant.good)  # where all is well nothing is raised
    error = found(plant, lambda: run_eagerly(plant, plant.bad))
    assert all(len(str(value)) for value in error.values.values())


@pytest.mark.parametrize("name", PLANTS)
def test_the_birthplace_is_named_of_a_compiled_function(name: str) -> None:
    plant = PLANTS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = compiled(plant)
    with debug():
        value, gradient = step(plant.good)
    after, slope = step(plant.good)
    assert type(value) is type(after)
    assert np.allclose(value, after, rtol=1e-12)
    assert type(gradient) is type(slope)
    found(plant, lambda: step(plant.bad))


# ---- what is said


def test_the_index_and_the_numbers_there_are_given() -> None:
    error = found(
        FORWARD["log of -1"], lambda: run_eagerly(FORWARD["log of -1"], with_number(-1.0))
    )
    assert error.index == (1, 0)
    assert error.values == {"x": -1.0}
    assert "log gave nan at [1, 0] of shape (2, 2)" in str(error)
    assert "formula z = ln x" in str(error)
    assert "z = function(h)  # here" in str(error)
    error = found(BACK["sqrt at 0"], lambda: run_eagerly(BACK["sqrt at 0"], with_number(0.0)))
    assert (error.index, error.values) == ((1, 0), {"g": 1.0, "z": 0.0, "x": 0.0})
    assert "on the way back, the rule of sqrt gave a gradient of inf at [1, 0]" in str(error)


def test_a_branch_that_is_not_taken_is_named_with_its_line_and_cure() -> None:
    plant = BACK["branch not taken"]
    error = found(plant, lambda: run_eagerly(plant, plant.bad))
    assert error.values["g"] == 0.0
    (line,) = lines_of(not_taken)
    file, _, number = line.rpartition(":")
    assert f"branch x of the where at {file}:{int(number) + 1}" in str(error)
    assert "np.where(c, f(np.where(c, x, 1)), 0)" in str(error)


def test_the_other_branch_through_other_ops_is_named_too() -> None:
    x = an.Tensor([1.0, 400.0], requires_grad=True)

    def cost() -> Any:
        h = np.exp(x * 2) * 3 + 1
        return np.sum(np.where(x.data > 300, x, h))

    with pytest.raises(NonFiniteError) as caught, debug():
        cost().backward()
    assert (caught.value.op, caught.value.branch, caught.value.index) == ("exp", "y", (1,))


def test_what_was_given_is_said_to_be_given() -> None:
    model = an.Sequential(an.Identity(), an.Layer(2, 1, rng=0))

    def run(x: list[float]) -> None:
        cost: Any = np.sum(model(np.array([x])))
        cost.backward()

    with pytest.raises(NonFiniteError, match=r"x, given to affine, is nan") as caught, debug():
        run([0.0, np.nan])
    assert caught.value.index == (0, 1)
    assert caught.value.layer == "model.1 Layer(2, 1)"
    model[1].weight.data[0, 1] = np.inf
    with pytest.raises(NonFiniteError, match=r"1\.weight of the model, given to affine"), debug():
        run([0.5, 0.5])


def test_a_model_that_is_not_held_is_one_by_itself() -> None:
    class Calls(an.Module):
        def forward(self, x: Any) -> Any:
            return LOGS(x)

    with pytest.raises(NonFiniteError) as caught, debug():
        np.sum(an.Sequential(Calls())(with_number(-2.0))).backward()
    assert caught.value.layer == "model.1 Lambda(<lambda>)"


# ---- when


def test_without_a_backward_pass_what_is_left_is_found_at_the_end() -> None:
    with pytest.raises(NonFiniteError, match="log gave -inf"), debug():
        LOGS.predict(np.array([[0.0, 1.0]]))
    with pytest.raises(NonFiniteError, match="log gave -inf"), an.no_grad(), debug():
        np.log(an.Tensor([0.0]))
    with pytest.raises(NonFiniteError, match="log gave -inf"), debug(), an.no_grad():
        np.log(an.Tensor([0.0]))


def test_what_was_caught_within_is_not_raised_again() -> None:
    x = an.Tensor([1.0, 0.0], requires_grad=True)
    with debug():
        cost: Any = np.sum(np.log(x))
        with pytest.raises(NonFiniteError):
            cost.backward()
        twice = 2 * cost  # what comes of it is told too
        del cost
    assert np.isinf(twice.data)
    left = []

    def catch_one_and_leave_another() -> None:
        with pytest.raises(NonFiniteError, match="log"):
            np.sum(np.log(x)).backward()
        left.append(np.sqrt(x - 1))

    with pytest.raises(NonFiniteError, match="sqrt"), debug():
        catch_one_and_leave_another()


def test_what_was_caught_within_is_no_reason_of_another_error() -> None:
    x = an.Tensor([1.0, 0.0], requires_grad=True)

    def catch_one_and_raise_another() -> None:
        with pytest.raises(NonFiniteError):
            np.sum(np.log(x)).backward()
        raise KeyError("other")

    with pytest.raises(KeyError) as caught, debug():
        catch_one_and_raise_another()
    assert not getattr(caught.value, "__notes__", [])


def test_second_order_is_looked_at_too() -> None:
    def cost(x: Any) -> Any:
        return np.sum(x**1.5)  # here

    with debug():
        an.grad(cost)(np.array([0.0]))
    with pytest.raises(NonFiniteError) as caught, debug():
        an.hessian(cost)(np.array([0.0]))
    assert caught.value.line in lines_of(cost)


@pytest.mark.parametrize("compile", [True, False])
def test_fit_is_looked_at(compile: bool) -> None:
    rng = np.random.default_rng(0)
    model = an.Sequential(an.Layer(2, 3, rng=rng), an.Tanh(), an.Layer(3, 1, rng=rng))
    X, y = rng.normal(size=(8, 2)), rng.normal(size=(8, 1))
    how: Any = {"loss": an.MeanSquaredError(), "epochs": 60, "compile": compile}
    with debug():
        an.fit(model, X, y, optimizer=an.optim.SGD(lr=0.1), **how)
    with pytest.raises(NonFiniteError, match="square gave inf") as caught, debug():
        an.fit(model, X, y, optimizer=an.optim.SGD(lr=1e6), **how)
    assert __file__ in caught.value.line


def test_another_error_is_told_what_was_born_before() -> None:
    def run() -> None:
        np.log(an.Tensor([0.0], requires_grad=True))
        raise KeyError("else")

    with pytest.raises(KeyError) as caught, debug():
        run()
    (note,) = caught.value.__notes__
    assert note.startswith("debug: before this, log gave -inf at [0]")


# ---- what is no fault


def test_what_is_masked_or_thrown_away_is_no_fault() -> None:
    rng = np.random.default_rng(0)
    x = an.Tensor([0.0, 1.0, 4.0], requires_grad=True)
    attention = an.MultiheadAttention(4, 2, rng=rng)
    mask = np.tril(np.ones((3, 3), bool))
    costs: list[Callable[[], Any]] = [
        lambda: np.sum(np.where(x.data > 0, np.log(x), 0.0)),
        lambda: np.sum(np.where(x.data > 0, np.sqrt(x), 0.0)),
        lambda: np.sum(an.softmax(np.where(x.data > 0, x, -np.inf))),
        lambda: np.sum(np.minimum(x, np.inf)),
        lambda: np.mean(attention(rng.normal(size=(2, 3, 4)), mask=mask)),
    ]
    with debug():
        for cost in costs:
            cost().backward()
    assert np.isfinite(x.grad).all()


def test_healthy_networks_of_all_kinds_are_silent() -> None:
    rng = np.random.default_rng(0)
    pictures = an.Sequential(
        an.Conv2d(1, 2, 3, rng=rng), an.BatchNorm2d(2), an.ReLU(), an.MaxPool2d(2),
        an.Dropout(0.5, rng=rng), an.Flatten(), an.Layer(8, 3, rng=rng), an.Softmax(),
    )  # fmt: skip
    words = an.Sequential(
        an.Embedding(5, 4, rng=rng), an.LSTM(4, 3, rng=rng), an.Last(), an.Layer(3, 3, rng=rng)
    )
    y = np.array([0, 2])
    with debug():
        an.CrossEntropy()(pictures(rng.normal(size=(2, 1, 6, 6))), y).backward()
        an.SoftmaxCrossEntropy()(words(rng.integers(0, 5, size=(2, 4))), y).backward()


# ---- what it leaves as it was


def test_outside_nothing_is_looked_at_and_all_is_as_before() -> None:
    with np.errstate(all="raise"):
        with pytest.raises(NonFiniteError), debug():
            np.log(an.Tensor([0.0], requires_grad=True))
        with pytest.raises(FloatingPointError, match="divide by zero"):
            np.log(an.Tensor([0.0], requires_grad=True))
    step = an.compile(lambda x: np.sum(np.exp(x)))
    before = step(np.ones(3))
    with debug():
        assert step(np.ones(3)) == pytest.approx(before)
    assert step(np.ones(3)) == before
    with np.errstate(all="ignore"):
        result: Any = np.log(an.Tensor([0.0], requires_grad=True))
    assert op_of(result) is not None
    assert not hasattr(result, "_place")


def test_nothing_is_left_to_the_garbage_collector() -> None:
    def run() -> None:
        with debug():
            x = an.Tensor([1.0, -1.0], requires_grad=True)
            cost: Any = np.sum(np.where(x.data > 0, np.sqrt(x), 0.0))
            with an.no_grad():
                np.where(x.data > 0, np.log(x), 0.0)
            cost.backward()

    run()
    gc.collect()
    gc.disable()
    try:
        run()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_error_can_be_pickled() -> None:
    plant = FORWARD["log of -1"]
    error = found(plant, lambda: run_eagerly(plant, plant.bad))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.op, again.index, again.values) == (error.op, error.index, error.values)


def test_gradients_are_the_same_within() -> None:
    rng = np.random.default_rng(0)
    model = an.Sequential(an.Layer(3, 4, rng=rng), an.Tanh(), an.Layer(4, 2, rng=rng))
    X, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def run() -> list[Any]:
        model.zero_grad()
        an.MeanSquaredError()(model(X), y).backward()
        return [p.grad.tobytes() for p in model.parameters()]

    before = run()
    with debug():
        assert run() == before
    assert run() == before


def test_the_message_can_be_read_at_a_glance() -> None:
    with pytest.raises(NonFiniteError) as caught, debug():
        logs(an.Tensor(with_number(-2.0), requires_grad=True)).backward()
    lines = str(caught.value).splitlines()
    assert [re.split(r"[ :]", line.strip())[0] for line in lines] == [
        "log", "in", "line", "formula", "there",
    ]  # fmt: skip
