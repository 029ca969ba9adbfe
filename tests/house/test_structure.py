"""The house keeps its order: rooms import only rooms above, and the front door is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import autonn
import autonn.data
import autonn.files

HOUSE = Path(autonn.__file__).parent

# The order of reading. A room may import the rooms before it, and no other.
ROOMS = [
    "checks",
    "threads",
    "engine.modes",
    "engine.op",
    "engine.ownership",
    "engine.tensor",
    "engine.apply",
    "engine.lineage",
    "engine.ops.safe",
    "engine.ops.arithmetic",
    "engine.ops.elementary",
    "engine.ops.rowwise",
    "engine.ops.comparisons",
    "engine.ops.selection",
    "engine.ops.shapes",
    "engine.ops.indexing",
    "engine.ops.arranging",
    "engine.ops.joining",
    "engine.ops.reductions",
    "engine.ops.statistics",
    "engine.ops.scans",
    "engine.ops.contraction",
    "engine.ops.products",
    "engine.ops.linalg",
    "engine.ops.probability",
    "engine.ops.activations",
    "engine.ops.labels",
    "engine.ops.losses",
    "engine.ops.chance",
    "engine.ops.methods",
    "engine.ops",
    "engine.backward",
    "engine.trees",
    "engine.transforms",
    "engine.higher",
    "engine.recompute",
    "engine.gradcheck",
    "compiler.graph",
    "compiler.trace",
    "compiler.simplify",
    "compiler.partition",
    "compiler.layout",
    "compiler.memory",
    "compiler.sources",
    "compiler.emit_numpy",
    "compiler.emit",
    "compiler.guards",
    "compiler.results",
    "compiler.compiled",
    "compiler",
    "nn.init",
    "nn.summary",
    "nn.walk",
    "nn.module",
    "nn.sequential",
    "nn.linear",
    "nn.activations",
    "nn.dropout",
    "nn.shape",
    "nn.targets",
    "nn.losses",
    "nn.penalties",
    "nn",
    "files.errors",
    "files.reading",
    "files.atomic",
    "files.npz",
    "files.safetensors",
    "files.text",
    "files.mat4",
    "files.mat5",
    "files.mat",
    "files.packed",
    "files.idx",
    "files.fields",
    "files.thetas",
    "files.weights",
    "files",
    "data.splits",
    "data.resample",
    "data.course",
    "data.digits",
    "data.images",
    "data.photos",
    "data.pictures",
    "data",
    "optim.schedules",
    "optim.base",
    "optim.steps",
    "optim.sgd",
    "optim.adaptive",
    "optim.search",
    "optim",
    "training.history",
    "training.progress",
    "training.loss",
    "training.examples",
    "training.metrics",
    "training.task",
    "training.interrupts",
    "training.state",
    "training.fingerprint",
    "training.checkpoints",
    "training.compiling",
    "training.stopping",
    "training.loop",
    "training.fitting",
    "training",
    "plots.style",
    "plots.arguments",
    "plots.grids",
    "plots.predictions",
    "plots.history",
    "plots.confusion",
    "plots.boundary",
    "plots.gradients",
    "plots.surface",
    "plots.graph_boxes",
    "plots.graph_layout",
    "plots.graph",
    "plots",
]


def room_path(room: str) -> Path:
    path = HOUSE / Path(*room.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def is_file(module: str) -> bool:
    """Whether it is a file or folder of the house, and not a name in one."""
    path = HOUSE.parent / Path(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports(source: str) -> list[tuple[str, bool]]:
    """List the modules of autonn that a source imports, and whether inside a function."""
    found = []
    tree = ast.parse(source)
    top = set(tree.body) | {n for node in tree.body if isinstance(node, ast.If) for n in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [m if is_file(m) else node.module or "" for m in within]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        found += [(m, node in top) for m in modules if m.split(".")[0] == "autonn"]
    return found


def complaints(room: str, source: str) -> list[str]:
    above = {f"autonn.{name}" for name in ROOMS[: ROOMS.index(room)]}
    return [
        f"{room} imports {module}{'' if at_top else ' inside a function'}"
        for module, at_top in imports(source)
        if module not in above or not at_top
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room: str) -> None:
    assert complaints(room, room_path(room).read_text()) == []


def test_every_file_is_a_room() -> None:
    files = {path for path in HOUSE.rglob("*.py") if path.name != "__init__.py"}
    assert files == {room_path(room) for room in ROOMS if room_path(room).name != "__init__.py"}


@pytest.mark.parametrize(
    "wrong",
    [
        "from autonn.optim import SGD",
        "from autonn import fit",
        "import autonn.training",
        "def f():\n    from autonn.engine.tensor import Tensor",
        "if True:\n    from autonn.plots import digits",
    ],
)
def test_the_order_is_seen_to_be_broken(wrong: str) -> None:
    assert complaints("nn.linear", wrong)


def test_the_front_door_is_light() -> None:
    heavy = ["matplotlib", "scipy.optimize", "scipy.io", "sklearn", "tqdm", "PIL"]
    code = f"import sys, autonn; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("room", [autonn, autonn.files, autonn.data])
def test_every_public_name_is_there_and_documented(room: ModuleType) -> None:
    assert room.__all__ == sorted(room.__all__)
    for name in room.__all__:
        assert getattr(room, name).__doc__, f"{room.__name__}.{name} has no docstring"


def test_the_library_never_prints() -> None:
    for path in HOUSE.rglob("*.py"):
        calls = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"], path
