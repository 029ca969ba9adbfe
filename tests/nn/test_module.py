"""Modules: what is found in them, how they are shown and copied."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from oracles.digit_networks import Nested
from oracles.digit_networks import small_network as network
from tools.refusals import assert_refused

from autonn import (
    GRU,
    BatchNorm1d,
    Dropout,
    Last,
    Layer,
    Module,
    Sequential,
    Sigmoid,
    Tensor,
)


def test_parameters_are_found_in_attributes_lists_tuples_and_dicts() -> None:
    assert list(dict(Nested().named_parameters())) == [
        "first.weight", "first.bias", "several.0.weight", "several.0.bias", "named.gate.weight",
        "named.gate.bias", "named.scale", "pair.0",
    ]  # fmt: skip
    assert list(dict(Sequential(network(), Layer(2, 2)).named_parameters()))[-4:] == [
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


class Two(Module):
    """Takes two inputs, and gives a dict."""

    def __init__(self) -> None:
        self.scale = Tensor(2.0, requires_grad=True)

    def forward(self, a: Any, b: Any) -> Any:  # type: ignore[override]
        return {"a": a * self.scale, "b": b * self.scale}


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


def test_a_summary_counts_what_is_frozen_or_only_kept() -> None:
    model = Sequential(Layer(2, 3), BatchNorm1d(3), Layer(3, 1))
    for frozen in model[0].parameters():
        frozen.requires_grad = False
    lines = model.summary().splitlines()
    assert [line.split("(not trainable)")[0].split()[-1] for line in lines if "(not" in line] == [
        "weight", "bias", "running_mean", "running_var",
    ]  # fmt: skip
    counts = {line.rpartition(" ")[0].strip(): int(line.split()[-1]) for line in lines[-3:]}
    assert counts == {"total": 25, "trainable": 10, "not trainable": 15}
    assert counts["total"] == sum(a.size for a in model.state_dict().values())
    for freed in model[0].buffers():
        freed.requires_grad = True
    assert "total 25 trainable 19 not trainable 6" in " ".join(model.summary().split())


def test_a_summary_of_an_example_has_what_each_module_gives_and_changes_nothing() -> None:
    model = Sequential(GRU(3, 2, rng=0), Last(), BatchNorm1d(2), Dropout(0.5, rng=0))
    before = model.state_dict()
    lines = model.summary(np.ones((4, 5, 3))).splitlines()
    assert lines[0].split() == ["module", "gives", "parameter", "shape", "count"]
    assert "GRU(3, 2)      (4, 5, 2), (1, 4, 2)  weight_ih_l0" in lines[1]
    assert lines[-4].split(maxsplit=2)[2] == "(4, 2)"
    assert all(np.array_equal(before[name], a) for name, a in model.state_dict().items())
    assert model.training
    assert model[3].rng.random() == np.random.default_rng(0).random()
    two = Two().summary(np.ones((2, 3)), np.ones((1, 3)))
    assert two.splitlines()[1].split("  ")[1] == "a: (2, 3), b: (1, 3)"


def test_modules_can_be_copied_and_pickled() -> None:
    model = network()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(other.predict(np.ones((2, 4))), model.predict(np.ones((2, 4))))
        other[0].weight.data += 1
        assert not np.array_equal(other[0].weight.data, model[0].weight.data)


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


def test_what_lists_and_dicts_hold_is_looked_at_each_time() -> None:
    """Nothing tells that an old Tensor, or an old module, was put into one."""
    old, layer = Tensor(1.0, requires_grad=True), Layer(2, 2)
    model = Sequential(Sigmoid())
    model[0].several, model[0].named = [], {"first": Tensor(2.0, requires_grad=True)}
    assert len(model.parameters()) == 1
    model[0].several.append(old)
    assert len(model.parameters()) == 2
    model[0].named["second"] = layer
    assert len(model.parameters()) == 4
    assert len(model.weights()) == 3
    model[0].several.clear()
    assert len(model.parameters()) == 3
