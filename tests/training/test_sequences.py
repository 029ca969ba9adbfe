"""Sequences of lengths of their own: what is padded changes nothing, compiled or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.refusals import assert_refused
from tools.runs import close

from autonn import GRU, Embedding, Layer, Module, SoftmaxCrossEntropy, Tensor, fit, optim
from autonn.training import SequenceBatches, sequence_batches

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(1, 9, 50)
TEXTS = [RNG.integers(0, 7, n) for n in LENGTHS]
LABELS = np.array([int(text.sum()) % 2 for text in TEXTS])
NEXT = [np.append(text[1:], 0) for text in TEXTS]


class Reader(Module):
    """Reads a text; tells its class, or of each place what comes next."""

    def __init__(self, each: bool = False) -> None:
        rng = np.random.default_rng(0)
        self.look, self.read = Embedding(7, 3, rng=rng), GRU(3, 4, rng=rng)
        self.tell, self.each = Layer(4, 7 if each else 2, rng=rng), each

    def forward(self, x: Any, lengths: Any = None) -> Tensor:
        outputs, last = self.read(self.look(x), lengths=lengths)
        return self.tell(outputs if self.each else last[-1])


def test_every_sequence_comes_once_in_the_bucket_of_its_length() -> None:
    made = sequence_batches(TEXTS, LABELS, batch_size=8, buckets=3)
    orders = []
    for batches in (made, made(np.random.default_rng(0)), made(np.random.default_rng(0))):
        seen = []
        for X, y in batches:
            bound = X["x"].shape[1]
            assert bound in made.bounds
            assert len(y) <= 8
            shorter = [b for b in made.bounds if b < bound]
            for row, n, label in zip(X["x"], X["lengths"], y, strict=True):
                assert max(shorter, default=0) < n <= bound
                assert not row[n:].any()
                seen.append((*row[:n].tolist(), -1, int(label)))
        assert sorted(seen) == sorted((*t.tolist(), -1, int(c)) for t, c in zip(TEXTS, LABELS))  # noqa: B905
        orders.append(seen)
    assert orders[1] == orders[2] != orders[0]
    counts = np.bincount(np.searchsorted(made.bounds, LENGTHS))
    assert len(made) == sum(-(-count // 8) for count in counts)
    assert counts.min() >= 5
    assert made.bounds[-1] == LENGTHS.max()
    X, _ = next(iter(sequence_batches(TEXTS, LABELS, gives="mask", buckets=[20, 3])))
    assert X["mask"].shape == X["x"].shape
    assert np.array_equal(X["mask"].sum(axis=1), LENGTHS[LENGTHS <= 3])


@pytest.mark.parametrize("each", [False, True])
def test_padding_changes_neither_cost_nor_gradient(each: bool) -> None:
    """A step with a batch is one with the mean over sequences, or places, each read alone."""
    loss: Any = SoftmaxCrossEntropy(ignore_index=-100)
    model, twin = Reader(each), Reader(each)
    (X, y), *_ = sequence_batches(TEXTS, NEXT if each else LABELS, batch_size=50, buckets=1)
    loss(model(**X), y).backward()
    alone = [
        loss(twin(text[None]), np.array(target)[None] if each else np.array([target]))
        for text, target in zip(TEXTS, NEXT if each else LABELS, strict=True)
    ]
    weights = LENGTHS / LENGTHS.sum() if each else np.full(50, 1 / 50)
    np.sum(np.stack(alone) * weights).backward()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-11, atol=1e-14)


def run(made: SequenceBatches, each: bool = False, **options: Any) -> tuple[Reader, Any]:
    model = Reader(each)
    given = {"epochs": 2, "seed": 0, "l2": 0.1} | options
    history = fit(model, made, loss=SoftmaxCrossEntropy(ignore_index=-100),
                  optimizer=optim.Adam(lr=0.03), **given)  # fmt: skip
    return model, history


@pytest.mark.parametrize("each", [False, True])
def test_training_by_buckets_compiled_and_eager_and_resumed(each: bool, tmp_path: Path) -> None:
    made = sequence_batches(TEXTS, NEXT if each else LABELS, batch_size=25, buckets=[4, 8])
    held_out = sequence_batches(TEXTS[:9], (NEXT if each else LABELS)[:9], buckets=1)
    results = [run(made, each, validation=held_out, compile=way) for way in (True, False)]
    (model, history), (other, expected) = results
    assert (history.compiled, expected.compiled) == (True, False)
    close(model, other, 1e-10)
    np.testing.assert_allclose(history.cost, expected.cost, rtol=1e-11)
    np.testing.assert_allclose(history.validation_cost, expected.validation_cost, rtol=1e-11)
    assert history.cost[-1] < history.cost[0]
    if not each:
        path = tmp_path / "run.npz"
        run(made, epochs=1, checkpoint=path, every=1, compile=False)
        resumed, _ = run(made, checkpoint=path, resume=True, compile=False)
        close(resumed, run(made, compile=False)[0], 0.0)


def test_a_program_serves_a_bucket() -> None:
    shapes = {batch["x"].shape for batch, _ in sequence_batches(TEXTS, batch_size=5, buckets=4)}
    assert len(shapes) <= 2 * 4
    assert len({time for _, time in shapes}) == 4


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"X": []}, ValueError, ["no sequences"]),
        ({"X": [[1.0], []]}, ValueError, ["X[1]", "no place"]),
        ({"X": [[1.0], [np.inf]]}, ValueError, ["X[1]", "inf"]),
        ({"X": [[[1.0]], [[1.0, 2.0]]]}, ValueError, ["X[1]", "(2,)", "(1,)"]),
        ({"y": LABELS[:3]}, ValueError, ["50 sequences", "3 targets"]),
        ({"y": [*NEXT[:7], NEXT[7][:-1] if len(NEXT[7]) > 1 else [1, 2], *NEXT[8:]]},
         ValueError, ["y[7]", "places"]),
        ({"buckets": [3, 5]}, ValueError, [f"longest sequence has {LENGTHS.max()}", "5"]),
        ({"buckets": 0}, ValueError, ["buckets"]), ({"batch_size": 0}, ValueError, ["batch_size"]),
        ({"gives": "length"}, ValueError, ["gives", "'mask'"]),
    ],
    ids=range(10),
)  # fmt: skip
def test_what_are_no_sequences_is_refused(given: Any, error: Any, words: list[str]) -> None:
    options = {"X": TEXTS, "y": LABELS} | given
    assert_refused(lambda: sequence_batches(**options), error, words)


def test_metrics_over_batches_of_other_shapes_are_refused_with_the_cure() -> None:
    made = sequence_batches(TEXTS, NEXT, batch_size=16, buckets=2)
    assert_refused(
        lambda: run(made, True, validation=made, metrics=["accuracy"], compile=False), ValueError,
        ["metrics", "put together"],
    )  # fmt: skip
    labels = sequence_batches(TEXTS, LABELS, batch_size=16, buckets=2)
    model, history = run(labels, validation=labels, metrics=["accuracy"], compile=False)
    (X, y), *_ = sequence_batches(TEXTS, LABELS, batch_size=50, buckets=1)
    read = model.eval()(**X).numpy().argmax(axis=1)
    assert history.metrics["accuracy"][-1] == np.mean(read == y)


def test_sequences_that_are_no_batches_yet_are_told_what_makes_some() -> None:
    given = [np.ones((3, 2)), np.ones((5, 2))]
    with pytest.raises(ValueError, match=r"ragged list.*sequence_batches\(X, y\)"):
        fit(Layer(2, 2), given, [0, 1], "cross_entropy", "adam")
