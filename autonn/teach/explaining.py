"""`explain`: every number of the forward and the backward pass, with the formula it comes from."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from autonn.engine.lineage import age_of, ancestors, is_freed, op_of, operands_of, tensors_of
from autonn.engine.tensor import Tensor, values_of
from autonn.files.atomic import atomic_write
from autonn.files.reading import PathLike
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.teach.chain import chain_of
from autonn.teach.course import course_names, course_sections
from autonn.teach.formulas import evaluate, library
from autonn.teach.general import general_sections
from autonn.teach.network_figure import draw_network
from autonn.teach.pages import as_html, as_text
from autonn.teach.recording import Recorded, record_backward, record_forward, unchanged
from autonn.teach.steps import Section, Step
from autonn.teach.terms import Origin, origin_of, parse_place
from autonn.training.loss import require_targets
from autonn.training.losses import as_loss
from autonn.training.structures import call, is_structure, mapped, rows_of, way_of_calling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Explanation", "explain"]


class Explanation:
    """What `explain` returns: print it, show it in a notebook, or ask it for single numbers.

    Attributes
    ----------
    sections
        The layers, forward and then back, each with its steps.
    names
        All that formulas are written with, by name: values, NumPy as ``np``, the ops.
    in_letters
        Whether it is a network of layers in the letters of the course; its delta is ``m dJ/dz``.

    Examples
    --------
    >>> from autonn import Layer, MeanSquaredError
    >>> told = explain(Layer(2, 1, rng=0), [[1.0, 2.0]], [[1.0]], loss=MeanSquaredError())
    >>> [step.name for step in told.steps]
    ['a1', 'z2', 'a2', 'J', 'delta2', 'dTheta1']
    """

    def __init__(self, sections: list[Section], names: dict[str, Any], in_letters: bool) -> None:
        self.sections, self.names, self.in_letters = sections, names, in_letters

    @property
    def steps(self) -> list[Step]:
        """All steps, in the order in which they are computed."""
        return [step for section in self.sections for step in section.steps]

    @property
    def given(self) -> dict[str, Any]:
        """The arrays and numbers that the formulas begin with: X, y, m, the weights, constants."""
        known = {step.name for step in self.steps}
        trees = (ast.walk(ast.parse(step.formula)) for step in self.steps)
        used = {n.id for tree in trees for n in tree if isinstance(n, ast.Name)} - known
        kinds = (ndarray, int, float, np.generic)
        return {k: v for k, v in self.names.items() if k in used and isinstance(v, kinds)}

    def __getitem__(self, name: str) -> Step:
        """Return the step of a name, as "a2" or "dJ/dTheta1"."""
        wanted = parse_place(name)[0]
        for step in self.steps:
            if step.name == wanted:
                return step
        known = ", ".join(step.shown for step in self.steps if not step.inner)
        raise KeyError(f"no step is called {name!r}; there are {known}")

    def evaluate(self, name: str) -> Any:
        """Evaluate the formula of a step, as it is printed."""
        return evaluate(self[name].formula, self.names)

    def of(self, place: str) -> Origin:
        """Show where one number comes from: the terms of its sum.

        Parameters
        ----------
        place
            A name and an index, as "delta2[1, 7]" or "dJ/dTheta1[0, 3]".

        Raises
        ------
        KeyError, IndexError, ValueError
            For a name that no step has, an index outside, and what is neither.
        """
        name, index = parse_place(place)
        return origin_of(self[name], index, self.names)

    def text(self, full: bool = False) -> str:
        """Return it as text; `full` unfolds the steps on the way of layers that have many."""
        return as_text(self.sections, self.given, self.in_letters, full)

    def html(self) -> str:
        """Return it as one page of HTML that needs nothing else."""
        return as_html(self.sections, self.given, self.in_letters, whole=True)

    def save(self, path: PathLike) -> None:
        """Write the page of `html` to a file."""
        with atomic_write(path) as file:
            file.write(self.html().encode())

    def figure(self, example: int = 0, ax: Axes | None = None) -> Axes:
        """Draw a small network with the numbers of one example: see `draw_network`."""
        if not self.in_letters:
            raise ValueError("figure draws networks of layers in a row; this is another one")
        return draw_network(self.names, example, ax)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return as_html(self.sections, self.given, self.in_letters, whole=False)


def explain(
    what: Module | Tensor,
    X: Any = None,
    y: Any = None,
    *,
    loss: Any = None,
    l2: float = 0.0,
    names: Module | Mapping[str, Any] | None = None,
) -> Explanation:
    """Explain every number of a forward and a backward pass, by a formula that can be run.

    A network of layers is told in the letters of the course, ``delta2 = (delta3 @ Theta2[:, 1:]) *
    a2 * (1 - a2)``; of any other one each layer's output is z or a with a number, and the gradient
    of a2 is dJ/da2, which formulas write ``da2``. Each formula gives the engine's own numbers, to
    1e-12 of the largest. Nothing is changed: no ``.grad``, no buffer, no generator.

    Parameters
    ----------
    what
        A model, with X, y and a loss; or a loss that was computed already, before its `backward`.
    X, y
        Examples and targets, as the model and the loss take them, tuples and dicts of several
        too, as for `fit`; a few are enough. Those of several are called X_0 and X_1, or by their
        names as X_left.
    loss
        As for `fit`: a function of predictions and targets, a name, or a tuple or dict of losses.
    l2
        The lambda of the course: what `l2_penalty` adds is explained too.
    names
        Of a loss alone: a module, whose parameters are called by their names, or a mapping of
        names to Tensors and arrays; without it, the caller's own variables.

    Raises
    ------
    TypeError
        For what is neither a model nor a Tensor, and for a model without X, y or a loss.
    RuntimeError
        If no graph leads to the loss, or an earlier `backward` freed it.
    ValueError
        If the loss is no single number.

    Examples
    --------
    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid
    >>> model = Sequential(Layer(2, 2, rng=0), Sigmoid(), Layer(2, 1, rng=1), Sigmoid())
    >>> X, y = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0], [0.0]])
    >>> told = explain(model, X, y, loss=CrossEntropy())
    >>> told["delta2"].formula
    '(delta3 @ Theta2[:, 1:]) * a2 * (1 - a2)'
    >>> print(told.of("dJ/dTheta2[0, 1]"))
    dJ/dTheta2[0, 1] = 0.0412848
      from delta3.T @ np.c_[np.ones(m), a2] / m
      the sum of 2 terms
        delta3[1, 0] * a2[1, 0] / m  =  0.117977
        delta3[0, 0] * a2[0, 0] / m  = -0.0766921
    """
    if isinstance(what, Module):
        return _of_model(what, X, y, loss, l2)
    if not isinstance(what, Tensor):
        raise TypeError(
            f"explain takes a model with X, y and loss=, or the Tensor of a loss, not a "
            f"{type(what).__name__}"
        )
    if X is not None or y is not None or loss is not None or l2:
        raise TypeError("explain: X, y, loss and l2 go with a model; of a loss give names= alone")
    _require_graph(what)
    recorded = Recorded(what)
    record_backward(recorded)
    scope = _callers_names() if names is None else _mapped(names)
    model = names if isinstance(names, Module) else _only_module(names)
    return _written(recorded, scope, model)


def _of_model(model: Module, X: Any, y: Any, loss: Any, l2: float) -> Explanation:
    """Run a model and explain what it does."""
    if X is None or loss is None:
        raise TypeError(
            "explain: of a model give examples, targets and a loss, as explain(model, X, y, "
            "loss=CrossEntropy())"
        )
    loss = as_loss(loss, "explain")
    require_targets("explain", y, loss)
    fed = mapped(_fed, X)
    way = way_of_calling(model, fed)

    def compute() -> tuple[Any, Any]:
        output = call(model, fed, way)
        cost = loss(output, y)
        return output, cost + l2_penalty(model, l2, rows_of(fed)) if l2 else cost

    with unchanged(model):
        recorded = record_forward(compute)
        _require_graph(recorded.loss)
        record_backward(recorded)
    scope = {**_parameters(model), **_named_parts("X", fed), **_named_parts("y", y)}
    return _written(recorded, scope, model)


def _fed(_: str, data: Any) -> Any:
    """Take examples as a Tensor, that formulas can follow, where they are no whole numbers."""
    data = data if isinstance(data, Tensor) else np.asarray(data)
    return Tensor(data) if isinstance(data, ndarray) and data.dtype.kind == "f" else data


def _named_parts(name: str, value: Any) -> dict[str, Any]:
    """Name an array, or the arrays of a tuple or a dict one by one.

    >>> list(_named_parts("X", (np.ones(2), {"left": np.ones(3)})))
    ['X_0', 'X_1_left']
    """
    if is_structure(value):
        parts = value.items() if isinstance(value, Mapping) else enumerate(value)
        named = ((re.sub(r"\W", "_", f"{name}_{key}"), part) for key, part in parts)
        return {n: v for place, part in named for n, v in _named_parts(place, part).items()}
    return {name: value} if isinstance(value, ndarray | Tensor) else {}


def _written(recorded: Recorded, scope: Mapping[str, Any], model: Module | None) -> Explanation:
    """Write what was recorded: in the letters of the course, if it is a network of layers."""
    names = library()
    chain = chain_of(recorded.loss)
    if chain is not None:
        letters = names | course_names(chain)
        sections = course_sections(chain, recorded.gradients, recorded.loss, letters, model)
        if sections is not None:
            return Explanation(sections, letters, in_letters=True)
    given = {id(value): _free(name, names) for name, value in scope.items()}
    needed = _arrays_of(recorded)
    given |= _targets(recorded, given, needed)
    names |= {name: values_of(needed[key]) for key, name in given.items() if key in needed}
    if isinstance(scope.get("X"), ndarray | Tensor):
        names.setdefault("X", values_of(scope["X"]))  # as a layer may look at a copy
    return Explanation(general_sections(recorded, given, names), names, in_letters=False)


def _require_graph(loss: Any) -> None:
    """Refuse what no graph leads to, and what is no single number."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"explain: the loss is a {type(loss).__name__}, not a Tensor")
    if not loss.requires_grad or op_of(loss) is None:
        raise RuntimeError(
            "explain: no graph leads to this loss; compute it from parameters with "
            "requires_grad=True, outside no_grad"
        )
    if loss.size != 1:
        raise ValueError(f"explain: a loss of shape {loss.shape}; take its mean or its sum")
    if any(is_freed(t) for t in ancestors([loss])):
        raise RuntimeError(
            "explain: the graph behind this loss was freed by an earlier backward(); explain it "
            "before, pass retain_graph=True there, or compute it again"
        )


# ---- names


def _free(name: str, names: Mapping[str, Any]) -> str:
    """Return a name that formulas can have: none of NumPy, of an op, or of Python itself.

    >>> _free("W", {}), _free("lambda", {}), _free("np", {"np": np}), _free("2nd", {})
    ('W', 'lambda_', 'np_', '_2nd')
    """
    plain = name if name.isidentifier() else f"_{name}"
    return f"{plain}_" if keyword.iskeyword(plain) or plain in names else plain


def _parameters(model: Module) -> dict[str, Tensor]:
    """Call parameters and buffers as compiled programs do: the own name, then the place."""
    found = {}
    for name, tensor in model.named_tensors().items():
        place, _, own = name.rpartition(".")
        found[re.sub(r"\W", "_", f"{own}_{place}").rstrip("_")] = tensor
    return found


def _mapped(names: Module | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(names, Module):
        return _parameters(names)
    if not isinstance(names, Mapping):
        raise TypeError(
            f'explain: names is a {type(names).__name__}; give a module, or a mapping as {{"w": w}}'
        )
    return {name: value for name, value in names.items() if str(name).isidentifier()}


def _callers_variables() -> dict[str, Any]:
    """Return the variables of whoever called `explain`."""
    frame: Any = sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").startswith("autonn."):
        frame = frame.f_back
    return dict(frame.f_locals) if frame else {}


def _callers_names() -> dict[str, Any]:
    """Call Tensors and arrays as the caller does, and the parameters of the caller's models."""
    found: dict[str, Any] = {}
    for name, value in _callers_variables().items():
        if isinstance(value, Module):
            found |= _parameters(value)
        elif isinstance(value, Tensor | ndarray) and not name.startswith("_"):
            found[name] = value
    return found


def _only_module(names: Any) -> Module | None:
    """Return the caller's model, if there is one and no names were given."""
    if names is not None:
        return None
    models = [v for v in _callers_variables().values() if isinstance(v, Module)]
    return models[0] if len({id(m) for m in models}) == 1 else None


def _arrays_of(recorded: Recorded) -> dict[int, Any]:
    """Return by id all that ops were given."""
    found = ancestors([recorded.loss, *recorded.gradients.values()], tensors_of)
    things = [a for t in found for a in (t, *operands_of(t))]
    return {id(a): a for a in things if isinstance(a, Tensor | ndarray)}


def _targets(recorded: Recorded, given: Mapping[int, str], needed: Mapping[int, Any]) -> Any:
    """Call y the first array that the loss was given, outside all modules, without a name."""
    if any(name == "y" and key in needed for key, name in given.items()):
        return {}
    for t in ancestors([recorded.loss]) if recorded.calls else []:
        if recorded.call_at(age_of(t)) is None:
            for a in operands_of(t):
                if _is_plain(a) and id(a) not in given:
                    return {id(a): "y"}
    return {}


def _is_plain(a: Any) -> bool:
    """Whether something is an array, or a Tensor that stands for one: no result, no parameter."""
    if isinstance(a, Tensor):
        return op_of(a) is None and not a.requires_grad and a.ndim > 0
    return isinstance(a, ndarray) and a.ndim > 0
