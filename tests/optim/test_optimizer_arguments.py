"""The arguments of optimisers and schedules: which are refused, and how they are shown."""

from __future__ import annotations

import functools
import inspect
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from tools.descents import ALL, GRADIENTS, SEARCHES, STARTS, tensors, walked
from tools.refusals import assert_refused

from autonn import Sequential, Sigmoid, Tensor, optim


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
        lambda: optim.SGD(tensors(), lr=1.0).apply({"w": np.ones(3)}),  # type: ignore[arg-type]
        TypeError,
        ["gradients are a list", "not a dict", "named_parameters()"],
    ),
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


def test_lr_may_stand_second_and_betas_together() -> None:
    makes: list[Any] = [optim.SGD, optim.RMSprop, optim.Adam, optim.AdamW]
    for make in makes:
        assert make(tensors(), 0.25).lr == 0.25
    for make in makes[2:]:
        assert make(betas=[0.5, 0.75]).beta2 == 0.75
        optimizer = make(betas=(0.5, 0.75))
        assert (optimizer.beta1, optimizer.beta2) == (0.5, 0.75)
        assert repr(optimizer) == f"{make.__name__}(beta1=0.5, beta2=0.75)"
        for bad in (0.9, (0.9,), "ab c"):
            call = functools.partial(make, betas=bad)
            assert_refused(call, TypeError, ["betas", "(beta1, beta2)"])
        call = functools.partial(make, betas=(0.9, 1.0))
        assert_refused(call, ValueError, ["beta2", "1.0"])
    assert_refused(lambda: optim.SGD(tensors()), TypeError, ["SGD", "lr", "SGD(lr=0.1)"])
    assert_refused(lambda: optim.SGD(0.1, 0.1), TypeError, ["list of Tensors", "0.1"])  # type: ignore[arg-type]


KINDS = [optim.SGD, optim.RMSprop, optim.Adam, optim.AdamW, optim.LBFGS, optim.Newton]


def made(kind: Any) -> Any:
    return kind(lr=0.5) if kind is optim.SGD else kind()


@pytest.mark.parametrize("kind", KINDS)
def test_every_argument_has_its_range(kind: Any) -> None:
    arguments = set(inspect.signature(kind).parameters) - {"parameters", "betas"}
    assert arguments == set(kind.ranges) == set(made(kind).get_params())


WORSE: dict[str, Any] = {
    "lr": -1.0, "clip_norm": 0, "momentum": 1, "nesterov": "yes", "weight_decay": -1, "beta": 1,
    "beta1": 1.5, "beta2": "a", "eps": 0, "memory": 2.5, "method": "bfgs", "tolerance": math.nan,
    "bounds": 3, "lazy": "no",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_argument_is_checked_whenever_it_is_set(kind: Any) -> None:
    optimizer = made(kind)
    before = optimizer.get_params()
    for name in before:
        for setting in (
            functools.partial(setattr, optimizer, name, WORSE[name]),
            functools.partial(optimizer.set_params, **{name: WORSE[name]}),
            functools.partial(kind, **(before | {name: WORSE[name]})),
        ):
            with pytest.raises((ValueError, TypeError), match=f"{kind.__name__}: {name} is"):
                setting()
            assert optimizer.get_params() == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimizer_is_made_again_from_its_params(kind: Any) -> None:
    optimizer = made(kind)
    twin = kind(**optimizer.get_params(deep=False))
    assert repr(twin) == repr(optimizer)
    for name, value in optimizer.get_params().items():
        assert twin.get_params()[name] is value  # as scikit-learn's clone asks


def test_arguments_that_are_set_later_count_from_the_next_step() -> None:
    late, early = optim.SGD(tensors(), lr=0.5), optim.SGD(tensors(), lr=0.01, momentum=0.9)
    assert late.set_params(lr=0.01, momentum=0.9) is late
    for one, other in zip(walked(late, GRADIENTS), walked(early, GRADIENTS), strict=True):
        np.testing.assert_array_equal(one, other)
    adam = optim.Adam(tensors())
    adam.apply(GRADIENTS[0])
    state = adam.state_dict()
    adam.set_params(betas=(0.5, 0.6))
    assert (adam.beta1, adam.beta2, adam.steps) == (0.5, 0.6, 1)
    np.testing.assert_array_equal(adam.state_dict()["m.0"], state["m.0"])
    assert_refused(lambda: adam.set_params(rho=1.0), TypeError, ["rho"])
    sgd = optim.SGD(lr=1.0)
    assert_refused(lambda: sgd.set_params(nesterov=True), ValueError, ["nesterov", "momentum"])
    assert not sgd.nesterov


def test_an_optimizer_says_what_it_looks_at_and_what_it_needs() -> None:
    for name, make in ALL.items():
        optimizer = make()
        assert optimizer.full_batch is (name in SEARCHES)
        assert optimizer.needs_products is (name in ("trust-ncg", "newton-cg"))


def test_iterations_are_a_whole_number() -> None:
    for make in ALL.values():
        x = tensor()
        optimizer = make([x])
        optimizer.minimize(lambda x=x: x * x, 0)
        assert x.data == 1
        for bad, error in ((2.5, TypeError), (-1, ValueError), ("a", TypeError)):
            call = functools.partial(optimizer.minimize, lambda x=x: x * x, bad)
            assert_refused(call, error, ["iterations", str(bad)])


class Own(optim.StepOptimizer):
    """One of a user's own, that says nothing of ranges."""

    def __init__(self, parameters: Any = None, *, lr: float = 0.5, decay: float = 1.0) -> None:
        self.decay = decay
        super().__init__(parameters, lr)

    def _update(self, data: Any, gradient: Any, lr: float, scale: float, slot: Any) -> None:
        data -= lr * scale * gradient
        data *= self.decay


def test_an_optimizer_of_ones_own_shows_and_copies_its_arguments() -> None:
    optimizer = Own(lr=0.25, decay=0.5)
    assert repr(optimizer) == "Own(lr=0.25, decay=0.5)"
    assert optimizer.get_params() == {"lr": 0.25, "decay": 0.5}
    x = tensor()
    optimizer.set_params(decay=0.75).bind([x]).minimize(lambda: x * x, 1)
    assert x.data == 0.75 * 0.5
    assert_refused(lambda: Own(lr=-1), ValueError, ["Own: lr"])
