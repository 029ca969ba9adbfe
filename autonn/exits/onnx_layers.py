"""What the nodes of ONNX that move numbers, slide windows and normalise compute, in our ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autonn.engine import ops
from autonn.exits.onnx_arithmetic import Call, Rule, axes_of, plain, unsupported

__all__ = ["LAYERS"]


def _numbers(a: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in np.atleast_1d(np.asarray(plain(a))))


# ---- shapes


def _reshape(call: Call) -> Any:
    """Reshape; 0 stands for the length as it is, unless it is said to be none."""
    x = call.input(0)
    sides = call["shape"] if len(call.inputs) < 2 else _numbers(call.input(1))
    if not call.get("allowzero", 0):
        sides = [x.shape[k] if n == 0 else n for k, n in enumerate(sides)]
    return np.reshape(x, tuple(sides))


def _flatten(call: Call) -> Any:
    x, axis = call.input(0), call.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return np.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _transpose(call: Call) -> Any:
    return np.transpose(call.input(0), call["perm"])


def _squeeze(call: Call) -> Any:
    x = call.input(0)
    return np.squeeze(x, axis=axes_of(call, 1, x.ndim))


def _unsqueeze(call: Call) -> Any:
    x = call.input(0)
    axes = call["axes"] if call["axes"] is not None else _numbers(call.input(1))
    return np.expand_dims(x, tuple(int(a) for a in axes))


def _expand(call: Call) -> Any:
    x = call.input(0)
    shape = np.broadcast_shapes(x.shape, _numbers(call.input(1)))
    return np.broadcast_to(x, shape)


def _tile(call: Call) -> Any:
    return np.tile(call.input(0), _numbers(call.input(1)))


def _concat(call: Call) -> Any:
    return np.concatenate(list(call.inputs), axis=call["axis"])


def _split(call: Call) -> Any:
    """Cut into the lengths that are given, or into as many as there are outputs."""
    x, axis = call.input(0), call.get("axis", 0)
    lengths = call["split"] if call["split"] is not None else plain(call.input(1))
    if lengths is None:
        each = -(-x.shape[axis] // call.outputs)
        ends = [each * (k + 1) for k in range(call.outputs - 1)]
    else:
        ends = np.cumsum(np.asarray(lengths, int))[:-1].tolist()
    lead = (slice(None),) * (axis % x.ndim)
    starts = [0, *ends]
    return tuple(
        x[(*lead, slice(a, b))] for a, b in zip(starts, [*ends, x.shape[axis]], strict=True)
    )


def _slice(call: Call) -> Any:
    """Slice as Python does; what is beyond the beginning, going backwards, is its end."""
    x = call.input(0)
    if len(call.inputs) > 1:
        starts, ends = _numbers(call.input(1)), _numbers(call.input(2))
        axes, steps = call.input(3), call.input(4)
    else:
        starts, ends, axes, steps = call["starts"], call["ends"], call["axes"], None
    axes = range(len(starts)) if axes is None else _numbers(axes)
    steps = [1] * len(starts) if steps is None else _numbers(steps)
    key = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        n = x.shape[axis]
        start = start + n if start < 0 else start
        end = end + n if end < 0 else end
        if step > 0:
            first, last = min(max(start, 0), n), min(max(end, 0), n)
        else:
            first, last = min(max(start, 0), n - 1), min(max(end, -1), n - 1)
        key[axis] = slice(first, None if last < 0 else last, step)
    return x[tuple(key)]


def _gather(call: Call) -> Any:
    x, index = call.inputs
    return np.take(x, np.asarray(plain(index)), axis=call.get("axis", 0))


def _gather_elements(call: Call) -> Any:
    x, index = call.input(0), np.asarray(plain(call.input(1)))
    axis = call.get("axis", 0) % x.ndim
    grid: list[Any] = list(np.indices(index.shape, sparse=True))
    grid[axis] = index
    return x[tuple(grid)]


def _gather_nd(call: Call) -> Any:
    """Read by places of several axes, which are the last axis of the index."""
    x, index = call.input(0), np.asarray(plain(call.input(1)))
    batch = call.get("batch_dims", 0)
    grid = [
        np.arange(n).reshape(-1, *[1] * (index.ndim - 2 - k))
        for k, n in enumerate(index.shape[:batch])
    ]
    return x[(*grid, *np.moveaxis(index, -1, 0))]


def _pad(call: Call) -> Any:
    """Surround with a frame, of a number or of copies of what is inside."""
    x = call.input(0)
    pads = call["pads"] if call["pads"] is not None else _numbers(call.input(1))
    axes = _numbers(call.input(3)) if call.input(3) is not None else range(x.ndim)
    value = call.get("value", 0) if len(call.inputs) < 3 else plain(call.input(2, 0))
    widths, n = [(0, 0)] * x.ndim, len(pads) // 2
    for k, axis in enumerate(axes):
        widths[axis] = int(pads[k]), int(pads[k + n])
    if min(min(pair) for pair in widths) < 0:
        cut = tuple(slice(max(-a, 0), m - max(-b, 0)) for (a, b), m in
                    zip(widths, x.shape, strict=True))  # fmt: skip
        x, widths = x[cut], [(max(a, 0), max(b, 0)) for a, b in widths]
    mode = call.get("mode", "constant")
    if mode == "constant":
        return np.pad(x, widths, constant_values=np.asarray(value).reshape(()).item())
    return np.pad(x, widths, mode=mode)


def _cast(call: Call) -> Any:
    """Change the dtype; `to` was read as one of NumPy's."""
    x, dtype = call.input(0), call["to"]
    if dtype is None or dtype.kind not in "fiub" or x.dtype.kind not in "fiub":
        raise unsupported(call, "to a dtype that NumPy has not")
    if x.dtype.kind == "f" and dtype.kind != "f":
        return np.asarray(plain(x)).astype(dtype)
    return x.astype(dtype)


def _shape(call: Call) -> Any:
    start, end = call.get("start", 0), call["end"]
    return np.array(call.input(0).shape[slice(start, end)], np.int64)


def _constant(call: Call) -> Any:
    """Return whichever of its attributes is given."""
    kinds = {"value_float": np.float32, "value_floats": np.float32}
    for name, value in call.attributes.items():
        if name == "value":
            return value
        return np.asarray(value, kinds.get(name, np.int64))
    raise unsupported(call, "without a value")


def _constant_of_shape(call: Call) -> Any:
    value = call["value"]
    value = np.zeros(1, np.float32) if value is None else np.asarray(value)
    return np.full(_numbers(call.input(0)), value.item(), value.dtype)


def _range(call: Call) -> Any:
    start, end, step = (np.asarray(plain(a)) for a in call.inputs)
    return np.arange(start.item(), end.item(), step.item(), dtype=start.dtype)


def _one_hot(call: Call) -> Any:
    """Make rows with one value at the place of the class, and another elsewhere."""
    index, depth, values = (np.asarray(plain(a)) for a in call.inputs)
    n, axis = int(depth.reshape(-1)[0]), call.get("axis", -1)
    axis = axis % (index.ndim + 1)
    index = np.expand_dims(np.where(index < 0, index + n, index), axis)
    rows = np.arange(n).reshape(-1, *[1] * (index.ndim - 1 - axis))
    return np.where(index == rows, values[1], values[0])


def _trilu(call: Call) -> Any:
    k = int(plain(call.input(1, 0)))
    return np.triu(call.input(0), k) if call.get("upper", 1) else np.tril(call.input(0), k)


# ---- windows


def _frame(call: Call, lengths: Any, size: Any, stride: Any, dilation: Any) -> Any:
    """Read the frame around what windows slide over, spelled out or so that lengths stay."""
    n = len(size)
    auto = call.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        frame = []
        for length, k, s, d in zip(lengths, size, stride, dilation, strict=True):
            more = max(0, (-(-length // s) - 1) * s + d * (k - 1) + 1 - length)
            less = more // 2
            frame.append((less, more - less) if auto == "SAME_UPPER" else (more - less, less))
        return tuple(frame)
    pads = call.get("pads", [0] * 2 * n) if auto == "NOTSET" else [0] * 2 * n
    return tuple((int(pads[k]), int(pads[k + n])) for k in range(n))


def _sides(call: Call, name: str, n: int) -> tuple[int, ...]:
    return tuple(int(k) for k in call.get(name, [1] * n))


def _sliding(call: Call, x: Any, size: Any) -> dict[str, Any]:
    n = len(size)
    stride, dilation = _sides(call, "strides", n), _sides(call, "dilations", n)
    frame = _frame(call, x.shape[2:], size, stride, dilation)
    return {"stride": stride, "dilation": dilation, "padding": frame}


def _in_two(x: Any, w: Any, how: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Give a convolution along one axis a second one of length 1."""
    more = {"stride": (1,), "dilation": (1,), "padding": ((0, 0),)}
    how = how | {name: more[name] + tuple(how[name]) for name in more}
    return np.expand_dims(x, 2), np.expand_dims(w, 2), how


def _with_bias(z: Any, bias: Any) -> Any:
    return z if bias is None else z + np.reshape(bias, (-1, *[1] * (z.ndim - 2)))


def _conv(call: Call) -> Any:
    """Convolve along one axis or two."""
    x, w = call.input(0), call.input(1)
    if x.ndim not in (3, 4):
        raise unsupported(call, f"over {x.ndim - 2} axes")
    how = _sliding(call, x, w.shape[2:]) | {"groups": call.get("group", 1)}
    if x.ndim == 3:
        x, w, how = _in_two(x, w, how)
        return _with_bias(np.squeeze(ops.conv(x, w, **how), 2), call.input(2))
    return _with_bias(ops.conv(x, w, **how), call.input(2))


def _conv_transpose(call: Call) -> Any:
    """Lay kernels down along one axis or two."""
    x, w = call.input(0), call.input(1)
    n = x.ndim - 2
    if n not in (1, 2):
        raise unsupported(call, f"over {n} axes")
    stride, dilation = _sides(call, "strides", n), _sides(call, "dilations", n)
    more = call.get("output_padding", [0] * n)
    full = [(m - 1) * s + d * (k - 1) + 1 + e for m, k, s, d, e in
            zip(x.shape[2:], w.shape[2:], stride, dilation, more, strict=True)]  # fmt: skip
    frame = _laid_frame(call, x, full, stride)
    groups = call.get("group", 1)
    lengths = [f - sum(pair) for f, pair in zip(full, frame, strict=True)]
    how = {"stride": stride, "dilation": dilation, "padding": frame, "groups": groups}
    shape = (x.shape[0], w.shape[1] * groups, *lengths)
    if n == 2:
        return _with_bias(ops.conv_transpose(x, w, shape=shape, **how), call.input(2))
    x, w, how = _in_two(x, w, how)
    z = ops.conv_transpose(x, w, shape=(*shape[:2], 1, shape[2]), **how)
    return _with_bias(np.squeeze(z, 2), call.input(2))


def _laid_frame(call: Call, x: Any, full: Any, stride: Any) -> Any:
    """Read what is cut off around what kernels were laid down to."""
    n, auto = len(full), call.get("auto_pad", "NOTSET")
    wanted = call["output_shape"]
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [m * s for m, s in zip(x.shape[2:], stride, strict=True)]
    if wanted is None:
        pads = call.get("pads", [0] * 2 * n) if auto == "NOTSET" else [0] * 2 * n
        return tuple((int(pads[k]), int(pads[k + n])) for k in range(n))
    frame = []
    for f, out in zip(full, list(wanted)[-n:], strict=True):
        total = f - out
        half = total // 2
        frame.append((half, total - half) if auto == "SAME_UPPER" else (total - half, half))
    if min(min(pair) for pair in frame) < 0:
        raise unsupported(call, f"with output_shape {list(wanted)}")
    return tuple(frame)


def _pooling(call: Call) -> tuple[Any, dict[str, Any], Any]:
    """Read what slides, and the frame that counts.

    With ceil_mode it reaches further, to the end of the last window that begins inside.
    """
    x = call.input(0)
    size = tuple(int(k) for k in call["kernel_shape"])
    how = _sliding(call, x, size) | {"size": size}
    frame = how["padding"]
    if call.get("ceil_mode", 0):
        wide = []
        axes = zip(x.shape[2:], size, how["stride"], how["dilation"], frame, strict=True)
        for n, k, s, d, (before, behind) in axes:
            reach = n + before + behind - d * (k - 1) - 1
            count = -(-reach // s) + 1
            count -= (count - 1) * s >= n + before
            wide.append((before, behind + max(0, (count - 1) * s - reach)))
        how["padding"] = tuple(wide)
    return x, how, frame


def _max_pool(call: Call) -> Any:
    x, how, _ = _pooling(call)
    if call.outputs > 1:
        raise unsupported(call, "with the places of the largest")
    return ops.pool_max(x, **how)


def _average_pool(call: Call) -> Any:
    """Take means, of what lies in the frame too where that counts."""
    x, how, frame = _pooling(call)
    n = len(how["size"])
    places = tuple(range(-2 * n, -n))
    if call.get("count_include_pad", 0):
        if how["padding"] == frame:
            return np.mean(ops.windows(x, **how), axis=places)
        counted = np.ones([a + m + b for m, (a, b) in zip(x.shape[2:], frame, strict=True)])
        more = [(0, w[1] - f[1]) for w, f in zip(how["padding"], frame, strict=True)]
        inside = np.sum(ops.windows(counted, **how | {"padding": tuple(more)}), axis=places)
    else:
        inside = np.sum(ops.windows(np.ones(x.shape[-n:]), **how), axis=places)
    return np.sum(ops.windows(x, **how), axis=places) * (1 / inside).astype(x.dtype)


def _global(function: Any) -> Rule:
    def rule(call: Call) -> Any:
        x = call.input(0)
        return function(x, axis=tuple(range(2, x.ndim)), keepdims=True)

    return rule


# ---- normalisation


def _along(channels: Any, ndim: int) -> Any:
    return np.reshape(channels, (-1, *[1] * (ndim - 2)))


def _batch_norm(call: Call) -> Any:
    """Normalise by the running mean and variance, as in evaluation."""
    x, *more = call.inputs
    if call.get("training_mode", 0) or call.outputs > 1:
        raise unsupported(call, "in training")
    scale, bias, mean, variance = (_along(a, x.ndim) for a in more)
    return (x - mean) * (scale / np.sqrt(variance + call.get("epsilon", 1e-5))) + bias


def _normalised(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    apart = x - np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(apart), axis=axes, keepdims=True)
    return apart * (1 / np.sqrt(variance + eps))


def _instance_norm(call: Call) -> Any:
    x, scale, bias = call.inputs
    z = _normalised(x, tuple(range(2, x.ndim)), call.get("epsilon", 1e-5))
    return z * _along(scale, x.ndim) + _along(bias, x.ndim)


def _layer_norm(call: Call) -> Any:
    """Normalise over the last axes; give the mean and 1 / deviation where they are asked for."""
    x, scale, bias = call.input(0), call.input(1), call.input(2)
    axes = tuple(range(call.get("axis", -1) % x.ndim, x.ndim))
    mean = np.mean(x, axis=axes, keepdims=True)
    apart = x - mean
    variance = np.mean(np.square(apart), axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(variance + call.get("epsilon", 1e-5))
    z = apart * inverse * scale
    z = z if bias is None else z + bias
    return z if call.outputs == 1 else (z, mean, inverse)


def _group_norm(call: Call) -> Any:
    """Normalise over groups of channels."""
    x, scale, bias = call.inputs
    groups, channels = call["num_groups"], x.shape[1]
    flat = np.reshape(x, (x.shape[0], groups, -1))
    z = np.reshape(_normalised(flat, (-1,), call.get("epsilon", 1e-5)), x.shape)
    if scale.shape[0] != channels:  # before opset 21 there was one for each group
        scale, bias = (np.repeat(a, channels // groups) for a in (scale, bias))
    return z * _along(scale, x.ndim) + _along(bias, x.ndim)


def _dropout(call: Call) -> Any:
    """Leave x as it is, as in evaluation; the mask that may be asked for keeps all."""
    if bool(plain(call.input(2, False))) and float(plain(call.input(1, 0.5))) > 0:
        raise unsupported(call, "in training")
    x = call.input(0)
    return x if call.outputs == 1 else (x, np.ones(x.shape, bool))


LAYERS: dict[str, Rule] = {
    "AveragePool": _average_pool, "BatchNormalization": _batch_norm, "Cast": _cast,
    "Concat": _concat, "Constant": _constant, "ConstantOfShape": _constant_of_shape,
    "Conv": _conv, "ConvTranspose": _conv_transpose, "Dropout": _dropout, "Expand": _expand,
    "Flatten": _flatten, "Gather": _gather, "GatherElements": _gather_elements,
    "GatherND": _gather_nd, "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max), "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm, "LayerNormalization": _layer_norm,
    "MaxPool": _max_pool, "OneHot": _one_hot, "Pad": _pad, "Range": _range,
    "Reshape": _reshape, "Shape": _shape, "Size": lambda call: np.array(
        math.prod(call.input(0).shape), np.int64),
    "Slice": _slice, "Split": _split, "Squeeze": _squeeze, "Tile": _tile,
    "Transpose": _transpose, "Trilu": _trilu, "Unsqueeze": _unsqueeze,
}  # fmt: skip
