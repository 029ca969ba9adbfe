"""Weight decay: which parameters it pulls towards 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tools.descents import (
    MAKERS,
    WAYS,
)

from autonn import Layer, Module, Tensor, fit, optim


class Odd(Module):
    """Its bias is a matrix and its weight a vector: shapes say nothing."""

    biases = ("shift",)

    def __init__(self) -> None:
        self.scale = Tensor(np.ones(3), requires_grad=True)
        self.shift = Tensor(np.ones((2, 3)), requires_grad=True)
        self.parts = [Layer(3, 2, weight=np.ones((2, 3)), bias=np.ones(2))]

    def forward(self, x: Any) -> Tensor:
        out: Tensor = self.parts[0](x * self.scale + self.shift)
        return out


DECAYING = [way for way in WAYS if "decay" in way or way == "AdamW"]


@pytest.mark.parametrize("way", DECAYING)
@pytest.mark.parametrize("by_fit", [False, True])
def test_weight_decay_leaves_alone_what_a_module_calls_a_bias(way: str, by_fit: bool) -> None:
    model = Odd()
    optimizer = MAKERS[way]()
    if by_fit:
        flat = lambda predictions, targets: np.sum(predictions) * 0.0  # noqa: E731
        fit(model, np.ones((2, 3)), np.ones(2), loss=flat, optimizer=optimizer, epochs=3)
    else:
        optimizer.bind(model)
        for _ in range(3):
            optimizer.apply([np.zeros(p.shape) for p in optimizer.parameters])
    for name, parameter in model.named_parameters():
        if name in ("shift", "parts.0.bias"):
            assert np.all(parameter.data == 1), name
        else:
            assert np.all(parameter.data < 1), name


def test_of_bare_tensors_all_decay() -> None:
    model = Layer(2, 2, weight=np.ones((2, 2)), bias=np.ones(2))
    optimizer = optim.SGD(model.parameters(), lr=0.5, weight_decay=0.5)
    optimizer.apply([np.zeros((2, 2)), np.zeros(2)])
    assert np.all(model.weight.data == 0.75)
    assert np.all(model.bias.data == 0.75)
    optimizer.bind(model).apply([np.zeros((2, 2)), np.zeros(2)])  # the roles may be told later
    assert np.all(model.bias.data == 0.75)
