"""Architecture: a model made of the library's own modules, as the calls that make it again.

Each module becomes its name and the arguments of its constructor, which stand in attributes of the
same names; what JSON knows, and nothing that could run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from autonn import checks, nn
from autonn.engine import ops
from autonn.engine.tensor import Tensor
from autonn.files.errors import Damage
from autonn.files.reading import MAX_BYTES
from autonn.nn.module import Module
from autonn.nn.sequential import Lambda, Sequential

__all__ = ["built", "described"]

# The modules that can be described, by name.
KINDS: dict[str, type[Module]] = {
    kind.__name__: kind
    for kind in (getattr(nn, name) for name in nn.__all__)
    if isinstance(kind, type) and issubclass(kind, Module) and kind is not Module
}

# What is told by parameters being there; and what is drawn or set when weights are loaded.
_THERE = {"bias": ("bias", "in_proj_bias"), "affine": ("weight",)}
_LATER = frozenset({"weight", "rng"})

_GENERATORS = {
    kind.__name__: kind
    for kind in (
        np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox,
        np.random.SFC64,
    )
}  # fmt: skip

_OWN = "save_weights writes the numbers of any model, for whoever has the code that makes it"


def described(model: Module) -> dict[str, Any]:
    """Describe a model by the calls that make it.

    Raises
    ------
    ValueError
        For a module that is none of the library's own, for a function that has no public name, and
        for what is shared between modules, by name.

    Examples
    --------
    >>> described(nn.Sequential(nn.Layer(2, 3), nn.Tanh()))["modules"][0]["arguments"]
    {'inputs': 2, 'outputs': 3, 'bias': True, 'dtype': 'float64'}
    """
    return _of_module("", model, {})


def _of_module(place: str, module: Module, seen: dict[int, str]) -> dict[str, Any]:
    """Describe a module and those within it; one that was seen before by where it stands."""
    name = type(module).__name__
    where = f"save_model: {name} at {place!r}" if place else f"save_model: {name}"
    if KINDS.get(name) is not type(module):
        raise ValueError(
            f"{where} is a class of your own, which a file can't describe; make the model of "
            f"autonn's modules in a Sequential. {_OWN}"
        )
    if id(module) in seen:
        return {"same": seen[id(module)]}
    seen[id(module)] = place
    found: dict[str, Any] = {"module": name}
    if not vars(module).get("training", True):
        found["training"] = False
    if isinstance(module, Sequential):
        children = [(f"{place}.{k}" if place else k, part) for k, part in module.children()]
        return found | {"modules": [_of_module(at, part, seen) for at, part in children]}
    if isinstance(module, Lambda):
        return found | {"function": _name_of(where, module.function)}
    parameters = inspect.signature(type(module)).parameters
    arguments = {key: _argument(where, module, key) for key in parameters if key not in _LATER}
    rng = getattr(module, "rng", None)
    if isinstance(rng, np.random.Generator):
        found["rng"] = _state(where, rng)
    return found | {"arguments": {k: v for k, v in arguments.items() if v is not None}}


def _argument(where: str, module: Module, key: str) -> Any:
    """Return what an argument of the constructor was, as JSON has it."""
    if key == "dtype":
        tensors = module.named_tensors().values()
        return next((t.dtype.name for t in tensors if t.dtype.kind == "f"), None)
    if key in _THERE and not isinstance(getattr(module, key, None), bool):
        held = (getattr(module, name, None) for name in _THERE[key])
        return any(isinstance(part, Tensor) for part in held)
    if not hasattr(module, key):
        raise ValueError(f"{where} keeps no {key!r}, so a file can't describe it. {_OWN}")
    return _plain(f"{where}: {key}", getattr(module, key))


def _plain(where: str, value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, tuple | list):
        return [_plain(where, part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    raise ValueError(f"{where} is {value!r}, which a file can't describe. {_OWN}")


def _functions() -> Mapping[str, Any]:
    """List the functions that can be told by a name: NumPy's ufuncs, and autonn's own."""
    found = {f"numpy.{k}": f for k, f in vars(np).items() if isinstance(f, np.ufunc)}
    return found | {f"autonn.{k}": f for k, f in vars(ops).items() if k[0] != "_" and callable(f)}


def _name_of(where: str, function: Any) -> str:
    """Return the name of a public function."""
    for name, known in _functions().items():
        if known is function:
            return name
    raise ValueError(
        f"{where} holds the function {getattr(function, '__name__', function)!r}, which a file "
        f"can't describe; take one of NumPy's ufuncs or of autonn's, as np.tanh. {_OWN}"
    )


def _state(where: str, rng: np.random.Generator) -> Any:
    state = rng.bit_generator.state
    if state["bit_generator"] not in _GENERATORS:
        raise ValueError(f"{where}: rng draws by {state['bit_generator']}, which is not NumPy's")
    return state


# ---- the way back


def built(description: Any) -> Module:
    """Make the model that a description describes; its parameters are drawn anew.

    Raises
    ------
    Damage
        For what `described` would not have written.

    Examples
    --------
    >>> built(described(nn.Sequential(nn.Layer(2, 3, bias=False), np.tanh)))
    Sequential(Layer(2, 3, bias=False), Lambda(tanh))
    """
    return _module(description, "", {})


def _module(told: Any, place: str, seen: dict[str, Module]) -> Module:
    """Make a module, and those within it."""
    if not isinstance(told, dict):
        raise Damage(f"{told!r:.60} in the place of a module")
    if "same" in told:
        return seen[told["same"]]
    kind = KINDS.get(told["module"])
    if kind is None:
        raise Damage(f"a module {told['module']!r:.60}, which this autonn does not have")
    if kind is Sequential:
        # What is the same as another may stand within it only, and so was made before.
        inner = [
            _module(part, f"{place}.{k}" if place else str(k), seen)
            for k, part in enumerate(told["modules"])
        ]
        made: Module = Sequential(*inner)
    elif kind is Lambda:
        made = Lambda(_functions()[told["function"]])
    else:
        made = kind(**_arguments(told["arguments"]))
    if "rng" in told:
        rng = np.random.Generator(_GENERATORS[told["rng"]["bit_generator"]]())
        rng.bit_generator.state = told["rng"]
        setattr(made, "rng", rng)  # noqa: B010  # as Dropout has it
    if told.get("training", True) is False:
        made.training = False
    seen[place] = made
    return made


def _arguments(told: Any) -> dict[str, Any]:
    """Take arguments of a constructor, of which none makes it take more memory than a file may."""
    found, sizes = {}, [1]
    for key, value in told.items():
        plain = tuple(value) if isinstance(value, list) else value
        parts = plain if isinstance(plain, tuple) else (plain,)
        if not all(isinstance(part, str | int | float | None) for part in parts):
            raise Damage(f"{key} is {value!r:.60}")
        sizes += [part for part in parts if isinstance(part, int)]
        found[key] = checks.floating("dtype", plain) if key == "dtype" else plain
    *_, one, other = sorted([1, *sizes])
    if 8 * one * other > MAX_BYTES:
        raise Damage(f"a module of {one:,} times {other:,} numbers")
    return found
