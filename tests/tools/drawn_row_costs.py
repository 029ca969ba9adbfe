"""Costs of examples in rows: sums over the rows, and such as only look like it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from tools.drawn_arrays import Palette, draw_array
from tools.drawn_calls import draw_call, filled
from tools.drawn_programs import Growth, one_of
from tools.program import NAMES, Program

from autonn.compiler import partition

__all__ = ["LEAST", "draw_row_cost", "few_rows_are_shared"]

Random = np.random.Generator
LEAST, SLICE = 8, 4

# What is done to rows: alone, with weights, and across them, where no slice can know the result.
ALONE = [
    "{x} @ {y}", "{x} @ {y}.T", "{x} * {y}", "{x} + {y}", "{x} - {y}", "np.tanh({x})",
    "an.sigmoid({x})", "np.maximum({x}, 0)", "an.softmax({x})", "np.sum({x}, axis=-1)",
    "np.mean({x}, axis=-1, keepdims=True)", "np.square({x})", "{x}[:, 0]", "{x}[:, None]",
    "{x}[..., None]", "{x}.reshape(len({x}), -1)", "np.sort({x}, axis=-1)", "{x}[:, ::-1]",
    "an.logsumexp({x}, axis=-1)", "np.cumsum({x}, axis=-1)", "{x}[:, [0, 0]]", "{x}.T",
    "np.concatenate([{x}, {x}], axis=-1)", "np.max({x}, axis=-1)", "{x} * {x}[:, :1]",
    "np.swapaxes({x}, 0, -1)", "np.moveaxis({x}, 0, -1)", "ops.affine({x}, {y}, 0.5)",
    "np.where({x} > 0, {x}, {y})", "np.einsum('i...,i...->i', {x}, {x})", "np.expand_dims({x}, 0)",
    "np.broadcast_to({x}, {wider})", "np.stack([{x}, {x}], axis={axis})",
    "np.linalg.norm({x}, axis=-1)",
    "np.repeat({x}, 2, axis=-1)", "np.argmax({x}, axis=-1)", "an.one_hot({x}, 3)",
    "np.tile({x}, 2)", "{x}.reshape(-1, 1)", "np.sin({x}.reshape(-1)).reshape({x}.shape)",
    "{x}[:, 0, [0, 0]]", "{x}[:, [0, 0], 0]", "np.pad({x}, ((0, 0), (1, 0)))",
    "np.take({x}, [0, 0], axis=-1)", "{x} @ {x}.T", "np.dot({x}, {y})", "np.inner({x}, {y})",
    "np.tensordot({x}, {y}, 1)", "np.ones_like({x})", "{x}[..., 0] * 2", "np.outer({x}, {y})",
]  # fmt: skip
ACROSS = [
    "np.mean({x}, axis=0)", "{x} - np.mean({x}, axis=0)", "{x} / (1 + np.std({x}, axis=0))",
    "np.sort({x}, axis=0)", "np.cumsum({x}, axis=0)", "{x}[0]", "{x}[-1:]", "{x}[::-1]",
    "{x}[1:]", "np.max({x}, axis=0)", "np.argmax({x}, axis=0)", "{x}[:, 0, :, [0, 1]]",
    "{x}[[0, 1]]", "{x}[:, 0, [0, 0]]", "{x}[[0, 0], :, [0, 0]]", "an.softmax({x}, axis=0)",
    "np.flip({x}, 0)", "np.roll({x}, 1, axis=0)", "np.roll({x}, 1)", "np.prod({x}, axis=0)",
    "np.var({x}, axis=0)", "np.cumprod({x}, axis=0)", "np.concatenate([{x}, {x}])",
    "np.reshape({x}, (-1, {rows}))", "{x}.reshape(-1)", "{x}.T @ {x}", "{x}.T @ {y}",
    "np.diag({x})",
    "np.diagonal({x})", "np.trace({x})", "np.tril({x})", "np.repeat({x}, 2, axis=0)",
    "np.tile({x}, (2, 1))", "np.linalg.norm({x}, axis=0)", "an.logsumexp({x}, axis=0)",
    "np.sum({x}, axis=0)", "{x}[np.argsort({x}[:, 0])]", "{x} - {x}[0]", "np.cumsum({x})",
    "np.sort({x}, axis=None)", "np.take({x}, [0, 1], axis=0)", "np.vdot({x}, {y})",
    "np.einsum('ij,kj->ik', {x}, {x})", "np.einsum('ij->j', {x})", "{x}.at[0].set(0)",
    "np.pad({x}, 1)", "{x} / np.sum({x})", "{x} / len({x})", "np.vstack([{x}, {y}])",
    "np.outer({x}, {x})", "np.sum({x}) * {x}", "{x} - np.max({x})",
]  # fmt: skip
ENDS = [
    "np.sum({x})", "np.mean({x})", "np.sum({x}) / {rows}", "np.sum({x} ** 2)", "np.mean({x}) ** 2",
    "np.mean(np.square({x}))", "np.sqrt(np.sum({x} ** 2))", "np.sum(np.mean({x}, axis=0))",
    "np.sum(np.sum({x}, axis=0) ** 2)", "np.max({x})", "np.var({x})",
    "np.log(1 + np.sum({x} ** 2))",
    "an.logsumexp({x})", "np.prod({x})", "np.linalg.norm({x})",
]  # fmt: skip


@contextmanager
def few_rows_are_shared() -> Iterator[None]:
    """Share rows out from 8 on, in slices of about 4, so that small arrays will do."""
    names = "LEAST_ROWS", "SLICE", "BYTES_A_ROUND"
    before = [getattr(partition, name) for name in names]
    for name, few in zip(names, (LEAST, SLICE, 0), strict=True):
        setattr(partition, name, few)
    try:
        yield
    finally:
        for name, many in zip(names, before, strict=True):
            setattr(partition, name, many)


def draw_row_cost(seed: int) -> Program:
    """Draw a cost of rows, with its gradients, and the arguments of three calls."""
    rng = np.random.default_rng(seed)
    wild = 0.3 if rng.random() < 0.2 else 0.0
    palette = Palette((2, 3), {"f8": 4, "f4": 1} if rng.random() < 0.2 else {"f8": 1}, wild, False)
    m = int(rng.integers(LEAST, LEAST + 5))
    shapes = _shapes(rng, m)
    growth = Growth(rng)
    first = {name: draw_array(rng, palette, None, shape) for name, shape in shapes.items()}
    around = {"c0": _row_constant(rng, palette, m)} if rng.random() < 0.3 else {}
    for name, text in (around | first).items():
        growth.hold(name, eval(text, NAMES))
    steps = int(rng.integers(1, 5))
    across = int(rng.integers(3 * steps))  # which call is across the rows: one, or none
    for k in range(steps):
        growth.add(_call(rng, growth, k == across))
    calls = (first, *(_again(rng, palette, shapes, m, around) for _ in range(2)))
    result, transform = _cost(rng, growth, list(first))
    return Program(calls, tuple(growth.lines), result, transform, around)


def _shapes(rng: Random, m: int) -> dict[str, tuple[int, ...]]:
    """Draw shapes: of examples in m rows, of targets, and of weights that may have m rows too."""
    examples = [(m, 3), (m, 3), (m,), (m, 2, 3), (m, 1), (m, 2, 3, 2), (m, m)]
    weights = [(3, 2), (3,), (2, 3), (1, 3), (), (3, 3), (m, 3), (1,), (m,), (m, m)]
    shapes = {"X": examples[int(rng.integers(len(examples)))]}
    if rng.random() < 0.5:
        shapes["Y"] = examples[int(rng.integers(3))]
    for k in range(int(rng.integers(1, 3))):
        shapes[f"W{k}"] = weights[int(rng.integers(len(weights) - 4 * (rng.random() < 0.8)))]
    return shapes


def _row_constant(rng: Random, palette: Palette, m: int) -> str:
    texts = [
        draw_array(rng, palette, "f8", (m, 3)), f"np.ones(({m}, 1))", f"np.full({m}, 0.5)",
        f"np.arange({m})", f"np.eye({m})", f"np.arange({m}) % 3",
    ]  # fmt: skip
    return texts[int(rng.integers(len(texts)))]


def _call(rng: Random, growth: Growth, across: bool) -> str:
    arrays = growth.arrays()
    if rng.random() < 0.06:
        return draw_call(rng, arrays)
    templates = ACROSS if across else ALONE
    of_rows = [name for name in _made_of_rows(growth.lines) if name in arrays]
    x = of_rows[-1] if rng.random() < 0.7 else one_of(rng, of_rows)
    return filled(rng, one_of(rng, templates), arrays, x)


def _again(
    rng: Random, palette: Palette, shapes: dict[str, tuple[int, ...]], m: int, around: object
) -> dict[str, str]:
    """Draw other arguments, at times of another number of rows."""
    rows = int(rng.integers(LEAST - 2, LEAST + 8)) if rng.random() < 0.3 and not around else m
    sized = {name: tuple(rows if n == m else n for n in s) for name, s in shapes.items()}
    return {name: draw_array(rng, palette, None, shape) for name, shape in sized.items()}


def _cost(rng: Random, growth: Growth, names: list[str]) -> tuple[str, str]:
    """Draw what is summed up, and by what it is differentiated: rarely by the rows themselves."""
    values = {n: a for n, a in growth.arrays().items() if a.dtype.kind == "f" and n != "c0"}
    terms = [name for name in _made_of_rows(growth.lines) if name in values][-1:]
    if rng.random() < 0.3:
        terms.append(list(values)[int(rng.integers(len(values)))])
    cost = growth.summed([filled(rng, _end(rng), {n: values[n]}) for n in terms])
    weights = [k for k, name in enumerate(names) if name.startswith("W")]
    numbers = weights if rng.random() < 0.9 else list(range(len(names)))
    which = tuple(numbers) if len(numbers) > 1 else numbers[0]
    transforms = [f"an.value_and_grad(f, {which})"] * 3 + ["f", f"an.grad(f, {which})"]
    return cost, transforms[int(rng.integers(len(transforms)))]


def _made_of_rows(lines: Sequence[str]) -> list[str]:
    """List X and the names of lines that depend on it."""
    found = ["X"]
    for line in lines:
        name, value = line.split(" = ", 1)
        if set(re.findall(r"\b\w+\b", value)) & set(found):
            found.append(name)
    return found


def _end(rng: Random) -> str:
    plain = rng.random() < 0.7
    return ENDS[int(rng.integers(4 if plain else len(ENDS)))]
