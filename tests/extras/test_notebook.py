"""A notebook is executed, and what it shows is looked at."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from tools.pages import ROOT, blocks

nbclient: Any = pytest.importorskip("nbclient", reason="needs nbclient")
nbformat: Any = pytest.importorskip("nbformat", reason="needs nbformat")
pytest.importorskip("ipykernel", reason="needs ipykernel")

CELLS = {
    "the README": blocks((ROOT / "README.md").read_text(), "python")[0],
    "model": "model",
    "summary": "model.summary()",
    "tensor": "model[0].weight",
    "training": "from autonn.training import ProgressBar\nwith ProgressBar(30) as bar:\n"
    "    fit(model, X[:100], y[:100], 'cross_entropy', 'adam', epochs=30, callbacks=[bar])",
    "history": "history",
    "curve": "from autonn import plots\nplots.learning_curve(history)",
    "debug": "import numpy as np\n"
    "from autonn import debug, Tensor\n"
    "try:\n    with debug():\n        left = np.log(Tensor([0.0]))\n"
    "except FloatingPointError as error:\n    print(error, error.line, sep='\\n')",
    "widgets": "import sys\n"
    "print([name for name in ('ipywidgets', 'tqdm', 'sklearn') if name in sys.modules])",
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Execute the cells in a kernel, and return what each shows."""
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS.values())])
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    here = {"metadata": {"path": str(tmp_path_factory.mktemp("notebook"))}}
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=here)
    client.execute(env=os.environ | {"PYTHONPATH": path})
    return {name: cell["outputs"] for name, cell in zip(CELLS, notebook.cells, strict=True)}


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("model", "<details><summary><code>Sequential(Layer(400, 64), ReLU(), Layer(64, 10))"),
        ("summary", "26,314</td></tr></table>"),
        ("tensor", "shape (64, 400), float64, requires a gradient"),
        ("tensor", '<img src="data:image/png;base64,'),
        ("history", "<svg"),
        ("history", "<td>10</td>"),
    ],
)
def test_it_is_shown_as_a_page(shown: dict[str, list[Any]], cell: str, words: str) -> None:
    (output,) = shown[cell]
    assert words in output["data"]["text/html"]
    assert output["data"]["text/plain"]


def test_a_line_is_named_by_its_cell(shown: dict[str, list[Any]]) -> None:
    (output,) = shown["debug"]
    cell = f"cell In[{list(CELLS).index('debug') + 1}], line 5"
    assert f"in {cell}: left = np.log(Tensor([0.0]))" in output["text"]
    assert output["text"].splitlines()[-1] == cell
    assert "ipykernel" not in output["text"]


def test_a_picture_is_a_picture(shown: dict[str, list[Any]]) -> None:
    (output,) = shown["curve"]
    assert base64.b64decode(output["data"]["image/png"])[:4] == b"\x89PNG"


def test_training_shows_a_table_without_widgets_and_ends_at_the_last_epoch(
    shown: dict[str, list[Any]],
) -> None:
    (output,) = shown["training"]
    page = output["data"]["text/html"]
    assert '<progress value="30" max="30">' in page
    assert page.count("<tr>") == 11
    (printed,) = shown["widgets"]
    assert printed["text"].strip() == "[]"
