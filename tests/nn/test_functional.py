"""`functional_call`: a model as a function of its parameters, for one call."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

from autonn import (
    BatchNorm1d,
    Layer,
    MeanSquaredError,
    Module,
    Sequential,
    Sigmoid,
    Tensor,
    checkpoint,
    compile,
    functional_call,
    grad,
    gradients,
    value_and_grad,
)

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((8, 3)), RNG.standard_normal((8, 2))
LOSS = MeanSquaredError()


class Held(Module):
    """Holds its parameters in all the ways there are, one of them twice, and a buffer."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        square = Tensor(rng.standard_normal((4, 4)), requires_grad=True)
        self.first: Any = [
            Tensor(rng.standard_normal((3, 4)), requires_grad=True),
            {"deep": (square,)},
        ]
        self.again = square
        self.last = Layer(4, 2, rng=rng)
        self.scale = Tensor(1.5)

    def forward(self, x: Any) -> Any:
        hidden = np.tanh(x @ self.first[0]) @ self.first[1]["deep"][0]
        return self.last(np.tanh(hidden @ self.again)) * self.scale


class Forgets(Held):
    def forward(self, x: Any) -> Any:
        return checkpoint(super().forward)(np.tanh(checkpoint(lambda x: x * self.scale)(x)))


class Fast(Held):
    """Holds a compiled function that reads its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.run = compile(lambda x: np.tanh(x @ self.first[0]) @ self.again)

    def forward(self, x: Any) -> Any:
        return self.last(self.run(x)) * self.scale


def row() -> Sequential:
    return Sequential(Layer(3, 4, rng=0), Sigmoid(), Layer(4, 2, rng=1))


def normed() -> Sequential:
    return Sequential(Layer(3, 4, rng=0), BatchNorm1d(4), Layer(4, 2, rng=1)).eval()


MAKERS = {"row": row, "held": Held, "forgets": Forgets, "normed": normed, "fast": Fast}


def others(model: Module) -> dict[str, Any]:
    return {name: value + 0.1 for name, value in model.state_dict().items()}


def slope(f: Any, p: dict[str, Any], way: dict[str, Any], step: float = 1e-5) -> float:
    ahead, behind = ({n: p[n] + s * way[n] for n in p} for s in (step, -step))
    return float(f(ahead) - f(behind)) / (2 * step)


def assert_gradient(f: Any, p: dict[str, Any], found: dict[str, Any]) -> None:
    assert found.keys() == p.keys()
    for name in p:
        rng = np.random.default_rng(0)
        way = {n: rng.standard_normal(v.shape) * (n == name) for n, v in p.items()}
        expected = slope(f, p, way)
        assert np.sum(way[name] * found[name]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("kind", MAKERS)
def test_it_is_the_model_with_these_numbers(kind: str) -> None:
    model, same = MAKERS[kind](), MAKERS[kind]()
    p = others(model)
    before = {name: (t, t.numpy()) for name, t in model.named_tensors().items()}
    held = [dict(vars(module)) for _, module in model.named_modules()]
    edits = model.edits
    same.load_state_dict(p)
    np.testing.assert_allclose(functional_call(model, p, X).numpy(), same.predict(X), rtol=1e-14)
    for name, tensor in model.named_tensors().items():
        assert tensor is before[name][0]
        np.testing.assert_array_equal(tensor.data, before[name][1])
    for (_, module), attributes in zip(model.named_modules(), held, strict=True):
        assert all(vars(module)[name] is value for name, value in attributes.items())
    assert model.edits == edits


@pytest.mark.parametrize("kind", MAKERS)
def test_gradients_by_all_parameters_and_buffers(kind: str) -> None:
    model = MAKERS[kind]()

    def f(p: Any) -> Any:
        return LOSS(functional_call(model, p, X), Y)

    p = others(model)
    found = grad(f)(p)
    assert_gradient(f, p, found)
    model.load_state_dict(p)
    ours = gradients(LOSS(model(X), Y), model.parameters())
    for name, expected in zip(dict(model.named_parameters()), ours, strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-14)
    tensors = {name: Tensor(value, requires_grad=True) for name, value in p.items()}
    f(tensors).backward()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(tensor.grad, found[name], rtol=1e-12, atol=1e-14)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("kind", ["row", "held", "forgets", "normed"])
def test_a_gradient_through_a_step_of_descent(kind: str) -> None:
    model = MAKERS[kind]()

    def f(p: Any, rows: slice) -> Any:
        return LOSS(functional_call(model, p, X[rows]), Y[rows])

    def after_a_step(p: Any) -> Any:
        inner = grad(f)(p, slice(4))
        return f({name: p[name] - 0.1 * inner[name] for name in p}, slice(4, 8))

    p = others(model)
    found = grad(after_a_step)(p)
    assert_gradient(after_a_step, p, found)
    step = compile(grad(after_a_step))
    for name, value in step(p).items():
        np.testing.assert_allclose(value, found[name], rtol=1e-10, atol=1e-12)


def test_a_compiled_function_follows_the_dict_and_the_model() -> None:
    model = Sequential(Layer(3, 4, rng=0), BatchNorm1d(4), Layer(4, 2, rng=1))
    buffers = dict(model[1].named_buffers())
    buffers = {f"1.{name}": Tensor(b.numpy()) for name, b in buffers.items()}
    f = value_and_grad(lambda p: LOSS(functional_call(model, p | buffers, X), Y))
    step = compile(f)
    p = {name: value.numpy() for name, value in model.named_parameters()}
    for k in range(4):
        if k == 2:
            model.eval()
        given = {name: value + 0.1 * k for name, value in p.items()}
        before = {name: b.numpy() for name, b in buffers.items()}
        value, found = step(given)
        after = {name: b.numpy() for name, b in buffers.items()}
        for name in buffers:  # moved once in each step of training
            assert np.array_equal(before[name], after[name]) == (k >= 2)
            buffers[name].data = before[name]
        expected, theirs = f(given)
        assert value == pytest.approx(float(expected), rel=1e-12)
        for name in p:
            np.testing.assert_allclose(found[name], theirs[name], rtol=1e-9, atol=1e-12)
        for name in buffers:
            np.testing.assert_allclose(buffers[name].data, after[name], rtol=1e-12)
    assert not np.any(model[1].running_mean.data)  # the model's own never moved


def test_a_running_mean_is_set_in_a_tensor_and_in_no_array() -> None:
    model = normed().train()
    p = model.state_dict()
    kept = {name: value.copy() for name, value in p.items()}
    functional_call(model, p, X)
    for name in p:
        np.testing.assert_array_equal(p[name], kept[name])
        np.testing.assert_array_equal(model.state_dict()[name], kept[name])
    mean = Tensor(p["1.running_mean"])
    functional_call(model, p | {"1.running_mean": mean}, X)
    assert np.any(mean.data)
    with pytest.raises(RuntimeError, match="cannot be set"):
        functional_call(model, p | {"1.running_mean": Tensor(np.ones(4), True) * 2}, X)
    with pytest.raises(RuntimeError, match=r"setting \.data"):
        compile(lambda p: functional_call(model, p, X))(p)


def test_what_does_not_belong_to_the_model_is_refused_with_all_of_it() -> None:
    model = row()
    p = model.state_dict()
    p["3.weight"] = p.pop("0.bias")
    p["2.bias"] = np.zeros(5)
    with pytest.raises(KeyError) as names:
        functional_call(model, p, X)
    for part in ("0.bias is missing", "3.weight is unknown", "2.bias is float64 (5,)"):
        assert part in str(names.value)
    with pytest.raises(ValueError, match=r"complex128 \(2,\), expected float64 \(2,\)") as told:
        functional_call(model, model.state_dict() | {"2.bias": np.ones(2) * 1j}, X)
    assert not isinstance(told.value, KeyError)


@pytest.mark.parametrize("as_tensors", [False, True])
def test_narrow_numbers_are_widened_to_the_model_s(as_tensors: bool) -> None:
    model = row()
    p: Any = {name: value.astype(np.float32) for name, value in model.state_dict().items()}
    if as_tensors:
        p = {name: Tensor(value, requires_grad=True) for name, value in p.items()}
    out = functional_call(model, p, X.astype(np.float32))
    assert out.dtype == np.float64
    if as_tensors:
        np.sum(out).backward()
        assert p["0.weight"].grad.dtype == np.float32


def test_the_model_has_its_own_again_where_forward_raises() -> None:
    class Raises(Held):
        def forward(self, x: Any) -> Any:
            super().forward(x)
            self.scale = Tensor(9.0)
            raise LookupError("mine")

    model = Raises()
    before = model.named_tensors()
    with pytest.raises(LookupError, match="mine"):
        functional_call(model, others(model), X)
    after = model.named_tensors()
    assert after.keys() == before.keys()
    assert all(after[name] is before[name] for name in before)


def test_whoever_asks_for_the_parameters_meanwhile_gets_what_stands_in() -> None:
    class Penalised(Held):
        def forward(self, x: Any) -> Any:
            return sum(np.sum(weight * weight) for weight in self.weights())

    model = Penalised()
    model.weights()
    p = {name: Tensor(value * 0, True) for name, value in model.state_dict().items()}
    assert float(functional_call(model, p, X)) == 0
    assert float(model(X)) > 0


def test_threads_take_turns() -> None:
    model, wrong = row(), []
    p = model.state_dict()

    def work(k: int) -> None:
        given = {name: value * k for name, value in p.items()}
        mine = row()
        mine.load_state_dict(given)
        expected = mine.predict(X)
        for _ in range(50):
            if not np.array_equal(functional_call(model, given, X).numpy(), expected):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(model.state_dict()["0.weight"], p["0.weight"])


def test_buffers_that_are_left_out_are_the_models_own() -> None:
    model = Sequential(Layer(3, 4, rng=0), BatchNorm1d(4), Layer(4, 2, rng=1))
    parameters = {name: p.numpy() for name, p in model.named_parameters()}
    twin = copy.deepcopy(model)
    found = functional_call(model, parameters, X)
    np.testing.assert_array_equal(found.data, twin(X).data)
    np.testing.assert_array_equal(model[1].running_mean.data, twin[1].running_mean.data)
    with pytest.raises(KeyError, match=r"0\.bias is missing"):
        functional_call(model, {k: v for k, v in parameters.items() if k != "0.bias"}, X)
