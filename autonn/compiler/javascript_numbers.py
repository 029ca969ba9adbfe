"""How ops of numbers are written in JavaScript: one entry an op, and the helpers they call."""

from __future__ import annotations

from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.engine.lineage import op_behind
from autonn.engine.op import STOP_GRADIENT
from autonn.engine.ops.probability import odds, odds_limit, over_odds
from autonn.engine.ops.special import xlog1py, xlogy

__all__ = ["HELPERS", "NUMBERS"]

_MATH = {
    ops.absolute: "abs", ops.sqrt: "sqrt", ops.exp: "exp", ops.log: "log", ops.sin: "sin",
    ops.cos: "cos", ops.tan: "tan", ops.arcsin: "asin", ops.arccos: "acos", ops.arctan: "atan",
    ops.sinh: "sinh", ops.cosh: "cosh", ops.tanh: "tanh", ops.arcsinh: "asinh",
    ops.arccosh: "acosh", ops.arctanh: "atanh", ops.expm1: "expm1", ops.log1p: "log1p",
    ops.log2: "log2", ops.log10: "log10", ops.cbrt: "cbrt", ops.floor: "floor", ops.ceil: "ceil",
    ops.trunc: "trunc", ops.sign: "sign",
}  # fmt: skip

_FAR = f"{odds_limit(np.dtype(float)):g}"

# An expression of ``{0}``, ``{1}``, ...: the operands, each an element or a variable.
NUMBERS: dict[Any, str] = {
    **{function.op: f"Math.{name}({{0}})" for function, name in _MATH.items()},
    ops.add.op: "{0} + {1}",
    ops.subtract.op: "{0} - {1}",
    ops.multiply.op: "{0} * {1}",
    ops.divide.op: "{0} / {1}",
    ops.negative.op: "-{0}",
    ops.positive.op: "{0}",
    STOP_GRADIENT: "{0}",
    ops.reciprocal.op: "1 / {0}",
    ops.square.op: "{0} * {0}",
    ops.power.op: "Math.pow({0}, {1})",
    ops.exp2.op: "Math.pow(2, {0})",
    ops.maximum.op: "Math.max({0}, {1})",
    ops.minimum.op: "Math.min({0}, {1})",
    ops.hypot.op: "Math.hypot({0}, {1})",
    ops.arctan2.op: "Math.atan2({0}, {1})",
    ops.rint.op: "nearest({0})",
    ops.copysign.op: "copySign({0}, {1})",
    ops.heaviside.op: "({0} === 0 ? {1} : Number({0} > 0))",
    ops.logaddexp.op: "logAddExp({0}, {1})",
    ops.erf.op: "errorFunction({0})",
    ops.normal_cdf.op: "normalCdf({0})",
    ops.sigmoid.op: "1 / (1 + Math.exp(-{0}))",
    odds.op: f"Math.exp(Math.min({{0}}, {_FAR}))",
    over_odds.op: f"({{2}} > {_FAR} ? {{0}} * Math.exp(-{{2}}) : {{0}} / {{1}})",
    ops.equal.op: "Number({0} === {1})",
    ops.not_equal.op: "Number({0} !== {1})",
    ops.less.op: "Number({0} < {1})",
    ops.less_equal.op: "Number({0} <= {1})",
    ops.greater.op: "Number({0} > {1})",
    ops.greater_equal.op: "Number({0} >= {1})",
    ops.logical_and.op: "Number({0} && {1})",
    ops.logical_or.op: "Number({0} || {1})",
    ops.logical_not.op: "Number(!{0})",
    ops.isnan.op: "Number({0} !== {0})",
    ops.isinf.op: "Number(Math.abs({0}) === Infinity)",
    ops.isfinite.op: "Number(Number.isFinite({0}))",
    ops.signbit.op: "Number({0} < 0 || 1 / {0} < 0)",
    ops.bitwise_and.op: "({0} & {1})",
    ops.bitwise_or.op: "({0} | {1})",
    ops.invert.op: "Number(!{0})",
    ops.where.op: "({0} ? {1} : {2})",
    ops.cast.op: "{0}",
    ops.safe_divide.op: "({0} === 0 ? 0 : {0} / {1})",
    ops.safe_multiply.op: "({0} === 0 || {1} === 0 ? 0 : {0} * {1})",
    op_behind(lambda x: np.clip(x, 0, 1)): "Math.min(Math.max({0}, {1}), {2})",
    xlogy.op: "({0} === 0 ? 0 : {0} * Math.log({1}))",
    xlog1py.op: "({0} === 0 ? 0 : {0} * Math.log1p({1}))",
}

# What expressions call, by name.
HELPERS: dict[str, str] = {
    "nearest": """\
function nearest(x) {  // the nearest whole number, of two the even one
  const down = Math.floor(x), rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}""",
    "copySign": """\
function copySign(x, y) {  // |x| with the sign of y
  return y < 0 || 1 / y < 0 ? -Math.abs(x) : Math.abs(x);
}""",
    "logAddExp": """\
function logAddExp(x, y) {  // ln(e^x + e^y)
  return x === y ? x + Math.LN2 : Math.max(x, y) + Math.log1p(Math.exp(-Math.abs(x - y)));
}""",
    "errorFunction": """\
function errorFunction(x) {  // by its series, without any cancelling, and its tail
  if (Math.abs(x) > 2) return x < 0 ? erfTail(-x) - 1 : 1 - erfTail(x);
  let term = x, total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= 2 * x * x / (2 * n + 1);
    total += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * total;
}""",
    "erfTail": """\
function erfTail(x) {  // 1 - erf(x) for x > 1, by its continued fraction, from its end
  let fraction = x;
  for (let n = 200; n > 0; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}""",
    "normalCdf": """\
function normalCdf(x) {  // the share of the standard normal distribution below x
  const z = x * Math.SQRT1_2;
  return z < -1.5 ? erfTail(-z) / 2 : 0.5 + errorFunction(z) / 2;
}""",
}
