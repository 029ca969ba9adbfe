"""An error inside a model names where: the path, what was fed, by whom, and what would fit."""

from __future__ import annotations

import pickle
import re
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn as an

Call = Callable[[], Any]


def raised(call: Call) -> Exception:
    """Return the error that a call raises."""
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("it raised nothing")


def notes(call: Call) -> list[str]:
    return [str(note) for note in getattr(raised(call), "__notes__", [])]


MODEL = an.Sequential(an.Layer(3, 5, rng=0), an.Sigmoid(), an.Layer(4, 2, rng=0))


class Net(an.Module):
    """A model of one's own, with parts in attributes, lists and dicts."""

    def __init__(self) -> None:
        self.encoder = an.Sequential(an.Layer(3, 4, rng=0), an.Tanh())
        self.heads = {"a": [an.Layer(5, 2, rng=0)]}

    def forward(self, x: Any) -> Any:
        return self.heads["a"][0](self.encoder(x))


class Bad(an.Module):
    """A layer with a mistake in plain NumPy."""

    def forward(self, x: Any) -> Any:
        return x + np.ones(7)


class Reads(an.Module):
    def forward(self, x: Any) -> Any:
        parts: dict[str, Any] = {}
        return parts["missing"]


X = np.ones((2, 3))
PLACES: dict[str, tuple[Call, type[Exception], str]] = {
    "fed by another": (
        lambda: MODEL(X), ValueError,
        "in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()",
    ),
    "fed from outside": (
        lambda: MODEL(np.ones((2, 4), np.float32)), ValueError,
        "in model.0 Layer(3, 5), fed (2, 4) float32, the model's own input",
    ),
    "a model of one's own": (
        lambda: Net()(X), ValueError,
        "in model.heads.a.0 Layer(5, 2), fed (2, 4) float64, made by tanh",
    ),
    "a part of a part": (
        lambda: an.Sequential(an.Layer(3, 4, rng=0), an.Sequential(an.Tanh(), Bad()))(X),
        ValueError, "in model.1.1 Bad(), fed (2, 4) float64 by model.1.0 Tanh()",
    ),
    "a layer alone": (
        lambda: an.Layer(4, 2)(X), ValueError, "in model Layer(4, 2), fed (2, 3) float64",
    ),
    "another kind of error": (
        lambda: an.Sequential(an.Layer(3, 4, rng=0), Reads())(X), KeyError,
        "in model.1 Reads(), fed (2, 4) float64 by model.0 Layer(3, 4)",
    ),
    "whole numbers wanted": (
        lambda: an.Sequential(an.Layer(3, 4, rng=0), an.Embedding(4, 3))(X), TypeError,
        "in model.1 Embedding(4, 3), fed (2, 4) float64 by model.0 Layer(3, 4)",
    ),
    "what is no array": (
        lambda: an.Sequential(Reads())([1.0, 2.0]), KeyError,
        "in model.0 Reads(), fed a list of 2, the model's own input",
    ),
    "no gradient wanted": (
        lambda: MODEL.predict(X), ValueError,
        "in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()",
    ),
    "while it is compiled": (
        lambda: an.compile(lambda x: MODEL(x))(X), ValueError,
        "in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()",
    ),
    "while it is trained": (
        lambda: an.fit(
            MODEL, X, np.ones((2, 2)), loss=an.MeanSquaredError(), optimizer=an.optim.SGD(lr=0.1),
            epochs=1,
        ),
        ValueError, "in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_an_error_inside_a_model_names_its_place(name: str) -> None:
    call, kind, note = PLACES[name]
    error = raised(call)
    assert type(error) is kind
    assert error.__notes__ == [note]
    assert "".join(traceback.format_exception_only(error)).rstrip().endswith(note)


def test_an_error_that_is_made_of_another_has_a_place_too() -> None:
    model = an.Sequential(an.Layer(3, 4, rng=0), an.LSTM(4, 3, rng=0), an.Layer(3, 2, rng=0))
    error = raised(lambda: model(np.ones((2, 5, 3))))
    assert "was given the 2 results of LSTM(4, 3)" in str(error)
    assert error.__notes__ == ["in model Sequential, fed (2, 5, 3) float64"]
    (inner,) = error.__cause__.__notes__  # type: ignore[union-attr]
    assert inner == "in model Layer(3, 2), fed a tuple of 2 by LSTM(4, 3)"


def test_the_words_and_the_kind_of_an_error_stay() -> None:
    class Own(Exception):
        pass

    own = Own("as it was", 3)

    class Raises(an.Module):
        def forward(self, x: Any) -> Any:
            raise own

    error = raised(lambda: an.Sequential(Raises())(X))
    assert error is own
    assert error.args == ("as it was", 3)
    error.add_note("by the user")
    assert error.__notes__[1:] == ["by the user"]


def test_an_error_can_be_pickled_without_the_model() -> None:
    error = raised(lambda: MODEL(X))
    packed = pickle.dumps(error)
    assert len(packed) < 1000
    assert pickle.loads(packed).__notes__ == notes(lambda: MODEL(X))


def test_a_model_that_another_calls_but_does_not_hold_is_one_by_itself() -> None:
    class Calls(an.Module):
        def forward(self, x: Any) -> Any:
            return MODEL(x)

    (note,) = notes(lambda: an.Sequential(Calls())(X))
    assert note == "in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()"


def test_an_error_that_is_raised_again_elsewhere_keeps_its_first_place() -> None:
    error = raised(lambda: MODEL(X))

    class Again(an.Module):
        def forward(self, x: Any) -> Any:
            raise error

    assert raised(lambda: Again()(X)) is error
    assert error.__notes__ == ["in model.2 Layer(4, 2), fed (2, 5) float64 by model.1 Sigmoid()"]


# ---- cures

CURES: dict[str, tuple[Call, str]] = {
    "another width": (lambda: an.Layer(4, 2)(X), r"one example a row; Layer\(3, 2\) would fit$"),
    "pictures": (
        lambda: an.Layer(32, 2)(np.ones((5, 2, 4, 4))),
        r"; write Flatten\(\) before it, which makes a row of each example$",
    ),
    "numbers": (lambda: an.Layer(1, 2)(np.ones(5)), r"; write x\[:, None\], of shape \(m, 1\)$"),
    "columns": (lambda: an.Layer(2, 1)(X), r"; write x.T where each example is a column$"),
    "a number": (lambda: an.Layer(2, 1)(np.ones(())), "one example a row$"),
    "channels": (
        lambda: an.Conv2d(1, 2, 3)(np.ones((5, 3, 6, 6))),
        "; a layer of 3 channels would fit$",
    ),
    "features": (lambda: an.BatchNorm1d(4)(X), r"; BatchNorm1d\(3\) would fit$"),
    "features of each": (lambda: an.LayerNorm(4)(X), r"; LayerNorm\(3\) would fit$"),
    "a sequence": (lambda: an.GRU(2, 4)(np.ones((1, 5, 3))), r"; GRU\(3, 4\) would fit$"),
    "a step": (lambda: an.LSTMCell(2, 4)(X), r"; LSTMCell\(3, 4\) would fit$"),
    "targets": (
        lambda: an.MeanSquaredError()(an.Tensor(np.ones((5, 1))), np.ones(5)),
        r"must be equal, write y\[:, None\], which makes a column of the targets$",
    ),
    "targets in a column": (
        lambda: an.MeanSquaredError()(an.Tensor(np.ones(5)), np.ones((5, 1))),
        r"must be equal, write y\[:, 0\], which takes the targets out of their column$",
    ),
    "other targets": (
        lambda: an.HuberLoss()(an.Tensor(np.ones(5)), np.ones(4)),
        "must be equal, reshape one$",
    ),
}


@pytest.mark.parametrize("name", CURES)
def test_the_cure_is_said_where_it_is_known(name: str) -> None:
    call, message = CURES[name]
    assert re.search(message, str(raised(call)))


def test_the_cures_cure() -> None:
    an.Layer(3, 2)(X)
    an.Sequential(an.Flatten(), an.Layer(32, 2))(np.ones((5, 2, 4, 4)))
    an.Layer(1, 2)(np.ones(5)[:, None])
    an.Layer(2, 1)(X.T)
    an.BatchNorm1d(3)(X)
    an.LayerNorm(3)(X)
    an.GRU(3, 4)(np.ones((1, 5, 3)))
    an.LSTMCell(3, 4)(X)
    an.Conv2d(3, 2, 3)(np.ones((5, 3, 6, 6)))
    an.MeanSquaredError()(an.Tensor(np.ones((5, 1))), np.ones(5)[:, None])
    an.MeanSquaredError()(an.Tensor(np.ones(5)), np.ones((5, 1))[:, 0])
