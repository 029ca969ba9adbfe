"""Convolution: the same small kernels looked for everywhere in a picture.

``z[o, p] = b[o] + sum of w[o, c, k] x[c, s p + d k - padding] over c and k``, for each position p
of a window and each place k within it. Names, order and shapes are PyTorch's: pictures (m,
channels, h, w), kernels (out, in / groups, kh, kw). A row (m, channels, length) is a picture of
height 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from autonn.checks import whole
from autonn.engine import ops
from autonn.engine.tensor import Operand, Tensor
from autonn.nn.init import Initialiser, glorot_uniform, initial, zeros
from autonn.nn.module import Module, as_tensor, brought
from autonn.nn.sliding import (
    Padding,
    Sides,
    fitting,
    frame,
    name_of,
    pictures,
    shown,
    sides,
    told,
)

KERNELS = {1: "k", 2: "kh, kw"}


def conv1d(
    x: Operand, weight: Operand, bias: Any = None, stride: Sides = 1, padding: Padding = 0,
    dilation: Sides = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Slide kernels along rows, (m, in, length) by (out, in / groups, k) to (m, out, positions).

    Parameters and errors as of `Conv1d`.

    >>> conv1d([[[1.0, 2.0, 4.0]]], np.array([[[-1.0, 1.0]]]))
    Tensor([[[1., 2.]]])
    """
    return _convolved("conv1d", 1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Operand, weight: Operand, bias: Any = None, stride: Sides = 1, padding: Padding = 0,
    dilation: Sides = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Slide kernels over pictures, (m, in, h, w) by (out, in / groups, kh, kw) to (m, out, ...).

    Parameters and errors as of `Conv2d`.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), padding="same")[0, 0]
    Tensor([[4., 4., 2.],
            [4., 4., 2.],
            [2., 2., 1.]])
    """
    return _convolved("conv2d", 2, x, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    x: Operand, weight: Operand, bias: Any = None, stride: Sides = 1, padding: Sides = 0,
    output_padding: Sides = 0, groups: int = 1, dilation: Sides = 1,
) -> Tensor:  # fmt: skip
    """Lay kernels down, each times a pixel, and add: what a convolution's gradient does to it.

    From (m, in, h, w) by (in, out / groups, kh, kw) to (m, out, ...). Parameters and errors as of
    `ConvTranspose2d`.

    >>> conv_transpose2d(np.ones((1, 1, 1, 2)), np.array([[[[1.0, 2.0]]]]), stride=2)
    Tensor([[[[1., 2., 1., 2.]]]])
    """
    how = stride, padding, output_padding, groups, dilation
    return _laid_down("conv_transpose2d", x, weight, bias, *how)


def _convolved(
    who: Any, axes: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Tensor:  # fmt: skip
    """Check what was given, and convolve; `who` is what an error names."""
    _, per_group, *size = _shape_of(who, weight, "out, in", axes, groups)
    name = name_of(who)
    stride = sides(f"{name}: stride", stride, axes)
    dilation = sides(f"{name}: dilation", dilation, axes)
    around = frame(f"{name}: padding", padding, size, stride, dilation)
    x = pictures(who, x, per_group * groups, axes)
    fitting(who, x.shape[2:], size, dilation, around)
    if axes == 1:
        x, weight = np.expand_dims(x, 2), np.expand_dims(weight, 2)
        stride, dilation, around = (1, *stride), (1, *dilation), ((0, 0), *around)
    z = ops.conv(x, weight, stride=stride, dilation=dilation, padding=around, groups=groups)
    z = _with_bias(who, z, bias)
    return as_tensor(np.squeeze(z, 2) if axes == 1 else z)


def _laid_down(
    who: Any, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Tensor:  # fmt: skip
    """Check what was given, and convolve backwards, to where as many pixels come from."""
    into, per_group, *size = _shape_of(who, weight, "in, out", 2, groups)
    name = name_of(who)
    stride = sides(f"{name}: stride", stride, 2)
    dilation = sides(f"{name}: dilation", dilation, 2)
    around = tuple((p, p) for p in sides(f"{name}: padding", padding, 2, 0))
    more = _chosen(name, output_padding, stride)
    x = pictures(who, x, into, 2)
    axes = zip(x.shape[2:], size, stride, dilation, around, more, strict=True)
    lengths = tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, (p, _), e in axes)
    if min(lengths) < 1:
        raise ValueError(
            f"{who} was fed shape {x.shape}, of which sides {lengths} would come; take less padding"
        )
    z = ops.conv_transpose(
        x, weight, shape=(len(x), per_group * groups, *lengths), stride=stride, dilation=dilation,
        padding=around, groups=groups,
    )  # fmt: skip
    return as_tensor(_with_bias(who, z, bias))


def _shape_of(who: Any, weight: Any, order: str, axes: int, groups: int) -> tuple[int, ...]:
    """Return the shape of kernels that fit the groups."""
    shape: tuple[int, ...] = np.shape(weight)
    if len(shape) != axes + 2 or shape[0] % groups:
        raise ValueError(
            f"{who} was given a weight of shape {shape} with groups={groups}; it takes "
            f"({order} / groups, {KERNELS[axes]}), the first a multiple of the groups"
        )
    return shape


def _with_bias(who: Any, z: Any, bias: Any) -> Any:
    """Add to each channel its own number."""
    if bias is None:
        return z
    if np.shape(bias) != z.shape[1:2]:
        raise ValueError(f"{who} was given a bias of shape {np.shape(bias)}, not {z.shape[1:2]}")
    return z + np.reshape(bias, (-1, 1, 1))


def _chosen(name: str, output_padding: Any, stride: tuple[int, ...]) -> tuple[int, ...]:
    """Take an output_padding, which has to be smaller than the stride."""
    more = sides(f"{name}: output_padding", output_padding, 2, 0)
    if any(e >= s for e, s in zip(more, stride, strict=True)):
        raise ValueError(
            f"{name}: output_padding {shown(more)} with stride {shown(stride)}: it chooses among "
            "the sides that a convolution brings to the same, so it is smaller than the stride"
        )
    return more


class _Kernels(Module):
    """What has kernels: their parameters, checked, drawn and told."""

    axes = 2
    bias: Any  # a Tensor, or None

    def _begin(
        self, in_channels: Any, out_channels: Any, kernel_size: Any, stride: Any, dilation: Any,
        groups: Any,
    ) -> str:  # fmt: skip
        """Take the sizes, and return the call that errors begin with."""
        called = f"{type(self).__name__}({in_channels!r}, {out_channels!r}, {kernel_size!r})"
        self.in_channels = whole(f"{called}: in_channels", in_channels)
        self.out_channels = whole(f"{called}: out_channels", out_channels)
        self.kernel_size = sides(f"{called}: kernel_size", kernel_size, self.axes)
        self.stride = sides(f"{called}: stride", stride, self.axes)
        self.dilation = sides(f"{called}: dilation", dilation, self.axes)
        self.groups = whole(f"{called}: groups", groups)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"{called}: groups={groups} has to divide both numbers of channels")
        return called

    def _draw(self, shape: tuple[int, ...], weight: Any, bias: Any, rng: Any, dtype: Any) -> None:
        generator = np.random.default_rng(rng)
        start = initial(weight, shape, generator)
        self.weight = Tensor(start, requires_grad=True, dtype=dtype)
        self.bias = None
        if bias is not None and bias is not False:
            start = initial(zeros if bias is True else bias, (self.out_channels,), generator)
            self.bias = Tensor(start, requires_grad=True, dtype=dtype)

    def _described(self, **defaults: Any) -> str:
        call = f"{type(self).__name__}({self.in_channels}, {self.out_channels}, "
        size = f"kernel_size={shown(self.kernel_size)}"
        without = ", bias=False" if self.bias is None else ""
        return f"{call}{size}{told(self, **defaults)}{without})"


class _Convolution(_Kernels):
    """A convolution along one axis or two."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sides,
        stride: Sides = 1,
        padding: Padding = 0,
        dilation: Sides = 1,
        groups: int = 1,
        bias: Initialiser | ArrayLike | None = True,
        *,
        weight: Initialiser | ArrayLike = glorot_uniform,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        called = self._begin(in_channels, out_channels, kernel_size, stride, dilation, groups)
        how = self.kernel_size, self.stride, self.dilation
        around = frame(f"{called}: padding", padding, *how)
        self.padding = padding if isinstance(padding, str) else tuple(p for p, _ in around)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self._draw(shape, weight, bias, rng, dtype)

    def forward(self, x: Any) -> Tensor:
        """Convolve x with the kernels, and add the bias."""
        how = self.stride, self.padding, self.dilation, self.groups
        x = brought(as_tensor(x), self.weight)
        return _convolved(self, self.axes, x, self.weight, self.bias, *how)

    def __repr__(self) -> str:
        return self._described(stride=1, padding=0, dilation=1, groups=1)


class Conv1d(_Convolution):
    """A convolution along rows, (m, in_channels, length) to (m, out_channels, positions).

    There are ``(length + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1`` positions.

    Parameters
    ----------
    in_channels, out_channels
        How many numbers there are at each place, before and after.
    kernel_size, stride, padding, dilation
        The length of the kernels, the step from one position to the next, the zeros on each side,
        and the distance between the numbers that a kernel sees. "same" pads so that the length
        stays, "valid" not at all.
    groups
        Into how many parts the channels are split, each of which sees its own alone.
    bias, weight
        Initialisers, or given arrays of shape (out_channels,) and (out_channels, in_channels /
        groups, kernel_size). With ``bias=False`` there is none, and the attribute is None.
    rng
        A `numpy.random.Generator`, or a seed for one.
    dtype
        float64 or float32.

    Raises
    ------
    TypeError, ValueError
        For sizes that are not whole or too small, groups that do not divide the channels, "same"
        with a stride; when called, for x of another shape, or too short.

    Examples
    --------
    >>> layer = Conv1d(2, 3, 5, stride=2, rng=0)
    >>> layer(np.ones((10, 2, 21))).shape
    (10, 3, 9)
    >>> layer
    Conv1d(2, 3, kernel_size=5, stride=2)
    """

    axes = 1


class Conv2d(_Convolution):
    """A convolution over pictures, (m, in_channels, h, w) to (m, out_channels, ...).

    Along each axis there are ``(n + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1``
    positions.

    Parameters
    ----------
    in_channels, out_channels
        How many numbers there are at each pixel, before and after.
    kernel_size, stride, padding, dilation
        The sides of the kernels, the step from one position to the next, the zeros on each side,
        and the distance between the pixels that a kernel sees: one number, or (vertical,
        horizontal). "same" pads so that the sides stay, "valid" not at all.
    groups
        Into how many parts the channels are split, each of which sees its own alone: with as many
        as there are channels, each is convolved for itself.
    bias, weight
        Initialisers, or given arrays of shape (out_channels,) and (out_channels, in_channels /
        groups, kh, kw). With ``bias=False`` there is none, and the attribute is None.
    rng
        A `numpy.random.Generator`, or a seed for one.
    dtype
        float64 or float32.

    Raises
    ------
    TypeError, ValueError
        For sizes that are not whole or too small, groups that do not divide the channels, "same"
        with a stride; when called, for x of another shape, or too small.

    Examples
    --------
    >>> layer = Conv2d(1, 6, 5, padding=2, rng=0)
    >>> layer(np.ones((10, 1, 28, 28))).shape
    (10, 6, 28, 28)
    >>> layer
    Conv2d(1, 6, kernel_size=5, padding=2)
    """


class ConvTranspose2d(_Kernels):
    """The way back of a convolution, (m, in_channels, h, w) to (m, out_channels, ...).

    It lays a kernel down for each pixel, times the pixel, and adds. Along each axis that gives
    ``(n - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1`` pixels.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, groups, bias, rng, dtype
        As of `Conv2d`.
    stride, padding, dilation
        Those of the convolution that leads from its result back to x.
    output_padding
        Which of the sides that such a convolution brings to the same: 0 for the shortest, at most
        ``stride - 1``.
    weight
        An initialiser, or a given array of shape (in_channels, out_channels / groups, kh, kw).

    Raises
    ------
    TypeError, ValueError
        As `Conv2d`, and for an `output_padding` that is not smaller than the stride.

    Examples
    --------
    >>> layer = ConvTranspose2d(6, 1, 2, stride=2, rng=0)
    >>> layer(np.ones((10, 6, 14, 14))).shape
    (10, 1, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sides,
        stride: Sides = 1,
        padding: Sides = 0,
        output_padding: Sides = 0,
        groups: int = 1,
        bias: Initialiser | ArrayLike | None = True,
        dilation: Sides = 1,
        *,
        weight: Initialiser | ArrayLike = glorot_uniform,
        rng: np.random.Generator | int | None = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        called = self._begin(in_channels, out_channels, kernel_size, stride, dilation, groups)
        self.padding = sides(f"{called}: padding", padding, 2, 0)
        self.output_padding = _chosen(called, output_padding, self.stride)
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        self._draw(shape, weight, bias, rng, dtype)

    def forward(self, x: Any) -> Tensor:
        """Lay the kernels down, and add the bias."""
        how = self.stride, self.padding, self.output_padding, self.groups, self.dilation
        x = brought(as_tensor(x), self.weight)
        return _laid_down(self, x, self.weight, self.bias, *how)

    def __repr__(self) -> str:
        return self._described(stride=1, padding=0, output_padding=0, groups=1, dilation=1)
