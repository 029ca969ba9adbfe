"""Einstein's sums: products over indices, of any number of operands."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.engine.apply import define, implements
from autonn.engine.op import SUM, Memory
from autonn.engine.tensor import Operand


def _einsum_rule(k: int, g: Any, z: Any, *operands: Any, subscripts: str) -> Any:
    """Use ``einsum of g and all operands but x_k, with the indices of x_k for output``.

    Axes that only operand k has, or that all others have with length 1, are multiplied by ones,
    so that the gradient reaches all of them; an axis that it has twice, as in ``ii``, gets its
    gradient on the diagonal.
    """
    inputs, output = subscripts.split("->")
    labels = inputs.split(",")
    own = labels[k]
    parts = [(output, g)]
    parts += [(labels[i], x) for i, x in enumerate(operands) if i != k]
    reached = {c: n for label, x in parts for c, n in zip(label, x.shape, strict=True) if n != 1}
    seen = set("".join(label for label, _ in parts))
    sizes = dict(zip(own, operands[k].shape, strict=True))
    missing = [c for c, n in sizes.items() if c not in reached and (n != 1 or c not in seen)]
    parts += [(c, np.ones(sizes[c], g.dtype)) for c in missing]
    target, diagonals = _once(own, subscripts)
    parts += [(pair, np.eye(sizes[pair[0]], dtype=g.dtype)) for pair in diagonals]
    equation = ",".join(label for label, _ in parts) + "->" + target
    return np.einsum(equation, *(x for _, x in parts))


def _once(own: str, subscripts: str) -> tuple[str, list[str]]:
    """Give a letter that comes again a twin; return the letters, and the pairs of twins."""
    target, pairs = "", []
    for c in own:
        if c in target:
            twin = next(x for x in string.ascii_letters if x not in subscripts + target)
            pairs.append(c + twin)
            c = twin
        target += c
    return target, pairs


def _contracts(call: Any, axes: Sequence[int | None]) -> int | str | None:
    """Say that rows keep their letter in the output, or are summed over."""
    inputs, output = call.attribute("subscripts").split("->")
    labels = inputs.split(",")
    letters = {label[axis] for label, axis in zip(labels, axes, strict=True) if axis is not None}
    if len(letters) != 1:
        return None
    (letter,) = letters
    for label, axis in zip(labels, axes, strict=True):
        if label.count(letter) != (axis is not None):
            return None
    return int(output.index(letter)) if letter in output else SUM


_einsum = define(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    "z = sum of the product of the operands over the indices that the output lacks",
    _einsum_rule,
    numpy=(),
    variadic=True,
    rows=_contracts,
    memory=Memory.MAY_ALIAS,  # a diagonal, as of "ii->i", is a view
    hint="equal letters stand for equal lengths",
)

einsum_op = _einsum.op


@implements(np.einsum)
def einsum(subscripts: Any, *operands: Operand, optimize: Any = False) -> Any:
    """Sum products over repeated indices, as `numpy.einsum` with subscripts or lists of axes."""
    if not isinstance(subscripts, str):
        subscripts, operands = _lettered((subscripts, *operands))
    return _einsum(*operands, subscripts=_explicit(subscripts, [np.ndim(x) for x in operands]))


def _lettered(given: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """Write the lists of axes that stand behind the operands, and of the output, in letters."""

    def word(axes: Sequence[Any]) -> str:
        return "".join("..." if a is Ellipsis else string.ascii_letters[a] for a in axes)

    pairs = len(given) // 2
    operands = tuple(given[0 : 2 * pairs : 2])
    inputs = ",".join(word(axes) for axes in given[1 : 2 * pairs : 2])
    return (inputs + "->" + word(given[-1]) if len(given) % 2 else inputs), operands


def _explicit(subscripts: str, ranks: Sequence[int]) -> str:
    """Spell out the ellipses and the output of subscripts."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    labels = inputs.split(",")
    if len(labels) != len(ranks):
        raise ValueError(
            f"einsum of {len(ranks)} operands by {subscripts!r}, which names {len(labels)}"
        )
    spelled, dots = _without_dots(labels, ranks, subscripts)
    if dots and arrow and "..." not in output:
        raise ValueError(
            f"einsum {subscripts!r}: the output has no ellipsis for the {len(dots)} axes that "
            "those of the operands stand for; name these axes to sum over them"
        )
    if not arrow:
        letters = "".join(spelled)
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
        return ",".join(spelled) + "->" + dots + "".join(once)
    return ",".join(spelled) + "->" + output.replace("...", dots)


def _without_dots(
    labels: Sequence[str], ranks: Sequence[int], subscripts: str
) -> tuple[list[str], str]:
    """Spell out the ellipses of operands; return the letters that the longest stands for, too."""
    free = [c for c in string.ascii_letters if c not in subscripts]
    pairs = zip(labels, ranks, strict=True)
    hidden = [rank - len(label.replace("...", "")) for label, rank in pairs]
    longest = max([h for h, label in zip(hidden, labels, strict=True) if "..." in label] + [0])
    dots = "".join(free[:longest])
    spelled = [
        label.replace("...", dots[longest - h :] if h > 0 else "")
        for label, h in zip(labels, hidden, strict=True)
    ]
    return spelled, dots
