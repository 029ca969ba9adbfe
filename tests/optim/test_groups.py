"""Groups: each part of the parameters by its own optimiser, as if it were alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import X, Y, close, every_checkpoint, network

from autonn import CrossEntropy, Layer, Tensor, fit, optim, train_step
from autonn.files import FileFormatError

GIVEN: dict[str, Any] = {"loss": CrossEntropy(), "epochs": 4, "batch_size": 25, "seed": 0}


def mixed() -> optim.Groups:
    return optim.groups(
        optim.Adam(lr=0.02),
        {"0.bias": None, "0": optim.SGD(lr=optim.step_decay(0.5, 3), momentum=0.9),
         "*.bias": {"lr": 0.5}},
    )  # fmt: skip


def test_each_group_learns_as_if_its_optimiser_were_alone() -> None:
    model, twin = network(), network()
    optimizer = mixed().bind(model)
    alone = [optim.SGD(lr=optim.step_decay(0.5, 3), momentum=0.9), optim.Adam(lr=0.5),
             optim.Adam(lr=0.02)]  # fmt: skip
    parts = [[twin[0].weight], [twin[2].bias], [twin[2].weight]]
    before = twin[0].bias.numpy()
    for each, part in zip(alone, parts, strict=True):
        each.bind(part)
    for _ in range(7):
        for net in (model, twin):
            net.zero_grad()
            CrossEntropy()(net(X), Y).backward()
        optimizer.step()
        for each in alone:
            each.step()
    close(model, twin, 0.0)
    assert np.array_equal(model[0].bias.data, before)
    assert optimizer.steps == 7
    assert optimizer.learning_rate == 0.02


def test_one_group_of_the_same_settings_changes_nothing_and_biases_never_decay() -> None:
    models = []
    plain = optim.AdamW(lr=0.1, weight_decay=0.5)
    for each in (plain, optim.groups(optim.AdamW(lr=0.1, weight_decay=0.5), {"2": {}})):
        models.append(network())
        fit(models[-1], X, Y, optimizer=each, **GIVEN)
    close(models[0], models[1], 0.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_run_goes_on_bit_for_bit(
    compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.npz"

    def run(**saving: Any) -> Any:
        model = network()
        fit(model, X, Y, optimizer=mixed(), compile=compiled, **GIVEN, **saving)
        return model

    versions = every_checkpoint(path, monkeypatch, lambda: run(checkpoint=path, every=1))
    for version in versions[:: 6 if compiled else 2]:
        path.write_bytes(version)
        close(run(checkpoint=path, resume=True), run(), 0.0)
    with np.load(path) as arrays:
        assert "optimizer/0.velocity.0.weight" not in arrays
        assert "optimizer/1.velocity.0.weight" in arrays
    with pytest.raises(FileFormatError, match="optimizer is Groups"):
        fit(network(), X, Y, optimizer=optim.groups(optim.Adam(), {"0": None}), checkpoint=path,
            resume=True, **GIVEN)  # fmt: skip


def test_states_go_over_to_a_copy_and_wrong_ones_change_nothing() -> None:
    model, optimizer = network(), mixed()
    fit(model, X, Y, optimizer=optimizer, **GIVEN)
    state = optimizer.state_dict()
    twin, fresh = copy.deepcopy(model), mixed()
    fresh.bind(twin).load_state_dict(state)
    for net, each in ((model, optimizer), (twin, fresh)):
        fit(net, X, Y, optimizer=each, **GIVEN)
    close(model, twin, 0.0)
    before = fresh.state_dict()
    wrong = {name: value for name, value in state.items() if "velocity" not in name}
    with pytest.raises(ValueError, match=r"1\.velocity\.0 is missing"):
        fresh.load_state_dict(wrong)
    for name, value in fresh.state_dict().items():
        assert np.array_equal(value, before[name])
    copied_model, copied = copy.deepcopy((model, optimizer))
    assert copied.parameters[0] is copied_model[0].weight
    assert repr(copied) == repr(optimizer)


def test_modules_and_tensors_are_keys_too_and_train_step_takes_them() -> None:
    model, twin = network(), network()
    for net, key in ((model, model[0]), (twin, "0")):
        step = train_step(net, CrossEntropy(), optim.groups(optim.SGD(lr=0.1), {key: {"lr": 1}}))
        for _ in range(3):
            step(X, Y)
        assert step.compiled
    close(model, twin, 0.0)
    x, y = (Tensor([2.0], requires_grad=True) for _ in range(2))
    optim.groups(optim.SGD(lr=0.25), {y: None}).bind([x, y]).minimize(
        lambda: np.sum(x * x + y * y), iterations=1
    )
    assert (x.item(), y.item()) == (1.0, 2.0)


def test_what_is_no_group_is_refused() -> None:
    sgd, lbfgs, newton = optim.SGD(lr=0.1), cast(Any, optim.LBFGS()), cast(Any, optim.Newton())
    for call, error, words in (
        (lambda: optim.groups(lbfgs, {"0": None}), TypeError, ["rest", "LBFGS"]),
        (lambda: optim.groups(sgd, {"0": newton}), TypeError, ["'0'", "Newton"]),
        (lambda: optim.groups(sgd, {}), TypeError, ["{}", "dict"]),
        (lambda: optim.groups(sgd, {"0": {"rate": 1}}), ValueError, ["no 'rate'", "lr"]),
        (lambda: optim.groups(sgd, {"0": {"lr": -1}}), ValueError, ["lr", "-1"]),
        (lambda: optim.groups(sgd, {"a.*": None}).bind(network()), ValueError,
         ["'a.*'", "0.weight, 0.bias"]),
        (lambda: optim.groups(sgd, {Layer(1, 1): None}).bind(network()), ValueError, ["Layer"]),
        (lambda: optim.groups(sgd, {3: None}).bind(network()), TypeError, ["patterns", "3"]),
        (lambda: optim.groups(sgd, {"*": None}).bind(network()), ValueError, ["leave some"]),
    ):  # fmt: skip
        assert_refused(call, error, words)
    with pytest.raises(AttributeError):
        optim.groups(sgd, {"0": None}).lr = 2  # type: ignore[misc]


def test_what_one_group_refuses_none_takes() -> None:
    model, same = network(), network()
    for bad in (
        optim.groups(optim.SGD(lr=0.1, clip_norm=1.0), {"0": optim.Adam()}),
        optim.groups(optim.SGD(lr=lambda step: -1.0), {"0": optim.Adam()}),
    ):
        gradients = [np.full(p.shape, np.inf) for p in bad.bind(model).parameters]
        with pytest.raises((FloatingPointError, ValueError)):
            bad.apply(gradients)
        close(model, same, 0.0)
        assert bad.steps == 0
