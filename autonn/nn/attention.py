"""Attention: each place of a sequence takes from all others what it looks for.

Names, shapes and the start of the parameters are PyTorch's, so that states can be taken over.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autonn.checks import plain, true_or_false, whole
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.nn.init import glorot_uniform, uniform, zeros
from autonn.nn.linear import Layer
from autonn.nn.module import Module, as_tensor, brought


class MultiheadAttention(Module):
    """Several heads that look at a sequence at once: ``softmax(Q K' / sqrt(d)) V`` of each.

    ``layer(query, key=None, value=None, mask=None, causal=False)`` takes (batch, queries, width)
    and, of key and value, (batch, keys, width), and gives (batch, queries, width). Without a key,
    the query is looked at itself; without a value, it is the key. ``Q = query W_q' + b_q``, and K
    and V in the same way, with the three W below one another in `in_proj_weight`, are cut into
    heads of ``d = width / heads`` numbers; what the heads found lies side by side and goes through
    the layer `out_proj`. Source: Vaswani et al. (2017), "Attention is all you need", section 3.2.

    A mask is boolean, and True where a query may look, as in PyTorch's
    `scaled_dot_product_attention`; of its `MultiheadAttention` it is the contrary. Its shape is
    (queries, keys), (batch, queries, keys) or (batch, heads, queries, keys), or 1 for any of them:
    for keys that are padding, of shape (batch, keys), it is ``~padding[:, None]``. With
    ``causal=True`` a place looks at itself and at what came before. A query that may look nowhere
    finds 0.

    Parameters
    ----------
    width
        How many numbers each place has.
    heads
        How many heads the width is divided among.
    bias
        Whether there are an `in_proj_bias` and an `out_proj.bias`, which start as 0.
    rng
        A `numpy.random.Generator`, or a seed for one. `in_proj_weight` starts from
        +-sqrt(6 / (4 width)) and `out_proj.weight` from +-1 / sqrt(width).
    dtype
        float64 or float32.

    Raises
    ------
    ValueError, TypeError
        For numbers out of their range, and for heads that do not divide the width evenly; when
        called, for operands or a mask of another shape, for a mask that is not boolean, and for
        ``causal=True`` where keys and queries are not as many.

    Examples
    --------
    >>> layer = MultiheadAttention(6, 2, rng=0)
    >>> layer(np.ones((5, 7, 6)), causal=True).shape
    (5, 7, 6)
    >>> layer(np.ones((5, 7, 6)), np.ones((5, 4, 6)), mask=np.ones((7, 4), bool)).shape
    (5, 7, 6)
    >>> list(layer.state_dict())
    ['in_proj_weight', 'in_proj_bias', 'out_proj.weight', 'out_proj.bias']
    """

    in_proj_bias: Any  # a Tensor, or None

    def __init__(
        self,
        width: int,
        heads: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        called = f"MultiheadAttention({width!r}, {heads!r})"
        self.width = whole(f"{called}: width", width)
        self.heads = whole(f"{called}: heads", heads)
        if self.width % self.heads:
            raise ValueError(f"{called}: {heads} heads do not divide a width of {width} evenly")
        true_or_false(f"{called}: bias", bias)
        generator = np.random.default_rng(rng)
        start = glorot_uniform((3 * self.width, self.width), generator)
        self.in_proj_weight = Tensor(start, requires_grad=True, dtype=dtype)
        self.in_proj_bias = None
        if bias:
            self.in_proj_bias = Tensor(np.zeros(3 * self.width), requires_grad=True, dtype=dtype)
        self.out_proj = Layer(
            self.width, self.width, weight=uniform(1 / math.sqrt(self.width)),
            bias=zeros if bias else None, rng=generator, dtype=dtype,
        )  # fmt: skip

    def forward(
        self, query: Any, key: Any = None, value: Any = None, mask: Any = None, causal: bool = False
    ) -> Tensor:
        """Let each place of the query look at the key, and take from the value."""
        own = self.in_proj_weight
        query = brought(as_tensor(query), own)
        key = query if key is None else brought(as_tensor(key), own)
        value = key if value is None else brought(as_tensor(value), own)
        self._fit(query, key, value)
        may = self._may_look(query, key, mask, causal)
        weights: Any = np.split(self.in_proj_weight, 3)
        biases = [None] * 3 if self.in_proj_bias is None else np.split(self.in_proj_bias, 3)
        q, k, v = map(self._in_heads, (query, key, value), weights, biases)
        z: Any = np.swapaxes(look(q, k, v, may, sure=mask is None), 1, 2)
        return self.out_proj(z.reshape(query.shape))

    def _in_heads(self, x: Any, weight: Any, bias: Any) -> Any:
        """Compute ``x W' + b``, in shape (batch, heads, places, width / heads)."""
        z = ops.matmul(x, weight.T) if bias is None else ops.affine(x, weight, bias)
        parts = z.reshape(*x.shape[:2], self.heads, self.width // self.heads)
        return np.swapaxes(parts, 1, 2)

    def _fit(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        """Refuse operands that do not go together."""
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.ndim != 3 or x.shape[2] != self.width:
                cure = "; one sequence alone is x[None]" if x.ndim == 2 else ""
                raise ValueError(
                    f"{self!r} was fed a {name} of shape {x.shape}; it takes (batch, places, "
                    f"{self.width}){cure}"
                )
        if key.shape != value.shape or len(query) != len(key):
            raise ValueError(
                f"{self!r} was fed a query of shape {query.shape}, a key of {key.shape} and a "
                f"value of {value.shape}; the batch of all is the same, and each key has a value"
            )

    def _may_look(self, query: Tensor, key: Tensor, mask: Any, causal: Any) -> Any:
        """Join what a mask allows, and what came before, to one mask; None where all is allowed."""
        (batch, queries, _), keys = query.shape, key.shape[1]
        earlier = None
        if true_or_false(f"{self!r}: causal", causal):
            if queries != keys:
                raise ValueError(
                    f"{self!r}: causal=True with {queries} queries and {keys} keys; give a mask "
                    "that says which key is when"
                )
            earlier = np.tri(queries, dtype=bool)
        if mask is None:
            return earlier
        may = mask if isinstance(mask, Tensor) else plain(f"{self!r}: mask", mask)
        if may.dtype != bool:
            raise TypeError(
                f"{self!r}: mask is boolean, True where a query may look, not {may.dtype}"
            )
        full = batch, self.heads, queries, keys
        if may.ndim == 3:
            may = np.expand_dims(may, 1)
        fits = zip(may.shape[::-1], full[::-1], strict=False)
        if may.ndim not in (2, 4) or not all(n in (1, whole) for n, whole in fits):
            raise ValueError(
                f"{self!r}: mask has shape {np.shape(mask)}, expected ({queries}, {keys}), "
                f"({batch}, {queries}, {keys}) or {full}, or 1 for any of them"
            )
        return may if earlier is None else np.logical_and(may, earlier)

    def __repr__(self) -> str:
        without = ", bias=False" if self.in_proj_bias is None else ""
        return f"MultiheadAttention({self.width}, {self.heads}{without})"


def look(q: Any, k: Any, v: Any, may: Any = None, sure: bool = False) -> Any:
    """Compute ``softmax(q k' / sqrt(d)) v`` over the last two axes, (..., places, d).

    Where `may` is given, only the keys count where it is True; a query without any finds 0, unless
    it is `sure` that there is none such, as where each place may look at itself.

    >>> look(np.zeros((1, 2)), np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[2., 3.]])
    """
    scores = ops.matmul(q, np.swapaxes(k, -1, -2)) * (1 / math.sqrt(q.shape[-1]))
    if may is None:
        return ops.matmul(ops.softmax(scores), v)
    # Not -inf, of which a row without any other would become NaN, nor so low that a difference is.
    least = float(np.finfo(scores.dtype).min) / 2
    shares = ops.softmax(np.where(may, scores, least))
    # Beside a key that counts, e^least is 0. A mask is not looked at for it: it may change.
    return ops.matmul(shares if sure else np.where(may, shares, 0), v)


class PositionEncoding(Module):
    """Adds to each place of a sequence waves that say where it is, as attention does not know it.

    ``x[:, t, 2 i] + sin(t / 10000^(2 i / width))`` and ``x[:, t, 2 i + 1] + cos(...)`` of the same,
    for x of shape (..., places, width), t from 0. There is nothing to learn, and nothing in the
    state. Source: Vaswani et al. (2017), "Attention is all you need", section 3.5.

    Parameters
    ----------
    width
        How many numbers each place has.
    length
        How many places a sequence may have.

    Raises
    ------
    ValueError, TypeError
        For numbers that are not whole or not positive; when called, for x of another width, or with
        more places.

    Examples
    --------
    >>> PositionEncoding(2, 10)(np.zeros((1, 2, 2))).numpy().round(3).tolist()
    [[[0.0, 1.0], [0.841, 0.54]]]
    """

    def __init__(self, width: int, length: int) -> None:
        called = f"PositionEncoding({width!r}, {length!r})"
        self.width = whole(f"{called}: width", width)
        self.length = whole(f"{called}: length", length)
        pairs = np.arange(self.width) // 2
        angles = np.arange(self.length)[:, None] / 10000 ** (2 * pairs / self.width)
        self.table = np.where(np.arange(self.width) % 2, np.cos(angles), np.sin(angles))

    def forward(self, x: Any) -> Tensor:
        """Add the waves of as many places as x has."""
        x = as_tensor(x)
        if x.ndim < 2 or x.shape[-1] != self.width or x.shape[-2] > self.length:
            raise ValueError(
                f"{self!r} was fed shape {x.shape}; it takes (..., places, {self.width}), of "
                f"{self.length} places at most"
            )
        waves = self.table[: x.shape[-2]]
        return as_tensor(x + (waves.astype(x.dtype) if x.dtype.kind == "f" else waves))

    def __repr__(self) -> str:
        return f"PositionEncoding({self.width}, {self.length})"
