"""The house keeps its order: each room stands on earlier ones, and the front door is light."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tools import rooms
from tools.habits import nodes
from tools.rooms import HOUSE, module_of

MAP = rooms.map_of_rooms()
FILES = sorted(HOUSE.rglob("*.py"))
FOLDERS = [path.parent for path in FILES if path.name == "__init__.py" and path.parent != HOUSE]

# The engine is taken from file by file, and so are its ops as one.
PUBLIC = [
    *(room for room in MAP if room != "engine"),
    *(name for name in rooms.modules("engine") if not name.startswith("engine.ops.")),
    "engine.ops",
]


# ---- the map


def test_the_map_names_every_room_and_each_stands_on_earlier_ones() -> None:
    there = {path.stem for path in HOUSE.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.stem for path in HOUSE.glob("*.py")} - {"__init__"}
    assert set(MAP) == there
    before: set[str] = set()
    for room, below in MAP.items():
        assert before.issuperset(below), room
        before.add(room)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_room_says_in_which_order_to_read_its_files(folder: Path) -> None:
    there = {path.stem for path in folder.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.stem for path in folder.glob("*.py")} - {"__init__"}
    said = rooms.order_of_files(folder)
    assert set(said) == there
    assert len(said) == len(there)


def test_a_file_imports_only_what_its_room_stands_on_and_earlier_files_of_its_own() -> None:
    inside = [(module_of(path), path) for path in FILES if module_of(path)]
    assert [c for name, path in inside for c in rooms.wrong_imports(name, path.read_text())] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "from autonn.optim import SGD",
        "from autonn.nn import Sequential",
        "from autonn import fit",
        "from autonn import nn",
        "import autonn",
        "import autonn.training",
        "def f():\n    from autonn.engine.tensor import Tensor",
        "if True:\n    from autonn.plots import digits",
        "from autonn.nn.losses import CrossEntropy",
    ],
)
def test_the_order_is_seen_to_be_broken(wrong: str) -> None:
    sound = "import numpy\nfrom autonn.engine.tensor import Tensor\nfrom autonn.nn import init\n"
    assert rooms.wrong_imports("nn.activations", sound) == []
    assert len(rooms.wrong_imports("nn.activations", sound + wrong)) == 1


# ---- the front door


def test_the_front_door_is_light() -> None:
    heavy = ["matplotlib", "scipy.optimize", "scipy.io", "sklearn", "tqdm", "PIL", "dask"]
    code = f"import sys, autonn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("room", ["autonn", *(f"autonn.{room}" for room in PUBLIC)])
def test_a_room_says_what_is_public_and_all_that_is_documented(room: str) -> None:
    if room == "autonn.sklearn":
        pytest.importorskip("sklearn", reason="the extra `sklearn` is not installed")
    module = importlib.import_module(room)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert not name.startswith("_")
        value = getattr(module, name)
        documented = bool(value.__doc__) or not (inspect.isroutine(value) or inspect.isclass(value))
        assert documented, f"{room}.{name} has no docstring"


def test_the_library_never_prints() -> None:
    for path in FILES:
        calls = (n for n in nodes(path.read_text()) if isinstance(n, ast.Call))
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
