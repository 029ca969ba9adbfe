"""A network as a short module of PyTorch, whose weights `save_weights` writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autonn import nn

__all__ = ["torch_source"]


def torch_source(model: Any) -> str:
    r"""Return the text of a program that makes the same network in PyTorch.

    Raises
    ------
    NotImplementedError
        For a module that PyTorch has no word for, and for a `forward` of the user's own, with its
        path.

    Examples
    --------
    >>> print(torch_source(nn.Sequential(nn.Layer(2, 3), nn.Tanh())).partition("\n\n\ndef load")[0])
    import torch
    from safetensors.torch import load_file
    from torch import nn
    <BLANKLINE>
    <BLANKLINE>
    def network():
        return nn.Sequential(
            nn.Linear(2, 3),
            nn.Tanh(),
        )
    """
    classes: dict[str, str] = {}
    body = "\n".join(_lines(model, "", classes, "    "))
    doubles = any(p.dtype == np.float64 for p in model.parameters())
    helpers = "".join(f"\n\n{text}\n" for text in classes.values())
    return _PROGRAM.format(
        classes=helpers, body=body.removeprefix("    "), double=".double()" if doubles else ""
    )


_PROGRAM = '''\
import torch
from safetensors.torch import load_file
from torch import nn
{classes}

def network():
    return {body}


def load(path):
    """Take the weights that autonn's save_weights wrote to a .safetensors file."""
    model = network(){double}
    model.load_state_dict(load_file(path))
    return model.eval()
'''

# What PyTorch has under no name, as small classes without parameters beside those they extend.
_CLASSES = {
    "GlobalAveragePool": '''\
class GlobalAveragePool(nn.Module):
    def forward(self, x):
        return x.flatten(2).mean(2)''',
    "Outputs": '''\
class Outputs(nn.Module):
    """Takes the outputs of all steps."""

    def forward(self, pair):
        return pair[0]''',
    "Last": '''\
class Last(nn.Module):
    """Takes the state after the last step, both directions side by side."""

    def forward(self, pair):
        outputs, state = pair
        h = state[0] if isinstance(state, tuple) else state
        return torch.cat(list(h[-(outputs.shape[-1] // h.shape[-1]) :]), -1)''',
    "SelfAttention": '''\
class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]''',
    "PositionEncoding": '''\
class PositionEncoding(nn.Module):
    def __init__(self, width, length):
        super().__init__()
        i = torch.arange(width, dtype=torch.float64)
        angles = torch.arange(length)[:, None] / 10000 ** (2 * (i // 2) / width)
        self.table = torch.where(i % 2 == 1, angles.cos(), angles.sin())

    def forward(self, x):
        return x + self.table[: x.shape[-2]].to(x)''',
    "BatchNorm": '''\
class BatchNorm(nn.BatchNorm1d):
    """Takes rows, sequences and pictures."""

    def _check_input_dim(self, x):
        pass''',
    "Function": '''\
class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function''',
}  # fmt: skip

# Functions of NumPy, by what PyTorch calls them.
_FUNCTIONS: dict[Any, str] = {
    np.tanh: "torch.tanh", np.exp: "torch.exp", np.sin: "torch.sin", np.cos: "torch.cos",
    np.absolute: "torch.abs", np.square: "torch.square", np.sqrt: "torch.sqrt",
}  # fmt: skip


def _lines(module: Any, path: str, classes: dict[str, str], indent: str) -> list[str]:
    """Write a module, and those in it, one a line."""
    if type(module) is nn.Sequential:
        parts = [
            _lines(child, f"{path}.{name}" if path else name, classes, f"{indent}    ")
            for name, child in module.children()
        ]
        inner = [line for part in parts for line in (*part[:-1], f"{part[-1]},")]
        return [f"{indent}nn.Sequential(", *inner, f"{indent})"]
    return [f"{indent}{_call(module, path, classes)}"]


def _call(module: Any, path: str, classes: dict[str, str]) -> str:
    """Write the call that makes a module."""
    kind = type(module)
    if kind in _PLAIN:
        return f"nn.{_PLAIN[kind]}()"
    if kind in _OWN:
        name, write = _OWN[kind]
        classes.setdefault(name, _CLASSES[name])
        return f"{name}({write(module)})"
    if kind is nn.Lambda and module.function in _FUNCTIONS:
        classes.setdefault("Function", _CLASSES["Function"])
        return f"Function({_FUNCTIONS[module.function]})"
    if kind in _SET:
        name, settings = _SET[kind]
        return f"nn.{name}({', '.join(filter(None, settings(module)))})"
    raise NotImplementedError(
        f"export: {module!r}{f' at {path}' if path else ''} has no word in PyTorch that is written "
        "here; rows of the library's own layers have, and any forward goes out as .onnx"
    )


def _named(**settings: Any) -> list[str]:
    """Write settings that are not what they usually are: pairs of the value and the usual."""
    return [f"{name}={v!r}" for name, (v, usual) in settings.items() if v != usual]


def _one(sides: Any) -> Any:
    """Write sides that are all the same as one number."""
    return sides[0] if isinstance(sides, tuple) and len({*sides}) == 1 else sides


def _kernels(m: Any) -> list[str]:
    """Write the settings of a convolution."""
    return [
        str(m.in_channels), str(m.out_channels), repr(_one(m.kernel_size)),
        *_named(stride=(_one(m.stride), 1), padding=(_one(m.padding), 0)),
        *_named(output_padding=(_one(getattr(m, "output_padding", 0)), 0)),
        *_named(dilation=(_one(m.dilation), 1), groups=(m.groups, 1)),
        *_named(bias=(m.bias is not None, True)),
    ]  # fmt: skip


def _slides(m: Any) -> list[str]:
    stride = [] if m.stride == m.kernel_size else [f"stride={_one(m.stride)!r}"]
    return [repr(_one(m.kernel_size)), *stride, *_named(padding=(_one(m.padding), 0))]


def _max_pool(m: Any) -> list[str]:
    return [*_slides(m), *_named(dilation=(_one(m.dilation), 1))]


def _mean_pool(m: Any) -> list[str]:
    return [*_slides(m), *_named(count_include_pad=(m.count_include_pad, True))]


def _norm(m: Any) -> list[str]:
    return [
        str(m.features), *_named(eps=(m.eps, 1e-5), momentum=(m.momentum, 0.1)),
        *_named(affine=(m.weight is not None, True)),
    ]  # fmt: skip


def _recurrent(m: Any) -> list[str]:
    """Write the settings of a recurrent layer."""
    kind = getattr(m, "nonlinearity", None)  # of an RNN alone
    return [
        str(m.inputs), str(m.units), *_named(num_layers=(m.layers, 1), nonlinearity=(kind, None)),
        *_named(bias=(m.bias_ih_l0 is not None, True), bidirectional=(m.bidirectional, False)),
        "batch_first=True",
    ]  # fmt: skip


_PLAIN: dict[type, str] = {
    nn.Sigmoid: "Sigmoid", nn.Tanh: "Tanh", nn.ReLU: "ReLU", nn.SiLU: "SiLU",
    nn.Identity: "Identity", nn.Flatten: "Flatten",
}  # fmt: skip
_OWN: dict[type, tuple[str, Callable[[Any], str]]] = {
    nn.GlobalAveragePool: ("GlobalAveragePool", lambda m: ""),
    nn.Outputs: ("Outputs", lambda m: ""),
    nn.Last: ("Last", lambda m: ""),
    nn.PositionEncoding: ("PositionEncoding", lambda m: f"{m.width}, {m.length}"),
    nn.BatchNorm: ("BatchNorm", lambda m: ", ".join(_norm(m))),
    nn.MultiheadAttention: (
        "SelfAttention",
        lambda m: ", ".join(
            [f"{m.width}, {m.heads}", *_named(bias=(m.in_proj_bias is not None, True)),
             "batch_first=True"]
        ),
    ),
}  # fmt: skip
_SET: dict[type, tuple[str, Callable[[Any], list[str]]]] = {
    nn.Layer: (
        "Linear",
        lambda m: [str(m.inputs), str(m.outputs), *_named(bias=(m.bias is not None, True))],
    ),
    nn.Conv1d: ("Conv1d", _kernels),
    nn.Conv2d: ("Conv2d", _kernels),
    nn.ConvTranspose2d: ("ConvTranspose2d", _kernels),
    nn.MaxPool1d: ("MaxPool1d", _max_pool),
    nn.MaxPool2d: ("MaxPool2d", _max_pool),
    nn.AvgPool1d: ("AvgPool1d", _mean_pool),
    nn.AvgPool2d: ("AvgPool2d", _mean_pool),
    nn.BatchNorm1d: ("BatchNorm1d", _norm),
    nn.BatchNorm2d: ("BatchNorm2d", _norm),
    nn.LayerNorm: (
        "LayerNorm",
        lambda m: [
            repr(_one(m.shape) if len(m.shape) == 1 else m.shape), *_named(eps=(m.eps, 1e-5)),
            *_named(elementwise_affine=(m.weight is not None, True)),
        ],
    ),
    nn.GroupNorm: (
        "GroupNorm",
        lambda m: [
            str(m.groups), str(m.channels), *_named(eps=(m.eps, 1e-5)),
            *_named(affine=(m.weight is not None, True)),
        ],
    ),
    nn.Embedding: (
        "Embedding",
        lambda m: [str(m.count), str(m.size), *_named(padding_idx=(m.padding_idx, None))],
    ),
    nn.RNN: ("RNN", _recurrent),
    nn.GRU: ("GRU", _recurrent),
    nn.LSTM: ("LSTM", _recurrent),
    nn.Dropout: ("Dropout", lambda m: [repr(m.p)]),
    nn.Upsample: ("Upsample", lambda m: [f"scale_factor={_one(m.scale_factor)!r}"]),
    nn.LeakyReLU: ("LeakyReLU", lambda m: [repr(m.negative_slope)]),
    nn.ELU: ("ELU", lambda m: [repr(m.alpha)]),
    nn.GELU: ("GELU", lambda m: _named(approximate=(m.approximate, "none"))),
    nn.Softplus: ("Softplus", lambda m: ["threshold=1000"]),  # or it is x from 20 on
    nn.Softmax: ("Softmax", lambda m: [repr(m.axis)]),
    nn.LogSoftmax: ("LogSoftmax", lambda m: [repr(m.axis)]),
}  # fmt: skip
