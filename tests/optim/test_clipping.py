"""Clipping: gradients whose common norm is too large are scaled down to it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tools.descents import (
    GRADIENTS,
    MAKERS,
    STARTS,
    WAYS,
    tensors,
    walked,
)

from autonn import Tensor, optim


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_clipped_by_their_common_norm(way: str) -> None:
    limit = 3.0
    norms = [math.sqrt(sum(float(np.sum(g**2)) for g in gradients)) for gradients in GRADIENTS]
    assert min(norms) < limit * 10 < max(norms)
    small = [[g / 30 for g in gradients] for gradients in GRADIENTS]
    clipped = [
        [g * min(1, limit * 30 / norm) for g in gradients]
        for gradients, norm in zip(small, norms, strict=True)
    ]
    assert any(norm > limit * 30 for norm in norms)
    assert any(norm < limit * 30 for norm in norms)
    ours = walked(MAKERS[way](tensors(), clip_norm=limit), small)
    for one, other in zip(ours, walked(MAKERS[way](tensors()), clipped), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_clipping_is_that_of_pytorch() -> None:
    torch: Any = pytest.importorskip("torch")
    theirs = [torch.tensor(start, requires_grad=True) for start in STARTS]
    for parameter, g in zip(theirs, GRADIENTS[0], strict=True):
        parameter.grad = torch.tensor(g)
    torch.nn.utils.clip_grad_norm_(theirs, 1.5)
    torch.optim.SGD(theirs, lr=0.1).step()
    ours = walked(optim.SGD(tensors(), lr=0.1, clip_norm=1.5), GRADIENTS[:1])
    for one, other in zip(ours, theirs, strict=True):  # PyTorch adds 1e-6 to the norm
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-6)


def test_clipping_stands_zeros_and_numbers_whose_squares_overflow() -> None:
    x = Tensor([1.0, 1.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=1.0, clip_norm=0.5)
    optimizer.apply([np.zeros(2)])
    np.testing.assert_array_equal(x.data, 1)
    optimizer.apply([None])
    optimizer.apply([np.array([3e200, 4e200])])
    np.testing.assert_allclose(x.data, [0.7, 0.6], rtol=1e-15)
    y = Tensor([1.0, 1.0], requires_grad=True, dtype=np.float32)
    optim.SGD([y], lr=1.0, clip_norm=0.5).apply([np.array([3e30, 4e30], np.float32)])
    np.testing.assert_allclose(y.data, [0.7, 0.6], rtol=1e-6)
    below = optim.SGD([y], lr=1e-25, clip_norm=7e25)  # of norm 5e25: not clipped
    below.apply([np.array([3e25, 4e25], np.float32)])
    np.testing.assert_allclose(y.data, [0.7 - 3, 0.6 - 4], rtol=1e-6)
    largest = np.full(4, np.finfo(float).max)
    z = Tensor(np.ones(4), requires_grad=True)
    optim.SGD([z], lr=1.0, clip_norm=0.5).apply([largest])
    np.testing.assert_allclose(z.data, 0.75)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_no_numbers_are_refused_where_they_are_clipped(bad: float) -> None:
    optimizer = optim.Adam(tensors(), clip_norm=1.0)
    optimizer.apply(GRADIENTS[0])
    state = optimizer.state_dict()
    before = [parameter.numpy() for parameter in optimizer.parameters]
    gradients = [GRADIENTS[0][0], np.array([0.0, bad, 0.0]), None]
    with pytest.raises(FloatingPointError, match=r"Adam: (nan|inf) in a gradient"):
        optimizer.apply(gradients)
    for parameter, old in zip(optimizer.parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.data, old)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
    optim.SGD(optimizer.parameters, lr=1.0).apply(gradients)  # as the formula says
    assert not np.isfinite(optimizer.parameters[1].data[1])
