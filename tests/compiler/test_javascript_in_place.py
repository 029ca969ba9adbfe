"""A step in JavaScript that writes over what it is given, and makes nothing anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS
from tools.javascript import NODE, furthest, run_javascript

from autonn import functional_call, value_and_grad
from autonn.compiler import simplify, trace
from autonn.compiler.emit_javascript import write_javascript

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs JavaScript, is not there")

# A typed array that counts how many of its numbers are read, and written.
COUNTED = """
const counts = [0, 0], counted = (a) => new Proxy(a, {
  get: (_, k) => { counts[0] += /^[0-9]/.test(k); return a[k]; },
  set: (_, k, v) => { counts[1]++; a[k] = v; return true; },
});
"""


def written(f: Any, args: Any, onto: Mapping[int, int], wrapped: str) -> str:
    """Return the program of f, within another that calls it `once`."""
    text = write_javascript(simplify(trace(f, *args)), fresh=False, onto=onto)
    once = text.replace("function program(", "function once(")
    return f"{once}\nfunction program(...given) {{\n{wrapped}\n}}"


def descent(name: str) -> tuple[Any, Any, Any, dict[int, int]]:
    """Return a step of descent of a network, its weights, what it is fed, and what goes over it."""
    make, x = NETWORKS[name]
    model = make().eval()
    slope = value_and_grad(lambda w, x: np.sum(np.sin(functional_call(model, w, x))))

    def step(w: Any, x: Any) -> Any:
        cost, d = slope(w, x)
        return cost, [w[k] - 0.1 * d[k] for k in w]

    weights = model.state_dict()
    return step, weights, x[:1], {1 + k: k for k in range(len(weights))}


def test_it_makes_nothing_anew_and_goes_over_the_weights_twice() -> None:
    step, weights, x, onto = descent("digits")
    wrapped = "const [w, ...rest] = given; once(counted(w), ...rest); return counts;"
    text = written(step, (weights, x), onto, COUNTED + wrapped)
    body = text[text.index("function once(") : text.index("function program(")]
    assert not re.findall(r"new |\.slice|\.map|\.set\(|=> ", body)
    made = [int(n) for n in re.findall(r"new Float64Array\((\d+)\)", text)]
    assert max(made) <= 25  # no gradient of a weight lies in memory
    (counts,) = run_javascript([(text, [*weights.values(), x])])
    assert counts == [2 * 10_000, 10_000]


@pytest.mark.parametrize("name", ["digits", "residual", "norms", "conv1d", "gru"])
def test_new_weights_go_over_the_old_ones(name: str) -> None:
    step, weights, x, onto = descent(name)
    wrapped = """
    const x = given.pop();
    let cost;
    for (let k = 0; k < 3; k++) {
      const [now, after] = once(...given, x);
      if (!after.every((a, i) => a === given[i])) return "elsewhere";
      cost = now;
    }
    return [cost, given];"""
    text = written(step, (weights, x), onto, wrapped)
    (result,) = run_javascript([(text, [*weights.values(), x])])
    for _ in range(3):
        cost, after = step(weights, x)
        weights = dict(zip(weights, after, strict=True))
    assert furthest(result, (cost, after)) < 1e-12


CASES: dict[str, tuple[Any, dict[int, int]]] = {
    "read later": (lambda a, b: (a + b, np.sum(a * b)), {0: 0}),
    "read elsewhere": (lambda a, b: (a[::-1] + b, b), {0: 0, 1: 1}),
    "returned as it was": (lambda a, b: (a * 2, a), {0: 0}),
    "changing places": (lambda a, b: (b, a), {0: 0, 1: 1}),
    "read in parts": (
        lambda a, b: (np.reshape(a, (2, 2)).T.reshape(4) + a, b * np.max(a)), {0: 0, 1: 1}
    ),
    "one after the other": (lambda a, b: (a * b, np.sin(b) + a), {0: 0, 1: 1}),
    "no element-wise one": (lambda a, b: (np.cumsum(a), np.sum(b)), {0: 1}),
    "of another array": (lambda a, b: (b + 1, a - 1), {0: 0, 1: 1}),
}  # fmt: skip


def test_what_is_still_read_is_written_over_at_the_end() -> None:
    a, b = np.arange(4.0), np.array([3.0, 1.0, -2.0, 0.5])
    programs = []
    for f, onto in CASES.values():
        same = ", ".join(f"result[{k}] === given[{i}]" for k, i in onto.items())
        wrapped = f"const result = once(...given); return [[{same}], result];"
        programs.append((written(f, (a, b), onto, wrapped), [a, b]))
    for name, (same, result) in zip(CASES, run_javascript(programs), strict=True):
        f, onto = CASES[name]
        assert same == [True] * len(onto), name
        assert furthest(result, f(a, b)) < 1e-15, name
