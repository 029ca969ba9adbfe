"""`lint` finds what is wrong in each broken training, and nothing in any healthy one."""

from __future__ import annotations

import inspect
import random
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.broken import BROKEN, Case, classes, net
from tools.healthy import HEALTHY, Given, blobs

import autonn as an
from autonn import fit, lint, optim
from autonn.teach import (
    chance_rules,
    data_rules,
    gradient_rules,
    start_rules,
    step_rules,
    target_rules,
)
from autonn.teach.linting import Findings
from autonn.training import Finding, LintWarning, certain

FILES = (chance_rules, data_rules, gradient_rules, start_rules, step_rules, target_rules, certain)
CASES = [(name, case) for name, cases in BROKEN.items() for case in cases]


def title(value: Any) -> str:
    return value if isinstance(value, str) else value.__name__


# ---- what is found


@pytest.mark.parametrize(("name", "case"), CASES, ids=title)
def test_what_is_wrong_is_found(name: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if name != "cannot-memorise":  # where that is not asked, it need not be tried long
        monkeypatch.setattr(step_rules, "TRIES", 20)
    model, X, y, given = case()
    found = lint(model, X, y, **given)
    assert name in found.names
    (told,) = [f for f in found if f.name == name][:1]
    assert all((told.where, told.evidence, told.cure))
    assert re.search(r"\d", told.evidence) or name == "logits-cut-off"  # in numbers
    assert len(found) <= 3  # and not half a page beside it


@pytest.mark.parametrize("case", HEALTHY, ids=title)
def test_nothing_is_found_where_nothing_is_wrong(case: Callable[[], Given]) -> None:
    model, X, y, given = case()
    assert lint(model, X, y, **given) == ()


def test_every_finding_there_is_has_a_broken_training() -> None:
    text = "".join(inspect.getsource(file) for file in FILES)
    names = set(re.findall(r'Finding\(\s*"([\w-]+)"', text)) | {certain.UNREACHED}
    assert names == set(BROKEN)
    named = re.findall(r'\bFinding\(\s*(?:"[\w-]+"|UNREACHED),', text)
    assert len(re.findall(r"\bFinding\(", text)) == len(named)


def test_how_many_times_each_pixel_counts_is_told() -> None:
    (case,) = (case for case in BROKEN["unscaled-inputs"] if case.__name__ == "pixels")
    model, X, y, given = case()
    told = lint(model, X, y, **given)[0]
    column = X[:, int(re.findall(r"\d+", told.where)[0])]
    assert f"its mean is {column.mean():.4g}" in told.evidence
    assert f"root mean square {np.sqrt(np.mean(column**2)):.4g}" in told.evidence


# ---- what is left as it was


def everything(model: Any, optimizer: Any) -> list[Any]:
    """Bring together all that could have changed, as bytes and values."""
    held = [m.rng.bit_generator.state for _, m in model.named_modules() if hasattr(m, "rng")]
    slopes = [None if p.grad is None else p.grad.tobytes() for p in model.parameters()]
    named = {name: t.data.tobytes() for name, t in model.named_tensors().items()}
    moments = optimizer.state_dict() if optimizer is not None else {}
    state = {k: np.asarray(v).tobytes() for k, v in moments.items()}
    modes = [(m.training, "training" in vars(m)) for _, m in model.named_modules()]
    ids = [id(t) for t in model.parameters()]
    whole = [random.getstate(), [np.asarray(x).tolist() for x in np.random.get_state()]]  # noqa: NPY002
    costs = list(optimizer.costs) if optimizer is not None else []
    return [held, slopes, named, state, modes, ids, whole, costs]


class Everything(an.Module):
    """What can change in a run: a running mean, two kinds of chance, a count, a kept result."""

    def __init__(self) -> None:
        self.first, self.norm = an.Layer(4, 8, rng=0), an.BatchNorm1d(8)
        self.drop, self.last = an.Dropout(0.5, rng=1), an.Layer(8, 3, rng=2)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        self.kept = self.norm(self.first(x))
        noise = np.random.normal(0, 1e-3) + random.gauss(0, 1e-3)  # noqa: NPY002
        return self.last(self.drop(np.tanh(self.kept)) + (noise if self.training else 0))


def test_everything_is_left_bit_for_bit_as_it_was() -> None:
    X, y = blobs()
    model, loss = Everything(), an.SoftmaxCrossEntropy()
    optimizer = optim.Adam(model, lr=0.01)
    for _ in range(2):
        loss(model(X), y).backward()
        optimizer.step()
    model.norm.eval()
    step = an.train_step(model, loss, optimizer)
    step(X, y)
    before, kept, calls = everything(model, optimizer), model.kept, model.calls
    of_step = dict(vars(step))
    assert not lint(model, X, y, loss=loss, optimizer=optimizer, l2=1.0, batch_size=32, step=step)
    assert everything(model, optimizer) == before
    assert model.kept is kept
    assert model.calls == calls
    assert vars(step) == of_step


def test_a_loss_that_raises_leaves_everything_too() -> None:
    X, y = blobs()
    model = net(an.Layer(4, 8, rng=0), an.Dropout(0.5, rng=1))
    model.eval()

    def loss(a: Any, y: Any) -> Any:
        raise OSError("not of the kinds that mean shapes")

    before = everything(model, None)
    with pytest.raises(OSError, match="kinds"):
        lint(model, X, y, loss=loss)
    assert everything(model, None) == before


# ---- what it is


def test_findings_print_and_show_themselves() -> None:
    model, X, y, given = BROKEN["squashed-twice"][0]()
    found = lint(model, X, y, **given)
    assert found.names == ["squashed-twice"]
    assert repr(found).startswith("lint: 1 found\n1. squashed-twice, in model.3 Sigmoid()\n")
    page = Findings([Finding("a<b", "X", "1 & 2", "c")])._repr_html_()
    assert "a&lt;b" in page
    assert "1 &amp; 2" in page
    assert re.fullmatch(r"lint: nothing found by \d+ rules", repr(Findings()))
    assert "nothing" in Findings()._repr_html_()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": an.CrossEntropy}, "lint: loss is the class CrossEntropy"),
        ({"l2": -1}, "lint: l2"),
        ({"batch_size": 0}, "lint: batch_size"),
        ({"optimizer": optim.SGD}, "lint: optimizer is the class SGD"),
        ({"step": lambda X, y: None}, "give it, optimizer="),
        ({"X": np.full((200, 4), np.nan)}, "lint: X"),
        ({"validation": 3 * [0]}, "lint: validation is a pair"),
        ({"loss": lambda a, y: 3.0}, "returned 3.0, expected one Tensor"),
        ({"loss": lambda a, y: a}, r"returned shape \(200, 3\), expected one Tensor"),
    ],
)
def test_what_is_refused(given: dict[str, Any], message: str) -> None:
    X, y = blobs()
    given = {"X": X, "y": y, "loss": an.SoftmaxCrossEntropy()} | given
    with pytest.raises((TypeError, ValueError), match=message):
        lint(net(), **given)


def test_what_is_unusual_is_no_fault_of_the_training() -> None:
    X, y = blobs()
    shares = np.full((200, 3), 1 / 3)  # of which chance is the best there is
    assert not lint(net(), X, shares, loss=an.SoftmaxCrossEntropy())
    assert not lint(net(), X[:1], y[:1], loss=an.SoftmaxCrossEntropy(), optimizer=optim.Adam())
    for parameter in (model := net()).parameters():
        parameter.requires_grad = False
    assert not lint(model, X, y, loss=an.SoftmaxCrossEntropy())
    normed = net(an.Layer(4, 8, rng=0), an.BatchNorm1d(8))
    assert lint(normed, X[:1], y[:1], loss=an.SoftmaxCrossEntropy()).names == ["batch-of-one"]


def test_it_takes_what_fit_takes_by_name_and_in_a_column_and_as_a_share() -> None:
    X, y = blobs()
    assert not lint(net(), X, y, loss="cross_entropy", optimizer="adam", validation=0.2)
    value = an.Sequential(an.Layer(4, 8, rng=0), an.Tanh(), an.Layer(8, 1, rng=1))
    assert not lint(value, X, X.sum(axis=1), loss="mse", optimizer="adam")


# ---- what fit tells by itself


CERTAIN = [
    "squashed-twice", "softmax-of-one", "softmax-of-rows", "broadcast-targets", "no-gradient",
]  # fmt: skip


def row_against_column() -> Given:
    """Predict a row, for a loss of one's own that meets it with a column."""
    X, _ = blobs()
    model = an.Sequential(net(out=1), an.Lambda(lambda x: x[:, 0]))
    return model, X, X[:, :1] * X[:, 1:2], {"loss": lambda a, y: np.mean((a - y) ** 2)}


TOLD = [
    *((n, c) for n, c in CASES if n in CERTAIN or c.__name__ == "own_penalty_of_all"),
    ("broadcast-targets", row_against_column),
]


@pytest.mark.parametrize("compile", [None, False])
@pytest.mark.parametrize(("name", "case"), TOLD, ids=title)
def test_fit_warns_of_what_is_certain(name: str, case: Case, compile: bool | None) -> None:
    model, X, y, given = case()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fit(model, X, y, loss=given["loss"], optimizer=optim.SGD(lr=0.1), epochs=3, compile=compile)
    if name == "no-gradient" and compile is False:  # other rows may go other ways
        assert told == []
        return
    (warning,) = [w for w in told if f"fit: {name}" in str(w.message)]
    assert warning.category is LintWarning
    assert warning.filename == __file__
    off = re.search(r"warnings\.(filterwarnings\(.*?\))", str(warning.message))
    assert off is not None
    if compile is False:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        eval(f"warnings.{off[1]}", {"warnings": warnings})
        model, X, y, given = case()
        if case.__name__ != "softmax_of_one":  # of which more is told
            fit(model, X, y, loss=given["loss"], optimizer=optim.SGD(lr=0.1), epochs=1)


def test_fit_is_told_of_by_an_error_before_anything_is_learned() -> None:
    model, X, y, given = classes(net(last=an.Sigmoid()))
    before = model.state_dict()
    with pytest.raises(LintWarning, match="squashed-twice"):
        fit(model, X, y, loss=given["loss"], optimizer=optim.SGD(lr=0.1))
    assert all(np.array_equal(before[name], now) for name, now in model.state_dict().items())


class Beside(an.Module):
    """Reads two arrays, side by side."""

    def __init__(self) -> None:
        self.layers = an.Sequential(an.Layer(6, 8, rng=0), an.Tanh(), an.Layer(8, 3, rng=1))

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        return self.layers(np.concatenate([left, right], axis=1))


class Apart(Beside):
    """Multiplies each array by weights of its own."""

    def __init__(self) -> None:
        self.left, self.right = an.Layer(4, 3, rng=0), an.Layer(2, 3, rng=1)

    def forward(self, left: Any, right: Any) -> Any:  # type: ignore[override]
        return self.left(left) + self.right(right)


def test_several_inputs_are_looked_at_one_by_one_as_fit_takes_them() -> None:
    X, y = blobs()
    right = np.random.default_rng(1).normal(size=(len(X), 2))
    given: dict[str, Any] = {"loss": "cross_entropy", "optimizer": "adam", "batch_size": 20}
    inputs: list[Any] = [(X, right), {"right": right, "left": X}]
    for both in inputs:
        for model in (Beside(), Apart()):
            assert not lint(model, both, y, **given)
    copied = np.column_stack([right[:, 0], right[:, 0]])
    (found,) = lint(Apart(), {"left": X, "right": copied}, y, **given)
    assert (found.name, found.where) == ("duplicated-column", "X['right'][:, 1]")
    (found,) = lint(Apart(), (X, right * 1e4), y, loss="cross_entropy")[:1]
    assert (found.name, found.where[:4]) == ("unscaled-inputs", "X[1]")
    part = {"left": X[:40], "right": right[:40]}
    names = [f.name for f in lint(Apart(), inputs[1], y, **given, validation=(part, y[:40]))]
    assert names == ["rows-in-both"]


class Twice(an.Module):
    """Returns two outputs."""

    def __init__(self) -> None:
        self.layer = an.Layer(4, 4, rng=0)

    def forward(self, x: Any) -> Any:
        return self.layer(x), x


def test_losses_without_targets_are_looked_at_and_batches_and_several_outputs_refused() -> None:
    triplets = np.random.default_rng(0).normal(size=(30, 3, 4))
    model = an.Layer(4, 2, rng=0)
    assert not lint(model, triplets, loss=an.TripletLoss(2.0), optimizer=optim.Adam())
    with pytest.raises(TypeError, match="y is None, and CrossEntropy"):
        lint(model, triplets, loss=an.CrossEntropy())
    with pytest.raises(TypeError, match=r"next\(iter\(batches\)\)"):
        lint(model, lambda: iter([triplets]), loss=an.TripletLoss())
    with pytest.raises(TypeError, match=r"returned a tuple.*one of the outputs"):
        lint(Twice(), triplets, triplets, loss=("mse", "mse"))
