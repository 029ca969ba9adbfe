"""Random programs, grown call by call on real values, so that most of them run."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tools.drawn_arrays import Palette, array_text, draw_array, number_text
from tools.drawn_calls import NUMBERS, draw_call
from tools.optable import TABLE
from tools.program import NAMES, Program

from autonn.engine.tensor import Tensor, values_of

__all__ = ["draw_program"]

Array = NDArray[Any]
Random = np.random.Generator
LARGEST = 400  # elements of a value
BOLD = 0.03  # the share of calls that are kept though they are refused


class Growth:
    """A program that grows: its lines, and the values of its names in NumPy and as Tensors."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: list[str] = []
        self.plain: dict[str, Any] = {}
        self.tensors: dict[str, Any] = {}

    def hold(self, name: str, value: Any) -> None:
        """Give a name to an argument."""
        self.plain[name] = value
        is_array = isinstance(value, np.ndarray | np.generic)
        self.tensors[name] = Tensor(value) if is_array else value

    def arrays(self) -> dict[str, Array]:
        """Return the values as arrays, to draw calls on."""
        return {name: np.asarray(value) for name, value in self.plain.items()}

    def add(self, expression: str) -> bool:
        """Add a line; one that is refused only rarely, and then it is the last."""
        name = f"t{len(self.lines)}"
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                plain = eval(expression, NAMES | self.plain)
                tensor = eval(expression, NAMES | self.tensors)
            except Exception:
                if self.rng.random() < BOLD:
                    self.lines.append(f"{name} = {expression}")
                    self.plain[name] = self.tensors[name] = np.zeros(())
                    return False
                return True
        if _is_fit(plain) and _is_fit(values_of(tensor)):
            self.lines.append(f"{name} = {expression}")
            self.plain[name], self.tensors[name] = plain, tensor
        return True

    def summed(self, terms: list[str]) -> str:
        """Add a line for each term of a sum, and return the sum of their names."""
        names = [f"t{len(self.lines) + k}" for k in range(len(terms))]
        self.lines += [f"{name} = {term}" for name, term in zip(names, terms, strict=True)]
        return " + ".join(names)


def one_of(rng: Random, options: list[str]) -> str:
    """Draw one of several texts."""
    return options[int(rng.integers(len(options)))]


def _is_fit(value: Any) -> bool:
    """Whether it is an array that is not too large."""
    fit = isinstance(value, np.ndarray | np.generic)
    return fit and value.size <= LARGEST and value.ndim < 6 and value.dtype.kind in "fiubc"


def draw_program(seed: int) -> Program:
    """Draw a program, and the arguments of its calls."""
    rng = np.random.default_rng(seed)
    slopes = rng.random() < 0.4
    palette = Palette.draw(rng, floats=slopes)
    first, lines = _first_call(rng, palette, slopes)
    growth = Growth(rng)
    around = {} if rng.random() < 0.8 else {"c0": draw_array(rng, palette)}
    for name, text in (around | first).items():
        growth.hold(name, eval(text, NAMES | growth.plain))
    steps = int(rng.integers(1, 12))
    runs = all(growth.add(line) for line in lines)
    for _ in range(steps if runs else 0):
        if not growth.add(draw_call(rng, growth.arrays())):
            break
    calls = (first, *(_another(rng, palette, first, slopes) for _ in range(2)))
    writes = _writes(rng, around)
    result, transform = _ending(rng, growth, slopes, first)
    return Program(calls, tuple(growth.lines), result, transform, around, writes)


def _first_call(rng: Random, palette: Palette, slopes: bool) -> tuple[dict[str, str], list[str]]:
    """Draw the arguments of the first call, and the lines that it begins with."""
    if rng.random() < 0.15:  # a call from the table of ops, on arguments as that draws them
        number = int(rng.integers(len(TABLE)))
        arrays = [a.astype(rng.choice(["f8", "f4"])) for a in TABLE[number].draw(rng, False)]
        args = {f"a{k}": array_text(a) for k, a in enumerate(arrays)}
        return args, [f"row{number}({', '.join(args)})"]
    args = {}
    for k in range(int(rng.integers(1, 4))):
        if k and rng.random() < 0.1:
            args[f"a{k}"] = f"a{rng.integers(k)}"  # the same array under another name
        elif rng.random() < (0.0 if slopes else 0.1):
            args[f"a{k}"] = _number(rng)
        else:
            args[f"a{k}"] = draw_array(rng, palette)
    return args, []


def _number(rng: Random) -> str:
    if rng.random() < 0.5:
        return NUMBERS[int(rng.integers(len(NUMBERS)))]
    return number_text(float(np.round(rng.uniform(-2, 2), 2)))


def _another(rng: Random, palette: Palette, first: dict[str, str], slopes: bool) -> dict[str, str]:
    """Draw arguments like the first ones: other numbers, and at times other shapes or dtypes."""
    lengths = {n: n if rng.random() < 0.8 else int(rng.integers(1, 5)) for n in range(6)}
    dtypes = {"f8": 1, "f4": 1} if slopes else None
    retyped = dtypes if dtypes and rng.random() < 0.3 else None
    args: dict[str, str] = {}
    known: dict[str, Any] = {}
    for k, (name, text) in enumerate(first.items()):
        value = eval(text, NAMES | known)
        known[name] = value
        if k and rng.random() < 0.1 and isinstance(value, np.ndarray):
            args[name] = list(first)[int(rng.integers(k))]
        elif not isinstance(value, np.ndarray):
            args[name] = text if rng.random() < 0.3 else _like(rng, value)
        else:
            shape = tuple(lengths.get(n, n) for n in value.shape)
            dtype = value.dtype.str.lstrip("<|=").replace("b1", "?")
            if retyped:
                dtype = ["f8", "f4"][int(rng.integers(2))]
            elif rng.random() < 0.05 and not slopes:
                dtype = ["f8", "f4", "i8", "f2", "?"][int(rng.integers(5))]
            args[name] = draw_array(rng, palette, dtype, shape)
    return args


def _like(rng: Random, value: Any) -> str:
    """Draw another number of the same type."""
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__.removesuffix('_')}({int(rng.integers(0, 3))})"
    drawn = type(value)(np.round(rng.uniform(-2, 2), 2))
    return number_text(drawn)


def _writes(rng: Random, around: dict[str, str]) -> tuple[str, ...]:
    """Write to what the function closes over, before the second and third call."""
    if not around:
        return ()
    lines = [f"c0.flags.writeable and c0.fill({rng.integers(0, 3)})", ""]
    return ("", *(lines[int(rng.integers(2))] for _ in range(2)))


def _ending(rng: Random, growth: Growth, slopes: bool, first: dict[str, str]) -> tuple[str, str]:
    """Draw what is returned, and what is done to the function before it is compiled."""
    names = [f"t{k}" for k in range(len(growth.lines))] or list(first)
    if slopes:
        return _loss(rng, growth, names), _transform(rng, len(first))
    return _returned(rng, names, next(iter(first))), "f"


def _returned(rng: Random, names: list[str], argument: str) -> str:
    """Draw which of the names are returned, and in what containers."""
    picked = [names[-1], *(one_of(rng, names) for _ in range(int(rng.integers(0, 3))))]
    if rng.random() < 0.3:
        picked = list(names)  # what each line gave
    if rng.random() < 0.05:
        picked.append(argument)
    row = ", ".join(picked)
    if len(picked) == 1:
        return one_of(rng, [row, row, row, f"[{row}, 2, 'x', None]"])
    forms = [f"({row},)", f"[{row}]", f"{{'a': {picked[0]}, 'b': ({row},)}}", row, row]
    return one_of(rng, forms)


def _loss(rng: Random, growth: Growth, names: list[str]) -> str:
    """Draw a sum of what the program computed, so that each has a share in the gradient."""
    floats = [n for n in names if np.asarray(growth.plain[n]).dtype.kind == "f"] or names[-1:]
    count = min(int(rng.integers(1, 4)), len(floats))
    picked = {floats[-1], *(floats[int(rng.integers(len(floats)))] for _ in range(count - 1))}
    ways = ["np.sum({})", "np.mean({})", "np.sum({} ** 2)", "np.sum(np.sin({}))", "{}.sum()"]
    return growth.summed([one_of(rng, ways).format(name) for name in sorted(picked)])


def _transform(rng: Random, count: int) -> str:
    """Draw a derivative."""
    argnums = sorted(int(k) for k in rng.permutation(count)[: int(rng.integers(1, count + 1))])
    which = argnums[0] if len(argnums) == 1 else tuple(argnums)
    ways = [
        f"an.value_and_grad(f, {which})", f"an.value_and_grad(f, {which})",
        f"an.value_and_grad(f, {which})", f"an.grad(f, {which})",
        "an.grad(lambda *a: np.sum(np.sin(an.grad(f)(*a))))",
    ]  # fmt: skip
    return ways[int(rng.integers(len(ways)))]
