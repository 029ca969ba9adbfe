"""How ops of numbers, sums and products are written in ONNX: one entry an op."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.compiler.graph import Node
from autonn.engine import ops
from autonn.engine.lineage import op_behind
from autonn.engine.op import STOP_GRADIENT
from autonn.engine.ops.rowwise import spelled_axes
from autonn.exits.batches import refusal
from autonn.exits.onnx_writer import Writer, Written

__all__ = ["ELEMENTS", "reduced"]

# What ONNX has under another name, element by element.
_SAME = {
    ops.add: "Add", ops.subtract: "Sub", ops.multiply: "Mul", ops.divide: "Div", ops.power: "Pow",
    ops.negative: "Neg", ops.absolute: "Abs", ops.sqrt: "Sqrt", ops.reciprocal: "Reciprocal",
    ops.exp: "Exp", ops.log: "Log", ops.sin: "Sin", ops.cos: "Cos", ops.tan: "Tan",
    ops.arcsin: "Asin", ops.arccos: "Acos", ops.arctan: "Atan", ops.sinh: "Sinh",
    ops.cosh: "Cosh", ops.tanh: "Tanh", ops.arcsinh: "Asinh", ops.arccosh: "Acosh",
    ops.arctanh: "Atanh", ops.erf: "Erf", ops.sigmoid: "Sigmoid", ops.relu: "Relu",
    ops.floor: "Floor", ops.ceil: "Ceil", ops.rint: "Round", ops.sign: "Sign",
    ops.maximum: "Max", ops.minimum: "Min", ops.equal: "Equal", ops.less: "Less",
    ops.less_equal: "LessOrEqual", ops.greater: "Greater", ops.greater_equal: "GreaterOrEqual",
    ops.isnan: "IsNaN", ops.isinf: "IsInf",
}  # fmt: skip
_LOGICAL = {ops.logical_and: "And", ops.logical_or: "Or", ops.logical_not: "Not"}
_BITS = {ops.bitwise_and: "And", ops.bitwise_or: "Or", ops.invert: "Not"}


def _plain(kind: str) -> Written:
    def write(writer: Writer, call: Node) -> str:
        return writer.node(kind, *writer.operands(call))

    return write


def _logical(kind: str) -> Written:
    def write(writer: Writer, call: Node) -> str:
        return writer.node(kind, *(writer.text(a, bool) for a in call.args))

    return write


def _bits(kind: str) -> Written:
    """Write what works on bits, of booleans alone."""

    def write(writer: Writer, call: Node) -> str:
        if call.dtype != bool:
            raise refusal(call, "works on the bits of whole numbers, which ONNX can't here")
        return _logical(kind)(writer, call)

    return write


def _not_equal(writer: Writer, call: Node) -> str:
    return writer.node("Not", writer.node("Equal", *writer.operands(call)))


def _itself(writer: Writer, call: Node) -> str:
    return writer.cast(writer.text(call.args[0]), call.args[0].dtype, call.dtype)


def _square(writer: Writer, call: Node) -> str:
    (x,) = writer.operands(call)
    return writer.node("Mul", x, x)


def _where(writer: Writer, call: Node) -> str:
    condition = writer.text(call.args[0], bool)
    return writer.node("Where", condition, *(writer.text(a, call.dtype) for a in call.args[1:]))


def _clip(writer: Writer, call: Node) -> str:
    x, low, high = writer.operands(call)
    return writer.node("Min", writer.node("Max", x, low), high)


# ---- functions that ONNX has no exact word for


def log1p(writer: Writer, x: str) -> str:
    """Write ``x ln u / (u - 1)`` with u = 1 + x rounded, and x where u is 1 (W. Kahan)."""
    one = writer.constant(1.0)
    u = writer.node("Add", x, one)
    less, is_one = writer.node("Sub", u, one), writer.node("Equal", u, one)
    ratio = writer.node("Div", writer.node("Log", u), writer.node("Where", is_one, one, less))
    return writer.node("Where", is_one, x, writer.node("Mul", x, ratio))


def softplus(writer: Writer, x: str) -> str:
    """Write ``max(x, 0) + ln(1 + e^-|x|)``, which does not overflow as ONNX's own may."""
    tail = log1p(writer, writer.node("Exp", writer.node("Neg", writer.node("Abs", x))))
    return writer.node("Add", writer.node("Relu", x), tail)


def _log1p(writer: Writer, call: Node) -> str:
    return log1p(writer, *writer.operands(call))


def _softplus(writer: Writer, call: Node) -> str:
    return softplus(writer, *writer.operands(call))


def _log_sigmoid(writer: Writer, call: Node) -> str:
    (x,) = writer.operands(call)
    return writer.node("Neg", softplus(writer, writer.node("Neg", x)))


def expm1(writer: Writer, x: str) -> str:
    """Write ``2 t / (1 - t)`` with t = tanh(x / 2) where e^x - 1 would cancel."""
    one = writer.constant(1.0)
    t = writer.node("Tanh", writer.node("Mul", x, writer.constant(0.5)))
    near = writer.node("Div", writer.node("Add", t, t), writer.node("Sub", one, t))
    small = writer.node("Less", writer.node("Abs", x), writer.constant(0.5))
    return writer.node("Where", small, near, writer.node("Sub", writer.node("Exp", x), one))


def _expm1(writer: Writer, call: Node) -> str:
    return expm1(writer, *writer.operands(call))


def _scaled(kind: str, factor: float) -> Written:
    """Write a function times a number."""

    def write(writer: Writer, call: Node) -> str:
        return writer.node("Mul", writer.node(kind, *writer.operands(call)),
                           writer.constant(factor))  # fmt: skip

    return write


def _exp2(writer: Writer, call: Node) -> str:
    return writer.node("Pow", writer.constant(2.0), *writer.operands(call))


def _cbrt(writer: Writer, call: Node) -> str:
    (x,) = writer.operands(call)
    root = writer.node("Pow", writer.node("Abs", x), writer.constant(1 / 3))
    return writer.node("Mul", writer.node("Sign", x), root)


def _normal_cdf(writer: Writer, x: str) -> str:
    """Write ``Phi(x) = (1 + erf(x / sqrt 2)) / 2``."""
    erf = writer.node("Erf", writer.node("Mul", x, writer.constant(math.sqrt(0.5))))
    half = writer.constant(0.5)
    return writer.node("Add", writer.node("Mul", erf, half), half)


def _phi(writer: Writer, call: Node) -> str:
    return _normal_cdf(writer, *writer.operands(call))


def _gelu(writer: Writer, call: Node) -> str:
    (x,) = writer.operands(call)
    return writer.node("Mul", x, _normal_cdf(writer, x))


def _silu(writer: Writer, call: Node) -> str:
    (x,) = writer.operands(call)
    return writer.node("Mul", x, writer.node("Sigmoid", x))


def _bent(kind: str, name: str) -> Written:
    """Write a bend whose one number ONNX calls alpha, which is a float32 whatever x is."""

    def write(writer: Writer, call: Node) -> str:
        """Write the bend, or in float64 what it is made of."""
        (x,) = writer.operands(call)
        alpha = float(call.attribute(name))
        if writer.dtype == np.float32:
            return writer.node(kind, x, alpha=alpha)
        zero = writer.constant(0.0)
        below = expm1(writer, writer.node("Min", x, zero)) if kind == "Elu" else x
        below = writer.node("Mul", below, writer.constant(alpha))
        return writer.node("Where", writer.node("Greater", x, zero), x, below)

    return write


def _logaddexp(writer: Writer, call: Node) -> str:
    """Write ``max + ln(1 + e^-|x - y|)``."""
    x, y = writer.operands(call)
    apart = writer.node("Neg", writer.node("Abs", writer.node("Sub", x, y)))
    return writer.node("Add", writer.node("Max", x, y), log1p(writer, writer.node("Exp", apart)))


def _hypot(writer: Writer, call: Node) -> str:
    x, y = writer.operands(call)
    squares = writer.node("Mul", x, x), writer.node("Mul", y, y)
    return writer.node("Sqrt", writer.node("Add", *squares))


def _safe_divide(writer: Writer, call: Node) -> str:
    """Write ``g / d``, and 0 where g is 0."""
    g, d = writer.operands(call)
    zero = writer.constant(0.0)
    none = writer.node("Equal", g, zero)
    return writer.node("Where", none, zero, writer.node("Div", g, d))


def _safe_multiply(writer: Writer, call: Node) -> str:
    """Write ``x y``, and 0 where either is 0."""
    x, y = writer.operands(call)
    zero = writer.constant(0.0)
    either = writer.node("Or", writer.node("Equal", x, zero), writer.node("Equal", y, zero))
    return writer.node("Where", either, zero, writer.node("Mul", x, y))


# ---- over axes


def reduced(writer: Writer, kind: str, x: str, axes: tuple[int, ...], keep: bool) -> str:
    """Write a reduction; the axes of all but sums are attributes before opset 18."""
    if not axes:  # of a number; without axes ONNX would take all
        return x
    if kind == "ReduceSum" or writer.opset >= 18:
        return writer.node(kind, x, writer.whole(*axes), keepdims=int(keep))
    return writer.node(kind, x, axes=axes, keepdims=int(keep))


def _reduction(kind: str) -> Written:
    """Write a reduction over the axes of NumPy's call."""

    def write(writer: Writer, call: Node) -> str:
        x = call.args[0]
        axes = spelled_axes(call.attribute("axis"), x.ndim)
        text = writer.text(x, call.dtype)
        return reduced(writer, kind, text, axes, bool(call.attribute("keepdims")))

    return write


def _sum_to(writer: Writer, call: Node) -> str:
    """Write the sum over what broadcasting had stretched, as gradients are."""
    x, lead = call.args[0], call.args[0].ndim - call.ndim
    stretched = (k for k in range(lead, x.ndim) if x.shape[k] != call.shape[k - lead])
    total = reduced(writer, "ReduceSum", writer.text(x), (*range(lead), *stretched), keep=True)
    return writer.reshaped(total, writer.made.lengths(call)) if lead else total


def _variance(writer: Writer, call: Node) -> str:
    """Write the mean of the squares of what is left without the mean."""
    x, keep = call.args[0], bool(call.attribute("keepdims"))
    axes = spelled_axes(call.attribute("axis"), x.ndim)
    lengths = [writer.made.lengths(x)[a] for a in axes]
    text = writer.text(x, call.dtype)
    apart = writer.node("Sub", text, reduced(writer, "ReduceMean", text, axes, True))
    mean = reduced(writer, "ReduceMean", writer.node("Mul", apart, apart), axes, keep)
    ddof = call.attribute("ddof")
    if not ddof:
        return mean
    if any(length.a for length in lengths):
        raise refusal(call, "with ddof over the rows of the batch depends on their number")
    n = math.prod(length.b for length in lengths)
    return writer.node("Mul", mean, writer.constant(n / (n - ddof)))


def _deviation(writer: Writer, call: Node) -> str:
    return writer.node("Sqrt", _variance(writer, call))


def _norm(writer: Writer, call: Node) -> str:
    x = call.args[0]
    axes = spelled_axes(call.attribute("axis"), x.ndim)
    text = writer.text(x, call.dtype)
    squares, keep = writer.node("Mul", text, text), bool(call.attribute("keepdims"))
    return writer.node("Sqrt", reduced(writer, "ReduceSum", squares, axes, keep))


def _logsumexp(writer: Writer, call: Node) -> str:
    """Write it from the largest on, since e^x of ONNX's own may overflow."""
    x = call.args[0]
    axes = spelled_axes(call.attribute("axis"), x.ndim)
    text = writer.text(x, call.dtype)
    top = reduced(writer, "ReduceMax", text, axes, True)
    e = writer.node("Exp", writer.node("Sub", text, top))
    z = writer.node("Add", writer.node("Log", reduced(writer, "ReduceSum", e, axes, True)), top)
    if call.attribute("keepdims"):
        return z
    return writer.node("Squeeze", z, writer.whole(*axes)) if axes else z


def _softmax(kind: str) -> Written:
    """Write a softmax, or its logarithm, along one axis or over several."""

    def write(writer: Writer, call: Node) -> str:
        x, axis = call.args[0], call.attribute("axis")
        axes = spelled_axes(axis, x.ndim)
        text = writer.text(x, call.dtype)
        if len(axes) == 1:
            return writer.node(kind, text, axis=axes[0])
        apart = writer.node("Sub", text, reduced(writer, "ReduceMax", text, axes, True))
        total = reduced(writer, "ReduceSum", writer.node("Exp", apart), axes, True)
        if kind == "Softmax":
            return writer.node("Div", writer.node("Exp", apart), total)
        return writer.node("Sub", apart, writer.node("Log", total))

    return write


def _place(kind: str) -> Written:
    """Write where the largest or least is."""

    def write(writer: Writer, call: Node) -> str:
        x, axis = call.args[0], call.attributes.get("axis")
        keep = int(bool(call.attributes.get("keepdims")))
        text = writer.text(x)
        if axis is None:
            axis, text = 0, writer.node("Reshape", text, writer.whole(-1))
            keep = 0
        return writer.node(kind, text, axis=int(axis), keepdims=keep)

    return write


# ---- products


def _affine(writer: Writer, call: Node) -> str:
    """Write a layer of rows as Gemm, of more axes as MatMul and Add."""
    x, weight, bias = call.args
    names = [writer.text(a, call.dtype) for a in call.args]
    if x.ndim == 2 and weight.ndim == 2 and bias.ndim == 1:
        return writer.node("Gemm", *names, transB=1)
    turned = writer.node("Transpose", names[1])
    return writer.node("Add", writer.node("MatMul", names[0], turned), names[2])


def _matmul(writer: Writer, call: Node) -> str:
    return writer.node("MatMul", *(writer.text(a, call.dtype) for a in call.args))


def _einsum(writer: Writer, call: Node) -> str:
    names = [writer.text(a, call.dtype) for a in call.args]
    return writer.node("Einsum", *names, equation=call.attribute("subscripts"))


def _cumsum(writer: Writer, call: Node) -> str:
    axis = writer.constant(np.asarray(call.attribute("axis"), np.int64))
    return writer.node("CumSum", writer.text(call.args[0], call.dtype), axis)


def _one_hot(writer: Writer, call: Node) -> str:
    classes = call.attribute("classes")
    labels = writer.text(call.args[0], np.int64)
    values = writer.constant(np.array([0, 1], call.dtype))
    return writer.node("OneHot", labels, writer.whole(classes), values, axis=-1)


ELEMENTS: dict[Any, Written] = {
    **{function.op: _plain(kind) for function, kind in _SAME.items()},
    **{function.op: _logical(kind) for function, kind in _LOGICAL.items()},
    **{function.op: _bits(kind) for function, kind in _BITS.items()},
    STOP_GRADIENT: _itself,
    ops.positive.op: _itself,
    ops.cast.op: _itself,
    ops.not_equal.op: _not_equal,
    ops.square.op: _square,
    ops.where.op: _where,
    op_behind(lambda x: np.clip(x, 0, 1)): _clip,
    ops.log1p.op: _log1p,
    ops.softplus.op: _softplus,
    ops.log_sigmoid.op: _log_sigmoid,
    ops.expm1.op: _expm1,
    ops.exp2.op: _exp2,
    ops.log2.op: _scaled("Log", 1 / math.log(2)),
    ops.log10.op: _scaled("Log", 1 / math.log(10)),
    ops.cbrt.op: _cbrt,
    ops.normal_cdf.op: _phi,
    ops.gelu.op: _gelu,
    ops.silu.op: _silu,
    ops.elu.op: _bent("Elu", "alpha"),
    ops.leaky_relu.op: _bent("LeakyRelu", "slope"),
    ops.logaddexp.op: _logaddexp,
    ops.hypot.op: _hypot,
    ops.safe_divide.op: _safe_divide,
    ops.safe_multiply.op: _safe_multiply,
    ops.sum.op: _reduction("ReduceSum"),
    ops.sum_to.op: _sum_to,
    ops.mean.op: _reduction("ReduceMean"),
    ops.max.op: _reduction("ReduceMax"),
    ops.min.op: _reduction("ReduceMin"),
    ops.prod.op: _reduction("ReduceProd"),
    ops.var.op: _variance,
    ops.std.op: _deviation,
    ops.logsumexp.op: _logsumexp,
    ops.softmax.op: _softmax("Softmax"),
    ops.log_softmax.op: _softmax("LogSoftmax"),
    ops.affine.op: _affine,
    ops.matmul.op: _matmul,
    op_behind(lambda x: np.einsum("ij->ji", x)): _einsum,
    op_behind(lambda x: np.cumsum(x, axis=0)): _cumsum,
    op_behind(np.linalg.norm): _norm,
    ops.one_hot_rows.op: _one_hot,
    np.argmax: _place("ArgMax"),
    np.argmin: _place("ArgMin"),
}
