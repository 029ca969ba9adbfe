"""Calls of every op, as users write them, with places for what they are called on.

In a template ``{x}`` and ``{y}`` stand for values that the program has, ``{s}`` for a number, and
the other places for what suits x: an axis, several, an index, a shape, an order of axes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TEMPLATES", "draw_call", "filled", "words"]

Array = NDArray[Any]
Random = np.random.Generator
Values = Mapping[str, Array]


def words(text: str) -> list[str]:
    """Split a text into its words."""
    return text.split()


UFUNCS = words(
    "negative positive square absolute fabs sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos "
    "tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh reciprocal sign floor ceil "
    "trunc rint round isnan isinf isfinite signbit logical_not invert"
)
OURS = words("sigmoid log_sigmoid softplus relu leaky_relu elu silu gelu erf stop_gradient")
PAIRS = words(
    "add subtract multiply divide power maximum minimum hypot arctan2 logaddexp copysign heaviside "
    "equal not_equal less less_equal greater greater_equal logical_and logical_or bitwise_and "
    "bitwise_or"
)
OPERATORS = words("+ - * / ** == != < <= > >= & |")
REDUCED = words("sum mean prod max min var std any all argmax argmin count_nonzero")

TEMPLATES: dict[str, list[str]] = {
    "unary": [
        *(f"np.{name}({{x}})" for name in UFUNCS), *(f"an.{name}({{x}})" for name in OURS),
        "-{x}", "+{x}", "abs({x})", "{x} ** 2", "{x} ** 3", "{x} ** -1", "{x} ** 0.5",
        "{x} ** 0", "{x} ** 1", "{x} ** 2.0", "an.leaky_relu({x}, 0.1)", "an.elu({x}, 2.0)",
        "special.expit({x})", "special.erf({x})", "special.ndtr({x})", "special.log_expit({x})",
        "ops.bell({x})", "ops.scaled_cdf({x})", "np.round({x}, 1)", "{x}.round(1)",
        "{x}.astype('{dtype}')", "{x} + {x}", "{x} - {x}", "{x} * {x}", "{x} / {x}",
        "~({x} > 0)",
    ],
    "neutral": [
        "-(-{x})", "1 - (1 - {x})", "0 - {x}", "0 + {x}", "{x} + 0", "{x} - 0", "{x} + 0.0",
        "{x} + -0.0", "{x} - 0.0", "0.0 - {x}", "{x} * 1", "{x} / 1", "1.0 * {x}", "{x} ** 1",
        "{x} * 2 * 0.5", "{x} * -1", "{x} * 0", "{x} - {x}", "{x} * 0 + {x}", "{x} + {y} - {y}",
        "np.sum({x}) + 0", "{x} * np.ones_like({x})", "np.maximum({x}, {x})", "abs(-{x})",
    ],
    "binary": [
        *(f"np.{name}({{x}}, {{y}})" for name in PAIRS),
        *(f"{{x}} {op} {{y}}" for op in OPERATORS),
        "{x} * -{y}", "{x} - -{y}", "-({x} - {y})", "({x} > 0) * {y}", "({x} > 0) * ({y} > 0)",
        "({x} > 0) + ({y} > 0)", "ops.safe_multiply({x}, {y})", "ops.safe_divide({x}, {y})",
        "ops.times_slope({x}, {y})", "ops.sigmoid_residual({x}, {y})", "np.isclose({x}, {y})",
        "np.where({x} > {y}, {x}, {y})", "np.where({x}, {y}, 0)", "np.where({x} > 0, {y}, {x})",
        "np.clip({x}, {y}, 1)", "np.clip({x}, -1, {y})", "np.sign(np.maximum({x}, 0))",
        "{x} * {y} / {y}", "{x} * ({y} + {y})",
    ],
    "number": [
        *(f"{{x}} {op} {{s}}" for op in OPERATORS), *(f"{{s}} {op} {{x}}" for op in OPERATORS[:5]),
        *(f"np.{name}({{x}}, {{s}})" for name in PAIRS[:12]),
        *(f"np.{name}({{s}}, {{x}})" for name in PAIRS[:12]),
        "np.where({x} > 0, {x}, {s})", "np.where({x} > {s}, {s}, {x})", "np.clip({x}, {s}, {s})",
        "np.clip({x}, None, {s})", "{x} * {s} * {s}", "{x} / {s} / {s}", "{x} * {s} / {s}",
        "{x} + {s} - {s}", "{s} * np.ones_like({x}) + {x}", "{s} * np.zeros_like({x})",
    ],
    "reduced": [
        *(f"np.{name}({{x}})" for name in REDUCED),
        *(f"np.{name}({{x}}, axis={{axis}})" for name in REDUCED),
        *(f"np.{name}({{x}}, axis={{axes}})" for name in REDUCED[:9]),
        *(f"np.{name}({{x}}, axis={{axes}}, keepdims=True)" for name in REDUCED[:7]),
        *(f"{{x}}.{name}({{axis}})" for name in REDUCED[:8]),
        "{x} - np.mean({x}, axis={axis}, keepdims=True)", "np.var({x}, axis={axis}, ddof=1)",
        "np.sum({x} * {x})", "np.sum({x} ** 2, axis={axis})", "np.sum({x} * {y})",
        "np.mean({x} * {y}, axis={axis})", "np.sum(np.square({x}), axis={axis}, keepdims=True)",
        "np.linalg.norm({x})", "np.linalg.norm({x}, axis={axis})", "np.linalg.norm({x}, 1)",
        "np.linalg.norm({x}, np.inf, axis={axis})", "np.linalg.norm({x}, 3, axis={axis})",
        "an.logsumexp({x})", "an.logsumexp({x}, axis={axis})", "an.softmax({x})",
        "an.softmax({x}, axis={axis})", "an.log_softmax({x}, axis={axis})", "np.cumsum({x})",
        "np.cumsum({x}, axis={axis})", "np.cumprod({x}, axis={axis})", "np.sort({x}, axis={axis})",
        "np.argsort({x}, axis={axis}, kind='stable')", "ops.sum_of_squares({x}, {y})",
        "ops.log_others({x})", "np.add.reduce({x})", "np.multiply.reduce({x}, axis={axis})",
        "np.sum(np.abs({x}))", "np.sum({x} > 0)", "np.mean({x} > 0, axis={axis})",
        "np.sum({x}, axis=())",
    ],
    "shaped": [
        "np.transpose({x})", "{x}.T", "np.transpose({x}, {order})", "np.reshape({x}, {shape})",
        "{x}.reshape(-1)", "np.ravel({x})", "np.expand_dims({x}, {axis})", "np.squeeze({x})",
        "np.swapaxes({x}, {axis}, -1)", "np.moveaxis({x}, {axis}, 0)", "{x}[None]",
        "{x}[..., None]",
        "np.broadcast_to({x}, {wider})", "np.flip({x})", "np.flip({x}, {axis})", "np.roll({x}, 1)",
        "np.roll({x}, -1, axis={axis})", "np.tile({x}, 2)", "np.tile({x}, (2, 1))",
        "np.repeat({x}, 2)", "np.repeat({x}, 2, axis={axis})", "np.diag({x})", "np.diag({x}, 1)",
        "np.diagonal({x})", "np.trace({x})", "np.tril({x})", "np.triu({x}, 1)", "np.pad({x}, 1)",
        "np.concatenate([{x}, {y}])", "np.concatenate([{x}, {x}], axis={axis})",
        "np.concatenate([{x}, {y}], axis=None)", "np.stack([{x}, {y}])",
        "np.stack([{x}, {x}], axis={axis})", "np.vstack([{x}, {y}])", "np.hstack([{x}, {y}])",
        "np.split({x}, 2, axis={axis})[1]", "np.array_split({x}, 2, axis={axis})[0]",
        "np.ones_like({x})", "np.zeros_like({x})", "{x} * np.broadcast_to({y}, {wider})",
    ],
    "indexed": [
        "{x}[{key}]", "{x}[{key}]", "{x}[{key}]", "np.take({x}, {places}, axis={axis})",
        "{x}.at[{key}].set({y})", "{x}.at[{key}].add({s})", "{x}.at[0].set({s})",
        "np.take_along_axis({x}, np.argsort({x}, axis={axis}), axis={axis})",
        "{x}[::-1]", "{x}[..., 0]", "{x}[0]", "{x}[-1:]", "{x}[np.argmax({x})]",
        "{x}[np.argsort({x})]", "{x}[{x} > 0]", "np.take({x}, {places})",
        "an.one_hot(np.argmax({x}, axis=-1), 4)",
    ],
    "product": [
        "{x} @ {y}", "{x} @ {y}.T", "{x}.T @ {y}", "{x} @ {x}.T", "{x}.T @ {x}",
        "np.matmul({x}, {y})", "np.dot({x}, {y})", "np.vdot({x}, {y})", "np.inner({x}, {y})",
        "np.outer({x}, {y})", "np.tensordot({x}, {y}, 1)", "np.tensordot({x}, {y}, 0)",
        "np.einsum('ij,jk->ik', {x}, {y})", "np.einsum('ij,ij->i', {x}, {y})",
        "np.einsum('ii', {x})", "np.einsum('...i,...i->...', {x}, {y})", "np.einsum('ij->j', {x})",
        "ops.affine({x}, {y}, {s})", "{x} @ np.ones({shape_of_T})", "{x} @ np.broadcast_to({y}, "
        "{shape_of_T})", "np.sum({x} @ {y})", "np.mean({x} @ {x}.T)", "{x} @ np.eye({last})",
    ],
    "loss": [
        "ops.softmax_cross_entropy({x}, {y})", "ops.sigmoid_cross_entropy({x}, {y})",
        "ops.cross_entropy({x}, {y})", "ops.softmax_residual({x}, {y})",
        "np.mean(np.square({x} - {y}))", "np.sum(({x} - {y}) ** 2) / len({x})",
        "-np.mean({y} * np.log(an.sigmoid({x})))", "np.mean(np.maximum(0, 1 - {x} * {y}))",
        "np.linalg.inv({x} + 5 * np.eye({last}))", "np.linalg.det({x})",
        "np.linalg.solve({x} + 5 * np.eye({last}), {y})", "np.linalg.slogdet({x})[1]",
        "np.linalg.cholesky({x} @ {x}.T + np.eye({rows}))",
    ],
}  # fmt: skip

# How often a call of each group is drawn.
WEIGHTS = {
    "unary": 18, "neutral": 14, "binary": 25, "number": 14, "reduced": 15, "shaped": 12,
    "indexed": 8,
    "product": 8, "loss": 3,
}  # fmt: skip

NUMBERS = [
    "0", "1", "2", "-1", "3", "200", "0.0", "-0.0", "1.0", "0.5", "2.0", "-1.5", "1e200", "1e-200",
    "1e-3", "True", "np.float32(0.1)", "np.float64(0.3)", "np.int64(2)", "np.int32(3)",
    "np.float64(-0.0)", "np.bool_(True)", "np.float16(1.5)", "np.inf",
]  # fmt: skip


# ---- what stands in a place, by what x is


def _axis(rng: Random, x: Array) -> str:
    return str(int(rng.integers(-x.ndim, x.ndim))) if x.ndim else "0"


def _axes(rng: Random, x: Array) -> str:
    count = int(rng.integers(0, x.ndim + 1))
    axes = tuple(int(a) for a in rng.permutation(x.ndim)[:count])
    return str(axes)


def _order(rng: Random, x: Array) -> str:
    return str(tuple(int(a) for a in rng.permutation(x.ndim)))


def _shape(rng: Random, x: Array) -> str:
    shapes = [(-1,), (1, *x.shape), (*x.shape, 1), x.shape[::-1], (x.size,)]
    return str(shapes[int(rng.integers(len(shapes)))])


def _wider(rng: Random, x: Array) -> str:
    wide = tuple(3 if n == 1 else n for n in x.shape)
    return str([(2, *x.shape), wide, x.shape][int(rng.integers(3))])


def _places(rng: Random, x: Array) -> str:
    n = min(x.shape, default=1) or 1
    return str(rng.integers(-n, n, int(rng.integers(1, 4))).tolist())


def _one_key(rng: Random, n: int) -> str:
    kinds = [":", "::-1", "1:", "::2", ":1"]
    if n:
        where = rng.integers(-n, n, 2).tolist()
        kinds += [str(where[0]), str(where), f"np.array({where})", str(where)]
        kinds.append(f"np.array({(rng.random(n) < 0.6).tolist()})")
    return kinds[int(rng.integers(len(kinds)))]


def _key(rng: Random, x: Array) -> str:
    keys = [_one_key(rng, n) for n in x.shape[: int(rng.integers(0, x.ndim + 1))]]
    if rng.random() < 0.3:
        keys.insert(int(rng.integers(len(keys) + 1)), "None" if rng.random() < 0.5 else "...")
    return ", ".join(keys) or "..."


PLACES: dict[str, Callable[[Random, Array], str]] = {
    "axis": _axis,
    "axes": _axes,
    "order": _order,
    "shape": _shape,
    "wider": _wider,
    "places": _places,
    "key": _key,
    "last": lambda rng, x: str(x.shape[-1] if x.ndim else 1),
    "rows": lambda rng, x: str(x.shape[0] if x.ndim else 1),
    "shape_of_T": lambda rng, x: str(x.shape[::-1]),
    "s": lambda rng, x: NUMBERS[int(rng.integers(len(NUMBERS)))],
    "dtype": lambda rng, x: ["f8", "f4", "f2", "i8", "i4", "?", "c16"][int(rng.integers(7))],
}


def draw_call(rng: Random, values: Values) -> str:
    """Draw a call on some of these values, latest first, as an expression."""
    groups = list(WEIGHTS)
    share = np.array(list(WEIGHTS.values()))
    group = groups[int(rng.choice(len(groups), p=share / share.sum()))]
    template = TEMPLATES[group][int(rng.integers(len(TEMPLATES[group])))]
    return filled(rng, template, values)


def filled(rng: Random, template: str, values: Values, name: str = "") -> str:
    """Put something into each place of a template; x is the value of a name, if one is given."""
    names = list(values)
    late = names[-3:] if rng.random() < 0.6 else names
    name = name or late[int(rng.integers(len(late)))]
    x = values[name]
    other = _other(rng, names, values, x)

    def put(place: re.Match[str]) -> str:
        if place[1] in ("x", "y"):
            return name if place[1] == "x" else other
        return PLACES[place[1]](rng, x)

    return re.sub(r"\{(\w+)\}", put, template)


def _other(rng: Random, names: list[str], values: Values, x: Array) -> str:
    """Draw a second value, one that broadcasts with x where there is one."""
    fitting = [name for name in names if _broadcasts(values[name], x)]
    if fitting and rng.random() < 0.8:
        return fitting[int(rng.integers(len(fitting)))]
    return names[int(rng.integers(len(names)))]


def _broadcasts(a: Array, b: Array) -> bool:
    pairs = zip(a.shape[::-1], b.shape[::-1], strict=False)
    return all(1 in pair or pair[0] == pair[1] for pair in pairs)
