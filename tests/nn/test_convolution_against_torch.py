"""PyTorch has the same layers: the same weights, by name, must give the same in every way.

``AUTONN_LAYERS=3000 python -m pytest tests/nn/test_convolution_against_torch.py`` draws that many
of each kind.

Drawn without ties, which PyTorch gives to the first of the largest, and autonn to all alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autonn
from autonn import Tensor

torch: Any = pytest.importorskip("torch")

CASES = int(os.environ.get("AUTONN_LAYERS", "150"))
Random = np.random.Generator
Options = dict[str, Any]


def some(rng: Random, low: int, high: int) -> Any:
    """Draw one number, or one for each of two axes."""
    pair = tuple(int(n) for n in rng.integers(low, high + 1, 2))
    return pair if rng.random() < 0.5 else pair[0]


def convolution(rng: Random) -> tuple[str, tuple[Any, ...], Options]:
    groups = int(rng.integers(1, 3))
    channels = tuple(groups * int(n) for n in rng.integers(1, 4, 2))
    options = {
        "stride": some(rng, 1, 3), "dilation": some(rng, 1, 2), "groups": groups,
        "bias": bool(rng.random() < 0.7), "padding": some(rng, 0, 2),
    }  # fmt: skip
    if rng.random() < 0.3:
        options |= {"stride": 1, "padding": str(rng.choice(["same", "valid"]))}
    return "Conv2d", (*channels, some(rng, 1, 3)), options


def transposed(rng: Random) -> tuple[str, tuple[Any, ...], Options]:
    _, sizes, options = convolution(rng)
    stride = int(rng.integers(1, 4))
    more = {"padding": some(rng, 0, 1), "output_padding": int(rng.integers(stride))}
    return "ConvTranspose2d", sizes, options | more | {"stride": stride}


def along_rows(rng: Random) -> tuple[str, tuple[Any, ...], Options]:
    _, sizes, options = convolution(rng)
    plain = {k: v[0] if isinstance(v, tuple) else v for k, v in options.items()}
    return "Conv1d", (*sizes[:2], int(rng.integers(1, 4))), plain


def pool(rng: Random) -> tuple[str, tuple[Any, ...], Options]:
    size = some(rng, 2, 3)
    options: Options = {"padding": some(rng, 0, 1)}
    if rng.random() < 0.7:
        options["stride"] = some(rng, 1, 3)
    if rng.random() < 0.5:
        return "MaxPool2d", (size,), options | {"dilation": some(rng, 1, 2)}
    return "AvgPool2d", (size,), options | {"count_include_pad": bool(rng.random() < 0.5)}


def upsample(rng: Random) -> tuple[str, tuple[Any, ...], Options]:
    return "Upsample", (), {"scale_factor": some(rng, 1, 3)}


def input_of(rng: Random, name: str, layer: Any) -> Any:
    channels = getattr(layer, "in_channels", 2)
    sides = rng.integers(5, 9, 1 if name.endswith("1d") else 2)
    shape = int(rng.integers(1, 4)), channels, *sides
    return rng.permutation(int(np.prod(shape))).reshape(shape) / 10 - 3  # no two are equal


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's own, of even kernels
@pytest.mark.parametrize("draw", [convolution, transposed, along_rows, pool, upsample])
def test_the_same_layer_gives_the_same(draw: Callable[..., Any]) -> None:
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        name, sizes, options = draw(rng)
        theirs = getattr(torch.nn, name)(*sizes, **options).double()
        ours = getattr(autonn, name)(*sizes, **options)
        ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
        theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
        x = input_of(rng, name, ours)
        a, b = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        case = seed, name, sizes, options
        assert y.shape == tuple(z.shape), case
        np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-11, atol=1e-11)
        g = rng.standard_normal(y.shape)
        y.backward(g)
        z.backward(torch.tensor(g))
        their = dict(theirs.named_parameters()) | {"x": b}
        for key, tensor in (dict(ours.named_parameters()) | {"x": a}).items():
            found = their[key].grad.numpy()
            np.testing.assert_allclose(tensor.grad, found, rtol=1e-9, atol=1e-10, err_msg=str(case))


def test_the_functions_take_the_same_arguments_in_the_same_order() -> None:
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 4, 7, 7), (6, 2, 3, 3), (6,)))
    functional, to = torch.nn.functional, torch.tensor
    pairs = [
        (autonn.nn.conv2d(x, w, b, 2, 1, 2, 2), functional.conv2d(to(x), to(w), to(b), 2, 1, 2, 2)),
        (autonn.nn.conv1d(x[..., 0], w[..., 0], b, 2, 1, 2, 2),
         functional.conv1d(to(x[..., 0]), to(w[..., 0]), to(b), 2, 1, 2, 2)),
        (autonn.nn.conv_transpose2d(x, w[:4], b[:4], 2, 1, 1, 2, 2),
         functional.conv_transpose2d(to(x), to(w[:4]), to(b[:4]), 2, 1, 1, 2, 2)),
        (autonn.nn.max_pool2d(x, 3, 2, 1, 2), functional.max_pool2d(to(x), 3, 2, 1, 2)),
        (autonn.nn.avg_pool2d(x, 3, 2, 1), functional.avg_pool2d(to(x), 3, 2, 1)),
        (autonn.nn.max_pool1d(x[..., 0], 3, 2, 1, 2),
         functional.max_pool1d(to(x[..., 0]), 3, 2, 1, 2)),
        (autonn.nn.avg_pool1d(x[..., 0], 3, 2, 1), functional.avg_pool1d(to(x[..., 0]), 3, 2, 1)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-12, atol=1e-12)
