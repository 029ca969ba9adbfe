"""Write reference/gradient-contract.md: what every op's gradient is, read off its declaration.

python docs/gradient_contract.py
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
from scipy import special

from autonn.engine import ops
from autonn.engine.op import OPS, Op
from autonn.engine.ops import densities, matrix_functions
from autonn.engine.ops import special as special_ops
from autonn.engine.tensor import implementations

PAGE = Path(__file__).with_name("reference") / "gradient-contract.md"

INTRODUCTION = """\
# The gradient contract

What every op of autonn computes, and what its gradient is, also where the derivative does not
exist. This page is generated from the declarations in `autonn/engine/ops/` by
`python docs/gradient_contract.py`; a test keeps it fresh, and every row has its tests.

In a rule, `g` is the incoming gradient, `z` the output, and the other names are the arguments;
of an op of any number of them, `k` is the place of one, and `how` is what else the op was given.
What a rule calls is NumPy's, another op of this page, or said beside it.
What broadcasting stretched is summed back, and a gradient has the dtype of its argument: float32
in, float32 out. `safe_divide(g, d)` is `g / d`, and 0 where `g` is 0: **a gradient of zero stays
zero where the derivative is infinite**, so that `np.where(x > 0, np.log(x), 0)` is right at 0.
Complex numbers, integers and booleans have no gradient.

"""

HEAD = ["op", "NumPy", "formula", "rule for each argument", "dtypes", "at ties, kinks and zeros"]

COMPOSED = """
## Written with these ops

Their gradients follow from the ops above.

| function | what it does |
|---|---|
"""


# ---- rules as formulas


def rule_text(rule: Callable[..., Any] | None, told: dict[str, str]) -> str:
    """Show a lambda by its body, a named rule by the formula of its docstring, no rule by a dash.

    What the body calls is added to `told`, with its formula.
    """
    if rule is None:
        return "-"
    if rule.__name__ != "<lambda>":
        return formula_of(rule)
    readable = Readable(rule.__globals__, told)
    return f"`{ast.unparse(readable.visit(body_of(rule.__code__)))}`"


def formula_of(function: Callable[..., Any]) -> str:
    """Return what the first sentence of a docstring says, after "Use", "Compute" or "Return"."""
    sentence = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
    if "``" not in sentence:
        raise ValueError(f"{function.__name__} needs a docstring with its formula, as ``g x``")
    return re.sub(r"^(Use|Compute|Return) ", "", sentence).rstrip(".").replace("``", "`")


@functools.cache
def lambdas(file: str) -> list[ast.Lambda]:
    """Read the lambdas of a file."""
    return [n for n in ast.walk(ast.parse(Path(file).read_text())) if isinstance(n, ast.Lambda)]


def body_of(code: CodeType) -> ast.expr:
    """Find the expression that the code of a lambda was made from, a copy of it."""
    names = list(code.co_varnames[: code.co_argcount])
    there = (n for n in lambdas(code.co_filename) if n.lineno == code.co_firstlineno)
    bodies = {ast.unparse(n.body) for n in there if [a.arg for a in n.args.args] == names}
    if len(bodies) != 1:
        raise LookupError(
            f"{code.co_filename}:{code.co_firstlineno}: {len(bodies)} lambdas of {names}; "
            "put each rule on a line of its own"
        )
    return ast.parse(bodies.pop(), mode="eval").body


class Readable(ast.NodeTransformer):
    """Names what a rule calls as users know it: by NumPy's or SciPy's name, or as an op."""

    MODULES: dict[str, str] = {"math": "np", "special": "scipy.special"}  # noqa: RUF012

    def __init__(self, known: dict[str, Any], told: dict[str, str]) -> None:
        self.known, self.told = known, told

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Return the name to be shown, and note what it stands for."""
        thing = self.known.get(node.id)
        if inspect.ismodule(thing):
            return ast.Name(self.MODULES.get(node.id, node.id))
        declared = getattr(thing, "op", None)
        if declared is not None:
            return ast.Name(declared.name)
        if not inspect.isfunction(thing) or hasattr(builtins, node.id):
            return node
        name = node.id.strip("_")
        call = f"{name}({', '.join(inspect.signature(thing).parameters)})"
        self.told[name] = f"`{call}` is {formula_of(thing)}"
        return ast.Name(name)


# ---- the other columns


def public_name(function: Any) -> str:
    """Say where users find a function: in numpy, numpy.linalg or scipy.special."""
    if isinstance(function, tuple):  # a method of a ufunc
        if function[1] == "__call__":
            return ""
        return f"{public_name(function[0])[:-1]}.{function[1]}`"
    name = function.__name__
    for path, home in (("np", np), ("np.linalg", np.linalg), ("scipy.special", special)):
        if getattr(home, name, None) is function:
            return f"`{path}.{name}`"
    return ""


def public_names(op: Op) -> str:
    """List the NumPy and SciPy functions that lead to the op."""
    calls = implementations.items()
    names = [public_name(function) for function, call in calls if getattr(call, "op", 0) is op]
    return ", ".join(dict.fromkeys(filter(None, names)))


def composed() -> str:
    """List the functions that are written with the ops, and so need no rules of their own."""
    rows = []
    for function, call in implementations.items():
        sentence = (call.__doc__ or "").split("\n")[0]
        if not hasattr(call, "op") and sentence and public_name(function):
            rows.append(f"| {public_name(function)} | {sentence} |")
    return "\n".join([*rows, *own_functions()])


def own_functions() -> list[str]:
    """List the functions that stand for what SciPy has on arrays alone."""
    rooms = {room.__name__ for room in (densities, matrix_functions, special_ops)}
    calls = ((name, getattr(ops, name)) for name in ops.__all__)
    return [
        f"| `autonn.engine.ops.{name}` | {(call.__doc__ or '').splitlines()[0]} |"
        for name, call in calls
        if inspect.isfunction(call) and call.__module__ in rooms and not hasattr(call, "op")
    ]


def dtypes(op: Op) -> str:
    """Say which floating dtypes the op takes; a ufunc knows itself."""
    if not any(op.rules):
        return "any to bool"
    if not isinstance(op.forward, np.ufunc):
        return "float32, float64"
    kinds = {signature[0] for signature in op.forward.types}
    names = {"e": "float16", "f": "float32", "d": "float64", "g": "longdouble"}
    return ", ".join(name for kind, name in names.items() if kind in kinds)


def signature(op: Op) -> str:
    """Name the op, and what else it is given, with the defaults."""
    if isinstance(op.with_residuals, np.ufunc):
        return f"`{op.name}`"
    given = list(inspect.signature(op.with_residuals).parameters.values())
    given = (
        given[op.operands :] if not op.variadic else [p for p in given if p.kind is p.KEYWORD_ONLY]
    )
    texts = [str(p.replace(annotation=p.empty)).replace(" ", "") for p in given]
    return ", ".join([f"`{op.name}`", *(text for text in texts if text not in UNUSED)])


# What NumPy's own function takes besides, and an op does not.
UNUSED = {"out=None", "subok=False"}


# ---- the page


def rules(op: Op) -> str:
    """Lay out the rules of an op, and below them what they call."""
    told: dict[str, str] = {}
    texts = [rule_text(rule, told) for rule in op.rules] if any(op.rules) else ["-"]
    return "<br>".join(texts) + "".join(f"<br>{text}" for text in told.values())


def row(op: Op) -> str:
    """Lay one op out as a row of the table."""
    cells = [signature(op), public_names(op), op.formula, rules(op), dtypes(op), op.kinks]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """Make the whole page."""
    head = f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}\n"
    table = "\n".join(map(row, OPS.values()))
    return f"{INTRODUCTION}{head}{table}\n{COMPOSED}{composed()}\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
