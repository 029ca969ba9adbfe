"""export: what was trained leaves, in the form that the ending of the file's name says."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from autonn.checks import one_of
from autonn.exits.onnx_export import onnx_model
from autonn.exits.page import page_of
from autonn.exits.torch_source import torch_source
from autonn.files.atomic import write_together
from autonn.files.reading import PathLike
from autonn.nn.module import Module

__all__ = ["export"]


def _onnx(model: Any, example: Any, **settings: Any) -> bytes:
    if example is None:
        raise ValueError(
            "export: an ONNX file is traced from one evaluation; give a row, as example=X[:1]"
        )
    written: bytes = onnx_model(model, example, **settings).SerializeToString()
    return written


def _html(model: Any, example: Any, **settings: Any) -> bytes:
    return page_of(model, example, **settings).encode()


def _python(model: Any, example: Any, framework: str = "pytorch") -> bytes:
    one_of("export: framework", framework, ("pytorch",))
    return torch_source(model).encode()


# By ending, what makes the file's content.
_FORMATS: dict[str, Callable[..., bytes]] = {".onnx": _onnx, ".html": _html, ".py": _python}


def export(model: Module, path: PathLike, example: Any = None, **settings: Any) -> None:
    """Write a network to one file, for use without autonn: the ending says in which form.

    ``.onnx``, which onnxruntime, phones and browsers run. Any `forward` goes: the ops of one
    evaluation are written, in evaluation mode, and the number of rows is left free.

    ``.html``, a page for a browser, which opens by a double click and fetches and sends nothing:
    draw, see each layer's numbers and why the answer is what it is, and teach the network by the
    derived backward pass. For the digits nothing else need be said.

    ``.py``, a short program that makes the same network in PyTorch, and loads the weights that
    `save_weights` wrote to a ``.safetensors`` file. Rows of the library's own layers go so.

    Parameters
    ----------
    model
        The network.
    path
        Where to; the file is written whole or not at all.
    example
        A row of what the network takes, or several, as ``X[:1]``: shapes and dtypes are read
        from it. A tuple of arrays for a network of several inputs.
    settings
        Of ``.onnx``: `input_name` and `output_name`, "input" and "output", or a list of several;
        `opset`, 17, up to 21, where 17 is what runtimes of 2022 load; `dtype`, "float32" whatever
        the network's own, or "float64", of which runtimes lack some kernels; `metadata`, a dict
        of what else the file is to say, as the names of the classes and how inputs are prepared,
        written as JSON, where it is no text.

        Of ``.html``: `inputs`, the sides of a picture, ``(28, 28)``, or the ranges of a few
        numbers, ``{"x": (-1, 1), "y": (-1, 1)}``, which become sliders; by default the digits'
        pictures, or the last two axes of the example. `classes`, the names of the outputs;
        `samples`, rows and their labels to be loaded; `loss`, what the last module asks for if
        nothing is said; `rate`, 0.03, of one step of learning; `title`.

        Of ``.py``: `framework`, "pytorch".

    Raises
    ------
    NotImplementedError
        For what can't be written, with its op and its layer.
    CannotCompileError
        For a `forward` that reads values, as ``if x.sum() > 0`` does.
    ValueError, TypeError
        For another ending, and for settings out of their range.
    ImportError
        For ``.onnx`` without the package: ``pip install 'autonn[onnx]'``.

    Examples
    --------
    >>> from autonn import Layer
    >>> export(Layer(3, 2), "layer.tflite")
    Traceback (most recent call last):
    ValueError: export: layer.tflite ends in .tflite; known are .onnx, .html, .py
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise ValueError(f"export: {path} ends in {suffix or 'nothing'}; known are {known}")
    write_together([path], [_FORMATS[suffix](model, example, **settings)])
