"""`train_step`: the step of `fit`, for loops of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.pairs import combinations
from tools.runs import X, Y, close, dropping, network

from autonn import (
    BatchNorm1d,
    CrossEntropy,
    Layer,
    MeanSquaredError,
    Module,
    Sequential,
    Sigmoid,
    Tensor,
    fit,
    optim,
    train_step,
)
from autonn.data import batches

WAYS: dict[str, Callable[[], optim.StepOptimizer]] = {
    "SGD": lambda: optim.SGD(lr=0.5, momentum=0.9, weight_decay=0.01),
    "Adam": lambda: optim.Adam(lr=0.05),
}


def costs_of(step: Any, epochs: int, size: int | None, weights: Any = None) -> list[float]:
    """Do what `fit` does, and return the cost of each epoch."""
    rng, costs = np.random.default_rng(0), []
    for _ in range(epochs):
        drawn = [np.arange(len(X))] if size is None else list(batches(len(X), size, rng))
        of = [step(X[r], Y[r], None if weights is None else weights[r]) * len(r) for r in drawn]
        costs.append(sum(of) / len(X))
    return costs


@pytest.mark.parametrize(("way", "size", "compiled"), combinations(WAYS, [None, 25], [None, False]))
def test_it_takes_the_steps_of_fit(way: str, size: int | None, compiled: bool | None) -> None:
    one, other, weights = dropping(), dropping(), np.linspace(0, 2, 60)
    history = fit(
        one, X, Y, loss=CrossEntropy(), optimizer=WAYS[way](), l2=0.5, epochs=4, batch_size=size,
        seed=0, sample_weight=weights, compile=compiled,
    )  # fmt: skip
    step = train_step(other, CrossEntropy(), WAYS[way](), 0.5, examples=60, compile=compiled)
    assert step.compiled is (None if compiled is None else False)
    costs = costs_of(step, 4, size, weights)
    np.testing.assert_allclose(costs, history.cost, rtol=1e-12)
    close(one, other, 1e-12)
    assert step.compiled is (compiled is None)
    assert step.why_not == ("compile=False" if compiled is False else "")


def test_the_penalty_is_that_of_the_batch_where_nothing_else_is_said() -> None:
    model, other = network(), network()
    one = train_step(model, CrossEntropy(), optim.SGD(lr=0.1), 0.5)(X[:10], Y[:10])
    assert one == train_step(other, CrossEntropy(), optim.SGD(lr=0.1), 0.5, examples=10)(
        X[:10], Y[:10]
    )
    close(model, other, 0.0)


def test_each_size_of_a_batch_is_compiled_once() -> None:
    step = train_step(dropping(), CrossEntropy(), optim.Adam(), 0.5)
    for rows in (20, 7, 20, 7, 20, 20, 7):
        step(X[:rows], Y[:rows])
    kept: Any = step.program
    assert sum(map(len, kept.programs.kept.values())) == 2


def test_lists_and_tensors_will_do_and_floats_keep_their_width() -> None:
    models = network(dtype=np.float32), network(dtype=np.float32)
    narrow = X.astype(np.float32)
    for model, batch in zip(
        models, [(narrow, Y, np.ones(60)), (Tensor(narrow), list(Y), Tensor(np.ones(60)))],
        strict=True,
    ):  # fmt: skip
        step = train_step(model, CrossEntropy(), optim.Adam())
        assert type(step(*batch)) is float
        assert model[0].weight.dtype == np.float32
    close(*models, 0.0)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_model_may_be_edited_between_steps(compiled: bool | None) -> None:
    step = train_step(model := dropping(), CrossEntropy(), WAYS["Adam"](), compile=compiled)
    same = train_step(other := dropping(), CrossEntropy(), WAYS["Adam"](), compile=False)
    for k in range(6):
        if k == 2:
            model[2].p = other[2].p = 0.0
        if k == 4:
            for net in (model, other):
                net.modules = (*net.modules[:1], Twice(), *net.modules[2:])
        assert step(X, Y) == pytest.approx(same(X, Y), rel=1e-12)
    close(model, other, 1e-12)
    assert step.compiled is (compiled is None)


def test_what_a_loss_reads_may_change_between_steps() -> None:
    class Scaled:
        scale = 1.0

        def __call__(self, a: Any, y: Any) -> Any:
            return np.mean(a) * self.scale * factor

    factor, loss = 1.0, Scaled()
    step = train_step(network(), loss, optimizer := optim.SGD(lr=0.1))
    first = step(X, Y)
    optimizer.lr = 0.0
    second = step(X, Y)
    loss.scale = 3.0
    assert step(X, Y) == pytest.approx(3 * second, rel=1e-12)
    factor = 2.0
    assert step(X, Y) == pytest.approx(6 * second, rel=1e-12)
    assert step.compiled
    assert second < first


class Twice(Module):
    def forward(self, x: Any) -> Any:
        return x * 2.0


@pytest.mark.parametrize("compiled", [None, False])
def test_a_parameter_that_was_replaced_is_refused_until_the_optimiser_is_bound(
    compiled: bool | None,
) -> None:
    model, optimizer = network(), optim.Adam(lr=0.1)
    step = train_step(model, CrossEntropy(), optimizer, compile=compiled)
    step(X, Y)
    model[0].weight = Tensor(np.zeros((4, 5)), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"bind\(model\)"):
        step(X, Y)
    optimizer.bind(model)
    cost = step(X, Y)
    assert step(X, Y) < cost
    assert np.all(model[0].weight.data != 0)
    model[0].extra = Tensor(1.0, requires_grad=True)  # one that nobody would learn
    with pytest.raises(RuntimeError, match="added"):
        step(X, Y)
    optimizer.bind(model[2])  # a part is learned where that was said
    first = model[0].weight.numpy()
    step(X, Y)
    np.testing.assert_array_equal(model[0].weight.data, first)
    model[2].bias.requires_grad = False
    with pytest.raises(RuntimeError, match="requires_grad"):
        step(X, Y)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_cost_that_is_no_number_changes_nothing(compiled: bool | None) -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Layer(5, 4, rng=rng), BatchNorm1d(4), Layer(4, 3, rng=rng))
    optimizer = optim.Adam(lr=0.1)
    step = train_step(model, MeanSquaredError(), optimizer, compile=compiled)
    y = np.ones((60, 3))
    step(X, y)
    before, moments = model.state_dict(), optimizer.state_dict()
    wrong = X.copy()
    wrong[3, 2] = np.nan
    for _ in range(3):
        with pytest.raises(RuntimeError, match="the cost is nan"):
            step(wrong, y)
    for old, new in ((before, model.state_dict()), (moments, optimizer.state_dict())):
        for name in old:
            np.testing.assert_array_equal(new[name], old[name])
    step(X, y)
    assert step.compiled is (compiled is None)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_cost_that_is_not_one_number_is_refused(compiled: bool | None) -> None:
    model = network()
    before = model.state_dict()
    cases: Any = (
        (lambda a, y: a, RuntimeError, r"\(60, 3\)"),
        (lambda a, y: 3.0, TypeError, "float"),
    )
    for loss, error, word in cases:
        with pytest.raises(error, match=word):
            train_step(model, loss, optim.SGD(lr=0.1), compile=compiled)(X, Y)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("compiled", [None, False])
def test_targets_are_looked_at_in_each_step(compiled: bool | None) -> None:
    class Checked:
        seen: list[Any]

        def __init__(self) -> None:
            self.seen = []

        def __call__(self, a: Any, y: Any) -> Any:
            return np.mean(np.square(a - y))

        def check(self, y: Any, shape: Any) -> None:
            self.seen.append(shape)
            if (y > 1).any():
                raise ValueError("more than 1")

    loss, model = Checked(), network()
    step = train_step(model, loss, optim.SGD(lr=0.1), compile=compiled)
    y = np.ones((60, 3))
    step(X, y)
    before = model.state_dict()
    with pytest.raises(ValueError, match="more than 1"):
        step(X, 2 * y)
    step.optimizer.lr = 1e-9
    step(X[:7], y[:7])
    assert set(loss.seen) == {(60, 3), (7, 3)}
    np.testing.assert_allclose(model[0].weight.data, before["0.weight"], rtol=1e-6)
    ours = train_step(model, CrossEntropy(), optim.SGD(lr=0.1), compile=compiled)
    ours(X, Y)
    with pytest.raises(IndexError, match="3"):
        ours(X, np.full(60, 3))


def test_what_draws_in_plain_numpy_runs_as_it_is_and_draws_anew() -> None:
    def noisy(a: Any, y: Any) -> Any:
        return np.mean(np.square(a - y)) * np.random.uniform(0.5, 1.0)  # noqa: NPY002

    def run(**options: Any) -> tuple[list[float], Any]:
        step = train_step(network(), noisy, optim.SGD(lr=0.1), **options)
        np.random.seed(0)  # noqa: NPY002
        return [step(X, np.ones((60, 3))) for _ in range(4)], step

    costs, step = run()
    assert (step.compiled, "draws random numbers" in step.why_not) == (False, True)
    assert costs == run(compile=False)[0]
    with pytest.warns(RuntimeWarning, match="draws random numbers") as told:
        assert costs == run(compile=True)[0]
    assert [warning.filename for warning in told] == [__file__]


def test_a_program_that_goes_wrong_is_found_and_given_up() -> None:
    step = train_step(network(), CrossEntropy(), optim.SGD(lr=0.1))
    step(X, Y)
    right: Any = step.program

    def wrong(*batch: Any) -> Any:
        cost, shape, found = right(*batch)
        return cost * 2, shape, found

    step.program = wrong
    with pytest.warns(RuntimeWarning, match="in step 2 it did not give") as told:
        step(X, Y)
    assert [warning.filename for warning in told] == [__file__]
    assert step.compiled is False


@pytest.mark.parametrize("compiled", [None, False])
def test_two_players_with_an_optimiser_each(compiled: bool | None) -> None:
    rng = np.random.default_rng(0)
    maker = Sequential(Layer(2, 5, rng=rng))
    judge = Sequential(Layer(5, 4, rng=rng), Sigmoid(), Layer(4, 1, rng=rng), Sigmoid())
    both = Sequential(maker, judge)
    loss = CrossEntropy()
    judged = train_step(judge, loss, optim.Adam(lr=0.01), compile=compiled)
    made = train_step(both, loss, optim.Adam(maker, lr=0.01), compile=compiled)
    old, new = both.state_dict(), {}
    for _ in range(3):
        z = rng.standard_normal((20, 2))
        faces = np.concatenate([X[:20], maker(z).numpy()])
        judged(faces, np.repeat([1, 0], 20))
        new = both.state_dict()
        assert all(np.array_equal(old[n], new[n]) == n.startswith("0") for n in old)
        made(z, np.ones(20, int))
        old = both.state_dict()
        assert all(np.array_equal(old[n], new[n]) == n.startswith("1") for n in old)
    assert judged.compiled is made.compiled is (compiled is None)


@pytest.mark.parametrize("compiled", [None, False])
def test_a_model_of_several_inputs_and_outputs_and_weights_below_0(compiled: bool | None) -> None:
    class Pair(Module):
        def __init__(self) -> None:
            self.policy, self.value = Layer(5, 3, rng=0), Layer(5, 1, rng=1)

        def forward(self, x: Any) -> Any:
            here, there = x
            return self.policy(here), self.value(there)

    def loss(out: Any, y: Any, weights: Any) -> Any:
        policy, value = out
        return np.mean(weights * policy[:, 0]) + np.mean(np.square(value[:, 0] - y["returns"]))

    step = train_step(Pair(), loss, optim.Adam(lr=0.1), compile=compiled)
    costs = [step((X, X), {"returns": X[:, 0]}, -np.ones(60)) for _ in range(5)]
    assert costs[-1] < costs[0]
    assert step.compiled is (compiled is None)


def test_what_it_refuses() -> None:
    model, loss = network(), CrossEntropy()
    for arguments, error, word in (
        ((Sequential, loss, optim.Adam()), TypeError, "train_step: model is a Module"),
        ((model, CrossEntropy, optim.Adam()), TypeError, r"train_step: .*CrossEntropy\(\)"),
        ((model, loss, optim.Adam), TypeError, "train_step: optimizer is the class Adam"),
        ((model, loss, optim.LBFGS()), TypeError, "give it to fit"),
        ((model, loss, optim.Adam(network())), ValueError, "not the model's"),
        ((model, loss, optim.Adam(), -1.0), ValueError, "lambda"),
    ):
        with pytest.raises(error, match=word):
            train_step(*arguments)
    step = train_step(model, loss, optim.Adam())
    for batch, error, word in (
        ((X, Y, np.ones(3)), ValueError, r"\(3,\), expected \(60,\)"),
        ((X, Y, np.full(60, np.nan)), ValueError, "nan in row 0"),
        ((3.0, Y), ValueError, "no array of rows"),
        ((X, ["a"] * 60), TypeError, "train_step: y"),
        ((X[:, :4], Y), ValueError, r"Layer\(5, 4\) was fed"),
        ((X,), TypeError, r"train_step: y is None, and CrossEntropy\(\) .* give y, or a loss"),
    ):
        with pytest.raises(error, match=word):
            step(*batch)
    mean: Any = lambda a, y: np.mean(a)  # noqa: E731
    unweighed = train_step(model, mean, optim.Adam())
    with pytest.raises(TypeError, match="takes no weights"):
        unweighed(X, Y, np.ones(60))
