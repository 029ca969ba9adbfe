"""What a step touches, and what it leaves alone."""

from __future__ import annotations

import copy
import functools
import tracemalloc
from typing import Any

import numpy as np
import pytest
from tools.descents import (
    GRADIENTS,
    MAKERS,
    WAYS,
    cost_of,
    network,
    tensors,
    walked,
)
from tools.refusals import assert_refused

import autonn
from autonn import Tensor, compile, optim


@pytest.mark.parametrize("way", WAYS)
def test_a_step_is_apply_of_the_gradients_and_only_reads_them(way: str) -> None:
    by_step, by_hand = MAKERS[way](tensors()), MAKERS[way](tensors())
    for gradients in GRADIENTS[:5]:
        for parameter, g in zip(by_step.parameters, gradients, strict=True):
            parameter.grad = g.copy()
            parameter.grad.flags.writeable = False
        by_step.step()
        for parameter, g in zip(by_step.parameters, gradients, strict=True):
            np.testing.assert_array_equal(parameter.grad, g)
    for one, other in zip(by_step.parameters, walked(by_hand, GRADIENTS[:5]), strict=True):
        np.testing.assert_array_equal(one.data, other)


@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}])
@pytest.mark.parametrize("way", WAYS)
def test_a_step_works_in_place_without_temporaries(way: str, options: dict[str, Any]) -> None:
    x = Tensor(np.ones(100_000), requires_grad=True)
    optimizer = MAKERS[way]([x], **options)
    x.grad = np.ones(100_000)
    optimizer.step()
    array = x._data.ctypes.data
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        optimizer.step()
        assert tracemalloc.get_traced_memory()[1] - before < 10_000  # one array has 800,000
    finally:
        tracemalloc.stop()
    assert x._data.ctypes.data == array


def test_a_step_may_be_taken_by_hand() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    old = model[0].weight.numpy()
    cost_of(model).backward()
    gradient = model[0].weight.grad.copy()
    optimizer.step()
    np.testing.assert_array_equal(model[0].weight.data, old - 0.1 * gradient)
    optimizer.zero_grad()
    assert model[0].weight.grad is None


@pytest.mark.parametrize("way", WAYS)
def test_no_gradient_changes_nothing_not_even_by_decay(way: str) -> None:
    skipping, whole = MAKERS[way](tensors()), MAKERS[way](tensors())
    skipping.apply(GRADIENTS[0])
    state = skipping.state_dict()
    before = [parameter.numpy() for parameter in skipping.parameters]
    skipping.apply([None] * 3)
    for parameter, old in zip(skipping.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.data, old)
    assert skipping.state_dict().pop("steps") == state.pop("steps") + 1
    for name, value in state.items():
        np.testing.assert_array_equal(skipping.state_dict()[name], value)
    # the steps of one that is left out now and then are those of one that was never shown
    for k, (first, second, third) in enumerate(GRADIENTS[1:20]):
        skipping.apply([first, None if k % 2 else second, third])
    seen = [GRADIENTS[0], *[g for k, g in enumerate(GRADIENTS[1:20]) if not k % 2]]
    np.testing.assert_array_equal(skipping.parameters[1].data, walked(whole, seen)[1])


def test_updates_do_not_reach_into_pending_graphs() -> None:
    for make in MAKERS.values():
        x = Tensor([2.0], requires_grad=True)
        y: Tensor = np.sum(x * x)
        x.grad = np.ones(1)
        make([x], lr=1.0).step()
        assert x.data != 2
        x.grad = None
        y.backward()
        assert x.grad == 4


def test_gradients_that_are_tensors_count_by_their_values() -> None:
    x = Tensor([3.0], requires_grad=True)
    (x**2).backward(np.ones(1), create_graph=True)
    optim.SGD([x], lr=0.5).step()
    assert x.data == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "make",
    [
        functools.partial(optim.SGD, lr=0.1, momentum=0.9),
        functools.partial(optim.RMSprop, beta=0.9),
        functools.partial(optim.Adam, beta2=0.9),
        functools.partial(optim.AdamW, beta2=0.9),
    ],
)
def test_the_moments_of_a_dead_unit_never_become_subnormal(make: Any, dtype: Any) -> None:
    """Processors are slow with such numbers; beta = 0.9 is there after 6,700 steps."""
    optimizer = make([Tensor(np.ones(3), requires_grad=True, dtype=dtype)])
    tiny = np.finfo(dtype).tiny
    optimizer.apply([np.array([1.0, 1e-3, 0.0], dtype)])
    dead = np.zeros(3, dtype)
    for _ in range(1000 if dtype == np.float32 else 7500):
        optimizer.apply([dead])
        for slot in optimizer.state_dict().values():
            assert not np.any((np.abs(slot) > 0) & (np.abs(slot) < tiny))
    moments = {name: value for name, value in optimizer.state_dict().items() if "." in name}
    assert not any(np.any(value) for name, value in moments.items() if name != "t.0")


def test_moments_that_count_are_never_swept_away() -> None:
    for make in MAKERS.values():
        optimizer = make([Tensor([1.0, 1.0], requires_grad=True)])
        for _ in range(128):
            optimizer.apply([np.array([1e-120, 0.0])])
        moments = {k: v for k, v in optimizer.state_dict().items() if k[:2] in ("m.", "s.", "ve")}
        assert all(value[0] != 0 for value in moments.values())


def test_a_step_for_which_no_parameter_has_a_gradient_is_an_error() -> None:
    """As where model and optimiser were copied apart: it would never learn, in silence."""
    for make in MAKERS.values():
        model = network()
        optimizer = make(model)
        twin, its = copy.deepcopy(model), copy.deepcopy(optimizer)
        cost_of(twin).backward()
        before = [p.numpy() for p in twin.parameters()]
        assert_refused(its.step, RuntimeError, ["no", "gradient", "backward()", "bind(model)"])
        assert its.steps == 0
        its.bind(twin).step()
        assert all(np.any(p.data != old) for p, old in zip(its.parameters, before, strict=True))


def test_a_model_and_its_optimizer_are_copied_at_once() -> None:
    for make in MAKERS.values():
        model = network()
        optimizer = make(model)
        optimizer.minimize(functools.partial(cost_of, model), 3)
        twin, its = copy.deepcopy((model, optimizer))
        for m, o in ((model, optimizer), (twin, its)):
            o.minimize(functools.partial(cost_of, m), 5)
        assert all(a is b for a, b in zip(its.parameters, twin.parameters(), strict=True))
        for one, other in zip(model.parameters(), twin.parameters(), strict=True):
            assert one is not other
            np.testing.assert_array_equal(one.data, other.data)
        assert its.costs == optimizer.costs


def test_a_step_within_a_compiled_function_is_refused() -> None:
    """It would be taken once, while the program is derived."""
    x = Tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.5)

    def step(scale: Any) -> Any:
        cost = np.sum(scale * x * x)
        optimizer.apply(autonn.gradients(cost, [x]))
        return cost

    assert_refused(lambda: compile(step)(np.ones(1)), RuntimeError, ["SGD", "compiled", "outside"])
    assert x.data == 2
    assert optimizer.steps == 0


def test_a_parameter_that_the_cost_does_not_need_stands_still_beside_others() -> None:
    for make in MAKERS.values():
        used, idle = Tensor([3.0], requires_grad=True), Tensor([7.0], requires_grad=True)
        optimizer = make([used, idle])
        (used**2).sum().backward()
        optimizer.step()
        assert used.data < 3
        assert idle.data == 7
