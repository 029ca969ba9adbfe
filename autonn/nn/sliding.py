"""What slides over pictures is told by the same few numbers: taken and checked here, once.

Each is one number for all axes, or a tuple with one for each, in the names and the order of
PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autonn.checks import whole
from autonn.engine.tensor import Tensor

Sides = int | Sequence[int]
Padding = Sides | str  # "same" or "valid"


def sides(name: str, value: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Spell out one number for all axes, or take one for each.

    >>> sides("Conv2d: stride", 2, 2), sides("Conv2d: stride", (2, 1), 2)
    ((2, 2), (2, 1))
    """
    if not isinstance(value, tuple | list):
        return (whole(name, value, least),) * axes
    if len(value) != axes:
        ending = "one axis" if axes == 1 else f"each of {axes} axes"
        raise ValueError(f"{name} is one number, or one for {ending}, not {value!r}")
    return tuple(whole(name, side, least) for side in value)


def frame(
    name: str,
    padding: Any,
    size: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Count the zeros before and behind, along each axis.

    "valid" is none; "same" so many that with a stride of 1 the length stays: what is left over of
    an odd number is behind, as in PyTorch.

    >>> frame("Conv1d: padding", "same", (4,), (1,), (1,))
    ((1, 2),)
    """
    if not isinstance(padding, str):
        return tuple((p, p) for p in sides(name, padding, len(size), 0))
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding != "same":
        raise ValueError(f"{name} is a number, 'same' or 'valid', not {padding!r}")
    if max(stride) > 1:
        raise ValueError(
            f"{name}='same' with stride {shown(stride)}: the length can stay the same only with a "
            "stride of 1; give the padding as a number"
        )
    spans = (d * (k - 1) for k, d in zip(size, dilation, strict=True))
    return tuple((span // 2, span - span // 2) for span in spans)


def shown(value: Any) -> str:
    """Write one number for all axes, where they have the same.

    >>> shown((5, 5)), shown((5, 3)), shown("same")
    ('5', '(5, 3)', "'same'")
    """
    alike = isinstance(value, tuple | list) and len(set(value)) == 1
    return repr(value[0] if alike else value)


def told(module: Any, **usual: Any) -> str:
    """Write those of a module's arguments that are not as usual, each with a comma before it."""
    texts = ((name, shown(getattr(module, name)), shown(value)) for name, value in usual.items())
    return "".join(f", {name}={text}" for name, text, other in texts if text != other)


def name_of(who: Any) -> str:
    """Name a function or the class of a module, where the whole call would take long to write."""
    return who if isinstance(who, str) else type(who).__name__


AXES = {1: "length", 2: "h, w"}


def pictures(who: Any, x: Any, channels: int, axes: int) -> Any:
    """Take pictures of so many channels, (m, channels, h, w), or rows, (m, channels, length)."""
    if not isinstance(x, Tensor):
        x = np.asarray(x)
    if x.ndim == axes + 2 and x.shape[1] == channels:
        return x
    cure = ""
    if x.ndim == axes + 1:
        cure = "; write x[None] for a single example"
        if channels == 1:
            cure = "; write x[:, None] where there is no axis for the channel"
    elif x.ndim == axes + 2 and x.shape[-1] == channels:
        cure = "; write np.moveaxis(x, -1, 1) where the channels lie last"
    elif x.ndim == 2:
        cure = f"; write x.reshape(len(x), {channels}, {AXES[axes]}) where each is one row"
    elif x.ndim == axes + 2:
        cure = f"; a layer of {x.shape[1]} channels would fit"
    raise ValueError(f"{who} was fed shape {x.shape}; it takes (m, {channels}, {AXES[axes]}){cure}")


def fitting(
    who: Any,
    lengths: Sequence[int],
    size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> None:
    """See that a window fits into pictures with their frame."""
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    there = [n + before + behind for n, (before, behind) in zip(lengths, padding, strict=True)]
    if any(n < span for n, span in zip(there, spans, strict=True)):
        raise ValueError(
            f"{who} was fed {_by(lengths)}, with padding {_by(there)}; its windows span "
            f"{_by(spans)}: take a smaller kernel_size, or more padding"
        )


def _by(lengths: Sequence[int]) -> str:
    return " x ".join(map(str, lengths))
