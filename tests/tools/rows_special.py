"""Rows of the functions of ``scipy.special``, and of NumPy's further functions of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy import special
from tools.oprows import (
    AWAY,
    REAL,
    Array,
    Row,
    between,
    dual,
    each,
    middle,
    upper,
)

from autonn.engine import ops

LARGE = between(0.4, 4, 0.5, 1e8, small=0.5)
SHARE = between(0.1, 0.9, 0.5, 0.5)
SIGNED = between(-3, 3, -1, 1)
PART = between(-0.9, 0.9, -0.5, 0.5)
MODEST = between(0.3, 3, 0.5, 1)

BELL = 2 / np.sqrt(np.pi)


def _normal(x: Any) -> Array:
    return np.asarray(np.exp(-x * x / 2) / np.sqrt(2 * np.pi))


def _floored(x: Array, y: Array) -> Array:
    return np.asarray(x - y * np.floor_divide(np.real(x), np.real(y)))


def _cut(x: Array, y: Array) -> Array:
    return np.asarray(x - y * np.trunc(np.real(x) / np.real(y)))


def _beta_slope(x: Array, y: Array) -> Array:
    return np.asarray(special.beta(x, y) * (special.psi(x) - special.psi(x + y)))


def _betaln_slope(x: Array, y: Array) -> Array:
    return np.asarray(special.psi(x) - special.psi(x + y))


def _turned(f: Any) -> Any:
    return lambda x, y: f(y, x)


def _huber(delta: Array, x: Array) -> Array:
    inside = np.abs(np.real(x)) <= np.real(delta)
    size = np.where(np.real(x) < 0, -x, x)
    return np.where(inside, x * x / 2, delta * (size - delta / 2))


def _whole_numbers(x: Array) -> Array:
    """Take 0 for subnormal numbers, of which SciPy's function makes NaN."""
    return np.where(np.abs(x) < 1e-290, 0, x)


def _sphere(n: int) -> Any:
    return dual(
        lambda x: special.spherical_jn(n, _whole_numbers(x)),
        lambda x: special.spherical_jn(n, _whole_numbers(x), derivative=True),
    )


def _logpdf(x: Array, m: Array, s: Array) -> Array:
    z = (x - m) / s
    return np.asarray(z * z * -0.5 - np.log(s) - float(np.log(2 * np.pi)) / 2)


def _density(f: Any, x: Array, m: Array, s: Array) -> Array:
    """Ask SciPy, which has no float32; its `stats` take half a second to import, when asked for."""
    theirs = getattr(scipy.stats.norm, f.__name__.partition("_")[2])
    return np.asarray(theirs(x, m, s)).astype(np.result_type(x, m, s))


SPECIAL_ROWS: list[Row] = [
    # quotients in whole numbers
    each(
        "floor_divide", np.floor_divide, REAL, AWAY, jumps=True,
        twin=lambda x, y: np.floor_divide(x.real, y.real) + 0j,
    ),
    each("remainder", np.remainder, REAL, AWAY, twin=_floored, jumps=True, exact=False),
    each("remainder", lambda x, y: x % y, REAL, MODEST, twin=_floored, jumps=True),
    each("fmod", np.fmod, REAL, AWAY, twin=_cut, jumps=True, exact=False),
    each(
        "divmod", lambda x, y: np.divmod(x, y)[1], REAL, MODEST, also=(np.divmod,), twin=_floored,
        jumps=True,
    ),
    each(
        "modf", lambda x: np.modf(x)[0], REAL, also=(np.modf,), jumps=True,
        twin=lambda x: x - np.trunc(x.real),
    ),
    each(
        "float_power", np.float_power, between(0.3, 3, 0.5, 1), SIGNED, keeps32=False, exact=False,
    ),
    # angles, parts, NaN
    each("radians", np.radians, REAL, twin=lambda x: x * (np.pi / 180), also=(np.deg2rad,)),
    each("degrees", np.degrees, REAL, twin=lambda x: x * (180 / np.pi), also=(np.rad2deg,)),
    each(
        "fmax", np.fmax, REAL, REAL, twin=lambda x, y: np.where(x.real > y.real, x, y),
        distance=lambda x, y: np.abs(x - y), convention=(middle, middle),
    ),
    each(
        "fmin", np.fmin, REAL, REAL, twin=lambda x, y: np.where(x.real < y.real, x, y),
        distance=lambda x, y: np.abs(x - y), convention=(middle, middle),
    ),
    each(
        "logaddexp2", np.logaddexp2, SIGNED, SIGNED, exact=False,
        twin=lambda x, y: np.log2(2**x + 2**y),
    ),
    each("fix", np.fix, REAL, jumps=True, twin=lambda x: np.fix(x.real) + 0j),
    each(
        "sinc", np.sinc, SIGNED, exact=False,
        twin=dual(
            np.sinc,
            lambda x: -np.pi * special.spherical_jn(1, _whole_numbers(np.pi * x)),
        ),
    ),
    each(
        "spherical_bessel", lambda x: ops.spherical_bessel(x, n=1), SIGNED,
        value=lambda x: special.spherical_jn(1, _whole_numbers(x)).astype(x.dtype),
        twin=_sphere(1), exact=False,
    ),
    each("nan_to_num", np.nan_to_num, REAL, twin=lambda x: x),
    each("real", np.real, REAL, twin=lambda x: x),
    each("real", lambda x: x.real, REAL, twin=lambda x: x),
    each("imag", np.imag, REAL, twin=lambda x: 0 * x, jumps=True),
    each("conjugate", np.conjugate, REAL, twin=lambda x: x),
    each("copy", np.copy, REAL),
    each("copy", lambda x: x.copy(), REAL),
    # gamma and beta
    each("gammaln", special.gammaln, LARGE, twin=dual(special.gammaln, special.psi)),
    each(
        "gamma", special.gamma, between(0.4, 4, 0.5, 1),
        twin=dual(special.gamma, lambda x: special.gamma(x) * special.psi(x)),
    ),
    each(
        "rgamma", special.rgamma, between(0.4, 4, 0.5, 1),
        twin=dual(special.rgamma, lambda x: -special.rgamma(x) * special.psi(x)),
    ),
    each(
        "digamma", special.digamma, LARGE, also=(special.psi,),
        twin=dual(special.psi, lambda x: special.polygamma(1, x)),
    ),
    each(
        "polygamma", lambda x: ops.polygamma(1, x), LARGE, exact=False,
        value=lambda x: special.polygamma(1, x).astype(x.dtype),
        twin=dual(lambda x: special.polygamma(1, x), lambda x: special.polygamma(2, x)),
    ),
    each(
        "beta", special.beta, MODEST, MODEST,
        twin=dual(special.beta, _beta_slope, _turned(_beta_slope)),
    ),
    each(
        "betaln", special.betaln, MODEST, MODEST,
        twin=dual(special.betaln, _betaln_slope, _turned(_betaln_slope)),
    ),
    each(
        "gammainc", lambda x: special.gammainc(1.5, x), MODEST, also=(special.gammainc,),
        keeps32=False, twin=dual(
            lambda x: special.gammainc(1.5, x),
            lambda x: np.sqrt(x) * np.exp(-x) / special.gamma(1.5),
        ),
    ),
    each(
        "gammaincc", lambda x: special.gammaincc(1.5, x), MODEST, also=(special.gammaincc,),
        keeps32=False, twin=dual(
            lambda x: special.gammaincc(1.5, x),
            lambda x: -np.sqrt(x) * np.exp(-x) / special.gamma(1.5),
        ),
    ),
    each(
        "betainc", lambda x: special.betainc(1.5, 2.5, x), SHARE, also=(special.betainc,),
        twin=dual(
            lambda x: special.betainc(1.5, 2.5, x),
            lambda x: np.sqrt(x) * (1 - x) ** 1.5 / special.beta(1.5, 2.5),
        ),
    ),
    # the error function and the normal distribution
    each(
        "erfc", special.erfc, SIGNED, twin=dual(special.erfc, lambda x: -BELL * np.exp(-x * x))
    ),
    each(
        "erfcx", special.erfcx, SIGNED,
        twin=dual(special.erfcx, lambda x: 2 * x * special.erfcx(x) - BELL),
    ),
    each(
        "erfinv", special.erfinv, PART,
        twin=dual(special.erfinv, lambda x: np.exp(special.erfinv(x) ** 2) / BELL),
    ),
    each(
        "erfcinv", special.erfcinv, between(0.2, 1.8, 0.5, 1),
        twin=dual(special.erfcinv, lambda x: -np.exp(special.erfcinv(x) ** 2) / BELL),
    ),
    each(
        "ndtri", special.ndtri, SHARE,
        twin=dual(special.ndtri, lambda x: 1 / _normal(special.ndtri(x))),
    ),
    each(
        "log_ndtr", special.log_ndtr, SIGNED,
        twin=dual(special.log_ndtr, lambda x: _normal(x) / special.ndtr(x)),
    ),
    each(
        "dawsn", special.dawsn, SIGNED,
        twin=dual(special.dawsn, lambda x: 1 - 2 * x * special.dawsn(x)),
    ),
    # logarithms and entropies
    each("logit", special.logit, SHARE, twin=lambda x: np.log(x / (1 - x))),
    each("xlogy", special.xlogy, REAL, MODEST, twin=lambda x, y: x * np.log(y)),
    each("xlog1py", special.xlog1py, REAL, MODEST, twin=lambda x, y: x * np.log1p(y)),
    each("entr", special.entr, LARGE, twin=lambda x: -x * np.log(x)),
    each("rel_entr", special.rel_entr, MODEST, MODEST, twin=lambda x, y: x * np.log(x / y)),
    each(
        "kl_div", special.kl_div, MODEST, MODEST, twin=lambda x, y: x * np.log(x / y) - x + y
    ),
    each(
        "huber", special.huber, MODEST, SIGNED, twin=_huber,
        distance=lambda d, x: np.abs(np.abs(x) - d), convention=(upper, middle),
    ),
    each(
        "pseudo_huber", special.pseudo_huber, MODEST, SIGNED, exact=False,
        twin=lambda d, x: d * d * (np.sqrt(1 + (x / d) * (x / d)) - 1),
    ),
    each("expi", special.expi, MODEST, twin=dual(special.expi, lambda x: np.exp(x) / x)),
    each("exp1", special.exp1, MODEST, twin=dual(special.exp1, lambda x: -np.exp(-x) / x)),
    each("exp10", special.exp10, SIGNED, twin=lambda x: 10**x),
    each("cbrt", special.cbrt, MODEST, value=np.cbrt, twin=lambda x: x ** (1 / 3)),
    each("exp2", special.exp2, SIGNED, value=np.exp2),
    each("expm1", special.expm1, SIGNED, value=np.expm1),
    each("log1p", special.log1p, MODEST, value=np.log1p),
    # Bessel's functions
    each("j0", special.j0, SIGNED, twin=dual(special.j0, lambda x: -special.j1(x))),
    each("j1", special.j1, SIGNED, twin=dual(special.j1, lambda x: special.jvp(1, x))),
    each("y0", special.y0, MODEST, twin=dual(special.y0, lambda x: -special.y1(x))),
    each("y1", special.y1, MODEST, twin=dual(special.y1, lambda x: special.yvp(1, x))),
    each("i0", special.i0, SIGNED, twin=dual(special.i0, special.i1)),
    each("i0", np.i0, SIGNED, twin=dual(special.i0, special.i1), exact=False),
    each(
        "i1", special.i1, SIGNED,
        twin=dual(special.i1, lambda x: special.ivp(1, _whole_numbers(x))),
    ),
    each("k0", special.k0, MODEST, twin=dual(special.k0, lambda x: -special.k1(x))),
    each("k1", special.k1, MODEST, twin=dual(special.k1, lambda x: special.kvp(1, x))),
    each(
        "i0e", special.i0e, MODEST,
        twin=dual(special.i0e, lambda x: special.i1e(x) - special.i0e(x)),
    ),
    each(
        "i1e", special.i1e, MODEST,
        twin=dual(
            special.i1e, lambda x: special.ivp(1, x) * np.exp(-x) - special.i1e(x)
        ),
    ),
    *(
        each(
            f.__name__, lambda x, f=f: f(2.5, x), MODEST, also=(f,),
            twin=dual(lambda x, f=f: f(2.5, x), lambda x, d=d: d(2.5, x)),
        )
        for f, d in (
            (special.jv, special.jvp), (special.yv, special.yvp), (special.iv, special.ivp),
            (special.kv, special.kvp),
        )
    ),
    each(
        "ive", lambda x: special.ive(2.5, x), MODEST, also=(special.ive,),
        twin=dual(
            lambda x: special.ive(2.5, x),
            lambda x: special.ivp(2.5, x) * np.exp(-x) - special.ive(2.5, x),
        ),
    ),
    # densities, of scales from 1 on
    *(
        each(
            name, lambda x, m, s, f=f: f(x, m, 1 + s * s), SIGNED, SIGNED, SIGNED, exact=False,
            value=lambda x, m, s, f=f: _density(f, x, m, 1 + s * s), twin=twin,
        )
        for name, f, twin in (
            ("norm_logpdf", ops.norm_logpdf, lambda x, m, s: _logpdf(x, m, 1 + s * s)),
            ("norm_pdf", ops.norm_pdf, lambda x, m, s: np.exp(_logpdf(x, m, 1 + s * s))),
            ("norm_cdf", ops.norm_cdf, lambda x, m, s: special.ndtr((x - m) / (1 + s * s))),
            ("norm_logcdf", ops.norm_logcdf,
             lambda x, m, s: np.log(special.ndtr((x - m) / (1 + s * s)))),
        )
    ),
]  # fmt: skip
