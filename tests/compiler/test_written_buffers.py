"""Buffers: what a module keeps and changes by itself, read live and written back by programs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from autonn import MeanSquaredError, Module, Tensor, compile, fit, gradients, optim, stop_gradient


def assert_close(a: Any, b: Any) -> None:
    assert_allclose(a, b, rtol=1e-13, atol=1e-15)


class Running(Module):
    """Keeps a running mean of what it sees while it is trained, and takes it away."""

    def __init__(self) -> None:
        self.scale = Tensor(np.ones(3), requires_grad=True)
        self.mean = Tensor(np.zeros(3))

    def forward(self, x: Any) -> Any:
        if self.training:
            self.mean.data = 0.5 * self.mean + 0.5 * stop_gradient(np.mean(x, axis=0))
        return (x - self.mean) * self.scale


def batches(seed: int) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((4, 3)) for _ in range(5)]


@pytest.mark.parametrize("seed", range(5))
def test_a_program_writes_buffers_back_as_eager_does(seed: int) -> None:
    eager, compiled = Running(), Running()
    program = compile(lambda x: compiled(x).detach())
    for x in batches(seed):
        assert_close(program(x).data, eager(Tensor(x)).data)
        assert_close(compiled.mean.data, eager.mean.data)
    eager.eval()
    compiled.eval()
    assert_close(program(x).data, eager(Tensor(x)).data)
    assert_close(compiled.mean.data, eager.mean.data)


def test_a_buffer_that_is_set_twice_in_a_call_has_the_last_value() -> None:
    eager, compiled = Running(), Running()

    def twice(model: Running, x: Any) -> Any:
        return model(model(x))

    program = compile(lambda x: twice(compiled, x).detach())
    for x in batches(0):
        assert_close(program(x).data, twice(eager, Tensor(x)).data)
        assert_close(compiled.mean.data, eager.mean.data)


def test_gradients_and_losses_are_right_beside_buffers() -> None:
    eager, compiled = Running(), Running()
    loss = compile(lambda x: np.mean(np.square(compiled(x))))
    for x in batches(1):
        expected: Any = np.mean(np.square(eager(Tensor(x))))
        (of_scale,) = gradients(expected, [eager.scale])
        found = loss(x)
        found.backward()
        assert float(found) == pytest.approx(float(expected), rel=1e-12)
        assert_allclose(compiled.scale.grad, of_scale, rtol=1e-12)
        compiled.scale.grad = None


def test_fit_trains_buffers_compiled_and_not_to_the_same_numbers() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 3))
    runs = []
    for compile_it in (True, False):
        model = Running()
        history = fit(
            model, X, y, loss=MeanSquaredError(), optimizer=optim.SGD(lr=0.1), epochs=4,
            batch_size=10, seed=0, compile=compile_it,
        )  # fmt: skip
        assert history.compiled is compile_it
        runs.append((history.cost, model.mean.data, model.scale.data))
    for a, b in zip(*runs, strict=True):
        assert_allclose(a, b, rtol=1e-12)


def test_a_tensor_of_no_module_is_set_once_in_a_call() -> None:
    mean = Tensor(np.zeros(()))

    def step(x: Any) -> Any:
        mean.data = mean + np.mean(x)
        return x * 2.0

    compiled = compile(step)
    for k in range(1, 4):
        compiled(np.ones(3))
        assert mean.data == k


def test_a_buffer_of_another_shape_is_refused_while_tracing() -> None:
    class Wrong(Running):
        def forward(self, x: Any) -> Any:
            self.mean.data = np.mean(x)
            return x * self.scale

    wrong = Wrong()
    with pytest.raises(ValueError, match="set on a tensor of shape"):
        compile(lambda x: wrong(x).detach())(np.ones((2, 3)))
