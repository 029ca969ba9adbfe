"""Pooling and its counterpart: against loops over every number, ties and frames included."""

from __future__ import annotations

from collections.abc import Callable
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
    AvgPool1d,
    AvgPool2d,
    GlobalAveragePool,
    MaxPool1d,
    MaxPool2d,
    Tensor,
    Upsample,
    compile,
    gradcheck,
    nn,
    value_and_grad,
    vjp,
)
from autonn.engine.ops import pooling


@st.composite
def drawn(draw: Any) -> dict[str, Any]:
    """Draw the sizes of a pool that fits, and pictures of few different numbers: there are ties."""

    def pair(low: int, high: int) -> Any:
        return tuple(draw(st.integers(low, high)) for _ in range(2))

    size, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 2)
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, span // 2)) for span in spans)
    least = (max(1, span - 2 * p) for span, p in zip(spans, padding, strict=True))
    shape = (draw(st.integers(1, 2)), 2, *(n + draw(st.integers(0, 4)) for n in least))
    x = np.random.default_rng(draw(st.integers(0, 99))).integers(-2, 3, shape).astype(float)
    return {"size": size, "stride": stride, "dilation": dilation, "padding": padding, "x": x}


def how_of(case: dict[str, Any], dilated: bool = True) -> convolutions.How:
    dilation = case["dilation"] if dilated else (1, 1)
    return case["stride"], dilation, tuple((p, p) for p in case["padding"])


def fits(case: dict[str, Any]) -> bool:
    """Whether the padding is at most half of the window without dilation too."""
    pairs = zip(case["padding"], case["size"], case["x"].shape[2:], strict=True)
    return all(2 * p <= k and n + 2 * p >= k for p, k, n in pairs)


@given(case=drawn(), seed=st.integers(0, 99))
def test_max_pool2d_takes_the_largest_and_ties_share_its_gradient(
    case: dict[str, Any], seed: int
) -> None:
    x, rng = case["x"], np.random.default_rng(seed)
    layer = MaxPool2d(case["size"], case["stride"], case["padding"], case["dilation"])
    t = Tensor(x, requires_grad=True)
    z = layer(t)
    np.testing.assert_array_equal(z.data, convolutions.max_pool2d(x, case["size"], how_of(case)))
    g = rng.standard_normal(z.shape)
    z.backward(g)
    expected = convolutions.share_max(g, x, case["size"], how_of(case))
    np.testing.assert_allclose(t.grad, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("count_include_pad", [True, False])
@given(case=drawn(), seed=st.integers(0, 99))
def test_avg_pool2d_takes_the_mean_with_the_frame_or_without(
    count_include_pad: bool, case: dict[str, Any], seed: int
) -> None:
    if not fits(case):
        return
    x, rng = case["x"], np.random.default_rng(seed)
    layer = AvgPool2d(
        case["size"], case["stride"], case["padding"], count_include_pad=count_include_pad
    )
    how = case["size"], how_of(case, dilated=False), count_include_pad
    t = Tensor(x, requires_grad=True)
    z = layer(t)
    np.testing.assert_allclose(z.data, convolutions.avg_pool2d(x, *how), rtol=1e-14, atol=1e-14)
    g = rng.standard_normal(z.shape)
    z.backward(g)
    step = rng.standard_normal(x.shape)  # it is linear: <g, f(step)> = <the gradient, step>
    along = np.vdot(g, convolutions.avg_pool2d(step, *how))
    np.testing.assert_allclose(np.vdot(t.grad, step), along, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("k", "stride", "padding"), [(2, None, 0), (3, 2, 1), (3, 1, 0)])
def test_along_rows_it_is_the_same(k: int, stride: int | None, padding: int) -> None:
    x = np.random.default_rng(0).integers(-2, 3, (2, 3, 7)).astype(float)
    how = (1, stride or k), (1, 1), ((0, 0), (padding, padding))
    tall = x[:, :, None]
    largest = convolutions.max_pool2d(tall, (1, k), how)[:, :, 0]
    mean = convolutions.avg_pool2d(tall, (1, k), how)[:, :, 0]
    np.testing.assert_array_equal(MaxPool1d(k, stride, padding)(x).data, largest)
    np.testing.assert_array_equal(nn.max_pool1d(x, k, stride, padding).data, largest)
    np.testing.assert_allclose(AvgPool1d(k, stride, padding)(x).data, mean, rtol=1e-15)
    np.testing.assert_allclose(nn.avg_pool1d(x, k, stride, padding).data, mean, rtol=1e-15)


def test_unknown_numbers_stay_unknown_and_keep_their_gradient() -> None:
    t = Tensor([[[1.0, np.nan, 3.0, 2.0, -np.inf, -np.inf]]], requires_grad=True)
    z = MaxPool1d(2)(t)
    np.testing.assert_array_equal(z.data, [[[np.nan, 3, -np.inf]]])
    z.backward(np.ones((1, 1, 3)))
    np.testing.assert_array_equal(t.grad, [[[0, 1, 1, 0, 0.5, 0.5]]])


def test_the_frame_is_never_the_largest() -> None:
    t = Tensor(np.full((1, 1, 3, 3), -7.0), requires_grad=True)
    z = MaxPool2d(2, stride=2, padding=1)(t)
    np.testing.assert_array_equal(z.data, np.full((1, 1, 2, 2), -7))
    z.backward(np.ones((1, 1, 2, 2)))
    expected = [[1, 0.5, 0.5], [0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]
    np.testing.assert_array_equal(t.grad[0, 0], expected)


def test_what_no_window_sees_has_no_gradient() -> None:
    """As many numbers as the windows have places, one of them between two windows."""
    how: dict[str, Any] = {"size": (2,), "stride": (3,), "dilation": (1,), "padding": ((1, 1),)}
    x = np.array([[5.0, 1, 2, 3]])
    z = pooling.pool_max(x, **how)
    out = np.full_like(x, np.nan)
    g = np.array([[1.0, 2]])
    np.testing.assert_array_equal(pooling.share_max.op.forward(g, x, z, **how, out=out), out)
    np.testing.assert_array_equal(out, [[1, 0, 0, 2]])


def test_whole_numbers_are_pooled_as_such() -> None:
    z = MaxPool2d(2)(np.arange(16).reshape(1, 1, 4, 4))
    assert z.data.tolist() == [[[[5, 7], [13, 15]]]]
    assert z.dtype == np.int64


@pytest.mark.parametrize("factor", [1, 3, (2, 3)])
def test_upsample_repeats_each_pixel(factor: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 4))
    rows, columns = factor if isinstance(factor, tuple) else (factor, factor)
    expected = x.repeat(rows, axis=2).repeat(columns, axis=3)
    np.testing.assert_array_equal(Upsample(factor)(x).data, expected)
    assert repr(Upsample(factor)) == f"Upsample({factor})"


def test_the_global_mean_leaves_a_number_for_each_channel() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(GlobalAveragePool()(x).data, x.mean(axis=(2, 3)), rtol=1e-14)
    np.testing.assert_allclose(GlobalAveragePool()(x[..., 0]).data, x[..., 0].mean(-1), rtol=1e-14)


# ---- every order, every dtype, compiled

LAYERS = [
    MaxPool2d(2), MaxPool2d(3, 2, 1), MaxPool2d(2, 1, dilation=2), AvgPool2d(2),
    AvgPool2d(3, 2, 1), AvgPool2d(2, 1, 1, count_include_pad=False), Upsample(2),
    GlobalAveragePool(),
]  # fmt: skip
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=map(repr, LAYERS))


def pictures(dtype: Any = np.float64) -> Any:
    """Make numbers no two of which are close."""
    x = np.random.default_rng(1).permutation(2 * 1 * 4 * 5) / 7 - 2
    return x.reshape(2, 1, 4, 5).astype(dtype)


@every_layer
def test_first_and_second_derivatives_are_those_of_the_function(layer: Any) -> None:
    check_along(lambda x: np.sin(layer(x)), pictures())


@every_layer
def test_float32_stays_float32_and_compiled_is_eager(layer: Any) -> None:
    x = pictures(np.float32)
    z, pull = vjp(layer, x)
    (gradient,) = pull(np.ones_like(z))
    assert np.asarray(z).dtype == np.asarray(gradient).dtype == np.float32
    f = value_and_grad(lambda x: np.sum(np.sin(layer(x))))
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 1e-5)):
        for got, expected in zip(compile(f)(pictures(dtype)), f(pictures(dtype)), strict=True):
            assert np.asarray(got).dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@every_layer
def test_no_layer_has_parameters(layer: Any) -> None:
    assert layer.state_dict() == {}


def test_a_layer_is_shown_as_it_is_called() -> None:
    for text in (
        "MaxPool1d(2)", "MaxPool2d(2)", "MaxPool2d(3, stride=2, padding=1, dilation=2)",
        "MaxPool2d((2, 3))", "AvgPool1d(2, stride=1)",
        "AvgPool2d(2, padding=1, count_include_pad=False)", "GlobalAveragePool()",
    ):  # fmt: skip
        assert repr(eval(text)) == text


# ---- bad calls

X = np.ones((5, 2, 6, 6))
BAD: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: MaxPool2d(0), ValueError, ["MaxPool2d: kernel_size", "at least 1"]),
    (lambda: MaxPool2d("2"), TypeError, ["MaxPool2d: kernel_size", "whole", "'2'"]),  # type: ignore[arg-type]
    (lambda: AvgPool2d((2, 2, 2)), ValueError, ["AvgPool2d", "2 axes"]),
    (lambda: MaxPool2d(2, padding=2), ValueError, ["MaxPool2d", "padding 2", "half"]),
    (lambda: MaxPool2d(2, stride=0), ValueError, ["stride", "at least 1"]),
    (lambda: AvgPool2d(2, count_include_pad=2), TypeError, ["count_include_pad"]),  # type: ignore[arg-type]
    (lambda: MaxPool2d(7)(X), ValueError, ["MaxPool2d(7)", "6 x 6", "7 x 7"]),
    (lambda: MaxPool2d(2)(X[0, 0, 0]), ValueError, ["MaxPool2d(2)", "(6,)", "h, w"]),
    (lambda: nn.avg_pool2d(X, 7), ValueError, ["avg_pool2d", "7 x 7"]),
    (lambda: GlobalAveragePool()(X[0, 0]), ValueError, ["GlobalAveragePool()", "(6, 6)"]),
    (lambda: Upsample(1.5), TypeError, ["Upsample: scale_factor", "whole"]),  # type: ignore[arg-type]
    (lambda: Upsample(2, "cubic"), ValueError, ["Upsample", "'cubic'", "'nearest'"]),
    (lambda: Upsample((2, 2, 2))(X), ValueError, ["Upsample(2)", "(5, 2, 6, 6)", "3 axes"]),
    (lambda: Upsample(2)(X[0, 0]), ValueError, ["Upsample(2)", "(6, 6)"]),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=range(len(BAD)))
def test_bad_calls_say_what_came_and_what_to_do(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


# ---- what is wrong is seen


def test_a_wrong_rule_of_ties_is_caught() -> None:
    """All of the gradient to each of the largest, or to the first of them alone."""
    right = pooling._largest

    def each(*args: Any, **how: Any) -> Any:
        there, hits, count = right(*args, **how)
        return there, hits, np.ones_like(count)

    def first(*args: Any, **how: Any) -> Any:
        there, hits, count = right(*args, **how)
        return there, hits & (np.cumsum(hits, axis=0) == 1), np.ones_like(count)

    test: Any = test_max_pool2d_takes_the_largest_and_ties_share_its_gradient
    for wrong in (each, first):
        with another(pooling, "_largest", wrong), pytest.raises(AssertionError):
            test()
        with another(pooling, "_largest", wrong), pytest.raises(AssertionError):
            test_the_frame_is_never_the_largest()


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0)])
def test_a_wrong_adjoint_is_caught(stride: int, padding: int) -> None:
    """One that forgets the stride, or the frame."""

    def wrong(d: Any, g: Any, z: Any, x: Any) -> Any:
        total = np.zeros(np.shape(x))
        for k in np.ndindex(*g.shape[2:4]):
            for p in np.ndindex(*g.shape[4:]):
                at = [p[a] * stride + k[a] - padding for a in range(2)]
                if all(0 <= i < n for i, n in zip(at, x.shape[2:], strict=True)):
                    total[(..., *at)] += g[(..., *k, *p)]
        return total

    layer = AvgPool2d(3, 2, 1)
    assert gradcheck(layer, pictures(), projections=2)
    with planted("windows", 0, wrong), pytest.raises(autonn.GradientError):
        gradcheck(layer, pictures(), projections=2)
