"""Steps that touch only the rows that were looked up: the same as of all, or as they were asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autonn import Embedding, Module, SoftmaxCrossEntropy, Tensor, fit, optim, train_step
from autonn.engine.row_gradients import RowGradient
from autonn.nn.linear import Linear


class Words(Module):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.table, self.out = Embedding(2000, 8, rng=rng), Linear(8, 3, rng=rng)

    def forward(self, x: Any) -> Any:
        return self.out(np.mean(self.table(x), axis=1))


rng = np.random.default_rng(1)
X, Y = rng.integers(0, 2000, (90, 4)), rng.integers(0, 3, 90)
X[:, 1] = X[:, 0]
MAKERS: dict[str, Any] = {
    "plain": lambda: optim.SGD(lr=0.5),
    "clipped": lambda: optim.SGD(lr=0.5, clip_norm=0.1),
    "momentum": lambda: optim.SGD(lr=0.5, momentum=0.9),
    "decay": lambda: optim.SGD(lr=0.5, weight_decay=0.1),
    "Adam": lambda: optim.Adam(lr=0.01),
    "groups": lambda: optim.groups(optim.SGD(lr=0.5), {"table.*": {"lr": 0.1}}),
}


def trained(make: Any, monkeypatch: Any = None, **settings: Any) -> tuple[Any, Any]:
    model, optimizer = Words(), make()
    if monkeypatch is not None:
        monkeypatch.setattr(type(optimizer), "takes_rows", False)
    loss = SoftmaxCrossEntropy()
    history = fit(
        model, X, Y, loss=loss, optimizer=optimizer, epochs=3, batch_size=30, seed=0, **settings
    )
    return model, history


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_training_is_the_same_as_by_whole_gradients(
    name: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, history = trained(MAKERS[name], compile=compiled)
    assert history.compiled == compiled
    whole, other = trained(MAKERS[name], monkeypatch, compile=compiled)
    np.testing.assert_allclose(history.cost, other.cost, rtol=1e-12)
    for a, b in zip(ours.parameters(), whole.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-12, atol=1e-15)


def test_who_takes_rows_is_known() -> None:
    alone = {name: make for name, make in MAKERS.items() if name != "groups"}
    weight = [Words().table.weight]
    takes = {name for name, make in alone.items() if make().bind(weight).takes_rows}
    assert takes == {"plain", "clipped"}
    assert optim.SGD(lr=0.5, weight_decay=0.1).bind(Words()).takes_rows  # biases do not decay
    assert MAKERS["groups"]().bind(Words()).takes_rows


def test_lazy_adam_leaves_rows_alone_and_steps_the_others_as_its_formula_says() -> None:
    table = Tensor(np.ones((1000, 8)), requires_grad=True)
    optimizer = optim.Adam([table], lr=0.1, lazy=True)
    m, s = np.zeros(8), np.zeros(8)
    x = np.ones(8)
    for t in range(1, 4):
        g = np.full((2, 8), 0.5 * t)
        optimizer.apply([RowGradient(np.array([7, 7]), g)])
        total = g.sum(axis=0)
        m, s = 0.9 * m + 0.1 * total, 0.999 * s + 0.001 * total**2
        x = x - 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(table.data[7], x, rtol=1e-12)
    assert np.all(np.delete(table.data, 7, 0) == 1)
    assert not np.delete(optimizer.state_dict()["m.0"], 7, 0).any()


@pytest.mark.parametrize("make", [lambda: optim.SGD(lr=0.1), lambda: optim.Adam(lazy=True)])
def test_a_step_of_few_rows_reads_and_writes_only_those(make: Any) -> None:
    table = Tensor(np.ones((1000, 8)), requires_grad=True)
    optimizer = make().bind([table])
    table.data[5] = np.nan  # whatever reads this row would spread it or warn
    optimizer.apply([RowGradient(np.array([3]), np.ones((1, 8)))])
    changed = (table.data != 1).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [3, 5]


def test_train_step_keeps_to_rows_and_hooks_see_whole_gradients() -> None:
    model = Words()
    step = train_step(model, SoftmaxCrossEntropy(), optim.SGD(lr=0.5))
    before = model.table.weight.data.copy()
    step(X[:5], Y[:5])
    assert step.compiled
    assert step.objective.by_rows
    changed = (model.table.weight.data != before).any(axis=1)
    assert set(np.flatnonzero(changed)) <= set(X[:5].flat)

    seen = []

    class Look:
        def on_step(self, run: Any) -> None:
            seen.append(run.gradients["table.weight"].shape)

    fit(model, X, Y, loss=SoftmaxCrossEntropy(), optimizer=optim.SGD(lr=0.5), epochs=1,
        batch_size=45, callbacks=[Look()])  # fmt: skip
    assert seen == [(2000, 8)] * 2


def test_gradients_that_add_up_over_batches_are_whole() -> None:
    ours, history = trained(MAKERS["plain"], accumulate=3, compile=True)
    assert history.compiled
    assert np.isfinite(ours.table.weight.data).all()


def test_rows_of_another_width_are_refused() -> None:
    table = Tensor(np.ones((1000, 8)), requires_grad=True)
    with pytest.raises(ValueError, match=r"a gradient of shape \(1, 3\) for parameter 0"):
        optim.SGD([table], lr=0.1).apply([RowGradient(np.array([3]), np.ones((1, 3)))])
