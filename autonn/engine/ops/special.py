"""Functions of ``scipy.special`` that are ufuncs, so that its own names lead here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.apply import define
from autonn.engine.op import Function, Memory, NotDifferentiableError, elementwise
from autonn.engine.ops.arithmetic import BROADCAST
from autonn.engine.ops.elementary import bell, cbrt, exp2, expm1, log1p
from autonn.engine.ops.safe import safe_divide, safe_multiply
from autonn.engine.ops.selection import where
from autonn.engine.tensor import Operand, implementations

implementations |= {
    special.cbrt: cbrt, special.exp2: exp2, special.expm1: expm1, special.log1p: log1p,
}  # fmt: skip


def no_gradient(name: str, parameter: str) -> Any:
    """Make the rule of a parameter by which nobody knows how to differentiate."""

    def refuse(g: Any, z: Any, *values: Any) -> Any:
        """Return ``nothing, it is refused``."""
        raise NotDifferentiableError(
            f"scipy.special.{name} has no gradient here by its {parameter}; give a plain number "
            "or array there"
        )

    return refuse


# ---- the gamma function


def _polygamma_forward(x: Any, n: int) -> Any:
    sign = (-1.0) ** (n + 1) * math.factorial(n)
    z = special.psi(x) if n == 0 else sign * special.zeta(n + 1, x)
    return np.asarray(z, np.result_type(x, np.float32))


_polygamma: Function = define(
    "polygamma",
    lambda x, n=0: _polygamma_forward(x, n),
    "z = the n-th derivative of psi(x)",
    lambda g, z, x, n=0: g * _polygamma(x, n=n + 1),
    numpy=(),
    rows=elementwise,
    memory=Memory.NEW,
)


def polygamma(n: int, x: Operand) -> Any:
    """Compute the n-th derivative of psi, as `scipy.special.polygamma`, which takes arrays alone.

    >>> polygamma(1, np.array([1.0])).round(6)
    array([1.644934])
    """
    return _polygamma(x, n=int(n))


digamma = define(
    "digamma",
    special.psi,
    "z = psi(x), the derivative of ln Gamma(x)",
    lambda g, z, x: g * _polygamma(x, n=1),
    numpy=(special.psi, special.digamma),
)

gammaln = define(
    "gammaln", special.gammaln, "z = ln |Gamma(x)|", lambda g, z, x: g * special.psi(x)
)

gamma = define("gamma", special.gamma, "z = Gamma(x)", lambda g, z, x: g * (z * special.psi(x)))

rgamma = define(
    "rgamma", special.rgamma, "z = 1 / Gamma(x)", lambda g, z, x: -g * (z * special.psi(x))
)

betaln = define(
    "betaln",
    special.betaln,
    "z = ln |B(x, y)|, B(x, y) = Gamma(x) Gamma(y) / Gamma(x + y)",
    lambda g, z, x, y: g * (special.psi(x) - special.psi(x + y)),
    lambda g, z, x, y: g * (special.psi(y) - special.psi(x + y)),
    hint=BROADCAST,
)

beta = define(
    "beta",
    special.beta,
    "z = B(x, y)",
    lambda g, z, x, y: g * (z * (special.psi(x) - special.psi(x + y))),
    lambda g, z, x, y: g * (z * (special.psi(y) - special.psi(x + y))),
    hint=BROADCAST,
)

gammainc = define(
    "gammainc",
    special.gammainc,
    "z = the share of Gamma(a) that lies below x",
    no_gradient("gammainc", "first parameter"),
    lambda g, z, a, x: g * np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a)),
    kinks="There is no gradient for a.",
    hint=BROADCAST,
)

gammaincc = define(
    "gammaincc",
    special.gammaincc,
    "z = the share of Gamma(a) that lies above x",
    no_gradient("gammaincc", "first parameter"),
    lambda g, z, a, x: -g * np.exp(special.xlogy(a - 1, x) - x - special.gammaln(a)),
    kinks="There is no gradient for a.",
    hint=BROADCAST,
)


def _beta_density(x: Any, a: Any, b: Any) -> Any:
    """Compute ``x^(a-1) (1-x)^(b-1) / B(a, b)``."""
    rest = special.xlogy(a - 1, x) + special.xlog1py(b - 1, -x)
    return np.exp(rest - special.betaln(a, b))


betainc = define(
    "betainc",
    special.betainc,
    "z = the share of B(a, b) that lies below x",
    no_gradient("betainc", "first parameter"),
    no_gradient("betainc", "second parameter"),
    lambda g, z, a, b, x: g * _beta_density(x, a, b),
    kinks="There is no gradient for a and b.",
    hint=BROADCAST,
)

# ---- the error function and the normal distribution

erfc = define(
    "erfc",
    special.erfc,
    "z = 1 - erf(x)",
    lambda g, z, x: g * (-2 / math.sqrt(math.pi) * bell(x, 1.0)),
)

erfcx: Function = define(
    "erfcx",
    special.erfcx,
    "z = e^(x^2) erfc(x)",
    lambda g, z, x: g * (2 * x * z - 2 / math.sqrt(math.pi)),
)

erfinv = define(
    "erfinv",
    special.erfinv,
    "z such that erf(z) = x",
    lambda g, z, x: safe_divide(g, 2 / math.sqrt(math.pi) * bell(z, 1.0)),
    kinks="At -1 and 1 the gradient is inf.",
)

erfcinv = define(
    "erfcinv",
    special.erfcinv,
    "z such that erfc(z) = x",
    lambda g, z, x: -safe_divide(g, 2 / math.sqrt(math.pi) * bell(z, 1.0)),
    kinks="At 0 and 2 the gradient is -inf.",
)

ndtri = define(
    "ndtri",
    special.ndtri,
    "z such that the share x of the normal distribution lies below z",
    lambda g, z, x: safe_divide(g, bell(z, 0.5) / math.sqrt(2 * math.pi)),
    kinks="At 0 and 1 the gradient is inf.",
)


def _log_ndtr_slope(x: Any) -> Any:
    """Compute ``phi(x) / Phi(x)``.

    On the left it is done by erfcx, as both are 0 there and their quotient is not.
    """
    left = np.where(np.less(x, 0), x, 0)
    near = math.sqrt(2 / math.pi) / special.erfcx(left * -math.sqrt(0.5))
    right = np.where(np.less(x, 0), 0, x)
    far = bell(right, 0.5) / math.sqrt(2 * math.pi) / special.ndtr(right)
    return where(np.less(x, 0), near, far)


log_ndtr = define(
    "log_ndtr",
    special.log_ndtr,
    "z = ln of the share of the normal distribution below x",
    lambda g, z, x: g * _log_ndtr_slope(x),
)

dawsn = define(
    "dawsn",
    special.dawsn,
    "z = e^(-x^2) times the integral of e^(t^2) from 0 to x",
    lambda g, z, x: g * (1 - 2 * x * z),
)

# ---- logarithms, entropies

logit = define(
    "logit",
    special.logit,
    "z = ln(x / (1 - x))",
    lambda g, z, x: safe_divide(safe_divide(g, x), 1 - x),
    kinks="At 0 and 1 the gradient is inf.",
)

xlogy = define(
    "xlogy",
    special.xlogy,
    "z = x ln y, and 0 where x = 0",
    lambda g, z, x, y: special.xlogy(g, y),
    lambda g, z, x, y: safe_divide(g * x, y),
    kinks="At (0, 0) the gradient for x is -inf, and that for y 0.",
    hint=BROADCAST,
)

xlog1py = define(
    "xlog1py",
    special.xlog1py,
    "z = x ln(1 + y), and 0 where x = 0",
    lambda g, z, x, y: special.xlog1py(g, y),
    lambda g, z, x, y: safe_divide(g * x, 1 + y),
    kinks="At (0, -1) the gradient for x is -inf, and that for y 0.",
    hint=BROADCAST,
)

entr = define(
    "entr",
    special.entr,
    "z = -x ln x, and 0 at 0",
    lambda g, z, x: -special.xlogy(g, x) - g,
    kinks="At 0 the gradient is inf.",
)

rel_entr = define(
    "rel_entr",
    special.rel_entr,
    "z = x ln(x / y), and 0 where x = 0",
    lambda g, z, x, y: special.xlogy(g, x / y) + g,
    lambda g, z, x, y: -safe_divide(g * x, y),
    kinks="At x = 0 the gradient for x is -inf, and that for y 0.",
    hint=BROADCAST,
)

kl_div = define(
    "kl_div",
    special.kl_div,
    "z = x ln(x / y) - x + y",
    lambda g, z, x, y: special.xlogy(g, x / y),
    lambda g, z, x, y: g - safe_divide(g * x, y),
    kinks="At x = 0 the gradient for x is -inf, and that for y 1.",
    hint=BROADCAST,
)


huber = define(
    "huber",
    special.huber,
    "z = x^2 / 2 up to delta, and delta (|x| - delta / 2) beyond",
    lambda g, z, delta, x: g * np.maximum(np.absolute(x) - delta, 0),
    lambda g, z, delta, x: g * np.clip(x, -delta, delta),
    hint=BROADCAST,
)

pseudo_huber = define(
    "pseudo_huber",
    special.pseudo_huber,
    "z = delta^2 (sqrt(1 + (x / delta)^2) - 1)",
    lambda g, z, delta, x: g * (2 * safe_divide(z, delta) - safe_divide(x * x, np.hypot(delta, x))),
    lambda g, z, delta, x: g * delta * safe_divide(x, np.hypot(delta, x)),
    hint=BROADCAST,
)

# ---- integrals of exponentials

expi = define("expi", special.expi, "z = Ei(x)", lambda g, z, x: safe_multiply(g, np.exp(x) / x))

exp1 = define("exp1", special.exp1, "z = E_1(x)", lambda g, z, x: -g * (np.exp(-x) / x))

exp10 = define("exp10", special.exp10, "z = 10^x", lambda g, z, x: g * (math.log(10) * z))
