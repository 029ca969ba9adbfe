"""Optimisers: their steps against the papers' formulas and PyTorch, state, schedules, refusals."""

from __future__ import annotations

import copy
import functools
import io
import math
import pickle
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info
from tools.refusals import assert_refused

from autonn import CrossEntropy, Layer, Module, Sequential, Sigmoid, Tanh, Tensor, fit, hvp, optim

Array = NDArray[Any]
Steps = list[list[Array]]  # for each step the gradients, one for each parameter

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((60, 5)), RNG.integers(0, 3, 60)
STARTS: list[Array] = [RNG.standard_normal((3, 4)), RNG.standard_normal(3), np.array(0.7)]
# Gradients of sizes between 1e-4 and 100, for steps long enough for momentum and moments to matter.
GRADIENTS: Steps = [
    [np.asarray(RNG.standard_normal(s.shape) * 10 ** RNG.uniform(-4, 2, s.shape)) for s in STARTS]
    for _ in range(50)
]


def tensors(dtype: Any = np.float64) -> list[Tensor]:
    return [Tensor(start, requires_grad=True, dtype=dtype) for start in STARTS]


def rosenbrock(x: Any) -> Any:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def network(seed: int = 0, dtype: Any = np.float64) -> Sequential:
    rng = np.random.default_rng(seed)
    return Sequential(
        Layer(5, 4, rng=rng, dtype=dtype), Tanh(), Layer(4, 3, rng=rng, dtype=dtype), Sigmoid()
    )


def cost_of(model: Module) -> Tensor:
    return CrossEntropy()(model(X), Y)


# ---- the formulas as the papers have them, one element-wise line after another


def gradient_descent(theta: Array, gradients: Sequence[Array], lr: float) -> Array:
    for g in gradients:
        theta = theta - lr * g
    return theta


def momentum(
    theta: Array, gradients: Sequence[Array], lr: float, mu: float, decay: float = 0.0
) -> Array:
    """Sutskever et al. 2013, equations 1 and 2: the rate is within the velocity."""
    v = np.zeros_like(theta)
    for g in gradients:
        v = mu * v - lr * (g + decay * theta)
        theta = theta + v
    return theta


def nesterov(
    theta: Array, gradients: Sequence[Array], lr: float, mu: float, decay: float = 0.0
) -> Array:
    """The same, equations 3 and 4: g and the decay are those at ``theta + mu v``, the result too.

    What is followed here is theta itself; the optimiser's parameters are the point ahead.
    """
    v = np.zeros_like(theta)
    for g in gradients:
        ahead = theta + mu * v
        v = mu * v - lr * (g + decay * ahead)
        theta = theta + v
    return theta + mu * v


def rmsprop(theta: Array, gradients: Sequence[Array], lr: float, beta: float, eps: float) -> Array:
    """Tieleman & Hinton 2012, lecture 6.5; eps as in PyTorch."""
    mean_square = np.zeros_like(theta)
    for g in gradients:
        mean_square = beta * mean_square + (1 - beta) * g**2
        theta = theta - lr * g / (np.sqrt(mean_square) + eps)
    return theta


def adam(
    theta: Array,
    gradients: Sequence[Array],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float = 0.0,
) -> Array:
    """Kingma & Ba 2015, Algorithm 1; with decay, Loshchilov & Hutter 2019, Algorithm 2."""
    m, v, t = np.zeros_like(theta), np.zeros_like(theta), 0
    for g in gradients:
        t = t + 1
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        m_hat = m / (1 - beta1**t)
        v_hat = v / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps) - lr * decay * theta
    return theta


Make = Callable[..., optim.StepOptimizer]
Naive = Callable[[Array, Sequence[Array]], Array]

# The optimiser, the formula, and the optimiser of PyTorch with its arguments.
WAYS: dict[str, tuple[Make, Naive, str, dict[str, Any]]] = {
    "SGD": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o),
        lambda theta, g: gradient_descent(theta, g, 0.01),
        "SGD", {"lr": 0.01},
    ),
    "SGD, decay": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, weight_decay=0.5),
        lambda theta, g: momentum(theta, g, 0.01, 0.0, 0.5),
        "SGD", {"lr": 0.01, "weight_decay": 0.5},
    ),
    "momentum": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9),
        lambda theta, g: momentum(theta, g, 0.01, 0.9),
        "SGD", {"lr": 0.01, "momentum": 0.9},
    ),
    "momentum, decay": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9, weight_decay=0.5),
        lambda theta, g: momentum(theta, g, 0.01, 0.9, 0.5),
        "SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.5},
    ),
    "Nesterov": (
        lambda p=None, **o: optim.SGD(p, **{"lr": 0.01} | o, momentum=0.9, nesterov=True),
        lambda theta, g: nesterov(theta, g, 0.01, 0.9),
        "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    ),
    "Nesterov, decay": (
        lambda p=None, **o: optim.SGD(
            p, **{"lr": 0.01} | o, momentum=0.9, nesterov=True, weight_decay=0.5
        ),
        lambda theta, g: nesterov(theta, g, 0.01, 0.9, 0.5),
        "SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 0.5},
    ),
    "RMSprop": (
        lambda p=None, **o: optim.RMSprop(p, **{"lr": 0.01} | o, beta=0.95, eps=1e-3),
        lambda theta, g: rmsprop(theta, g, 0.01, 0.95, 1e-3),
        "RMSprop", {"lr": 0.01, "alpha": 0.95, "eps": 1e-3},
    ),
    "Adam": (
        lambda p=None, **o: optim.Adam(p, **{"lr": 0.01} | o, beta1=0.8, beta2=0.95, eps=1e-3),
        lambda theta, g: adam(theta, g, 0.01, 0.8, 0.95, 1e-3),
        "Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3},
    ),
    "AdamW": (
        lambda p=None, **o: optim.AdamW(
            p, **{"lr": 0.01} | o, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.5
        ),
        lambda theta, g: adam(theta, g, 0.01, 0.8, 0.95, 1e-3, 0.5),
        "AdamW", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.5},
    ),
}  # fmt: skip

MAKERS = {name: make for name, (make, *_) in WAYS.items()}


def walked(optimizer: optim.StepOptimizer, steps: Steps) -> list[Array]:
    """Let it take the steps and return its parameters."""
    for gradients in steps:
        dtypes = [parameter.dtype for parameter in optimizer.parameters]
        optimizer.apply([g.astype(d) for g, d in zip(gradients, dtypes, strict=True)])
    return [parameter.numpy() for parameter in optimizer.parameters]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-5)])
@pytest.mark.parametrize("way", WAYS)
def test_the_steps_are_those_of_the_formula(way: str, dtype: Any, tolerance: float) -> None:
    make, naive, *_ = WAYS[way]
    optimizer = make(tensors(dtype))
    for k, theta in enumerate(walked(optimizer, GRADIENTS)):
        expected = naive(STARTS[k], [gradients[k] for gradients in GRADIENTS])
        assert theta.dtype == dtype
        np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)
    for value in optimizer.state_dict().values():
        assert isinstance(value, int) or value.dtype == dtype


@pytest.mark.parametrize("way", WAYS)
def test_the_first_step_is_that_of_the_formula(way: str) -> None:
    """A wrong count of the steps shows most here, and momentum not at all."""
    make, naive, *_ = WAYS[way]
    for k, theta in enumerate(walked(make(tensors()), GRADIENTS[:1])):
        np.testing.assert_allclose(theta, naive(STARTS[k], [GRADIENTS[0][k]]), rtol=1e-14)


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_are_those_of_pytorch(way: str) -> None:
    torch: Any = pytest.importorskip("torch")
    make, _, name, options = WAYS[way]
    theirs = [torch.tensor(start, requires_grad=True) for start in STARTS]
    optimizer = getattr(torch.optim, name)(theirs, **options)
    for gradients in GRADIENTS:
        for parameter, g in zip(theirs, gradients, strict=True):
            parameter.grad = torch.tensor(g)
        optimizer.step()
    for ours, parameter in zip(walked(make(tensors()), GRADIENTS), theirs, strict=True):
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_the_defaults_are_those_of_the_papers() -> None:
    cases: list[tuple[Any, Naive]] = [
        (optim.Adam, lambda theta, g: adam(theta, g, 0.001, 0.9, 0.999, 1e-8)),
        (optim.AdamW, lambda theta, g: adam(theta, g, 0.001, 0.9, 0.999, 1e-8, 0.01)),
        (optim.RMSprop, lambda theta, g: rmsprop(theta, g, 0.001, 0.9, 1e-8)),
    ]
    for make, naive in cases:
        expected = naive(STARTS[0], [gradients[0] for gradients in GRADIENTS])
        np.testing.assert_allclose(walked(make(tensors()), GRADIENTS)[0], expected, rtol=1e-13)


# ---- what a step touches


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


# ---- weight decay and roles


class Odd(Module):
    """Its bias is a matrix and its weight a vector: shapes say nothing."""

    biases = ("shift",)

    def __init__(self) -> None:
        self.scale = Tensor(np.ones(3), requires_grad=True)
        self.shift = Tensor(np.ones((2, 3)), requires_grad=True)
        self.parts = [Layer(3, 2, weight=np.ones((2, 3)), bias=np.ones(2))]

    def forward(self, x: Any) -> Tensor:
        out: Tensor = self.parts[0](x * self.scale + self.shift)
        return out


DECAYING = [way for way in WAYS if "decay" in way or way == "AdamW"]


@pytest.mark.parametrize("way", DECAYING)
@pytest.mark.parametrize("by_fit", [False, True])
def test_weight_decay_leaves_alone_what_a_module_calls_a_bias(way: str, by_fit: bool) -> None:
    model = Odd()
    optimizer = MAKERS[way]()
    if by_fit:
        flat = lambda predictions, targets: np.sum(predictions) * 0.0  # noqa: E731
        fit(model, np.ones((2, 3)), np.ones(2), loss=flat, optimizer=optimizer, epochs=3)
    else:
        optimizer.bind(model)
        for _ in range(3):
            optimizer.apply([np.zeros(p.shape) for p in optimizer.parameters])
    for name, parameter in model.named_parameters().items():
        if name in ("shift", "parts.0.bias"):
            assert np.all(parameter.data == 1), name
        else:
            assert np.all(parameter.data < 1), name


def test_of_bare_tensors_all_decay() -> None:
    model = Layer(2, 2, weight=np.ones((2, 2)), bias=np.ones(2))
    optimizer = optim.SGD(model.parameters(), lr=0.5, weight_decay=0.5)
    optimizer.apply([np.zeros((2, 2)), np.zeros(2)])
    assert np.all(model.weight.data == 0.75)
    assert np.all(model.bias.data == 0.75)
    optimizer.bind(model).apply([np.zeros((2, 2)), np.zeros(2)])  # the roles may be told later
    assert np.all(model.bias.data == 0.75)


# ---- clipping


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_clipped_by_their_common_norm(way: str) -> None:
    limit = 3.0
    norms = [math.sqrt(sum(float(np.sum(g**2)) for g in gradients)) for gradients in GRADIENTS]
    assert min(norms) < limit * 10 < max(norms)
    small = [[g / 30 for g in gradients] for gradients in GRADIENTS]
    clipped = [
        [g * min(1, limit * 30 / norm) for g in gradients]
        for gradients, norm in zip(small, norms, strict=True)
    ]
    assert any(norm > limit * 30 for norm in norms)
    assert any(norm < limit * 30 for norm in norms)
    ours = walked(MAKERS[way](tensors(), clip_norm=limit), small)
    for one, other in zip(ours, walked(MAKERS[way](tensors()), clipped), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_clipping_is_that_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch")
    theirs = [torch.tensor(start, requires_grad=True) for start in STARTS]
    for parameter, g in zip(theirs, GRADIENTS[0], strict=True):
        parameter.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(theirs, 1.5)
    torch.optim.SGD(theirs, lr=0.1).step()
    ours = walked(optim.SGD(tensors(), lr=0.1, clip_norm=1.5), GRADIENTS[:1])
    for one, other in zip(ours, theirs, strict=True):  # PyTorch adds 1e-6 to the norm
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-6)


def test_clipping_stands_zeros_and_numbers_whose_squares_overflow() -> None:
    x = Tensor([1.0, 1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0, clip_norm=0.5)
    optimizer.apply([np.zeros(2)])
    np.testing.assert_array_equal(x.data, 1)
    optimizer.apply([None])
    optimizer.apply([np.array([3e200, 4e200])])
    np.testing.assert_allclose(x.data, [0.7, 0.6], rtol=1e-15)
    y = Tensor([1.0, 1.0], requires_grad=True, dtype=np.float32)
    optim.SGD([y], lr=1.0, clip_norm=0.5).apply([np.array([3e30, 4e30], np.float32)])
    np.testing.assert_allclose(y.data, [0.7, 0.6], rtol=1e-6)
    below = optim.SGD([y], lr=1e-25, clip_norm=7e25)  # of norm 5e25: not clipped
    below.apply([np.array([3e25, 4e25], np.float32)])
    np.testing.assert_allclose(y.data, [0.7 - 3, 0.6 - 4], rtol=1e-6)
    largest = np.full(4, np.finfo(float).max)
    z = Tensor(np.ones(4), requires_grad=True)
    optim.SGD([z], lr=1.0, clip_norm=0.5).apply([largest])
    np.testing.assert_allclose(z.data, 0.75)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_no_numbers_are_refused_where_they_are_clipped(bad: float) -> None:
    optimizer = optim.Adam(tensors(), clip_norm=1.0)
    optimizer.apply(GRADIENTS[0])
    state = optimizer.state_dict()
    before = [parameter.numpy() for parameter in optimizer.parameters]
    gradients = [GRADIENTS[0][0], np.array([0.0, bad, 0.0]), None]
    with pytest.raises(FloatingPointError, match=r"Adam: (nan|inf) in a gradient"):
        optimizer.apply(gradients)
    for parameter, old in zip(optimizer.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.data, old)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    optim.SGD(optimizer.parameters, lr=1.0).apply(gradients)  # as the formula says
    assert not np.isfinite(optimizer.parameters[1].data[1])


# ---- schedules


def test_schedules_give_the_rate_of_each_step() -> None:
    assert [optim.constant(0.3)(t) for t in (0, 7)] == [0.3, 0.3]
    falling = optim.step_decay(1.0, every=3, factor=0.5)
    assert [falling(t) for t in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    curve = optim.cosine(1.0, steps=4, end=0.2)
    expected = [0.2 + 0.4 * (1 + math.cos(math.pi * t / 4)) for t in range(4)]
    assert [curve(t) for t in range(6)] == pytest.approx([*expected, 0.2, 0.2], rel=1e-15)
    gentle = optim.warm_up(falling, steps=4)
    assert [gentle(t) for t in range(5)] == [0.25, 0.5, 0.75, 0.5, 0.5]
    cycle = optim.one_cycle(2.0, steps=10, rise=0.3, start=0.1, end=0.01)
    rates = [cycle(t) for t in range(12)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[1] == pytest.approx(1.1)
    assert rates[2] == max(rates) == 2.0
    assert np.all(np.diff(rates[2:10]) < 0)
    assert rates[9:] == [0.02] * 3
    assert optim.one_cycle(2.0, steps=2, rise=0.0)(0) == 2.0
    for steps in (1, 2, 3):
        assert optim.one_cycle(2.0, steps=steps)(steps) == pytest.approx(8e-6)


def test_schedules_are_those_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch")
    schedulers = torch.optim.lr_scheduler
    triples: list[tuple[optim.Schedule, int, Callable[[Any], Any]]] = [
        (optim.step_decay(0.5, 4, 0.3), 30, lambda o: schedulers.StepLR(o, 4, 0.3)),
        (optim.cosine(0.5, 30, 0.01), 30, lambda o: schedulers.CosineAnnealingLR(o, 30, 0.01)),
        (optim.one_cycle(0.5, 30), 30, lambda o: schedulers.OneCycleLR(o, 0.5, 30)),
        (optim.one_cycle(0.5, 7), 7, lambda o: schedulers.OneCycleLR(o, 0.5, 7)),
    ]
    for schedule, steps, scheduler_of in triples:
        theirs = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
        scheduler = scheduler_of(theirs)
        for step in range(steps):
            if step:
                theirs.step()
                scheduler.step()
            expected = theirs.param_groups[0]["lr"]
            assert schedule(step) == pytest.approx(expected, rel=1e-12), (schedule, step)


@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_stands_wherever_a_rate_does(way: str) -> None:
    rates = [0.1, 0.02, 0.3, 0.0]
    scheduled = MAKERS[way](tensors(), lr=lambda step: rates[step])
    by_hand = MAKERS[way](tensors())
    for rate, gradients in zip(rates, GRADIENTS, strict=False):
        assert scheduled.learning_rate == rate
        by_hand.lr = rate
        scheduled.apply(gradients)
        by_hand.apply(gradients)
    for one, other in zip(scheduled.parameters, by_hand.parameters, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_momentum_feels_a_new_rate_at_once() -> None:
    """As in PyTorch, whose velocity is without the rate."""
    optimizer = optim.SGD(tensors(), lr=optim.step_decay(0.1, every=10), momentum=0.9)
    theta, velocity = STARTS[0], np.zeros((3, 4))
    for step, gradients in enumerate(GRADIENTS):
        velocity = 0.9 * velocity + gradients[0]
        theta = theta - 0.1 * 0.1 ** (step // 10) * velocity
    np.testing.assert_allclose(walked(optimizer, GRADIENTS)[0], theta, rtol=1e-13)


def test_a_step_is_a_mini_batch() -> None:
    seen: list[int] = []

    def schedule(step: int) -> float:
        seen.append(step)
        return 0.1

    optimizer = optim.SGD(lr=schedule)
    fit(network(), X, Y, loss=CrossEntropy(), optimizer=optimizer, epochs=2, batch_size=25, seed=0)
    assert seen == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("rate", [-1.0, math.nan, math.inf, "a"])
def test_a_schedule_that_gives_no_rate_is_refused_before_anything_changes(rate: Any) -> None:
    optimizer = optim.Adam(tensors(), lr=lambda step: rate if step == 1 else 0.1)
    optimizer.apply(GRADIENTS[0])
    state = pickle.dumps(optimizer.state_dict())
    error = TypeError if rate == "a" else ValueError
    assert_refused(lambda: optimizer.apply(GRADIENTS[1]), error, ["Adam: lr at step 1", str(rate)])
    assert pickle.dumps(optimizer.state_dict()) == state


# ---- state


def through_file(optimizer: optim.StepOptimizer, make: Make) -> optim.StepOptimizer:
    file = io.BytesIO()
    np.savez(file, **optimizer.state_dict())
    file.seek(0)
    parameters = [Tensor(p.data, requires_grad=True) for p in optimizer.parameters]
    other = make(parameters, lr=optimizer.lr)
    with np.load(file, allow_pickle=False) as state:
        other.load_state_dict(dict(state))
    return other


TRANSPORTS: dict[str, Callable[[Any, Make], optim.StepOptimizer]] = {
    "file": through_file,
    "pickle": lambda optimizer, make: pickle.loads(pickle.dumps(optimizer)),
    "deepcopy": lambda optimizer, make: copy.deepcopy(optimizer),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("way", WAYS)
def test_training_goes_on_bit_for_bit(way: str, dtype: Any, transport: str) -> None:
    whole = MAKERS[way](tensors(dtype), lr=optim.cosine(0.01, steps=60))
    walked(whole, GRADIENTS[:20])
    resumed = TRANSPORTS[transport](whole, MAKERS[way])
    expected = walked(whole, GRADIENTS[20:])
    for one, other in zip(walked(resumed, GRADIENTS[20:]), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(a is b for a, b in zip(resumed.parameters, whole.parameters, strict=True))
    assert resumed.steps == 50


def test_a_state_is_a_copy_both_ways() -> None:
    optimizer = optim.Adam(tensors())
    optimizer.apply(GRADIENTS[0])
    state = optimizer.state_dict()
    m = state["m.0"].copy()
    other = optim.Adam(tensors())
    other.load_state_dict(state)
    optimizer.apply(GRADIENTS[1])
    other.apply(GRADIENTS[1])
    np.testing.assert_array_equal(state["m.0"], m)


def test_a_state_may_be_that_of_the_beginning() -> None:
    assert optim.SGD(lr=1.0).state_dict() == {"steps": 0}
    stepped = optim.Adam(tensors())
    stepped.apply(GRADIENTS[0])
    stepped.load_state_dict(optim.Adam(tensors()).state_dict())
    assert stepped.steps == 0
    assert not any(np.any(value) for value in stepped.state_dict().values())


def test_binding_the_same_parameters_again_keeps_the_moments() -> None:
    model, other = network(), network()
    options: dict[str, Any] = {"loss": CrossEntropy(), "batch_size": 20}
    twice, once = optim.Adam(lr=0.1), optim.Adam(lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        fit(model, X, Y, optimizer=twice, epochs=3, seed=rng, **options)
    fit(other, X, Y, optimizer=once, epochs=6, seed=0, **options)
    np.testing.assert_array_equal(model[0].theta, other[0].theta)
    twice.bind(network())
    state = twice.state_dict()
    assert state.pop("steps") == 0
    assert not any(np.any(value) for value in state.values())


def test_a_state_of_another_kind_is_refused_whole() -> None:
    optimizer = optim.Adam(tensors())
    optimizer.apply(GRADIENTS[0])
    good = optimizer.state_dict()
    bad = good | {"m.0": good["m.0"][:1], "s.1": good["s.1"].astype(complex), "t.0": -1, "u": 1}
    del bad["t.1"]
    words = ["Adam", "t.1 is missing", "u is unknown", "m.0", "(1, 4)", "complex128", "t.0 is -1"]
    assert_refused(lambda: optimizer.load_state_dict(bad), ValueError, words)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, good[name])
    lbfgs = optim.LBFGS(tensors())
    lbfgs.load_state_dict(lbfgs.state_dict())
    assert_refused(lambda: lbfgs.load_state_dict(good), ValueError, ["LBFGS", "m.0 is unknown"])


# ---- cost functions


SEARCHES: dict[str, Callable[..., Any]] = {
    "LBFGS": optim.LBFGS,
    "trust-ncg": optim.Newton,
    "newton-cg": lambda *parameters: optim.Newton(*parameters, method="newton-cg"),
}
ALL: dict[str, Callable[..., Any]] = {**MAKERS, **SEARCHES}


def hessian_product(model: Module) -> Callable[[list[Array]], Any]:
    def cost(*values: Any) -> Any:
        affine1, affine2 = values[:2], values[2:]
        hidden = np.tanh(X @ affine1[0].T + affine1[1])
        z = hidden @ affine2[0].T + affine2[1]
        return CrossEntropy()(Sigmoid()(z), Y)

    return lambda vectors: hvp(cost, tuple(p.numpy() for p in model.parameters()), tuple(vectors))


@pytest.mark.parametrize("name", ALL)
def test_a_cost_function_may_return_the_gradients_itself(name: str) -> None:
    model, other = network(), network()
    by_tensor, by_pair = ALL[name](model), ALL[name](other)

    def pair() -> tuple[float, list[Array]]:
        loss = cost_of(other)
        other.zero_grad()
        loss.backward()
        return loss.item(), [p.grad for p in other.parameters()]

    more = {} if name not in ("trust-ncg", "newton-cg") else {"product": hessian_product(other)}
    by_tensor.minimize(lambda: cost_of(model), 8)
    by_pair.minimize(pair, 8, **more)
    assert by_pair.costs == pytest.approx(by_tensor.costs, rel=1e-13 if not more else 1e-9)
    assert by_tensor.costs[-1] < by_tensor.costs[0]
    if not more:
        np.testing.assert_array_equal(model[0].theta, other[0].theta)


@pytest.mark.parametrize("name", ALL)
def test_the_callback_is_told_each_cost_and_may_stop(name: str) -> None:
    model = network()
    told: list[float] = []
    here: list[float] = []

    def callback(cost: float) -> None:
        told.append(cost)
        here.append(cost_of(model).item())
        if len(told) == 3:
            raise StopIteration

    optimizer = ALL[name](model)
    optimizer.minimize(lambda: cost_of(model), 50, callback)
    assert told == optimizer.costs
    assert len(told) == 3
    if name in SEARCHES:  # of a search, the costs are those after each step
        assert here == pytest.approx(told, rel=1e-14)
        assert cost_of(model).item() == pytest.approx(told[-1], rel=1e-14)
    else:
        assert here[:2] == told[1:]


# ---- searches by SciPy


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_ends_at_the_best_iterate_also_when_it_is_interrupted(name: str) -> None:
    for limit in range(3, 30):
        x = Tensor([-1.2, 1.0], requires_grad=True)
        calls: list[int] = []

        def cost(calls: list[int] = calls, limit: int = limit, x: Tensor = x) -> Any:
            calls.append(0)
            if len(calls) == limit:
                raise KeyboardInterrupt
            return rosenbrock(x)

        optimizer = SEARCHES[name]([x])
        with pytest.raises(KeyboardInterrupt):
            optimizer.minimize(cost, 50)
        assert [24.2, *optimizer.costs][-1] == pytest.approx(rosenbrock(x.numpy()), rel=1e-12)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_holds_scipys_blas_to_one_thread_and_leaves_numpys_alone(name: str) -> None:
    def threads() -> dict[str, int]:
        return {p["filepath"]: p["num_threads"] for p in threadpool_info()}

    import scipy.optimize  # noqa: F401  so that its library is loaded before

    before, during = threads(), []
    x = Tensor([3.0], requires_grad=True)

    def cost() -> Tensor:
        during.append(threads())
        return np.sum(x * x)

    SEARCHES[name]([x]).minimize(cost, 3)
    assert threads() == before
    for path, count in during[0].items():
        assert count == (1 if "scipy.libs" in path else before[path])


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_works_in_float32(name: str) -> None:
    model = network(dtype=np.float32)
    optimizer = SEARCHES[name](model)

    def cost() -> Tensor:
        return CrossEntropy()(model(X.astype(np.float32)), Y)

    optimizer.minimize(cost, 20)
    assert optimizer.costs[-1] < 0.8 * cost_of(network()).item()
    assert cost().item() == pytest.approx(optimizer.costs[-1], rel=1e-5)
    assert model[0].weight.dtype == np.float32


@pytest.mark.parametrize("name", SEARCHES)
def test_a_parameter_that_the_cost_does_not_need_stays(name: str) -> None:
    x, idle = Tensor([3.0], requires_grad=True), Tensor([[7.0]], requires_grad=True)
    SEARCHES[name]([idle, x]).minimize(lambda: np.sum((x - 1) ** 2), 5)
    assert x.data == pytest.approx(1)
    assert idle.data == 7


@pytest.mark.parametrize("method", ["trust-ncg", "newton-cg"])
def test_newton_finds_the_bottom_of_rosenbrocks_valley(method: str) -> None:
    x = Tensor([-1.2, 1.0], requires_grad=True)
    optimizer = optim.Newton([x], method=method)
    optimizer.minimize(lambda: rosenbrock(x), 100)
    np.testing.assert_allclose(x.data, 1, atol=1e-8)
    assert np.all(np.diff(optimizer.costs) <= 0)
    assert len(optimizer.costs) < 100


@pytest.mark.parametrize("method", ["trust-ncg", "newton-cg"])
def test_newton_solves_a_quadratic_at_once_by_exact_products(method: str) -> None:
    A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 0.5], [0.0, 0.5, 2.0]])
    x = Tensor(np.zeros(3), requires_grad=True)
    b = np.array([0.1, -0.2, 0.3])
    optimizer = optim.Newton([x], method=method)
    optimizer.minimize(lambda: x @ A @ x / 2 - x @ b, 20)
    np.testing.assert_allclose(x.data, np.linalg.solve(A, b), rtol=1e-12)
    assert len(optimizer.costs) <= 4


def test_one_graph_serves_all_the_products_at_a_point() -> None:
    model = network()
    calls: list[int] = []

    def cost() -> Tensor:
        calls.append(0)
        return cost_of(model)

    optimizer = optim.Newton(model)
    optimizer.minimize(cost, 10)  # with about 100 products
    assert len(calls) <= 1 + 2 * len(optimizer.costs)


def test_lbfgs_takes_the_iterations_it_was_given_however_many_costs_they_need() -> None:
    x = Tensor([-1.2, 1.0], requires_grad=True)
    calls: list[int] = []

    def cost() -> Any:
        calls.append(0)
        return rosenbrock(x)

    optimizer = optim.LBFGS([x])
    optimizer.minimize(cost, 20)
    assert len(optimizer.costs) == 20 < len(calls)


def test_lbfgs_remembers_as_many_steps_as_it_is_told() -> None:
    costs = {}
    for memory in (1, 2, 7):
        x = Tensor([-1.2, 1.0], requires_grad=True)
        optimizer = optim.LBFGS([x], memory=memory)
        optimizer.minimize(functools.partial(rosenbrock, x), 12)
        costs[memory] = optimizer.costs
    assert costs[1][:2] == costs[2][:2] == costs[7][:2]  # there is one step to remember
    assert costs[1][3:] != costs[2][3:]
    assert costs[2][4:] != costs[7][4:]


def test_newton_brings_a_network_further_than_gradient_descent() -> None:
    start = cost_of(network()).item()
    costs = {}
    for name, optimizer in (("Newton", optim.Newton()), ("SGD", optim.SGD(lr=0.5))):
        model = network()
        options: dict[str, Any] = {"loss": CrossEntropy(), "optimizer": optimizer, "l2": 1.0}
        history = fit(model, X, Y, epochs=40, **options)
        costs[name] = history.cost[-1]
    assert costs["Newton"] < costs["SGD"] < start


def test_the_callback_of_newton_sees_the_iterate_not_the_point_last_tried() -> None:
    """trust-ncg tries steps that it then does not take: a history must not show those."""
    x = Tensor([-1.2, 1.0], requires_grad=True)
    optimizer = optim.Newton([x])
    seen: list[float] = []
    optimizer.minimize(lambda: rosenbrock(x), 60, lambda cost: seen.append(rosenbrock(x.numpy())))
    assert seen == pytest.approx(optimizer.costs, rel=1e-13)
    assert len(set(seen)) < len(seen)  # there were such steps


# ---- what is refused


def tensor(**options: Any) -> Tensor:
    return Tensor(1.0, **({"requires_grad": True} | options))


def any_bad_number(name: str, argument: str, values: Sequence[Any]) -> Iterator[Any]:
    make = getattr(optim, name)
    needed = {"lr": 0.1} if name == "SGD" else {}
    for value in values:
        error = TypeError if isinstance(value, str | bool | None) else ValueError
        call = lambda value=value: make(**(needed | {argument: value}))  # noqa: E731
        yield call, error, [f"{name}: {argument} ", str(value)]


BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    *(
        case
        for name, arguments in {
            "SGD": ["lr", "clip_norm"],
            "RMSprop": ["lr", "eps", "clip_norm"],
            "Adam": ["lr", "eps", "clip_norm"],
            "AdamW": ["lr", "eps", "clip_norm"],
            "Newton": ["tolerance"],
        }.items()
        for argument in arguments
        for case in any_bad_number(name, argument, [-1, 0, math.nan, math.inf, "a", True])
    ),
    *(
        case
        for name, argument in [
            ("SGD", "momentum"), ("RMSprop", "beta"), ("Adam", "beta1"), ("Adam", "beta2"),
            ("AdamW", "beta1"), ("AdamW", "beta2"),
        ]
        for case in any_bad_number(name, argument, [-1, 1, 1.5, math.nan, "a", None])
    ),
    *any_bad_number("SGD", "weight_decay", [-0.1, math.nan, math.inf, "a", None]),
    *any_bad_number("AdamW", "weight_decay", [-0.1, math.nan, math.inf, "a", None]),
    (lambda: optim.SGD(lr=1.0, nesterov=True), ValueError, ["nesterov", "momentum"]),
    (lambda: optim.Newton(method="bfgs"), ValueError, ["trust-ncg", "newton-cg", "'bfgs'"]),
    (lambda: optim.LBFGS(memory=0), ValueError, ["LBFGS: memory", "0"]),
    (lambda: optim.LBFGS(memory=2.5), TypeError, ["LBFGS: memory", "2.5"]),  # type: ignore[arg-type]
    (lambda: optim.constant(-1), ValueError, ["constant: lr", "-1"]),
    (lambda: optim.step_decay(1.0, every=0), ValueError, ["step_decay: every", "0"]),
    (lambda: optim.step_decay(1.0, every=2.5), TypeError, ["every", "2.5"]),  # type: ignore[arg-type]
    (lambda: optim.step_decay(1.0, 5, factor=-1), ValueError, ["factor", "-1"]),
    (lambda: optim.cosine(1.0, steps=0), ValueError, ["cosine: steps", "0"]),
    (lambda: optim.cosine(1.0, 9, end=-1), ValueError, ["cosine: end", "-1"]),
    (lambda: optim.one_cycle(0, 9), ValueError, ["one_cycle: lr", "0"]),
    (lambda: optim.one_cycle(1.0, 9, rise=1), ValueError, ["one_cycle: rise", "1"]),
    (lambda: optim.one_cycle(1.0, 9, start=0), ValueError, ["one_cycle: start", "0"]),
    (lambda: optim.warm_up("a", 9), TypeError, ["warm_up: lr", "'a'"]),  # type: ignore[arg-type]
    (lambda: optim.warm_up(0.1, steps=-2), ValueError, ["warm_up: steps", "-2"]),
    *(
        case
        for name, make in ALL.items()
        for case in [
            (lambda make=make: make([]), ValueError, ["no parameters"]),
            (lambda make=make: make(Sequential(Sigmoid())), ValueError, ["no parameters"]),
            (lambda make=make: make([tensor(), tensor() * 2]), ValueError, ["leaves"]),
            (lambda make=make: make([tensor(requires_grad=False)]), ValueError, ["requires_grad"]),
            (lambda make=make: make([tensor()] * 2), ValueError, ["twice", "once"]),
            (lambda make=make: make([1.0]), TypeError, ["Tensors", "float"]),
            (lambda make=make: make(tensor()), TypeError, ["[tensor]"]),
            (lambda make=make: make().minimize(lambda: tensor(), 1), RuntimeError, ["bind"]),
            (lambda make=make: make([tensor()]).minimize(lambda: 1.0, 1), TypeError, ["float"]),
        ]
    ),
    (lambda: optim.SGD(lr=1.0).load_state_dict({"steps": 3}), RuntimeError, ["bind"]),
    (lambda: optim.SGD(lr=1.0).step(), RuntimeError, ["bind"]),
    (lambda: optim.SGD(lr=1.0).apply([]), RuntimeError, ["bind"]),
    (lambda: optim.SGD(tensors(), lr=1.0).apply([np.ones(3)]), ValueError, ["1 gradients for 3"]),
    (
        lambda: optim.Adam(tensors()).apply([np.ones((3, 4)), np.ones(()), None]),
        ValueError, ["Adam", "parameter 1", "()", "(3,)"],
    ),
    (
        lambda: optim.LBFGS(tensors()).minimize(lambda: (1.0, [np.ones(3)] * 3), 1),
        ValueError, ["LBFGS", "parameter 0", "(3, 4)"],
    ),
    (
        lambda: optim.Newton([tensor()]).minimize(lambda: (1.0, [np.ones(())]), 1),
        TypeError, ["Newton", "no Tensor", "product="],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


def test_a_refused_step_changes_nothing() -> None:
    optimizer = optim.SGD(tensors(), lr=0.1, momentum=0.9)
    with pytest.raises(ValueError, match="parameter 1"):
        optimizer.apply([np.ones((3, 4)), np.ones(4), np.ones(())])
    assert optimizer.steps == 0
    np.testing.assert_array_equal(optimizer.parameters[0].data, STARTS[0])


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (optim.SGD(lr=0.8), "SGD(lr=0.8)"),
        (optim.SGD(tensors(), lr=0.8, momentum=0.9), "SGD(lr=0.8, momentum=0.9)"),
        (optim.Adam(), "Adam()"),
        (optim.AdamW(lr=0.1, beta1=0.5), "AdamW(lr=0.1, beta1=0.5)"),
        (
            optim.SGD(lr=optim.warm_up(optim.step_decay(0.1, 50), 5)),
            "SGD(lr=warm_up(lr=step_decay(lr=0.1, every=50, factor=0.1), steps=5))",
        ),
        (optim.LBFGS(), "LBFGS()"),
        (optim.LBFGS(memory=5), "LBFGS(memory=5)"),
        (optim.Newton(method="newton-cg"), "Newton(method='newton-cg')"),
    ],
    ids=repr,
)
def test_an_optimizer_shows_how_it_was_made(optimizer: optim.Optimizer, text: str) -> None:
    assert repr(optimizer) == text
    assert repr(pickle.loads(pickle.dumps(optimizer))) == text
