"""Every op states its traits, and a new one is declared in one place: here, in this file."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.traits import unstated

from autonn import compile, grad, gradcheck, value_and_grad
from autonn.compiler.partition import LEAST_ROWS
from autonn.engine.apply import define
from autonn.engine.op import OPS, Function, Memory, Op, elementwise

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent


def test_every_op_says_how_it_is_taken_apart_or_what_it_does_to_rows_and_memory() -> None:
    """In a process of its own, where no test has made an op."""
    path = os.pathsep.join([str(ROOT), str(TESTS)])
    done = subprocess.run(
        [sys.executable, "-m", "tools.traits"],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    head, *missing = done.stdout.splitlines()
    assert int(head.split()[0]) > len(OPS)
    assert missing == []


def test_an_op_that_does_not_is_named() -> None:
    silent = Op("silent", lambda x: x, "z = x", (None,))
    halfway = Op("halfway", lambda x: x, "z = x", (None,), rows=elementwise)
    parts = Op("parts", lambda x: x, "z = x", (None,), decompose=lambda x: x)
    plain = Op("plain", np.exp, "z = e^x", (None,))
    product = Op("product", np.matmul, "Z = X Y", (None, None))
    assert unstated([silent, halfway, parts, plain, product]) == [
        "silent: rows", "silent: memory", "halfway: memory", "product: rows", "product: memory",
    ]  # fmt: skip


# ---- one new op


@pytest.fixture
def softsign() -> Iterator[Function]:
    yield define(
        "softsign",
        lambda x: x / (1 + np.absolute(x)),
        "z = x / (1 + |x|)",
        lambda g, z, x: g / np.square(1 + np.absolute(x)),
        numpy=(),
        rows=elementwise,
        memory=Memory.NEW,
        kinks="At 0 the second derivative is 0.",
    )
    del OPS["softsign"]


X = np.array([-2.0, -0.5, 0.25, 3.0])


def test_a_new_op_is_differentiable_to_second_order(softsign: Function) -> None:
    assert gradcheck(softsign, X, order=2)
    np.testing.assert_allclose(grad(lambda x: np.sum(softsign(x)))(X), 1 / (1 + np.abs(X)) ** 2)


def test_a_new_op_is_compiled_and_stands_in_the_source(softsign: Function) -> None:
    f = value_and_grad(lambda x: np.sum(softsign(x) * x))
    compiled = compile(f)
    for got, expected in zip(compiled(X), f(X), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-15)
    assert "softsign(x)" in compiled.source
    assert "# (4,) z = x / (1 + |x|)" in compiled.source


def test_a_new_op_is_shared_out_by_rows(softsign: Function) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((LEAST_ROWS, 3)), rng.standard_normal(3)
    f = value_and_grad(lambda w, x: np.sum(softsign(x * w)))
    compiled = compile(f)
    for got, expected in zip(compiled(w, x), f(w, x), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    assert "\nSLICES = [" in compiled.source


@pytest.mark.skipif(
    np.lib.NumpyVersion(np.__version__) < "2.4.0",
    reason="NumPy's functions tell their parameters since 2.4",
)
def test_a_new_op_stands_in_the_gradient_contract(softsign: Function) -> None:
    page = generator("gradient_contract").page()
    (row,) = [line for line in page.splitlines() if line.startswith("| `softsign`")]
    assert r"z = x / (1 + \|x\|)" in row
    assert softsign.op.kinks in row
    assert generator("op_table").rows(softsign.op) == "element by element"


def generator(name: str) -> Any:
    """Return what writes a page of docs."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_op_is_gone_after_its_test() -> None:
    assert "softsign" not in OPS
