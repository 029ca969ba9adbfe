"""The steps of the optimisers are those of the papers' formulas and of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles.optimisers import Naive, adam, rmsprop
from tools.descents import (
    GRADIENTS,
    STARTS,
    WAYS,
    tensors,
    walked,
)

from autonn import optim


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-13), (np.float32, 2e-5)])
@pytest.mark.parametrize("way", WAYS)
def test_the_steps_are_those_of_the_formula(way: str, dtype: Any, tolerance: float) -> None:
    make, naive, *_ = WAYS[way]
    optimizer = make(tensors(dtype))
    for k, theta in enumerate(walked(optimizer, GRADIENTS)):
        expected = naive(STARTS[k], [gradients[k] for gradients in GRADIENTS])
        assert theta.dtype == dtype
        np.testing.assert_allclose(theta, expected, rtol=tolerance, atol=tolerance)
    for value in optimizer.state_dict().values():
        assert isinstance(value, int) or value.dtype == dtype


@pytest.mark.parametrize("way", WAYS)
def test_the_first_step_is_that_of_the_formula(way: str) -> None:
    """A wrong count of the steps shows most here, and momentum not at all."""
    make, naive, *_ = WAYS[way]
    for k, theta in enumerate(walked(make(tensors()), GRADIENTS[:1])):
        np.testing.assert_allclose(theta, naive(STARTS[k], [GRADIENTS[0][k]]), rtol=1e-14)


@pytest.mark.parametrize("way", WAYS)
def test_the_steps_are_those_of_pytorch(way: str) -> None:
    torch: Any = pytest.importorskip("torch")
    make, _, name, options = WAYS[way]
    theirs = [torch.tensor(start, requires_grad=True) for start in STARTS]
    optimizer = getattr(torch.optim, name)(theirs, **options)
    for gradients in GRADIENTS:
        for parameter, g in zip(theirs, gradients, strict=True):
            parameter.grad = torch.tensor(g)
        optimizer.step()
    for ours, parameter in zip(walked(make(tensors()), GRADIENTS), theirs, strict=True):
        np.testing.assert_allclose(ours, parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_the_defaults_are_those_of_the_papers() -> None:
    cases: list[tuple[Any, Naive]] = [
        (optim.Adam, lambda theta, g: adam(theta, g, 0.001, 0.9, 0.999, 1e-8)),
        (optim.AdamW, lambda theta, g: adam(theta, g, 0.001, 0.9, 0.999, 1e-8, 0.01)),
        (optim.RMSprop, lambda theta, g: rmsprop(theta, g, 0.001, 0.9, 1e-8)),
    ]
    for make, naive in cases:
        expected = naive(STARTS[0], [gradients[0] for gradients in GRADIENTS])
        np.testing.assert_allclose(walked(make(tensors()), GRADIENTS)[0], expected, rtol=1e-13)
