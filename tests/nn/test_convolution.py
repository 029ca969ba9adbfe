"""Convolutions: against loops over every number, in every order of derivative, and compiled."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import convolutions
from tools.directions import check_along
from tools.planting import another, planted
from tools.refusals import assert_refused

import autonn
from autonn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool2d,
    ReLU,
    Sequential,
    SoftmaxCrossEntropy,
    Tensor,
    compile,
    fit,
    gradcheck,
    gradients,
    nn,
    optim,
    vjp,
)
from autonn.compiler.partition import LEAST_ROWS
from autonn.engine import ops
from autonn.engine.ops import convolution
from autonn.nn.init import glorot_uniform

Random = np.random.Generator


# ---- drawn layers, and what they must give


@st.composite
def drawn(draw: Any) -> dict[str, Any]:
    """Draw the sizes of a convolution that fits."""

    def pair(low: int, high: int) -> Any:
        return tuple(draw(st.integers(low, high)) for _ in range(2))

    groups = draw(st.integers(1, 3))
    kernel, stride, dilation, padding = pair(1, 3), pair(1, 3), pair(1, 2), pair(0, 2)
    least = (
        max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    return {
        "m": draw(st.integers(1, 2)), "groups": groups, "into": groups * draw(st.integers(1, 2)),
        "out": groups * draw(st.integers(1, 3)), "kernel": kernel, "stride": stride,
        "dilation": dilation, "padding": padding,
        "sides": tuple(n + draw(st.integers(0, 4)) for n in least),
        "seed": draw(st.integers(0, 99)),
    }  # fmt: skip


def how_of(case: dict[str, Any]) -> convolutions.How:
    return case["stride"], case["dilation"], tuple((p, p) for p in case["padding"])


def pictures_of(case: dict[str, Any], rng: Random) -> Any:
    return rng.standard_normal((case["m"], case["into"], *case["sides"]))


def kernels_of(case: dict[str, Any], rng: Random) -> Any:
    return rng.standard_normal((case["out"], case["into"] // case["groups"], *case["kernel"]))


def agree(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    got = got.data if isinstance(got, Tensor) else got
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance * 10)


@given(case=drawn(), cache=st.sampled_from([1, 2**20]))
def test_conv2d_is_the_sum_of_its_formula_and_so_are_its_gradients(
    case: dict[str, Any], cache: int
) -> None:
    rng = np.random.default_rng(case["seed"])
    x, w, b = pictures_of(case, rng), kernels_of(case, rng), rng.standard_normal(case["out"])
    layer = Conv2d(
        case["into"], case["out"], case["kernel"], case["stride"], case["padding"],
        case["dilation"], case["groups"], weight=w, bias=b,
    )  # fmt: skip
    expected = convolutions.conv2d(x, w, case["groups"], how_of(case)) + b[:, None, None]
    t = Tensor(x, requires_grad=True)
    with another(convolution, "PATCH_BYTES", cache):  # one position at a time, or all at once
        z = layer(t)
        agree(z, expected)
        g = rng.standard_normal(z.shape)
        z.backward(g)
    how = case["groups"], how_of(case)
    agree(t.grad, convolutions.conv_transpose2d(g, w, x.shape[2:], *how))
    agree(layer.weight.grad, convolutions.conv_weight(x, g, w.shape, *how))
    agree(layer.bias.grad, g.sum(axis=(0, 2, 3)))


@given(case=drawn())
def test_conv1d_is_a_picture_of_height_1(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    x, w = pictures_of(case, rng)[:, :, 0], kernels_of(case, rng)[:, :, 0]
    stride, dilation, padding = case["stride"][1], case["dilation"][1], case["padding"][1]
    layer = Conv1d(
        case["into"], case["out"], case["kernel"][1], stride, padding, dilation, case["groups"],
        weight=w, bias=False,
    )  # fmt: skip
    how = (1, stride), (1, dilation), ((0, 0), (padding, padding))
    expected = convolutions.conv2d(x[:, :, None], w[:, :, None], case["groups"], how)[:, :, 0]
    agree(layer(x), expected)
    agree(nn.conv1d(x, w, None, stride, padding, dilation, case["groups"]), expected)


@given(case=drawn(), more=st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_conv_transpose2d_is_what_a_convolution_does_to_gradients(
    case: dict[str, Any], more: tuple[int, int]
) -> None:
    """Of the convolution that leads back: to x from pictures of the sides that it gives."""
    rng = np.random.default_rng(case["seed"])
    m, out, groups = case["m"], case["out"], case["groups"]
    extra = tuple(min(e, s - 1) for e, s in zip(more, case["stride"], strict=True))
    x, w = rng.standard_normal((m, out, *case["sides"])), kernels_of(case, rng)
    axes = zip(
        case["sides"], case["kernel"], case["stride"], case["dilation"], case["padding"], extra,
        strict=True,
    )  # fmt: skip
    sides = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, p, e in axes)

    def call() -> Tensor:
        layer = ConvTranspose2d(
            out, case["into"], case["kernel"], case["stride"], case["padding"], extra, groups,
            dilation=case["dilation"], weight=w, bias=np.arange(float(case["into"])),
        )  # fmt: skip
        return layer(x)

    if min(sides) < 1:
        assert_refused(call, ValueError, ["ConvTranspose2d(", "less padding"])
        return
    expected = convolutions.conv_transpose2d(x, w, sides, groups, how_of(case))
    agree(call(), expected + np.arange(float(case["into"]))[:, None, None])


@pytest.mark.parametrize("n", [5, 6])
@pytest.mark.parametrize(("k", "dilation"), [(1, 1), (2, 1), (3, 2), (4, 1)])
def test_same_keeps_the_sides_and_valid_pads_nothing(n: int, k: int, dilation: int) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 1, n, n)), rng.standard_normal((1, 1, k, k))
    span = dilation * (k - 1)
    around = ((span // 2, span - span // 2),) * 2
    for padding, frame in (("same", around), ("valid", ((0, 0),) * 2)):
        layer = Conv2d(1, 1, k, padding=padding, dilation=dilation, weight=w)
        if padding == "same":
            assert layer(x).shape == x.shape
        how = (1, 1), (dilation,) * 2, frame
        agree(layer(x), convolutions.conv2d(x, w, 1, how))
        assert repr(layer) == repr(layer).replace(str(frame), "")
        assert f"padding='{padding}'" in repr(layer)


# ---- every order, every dtype, compiled and cut

LAYERS: list[tuple[Callable[..., Any], tuple[int, ...]]] = [
    (lambda x, w: nn.conv1d(x, w, stride=2, padding=1), (2, 2, 4, 3, 2, 3)),
    (lambda x, w: nn.conv2d(x, w, padding=1, groups=2), (1, 2, 3, 2, 2, 1, 2, 2)),
    (lambda x, w: nn.conv2d(x, w, stride=(1, 2), dilation=2), (2, 1, 3, 4, 2, 1, 2, 2)),
    (lambda x, w: nn.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
     (1, 2, 2, 2, 2, 1, 3, 2)),
]  # fmt: skip


def operands(shapes: tuple[int, ...], dtype: Any = np.float64) -> tuple[Any, Any]:
    rng, half = np.random.default_rng(3), len(shapes) // 2
    return tuple(rng.standard_normal(s).astype(dtype) for s in (shapes[:half], shapes[half:]))  # type: ignore[return-value]


@pytest.mark.parametrize(("f", "shapes"), LAYERS)
def test_first_and_second_derivatives_are_those_of_the_function(f: Any, shapes: Any) -> None:
    check_along(lambda x, w: np.sin(f(x, w)), *operands(shapes))


@pytest.mark.parametrize(("f", "shapes"), LAYERS)
def test_float32_stays_float32(f: Any, shapes: Any) -> None:
    x, w = operands(shapes)
    x32, w32 = operands(shapes, np.float32)
    for got, expected in zip(
        (f(x32, w32).data, *vjp(f, x32, w32)[1](np.ones_like(f(x32, w32).data))),
        (f(x, w).data, *vjp(f, x, w)[1](np.ones_like(f(x, w).data))),
        strict=True,
    ):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def lenet(dtype: Any = np.float64) -> Sequential:
    return Sequential(
        Conv2d(1, 4, 3, padding="same", rng=0, dtype=dtype), ReLU(), MaxPool2d(2),
        Conv2d(4, 6, 3, rng=1, dtype=dtype), ReLU(), MaxPool2d(2), Flatten(),
        Layer(6, 3, rng=2, dtype=dtype),
    )  # fmt: skip


def step_of(model: Any) -> Callable[..., Any]:
    def step(x: Any, y: Any) -> Any:
        cost = SoftmaxCrossEntropy()(model(x), y)
        return cost.detach(), gradients(cost, model.parameters())

    return step


def flat(tree: Any) -> list[Any]:
    if isinstance(tree, tuple | list):
        return [leaf for part in tree for leaf in flat(part)]
    return [tree.data if isinstance(tree, Tensor) else np.asarray(tree)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_compiled_step_is_the_eager_one(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    step = step_of(lenet(dtype))
    compiled = compile(step)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for _ in range(2):  # the second call finds the memory of the first
        x, y = rng.standard_normal((5, 1, 8, 8)).astype(dtype), rng.integers(0, 3, 5)
        for got, expected in zip(flat(compiled(x, y)), flat(step(x, y)), strict=True):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    assert "out=b" in next(line for line in compiled.source.splitlines() if "= conv(" in line)
    assert "autonn" not in compiled.source.split('"""')[2]


@pytest.mark.parametrize("sides", [(5, 4), (1, 9)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_many_pictures_are_those_of_a_few(sides: Any, stride: Any) -> None:
    """More than are laid out at a time, so that the last are fewer: each is what it is alone."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((600, 2, *sides)), rng.standard_normal((8, 2, 1, 3))
    how: dict[str, Any] = {
        "stride": stride, "dilation": (1, 1), "padding": ((0, 0), (1, 1)), "groups": 1
    }  # fmt: skip
    z = ops.conv(x, w, **how)
    g = rng.standard_normal(z.shape)
    parts = [slice(0, 100), slice(100, 350), slice(350, 600)]
    agree(z, np.concatenate([ops.conv(x[part], w, **how) for part in parts]))
    back = ops.conv_transpose(g, w, shape=x.shape, **how)
    for part in parts:
        shape = (part.stop - part.start, *x.shape[1:])
        agree(back[part], ops.conv_transpose(g[part], w, shape=shape, **how))
    whole = ops.conv_weight(x, g, shape=w.shape, **how)
    agree(whole, sum(ops.conv_weight(x[p], g[p], shape=w.shape, **how) for p in parts), 1e-11)


def test_it_does_not_matter_how_pictures_lie() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((20, 4, 6, 5)), rng.standard_normal((4, 2, 3, 2))
    how: dict[str, Any] = {
        "stride": (1, 1), "dilation": (2, 1), "padding": ((2, 1), (0, 1)), "groups": 2
    }  # fmt: skip
    z = ops.conv(x, w, **how)
    for order in ("C", "F"):
        np.testing.assert_array_equal(ops.conv(np.array(x, order=order), w, **how), z)
        out = np.full_like(z, np.nan, order=order)
        assert convolution.conv.op.forward(x, w, **how, out=out) is out
        agree(out, z)
        given_so = np.array(z, order=order)
        for f, shape, operands in (
            (ops.conv_weight, w.shape, (x, given_so)), (ops.conv_transpose, x.shape, (given_so, w))
        ):  # fmt: skip
            first, second = (z if a is given_so else a for a in operands)
            agree(f(*operands, shape=shape, **how), f(first, second, shape=shape, **how))


def blocks(rows: bool) -> Sequential:
    """Two convolutions with batch normalisation, of pictures or along rows."""
    if rows:
        return Sequential(
            Conv1d(2, 4, 3, padding=1, rng=0), BatchNorm1d(4), ReLU(), Conv1d(4, 3, 3, rng=1),
            BatchNorm1d(3), ReLU(), Flatten(), Layer(18, 3, rng=2),
        )  # fmt: skip
    return Sequential(
        Conv2d(2, 4, 3, padding=1, rng=0), BatchNorm2d(4), ReLU(), Conv2d(4, 3, 3, rng=1),
        BatchNorm2d(3), ReLU(), GlobalAveragePool(), Layer(3, 3, rng=2),
    )  # fmt: skip


@pytest.mark.parametrize("rows", [False, True])
def test_in_a_program_pictures_lie_last_from_one_convolution_to_the_next(rows: bool) -> None:
    rng = np.random.default_rng(0)
    step = step_of(blocks(rows))
    x = rng.standard_normal((6, 2, 8) if rows else (6, 2, 8, 7))
    y = rng.integers(0, 3, 6)
    compiled = compile(step)
    for _ in range(2):
        for got, expected in zip(flat(compiled(x, y)), flat(step(x, y)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    laid = compiled.source.partition("def workspace")[2].partition("def program")[0]
    pictures = re.findall(r"reshape\(\((\d+, \d+, \d+(?:, \d+)?)\)\)(\.transpose)?", laid)
    pictures = [(shape, turned) for shape, turned in pictures if "1, " not in shape or rows]
    large = [turned for shape, turned in pictures if math.prod(map(int, shape.split(", "))) > 40]
    assert len(large) > 4
    assert all(large), laid
    assert "_cut = functools.lru_cache(maxsize=256, typed=False)(_cut)" in compiled.source


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_a_program_joins_what_convolutions_give(axis: int) -> None:
    rng = np.random.default_rng(0)
    x, v, w = (rng.standard_normal(s) for s in ((4, 2, 6, 5), (3, 2, 3, 3), (3, 2, 3, 3)))

    def f(x: Any, v: Any, w: Any) -> Any:
        joined = np.concatenate([np.exp(nn.conv2d(x, v)), np.exp(nn.conv2d(x, w))], axis=axis)
        return np.sum(np.tanh(joined.transpose(0, 2, 3, 1)) ** 2)

    for f_or_slopes in (f, autonn.grad(f, (0, 1, 2))):
        compiled = compile(f_or_slopes)
        for got, expected in zip(flat(compiled(x, v, w)), flat(f_or_slopes(x, v, w)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_rows_are_shared_out() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 2, 3, rng=0), ReLU(), MaxPool2d(2), Flatten(), Layer(2, 3, rng=1))
    x, y = rng.standard_normal((LEAST_ROWS, 1, 4, 4)), rng.integers(0, 3, LEAST_ROWS)
    step = step_of(model)
    compiled = compile(step)
    for got, expected in zip(flat(compiled(x, y)), flat(step(x, y)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    assert "\nSLICES = [" in compiled.source


def test_of_large_pictures_few_are_shared_out_and_of_small_ones_none() -> None:
    rng = np.random.default_rng(0)
    model = Sequential(Conv2d(1, 8, 3, rng=0), ReLU(), nn.GlobalAveragePool(), Layer(8, 3, rng=1))
    step = step_of(model)
    for m, side, shared in ((16, 48, True), (16, 6, False), (1, 240, False)):
        x, y = rng.standard_normal((m, 1, side, side)), rng.integers(0, 3, m)
        compiled = compile(step)
        for got, expected in zip(flat(compiled(x, y)), flat(step(x, y)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
        assert ("\nSLICES = [" in compiled.source) == shared


def test_a_network_of_them_is_trained_saved_and_loaded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = 0.1 * rng.standard_normal((60, 1, 8, 8))
    for k in range(3):  # a bar at the top, in the middle, at the bottom
        x[y == k, 0, 3 * k : 3 * k + 2] += 1
    model = lenet()
    history = fit(
        model, x, y, loss=SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.03), epochs=6,
        batch_size=20, seed=0,
    )  # fmt: skip
    assert history.cost[-1] < 0.3 * history.cost[0]
    autonn.save_weights(model, tmp_path / "net.npz")
    other = lenet()
    autonn.load_weights(other, tmp_path / "net.npz")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


# ---- names, shapes, initial values


def test_parameters_have_the_names_and_shapes_that_pytorch_has() -> None:
    shapes: dict[Any, tuple[int, ...]] = {
        Conv1d(4, 6, 3, groups=2): (6, 2, 3),
        Conv2d(4, 6, (3, 2), groups=2): (6, 2, 3, 2),
        ConvTranspose2d(4, 6, (3, 2), groups=2): (4, 3, 3, 2),
    }
    kinds: list[Any] = [Conv1d, Conv2d, ConvTranspose2d]
    for kind in kinds:
        assert kind(4, 6, 2, bias=False).bias is None
    for layer, shape in shapes.items():
        state = layer.state_dict()
        assert {name: a.shape for name, a in state.items()} == {"weight": shape, "bias": (6,)}
        assert [p is layer.weight for p in layer.weights()] == [True]
        assert np.all(state["bias"] == 0)
    assert list(Conv2d(1, 1, 1, bias=False).state_dict()) == ["weight"]
    limit = np.sqrt(6 / ((4 + 30) * 9))
    w = glorot_uniform((30, 4, 3, 3), np.random.default_rng(0))
    assert 0.98 * limit < np.abs(w).max() <= limit
    assert Conv2d(1, 2, 3, bias=[1.0, 2.0], rng=0).bias.data.tolist() == [1, 2]
    first, second = (Conv2d(1, 2, 3, rng=5).weight.data for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Conv1d(1, 2, 3), "Conv1d(1, 2, kernel_size=3)"),
        (Conv2d(1, 2, (3, 5), stride=2, padding=(0, 1)),
         "Conv2d(1, 2, kernel_size=(3, 5), stride=2, padding=(0, 1))"),
        (Conv2d(2, 2, 3, dilation=2, groups=2, bias=False),
         "Conv2d(2, 2, kernel_size=3, dilation=2, groups=2, bias=False)"),
        (ConvTranspose2d(1, 2, 2, 2, output_padding=1),
         "ConvTranspose2d(1, 2, kernel_size=2, stride=2, output_padding=1)"),
    ],
)  # fmt: skip
def test_a_layer_is_shown_as_it_is_called(layer: Any, text: str) -> None:
    assert repr(layer) == text
    assert repr(eval(text)) == text
    assert layer.summary().splitlines()[1].split(")")[0] == text.split(")")[0]


def test_a_batch_may_be_empty_or_of_whole_numbers() -> None:
    layer = Conv2d(1, 2, 3, rng=0)
    assert layer(np.zeros((0, 1, 5, 5))).shape == (0, 2, 3, 3)
    assert layer(np.ones((1, 1, 3, 3), int)).shape == (1, 2, 1, 1)


# ---- bad calls

X = np.ones((5, 2, 6, 6))
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: Conv2d(0, 2, 3), ValueError, ["Conv2d(0, 2, 3)", "in_channels", "at least 1"]),
    (lambda: Conv2d(2, 2.5, 3), TypeError, ["Conv2d(2, 2.5, 3)", "out_channels", "whole"]),  # type: ignore[arg-type]
    (lambda: Conv2d(2, 2, (3, 3, 3)), ValueError, ["kernel_size", "2 axes", "(3, 3, 3)"]),
    (lambda: Conv1d(2, 2, (3, 3)), ValueError, ["Conv1d", "one axis"]),
    (lambda: Conv2d(2, 2, 3, stride=0), ValueError, ["stride", "at least 1"]),
    (lambda: Conv2d(2, 2, 3, padding=-1), ValueError, ["padding", "at least 0"]),
    (lambda: Conv2d(2, 2, 3, padding="full"), ValueError, ["'full'", "'same'"]),
    (lambda: Conv2d(2, 2, 3, 2, "same"), ValueError, ["'same'", "stride 2", "stride of 1"]),
    (lambda: Conv2d(2, 3, 3, groups=2), ValueError, ["groups=2", "divide"]),
    (lambda: Conv2d(2, 3, 3, weight=np.ones((2, 3, 3, 3))), ValueError, ["(2, 3, 3, 3)"]),
    (lambda: ConvTranspose2d(2, 3, 3, 2, output_padding=2), ValueError,
     ["output_padding 2", "stride 2", "smaller"]),
    (lambda: Conv2d(3, 2, 3)(X), ValueError,
     ["Conv2d(3, 2, kernel_size=3)", "(5, 2, 6, 6)", "(m, 3, h, w)"]),
    (lambda: Conv2d(1, 2, 3)(X[:, 0]), ValueError, ["(5, 6, 6)", "x[:, None]"]),
    (lambda: Conv2d(2, 2, 3)(X[0]), ValueError, ["(2, 6, 6)", "x[None]"]),
    (lambda: Conv2d(2, 2, 3)(np.moveaxis(X, 1, -1)), ValueError, ["np.moveaxis(x, -1, 1)"]),
    (lambda: Conv2d(1, 2, 3)(np.ones((5, 400))), ValueError, ["x.reshape(len(x), 1, h, w)"]),
    (lambda: Conv1d(2, 2, 3)(X), ValueError, ["Conv1d", "(m, 2, length)"]),
    (lambda: ConvTranspose2d(3, 2, 3)(X), ValueError, ["ConvTranspose2d", "(m, 3, h, w)"]),
    (lambda: Conv2d(2, 2, 7)(X), ValueError, ["6 x 6", "7 x 7", "kernel_size"]),
    (lambda: Conv2d(2, 2, 4, dilation=2)(X), ValueError, ["Conv2d", "7 x 7", "padding"]),
    (lambda: nn.conv2d(X, np.ones((2, 3, 3, 3))), ValueError, ["conv2d", "(m, 3, h, w)"]),
    (lambda: nn.conv2d(X, np.ones((2, 2, 3))), ValueError, ["conv2d", "weight", "(2, 2, 3)"]),
    (lambda: nn.conv2d(X, np.ones((3, 1, 3, 3)), groups=2), ValueError, ["conv2d", "groups=2"]),
    (lambda: nn.conv2d(X, np.ones((2, 2, 3, 3)), np.ones(3)), ValueError, ["conv2d", "(3,)"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- what is wrong is seen

STRIDE, PADDING = 2, 1


def to_pictures(g: Any, w: Any, x: Any, stride: int, padding: int) -> Any:
    total = np.zeros(x.shape)
    for p, k, at in _reads(g, w, x, stride, padding):
        total[(..., *at)] += g[(..., *p)] @ w[(..., *k)]
    return total


def to_kernels(g: Any, w: Any, x: Any, stride: int, padding: int) -> Any:
    total = np.zeros(w.shape)
    for p, k, at in _reads(g, w, x, stride, padding):
        total[(..., *k)] += g[(..., *p)].T @ x[(..., *at)]
    return total


def _reads(g: Any, w: Any, x: Any, stride: int, padding: int) -> Any:
    for p in np.ndindex(*g.shape[2:]):
        for k in np.ndindex(*w.shape[2:]):
            at = tuple(stride * p[a] + k[a] - padding for a in range(2))
            if all(0 <= i < n for i, n in zip(at, x.shape[2:], strict=True)):
                yield p, k, at


WRONG: list[tuple[str, int, Callable[..., Any]]] = [
    ("conv", 0, lambda d, g, z, x, w: to_pictures(g, w, x, 1, PADDING)),
    ("conv", 0, lambda d, g, z, x, w: to_pictures(g, w, x, STRIDE, 0)),
    ("conv", 1, lambda d, g, z, x, w: to_kernels(g, w, x, 1, PADDING)),
    ("conv", 1, lambda d, g, z, x, w: to_kernels(g, w, x, STRIDE, 0)),
    ("conv", 1, lambda d, *args: d[:, :, ::-1, ::-1]),
    ("conv_transpose", 1, lambda d, *args: d[:, :, ::-1, ::-1]),
    ("conv_transpose", 0, lambda d, *args: d[:, ::-1]),
    ("conv_weight", 0, lambda d, *args: -d),
]


def bent(x: Any, w: Any) -> Any:
    return np.sin(nn.conv2d(x, w, stride=STRIDE, padding=PADDING))


def both() -> Any:
    rng = np.random.default_rng(0)
    return rng.standard_normal((1, 2, 4, 3)), rng.standard_normal((2, 2, 2, 2))


def test_the_right_rules_are_those_that_a_stride_and_a_frame_need() -> None:
    x, w = both()
    assert gradcheck(bent, x, w, order=2, projections=1)
    z, pull = vjp(lambda x, w: nn.conv2d(x, w, stride=STRIDE, padding=PADDING), x, w)
    g = np.random.default_rng(1).standard_normal(z.shape)
    for got, wanted in zip(pull(g), (to_pictures, to_kernels), strict=True):
        agree(got, wanted(g, w, x, STRIDE, PADDING))


@pytest.mark.parametrize(("name", "position", "wrong"), WRONG)
def test_a_wrong_rule_is_caught(name: str, position: int, wrong: Callable[..., Any]) -> None:
    with planted(name, position, wrong), pytest.raises(autonn.GradientError):
        gradcheck(bent, *both(), order=2, projections=1)
