"""A network as one HTML file that opens anywhere: it reads what is drawn, and learns from it.

The page holds the weights, and three programs that were derived from the network: its layers'
numbers, the gradient that says why, and one step of learning. Nothing is fetched or sent.
"""

from __future__ import annotations

import base64
import copy
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from autonn.checks import number
from autonn.compiler.emit_javascript import write_javascript
from autonn.compiler.graph import Graph, Node
from autonn.compiler.simplify import simplify
from autonn.compiler.trace import trace
from autonn.data.digits import load_digits
from autonn.engine.tensor import Array
from autonn.engine.transforms import value_and_grad
from autonn.exits.learning import learning_step
from autonn.nn.activations import LogSoftmax, Sigmoid, Softmax
from autonn.nn.functional import functional_call
from autonn.nn.losses import CrossEntropy, SoftmaxCrossEntropy
from autonn.nn.module import Module
from autonn.nn.sequential import Sequential
from autonn.optim.sgd import SGD

__all__ = ["page_of"]

_PARTS = Path(__file__).parent
_LEVELS = 2**24 - 1  # of a weight: three bytes between the least and the largest of its array

# The last module of a row, by what its outputs are; all else gives logits.
_ENDS: dict[type, tuple[str, Any]] = {
    Sigmoid: ("as they are", CrossEntropy()),
    Softmax: ("as they are", CrossEntropy()),
    LogSoftmax: ("logarithms", SoftmaxCrossEntropy()),  # of logarithms the softmax is itself
}


@dataclass
class _Form:
    """What goes in: a picture, in rows or columns, or a few numbers with their ranges."""

    shape: tuple[int, ...]  # of one row, without the axis of the rows
    picture: tuple[int, int] | None = None
    columns: bool = False
    sliders: list[dict[str, Any]] | None = None
    is_digit: bool = False


def page_of(
    model: Module,
    example: Any = None,
    *,
    inputs: Any = None,
    classes: Sequence[str] | None = None,
    samples: Any = None,
    loss: Any = None,
    rate: float = 0.03,
    title: str | None = None,
) -> str:
    """Return the page of a network: see `export`."""
    _require_kinds(classes, samples, loss, title)
    form = _form_of(example, inputs)
    twin = copy.deepcopy(model).eval().astype(np.float64)
    programs = _Programs(twin, form, loss, number("export: rate", rate, least=0))
    names = [str(k) for k in range(programs.count)] if classes is None else list(map(str, classes))
    if len(names) != programs.count:
        raise ValueError(
            f"export: {len(names)} classes, but the network has {programs.count} outputs"
        )
    if samples is None and form.is_digit and programs.count == 10:
        samples = _digits()
    facts = {
        "weights": [_packed(name, a) for name, a in programs.parameters.items()],
        "samples": _samples(samples, form, programs.count),
        "shape": form.shape, "picture": form.picture, "columns": form.columns,
        "sliders": form.sliders, "classes": names, "layers": programs.layers,
        "end": programs.end, "teaches": programs.learn is not None,
        "plain": programs.count == 1,
    }  # fmt: skip
    return _filled(form, facts, programs, title or _title(form))


def _require_kinds(classes: Any, samples: Any, loss: Any, title: Any) -> None:
    """Refuse settings that are of another kind, with what they are."""
    wanted = ""
    if classes is not None and not isinstance(classes, Sequence | np.ndarray):
        wanted = f"classes is a list of names, one for each output, not {classes!r}"
    elif samples is not None and not (isinstance(samples, tuple) and len(samples) == 2):
        given = type(samples).__name__
        wanted = f"samples is a pair of rows and their labels, (X, y), not of type {given}"
    elif isinstance(loss, type):
        wanted = f"loss is the class {loss.__name__}; add (): {loss.__name__}()"
    elif loss is not None and not callable(loss):
        wanted = f"loss is a loss, as CrossEntropy(), not {loss!r}"
    elif title is not None and not isinstance(title, str):
        wanted = f"title is a text, not {title!r}"
    if wanted:
        raise TypeError(f"export: {wanted}")


# ---- what goes in


def _form_of(example: Any, inputs: Any) -> _Form:
    """Read what the page is to ask for."""
    shape = None if example is None else np.shape(example)[1:]
    if isinstance(example, tuple):
        raise TypeError(
            f"export: example is a tuple of {len(example)}; a page asks for one input alone"
        )
    if isinstance(inputs, Mapping):
        sliders = [_slider(str(name), ends) for name, ends in inputs.items()]
        return _Form(shape or (len(sliders),), sliders=sliders)
    if inputs is None and shape in (None, (400,)):
        return _Form((400,), (20, 20), columns=True, is_digit=True)
    sides = (shape or ()) if inputs is None else inputs
    return _picture(shape, tuple(sides)[-2:] if inputs is None else sides, inputs)


def _picture(shape: Any, sides: tuple[Any, ...], inputs: Any) -> _Form:
    """Take a picture of these sides, in a row of the network's shape."""
    pair = isinstance(sides, tuple | list) and len(sides) == 2
    if not pair or not all(isinstance(n, int | np.integer) and n > 0 for n in sides):
        what = f"inputs is {inputs!r}" if inputs is not None else f"a row has shape {shape}"
        raise ValueError(
            f"export: {what}; give inputs=, the sides of a picture, (28, 28), or the ranges "
            "of a few numbers, {'x': (-1, 1), 'y': (-1, 1)}"
        )
    sides = int(sides[0]), int(sides[1])
    shape = shape or (sides[0] * sides[1],)
    if int(np.prod(shape)) != sides[0] * sides[1]:
        raise ValueError(f"export: a row has shape {shape}, which is no picture of {sides}")
    return _Form(shape, sides)


def _slider(name: str, ends: Any) -> dict[str, Any]:
    if not isinstance(ends, Sequence | np.ndarray) or len(ends) != 2:
        raise TypeError(f"export: the range of {name} is a pair, (-1, 1), not {ends!r}")
    least, most = (number(f"export: the range of {name}", end) for end in ends)
    if not least < most:
        raise ValueError(f"export: {name} goes from {least:g} to {most:g}; the first is the least")
    return {"name": name, "least": least, "most": most}


def _digits() -> tuple[Array, Array]:
    """Take one of each digit, as they come first."""
    digits = load_digits()
    rows = [int(np.argmax(digits.y == k)) for k in range(10)]
    return digits.X[rows], digits.y[rows]


def _samples(samples: Any, form: _Form, count: int) -> list[dict[str, Any]]:
    """Pack samples of pictures into a byte a pixel, from -0.15 to 1.15."""
    if samples is None or form.picture is None:
        return []
    rows, labels = np.asarray(samples[0], float), np.asarray(samples[1])
    if rows.shape[1:] != form.shape or labels.shape != rows.shape[:1]:
        raise ValueError(f"export: samples have shapes {rows.shape} and {labels.shape}")
    known = labels.dtype.kind in "iu" and bool(((labels >= 0) & (labels < count)).all())
    if not known:
        raise ValueError(f"export: the labels of samples are whole numbers from 0 to {count - 1}")
    pixels = np.rint((rows.reshape(len(rows), -1).clip(-0.15, 1.15) + 0.15) / 1.3 * 255)
    packed = [base64.b64encode(row.astype(np.uint8).tobytes()).decode() for row in pixels]
    return [{"label": int(k), "values": v} for k, v in zip(labels, packed, strict=True)]


# ---- what was derived


class _Programs:
    """The three programs of a network, and what the page says of its layers."""

    def __init__(self, model: Module, form: _Form, loss: Any, rate: float) -> None:
        self.parameters = model.state_dict()
        row = np.zeros((1, *form.shape))
        parts: list[Any] = list(model) if isinstance(model, Sequential) else []
        parts = parts or [model]
        self.end, own = _ENDS.get(type(parts[-1]), ("logits", SoftmaxCrossEntropy()))

        forward = self._forward(model, parts, row)
        shape = forward.outputs[-1].shape
        if len(shape) != 2:
            raise ValueError(
                f"export: the network gives shape {shape[1:]} for a row, and a page shows one "
                "number for each class; end it with Flatten(), or give the part that tells classes"
            )
        self.layers = _told(parts, forward.outputs)
        self.forward = write_javascript(simplify(forward), fresh=False)
        self.count = self.layers[-1]["units"]
        self.why = self._why(model, parts, row)
        self.learn = None
        if (loss is None and self.count < 2) or not model.parameters():
            return
        step = learning_step(model, loss or own, SGD(lr=rate))

        def lesson(w: Any, x: Any, y: Any) -> Any:
            """Compute the cost, and the parameters after one step of descent."""
            cost, after, _ = step(w, {}, x, y)
            return cost, [after[name] for name in w]

        labels = np.zeros(1, int)
        graph = simplify(trace(lesson, self.parameters, row, labels))
        over = {1 + k: k for k in range(len(self.parameters))}  # new weights over the old ones
        self.learn = write_javascript(graph, fresh=False, onto=over)

    def _forward(self, model: Module, parts: list[Any], row: Array) -> Graph:
        """Trace the numbers of each layer."""

        def layers(w: Any, x: Any) -> Any:
            """Compute the numbers of each layer."""
            return functional_call(_Parts(model, parts), _under(w), x)

        try:
            return trace(layers, self.parameters, row)
        except ValueError as error:
            raise ValueError(
                f"export: the page feeds a row of shape {row.shape[1:]}, but {error}; say what "
                "goes in, by inputs= or by a row, example=X[:1]"
            ) from error

    def _why(self, model: Module, parts: list[Any], row: Array) -> str:
        """Write what tells how far each input speaks for a sum of outputs, before the last bend."""
        bends = self.end != "logits" and len(parts) > 1
        inner: Module = Sequential(*parts[:-1]) if bends else model

        def score(x: Any, w: Any, target: Any) -> Any:
            """Compute the sum of the outputs, each times a number."""
            return np.sum(functional_call(inner, w, x) * target)

        def reasons(w: Any, x: Any, target: Any) -> Any:
            """Compute the sum, and its gradient for the inputs."""
            return value_and_grad(score)(x, w, target)

        graph = trace(reasons, self.parameters, row, np.zeros((1, self.count)))
        return write_javascript(simplify(graph), fresh=False)


class _Parts(Module):
    """Gives what each of the parts of a model gives, one after another."""

    def __init__(self, model: Module, parts: list[Any]) -> None:
        self.model = model
        self.parts = parts

    def held(self) -> Any:
        """Hold the model alone: its parts are in it."""
        return [("model", self.model)]

    def forward(self, x: Any) -> Any:
        """Pass x through the parts, and keep what each gives: of a recurrent one the outputs."""
        found = []
        for part in self.parts:
            x = part(x)
            found.append(x[0] if isinstance(x, tuple) else x)
        return found


def _under(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {f"model.{name}": value for name, value in parameters.items()}


def _told(parts: Sequence[Any], outputs: Sequence[Any]) -> list[dict[str, Any]]:
    """Say of each layer what it is, how it is computed, and of how many units."""
    told = []
    for part, output in zip(parts, outputs, strict=True):
        if not isinstance(output, Node) or output.ndim < 2:
            raise ValueError(f"export: {part!r} gives no row of numbers, which a page could show")
        formula = output.op.formula if output.op is not None else ""
        told.append({"name": repr(part) if len(repr(part)) < 60 else type(part).__name__,
                     "formula": formula, "units": output.size})  # fmt: skip
    return told


def _packed(name: str, a: Array) -> dict[str, Any] | float:
    """Pack an array into three bytes a number; the error is below 2^-24 of its range."""
    if not (np.abs(a) < 1e300).all():  # differences of such numbers are finite too
        raise ValueError(
            f"export: {name} has inf, NaN or numbers past 1e300 in it; a page shows networks that "
            "were trained with success"
        )
    if a.ndim == 0:
        return float(a)
    flat = np.asarray(a, float).reshape(-1)
    least, most = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
    step = 1.0 if a.dtype.kind in "iub" else (most - least) / _LEVELS  # places stay whole
    levels = np.rint((flat - least) / (step or 1.0)).astype(np.uint32)
    raw = levels.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3]
    return {"values": base64.b64encode(raw.tobytes()).decode(), "least": least, "step": step}


# ---- the text


def _canvas(name: str, label: str, more: str = "") -> str:
    """Write a canvas, which tells what it shows to those who can't see it."""
    return f'<canvas id="{name}" {more} role="img" aria-label="{label}"></canvas>'


_RESULT = '<div id="result" role="status" aria-live="polite"></div>'
_SIDES = 'width="200" height="200"'
_PAPER = f"""\
{_canvas("paper", "Paper to draw on, by pen, finger or mouse; samples are below", _SIDES)}
{_RESULT}
<div class="row"><button id="undo">Undo</button><button id="clear">Clear</button></div>
<div id="sample-row"><p class="soft">Or load a sample:</p><div class="row" id="samples"></div></div>
<h3>What the network sees</h3>
{_canvas("seen", "The drawing as the network sees it, centred and small", 'class="small"')}"""
_SLIDERS = f"""\
<div id="sliders"></div>
{_RESULT}
{_canvas("boundary", "What is read where: the first number to the right, the second up")}"""
_REASONS = f"""\
{_canvas("parts", "How far each pixel speaks for it", 'class="small"')}
<p class="soft" id="because-text"></p>"""


def _title(form: _Form) -> str:
    return "A network that reads your handwriting" if form.picture else "A network to play with"


def _filled(form: _Form, facts: Mapping[str, Any], programs: _Programs, title: str) -> str:
    """Put everything into the template; no text of the user's can end a script."""
    own = "page_paper.js" if form.picture else "page_sliders.js"
    script = "\n".join((_PARTS / name).read_text() for name in ("page.js", own))
    script = re.sub(r"(?m)^ +", "", script)  # 1.2 kB of 80
    template = Template((_PARTS / "page.html").read_text())
    reasons = _REASONS if form.picture else '<p class="soft" id="because-text"></p>'
    return template.substitute(
        title=html.escape(title),
        about="All of it is in this file: the weights, and the programs that were derived from "
        "the network. It works offline, and nothing is sent.",
        prompt="Draw" if form.picture else "Set the inputs",
        entry=_PAPER if form.picture else _SLIDERS,
        reasons=reasons,
        forward=_safe(programs.forward), why=_safe(programs.why),
        learn=_safe(programs.learn or "function program() {}"),
        facts=json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c"), script=script,
    )  # fmt: skip


def _safe(text: str) -> str:
    """Write what would end a script, or begin a comment of HTML, in another way."""
    return text.replace("</", "<\\/").replace("<!--", "<\\!--")
