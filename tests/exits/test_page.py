"""The page without a browser: its size, its words, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn import nn
from autonn.exits.page import page_of


def small() -> Any:
    return nn.Sequential(
        nn.Layer(400, 25, rng=0), nn.Sigmoid(), nn.Layer(25, 10, rng=1), nn.Sigmoid()
    )


def test_the_page_of_the_digits_is_small_and_fetches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "digits.html"
    an.export(small(), path)
    text = path.read_text()
    assert len(text.encode()) <= 80_000
    assert "default-src 'none'" in text
    assert not re.findall(r"https?:|src=|@import|url\(|import\(", text)
    assert text.count("function program(") == 3
    assert list(tmp_path.iterdir()) == [path]


def test_no_text_of_the_users_ends_a_script_or_is_markup() -> None:
    model = nn.Sequential(nn.Layer(2, 2, rng=0))
    evil = "</script><script>alert(1)</script><!--"
    text = page_of(model, inputs={evil: (0, 1), "y": (0, 1)}, classes=[evil, "b"], title=evil)
    assert text.count("<script") == text.count("</script>") == 4
    assert "<!--" not in text


def test_pictures_of_any_size_and_networks_of_pictures_have_a_page(tmp_path: Path) -> None:
    conv = nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Layer(2 * 5 * 4, 3, rng=0), nn.Softmax(),
    )  # fmt: skip
    text = page_of(conv, np.zeros((1, 1, 12, 10)))
    an.export(conv, tmp_path / "page.html", np.zeros((1, 1, 12, 10)))
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    assert '"picture":[12,10],"columns":false' in text
    assert '"end":"as they are"' in text
    flat = page_of(nn.Sequential(nn.Layer(784, 10, rng=0)), inputs=(28, 28))
    assert '"picture":[28,28]' in flat
    assert '"end":"logits"' in flat


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_network_that_reads_a_picture_row_by_row_has_a_page(kind: Any) -> None:
    model = nn.Sequential(kind(5, 3, rng=0), nn.Last(), nn.Layer(3, 2, rng=1))
    text = page_of(model, np.zeros((1, 4, 5)))
    assert '"teaches":true' in text
    assert '"units":12' in text  # all outputs: four rows of three
    assert text.count("function program(") == 3


def test_a_number_alone_is_shown_without_lessons() -> None:
    text = page_of(nn.Sequential(nn.Layer(2, 1, rng=0)), inputs={"x": (0, 1), "y": (0, 1)})
    assert '"teaches":false' in text


def test_a_model_stays_as_it_is() -> None:
    model = small().astype(np.float32)
    before = model.state_dict()
    page_of(model)
    assert model.training
    for name, array in model.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"inputs": (20, 21)}, "no picture of|shape"),
        ({"inputs": (20,)}, "the sides of a picture"),
        ({"inputs": {"x": (1, 1)}}, "the first is the least"),
        ({"classes": ["a"]}, "1 classes, but the network has 10"),
        ({"samples": (np.zeros((1, 3)), [0])}, "samples have shapes"),
        ({"samples": (np.zeros((1, 400)), [10])}, "from 0 to 9"),
        ({"rate": -1}, "rate"),
        ({"example": np.zeros((1, 5))}, r"a row has shape \(5,\); give inputs="),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        page_of(small(), **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"classes": 10}, "a list of names, one for each output, not 10"),
        (
            {"samples": np.zeros((2, 400))},
            r"a pair of rows and their labels, \(X, y\), not of type",
        ),
        ({"loss": an.CrossEntropy}, r"the class CrossEntropy; add \(\): CrossEntropy\(\)"),
        ({"loss": "mse"}, r"loss is a loss, as CrossEntropy\(\), not 'mse'"),
        ({"title": 3}, "title is a text, not 3"),
        ({"inputs": {"x": 3}}, r"range of x is a pair, \(-1, 1\), not 3"),
        ({"inputs": {"x": (0, 1, 2)}}, "is a pair"),
        ({"example": (np.zeros((1, 400)),)}, "example is a tuple of 1; a page asks for one input"),
    ],
)
def test_settings_of_another_kind_are_told_what_they_are(settings: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^export: .*{said}"):
        page_of(small(), **settings)


def test_a_network_of_other_rows_is_told_how_to_say_so() -> None:
    with pytest.raises(ValueError, match=r"a row of shape \(400,\), but Layer.*by inputs= or by a"):
        page_of(nn.Layer(2, 2, rng=0))


@pytest.mark.parametrize("number", [np.nan, np.inf, -1e301])
def test_weights_that_are_no_numbers_are_refused_by_name(number: float) -> None:
    model = small()
    model[2].bias.data[3] = number
    with pytest.raises(ValueError, match=r"2\.bias has inf, NaN or numbers past 1e300"):
        page_of(model)


class Looked(nn.Module):
    """Takes numbers in an order that is a buffer, of whole numbers."""

    def __init__(self) -> None:
        self.order = an.Tensor(np.array([1, 0, 70_000]))
        self.layer = nn.Layer(2, 2, rng=0)

    def forward(self, x: Any) -> Any:
        return self.layer(x[:, self.order[:2]]) * (self.order[2] > 1)


def test_whole_numbers_stay_whole_and_a_network_without_weights_has_no_lessons() -> None:
    sliders = {"x": (0, 1), "y": (0, 1)}
    text = page_of(Looked(), inputs=sliders)
    assert '"step":1.0' in text
    assert '"teaches":true' in text
    assert '"teaches":false' in page_of(nn.Sequential(nn.Tanh()), inputs=sliders)


def test_a_network_that_gives_pictures_has_no_page() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, rng=0), nn.Sigmoid())
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\) for a row.*Flatten\(\)"):
        page_of(model, np.zeros((1, 1, 8, 8)))


def test_an_ending_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends in \.tflite; known are \.onnx, \.html, \.py$"):
        an.export(small(), "model.tflite")
    with pytest.raises(ValueError, match="save_weights writes weights alone"):
        an.export(small(), "model.pt")
