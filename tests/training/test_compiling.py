"""Compiled steps: the same as those that run as they are."""

from __future__ import annotations

import types
import warnings
from typing import Any

import numpy as np
import pytest
from tools import runs
from tools.pairs import combinations
from tools.runs import OPTIMIZERS, X, Y, close, dropping, network, train

from autonn import CrossEntropy, Layer, Sequential, Tensor, fit, optim
from autonn.compiler import compiled as compiler
from autonn.engine.modes import CannotCompileError
from autonn.training import History
from autonn.training.state import generators, random_states
from autonn.training.task import Task


@pytest.mark.parametrize(
    ("way", "batch_size", "dtype"),
    [
        *combinations(["SGD", "Adam"], [None, 25], [np.float64, np.float32]),
        *combinations(["LBFGS", "Newton"], [None], [np.float64, np.float32]),
    ],
)
def test_compiled_and_eager_training_agree(way: str, batch_size: int | None, dtype: Any) -> None:
    steps, results = way in ("SGD", "Adam"), []
    for compiled in (True, False):
        model = dropping(dtype)
        if not steps:
            model[2].p = 0.0  # a search needs a cost that stays as it is
        history = fit(
            model, X.astype(dtype), Y, loss=CrossEntropy(), optimizer=OPTIMIZERS[way](), l2=0.5,
            epochs=4, batch_size=batch_size, seed=0, compile=compiled,
            validation=(X[:10].astype(dtype), Y[:10]),
            class_weight=[1.0, 2.0, 0.5], sample_weight=np.linspace(0, 2, 60),
        )  # fmt: skip
        results.append((model, history))
    (one, seen), (other, expected) = results
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    close(one, other, tolerance)
    np.testing.assert_allclose(seen.cost, expected.cost, rtol=tolerance)
    assert seen.accuracy == expected.accuracy
    assert seen.validation_accuracy == expected.validation_accuracy
    assert one[0].weight.dtype == dtype
    assert (seen.compiled, expected.compiled) == (True, False)


class Reads(Sequential):
    def forward(self, x: Any) -> Tensor:
        out = super().forward(x)
        return out if float(np.sum(out)) < 1e9 else out * 0.0


class Draws(Sequential):
    """Draws its numbers in plain NumPy: a program would use the first ones for ever."""

    def __init__(self, *modules: Any) -> None:
        super().__init__(*modules)
        self.rng = np.random.default_rng(3)

    def forward(self, x: Any) -> Tensor:
        return super().forward(x) * self.rng.uniform(0.5, 1.0, 3)


class Remembers(Sequential):
    """Scales by what it saw before, as a layer that normalises does."""

    def forward(self, x: Any) -> Tensor:
        self.shown = getattr(self, "shown", 0) + len(x)
        return super().forward(x) * (1 + 1 / self.shown)


class Arrays(Sequential):
    """Does with the examples what arrays can, and Tensors in their place can't."""

    def forward(self, x: Any) -> Tensor:
        return super().forward(x.view(x.dtype))


KINDS = {
    Reads: "float() of a Tensor",
    Draws: "draws random numbers in plain NumPy",
    Remembers: "changes what it reads (Remembers.shown)",
    Arrays: "AttributeError while tracing",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_what_cannot_be_compiled_is_trained_all_the_same(kind: Any, way: str) -> None:
    models, histories = [], []
    for compiled in (None, False):
        models.append(kind(*network().modules))
        for _ in range(20):
            models[-1].note = "set"
        edits = models[-1].edits
        histories.append(train(models[-1], optimizer=OPTIMIZERS[way](), compile=compiled))
        assert histories[-1].compiled is False
        assert models[-1].edits >= edits  # a number comes only once: programs are told apart by it
    assert KINDS[kind] in histories[0].why_not
    assert histories[1].why_not == "compile=False"
    assert histories[0] == histories[1]
    close(models[0], models[1], 0.0)
    assert len(set(histories[0].cost)) > 1


def test_each_size_of_a_batch_is_tried() -> None:
    class ReadsShort(Sequential):
        """Reads values only where the batch is a short one."""

        def forward(self, x: Any) -> Tensor:
            out = super().forward(x)
            return out if len(x) > 10 or float(np.sum(out)) < 1e9 else out * 0.0

    model, same = ReadsShort(*network().modules), network()
    history = train(model, batch_size=25, seed=0)
    assert "float() of a Tensor" in history.why_not
    assert history == train(same, batch_size=25, seed=0, compile=False)
    close(model, same, 0.0)


@pytest.mark.parametrize("way", OPTIMIZERS)
def test_the_history_says_whether_a_run_was_compiled(way: str) -> None:
    for compiled in (None, True):
        history = train(network(), optimizer=OPTIMIZERS[way](), compile=compiled)
        assert (history.compiled, history.why_not) == (True, "")
    assert History().compiled is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", OPTIMIZERS)
def test_a_program_that_was_asked_for_and_cannot_be_is_told_once(kind: Any, way: str) -> None:
    with pytest.warns(RuntimeWarning) as told:
        train(kind(*network().modules), optimizer=OPTIMIZERS[way](), compile=True, epochs=3)
    assert len(told) == 1
    assert "compile=True, but" in str(told[0].message)
    assert KINDS[kind] in str(told[0].message)
    assert told[0].filename == runs.__file__  # the line that calls fit


def test_newton_needs_products_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def product(*args: Any) -> Any:
        raise CannotCompileError("no second derivative")

    model, same = network(), network()
    with monkeypatch.context() as patch:
        patch.setattr(Task, "product", product)
        history = train(model, optimizer=optim.Newton(), epochs=2)
        assert train(network(), epochs=2).compiled
    assert (history.compiled, history.why_not) == (False, "no second derivative")
    assert history == train(same, optimizer=optim.Newton(), epochs=2, compile=False)
    close(model, same, 0.0)


# ---- a fault of the compiler's own is raised, one of the user's is said better by the step itself


@pytest.mark.parametrize(
    ("way", "error", "asked"),
    combinations(
        OPTIMIZERS, [SyntaxError, KeyError, AttributeError, ValueError, TypeError], [None, True]
    ),
)
def test_a_fault_of_the_compiler_is_raised(
    error: type[Exception], way: str, asked: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> Any:
        raise error("a fault of ours")

    model, same = dropping(), dropping()
    with monkeypatch.context() as patch:
        patch.setattr(compiler, "simplify", as_if_of(compiler, broken))
        with pytest.raises(error, match="a fault of ours"):
            train(model, optimizer=OPTIMIZERS[way](), compile=asked)
        train(dropping(), compile=False, epochs=1)  # which works without it
    close(model, same, 0.0)
    assert repr(random_states(generators(model))) == repr(random_states(generators(same)))


def as_if_of(module: Any, function: Any) -> Any:
    """Let a function see the globals of a module, as if it were written there."""
    return types.FunctionType(function.__code__, vars(module), closure=function.__closure__)


@pytest.mark.parametrize("asked", [None, True, False])
def test_what_a_model_raises_itself_is_raised_as_it_is(asked: bool | None) -> None:
    wrong = Sequential(Layer(5, 4, rng=0), Layer(3, 3, rng=0))  # no row fits the second

    class Raises(Sequential):
        def forward(self, x: Any) -> Tensor:
            if len(x) == 60:
                raise LookupError("mine")
            return super().forward(x)

    for model, error, word in (
        (wrong, ValueError, "3"),
        (Raises(*network().modules), LookupError, "mine"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(error, match=word) as raised:
                train(model, compile=asked)
        with pytest.raises(error) as expected:
            model(X)
        assert str(raised.value) == str(expected.value)
