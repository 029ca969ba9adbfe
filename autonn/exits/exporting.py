"""export: what was trained leaves, in the form that the ending of the file's name says."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable, Mapping
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


def _python(model: Any, example: Any, *, framework: str = "pytorch") -> bytes:
    one_of("export: framework", framework, ("pytorch",))
    return torch_source(model).encode()


# By ending, what makes the file's content, and whose settings it takes.
_FORMATS: dict[str, tuple[Callable[..., bytes], Callable[..., Any]]] = {
    ".onnx": (_onnx, onnx_model), ".html": (_html, page_of), ".py": (_python, _python),
}  # fmt: skip

_WEIGHTS = (".npz", ".safetensors", ".pt", ".pth", ".h5", ".keras")  # where others keep weights


def _settings_of(suffix: str) -> list[str]:
    taken = inspect.signature(_FORMATS[suffix][1]).parameters.values()
    return [p.name for p in taken if p.kind is p.KEYWORD_ONLY]


def _require_known(suffix: str, settings: Mapping[str, Any]) -> None:
    """Refuse a setting that a format does not have, with one that it may stand for."""
    known = _settings_of(suffix)
    for name in settings:
        if name in known:
            continue
        others = [ending for ending in _FORMATS if name in _settings_of(ending)]
        near = difflib.get_close_matches(name, known, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        if others:
            meant = f"only {others[0]} has it; "
        takes = ", ".join(known)
        raise TypeError(f"export: {suffix} has no setting {name}; {meant}it takes {takes}")


def _require_model(model: Any, suffix: str) -> None:
    """Refuse what is no model."""
    if isinstance(model, type):
        name = model.__name__
        raise TypeError(f"export: {name} is a class; give a model, as {name}(...)")
    if isinstance(model, Module) or (suffix == ".onnx" and callable(model)):
        return
    also = ", or a function of arrays" if suffix == ".onnx" else ""
    raise TypeError(f"export: model is of type {type(model).__name__}; give a Module{also}")


def _ending(path: Any) -> str:
    """Tell how the name of the file ends, which has to be known."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(
            f"export: path is of type {type(path).__name__}; give the model first and then the "
            "name of a file, as export(model, 'digits.html')"
        )
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix not in _FORMATS:
        known = ", ".join(_FORMATS)
        also = "; save_weights writes weights alone" if suffix in _WEIGHTS else ""
        name, end = os.fsdecode(path), suffix or "nothing"
        raise ValueError(f"export: {name} ends in {end}; known are {known}{also}")
    return suffix


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
        For another ending, what is no model, settings that the ending does not have, and those
        out of their range.
    FileNotFoundError
        For a folder that is not there.
    ImportError
        For ``.onnx`` without the package: ``pip install 'autonn[onnx]'``.

    Examples
    --------
    >>> from autonn import Layer
    >>> export(Layer(3, 2), "layer.py", frame="pytorch")
    Traceback (most recent call last):
    TypeError: export: .py has no setting frame; did you mean framework? it takes framework
    """
    suffix = _ending(path)
    _require_model(model, suffix)
    _require_known(suffix, settings)
    write_together([path], [_FORMATS[suffix][0](model, example, **settings)])
