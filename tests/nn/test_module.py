"""Modules: what is found in them, how they are shown and copied."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from oracles.networks import small_network as network
from tools.refusals import assert_refused

from autonn import (
    Dropout,
    Layer,
    Module,
    Sequential,
    Sigmoid,
    Tanh,
    Tensor,
    compile,
    no_grad,
    optim,
    sigmoid,
)

RNG = np.random.default_rng(0)


class Nested(Module):
    """Parameters in every kind of place."""

    def __init__(self) -> None:
        self.first = Layer(2, 2)
        self.several = [Layer(2, 2), Tanh()]
        self.named = {"gate": Layer(2, 1), "scale": Tensor(1.0, requires_grad=True)}
        self.pair = (Tensor([1.0], requires_grad=True), Tensor([2.0]))
        self.again = self.first
        self.count = 3


def test_parameters_are_found_in_attributes_lists_tuples_and_dicts() -> None:
    assert list(Nested().named_parameters()) == [
        "first.weight", "first.bias", "several.0.weight", "several.0.bias", "named.gate.weight",
        "named.gate.bias", "named.scale", "pair.0",
    ]  # fmt: skip
    assert list(Sequential(network(), Layer(2, 2)).named_parameters())[-4:] == [
        "0.2.weight", "0.2.bias", "1.weight", "1.bias",
    ]  # fmt: skip


def test_parameters_that_come_and_go_are_found() -> None:
    """The way through a module is remembered only as long as nothing was set on it."""
    model = Sequential(Layer(2, 3, rng=0), Sigmoid())
    assert len(model.parameters()) == 2
    model[0].extra = Tensor(1.0, requires_grad=True)
    assert len(model.parameters()) == 3
    model[0].extra.requires_grad = False
    assert len(model.parameters()) == 2
    model[0].extra.requires_grad = True
    assert len(model.parameters()) == 3
    del model[0].extra
    assert len(model.parameters()) == 2
    model[1].scales = [Tensor(1.0, requires_grad=True)]
    assert len(model.parameters()) == 3
    model[1].scales.append(Tensor(2.0, requires_grad=True))  # a list changes unseen
    assert len(model.parameters()) == 4
    model[1].inner = {"a": Layer(1, 1)}
    model[1].inner["b"] = Layer(1, 1)
    assert len(model.parameters()) == 8
    model.modules = (*model.modules, Layer(3, 1))
    assert len(model.parameters()) == 10
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert [p is q for p, q in zip(model.parameters(), twin.parameters(), strict=True)] == (
            [False] * 10
        )
        twin[0].more = Tensor(1.0, requires_grad=True)
        assert len(twin.parameters()) == 11


def test_summary_and_repr_show_shapes_and_counts() -> None:
    assert network().summary().splitlines() == [
        "module         parameter  shape   count",
        "0  Layer(4, 3) weight     (3, 4)     12",
        "               bias       (3,)        3",
        "1  Sigmoid()",
        "2  Layer(3, 2) weight     (2, 3)      6",
        "               bias       (2,)        2",
        "3  Sigmoid()",
        "total                                23",
    ]
    assert repr(network()) == "Sequential(Layer(4, 3), Sigmoid(), Layer(3, 2), Sigmoid())"
    assert repr(Nested()).startswith("Nested(first=Layer(2, 2), several.0=Layer(2, 2), several.1=")
    assert Nested().summary().splitlines()[1].split() == ["Nested", "named.scale", "()", "1"]


def test_modules_can_be_copied_and_pickled() -> None:
    model = network()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(np.ones((2, 4))), model.predict(np.ones((2, 4))))
        other[0].weight.data += 1
        assert not np.array_equal(other[0].weight.data, model[0].weight.data)


class Norm(Module):
    """It keeps a running mean, which no optimiser learns."""

    def __init__(self) -> None:
        self.scale = Tensor(np.ones(2), requires_grad=True)
        self.mean = Tensor(np.zeros(2))
        self.count = Tensor(0)
        self.past = [Tensor([1.0]), {"old": Tensor(np.ones((1, 2), np.float32))}]

    def forward(self, x: Any) -> Any:
        if self.training:
            self.count.data = self.count.data + 1
            self.mean.data = 0.5 * self.mean.data + 0.5 * x.numpy().mean(axis=0)
        return x * self.scale - self.mean


def normed() -> Sequential:
    return Sequential(Layer(2, 2, rng=0), Norm())


def test_buffers_are_the_tensors_without_a_gradient_wherever_they_stand() -> None:
    model = normed()
    names = ["1.mean", "1.count", "1.past.0", "1.past.1.old"]
    assert list(model.named_buffers()) == names
    assert all(a is b for a, b in zip(model.buffers(), model.named_buffers().values(), strict=True))
    assert list(model.named_parameters()) == ["0.weight", "0.bias", "1.scale"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.scale", *names]
    model[1].twin = model[1].mean
    assert list(model.named_buffers()) == names  # one that is shared has one name
    model[1].scale.requires_grad = False  # frozen: a buffer, until it is set free
    assert list(model.named_buffers()) == ["1.scale", *names]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.scale", *names]
    model[1].scale.requires_grad = True
    assert list(model.named_buffers()) == names


def test_a_buffer_follows_the_training_and_no_optimizer() -> None:
    model = normed()
    X = np.random.default_rng(0).standard_normal((5, 2))
    model(Tensor(X).detach())
    fed = model[0].predict(X).mean(axis=0)
    np.testing.assert_allclose(model[1].mean.data, fed / 2, rtol=1e-15)
    assert model[1].count.data == 1
    model.predict(X)
    assert model[1].count.data == 1
    optimizer = optim.SGD(model, 0.1)
    assert len(optimizer.parameters) == 3
    assert all(p.requires_grad for p in optimizer.parameters)


@pytest.mark.parametrize("make", [network, normed, Nested])
def test_a_state_goes_from_one_model_to_another(make: Callable[[], Module]) -> None:
    model, other = make(), make()
    rng = np.random.default_rng(1)
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = rng.integers(1, 9, tensor.shape).astype(tensor.dtype)
    state = model.state_dict()
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        assert array.dtype == state[name].dtype
        np.testing.assert_array_equal(array, state[name])
    for array in state.values():
        array[...] = 0  # they are copies, both ways
    assert not any(np.any(t.data == 0) for t in [*model.parameters(), *other.parameters()])


def test_a_state_that_differs_is_refused_whole_with_all_differences() -> None:
    model = normed()
    before = model.state_dict()
    state = model.state_dict() | {"0.weight": np.ones((3, 2)), "1.scale": np.ones(2, complex)}
    words = ["Layer(2, 2)", "0.weight is float64 (3, 2)", "float64 (2, 2)", "1.scale is complex128"]
    assert_refused(lambda: model.load_state_dict(state), ValueError, words)
    del state["1.mean"]
    state["more"] = np.ones(1)
    words += ["1.mean is missing", "more is unknown"]
    assert_refused(lambda: model.load_state_dict(state), ValueError, words)
    assert_refused(lambda: model.load_state_dict(state), KeyError, words)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model.load_state_dict(before | {"1.scale": np.array([2, 3], np.float32)})  # as exact as before
    assert model[1].scale.dtype == np.float64
    model.a = [Tensor(1.0)]
    setattr(model[1], "past.0", Tensor(1.0))
    assert_refused(model.state_dict, ValueError, ["same name"])


class Keeping(Module):
    """As well-known lectures write it: each result is kept in an attribute."""

    def __init__(self) -> None:
        self.inner = Layer(2, 2, rng=0)
        self.outs: list[Tensor] = []

    def forward(self, x: Any) -> Tensor:
        self.out = self.inner(x)
        self.squashed: Tensor = sigmoid(self.out)
        self.halves = {"one": self.out * 0.5}
        squashed: Tensor = self.squashed
        return squashed


class Twice(Module):
    """It keeps what another module made."""

    def __init__(self) -> None:
        self.first = Keeping()

    def forward(self, x: Any) -> Tensor:
        z: Tensor = self.first(x)
        setattr(self.first, "note", z + 1)  # noqa: B010
        self.keep(z)
        return z

    def keep(self, z: Tensor) -> None:
        self.last = z * 2


@pytest.mark.parametrize("way", ["recorded", "predict", "training without a graph"])
def test_a_result_that_is_kept_is_neither_a_parameter_nor_a_buffer(way: str) -> None:
    model = Twice()
    names = list(model.named_parameters())
    state = model.state_dict()
    if way == "predict":
        model.predict(np.ones((3, 2)))
    elif way == "recorded":
        model(np.ones((3, 2)))
    else:
        with no_grad():
            model(np.ones((3, 2)))
    assert isinstance(vars(model.first)["note"], Tensor)
    assert list(model.named_parameters()) == names
    assert list(model.state_dict()) == list(state) == names
    assert model.buffers() == []
    assert len(optim.SGD(model, 0.1).parameters) == 2
    model.load_state_dict(state)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert list(twin.state_dict()) == names
        np.testing.assert_array_equal(twin.predict(np.ones((3, 2))), model.predict(np.ones((3, 2))))
    model.last = Tensor(1.0)  # set from outside, it is the module's own
    assert list(model.named_buffers()) == ["last"]


def test_modules_made_in_a_call_have_their_buffers() -> None:
    class Lazy(Module):
        inner: Any = None

        def forward(self, x: Any) -> Any:
            if self.inner is None:
                self.inner = Norm()
                self.weight = Tensor(1.0, requires_grad=True)
            return self.inner(Tensor(x)) * self.weight

    model = Lazy()
    model(np.ones((3, 2)))
    assert set(model.named_parameters()) == {"inner.scale", "weight"}
    assert set(model.named_buffers()) == {f"inner.{name}" for name in Norm().named_buffers()}


@pytest.mark.parametrize(
    "name", ["weights", "parameters", "train", "eval", "predict", "children", "buffers", "summary"]
)
def test_an_attribute_that_would_hide_a_method_is_refused(name: str) -> None:
    model = network()
    words = [f"Sequential.{name}", "method", "another name", f"self.my_{name}"]
    assert_refused(lambda: setattr(model, name, [1.0]), AttributeError, words)
    assert callable(getattr(model, name))


def test_biases_may_be_named_but_not_kept_under_that_name() -> None:
    model = Nested()
    model.biases = ("count",)
    words = ["Nested.biases", "names", "another name"]
    tensors = [Tensor(np.zeros(2), True)]
    assert_refused(lambda: setattr(model, "biases", tensors), AttributeError, words)
    model.modules, model.forward = [Layer(2, 2)], lambda x: Tensor(x)  # type: ignore[method-assign]
    assert model(1.0).item() == 1


def test_predict_gives_arrays_in_the_form_of_the_output() -> None:
    class Two(Module):
        def forward(self, x: Any) -> Any:
            x = Tensor(x)
            return x + 1, {"twice": x * 2, "shape": [x.shape[0]]}

    one, more = Two().predict(np.ones(2))
    np.testing.assert_array_equal(one, [2, 2])
    assert type(one) is np.ndarray
    np.testing.assert_array_equal(more["twice"], [2, 2])
    assert type(more["twice"]) is np.ndarray


# ---- the mode, in each thread its own


class Modes(Module):
    """It waits for the other threads while it is in use, and notes in which mode it was."""

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier
        self.inner = Dropout(0.5, rng=0)

    def forward(self, x: Any) -> Tensor:
        seen = [(self.training, self.inner.training)]
        self.barrier.wait(timeout=30)
        seen.append((self.training, self.inner.training))
        self.barrier.wait(timeout=30)
        return Tensor(np.array([*seen, (self.training, self.inner.training)]))


def test_calls_that_overlap_in_threads_keep_their_own_modes() -> None:
    """By predict, in evaluation; directly, in whatever mode the model was set to."""
    model = Modes(threading.Barrier(4))
    with ThreadPoolExecutor(4) as pool:
        for mode in (True, False, True):
            model.train(mode)
            predicted = [pool.submit(model.predict, 0.0) for _ in range(2)]
            called = [pool.submit(lambda: model(0.0).numpy()) for _ in range(2)]
            assert not any(np.any(future.result()) for future in predicted)
            assert all(np.all(future.result() == mode) for future in called)
            assert model.training is model.inner.training is mode


def test_the_mode_for_a_while_ends_as_it_began_whatever_happens_within() -> None:
    model = Sequential(Dropout(0.5, rng=0), Sequential(Dropout(0.5, rng=0)))
    model[0].training = False

    def within() -> None:
        with model.evaluating():
            assert not any(module.training for _, module in model.named_modules())
            with model[1].evaluating():
                model.train()  # for a while as well
                assert model[0].training
                assert model[1][0].training
            assert not model[1][0].training
            raise KeyError

    with pytest.raises(KeyError):
        within()
    assert [module.training for _, module in model.named_modules()] == [True, False, True, True]
    model.eval()
    with model.evaluating():
        model.train()
    assert not any(module.training for _, module in model.named_modules())
    del model[0].training
    assert model[0].training


def test_a_compiled_function_knows_the_mode_for_a_while() -> None:
    """Also where the two kinds of call overlap, and the first was traced in either mode."""
    x = np.ones((2, 50))
    for first in (True, False):
        model = Dropout(0.5, rng=0)
        call = compile(lambda x, model=model: model(x).detach())
        for evaluating in (not first, first, *RNG.integers(0, 2, 20).astype(bool)):
            if evaluating:
                with model.evaluating():
                    assert np.all(call(x) == 1)
            else:
                assert set(np.unique(call(x))) == {0, 2}

    def within() -> bool:
        with model.evaluating():
            barrier.wait(timeout=30)
            alone = np.all(call(x) == 1)
            barrier.wait(timeout=30)
            return bool(alone and np.all(call(x) == 1))

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            future = pool.submit(within)
            barrier.wait(timeout=30)
            assert np.any(call(x) == 0)
            barrier.wait(timeout=30)
            assert np.any(call(x) == 0)
            assert future.result()
