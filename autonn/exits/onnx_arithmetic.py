"""What the nodes of ONNX compute, number by number and over axes, written in NumPy and our ops.

A rule is called with a `Call`: its inputs, None for one that is left out, its attributes and the
opset. See https://onnx.ai/onnx/operators for what each node means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.tensor import Tensor

__all__ = ["ARITHMETIC", "Call", "Rule", "axes_of", "plain", "unsupported"]


@dataclass
class Call:
    """One node, as a rule sees it."""

    kind: str
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]
    opset: int
    outputs: int = 1

    def __getitem__(self, name: str) -> Any:
        return self.attributes.get(name)

    def get(self, name: str, otherwise: Any) -> Any:
        """Return an attribute, or what it is where it is left out."""
        value = self.attributes.get(name)
        return otherwise if value is None else value

    def input(self, k: int, otherwise: Any = None) -> Any:
        """Return an input, or what it is where it is left out."""
        value = self.inputs[k] if k < len(self.inputs) else None
        return otherwise if value is None else value


Rule = Callable[[Call], Any]


def plain(a: Any) -> Any:
    """Take the numbers of a shape, of axes, of a count: no gradient goes there."""
    return a.numpy() if isinstance(a, Tensor) else a


def unsupported(call: Call, what: str) -> NotImplementedError:
    """Make the error of a node that is not read in this form."""
    return NotImplementedError(f"from_onnx: {call.kind} {what} has no counterpart among our ops")


def axes_of(call: Call, k: int, ndim: int) -> Any:
    """Read axes, an attribute before and an input after some opset; None for none given."""
    axes = call["axes"] if call["axes"] is not None else plain(call.input(k))
    if axes is None:
        return None
    return tuple(int(a) % ndim if ndim else int(a) for a in np.atleast_1d(np.asarray(axes)))


# ---- number by number


def _of(function: Any) -> Rule:
    return lambda call: function(*call.inputs)


def _divide(call: Call) -> Any:
    """Divide whole numbers towards 0, as C does."""
    x, y = call.inputs
    if np.result_type(x, y).kind in "iu":
        x, y = plain(x), plain(y)
        quotient = np.floor_divide(np.absolute(x), np.absolute(y)) * np.sign(x) * np.sign(y)
        return quotient.astype(np.result_type(x, y))
    return x / y


def _power(call: Call) -> Any:
    x, y = call.inputs
    return (x**y).astype(x.dtype) if np.result_type(x, y) != x.dtype else x**y


def _folded(function: Any) -> Rule:
    """Take any number of inputs, two by two."""

    def rule(call: Call) -> Any:
        result = call.inputs[0]
        for x in call.inputs[1:]:
            result = function(result, x)
        return result

    return rule


def _mean(call: Call) -> Any:
    return _folded(np.add)(call) / len(call.inputs)


def _clip(call: Call) -> Any:
    """Clip as ``min(max(x, low), high)``; a bound that is left out is none."""
    x = call.input(0)
    low, high = call.input(1, call["min"]), call.input(2, call["max"])
    x = x if low is None else np.maximum(x, np.asarray(plain(low), x.dtype))
    return x if high is None else np.minimum(x, np.asarray(plain(high), x.dtype))


def _gelu(call: Call) -> Any:
    x = call.input(0)
    if call.get("approximate", "none") == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return ops.gelu(x)


def _prelu(call: Call) -> Any:
    x, slope = call.inputs
    return np.where(x < 0, slope * x, x)


def _hard_sigmoid(call: Call, alpha: float = 0.2, beta: float = 0.5) -> Any:
    x = call.input(0)
    return np.clip(x * float(call.get("alpha", alpha)) + float(call.get("beta", beta)), 0, 1)


def _hard_swish(call: Call) -> Any:
    x = call.input(0)
    return x * np.clip(x * (1 / 6) + 0.5, 0, 1)


def _selu(call: Call) -> Any:
    x = call.input(0)
    alpha = float(call.get("alpha", 1.67326319217681884765625))
    return ops.elu(x, alpha=alpha) * float(call.get("gamma", 1.05070102214813232421875))


def _celu(call: Call) -> Any:
    x, alpha = call.input(0), float(call.get("alpha", 1.0))
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(np.minimum(x, 0) / alpha), 0)


def _thresholded(call: Call) -> Any:
    x = call.input(0)
    return np.where(x > float(call.get("alpha", 1.0)), x, 0)


def _shrink(call: Call) -> Any:
    x, bias, end = call.input(0), float(call.get("bias", 0.0)), float(call.get("lambd", 0.5))
    return np.where(x < -end, x + bias, np.where(x > end, x - bias, 0))


def _swish(call: Call) -> Any:
    x = call.input(0)
    return x * ops.sigmoid(x * float(call.get("alpha", 1.0)))


def _isinf(call: Call) -> Any:
    x = plain(call.input(0))
    positive, negative = call.get("detect_positive", 1), call.get("detect_negative", 1)
    return np.isinf(x) & ((x > 0) & bool(positive) | (x < 0) & bool(negative))


def _rounded(call: Call) -> Any:
    return np.rint(call.input(0))


def _modulo(call: Call) -> Any:
    x, y = map(plain, call.inputs)
    return np.fmod(x, y) if call.get("fmod", 0) else np.mod(x, y)


# ---- along axes


def _reduction(function: Any) -> Rule:
    """Reduce over axes; none means all, or that nothing is reduced."""

    def rule(call: Call) -> Any:
        """Fold the inputs, from the first on."""
        x = call.input(0)
        axes = axes_of(call, 1, x.ndim)
        if not axes:
            if call.get("noop_with_empty_axes", 0):
                return function(np.expand_dims(x, -1), axis=-1, keepdims=False)
            axes = tuple(range(x.ndim))
        result = function(x, axis=axes, keepdims=bool(call.get("keepdims", 1)))
        return result if result.dtype == x.dtype else result.astype(x.dtype)

    return rule


def _square_sum(x: Any, **how: Any) -> Any:
    return np.sum(np.square(x), **how)


def _l1(x: Any, **how: Any) -> Any:
    return np.sum(np.absolute(x), **how)


def _l2(x: Any, **how: Any) -> Any:
    return np.sqrt(np.sum(np.square(x), **how))


def _extreme(function: Any, sign: int) -> Any:
    """Take the largest or least; of none it is the end of all numbers."""

    def rule(x: Any, **how: Any) -> Any:
        if x.size:
            return function(x, **how)
        end = sign > 0 if x.dtype == bool else sign * np.inf
        return np.full(np.sum(x, **how).shape, end, x.dtype)

    return rule


def _log_sum_exp(x: Any, **how: Any) -> Any:
    return ops.logsumexp(x, **how) if x.size else np.log(np.sum(x, **how))


def _log_sum(x: Any, **how: Any) -> Any:
    return np.log(np.sum(x, **how))


def _place(function: Any) -> Rule:
    """Tell where the largest or least is, the first or the last of them."""

    def rule(call: Call) -> Any:
        x, axis, keep = plain(call.input(0)), call.get("axis", 0), bool(call.get("keepdims", 1))
        if call.get("select_last_index", 0):
            flipped = function(np.flip(x, axis), axis=axis, keepdims=keep)
            return np.asarray(x.shape[axis] - 1 - flipped, np.int64)
        return np.asarray(function(x, axis=axis, keepdims=keep), np.int64)

    return rule


def _softmax(function: Any) -> Rule:
    """Before opset 13 all axes from one on are taken together."""

    def rule(call: Call) -> Any:
        """Compute along one axis, or in rows before opset 13."""
        x = call.input(0)
        if call.opset >= 13:
            return function(x, axis=call.get("axis", -1))
        axis = call.get("axis", 1) % max(x.ndim, 1)
        flat = np.reshape(x, (int(np.prod(x.shape[:axis])), -1))
        return np.reshape(function(flat, axis=-1), x.shape)

    return rule


def _hardmax(call: Call) -> Any:
    x, axis = plain(call.input(0)), call.get("axis", -1)
    place = np.expand_dims(np.argmax(x, axis=axis), axis)
    return (np.indices(x.shape, sparse=True)[axis] == place).astype(x.dtype)


def _cumsum(call: Call) -> Any:
    """Add up along an axis, from its end if need be, with or without the own element."""
    x, axis = call.input(0), int(plain(call.input(1)))
    if call.get("reverse", 0):
        x = np.flip(x, axis)
    z = np.cumsum(x, axis=axis)
    z = z if z.dtype == x.dtype else z.astype(x.dtype)
    if call.get("exclusive", 0):
        z = z - x
    return np.flip(z, axis) if call.get("reverse", 0) else z


# ---- products


def _gemm(call: Call) -> Any:
    """Compute ``alpha A B + beta C``; a plain layer as one op."""
    a, b, c = call.input(0), call.input(1), call.input(2)
    alpha, beta = float(call.get("alpha", 1.0)), float(call.get("beta", 1.0))
    a = a.T if call.get("transA", 0) else a
    if call.get("transB", 0) and alpha == beta == 1 and c is not None and c.shape == b.shape[:1]:
        return ops.affine(a, b, c)
    z = a @ (b.T if call.get("transB", 0) else b)
    z = z if alpha == 1 else z * alpha
    if c is None:
        return z
    return z + (c if beta == 1 else c * beta)


def _einsum(call: Call) -> Any:
    return np.einsum(call["equation"], *call.inputs)


ARITHMETIC: dict[str, Rule] = {
    "Abs": _of(np.absolute), "Acos": _of(np.arccos), "Acosh": _of(np.arccosh),
    "Add": _of(np.add), "And": _of(np.logical_and), "ArgMax": _place(np.argmax),
    "ArgMin": _place(np.argmin), "Asin": _of(np.arcsin), "Asinh": _of(np.arcsinh),
    "Atan": _of(np.arctan), "Atanh": _of(np.arctanh), "Ceil": _of(np.ceil), "Celu": _celu,
    "Clip": _clip, "Cos": _of(np.cos), "Cosh": _of(np.cosh), "CumSum": _cumsum, "Div": _divide,
    "Einsum": _einsum, "Elu": lambda call: ops.elu(call.input(0), alpha=call.get("alpha", 1.0)),
    "Equal": _of(np.equal), "Erf": _of(ops.erf), "Exp": _of(np.exp), "Floor": _of(np.floor),
    "Gelu": _gelu, "Gemm": _gemm, "Greater": _of(np.greater),
    "GreaterOrEqual": _of(np.greater_equal), "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish, "Hardmax": _hardmax, "Identity": lambda call: call.input(0),
    "IsInf": _isinf, "IsNaN": _of(np.isnan),
    "LeakyRelu": lambda call: ops.leaky_relu(call.input(0), slope=call.get("alpha", 0.01)),
    "Less": _of(np.less), "LessOrEqual": _of(np.less_equal), "Log": _of(np.log),
    "LogSoftmax": _softmax(ops.log_softmax), "MatMul": _of(np.matmul),
    "Max": _folded(np.maximum), "Mean": _mean, "Min": _folded(np.minimum),
    "Mish": lambda call: call.input(0) * np.tanh(ops.softplus(call.input(0))), "Mod": _modulo,
    "Mul": _of(np.multiply), "Neg": _of(np.negative), "Not": _of(np.logical_not),
    "Or": _of(np.logical_or), "PRelu": _prelu, "Pow": _power, "Reciprocal": _of(np.reciprocal),
    "ReduceL1": _reduction(_l1), "ReduceL2": _reduction(_l2),
    "ReduceLogSum": _reduction(_log_sum), "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(_extreme(np.max, -1)), "ReduceMean": _reduction(np.mean),
    "ReduceMin": _reduction(_extreme(np.min, 1)), "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum), "ReduceSumSquare": _reduction(_square_sum),
    "Relu": lambda call: ops.relu(call.input(0)), "Round": _rounded, "Selu": _selu,
    "Shrink": _shrink, "Sigmoid": _of(ops.sigmoid), "Sign": _of(np.sign), "Sin": _of(np.sin),
    "Sinh": _of(np.sinh), "Softmax": _softmax(ops.softmax), "Softplus": _of(ops.softplus),
    "Softsign": lambda call: call.input(0) / (1 + np.absolute(call.input(0))),
    "Sqrt": _of(np.sqrt), "Sub": _of(np.subtract), "Sum": _folded(np.add), "Swish": _swish,
    "Tan": _of(np.tan), "Tanh": _of(np.tanh), "ThresholdedRelu": _thresholded,
    "Where": _of(np.where), "Xor": _of(np.not_equal),
}  # fmt: skip
