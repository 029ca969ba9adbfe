"""Programs in JavaScript, run by node: what they are given and give back goes as JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.compiler import emit, simplify, trace
from autonn.compiler.graph import Given
from autonn.engine.tensor import values_of
from autonn.engine.trees import tree_leaves

__all__ = ["NODE", "furthest", "program_of", "run_javascript", "script_of"]

NODE = shutil.which("node")

_RUN = """
const given = (a) => typeof a === "number" || !a.kind ? a : globalThis[a.kind].from(a.values);
function exact(v) {
  if (ArrayBuffer.isView(v)) return Array.from(v, exact);
  if (Array.isArray(v)) return v.map(exact);
  if (typeof v === "number" && !Number.isFinite(v)) return String(v);
  return v !== null && typeof v === "object" ? Object.values(v).map(exact) : v;
}
"""


def program_of(f: Any, *args: Any) -> tuple[str, list[Any]]:
    """Return the program of ``f(*args)``, and what it is called with."""
    graph = simplify(trace(f, *args))
    inputs = [a for a in tree_leaves(args) if isinstance(a, np.ndarray | np.inexact)]
    live = [n.value for n in graph.nodes() if n.given in (Given.PARAMETER, Given.ARRAY)]
    return emit(graph, "javascript"), [*inputs, *map(values_of, live)]


def _given(a: Any) -> Any:
    array = np.asarray(a)
    if array.shape == ():
        return array.item()
    kind = {"f8": "Float64Array", "f4": "Float32Array", "b1": "Uint8Array"}
    values = array.reshape(-1).tolist()
    return {"kind": kind.get(array.dtype.str[1:], "Int32Array"), "values": values}


def script_of(programs: Sequence[tuple[str, list[Any]]]) -> str:
    """Return a script that runs programs, and leaves in `results` what each gave."""
    parts = [_RUN, "const results = [];"]
    for text, args in programs:
        values = json.dumps([_given(a) for a in args])
        call = f"results.push(exact(program(...{values}.map(given))));"
        parts.append(f"try {{\n{text}\n{call}\n}} catch (e) {{ results.push(String(e)); }}")
    return "\n".join(parts)


def run_javascript(programs: Sequence[tuple[str, list[Any]]]) -> list[Any]:
    """Run programs in one process; return what each gave, numbers as floats, all else in lists."""
    assert NODE
    script = f"{script_of(programs)}\nconsole.log(JSON.stringify(results));"
    done = subprocess.run([NODE, "-"], input=script, capture_output=True, text=True, check=True)
    results: list[Any] = json.loads(done.stdout)
    return results


def furthest(result: Any, expected: Any) -> float:
    """Return the largest difference, as a share of the largest number of all."""
    parts = [np.asarray(values_of(leaf), float).reshape(-1) for leaf in tree_leaves(expected)]
    array = np.concatenate(parts)
    got = np.concatenate([np.atleast_1d(np.asarray(r, float)).reshape(-1) for r in _leaves(result)])
    finite = np.isfinite(array)
    np.testing.assert_array_equal(got[~finite], array[~finite])
    assert got.shape == array.shape
    largest = max(float(np.abs(array[finite]).max(initial=0)), 1e-30)
    return float(np.abs(got - array)[finite].max(initial=0)) / largest


def _leaves(result: Any) -> list[Any]:
    """List the arrays of a result, in order; one of numbers is an array."""
    if not isinstance(result, list) or all(not isinstance(r, list) for r in result):
        return [result]
    return [leaf for part in result for leaf in _leaves(part)]
