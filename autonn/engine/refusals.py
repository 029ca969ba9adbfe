"""What is said where NumPy or SciPy ask of a Tensor what it does not do, and what to do instead.

A Tensor never turns into a bare array by itself. Who asks for one is seen from the frame that
asks: functions that no protocol reaches, as those of ``scipy.linalg``, get the name of what stands
for them here.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np
from scipy import special

from autonn.engine.lines import shown_line, users_line
from autonn.engine.modes import TracedValueError, transforming
from autonn.engine.op import NotDifferentiableError

__all__ = [
    "instead_of",
    "lost_as_number",
    "masked_beside",
    "no_array",
    "no_output",
    "not_in_place",
    "not_known_yet",
    "public_name",
    "unsupported",
]


def _table(text: str) -> dict[str, str]:
    """Read a table of names of other libraries, a line each, and what to do instead."""
    pairs = (line.strip().partition(": ") for line in text.strip().splitlines())
    return {name: instead for name, _, instead in pairs}


# What stands here for functions of NumPy and SciPy that no protocol reaches, by their names.
_OURS = _table("""
    logsumexp: autonn.logsumexp
    softmax: autonn.softmax
    log_softmax: autonn.log_softmax
    softplus: autonn.softplus
    polygamma: autonn.engine.ops.polygamma
    expm: autonn.engine.ops.expm
    sqrtm: autonn.engine.ops.sqrtm
    solve_triangular: autonn.engine.ops.solve_triangular
    cho_solve: autonn.engine.ops.cho_solve
    block_diag: autonn.engine.ops.block_diag
    logpdf: norm_logpdf or multivariate_normal_logpdf of autonn.engine.ops
    pdf: norm_pdf or multivariate_normal_pdf of autonn.engine.ops
    cdf: autonn.engine.ops.norm_cdf
    logcdf: autonn.engine.ops.norm_logcdf
    inv: np.linalg.inv
    solve: np.linalg.solve
    det: np.linalg.det
    cholesky: np.linalg.cholesky
    eigh: np.linalg.eigh
    qr: np.linalg.qr
    svd: np.linalg.svd
    pinv: np.linalg.pinv
    lstsq: np.linalg.lstsq
""")

# What to do instead of functions that the protocols do reach.
_INSTEAD = _table("""
    copyto: np.where, or x.at[...].set(value)
    put: x.at[...].set(value)
    putmask: np.where
    place: np.where
    put_along_axis: x.at[...].set(value)
    fill_diagonal: np.where(np.eye(n), value, x)
    eig: np.linalg.eigh, of symmetric matrices, or np.linalg.svd
    eigvals: np.linalg.eigvalsh, of symmetric matrices, or np.linalg.svdvals
    roots: a solver: the roots are complex numbers, which have no gradient here
    histogram: np.bincount(places, weights=x)
""")
_COMPLEX = "products with matrices of np.cos and np.sin: complex numbers have no gradient here"
_INSTEAD |= dict.fromkeys(
    ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn",
     "ifftn", "rfftn", "irfftn"),
    _COMPLEX,
)  # fmt: skip


def public_name(function: Any) -> str:
    """Say where users find a function of NumPy's or SciPy's.

    >>> public_name(special.erfc), public_name(np.exp), public_name(np.linalg.eig)
    ('scipy.special.erfc', 'np.exp', 'np.linalg.eig')
    """
    name = function.__name__
    homes = (("np", np), ("np.linalg", np.linalg), ("np.fft", np.fft), ("scipy.special", special))
    for home, module in homes:
        if getattr(module, name, None) is function:
            return f"{home}.{name}"
    for home, module in homes:
        if hasattr(module, name.lstrip("_")):
            return f"{home}.{name.lstrip('_')}"
    return f"{getattr(function, '__module__', None) or 'numpy'}.{name}"


def instead_of(name: str) -> str:
    """Say what to use instead of a function of that name."""
    cure = _INSTEAD.get(name) or _OURS.get(name)
    return cure or "another function, or .data where no gradient is needed"


def unsupported(function: Any, suffix: str = "") -> TypeError:
    """Make the error of a function that NumPy brings here and no op stands for."""
    cure = instead_of(function.__name__)
    return TypeError(
        f"{public_name(function)}{suffix} is not differentiable here: no op stands for it; "
        f"use {cure}"
    )


def no_output(function: Any) -> RuntimeError:
    """Make the error of ``out=``."""
    return RuntimeError(
        f"{public_name(function)} cannot write into out=, a graph may need what was there; "
        "use the result, or write to a leaf's .data"
    )


def no_array() -> TypeError:
    """Make the error of what would turn a Tensor into an array, which names who asked."""
    asks = _asking(sys._getframe(2))
    if asks is not None:
        return TypeError(
            f"{asks} takes arrays alone, and a Tensor does not turn into one by itself, its "
            f"gradient would be lost; use {instead_of(asks.rpartition('.')[2])}"
        )
    return TypeError(
        "a Tensor does not turn into an array by itself, its gradient would be lost; "
        "join Tensors by np.stack([x, y]) or np.concatenate, also where a list of them was to be "
        "an array, summed or joined by np.r_ or np.c_; fill by np.broadcast_to; "
        "use .data or .numpy() where no gradient is needed"
    )


def _asking(frame: FrameType | None) -> str | None:
    """Name the function of SciPy's that the user called and that asks for an array."""
    found = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] == "scipy":
            found = f"{'.'.join(module.split('.')[:2])}.{frame.f_code.co_name}"
        elif module.partition(".")[0] != "numpy":
            break
        frame = frame.f_back
    return found


def lost_as_number(action: str) -> None:
    """Refuse a number of a Tensor whose gradient is being asked for: it would be lost."""
    if transforming():
        raise NotDifferentiableError(
            f"{action} a Tensor that is being differentiated: its gradient would be lost; use "
            "NumPy's functions in place of math's, np.stack or x.at[...].set(value) in place of "
            "an array that is filled, and .item() where no gradient is wanted"
        )


def masked_beside() -> TypeError:
    """Make the error of a masked array beside a Tensor, which would drop the Tensor's graph."""
    return TypeError(
        "a masked array beside a Tensor: its own rules would lose the gradient; "
        "use x.filled(value), or np.where"
    )


def not_known_yet(action: str, cure: str) -> TracedValueError:
    """Make the error of reading a Tensor's value while its function is being compiled."""
    return TracedValueError(
        f"{shown_line(users_line())}: {action} a Tensor while its function is being compiled: the "
        f"value is not known yet; {cure} out of what is compiled"
    )


def not_in_place(operator: str) -> RuntimeError:
    """Make the error of an operator in place on a leaf that a graph may need."""
    return RuntimeError(
        f"p {operator}= ... on a Tensor that requires a gradient would change what a graph may "
        f"need; write p.data {operator}= ..., or do it within no_grad(), or name the result anew"
    )
