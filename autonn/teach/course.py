"""A network of layers in the letters of the course: a1, z2, a2, delta3 = a3 - y, Theta1.

For m examples, ``z2 = [1 a1] Theta1'``, ``a2 = s(z2)``, and on the way back delta of a layer is
``m dJ/dz``, so that of one example it is what the course computes, and ``dJ/dTheta1 = 1/m delta2'
[1 a1]``. Source: Ng, "Machine learning" (2011), lectures 8 and 9, and its exercise 4.

A formula is printed only where it gives the engine's numbers: each is tried on them, and where a
sigmoid rounds to 1 one that is exact takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import age_of
from autonn.engine.op import Op
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.teach.chain import Chain, Cost
from autonn.teach.formulas import evaluate, is_close
from autonn.teach.steps import Section, Step

__all__ = ["course_names", "course_sections"]


class _Bend(NamedTuple):
    """How a bend and its slope are written: formulas, and what the textbooks say."""

    formula: str
    says: str
    slopes: tuple[str, ...]
    slope_says: str


_BENDS: dict[Op | None, _Bend] = {
    None: _Bend("{z}", "a = z", ("",), ""),
    ops.sigmoid.op: _Bend(
        "sigmoid({z})", "a = s(z) = 1 / (1 + e^-z)",
        ("{a} * (1 - {a})", "sigmoid({z}) * sigmoid(-{z})"), "a{n} (1 - a{n})",
    ),
    ops.tanh.op: _Bend(
        "np.tanh({z})", "a = tanh z", ("(1 - {a} ** 2)", "1 / np.cosh({z}) ** 2"), "(1 - a{n}^2)",
    ),
    ops.relu.op: _Bend("np.maximum({z}, 0)", "a = max(z, 0)", ("({z} > 0)",), "[z{n} > 0]"),
    ops.softplus.op: _Bend(
        "softplus({z})", "a = ln(1 + e^z)", ("sigmoid({z})",), "s(z{n})",
    ),
    ops.softmax.op: _Bend("softmax({z})", "a = e^z / sum e^z", (), ""),
}  # fmt: skip

# What the output is where the cost takes it from its z.
_OUTPUTS = {Cost.SIGMOID: ops.sigmoid.op, Cost.SOFTMAX: ops.softmax.op, Cost.EACH: ops.softmax.op}

_EACH = "-np.sum(y * np.log({a}) + (1 - y) * np.log(1 - {a})) / m"
_EXACT = "-np.sum(y * log_sigmoid({z}) + (1 - y) * log_sigmoid(-{z})) / m"
_COSTS = {
    Cost.SIGMOID: ("J = -1/m sum [y ln a + (1 - y) ln(1 - a)]", (_EACH, _EXACT)),
    Cost.EACH: ("J = -1/m sum [y ln a + (1 - y) ln(1 - a)]", (_EACH,)),
    Cost.SOFTMAX: (
        "J = -1/m sum y ln a", ("-np.sum(y * np.log({a})) / m", "-np.sum(y * log_softmax({z})) / m")
    ),
    Cost.SQUARES: ("J = mean of (a - y)^2", ("np.mean(({a} - y) ** 2)",)),
}  # fmt: skip

# ---- what formulas are evaluated with


def course_names(chain: Chain) -> dict[str, Any]:
    """Return what is given: X, y, m, the number of outputs k, lam, and each Theta = [b | W]."""
    m, k = chain.y.shape
    names: dict[str, Any] = {"X": values_of(chain.links[0].a), "y": chain.y, "m": m, "k": k}
    if chain.penalised:
        names["lam"] = chain.strength
    for number, link in enumerate(chain.links, 1):
        weight = values_of(link.weight)
        parts = (weight,) if link.bias is None else (values_of(link.bias), weight)
        names[f"Theta{number}"] = np.column_stack(parts)
    return names


# ---- writing the steps


def course_sections(
    chain: Chain,
    gradients: Mapping[int, Tensor],
    loss: Tensor,
    names: dict[str, Any],
    model: Module | None = None,
) -> list[Section] | None:
    """Write the steps of a network of layers; None where no formula of the course gives them.

    Parameters
    ----------
    chain, loss
        The layers, and their cost with its penalty.
    gradients
        Of the cost, by the age of what each is for.
    names
        What formulas are evaluated with; the values of the steps are added.
    model
        The network, whose modules are named in the titles.
    """
    writing = _Writing(chain, gradients, loss, names, model)
    try:
        return [*writing.forward(), *writing.back()]
    except _NotFoundError:
        return None


class _NotFoundError(ValueError):
    """None of the course's formulas gives the engine's number."""


@dataclass
class _Writing:
    chain: Chain
    gradients: Mapping[int, Tensor]
    loss: Tensor
    names: dict[str, Any]
    model: Module | None

    def step(self, name: str, ways: Sequence[str], value: Array | None, says: str) -> Step:
        """Make a step by the first formula that gives the engine's number."""
        for way in ways:
            found = evaluate(way, self.names)
            if value is None or is_close(found, value):
                value = np.asarray(found) if value is None else value
                self.names[name] = value
                return Step(name, way, value, says)
        raise _NotFoundError(name)

    def title(self, number: int) -> str:
        """Name the layer that leads to z of this number, and what bends it."""
        link, found = self.chain.links[number - 2], ""
        for path, module in () if self.model is None else self.model.named_modules():
            if any(p is link.weight for p in module.own_parameters().values()):
                found = f"{path} {module!r}".strip()
            elif found and module.parameters():
                break
            elif found:
                found += f", {path} {module!r}"
        outputs, inputs = link.weight.shape
        return found or f"layer {number}: from {inputs} to {outputs} units"

    def forward(self) -> list[Section]:
        """Write what is computed on the way to J."""
        first = self.step("a1", ["X"], self.names["X"], "the examples, one a row")
        sections = [Section("input", steps=[first])]
        last = len(self.chain.links) + 1
        for number, link in enumerate(self.chain.links, 2):
            theta, a, z = f"Theta{number - 1}", f"a{number - 1}", f"z{number}"
            inputs = a if link.bias is None else f"np.c_[np.ones(m), {a}]"
            says = f"{theta} [1; {a}]" if link.bias is not None else f"{theta} {a}"
            ways = [f"{inputs} @ {theta}.T"]
            steps = [self.step(z, ways, values_of(link.z), f"{z} = {says}")]
            is_last = number == last
            bend = _BENDS[_OUTPUTS.get(self.chain.cost, link.bend) if is_last else link.bend]
            value = None if is_last else values_of(self.chain.links[number - 1].a)
            steps.append(self.step(f"a{number}", [bend.formula.format(z=z)], value, bend.says))
            sections.append(Section(self.title(number), steps=steps))
        says, ways = self.costs(last)
        cost = self.step("J", ways, values_of(self.loss), says)
        return [*sections, Section("loss", steps=[cost])]

    def costs(self, last: int) -> tuple[str, list[str]]:
        """Return what J is, and the ways to write it."""
        says, templates = _COSTS[self.chain.cost]
        ways = [template.format(a=f"a{last}", z=f"z{last}") for template in templates]
        if self.chain.is_mean:
            ways = [f"{way} / k" for way in ways]
        squares = [f"np.sum({self.weights(n)} ** 2)" for n in self.penalised()]
        penalty = f" + lam / (2 * m) * ({' + '.join(squares)})" if squares else ""
        return says, [way + penalty for way in ways]

    def penalised(self) -> list[int]:
        """List the numbers of the layers whose weights are under the penalty."""
        under = {id(w) for w in self.chain.penalised}
        return [n for n, link in enumerate(self.chain.links, 1) if id(link.weight) in under]

    def weights(self, number: int) -> str:
        """Write a Theta without its bias column."""
        has_bias = self.chain.links[number - 1].bias is not None
        return f"Theta{number}[:, 1:]" if has_bias else f"Theta{number}"

    def back(self) -> list[Section]:
        """Write what is computed on the way back: deltas, and the gradients of the Thetas."""
        last = len(self.chain.links) + 1
        before = [self.of_each(last)] if self.chain.cost is Cost.EACH else []
        sections = [Section("loss", back=True, steps=[*before, self.delta(last)])]
        for number in range(last - 1, 0, -1):
            steps = [self.theta(number)]
            if number > 1:
                steps.append(self.delta(number))
            sections.append(Section(self.title(number + 1), back=True, steps=steps))
        return sections

    def of_each(self, number: int) -> Step:
        """Write m dJ/da of a softmax whose classes count each, right or wrong."""
        a = f"a{number}"
        says = "m dJ/da; each class counts, so that delta is not a - y as of a sigmoid"
        return self.step(f"r{number}", [f"(1 - y) / (1 - {a}) - y / {a}"], None, says)

    def delta(self, number: int) -> Step:
        """Write ``delta = m dJ/dz`` of a layer."""
        link = self.chain.links[number - 2]
        value = self.names["m"] * values_of(self.gradients[age_of(link.z)])
        bend, a, z = _BENDS[link.bend], f"a{number}", f"z{number}"
        if number == len(self.chain.links) + 1:
            start, says = self.start(a)
        else:
            start = f"(delta{number + 1} @ {self.weights(number)})"
            slope = bend.slope_says.format(n=number)
            says = f"delta{number} = Theta{number}' delta{number + 1} * {slope}"
        slopes = [slope.format(a=a, z=z) for slope in bend.slopes]
        ways = [f"{start} * {slope}" if slope else start for slope in slopes]
        return self.step(f"delta{number}", ways, value, says)

    def start(self, a: str) -> tuple[str, str]:
        """Write the delta that the cost begins with, and say it."""
        if self.chain.cost is Cost.EACH:
            r = f"r{a[1:]}"
            says = "delta_k = a_k (r_k - sum_j a_j r_j), through the softmax"
            return f"{a} * ({r} - np.sum({a} * {r}, axis=1, keepdims=True))", says
        if self.chain.cost is Cost.SQUARES:
            return f"2 / k * ({a} - y)", "delta = 2/k (a - y), times the bend's slope"
        if self.chain.is_mean:
            return f"({a} - y) / k", "delta = (a - y) / k, as J is a mean over k outputs"
        return f"{a} - y", "delta = a - y"

    def theta(self, number: int) -> Step:
        """Write the gradient of a Theta, bias column first."""
        link = self.chain.links[number - 1]
        parts = [values_of(self.gradients[age_of(link.weight)])]
        inputs = f"a{number}"
        if link.bias is not None:
            parts.insert(0, values_of(self.gradients[age_of(link.bias)]))
            inputs = f"np.c_[np.ones(m), a{number}]"
        way = f"delta{number + 1}.T @ {inputs} / m"
        says = f"dJ/dTheta{number} = 1/m sum delta{number + 1} [1; a{number}]'"
        if number in self.penalised():
            weights = self.weights(number)
            if link.bias is not None:
                weights = f"np.c_[np.zeros(len(Theta{number})), {weights}]"
            way += f" + lam / m * {weights}"
            says += f" + lambda/m Theta{number}, but for its bias column"
        found = self.step(f"dTheta{number}", [way], np.column_stack(parts), says)
        found.is_gradient = True
        return found
