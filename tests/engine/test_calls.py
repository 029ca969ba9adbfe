"""Calls as NumPy has them, and what a wrong one says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tools.op_checks import (
    assert_close,
)
from tools.refusals import assert_refused

from autonn import (
    Tensor,
)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x, axis=1, keepdims=True),
        lambda x: np.swapaxes(x, axis1=0, axis2=1), lambda x: np.round(x, decimals=1),
        lambda x: np.moveaxis(x, source=0, destination=1), lambda x: np.expand_dims(x, axis=1),
        lambda x: np.transpose(x, axes=(1, 0)), lambda x: np.broadcast_to(x, shape=(2, 2, 3)),
        lambda x: np.clip(x, a_min=-1, a_max=1), lambda x: np.roll(x, shift=1, axis=0),
        lambda x: np.tile(x, reps=(2, 1)), lambda x: np.repeat(x, repeats=2, axis=0),
        lambda x: np.diag(x, k=1), lambda x: np.tril(x, k=1), lambda x: np.flip(x, axis=0),
        lambda x: np.take(x, indices=[0, 0], axis=1), lambda x: np.squeeze(x[:, :1], axis=1),
        lambda x: np.split(x, indices_or_sections=2, axis=0)[0],
        lambda x: np.array_split(x, indices_or_sections=2, axis=0)[0],
        lambda x: np.pad(x, pad_width=1, mode="constant"), lambda x: np.trace(x, offset=1),
        lambda x: np.linalg.norm(x, ord=2, axis=0), lambda x: np.cumsum(x, axis=0),
        lambda x: np.tensordot(x, x, axes=((0, 1), (0, 1))), lambda x: np.stack([x, x], axis=2),
        lambda x: np.concatenate([x, x], axis=1), lambda x: np.sort(x, axis=0),
        lambda x: np.var(x, axis=0, ddof=1), lambda x: np.max(x, axis=0, keepdims=True),
    ],
)  # fmt: skip
def test_functions_take_numpys_keywords(f: Callable[..., Any]) -> None:
    x = np.array([[0.3, -1.2, 0.7], [1.4, 0.2, -0.6]])
    t = Tensor(x, requires_grad=True)
    result = f(t)
    assert_close(result.data, np.asarray(f(x)), 1e-14)
    result.backward(np.ones(result.shape))
    assert t.grad.shape == x.shape


X = Tensor(np.ones((2, 3)), requires_grad=True)

BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    *(
        (lambda f=f: f(X, np.ones(4)), ValueError, [f.__name__, "(2, 3) and (4,)"])
        for f in (np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum,
                  np.hypot, np.arctan2, np.logaddexp)
    ),
    (lambda: X @ np.ones((2, 3)), ValueError, ["matmul", ".T"]),
    (lambda: Tensor(2.0) @ np.ones(3), ValueError, ["matmul"]),
    (lambda: np.where(np.ones(4, bool), X, 0), ValueError, ["where", "(4,)"]),
    (lambda: X.reshape(4, 2), ValueError, ["reshape"]),
    (lambda: np.concatenate([X, np.ones((2, 2))]), ValueError, ["concatenate", "(2, 2)"]),
    (lambda: np.concatenate([]), ValueError, ["concatenate"]),
    (lambda: np.stack([X, np.ones(3)]), ValueError, ["stack", "(3,)"]),
    (lambda: np.split(X, 2, axis=1), ValueError, ["split", "array_split"]),
    (lambda: np.max(Tensor(np.ones((0, 2)))), ValueError, ["zero-size"]),
    *(
        (lambda f=f: f(X, axis=5), np.exceptions.AxisError, ["axis 5"])
        for f in (np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std, np.cumsum, np.cumprod)
    ),
    (lambda: X.sum(axis=(0, 0)), ValueError, ["duplicate"]),
    (lambda: X.transpose(0, 0), ValueError, ["axis"]),
    (lambda: X[5], IndexError, ["index 5"]),
    (lambda: X["a"], IndexError, ["indices"]),
    (lambda: X[1.5], IndexError, ["indices"]),
    (lambda: X[np.ones(3, bool)], IndexError, ["boolean"]),
    (lambda: X.at[[0, 0]].set(1.0), ValueError, ["repeats"]),
    (lambda: X.at[5].set(1.0), IndexError, ["index 5"]),
    (lambda: np.einsum("ij,jk", X, X), ValueError, ["einsum", "(2, 3) and (2, 3)"]),
    (lambda: np.einsum("ij,jk", X), ValueError, ["einsum", "'ij,jk'"]),
    (lambda: np.tensordot(X, X, 1), ValueError, ["tensordot", "axis"]),
    (lambda: np.linalg.solve(X, np.ones(2)), np.linalg.LinAlgError, ["square"]),
    (lambda: np.linalg.inv(Tensor(np.zeros((2, 2)))), np.linalg.LinAlgError, ["Singular"]),
    (lambda: np.pad(X, 1, "reflect", reflect_type="odd"), TypeError, ["np.pad", "odd"]),
    (lambda: np.linalg.norm(X, 3), ValueError, ["norm", "3"]),
    (lambda: np.linalg.norm(X[0], "nuc"), ValueError, ["norm", "'nuc'"]),
    (lambda: np.linalg.svd(X), TypeError, ["svd", "full_matrices=False"]),
    *(
        (lambda f=f, bad=bad: f(X, bad), TypeError, [f.__name__, repr(bad)])
        for f in (np.add, np.multiply, np.power, np.maximum, np.matmul)
        for bad in ("a", None)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_errors_have_their_class_and_name_the_op(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)
