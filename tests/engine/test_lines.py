"""Lines are named as their writer knows them, and calls as they are written."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import autonn as an
from autonn.engine.lines import callee_at, shown_file, shown_line
from autonn.engine.modes import CannotCompileError
from autonn.teach import NonFiniteError, debug

CELL = "ipykernel_12/345.py"


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the third cell of a notebook have the file that cells are compiled from."""
    compiler = SimpleNamespace(
        format_code_name=lambda file: ("Cell", "In[3]") if file == CELL else None
    )
    shell = SimpleNamespace(compile=compiler)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    def run(text: str) -> dict[str, Any]:
        around: dict[str, Any] = {"np": np, "an": an, "__name__": "__main__"}
        exec(compile(text, CELL, "exec"), around)
        return around

    return run


def test_a_line_of_a_cell_is_named_by_its_cell(cell: Any) -> None:
    assert shown_line(f"{CELL}:2") == "cell In[3], line 2"
    assert shown_file(CELL) == "cell In[3]"
    assert shown_line("net.py:2") == "net.py:2"


def test_ipython_that_does_not_run_names_no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert shown_line(f"{CELL}:2") == f"{CELL}:2"


READS = "def f(x):\n    return x if x > 1 else -x\n"
DRAWS = "def f(x):\n    return np.sum(x) * np.random.default_rng().random()\n"
COUNTS = "k = 0\ndef f(x):\n    global k\n    k = 1\n    return x\n"


@pytest.mark.parametrize(
    ("text", "line"), [(READS, 2), (DRAWS, 2), (COUNTS, 2)], ids=["reads", "draws", "counts"]
)
def test_what_is_refused_names_the_cell(cell: Any, text: str, line: int) -> None:
    f = cell(text)["f"]
    with pytest.raises(CannotCompileError, match=rf"cell In\[3\], line {line}: ") as caught:
        an.compile(f)(an.Tensor(2.0))
    assert CELL not in str(caught.value)


def test_debug_names_the_cell(cell: Any) -> None:
    f = cell("def f(x):\n    return np.log(x)\n")["f"]
    with pytest.raises(NonFiniteError) as caught, debug():
        np.sum(f(an.Tensor([0.0], requires_grad=True))).backward()
    assert caught.value.line == "cell In[3], line 2"
    assert CELL not in str(caught.value)


# ---- calls


def test_a_call_is_told_as_it_is_written() -> None:
    told = []

    class Box:
        def look(self, *given: Any) -> Box:
            told.append(callee_at(sys._getframe(1)))
            return self

    box = Box()
    box.look(1, box)
    (box
     .look()
     .look("ä", [1]))  # fmt: skip
    [box.look(k) for k in range(1)]
    _ = "ä", box.look()
    around = {"box": box}
    exec("box.look()", around)  # its text is in no file
    assert told == ["box.look", "look", "look", "box.look", "box.look", ""]
