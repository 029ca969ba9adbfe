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
from typing import Any

import numpy as np

from autonn.engine.lineage import age_of, attribute_of, op_of, operands_of
from autonn.engine.tensor import Array, Tensor, values_of
from autonn.nn.module import Module
from autonn.teach.formulas import evaluate, is_close
from autonn.teach.steps import Section, Step

__all__ = ["Chain", "Link", "chain_of", "course_names", "course_sections"]


@dataclass
class Link:
    """One layer: ``z = a Theta'``, and the op that bends it, None of the last if there is none."""

    a: Any  # what it is given: a Tensor, or the array X
    weight: Tensor
    bias: Tensor | None
    z: Tensor
    bend: str = ""


@dataclass
class Chain:
    """A network of layers that was found behind a loss.

    Attributes
    ----------
    links
        Its layers, the first one first.
    cost
        "sigmoid", "softmax": the cross-entropies; "each": that of each class of a softmax;
        "squares": the mean of the squares.
    y
        The targets, a row for each example.
    penalised, strength
        The weights under the L2 penalty, and the lambda of the course; none and 0 without one.
    """

    links: list[Link]
    cost: str
    y: Array
    penalised: list[Tensor]
    strength: float
    is_mean: bool = False  # whether it is a cross-entropy divided by the number of outputs too


_BENDS = {
    "sigmoid": ("sigmoid({z})", ("{a} * (1 - {a})", "sigmoid({z}) * sigmoid(-{z})")),
    "tanh": ("np.tanh({z})", ("(1 - {a} ** 2)", "1 / np.cosh({z}) ** 2")),
    "relu": ("np.maximum({z}, 0)", ("({z} > 0)",)),
    "softplus": ("softplus({z})", ("sigmoid({z})",)),
}
_COSTS = {"sigmoid_cross_entropy": "sigmoid", "softmax_cross_entropy": "softmax"}

# ---- finding the layers


def chain_of(loss: Tensor) -> Chain | None:
    """Find the layers behind a loss; None where it is no network of layers in a row.

    >>> from autonn import CrossEntropy, Layer, Sequential, Sigmoid
    >>> model = Sequential(Layer(2, 3, rng=0), Sigmoid(), Layer(3, 1, rng=0), Sigmoid())
    >>> chain = chain_of(CrossEntropy()(model(Tensor(np.ones((4, 2)))), np.ones((4, 1))))
    >>> [link.z.shape for link in chain.links], chain.cost
    ([(4, 3), (4, 1)], 'sigmoid')
    """
    cost, penalty = loss, None
    if _name(loss) == "add" and _name(operands_of(loss)[1]) == "sum_of_squares":
        cost, penalty = operands_of(loss)
    share = 1.0
    if _name(cost) == "multiply" and isinstance(operands_of(cost)[1], float):
        cost, share = operands_of(cost)
    found = _ending(cost)
    if found is None:
        return None
    kind, last, bend, y = found
    if share != 1.0 and (kind == "squares" or share != 1 / y.shape[-1]):
        return None
    links = _links(last, bend)
    if not links or links[-1].z.ndim != 2 or y.shape != links[-1].z.shape:
        return None
    weights = [] if penalty is None else list(operands_of(penalty))
    known = {id(link.weight) for link in links}
    if not all(id(w) in known for w in weights):
        return None
    factor = 0.0 if penalty is None else attribute_of(penalty, "factor")
    return Chain(links, kind, y, weights, factor * 2 * len(y), share != 1.0)


def _name(a: Any) -> str:
    op = op_of(a) if isinstance(a, Tensor) else None
    return "" if op is None else op.name


def _ending(cost: Tensor) -> tuple[str, Tensor, str, Array] | None:
    """Find what a cost is, the last z, what bends it, and the targets."""
    name = _name(cost)
    if name in _COSTS:
        z, y = operands_of(cost)
        return (_COSTS[name], z, "", np.asarray(values_of(y))) if isinstance(z, Tensor) else None
    if name == "divide":
        return _each(cost)
    parts: list[Any] = [cost]
    for expected in ("mean", "square", "subtract"):
        if _name(parts[0]) != expected:
            return None
        parts = list(operands_of(parts[0]))
    output, y = parts
    if not isinstance(output, Tensor):
        return None
    bend = _name(output) if _name(output) in _BENDS else ""
    z = operands_of(output)[0] if bend else output
    return "squares", z, bend, np.asarray(values_of(y))


def _each(cost: Tensor) -> tuple[str, Tensor, str, Array] | None:
    """Find z and the targets of a cross-entropy of each class of a softmax."""
    parts: list[Any] = [cost]
    for expected in ("divide", "sum", "add"):
        if _name(parts[0]) != expected:
            return None
        parts = list(operands_of(parts[0]))
    if [_name(part) for part in parts] != ["safe_multiply"] * 2:
        return None
    (y, log_a), (_, log_rest) = map(operands_of, parts)
    if (_name(log_a), _name(log_rest)) != ("log_softmax", "log_others"):
        return None
    z = operands_of(log_a)[0]
    if z is not operands_of(log_rest)[0] or not isinstance(z, Tensor):
        return None
    return "each", z, "", np.asarray(values_of(y))


def _links(z: Any, bend: str) -> list[Link]:
    """Follow the layers from the last z to X; [] where something else stands between."""
    links: list[Link] = []
    while True:
        link = _link(z, bend)
        if link is None:
            return []
        links.insert(0, link)
        if not isinstance(link.a, Tensor) or op_of(link.a) is None:
            return links if values_of(link.a).ndim == 2 else []
        bend = _name(link.a)
        if bend not in _BENDS:
            return []
        z = operands_of(link.a)[0]


def _link(z: Any, bend: str) -> Link | None:
    """Read one layer off its z."""
    if _name(z) == "affine":
        a, weight, bias = operands_of(z)
    elif _name(z) == "matmul" and _name(operands_of(z)[1]) == "transpose":
        a, turned = operands_of(z)
        weight, bias = operands_of(turned)[0], None
    else:
        return None
    leaves = [t for t in (weight, bias) if t is not None]
    plain = all(isinstance(t, Tensor) and t.requires_grad and t.is_leaf for t in leaves)
    return Link(a, weight, bias, z, bend) if plain and weight.ndim == 2 else None


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
            theta, a = f"Theta{number - 1}", f"a{number - 1}"
            inputs = a if link.bias is None else f"np.c_[np.ones(m), {a}]"
            says = f"{theta} [1; {a}]" if link.bias is not None else f"{theta} {a}"
            ways = [f"{inputs} @ {theta}.T"]
            steps = [self.step(f"z{number}", ways, values_of(link.z), f"z{number} = {says}")]
            bend = link.bend
            if number == last and self.chain.cost != "squares":
                bend = self.chain.cost
            if bend in ("softmax", "each"):
                steps.append(
                    self.step(f"a{number}", [f"softmax(z{number})"], None, "a = e^z / sum e^z")
                )
            elif bend:
                text = _BENDS[bend][0].format(z=f"z{number}")
                value = None if number == last else values_of(self.chain.links[number - 1].a)
                steps.append(self.step(f"a{number}", [text], value, _SAYS[bend]))
            else:
                steps.append(self.step(f"a{number}", [f"z{number}"], values_of(link.z), "a = z"))
            sections.append(Section(self.title(number), steps=steps))
        cost = self.step("J", self.costs(last), values_of(self.loss), _SAYS[self.chain.cost + "J"])
        return [*sections, Section("loss", steps=[cost])]

    def costs(self, last: int) -> list[str]:
        """Return the ways to write J."""
        a, z = f"a{last}", f"z{last}"
        ways = {
            "sigmoid": [
                f"-np.sum(y * np.log({a}) + (1 - y) * np.log(1 - {a})) / m",
                f"-np.sum(y * log_sigmoid({z}) + (1 - y) * log_sigmoid(-{z})) / m",
            ],
            "each": [f"-np.sum(y * np.log({a}) + (1 - y) * np.log(1 - {a})) / m"],
            "softmax": [f"-np.sum(y * np.log({a})) / m", f"-np.sum(y * log_softmax({z})) / m"],
            "squares": [f"np.mean(({a} - y) ** 2)"],
        }[self.chain.cost]
        if self.chain.is_mean:
            ways = [f"{way} / k" for way in ways]
        squares = [f"np.sum({self.weights(n)} ** 2)" for n in self.penalised()]
        penalty = f" + lam / (2 * m) * ({' + '.join(squares)})" if squares else ""
        return [way + penalty for way in ways]

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
        before = [self.of_each(last)] if self.chain.cost == "each" else []
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
        m = self.names["m"]
        value = m * values_of(self.gradients[age_of(link.z)])
        a, z = f"a{number}", f"z{number}"
        slopes = [s.format(a=a, z=z) for s in _BENDS[link.bend][1]] if link.bend else [""]
        if number == len(self.chain.links) + 1:
            start, says = f"{a} - y", "delta = a - y"
            if self.chain.cost == "each":
                r = f"r{number}"
                start = f"{a} * ({r} - np.sum({a} * {r}, axis=1, keepdims=True))"
                says = "delta_k = a_k (r_k - sum_j a_j r_j), through the softmax"
            elif self.chain.cost == "squares":
                start, says = f"2 / k * ({a} - y)", "delta = 2/k (a - y), times the bend's slope"
            elif self.chain.is_mean:
                start, says = f"({a} - y) / k", "delta = (a - y) / k, as J is a mean over k outputs"
        else:
            start = f"(delta{number + 1} @ {self.weights(number)})"
            slope = _SLOPES[link.bend].format(n=number)
            says = f"delta{number} = Theta{number}' delta{number + 1} * {slope}"
        ways = [f"{start} * {slope}" if slope else start for slope in slopes]
        return self.step(f"delta{number}", ways, value, says)

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


_SAYS = {
    "sigmoid": "a = s(z) = 1 / (1 + e^-z)",
    "tanh": "a = tanh z",
    "relu": "a = max(z, 0)",
    "softplus": "a = ln(1 + e^z)",
    "sigmoidJ": "J = -1/m sum [y ln a + (1 - y) ln(1 - a)]",
    "softmaxJ": "J = -1/m sum y ln a",
    "eachJ": "J = -1/m sum [y ln a + (1 - y) ln(1 - a)]",
    "squaresJ": "J = mean of (a - y)^2",
}
_SLOPES = {
    "sigmoid": "a{n} (1 - a{n})", "tanh": "(1 - a{n}^2)", "relu": "[z{n} > 0]",
    "softplus": "s(z{n})",
}  # fmt: skip
