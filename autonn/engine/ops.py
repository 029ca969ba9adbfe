"""Every differentiable op: its formula, its forward and its derivative rules in one paragraph.

A rule reads ``lambda g, z, x, y: g * y``: the incoming gradient, the output and the arguments
give the gradient for one argument. It is the formula and nothing else. Shapes are the edge's
business (`autodiff.py` sums a gradient back over what was broadcast) and so are dtypes. Rules are
plain NumPy: on arrays they give numbers, on Tensors they give a graph that can be differentiated
again. Linear ops come in pairs, each the other's rule, so that no order runs out of rules.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.tensor import Array, Function, Tensor, define, implements

# ---- arithmetic

_BROADCAST = "lengths on an axis must be equal or 1, counted from the last axis"

add = define(
    "add",
    np.add,
    "z = x + y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: g,
    numpy=(np.add,),
    method="__add__",
    reflected="__radd__",
    cure=_BROADCAST,
)

subtract = define(
    "subtract",
    np.subtract,
    "z = x - y",
    lambda g, z, x, y: g,
    lambda g, z, x, y: -g,
    numpy=(np.subtract,),
    method="__sub__",
    reflected="__rsub__",
    cure=_BROADCAST,
)

multiply = define(
    "multiply",
    np.multiply,
    "z = x y",
    lambda g, z, x, y: g * y,
    lambda g, z, x, y: g * x,
    numpy=(np.multiply,),
    method="__mul__",
    reflected="__rmul__",
    cure=_BROADCAST,
)


def _over_forward(g: Any, d: Any) -> Any:
    if np.all(d):
        return g / d
    return np.divide(
        g, d, out=np.zeros(np.broadcast_shapes(g.shape, d.shape), g.dtype), where=g != 0
    )


_over: Function = define(
    "over",
    _over_forward,
    "z = g / d, and 0 where g = 0",
    lambda c, z, g, d: _over(c, d),
    lambda c, z, g, d: -_over(_over(c * g, d), d),
    kinks="A gradient of zero stays zero where the derivative is infinite.",
)

divide = define(
    "divide",
    np.divide,
    "z = x / y",
    lambda g, z, x, y: _over(g, y),
    lambda g, z, x, y: -_over(_over(g * x, y), y),
    numpy=(np.divide,),
    method="__truediv__",
    reflected="__rtruediv__",
    cure=_BROADCAST,
)

negative = define(
    "negative",
    np.negative,
    "z = -x",
    lambda g, z, x: -g,
    numpy=(np.negative,),
    method="__neg__",
)

positive = define(
    "positive",
    np.positive,
    "z = +x",
    lambda g, z, x: g,
    numpy=(np.positive,),
    method="__pos__",
)


def _power_base(g: Any, z: Any, x: Any, y: Any) -> Any:
    """Use ``y x^(y-1)``; below y = 1 as a quotient, which is infinite at x = 0."""
    below = np.minimum(y, 1) if np.any(np.less(y, 1)) else None
    if below is None:
        return g * (y * x ** (y - 1))
    steep = _over(g * below, x ** (1 - below))
    if np.all(np.less(y, 1)):
        return steep
    return np.where(np.less(y, 1), steep, g * (y * x ** (np.maximum(y, 1) - 1)))


power = define(
    "power",
    np.power,
    "z = x^y",
    _power_base,
    lambda g, z, x, y: g * (z * np.log(np.where(np.equal(x, 0), 1, x))),
    numpy=(np.power,),
    method="__pow__",
    reflected="__rpow__",
    kinks="The gradient of x^0 is 0, and so is that of 0^y for y.",
    cure=_BROADCAST,
)

square = define("square", np.square, "z = x^2", lambda g, z, x: g * (2 * x), numpy=(np.square,))

# ---- functions of one number

sqrt = define(
    "sqrt",
    np.sqrt,
    "z = sqrt(x)",
    lambda g, z, x: _over(g, 2 * z),
    numpy=(np.sqrt,),
    kinks="At 0 the gradient is inf.",
)

exp = define("exp", np.exp, "z = e^x", lambda g, z, x: g * z, numpy=(np.exp,))

expm1 = define("expm1", np.expm1, "z = e^x - 1", lambda g, z, x: g * np.exp(x), numpy=(np.expm1,))

log = define("log", np.log, "z = ln x", lambda g, z, x: _over(g, x), numpy=(np.log,))

log1p = define(
    "log1p", np.log1p, "z = ln(1 + x)", lambda g, z, x: _over(g, 1 + x), numpy=(np.log1p,)
)

absolute = define(
    "absolute",
    np.absolute,
    "z = |x|",
    lambda g, z, x: g * np.sign(x),
    numpy=(np.absolute,),
    method="__abs__",
    kinks="At 0 the gradient is 0.",
)


def _tanh_slope(x: Any) -> Any:
    """Use ``4q / (1 + q)^2`` with ``q = e^(-2|x|)``: 1 - tanh^2 cancels for large x."""
    q = np.exp(-2 * np.absolute(x))
    return 4 * q / np.square(1 + q)


tanh = define("tanh", np.tanh, "z = tanh x", lambda g, z, x: g * _tanh_slope(x), numpy=(np.tanh,))


def _sigmoid_forward(x: Any) -> Any:
    """Use ``1 / (1 + e^-x)`` where NumPy's vectorised exp is faster and cannot overflow.

    SciPy's `expit` takes about 4 times as long from a few thousand elements on, less below.
    """
    if x.size < 4096 or x.dtype.kind != "f" or x.min() < (-80 if x.dtype == np.float32 else -700):
        return special.expit(x)
    z = np.negative(x)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


sigmoid: Function = define(
    "sigmoid",
    lambda x: _sigmoid_forward(np.asarray(x)),
    "z = s(x) = 1 / (1 + e^-x)",
    lambda g, z, x: g * (z * sigmoid(-x)),  # z (1 - z) is 0 from x = 37 on, where z rounds to 1
    numpy=(special.expit,),
    keeps_input=True,
)

log_sigmoid = define(
    "log_sigmoid",
    special.log_expit,
    "z = ln s(x)",
    lambda g, z, x: g * sigmoid(-x),
    numpy=(special.log_expit,),
)

softplus = define(
    "softplus",
    lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.absolute(x))),
    "z = ln(1 + e^x)",
    lambda g, z, x: g * sigmoid(x),
)

relu = define(
    "relu",
    lambda x: np.maximum(x, 0),
    "z = max(x, 0)",
    lambda g, z, x: g * np.heaviside(x, 0),  # heaviside keeps NaN, x > 0 would hide it
    kinks="At 0 the gradient is 0.",
)

# ---- choices and comparisons


def _share(g: Any, first: Any, equal: Any) -> Any:
    return np.where(equal, g / 2, np.where(first, g, 0))


maximum = define(
    "maximum",
    np.maximum,
    "z = max(x, y)",
    lambda g, z, x, y: _share(g, np.greater(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.greater(y, x), np.equal(x, y)),
    numpy=(np.maximum,),
    kinks="Equal operands get half the gradient each.",
    cure=_BROADCAST,
)

minimum = define(
    "minimum",
    np.minimum,
    "z = min(x, y)",
    lambda g, z, x, y: _share(g, np.less(x, y), np.equal(x, y)),
    lambda g, z, x, y: _share(g, np.less(y, x), np.equal(x, y)),
    numpy=(np.minimum,),
    kinks="Equal operands get half the gradient each.",
    cure=_BROADCAST,
)

where = define(
    "where",
    np.where,
    "z = x where the condition holds, else y",
    None,
    lambda g, z, c, x, y: np.where(c, g, 0),
    lambda g, z, c, x, y: np.where(c, 0, g),
    numpy=(np.where,),
    kinks="Each branch gets only its own part.",
    cure=_BROADCAST,
)

# What follows has no gradient: steps and comparisons are constant between their jumps.
sign = define("sign", np.sign, "z = -1, 0 or 1", None, numpy=(np.sign,))
heaviside = define("heaviside", np.heaviside, "z = [x > 0]", None, None, numpy=(np.heaviside,))


def _comparison(function: np.ufunc, formula: str, method: str) -> Any:
    return define(function.__name__, function, formula, numpy=(function,), method=method)


equal = _comparison(np.equal, "z = [x = y]", "__eq__")
not_equal = _comparison(np.not_equal, "z = [x != y]", "__ne__")
less = _comparison(np.less, "z = [x < y]", "__lt__")
less_equal = _comparison(np.less_equal, "z = [x <= y]", "__le__")
greater = _comparison(np.greater, "z = [x > y]", "__gt__")
greater_equal = _comparison(np.greater_equal, "z = [x >= y]", "__ge__")


@implements(np.any)
def _any(x: Tensor) -> bool:
    return builtins.bool(np.any(x._data))


@implements(np.all)
def _all(x: Tensor) -> bool:
    return builtins.bool(np.all(x._data))


@implements(np.argmax)
def argmax(x: Tensor, axis: int | None = None) -> Any:
    """Return where the largest element stands, as an array: positions have no gradient."""
    x._refuse_tracing("argmax of")
    return np.argmax(x._data, axis=axis)


@implements(np.argmin)
def argmin(x: Tensor, axis: int | None = None) -> Any:
    """Return where the smallest element stands, as an array: positions have no gradient."""
    x._refuse_tracing("argmin of")
    return np.argmin(x._data, axis=axis)


@implements(np.shape)
def _shape(x: Tensor) -> tuple[int, ...]:
    return x.shape


@implements(np.ndim)
def _ndim(x: Tensor) -> int:
    return x.ndim


@implements(np.size)
def _size(x: Tensor) -> int:
    return x.size


# ---- sums

Axis = int | tuple[int, ...] | None


def _along(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """Give what a reduction over `axis` left, back to every element it came from."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, x.shape)


sum = define(
    "sum",
    lambda x, axis=None, *, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis",
    lambda g, z, x, axis=None, keepdims=False: _along(g, x, axis, keepdims),
    numpy=(np.sum,),
    method="sum",
)

mean = define(
    "mean",
    lambda x, axis=None, *, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
    "z = sum of x over axis / n",
    lambda g, z, x, axis=None, keepdims=False: _along(g * (z.size / x.size), x, axis, keepdims),
    numpy=(np.mean,),
    method="mean",
)


def _sum_to_forward(x: Array, shape: tuple[int, ...]) -> Any:
    lead = x.ndim - len(shape)
    if lead == 1 and x.ndim == 2 and x.shape[1:] == shape and x.dtype.kind == "f":
        return np.ones(x.shape[0], x.dtype) @ x  # 3 times as fast as x.sum(axis=0) when narrow
    ones = tuple(lead + i for i, n in enumerate(shape) if n == 1)
    return np.sum(x, axis=(*range(lead), *ones), keepdims=True).reshape(shape)


sum_to = define(
    "sum_to",
    _sum_to_forward,
    "z = x summed over the axes that broadcasting added or stretched",
    lambda g, z, x, shape: np.broadcast_to(g, x.shape),
)

broadcast_to = define(
    "broadcast_to",
    np.broadcast_to,
    "z = x repeated to the shape",
    lambda g, z, x, shape: g,  # the edge sums it back
    numpy=(np.broadcast_to,),
)

# ---- products of matrices


def _swap(x: Any) -> Any:
    return np.transpose(x) if x.ndim == 2 else np.swapaxes(x, -1, -2)


def _matmul_left(g: Any, z: Any, x: Any, y: Any) -> Any:
    if y.ndim == 1:
        return np.expand_dims(g, -1) * y
    if x.ndim == 1:
        return np.matmul(y, np.expand_dims(g, -1))[..., 0]
    return np.matmul(g, _swap(y))


def _matmul_right(g: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim == 1:
        return np.expand_dims(x, -1) * np.expand_dims(g, -2) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(_swap(x), np.expand_dims(g, -1))[..., 0]
    return np.matmul(_swap(x), g)


matmul = define(
    "matmul",
    np.matmul,
    "Z = X Y",
    _matmul_left,
    _matmul_right,
    numpy=(np.matmul,),
    method="__matmul__",
    reflected="__rmatmul__",
    cure="the last axis of the left must be as long as the last but one of the right; "
    "is a transpose (.T) missing?",
)


def _affine_forward(x: Array, weight: Array, bias: Array) -> Array:
    z = x @ weight.T
    z += bias
    return z


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else np.reshape(x, (-1, x.shape[-1]))


affine = define(
    "affine",
    _affine_forward,
    "Z = X W' + b",
    lambda g, z, x, w, b: np.matmul(g, w),
    lambda g, z, x, w, b: np.matmul(np.transpose(_rows(g)), _rows(x)),
    lambda g, z, x, w, b: g,
    cure="X is (..., in), W (out, in) and b (out,)",
)

# ---- shapes


def _inverse(axes: Sequence[int] | None, ndim: int) -> tuple[int, ...] | None:
    if axes is None:
        return None
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes]))


transpose = define(
    "transpose",
    np.transpose,
    "z = x with its axes permuted",
    lambda g, z, x, axes=None: np.transpose(g, _inverse(axes, x.ndim)),
    numpy=(np.transpose,),
)


def _transpose_method(self: Tensor, *axes: Any) -> Any:
    return transpose(self, _spread(axes) if axes else None)


reshape = define(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    "z = x in another shape, C order",
    lambda g, z, x, shape: np.reshape(g, x.shape),
    numpy=(np.reshape,),
)


def _reshape_method(self: Tensor, *shape: Any) -> Any:
    return reshape(self, _spread(shape))


def _spread(args: tuple[Any, ...]) -> Any:
    return args[0] if len(args) == 1 else args


for _name, _method in (("transpose", _transpose_method), ("reshape", _reshape_method)):
    setattr(Tensor, _name, _method)

expand_dims = define(
    "expand_dims",
    np.expand_dims,
    "z = x with new axes of length 1",
    lambda g, z, x, axis: np.reshape(g, x.shape),
    numpy=(np.expand_dims,),
)

swapaxes = define(
    "swapaxes",
    np.swapaxes,
    "z = x with two axes exchanged",
    lambda g, z, x, a, b: np.swapaxes(g, a, b),
    numpy=(np.swapaxes,),
)

cast = define(
    "cast",
    lambda x, dtype: x.astype(dtype),
    "z = x in another dtype",
    lambda g, z, x, dtype: g,  # the edge casts it back
)

# Indexing and its adjoint: what was read once gets its gradient, what was read twice the sum.


def _is_basic(key: Any) -> bool:
    keys = key if isinstance(key, tuple) else (key,)
    return builtins.all(
        k is None or k is Ellipsis or isinstance(k, int | slice | np.integer) for k in keys
    )


def _put_forward(g: Array, key: Any, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, g.dtype)
    if _is_basic(key):
        out[key] = g
    else:
        np.add.at(out, key, g)
    return out


put: Function = define(
    "put",
    _put_forward,
    "z = 0 but z[key] = x, repeated keys add up",
    lambda g, z, x, key, shape: getitem(g, key),
)

getitem: Function = define(
    "getitem",
    lambda x, key: x[key],
    "z = x[key]",
    lambda g, z, x, key: put(g, key, x.shape),
    kinks="An element read several times gets the sum of the gradients.",
)


def _getitem_method(self: Tensor, key: Any) -> Any:
    keys = key if isinstance(key, tuple) else (key,)
    keys = tuple(_as_key(k) for k in keys)
    return getitem(self, keys if isinstance(key, tuple) else keys[0])


def _as_key(k: Any) -> Any:
    """Copy what could be changed before the gradient comes back; take the values of Tensors."""
    if isinstance(k, Tensor):
        return k.numpy()
    return np.array(k) if isinstance(k, np.ndarray | list) else k


setattr(Tensor, "__getitem__", _getitem_method)  # noqa: B010

_concatenate = define(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis=axis),
    "z = the x_k behind one another along an axis",
    lambda k, g, z, *xs, axis: getitem(g, _part(k, xs, axis)),
    cure="all but the joined axis must agree",
    variadic=True,
)


def _part(k: int, xs: Sequence[Any], axis: int) -> tuple[Any, ...]:
    axis %= xs[0].ndim
    start = builtins.sum(x.shape[axis] for x in xs[:k])
    return (slice(None),) * axis + (slice(start, start + xs[k].shape[axis]),)


@implements(np.concatenate)
def concatenate(tensors: Sequence[Any], axis: int = 0) -> Any:
    """Join tensors along an axis that they have already."""
    return _concatenate(*tensors, axis=axis)


# ---- where the mathematics has a name: fused losses


def _cross_entropy_forward(x: Array, y: Array) -> Any:
    return np.sum(softplus(x) - x * y) / x.shape[0]


sigmoid_cross_entropy = define(
    "sigmoid_cross_entropy",
    _cross_entropy_forward,
    "J = -1/m sum [y ln s(x) + (1 - y) ln(1 - s(x))] = 1/m sum [softplus(x) - x y]",
    # s(x) - y, written so that neither y = 0 nor y = 1 cancels digits
    lambda g, z, x, y: g / x.shape[0] * ((1 - y) * sigmoid(x) - y * sigmoid(-x)),
    lambda g, z, x, y: -g / x.shape[0] * x,
)

cross_entropy = define(
    "cross_entropy",
    lambda a, y: -np.sum(special.xlogy(y, a) + special.xlog1py(1 - y, -a)) / a.shape[0],
    "J = -1/m sum [y ln a + (1 - y) ln(1 - a)], where 0 ln 0 = 0",
    lambda g, z, a, y: g / a.shape[0] * (_over(1 - y, 1 - a) - _over(y, a)),
    lambda g, z, a, y: g / a.shape[0] * (np.log(1 - a) - np.log(a)),
)

sum_of_squares = define(
    "sum_of_squares",
    lambda x: np.vdot(x, x),
    "z = sum x^2",
    lambda g, z, x: g * (2 * x),
)
