"""Pooling: many pixels to one, so that what is seen hangs less on where it is."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from autonn.checks import true_or_false
from autonn.engine import ops
from autonn.engine.tensor import Operand, Tensor
from autonn.nn.module import Module, as_tensor
from autonn.nn.sliding import AXES, Sides, fitting, name_of, shown, sides, told


def max_pool1d(
    x: Operand, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0,
    dilation: Sides = 1,
) -> Tensor:  # fmt: skip
    """Take the largest number of each window along the last axis; parameters as of `MaxPool1d`.

    >>> max_pool1d([[[1.0, 3.0, 2.0, 0.0]]], 2)
    Tensor([[[3., 2.]]])
    """
    return _largest("max_pool1d", 1, x, kernel_size, stride, padding, dilation)


def max_pool2d(
    x: Operand, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0,
    dilation: Sides = 1,
) -> Tensor:  # fmt: skip
    """Take the largest number of each window along the last two axes; as of `MaxPool2d`.

    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    Tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """
    return _largest("max_pool2d", 2, x, kernel_size, stride, padding, dilation)


def avg_pool1d(
    x: Operand, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0,
    *, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Take the mean of each window along the last axis; parameters as of `AvgPool1d`.

    >>> avg_pool1d([[[1.0, 3.0, 2.0, 0.0]]], 2)
    Tensor([[[2., 1.]]])
    """
    return _mean("avg_pool1d", 1, x, kernel_size, stride, padding, count_include_pad)


def avg_pool2d(
    x: Operand, kernel_size: Sides, stride: Sides | None = None, padding: Sides = 0,
    *, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Take the mean of each window along the last two axes; parameters as of `AvgPool2d`.

    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    Tensor([[[[ 2.5,  4.5],
              [10.5, 12.5]]]])
    """
    return _mean("avg_pool2d", 2, x, kernel_size, stride, padding, count_include_pad)


def _how(
    who: Any, axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Any, dict[str, Any]]:
    """Check what slides over x, and spell it out."""
    x = x if isinstance(x, Tensor) else np.asarray(x)
    name = name_of(who)
    size = sides(f"{name}: kernel_size", kernel_size, axes)
    step = size if stride is None else sides(f"{name}: stride", stride, axes)
    apart = sides(f"{name}: dilation", dilation, axes)
    pads = _half_at_most(name, padding, size, apart)
    if x.ndim < axes + 1:
        raise ValueError(
            f"{who} was fed shape {x.shape}; it takes (m, channels, {AXES[axes]}): write "
            f"x.reshape(len(x), channels, {AXES[axes]})"
        )
    around = tuple((p, p) for p in pads)
    fitting(who, x.shape[-axes:], size, apart, around)
    return x, {"size": size, "stride": step, "dilation": apart, "padding": around}


def _half_at_most(
    name: str, padding: Any, size: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Take a padding of no more than half of the window."""
    pads = sides(f"{name}: padding", padding, len(size), 0)
    if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(pads, size, dilation, strict=True)):
        raise ValueError(
            f"{name}: padding {shown(pads)} with kernel_size {shown(size)}: it is at most half of "
            "the window, so that no window lies outside"
        )
    return pads


def _largest(who: Any, axes: int, x: Any, *how: Any) -> Tensor:
    x, slides = _how(who, axes, x, *how)
    return as_tensor(ops.pool_max(x, **slides))


def _mean(
    who: Any, axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, with_frame: bool
) -> Tensor:
    """Compute the means; without the frame, of those numbers alone that lie inside."""
    x, slides = _how(who, axes, x, kernel_size, stride, padding, 1)
    places = tuple(range(-2 * axes, -axes))
    windows = ops.windows(x, **slides)
    if with_frame or not np.any(slides["padding"]):
        return as_tensor(np.mean(windows, axis=places))
    inside = np.ones(x.shape[-axes:], x.dtype)
    count = np.sum(ops.windows(inside, **slides), axis=places)
    return as_tensor(np.sum(windows, axis=places) * (1 / count))


class _Pool(Module):
    """What slides windows, and has no parameters."""

    axes = 2

    def __repr__(self) -> str:
        call = f"{type(self).__name__}({shown(self.kernel_size)}"
        usual = {"stride": self.kernel_size, "padding": 0, "dilation": 1, "count_include_pad": True}
        return f"{call}{told(self, **{k: v for k, v in usual.items() if hasattr(self, k)})})"

    def _begin(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> None:
        name = type(self).__name__
        self.kernel_size = sides(f"{name}: kernel_size", kernel_size, self.axes)
        self.stride = (
            self.kernel_size if stride is None else sides(f"{name}: stride", stride, self.axes)
        )
        self.dilation = sides(f"{name}: dilation", dilation, self.axes)
        self.padding = _half_at_most(name, padding, self.kernel_size, self.dilation)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Sides,
        stride: Sides | None = None,
        padding: Sides = 0,
        dilation: Sides = 1,
    ) -> None:
        self._begin(kernel_size, stride, padding, dilation)

    def forward(self, x: Any) -> Tensor:
        """Take the largest number of each window."""
        how = self.kernel_size, self.stride, self.padding, self.dilation
        return _largest(self, self.axes, x, *how)


class MaxPool1d(_MaxPool):
    """The largest number of each window along the last axis, (..., length) to (..., positions).

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        The length of the windows, the step from one to the next, by default the same, how far they
        may reach out at each end, at most half of their length, and the distance between what they
        see.

    Raises
    ------
    TypeError, ValueError
        For numbers that are not whole or too small; when called, for x that is too short.

    Examples
    --------
    >>> MaxPool1d(2)(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    Tensor([[[3., 2.]]])
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest number of each window over the last two axes, (m, channels, h, w) to fewer.

    k equal maxima of a window get 1/k of its gradient each.

    Parameters
    ----------
    kernel_size, stride, padding, dilation
        The sides of the windows, the step from one to the next, by default the same, how far they
        may reach out at each end, at most half of their sides, and the distance between what they
        see: one number, or (vertical, horizontal).

    Raises
    ------
    TypeError, ValueError
        For numbers that are not whole or too small; when called, for pictures that are too small.

    Examples
    --------
    >>> MaxPool2d(2)(np.ones((10, 6, 28, 28))).shape
    (10, 6, 14, 14)
    >>> MaxPool2d(3, stride=2, padding=1)
    MaxPool2d(3, stride=2, padding=1)
    """


class _AvgPool(_Pool):
    def __init__(
        self,
        kernel_size: Sides,
        stride: Sides | None = None,
        padding: Sides = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        self._begin(kernel_size, stride, padding)
        name = f"{type(self).__name__}: count_include_pad"
        self.count_include_pad = true_or_false(name, count_include_pad)

    def forward(self, x: Any) -> Tensor:
        """Take the mean of each window."""
        how = self.kernel_size, self.stride, self.padding, self.count_include_pad
        return _mean(self, self.axes, x, *how)


class AvgPool1d(_AvgPool):
    """The mean of each window along the last axis, (..., length) to (..., positions).

    Parameters
    ----------
    kernel_size, stride, padding
        As of `MaxPool1d`; the padding is zeros.
    count_include_pad
        Whether those zeros count, or the mean is that of the numbers inside alone.

    Raises
    ------
    TypeError, ValueError
        As `MaxPool1d`.

    Examples
    --------
    >>> AvgPool1d(2)(np.array([[[1.0, 3.0, 2.0, 0.0]]]))
    Tensor([[[2., 1.]]])
    """

    axes = 1


class AvgPool2d(_AvgPool):
    """The mean of each window over the last two axes, (m, channels, h, w) to fewer pixels.

    Parameters
    ----------
    kernel_size, stride, padding
        As of `MaxPool2d`; the padding is zeros.
    count_include_pad
        Whether those zeros count, or the mean is that of the pixels inside alone.

    Raises
    ------
    TypeError, ValueError
        As `MaxPool2d`.

    Examples
    --------
    >>> AvgPool2d(2)(np.ones((10, 6, 28, 28))).shape
    (10, 6, 14, 14)
    """


class GlobalAveragePool(Module):
    """The mean of each channel over all pixels, (m, channels, ...) to (m, channels).

    So a network takes pictures of any size. PyTorch's ``AdaptiveAvgPool2d(1)`` and `Flatten`.

    >>> GlobalAveragePool()(np.ones((10, 6, 28, 28))).shape
    (10, 6)
    """

    def forward(self, x: Any) -> Tensor:
        """Take the mean over all axes but the first two."""
        x = as_tensor(x)
        if x.ndim < 3:
            raise ValueError(f"{self} was fed shape {x.shape}; it takes (m, channels, h, w)")
        return cast(Tensor, np.mean(x, axis=tuple(range(2, x.ndim))))
