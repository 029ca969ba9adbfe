"""Rows that are added up by their numbers: the bits of `np.add.at`, by a faster way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonn import Embedding, Tensor, compile, gradients
from autonn.engine import ops
from autonn.engine.ops import indexing


def added(g: Any, key: Any, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, g.dtype)
    np.add.at(out, key, g)
    return out


@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 40), count=st.integers(1, 200),
    width=st.lists(st.integers(0, 3), max_size=2), dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_the_sums_have_the_bits_of_adding_in_turn(
    seed: int, n: int, count: int, width: list[int], dtype: Any
) -> None:
    rng = np.random.default_rng(seed)
    key = rng.integers(-count, count, n)
    g = rng.standard_normal((n, *width)).astype(dtype)
    g[rng.random(g.shape) < 0.1] = -0.0
    found = indexing.summed_rows(g, key, (count, *width))
    assert found.dtype == dtype
    assert found.tobytes() == added(g, key, (count, *width)).tobytes()


@pytest.mark.parametrize("count", [5, 5000])
def test_many_rows_are_added_so_and_the_gradients_are_right(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    key = rng.integers(0, count, (16, 20))
    x = Tensor(rng.standard_normal((count, 16)), requires_grad=True)
    g = rng.standard_normal((16, 20, 16))
    assert indexing.are_rows(g, key, x.shape)
    np.sum(x[key] * g).backward()
    assert x.grad.tobytes() == added(g, key, x.shape).tobytes()
    monkeypatch.setattr(indexing, "summed_rows", lambda g, key, shape: np.zeros(shape))
    assert not np.array_equal(ops.put(g, key, x.shape), x.grad)


def test_an_embedding_in_a_program_adds_its_rows_so() -> None:
    layer, rng = Embedding(50, 32, rng=0), np.random.default_rng(0)

    def step(x: Any) -> Any:
        cost: Any = np.sum(np.sin(layer(x)))
        return cost.detach(), gradients(cost, [layer.weight])

    program = compile(step)
    for _ in range(3):
        x = rng.integers(0, 50, (8, 20))
        expected = added(np.cos(layer.weight.data)[x], x, (50, 32))
        np.testing.assert_allclose(program(x)[1][0], expected, rtol=1e-13)
    assert "sparse.csc_matrix" in program.source
    alone: dict[str, Any] = {}
    exec(program.source, alone)
    given = [t.data for t in program.programs.latest.live]  # type: ignore[union-attr]
    np.testing.assert_array_equal(alone["program"](x, *given)[1][0], program(x)[1][0])
