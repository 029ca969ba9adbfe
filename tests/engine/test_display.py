"""What a notebook shows of a Tensor and of a model."""

from __future__ import annotations

import base64
import io
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from autonn import Layer, Sequential, Sigmoid, Tensor
from autonn.engine.display import SIDE, pixels_of, png, shown


def html(x: Any) -> str:
    text = x._repr_html_()
    assert isinstance(text, str)
    ElementTree.fromstring(f"<a>{re.sub('<img[^>]*>', '', text)}</a>")  # it is well formed
    return text


def test_a_tensor_shows_its_numbers_and_what_they_are() -> None:
    text = html(Tensor([1.0, 3.0], requires_grad=True))
    assert "Tensor([1., 3.], requires_grad=True)" in text
    assert "shape (2,), float64, requires a gradient, from 1 to 3, mean 2" in text
    assert "2 not finite" in html(Tensor([1.0, np.nan, np.inf]))
    assert "none finite" in html(Tensor([np.nan, np.nan]))
    for x in (Tensor(2), Tensor(np.ones((0, 3))), Tensor([True, False]), Tensor([1 + 2j, 3])):
        assert "img" not in html(x)


@pytest.mark.parametrize("shape", [(8, 8), (25, 400), (3000, 2), (1, 500)])
def test_a_matrix_is_a_picture_too(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).standard_normal(shape)
    text = html(Tensor(values))
    (source,) = re.findall(r'src="data:image/png;base64,([^"]*)"', text)
    assert len(source) < 5_300
    picture = matplotlib.image.imread(io.BytesIO(base64.b64decode(source)))
    rows, columns = (-(-length // SIDE) for length in shape)
    seen = values[::rows, ::columns]
    assert picture.shape[:2] == seen.shape
    red, _, blue = np.moveaxis(picture[..., :3], 2, 0)
    strong = np.abs(seen) > 0.1 * np.abs(seen).max()
    np.testing.assert_array_equal((red > blue)[strong], (seen > 0)[strong])


def test_the_colours_are_those_of_the_numbers() -> None:
    np.testing.assert_array_equal(
        pixels_of(np.array([[-2.0, -1.0, 0.0, 1.0, np.nan]])), [[1, 64, 128, 192, 128]]
    )
    np.testing.assert_array_equal(pixels_of(np.zeros((2, 2))), np.full((2, 2), 128))
    read = matplotlib.image.imread(io.BytesIO(png(np.array([[0, 128, 255]], np.uint8))))
    np.testing.assert_allclose(
        read[0, :, :3] * 255, [[0, 114, 178], [254, 254, 255], [213, 94, 0]], atol=1.5
    )


def test_nothing_is_shown_while_the_values_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Tensor([1.0])) is not None
    monkeypatch.setattr("autonn.engine.display.is_tracing", lambda: True)
    assert shown(Tensor([1.0])) is None


def test_a_model_and_its_summary_are_tables() -> None:
    model = Sequential(Layer(400, 25), Sigmoid(), np.tanh)
    page = ElementTree.fromstring(html(model))
    assert page.tag == "details"
    rows = [[cell.text or "" for cell in row] for row in page.findall("table/tr")]
    assert rows[1] == ["0  Layer(400, 25)", "weight", "(25, 400)", "10,000"]
    assert rows[-1] == ["total", "", "", "10,025"]
    summary = model.summary()
    assert repr(summary) == str(summary) == "" + summary
    assert summary.startswith("module ")
    assert html(summary) in html(model)
    wild = Sequential(lambda x: x)
    assert "&lt;lambda&gt;" in html(wild)
