"""Words of other libraries: each works, or the error says what to write here in its place."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import re
from typing import Any

import numpy as np
import pytest
from tools.tried_words import BARE, TRIED, said_to

import autonn
from autonn import Layer, Module, Sequential, Tensor, optim
from autonn.habits import HABITS, Habit, missing
from autonn.training import History


@pytest.mark.parametrize("line", [line for _, line in TRIED])
def test_what_is_tried_first_works_or_is_answered(line: str) -> None:
    said = said_to(line)
    assert not BARE.search(said), said


@pytest.mark.parametrize("line", ["x.bogus", "Layer(4, 8, bogus=1)", "from autonn import bogus"])
def test_what_nobody_knows_is_said_by_python_itself(line: str) -> None:
    assert BARE.search(said_to(line))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: optim.Adam(clip=1.0),  # type: ignore[call-arg]
            r"Adam has no argument 'clip'; did you mean clip_norm=\?",
        ),
        (
            lambda: autonn.HuberLoss(detla=1.0),  # type: ignore[call-arg]
            r"HuberLoss has no argument .detla.; did you mean delta=\?",
        ),
        (
            lambda: autonn.Embedding(3, 2, padding=0),  # type: ignore[call-arg]
            "did you mean padding_idx=",
        ),
    ],
)
def test_an_argument_that_is_nearly_one_is_answered(call: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        call()


# ---- the table

OWNERS: dict[str, Any] = {
    "Tensor": Tensor(1.0), "Module": Layer(2, 1), "Optimizer": optim.LBFGS(), "History": History(),
}  # fmt: skip


def owner(place: str) -> Any:
    return OWNERS[place] if place in OWNERS else importlib.import_module(place)


def answers_wrongly(habit: Habit) -> bool:
    """Whether a word is there, or listed, or what is said of it is not its answer."""
    thing = owner(habit.place)
    if hasattr(thing, habit.word) or habit.word in dir(thing):
        return True
    with pytest.raises(AttributeError) as caught:
        getattr(thing, habit.word)
    guesses = caught.value.name is not None  # then Python adds what it takes to be meant
    return guesses or habit.answer not in str(caught.value)


def test_a_word_of_the_table_is_not_there_and_says_what_is() -> None:
    habits = [h for h in HABITS.values() if not h.place.endswith("()")]
    assert len(habits) > 400
    assert [habit for habit in habits if answers_wrongly(habit)] == []
    assert answers_wrongly(Habit("Tensor", "sum", "PyTorch", ""))
    assert answers_wrongly(Habit("Tensor", "view", "PyTorch", "another"))


def names_in(answer: str) -> list[str]:
    """List the names that an answer speaks of, each with its module."""
    dotted = re.findall(r"\b(?:np|nn|optim|data|training|plots|sklearn|autonn)(?:\.\w+)+", answer)
    called = re.findall(r"(?<![\w.])([A-Z]\w+|\w+_\w+|fit|compile|grad|jacobian)\(", answer)
    return [*dotted, *(f"autonn.{name}" for name in called)]


def there_is(name: str) -> bool:
    found: Any = {"np": np}.get(name.split(".")[0], autonn)
    for part in name.removeprefix("np.").removeprefix("autonn.").split("."):
        if part == "sklearn":
            return True  # it may not be installed
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def test_the_table_names_what_there_is() -> None:
    named = {name for habit in HABITS.values() for name in names_in(habit.answer)}
    assert len(named) > 60
    assert [name for name in sorted(named) if not there_is(name)] == []
    assert not there_is("optim.bogus")
    assert names_in("write optim.bogus, or Bogus(1)") == ["optim.bogus", "autonn.Bogus"]


# ---- what stays as it was


def test_names_of_the_table_are_free_for_attributes_of_ones_own() -> None:
    class Net(Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [Layer(2, 1)]
            self.loss = 3

        def fit(self) -> str:
            return "own"

        @property
        def score(self) -> Any:
            return getattr(self, "wrong_within")  # noqa: B009

    net = Net()
    assert (len(net.layers), net.loss, net.fit()) == (1, 3, "own")
    assert {"layers", "loss", "fit"} <= set(dir(net))
    with pytest.raises(AttributeError, match="wrong_within"):  # and not that there is no score
        _ = net.score
    assert len(copy.deepcopy(net).parameters()) == 2
    twin = pickle.loads(pickle.dumps(Sequential(Layer(2, 1))))
    assert repr(twin) == "Sequential(Layer(2, 1))"


def test_what_is_there_is_found_as_fast_as_ever() -> None:
    for kind in (Tensor, Module, optim.Optimizer, History):  # it slows down every attribute
        assert not hasattr(kind, "__getattr__")
        assert "__getattribute__" not in vars(kind)


def test_attributes_that_nobody_would_look_at_are_refused() -> None:
    with pytest.raises(AttributeError, match="freeze by for p in"):
        Layer(2, 1).trainable = False
    with pytest.raises(AttributeError, match=r"for p in model\.parameters"):
        Layer(2, 1).requires_grad = False
    with pytest.raises(AttributeError, match=r"AdamW and optim\.SGD have it"):
        optim.Adam().weight_decay = 0.1
    optim.AdamW().weight_decay = 0.1
    layer = Layer(2, 1)
    with pytest.raises(TypeError, match=r"would not be learned .* \.weight\.data = array"):
        layer.weight = np.ones((1, 2))  # type: ignore[assignment]
    layer.bias = None
    assert len(layer.parameters()) == 1


def test_calls_that_take_nothing_say_so() -> None:
    for kind in (autonn.ReLU, autonn.CrossEntropy):
        assert list(inspect.signature(kind).parameters) == []
        with pytest.raises(TypeError, match=rf"{kind.__name__}\(\) takes no arguments"):
            kind(3)  # type: ignore[call-arg]
    assert list(inspect.signature(Layer).parameters)[:2] == ["inputs", "outputs"]
    assert list(inspect.signature(Module.predict).parameters) == ["self", "x", "more", "named"]
    with pytest.raises(TypeError, match=r"has 2 places, for inputs, outputs, .* 3; write .*bias="):
        Layer(4, 8, True)  # type: ignore[call-arg]


def test_a_forward_that_takes_a_word_of_others_is_given_it() -> None:
    class Net(Module):
        def forward(self, x: Any, training: bool = False) -> Any:
            return Tensor(x) * (2 if training else 1)

    assert Net()(3.0, training=True).item() == 6
    with pytest.raises(TypeError, match=r"model\.train"):
        Layer(1, 1)(np.ones((1, 1)), training=True)


def test_an_unknown_word_of_a_module_is_left_to_python() -> None:
    error = missing("autonn", "compil")
    assert isinstance(error, AttributeError)
    assert error.name == "compil"  # then Python adds: did you mean 'compile'?
