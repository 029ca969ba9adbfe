"""Checkpoints that are refused: of another run, of no run, of another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tools.runs import X, Y, close, network, train

from autonn import CrossEntropy, Module, Tensor, fit, optim, sigmoid
from autonn.files import FileFormatError
from autonn.training import History
from autonn.training.checkpoints import read_checkpoint, write_checkpoint

Array = NDArray[Any]


class Halved(CrossEntropy):
    def __repr__(self) -> str:
        return "Halved()"


def changed(values: Array, at: int) -> Array:
    values = values.copy()
    values.flat[at] += 1
    return values


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the checkpoint of a run."""
    path = tmp_path_factory.mktemp("whole") / "run.npz"
    fit(network(), X, Y, **GIVEN, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def path(whole: bytes, tmp_path: Path) -> Path:
    """Lay that checkpoint in a folder of the test's own."""
    path = tmp_path / "run.npz"
    path.write_bytes(whole)
    return path


GIVEN: dict[str, Any] = {
    "loss": CrossEntropy(), "optimizer": optim.SGD(lr=0.5), "epochs": 2, "batch_size": 25,
    "seed": 0, "l2": 0.5, "sample_weight": np.ones(60), "validation": (X[:9], Y[:9]),
}  # fmt: skip
OTHERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"X": changed(X, 0)}, ["X has other numbers"]),
    ({"X": changed(X, 299)}, ["X has other numbers"]),
    ({"X": X.astype(np.float32)}, ["X has other numbers"]),
    ({"y": np.roll(Y, 1)}, ["y has other numbers"]),
    ({"y": Y.astype(np.int32)}, ["y has other numbers"]),
    ({"X": X[:50], "y": Y[:50], "sample_weight": np.ones(50)}, ["examples is 60, not 50"]),
    ({"sample_weight": changed(np.ones(60), 41)}, ["the weights of the examples has other"]),
    ({"sample_weight": None}, ["the weights of the examples has other numbers"]),
    ({"class_weight": [1.0, 2.0, 1.0]}, ["the weights of the examples has other numbers"]),
    ({"validation": (X[:9], changed(Y[:9], 3))}, ["validation has other numbers"]),
    ({"validation": None}, ["validation has other numbers"]),
    ({"loss": Halved()}, ["loss is CrossEntropy(), not Halved()"]),
    ({"l2": 0.25}, ["l2 is 0.5, not 0.25"]),
    ({"optimizer": optim.SGD(lr=0.25)}, ["optimizer is SGD(lr=0.5), not SGD(lr=0.25)"]),
    ({"optimizer": optim.SGD(lr=optim.cosine(0.5, 9))}, ["SGD(lr=0.5)", "cosine(lr=0.5, steps=9"]),
    ({"optimizer": optim.SGD(lr=0.5, momentum=0.9)}, ["momentum=0.9", "velocity.0.weight is miss"]),
    ({"batch_size": 20}, ["batch_size is 25, not 20"]),
    ({"batch_size": None}, ["batch_size is 25, not None"]),
    ({"seed": 1}, ["seed is 0, not 1"]),
    ({"seed": None}, ["seed is 0, not None"]),
    ({"l2": 0.0, "seed": 7}, ["l2 is 0.5, not 0.0", "seed is 0, not 7"]),
]


@pytest.mark.parametrize(("other", "words"), OTHERS, ids=range(len(OTHERS)))
def test_whatever_makes_it_another_run_is_listed(
    other: dict[str, Any], words: list[str], path: Path
) -> None:
    options: dict[str, Any] = {"X": X, "y": Y} | GIVEN | other
    model, same = network(1), network(1)
    with pytest.raises(FileFormatError) as caught:
        fit(model, checkpoint=path, resume=True, **options)
    assert all(word in str(caught.value) for word in [*words, "resume=False"]), caught.value
    close(model, same, 0.0)


def test_what_only_says_how_long_and_how_may_change(path: Path) -> None:
    model, plain = network(1), network()
    options = GIVEN | {"epochs": 4, "compile": False, "every": 1, "callbacks": [len]}
    history = fit(model, X, Y, checkpoint=path, resume=True, **options)
    expected = fit(plain, X, Y, **GIVEN | {"epochs": 4})
    np.testing.assert_allclose(history.cost, expected.cost, rtol=1e-12)
    close(model, plain, 1e-12)


def test_the_best_weights_are_those_of_a_run_with_patience(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    flipped = (X, (Y + 1) % 3)  # the better it learns, the worse this
    options: dict[str, Any] = {"checkpoint": path, "validation": flipped}
    train(network(), epochs=3, patience=99, **options)
    assert any(name.startswith("best/") for name in read_checkpoint(path)[0])
    model, plain = network(1), network()
    train(model, epochs=6, resume=True, **options)
    train(plain, epochs=6)
    close(model, plain, 0.0)  # the last weights, as nobody asked for the best
    with pytest.raises(FileFormatError, match="without patience, and has no best weights"):
        train(network(), epochs=9, patience=99, resume=True, **options)


def squared(a: Any, y: Any) -> Tensor:
    return np.mean((a[:, 0] - y) ** 2)  # type: ignore[no-any-return]


def test_a_loss_or_a_rate_that_is_a_function_is_known_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def run(loss: Any, rate: Any, epochs: int) -> History:
        optimizer = optim.SGD(lr=rate)
        options: dict[str, Any] = {"checkpoint": path, "resume": True, "epochs": epochs}
        return fit(network(), X, Y, loss=loss, optimizer=optimizer, **options)

    assert len(run(lambda a, y: squared(a, y), lambda step: 0.1, 1)) == 1
    assert len(run(lambda a, y: squared(a, y), lambda step: 0.1, 2)) == 2  # at another address
    with pytest.raises(FileFormatError, match=r"loss is <function .*<lambda>>, not <function squa"):
        run(squared, lambda step: 0.1, 3)


BAD: dict[str, list[Any]] = {
    "steps": [-1, 1.5, "a", None, [], True],
    "batch": [-1, 3, 99, 0.0, "a", None, True],
    "cost": [float("nan"), float("inf"), "a", None, []],
    "correct": [-1, 2.5, "a", []],
    "order": [1, "a", [], {}, {"bit_generator": "PCG64"}, None],
}
NOTES = [(name, bad) for name, values in BAD.items() for bad in values]


SMALL: dict[str, Any] = {"every": 1, "batch_size": 25, "seed": 0}


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Array], Any]:
    """Return the arrays and the notes of a run that was broken off after its second step."""
    path = tmp_path_factory.mktemp("broken") / "run.npz"
    with pytest.raises(RuntimeError):
        train(network(), loss=fails_at_its_third_call(), compile=False, checkpoint=path, **SMALL)
    arrays, notes = read_checkpoint(path)
    assert notes["at"]["batch"] == 2
    return arrays, notes


@pytest.mark.parametrize(("name", "bad"), NOTES, ids=range(len(NOTES)))
def test_notes_of_no_run_are_refused_and_nothing_changes(
    name: str, bad: Any, broken_off: tuple[dict[str, Array], Any], tmp_path: Path
) -> None:
    path, (arrays, notes) = tmp_path / "run.npz", broken_off
    model, same, rng = network(1), network(1), np.random.default_rng(0)
    optimizer = optim.SGD(lr=0.5)

    def refused(arrays: Any, notes: Any) -> None:
        write_checkpoint(path, arrays, notes)
        with pytest.raises(FileFormatError, match=r"run\.npz"):
            train(model, optimizer=optimizer, checkpoint=path, resume=True, **SMALL)
        close(model, same, 0.0)
        assert optimizer.steps == 0
        assert optimizer.costs == []

    refused(arrays, notes | {"at": notes["at"] | {name: bad}})
    refused(arrays, notes | {"at": {k: v for k, v in notes["at"].items() if k != name}})
    refused(arrays, notes | {"random": {"fit: seed": bad}})
    assert rng.random() == np.random.default_rng(0).random()


def fails_at_its_third_call() -> Any:
    calls: list[int] = []

    def loss(a: Any, y: Any) -> Tensor:
        calls.append(0)
        if len(calls) == 3:
            raise RuntimeError("broken off")
        return CrossEntropy()(a, y)

    loss.__qualname__ = "loss"
    return Named(loss)


class Named:
    """A loss that is called as another is, for the checkpoint to be of the same run."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __call__(self, a: Any, y: Any) -> Any:
        return self.loss(a, y)

    def __repr__(self) -> str:
        return "CrossEntropy()"


def test_every_array_is_looked_at_before_anything_is_set(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    options: dict[str, Any] = {"checkpoint": path, "validation": (X[:9], Y[:9]), "patience": 9}
    train(network(), optimizer=optim.Adam(), **options)
    arrays, notes = read_checkpoint(path)
    model, same = network(1), network(1)
    for name, array in arrays.items():
        spoilt: list[Any] = [array[..., None], array.astype(np.complex128), None]
        if name.startswith(("weights/", "best/")):
            spoilt += [np.full_like(array, bad) for bad in (np.nan, np.inf, -np.inf)]
            spoilt.append(np.where(np.arange(array.size).reshape(array.shape) == 1, np.nan, array))
        if array.dtype.kind == "i":
            spoilt.append(array - 99)
        for bad in spoilt:
            others = {k: a for k, a in arrays.items() if k != name}
            write_checkpoint(path, others if bad is None else others | {name: bad}, notes)
            with pytest.raises(FileFormatError, match=name.replace(".", r"\.")):
                train(model, optimizer=optim.Adam(), resume=True, **options)
            close(model, same, 0.0)


@pytest.mark.parametrize("found", [2, 99])
def test_a_newer_format_is_refused_with_a_sentence(found: int, tmp_path: Path) -> None:
    path, model = tmp_path / "run.npz", network(1)
    train(network(), checkpoint=path)
    arrays, notes = read_checkpoint(path)
    assert notes["format"] == 1
    write_checkpoint(path, arrays, {"format": found, "what": "nobody knows yet"})
    with pytest.raises(FileFormatError, match=rf"found {found}, expected at most 1; .*newer"):
        train(model, checkpoint=path, resume=True)
    write_checkpoint(path, arrays, {k: v for k, v in notes.items() if k != "format"})
    with pytest.raises(FileFormatError, match=r"format: found none, expected 1; .*older"):
        train(model, checkpoint=path, resume=True)
    for bad in ("a", 0, 1.0, [1]):
        write_checkpoint(path, arrays, notes | {"format": bad})
        with pytest.raises(FileFormatError, match="format"):
            train(model, checkpoint=path, resume=True)
    write_checkpoint(path, arrays, ["a list"])
    with pytest.raises(FileFormatError, match="content"):
        train(model, checkpoint=path, resume=True)
    close(model, network(1), 0.0)


def test_moments_belong_to_the_parameters_of_their_names(tmp_path: Path) -> None:
    class Two(Module):
        """Holds two weights of one shape, found in the order in which they were set."""

        a: Tensor
        b: Tensor

        def __init__(self, *names: str) -> None:
            for name in names:
                setattr(self, name, Tensor(np.full((3, 5), 0.1), requires_grad=True))

        def forward(self, x: Any) -> Tensor:
            return sigmoid(x @ (self.a + 2 * self.b).T)  # type: ignore[no-any-return]

    options: dict[str, Any] = {"loss": CrossEntropy(), "checkpoint": tmp_path / "run.npz"}
    plain, model = Two("a", "b"), Two("b", "a")
    fit(plain, X, Y, optimizer=optim.Adam(), epochs=4, loss=CrossEntropy())
    fit(Two("a", "b"), X, Y, optimizer=optim.Adam(), epochs=2, **options)
    fit(model, X, Y, optimizer=optim.Adam(), epochs=4, resume=True, **options)
    np.testing.assert_allclose(model.a.data, plain.a.data, rtol=1e-12)
    np.testing.assert_allclose(model.b.data, plain.b.data, rtol=1e-12)
