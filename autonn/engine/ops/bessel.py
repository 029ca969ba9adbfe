"""Bessel's functions: each derivative is made of the orders beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, elementwise
from autonn.engine.ops.arithmetic import BROADCAST
from autonn.engine.ops.special import no_gradient

_NO_ORDER = "There is no gradient for the order v."

jv: Function = define(
    "jv",
    special.jv,
    "z = J_v(x), Bessel's function of the first kind",
    no_gradient("jv", "order"),
    lambda g, z, v, x: g * (special.jv(v - 1, x) - special.jv(v + 1, x)) / 2,
    kinks=_NO_ORDER,
    hint=BROADCAST,
)

yv: Function = define(
    "yv",
    special.yv,
    "z = Y_v(x), Bessel's function of the second kind",
    no_gradient("yv", "order"),
    lambda g, z, v, x: g * (special.yv(v - 1, x) - special.yv(v + 1, x)) / 2,
    kinks=_NO_ORDER,
    hint=BROADCAST,
)


def _iv_forward(v: Any, x: Any) -> Any:
    """Take the value at 0 beside it, where SciPy's function gives NaN for subnormal numbers."""
    z = special.iv(v, x)
    lost = np.isnan(z) & np.less(np.absolute(x), 1e-300)
    return np.where(lost, special.iv(v, np.multiply(x, 0.0)), z).astype(z.dtype)


iv: Function = define(
    "iv",
    lambda v, x: _iv_forward(v, x),
    "z = I_v(x), Bessel's modified function of the first kind",
    no_gradient("iv", "order"),
    lambda g, z, v, x: g * (iv(v - 1, x) + iv(v + 1, x)) / 2,
    numpy=(special.iv,),
    kinks=_NO_ORDER,
    hint=BROADCAST,
    rows=elementwise,
    memory=Memory.NEW,
)

kv: Function = define(
    "kv",
    special.kv,
    "z = K_v(x), Bessel's modified function of the second kind",
    no_gradient("kv", "order"),
    lambda g, z, v, x: -g * (special.kv(v - 1, x) + special.kv(v + 1, x)) / 2,
    kinks=_NO_ORDER,
    hint=BROADCAST,
)

ive: Function = define(
    "ive",
    special.ive,
    "z = I_v(x) e^-|x|",
    no_gradient("ive", "order"),
    lambda g, z, v, x: g * ((special.ive(v - 1, x) + special.ive(v + 1, x)) / 2 - np.sign(x) * z),
    kinks=_NO_ORDER + " At 0 it is that on both sides' middle.",
    hint=BROADCAST,
)

j0 = define("j0", special.j0, "z = J_0(x)", lambda g, z, x: -g * special.j1(x))

j1 = define(
    "j1", special.j1, "z = J_1(x)", lambda g, z, x: g * (special.j0(x) - special.jv(2, x)) / 2
)

y0 = define("y0", special.y0, "z = Y_0(x)", lambda g, z, x: -g * special.y1(x))

y1 = define(
    "y1", special.y1, "z = Y_1(x)", lambda g, z, x: g * (special.y0(x) - special.yv(2, x)) / 2
)

i0 = define("i0", special.i0, "z = I_0(x)", lambda g, z, x: g * special.i1(x))

i1 = define("i1", special.i1, "z = I_1(x)", lambda g, z, x: g * (special.i0(x) + iv(2, x)) / 2)

k0 = define("k0", special.k0, "z = K_0(x)", lambda g, z, x: -g * special.k1(x))

k1 = define(
    "k1", special.k1, "z = K_1(x)", lambda g, z, x: -g * (special.k0(x) + special.kv(2, x)) / 2
)

i0e = define(
    "i0e",
    special.i0e,
    "z = I_0(x) e^-|x|",
    lambda g, z, x: g * (special.i1e(x) - np.sign(x) * z),
    kinks="At 0 the gradient is 0.",
)

i1e: Function = define(
    "i1e",
    special.i1e,
    "z = I_1(x) e^-|x|",
    lambda g, z, x: g * ((special.i0e(x) + special.ive(2, x)) / 2 - np.sign(x) * z),
)
