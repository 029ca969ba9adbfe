"""Write gradient-contract.md: what every op's gradient is, read off the declarations themselves.

python docs/gradient_contract.py
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from autonn.engine import ops
from autonn.engine.op import OPS, Op
from autonn.engine.tensor import implementations

PAGE = Path(__file__).with_name("gradient-contract.md")

INTRODUCTION = """\
# The gradient contract

What every op of autonn computes, and what its gradient is, also where the derivative does not
exist. This page is generated from the declarations in `autonn/engine/ops/` by
`python docs/gradient_contract.py`; a test keeps it fresh, and every row has its tests.

In a rule, `g` is the incoming gradient, `z` the output, and the other names are the arguments.
A named rule may be told, last, the residuals that its op kept for it.
What broadcasting stretched is summed back, and a gradient has the dtype of its argument: float32
in, float32 out. `safe_divide(g, d)` is `g / d`, and 0 where `g` is 0: **a gradient of zero stays
zero where the derivative is infinite**, so that `np.where(x > 0, np.log(x), 0)` is right at 0.
Complex numbers, integers and booleans have no gradient.

"""


COMPOSED = """
## Written with these ops

Their gradients follow from the ops above.

| function | what it does |
|---|---|
"""


def rules_by_op() -> dict[str, list[str]]:
    """Read the rules of each op as text, from the sources of the ops."""
    found: dict[str, list[str]] = {}
    functions: dict[str, str] = {}
    files = sorted(Path(inspect.getfile(ops)).parent.glob("*.py"))
    for node in (node for file in files for node in ast.parse(file.read_text()).body):
        if isinstance(node, ast.FunctionDef):
            functions[node.name] = (ast.get_docstring(node) or "").split("\n")[0]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "define":
            name = ast.literal_eval(value.args[0])
            found[name] = [rule_text(rule, functions) for rule in value.args[3:]]
    return found


def rule_text(rule: ast.expr, functions: dict[str, str]) -> str:
    """Show a lambda by its body, a named rule by its name and sentence, no rule by a dash."""
    if isinstance(rule, ast.Lambda):
        return f"`{ast.unparse(rule.body)}`"
    if isinstance(rule, ast.Name):
        sentence = functions.get(rule.id, "")
        return f"`{rule.id}`" + (f": {sentence}" if sentence else "")
    return "-"


def public_name(function: Any) -> str:
    """Say where users find a function: in numpy, numpy.linalg or scipy.special."""
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
    return "\n".join(rows)


def dtypes(op: Op) -> str:
    """Say which floating dtypes the op takes; a ufunc knows itself."""
    if not any(op.rules):
        return "any to bool"
    if not isinstance(op.forward, np.ufunc):
        return "float32, float64"
    kinds = {signature[0] for signature in op.forward.types}
    names = {"e": "float16", "f": "float32", "d": "float64", "g": "longdouble"}
    return ", ".join(name for kind, name in names.items() if kind in kinds)


def row(op: Op, rules: list[str]) -> str:
    """Lay one op out as a row of the table."""
    texts = rules or ["`0`" if any(op.rules) else "-"]
    cells = [f"`{op.name}`", public_names(op), op.formula, "<br>".join(texts), dtypes(op), op.kinks]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """Make the whole page."""
    rules = rules_by_op()
    head = "| op | NumPy | formula | rule for each argument | dtypes | at ties, kinks and zeros |\n"
    head += "|---|---|---|---|---|---|\n"
    table = "\n".join(row(op, rules.get(op.name, [])) for op in OPS.values())
    return f"{INTRODUCTION}{head}{table}\n{COMPOSED}{composed()}\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
