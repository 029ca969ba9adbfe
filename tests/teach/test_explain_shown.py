"""What an explanation shows: the terms of one number, text, pages, notebooks and a picture."""

from __future__ import annotations

import html.parser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn.teach import Explanation, explain
from autonn.teach.terms import Origin


def small(**options: Any) -> Explanation:
    """Explain a network of 3 - 4 - 2 units on five examples."""
    rng = np.random.default_rng(0)
    model = an.Sequential(
        an.Layer(3, 4, rng=rng), an.Sigmoid(), an.Layer(4, 2, rng=rng), an.Sigmoid()
    )
    X, y = rng.normal(size=(5, 3)), rng.integers(0, 2, size=5)
    return explain(model, X, y, loss=an.CrossEntropy(), **options)


def recurrent() -> Explanation:
    """Explain a network with more steps on the way than are shown at once."""
    rng = np.random.default_rng(0)
    model = an.Sequential(an.LSTM(3, 4, rng=rng), an.Last(), an.Layer(4, 2, rng=rng))
    return explain(
        model, rng.normal(size=(2, 3, 3)), np.array([0, 1]), loss=an.SoftmaxCrossEntropy()
    )


def pictures() -> Explanation:
    rng = np.random.default_rng(0)
    model = an.Sequential(
        an.Conv2d(1, 2, 3, rng=rng),
        an.ReLU(),
        an.MaxPool2d(2),
        an.Flatten(),
        an.Layer(8, 2, rng=rng),
    )
    X = rng.normal(size=(2, 1, 6, 6))
    return explain(model, X, np.array([0, 1]), loss=an.SoftmaxCrossEntropy())


# ---- single numbers


def added(origin: Origin) -> float:
    return sum(value for _, value in origin.terms)


def test_one_number_is_the_sum_of_its_terms() -> None:
    told = small(l2=1.0)
    delta = told.of("delta2[1, 3]")
    assert [text for text, _ in delta.terms] == [
        "delta3[1, 0] * Theta2[0, 4] * a2[1, 3] * (1 - a2[1, 3])",
        "delta3[1, 1] * Theta2[1, 4] * a2[1, 3] * (1 - a2[1, 3])",
    ]
    bias = told.of("dJ/dTheta1[2, 0]")
    assert "delta2[0, 2] * 1 / m" in [text for text, _ in bias.terms]
    assert [text for text, _ in told.of("z2[1, 2]").terms] == [
        "1 * Theta1[2, 0]", "a1[1, 0] * Theta1[2, 1]", "a1[1, 1] * Theta1[2, 2]",
        "a1[1, 2] * Theta1[2, 3]",
    ]  # fmt: skip
    assert [text for text, _ in told.of("a2[0, 1]").terms] == ["sigmoid(z2[0, 1])"]


@pytest.mark.parametrize("make", [small, recurrent, pictures])
def test_terms_of_every_step_add_up_and_say_what_they_are(make: Any) -> None:
    told = make()
    rng = np.random.default_rng(1)
    scope = dict(told.names)
    for step in told.steps:
        index = tuple(int(rng.integers(n)) for n in step.value.shape)
        origin = told.of(f"{step.shown}[{', '.join(map(str, index))}]")
        assert origin.value == step.value[index]
        assert added(origin) == pytest.approx(origin.value, rel=1e-9, abs=1e-15)
        for text, value in origin.terms:  # what is printed of a term is true
            found = np.asarray(eval(text, scope))
            assert found == pytest.approx(value, rel=1e-4, abs=1e-12), text
        assert str(origin).startswith(f"{step.shown}")


def test_few_terms_of_many_are_printed_and_the_others_added_up() -> None:
    printed = str(pictures().of("dJ/dbias_0[0]"))
    assert "the sum of 32 terms" in printed
    assert "and 20 smaller ones" in printed
    lines = [line for line in printed.splitlines() if "  = " in line]
    assert len(lines) == 13


def test_a_convolution_is_told_by_what_it_multiplies() -> None:
    told = pictures()
    place = "z2[0, 1, 2, 2]"
    terms = {text for text, _ in told.of(place).terms}
    assert len(terms) == 2  # what the window gives, and the bias
    inner = told.of("t1[0, 1, 2, 2]")
    assert len(inner.terms) == 9
    assert all(text.startswith(("X[0, 0, ", "weight_0[1, 0, ")) for text, _ in inner.terms)


def test_what_is_no_number_of_a_step_is_refused() -> None:
    told = small()
    with pytest.raises(KeyError, match="no step is called 'delta9'; there are a1, z2"):
        told.of("delta9[0, 0]")
    with pytest.raises(
        IndexError, match=r"delta2 has shape \(5, 4\), so that \[7, 0\] is no place"
    ):
        told.of("delta2[7, 0]")
    with pytest.raises(IndexError, match="give one whole number for each axis"):
        told.of("delta2[0]")
    with pytest.raises(ValueError, match="takes a name and an index"):
        told.of("delta2[:, 0]")


# ---- text


def test_text_has_a_line_for_each_formula_and_its_numbers() -> None:
    told = small()
    lines = [line.split("#")[0].strip() for line in str(told).splitlines()]
    for step in told.steps:
        assert f"{step.shown} = {step.formula}" in lines
    assert lines.index("forward") < lines.index("2 Layer(4, 2), 3 Sigmoid()") < lines.index("back")
    assert str(told).startswith(f"J = {told['J'].value:.6g}, from the input")
    assert repr(told) == str(told)
    assert set(told.given) == {"X", "y", "m", "Theta1", "Theta2"}
    assert "given X (5 x 3), y (5 x 2), m = 5, Theta1 (4 x 4), Theta2 (2 x 5)" in str(told)


def test_a_layer_with_many_steps_is_folded() -> None:
    told = recurrent()
    assert "steps on the way, t1 to t" in str(told)
    full = told.text(full=True)
    assert "steps on the way" not in full
    assert all(f"{step.shown} = {step.formula}" in full for step in told.steps)
    assert len(str(told).splitlines()) < 0.6 * len(full.splitlines())


# ---- pages


class _Page(html.parser.HTMLParser):
    """Reads what stands in code, and sees that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.codes: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(v) for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "code":
            self.codes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "code":
            self.codes[-1] += data


@pytest.mark.parametrize("make", [small, recurrent])
def test_the_page_holds_every_formula_and_needs_nothing_else(make: Any, tmp_path: Path) -> None:
    told = make()
    told.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert text == told.html()
    page = _Page(text)
    assert page.codes == [f"{step.shown} = {step.formula}" for step in told.steps]
    assert page.links == []
    assert text.startswith("<!DOCTYPE html>")
    assert ("<details>" in text) is (make is recurrent)


def test_a_notebook_shows_the_same() -> None:
    told = small()
    shown = told._repr_html_()
    assert _Page(shown).codes == _Page(told.html()).codes
    assert "<html" not in shown


def test_what_a_model_is_called_cannot_write_into_the_page() -> None:
    class Odd(an.Module):
        def __init__(self) -> None:
            self.scale = an.Tensor(2.0, requires_grad=True)

        def forward(self, x: Any) -> Any:
            return x * self.scale

        def __repr__(self) -> str:
            return "<script>alert(1)</script>"

    told = explain(Odd(), np.ones((2, 2)), np.zeros((2, 2)), loss=an.MeanSquaredError())
    assert "<script" not in told.html()
    assert "&lt;script" in told.html()


# ---- the picture


def test_the_picture_has_each_weight_gradient_and_value() -> None:
    told = small()
    ax = told.figure(example=2)
    texts = [text.get_text() for text in ax.texts]
    theta, slope = told.names["Theta1"], told.names["dTheta1"]
    assert f"{theta[1, 2]:.3g}\n{slope[1, 2]:.3g}" in texts
    assert f"{told.names['a2'][2, 3]:.3g}" in texts
    assert f"δ {told.names['delta3'][2, 1]:.3g}" in texts
    assert len(ax.lines) == 4 * 4 + 2 * 5
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert len(dashed) == sum((told.names[f"Theta{k}"] < 0).sum() for k in (1, 2))


def test_no_text_of_the_picture_lies_outside_or_on_another() -> None:
    ax = small().figure()
    figure: Any = ax.figure
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if "\n" in text.get_text()]
    whole = figure.bbox
    for k, box in enumerate(boxes):
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1
        for other in boxes[:k]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            down = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, down) < 0.6 * min(box.height, box.width)


def test_a_picture_that_could_not_be_read_is_refused() -> None:
    rng = np.random.default_rng(0)
    model = an.Sequential(an.Layer(20, 9, rng=rng), an.Sigmoid())
    told = explain(model, np.ones((2, 20)), np.zeros((2, 9)), loss=an.CrossEntropy())
    with pytest.raises(ValueError, match=r"a network of \[20, 9\] units; it draws up to 8"):
        told.figure()
    with pytest.raises(IndexError, match="example 9 of 5"):
        small().figure(9)
    with pytest.raises(ValueError, match="draws networks of layers in a row"):
        pictures().figure()
