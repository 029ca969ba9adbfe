"""Where one number comes from: the terms of its sum, read off the formula that computes it.

The formula is read as a tree. A sum, a product of matrices and a sum over an axis have terms; what
multiplies them all goes into each, so that the terms add up to the number. An op that has no
operator, as a convolution, is asked by its derivative: if it is a sum of products of an operand,
these are its terms.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.teach.formulas import bracketed, evaluate
from autonn.teach.steps import Step

__all__ = ["Origin", "origin_of", "parse_place"]

Index = tuple[int, ...]
Term = tuple[str, float]

_SHOWN = 12  # terms that are printed; the others are added up


@dataclass
class Origin:
    """One number of a step, and the terms that it is the sum of.

    Attributes
    ----------
    place
        As "delta2[1, 7]".
    value
        The number.
    formula
        That of the whole step.
    terms
        Each as text and number; they add up to the value.
    """

    place: str
    value: float
    formula: str
    terms: list[Term]

    def __str__(self) -> str:
        """Print the largest terms, and the sum of the others."""
        lines = [f"{self.place} = {self.value:.6g}", f"  from {self.formula}"]
        if len(self.terms) > 1:
            lines.append(f"  the sum of {len(self.terms):,} terms")
        order = sorted(self.terms, key=lambda term: -abs(term[1]))
        shown = order if len(order) <= _SHOWN + 1 else order[:_SHOWN]
        width = max((len(text) for text, _ in shown), default=0)
        lines += [f"    {text:{width}}  = {value: .6g}" for text, value in shown]
        if len(shown) < len(order):
            rest = order[len(shown) :]
            total = sum(value for _, value in rest)
            lines.append(f"    {f'and {len(rest):,} smaller ones':{width}}  = {total: .6g}")
        return "\n".join(lines)

    __repr__ = __str__


def parse_place(place: str) -> tuple[str, Index]:
    """Read the name and the index of one number.

    >>> parse_place("delta2[1, 7]"), parse_place("dJ/dTheta1[0, 3]"), parse_place("J")
    (('delta2', (1, 7)), ('dTheta1', (0, 3)), ('J', ()))
    """
    name, _, rest = place.strip().partition("[")
    name = f"d{name[4:]}" if name.startswith("dJ/d") else name
    try:
        index = tuple(int(part) for part in rest.rstrip("]").split(",") if part.strip())
    except ValueError:
        raise ValueError(
            f'of takes a name and an index, as "delta2[1, 7]", not {place!r}'
        ) from None
    return name.strip(), index


def origin_of(step: Step, index: Index, names: Mapping[str, Any]) -> Origin:
    """Find the terms of one number of a step.

    Raises
    ------
    IndexError
        For an index that the step has not.
    """
    shape = step.value.shape
    if len(index) != len(shape) or not all(-n <= i < n for i, n in zip(index, shape, strict=False)):
        raise IndexError(
            f"of: {step.shown} has shape {shape}, so that {list(index)} is no place in it; give "
            "one whole number for each axis"
        )
    index = tuple(i % n for i, n in zip(index, shape, strict=True))
    tree = ast.parse(step.formula, mode="eval").body
    place = f"{step.shown}{list(index) if index else ''}"
    terms = _Reading(names).terms(tree, index)
    return Origin(place, float(step.value[index]), step.formula, terms)


class _Reading:
    """Reads single numbers off the tree of a formula."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names
        self.values: dict[str, Any] = {}

    def value(self, node: ast.AST) -> Any:
        """Return the numbers of a part of the formula."""
        text = ast.unparse(node)
        if text not in self.values:
            self.values[text] = np.asarray(evaluate(text, self.names))
        return self.values[text]

    def at(self, node: ast.AST, index: Index) -> float:
        """Return one number of a part, which broadcasting may have stretched."""
        value = self.value(node)
        return float(value[_own(index, value.shape)])

    # ---- terms

    def terms(self, node: ast.expr, index: Index) -> list[Term]:
        """Return the terms that one number of a part is the sum of."""
        if isinstance(node, ast.BinOp):
            found = self.of_operator(node, index)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            found = [(f"-{_factor(t)}", -v) for t, v in self.terms(node.operand, index)]
        elif isinstance(node, ast.Call):
            found = self.of_call(node, index)
        else:
            found = []
        return found or [(self.text(node, index), self.at(node, index))]

    def of_operator(self, node: ast.BinOp, index: Index) -> list[Term]:
        """Return the terms of a sum, a difference, a product or a quotient."""
        left, right = node.left, node.right
        if isinstance(node.op, ast.MatMult):
            return self.of_matmul(left, right, index)
        here = [self.narrowed(part, index) for part in (left, right)]
        if isinstance(node.op, ast.Add | ast.Sub):
            minus = isinstance(node.op, ast.Sub)
            back = self.terms(right, here[1])
            turned = [(f"-{bracketed(t)}", -v) for t, v in back] if minus else back
            return [*self.terms(left, here[0]), *turned]
        if isinstance(node.op, ast.Div):
            divisor, by = bracketed(self.text(right, here[1])), self.at(right, here[1])
            return [(f"{_factor(t)} / {divisor}", v / by) for t, v in self.terms(left, here[0])]
        return self.of_product(left, right, here) if isinstance(node.op, ast.Mult) else []

    def of_product(self, left: ast.expr, right: ast.expr, here: list[Index]) -> list[Term]:
        """Return the terms of the factor that is a sum, each times the other factor."""
        if _sums(left):
            factor, by = bracketed(self.text(right, here[1])), self.at(right, here[1])
            return [(f"{_factor(t)} * {factor}", v * by) for t, v in self.terms(left, here[0])]
        factor, by = _factor(self.text(left, here[0])), self.at(left, here[0])
        rest = self.terms(right, here[1]) if _sums(right) else []
        rest = rest or [(self.text(right, here[1]), self.at(right, here[1]))]
        return [(f"{factor} * {bracketed(t)}", by * v) for t, v in rest]

    def of_matmul(self, left: ast.expr, right: ast.expr, index: Index) -> list[Term]:
        """Return ``sum_k left[i, k] right[k, j]``; of vectors without the axis that they lack."""
        a, b = self.value(left), self.value(right)
        if a.ndim == 1 or b.ndim == 1:
            return []
        rows = []
        for k in range(a.shape[-1]):
            pair = (left, (*index[:-1], k)), (right, (*index[:-2], k, index[-1]))
            texts = [bracketed(self.text(n, self.narrowed(n, i))) for n, i in pair]
            first, second = (self.at(n, i) for n, i in pair)
            rows.append((" * ".join(texts), first * second))
        return rows

    def of_call(self, node: ast.Call, index: Index) -> list[Term]:
        """Return the terms of a sum or a mean over axes, or of an op that is linear."""
        name = ast.unparse(node.func)
        if name in ("np.sum", "np.mean") and node.args:
            inner = node.args[0]
            shape = self.value(inner).shape
            count = max(1, int(np.prod(shape)) // max(1, self.value(node).size))
            places = self.summed(node, index, shape)
            found = [term for place in places for term in self.terms(inner, place)]
            if name == "np.mean":
                return [(f"{_factor(t)} / {count}", v / count) for t, v in found]
            return found
        is_sampled = self.value(node).shape == self.value(node.args[0]).shape if node.args else True
        return [] if is_sampled and name in _ELEMENTWISE else self.of_linear(node, index)

    def summed(self, node: ast.Call, index: Index, shape: Index) -> list[Index]:
        """List the places that a sum over axes adds up for one of its numbers."""
        options = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
        axis = options.get("axis")
        axes = range(len(shape)) if axis is None else np.atleast_1d(axis) % len(shape)
        kept = iter(index)
        ranges = []
        for k, n in enumerate(shape):
            summed = k in axes
            own = next(kept) if not summed or options.get("keepdims") else 0
            ranges.append(range(n) if summed else range(own, own + 1))
        return list(itertools.product(*ranges))

    def of_linear(self, node: ast.Call, index: Index) -> list[Term]:
        """Return the products of an operand with the derivative for it, if they add up."""
        value = self.at(node, index)
        used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        scope = dict(self.names) | _ON_TENSORS
        for name in sorted(used & {k for k, v in self.names.items() if _is_floats(v)}):
            x = Tensor(self.names[name], requires_grad=True)
            try:
                result = evaluate(ast.unparse(node), scope | {name: x})[index]
                result.backward()
            except Exception:  # any: nothing is known of it then
                continue
            slopes = np.zeros(x.shape) if x.grad is None else x.grad
            if np.isclose(np.sum(slopes * self.names[name]), value, rtol=1e-9, atol=1e-300):
                return [
                    (f"{name}{list(map(int, place))}" + _times(slopes[place]),
                     float(self.names[name][place] * slopes[place]))
                    for place in zip(*np.nonzero(slopes), strict=True)
                ]  # fmt: skip
        return []

    # ---- single numbers as text

    def narrowed(self, node: ast.AST, index: Index) -> Index:
        """Return the place in a part that broadcasting takes for a place in the whole."""
        return _own(index, self.value(node).shape)

    def text(self, node: ast.AST, index: Index) -> str:
        """Write one number of a part."""
        index = self.narrowed(node, index)
        if isinstance(node, ast.Constant) or not self.value(node).shape:
            return ast.unparse(node)
        if isinstance(node, ast.Name):
            return f"{node.id}{list(index)}"
        found = self.text_of_part(node, index)
        return found or f"{bracketed(ast.unparse(node))}{list(index)}"

    def text_of_part(self, node: ast.AST, index: Index) -> str:
        """Write one number of an expression by those that it is made of; "" where it cannot be."""
        if isinstance(node, ast.Attribute) and node.attr == "T":
            return self.text(node.value, index[::-1])
        if isinstance(node, ast.Subscript):
            return self.text_of_subscript(node, index)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"-{bracketed(self.text(node.operand, index))}"
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
            left, right = (self.text(part, index) for part in (node.left, node.right))
            sign = _SIGNS.get(type(node.op), "")
            return f"{bracketed(left)} {sign} {bracketed(right)}" if sign else ""
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _ELEMENTWISE:
            args = ", ".join(self.text(a, index) for a in node.args)
            return f"{ast.unparse(node.func)}({args})"
        return ""

    def text_of_subscript(self, node: ast.Subscript, index: Index) -> str:
        """Look through slices, and through columns that stand side by side."""
        if ast.unparse(node.value) == "np.c_":
            columns = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            k = index[-1]
            for part in columns:
                value = self.value(part)
                width = 1 if value.ndim < 2 else value.shape[1]
                if k < width:
                    is_one = ast.unparse(part).startswith("np.ones")
                    return "1" if is_one else self.text(part, (index[0], k)[: max(1, value.ndim)])
                k -= width
        base = self.value(node.value)
        places = np.arange(base.size).reshape(base.shape)
        try:
            looked = ast.Subscript(ast.Name("_"), node.slice)
            flat = evaluate(ast.unparse(looked), dict(self.names) | {"_": places})
        except (IndexError, TypeError, NameError):
            return ""
        inner = np.unravel_index(int(flat[index]), base.shape)
        return self.text(node.value, tuple(int(i) for i in inner))


def _sums(node: ast.AST) -> bool:
    """Whether a part adds up more than two numbers: a product of matrices, or a sum over axes."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.MatMult):
            return True
        if isinstance(inner, ast.Call) and ast.unparse(inner.func) not in _ELEMENTWISE:
            return True
    return False


def _factor(text: str) -> str:
    """Write what stands at the left of a product: products and quotients as they are."""
    kind = ast.parse(text, mode="eval").body
    is_product = isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.Mult | ast.Div)
    return text if is_product else bracketed(text)


def _own(index: Index, shape: Index) -> Index:
    """Return the place that broadcasting takes for an index of the whole."""
    last = index[len(index) - len(shape) :] if shape else ()
    return tuple(0 if n == 1 else i for i, n in zip(last, shape, strict=True))


def _times(slope: float) -> str:
    return "" if slope == 1 else f" * {slope:.6g}"


def _is_floats(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim > 0


_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_ELEMENTWISE = {
    *(f.op.name for f in (ops.sigmoid, ops.relu, ops.softplus, ops.log_sigmoid)),
    *(f"np.{f.__name__}" for f in (np.tanh, np.exp, np.log, np.sqrt, np.maximum, np.minimum)),
    *(f"np.{f.__name__}" for f in (np.square, np.absolute, np.sin, np.cos)),
}
_ON_TENSORS = {name: getattr(ops, name) for name in ops.__all__ if hasattr(ops, name)}
