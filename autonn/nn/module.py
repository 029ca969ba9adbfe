"""A module is a function with parameters; what it holds is found by looking at its attributes.

Nothing is registered: assign Tensors, other modules, or lists and dicts of them to attributes,
write `forward`, and parameters, buffers, names and the summary follow.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from types import FrameType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import DTypeLike

from autonn.checks import NamesError, differences, floating, plain
from autonn.engine.modes import (
    CannotCompileError,
    called,
    changes,
    evaluated,
    is_recording,
    is_tracing,
    no_grad,
)
from autonn.engine.ownership import recast
from autonn.engine.tensor import Array, Tensor
from autonn.habits import (
    HABITS,
    Answering,
    answer_attributes,
    answers_keywords,
    refuse_unless_taken,
)
from autonn.nn.addresses import add_address
from autonn.nn.mermaid import chart
from autonn.nn.parts import parts_of
from autonn.nn.summary import Summary, summary_of
from autonn.nn.walk import Holder, Walk, own_tensors, parts


class Module(Answering, Holder):
    """Base of everything that has parameters: subclasses write ``forward(x)``.

    A Tensor that requires a gradient is a parameter. One that does not is a buffer: something that
    the module keeps and may change in training by ``self.mean.data = ...``, as running means are;
    optimisers leave it alone, and it is saved and loaded with the parameters. So a parameter that
    is frozen, by ``requires_grad = False``, is a buffer until it is set free. A result that is kept
    in an attribute, as by ``self.out = self.layer(x)`` in `forward`, is neither.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(3.0)
    Tensor(6., requires_grad=True)
    >>> [name for name, _ in Scale().named_parameters()]
    ['factor']
    """

    # What is no attribute to look through: the last walk, and the names of kept results.
    __slots__ = ("__dict__", "__weakref__", "_kept", "_walked")

    # Whether it passes x through the modules that it holds, one after another.
    passes_on: bool = False

    def __init__(self) -> None:
        super().__init__()

    # How often an attribute was set: what was compiled with the module is then derived anew.
    edits: int = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _TAKEN:
            _refuse(self, name, value)
        if isinstance(value, np.ndarray) and isinstance(vars(self).get(name), Tensor):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Tensor, and an array in its place would not be "
                f"learned nor saved; write .{name}.data = array, or a new Tensor"
            )
        super().__setattr__(name, value)
        if isinstance(value, _KEEPABLE):
            self._note_whether_kept(name, value)
        if name != "training":  # a mode that comes back finds what was compiled in it
            super().__setattr__("edits", self.edits + 1)
        changes.count += 1  # last: whoever reads the new count sees the new attribute

    def _note_whether_kept(self, name: str, value: Any) -> None:
        """Note results that are kept: without a graph, nothing tells them from buffers later."""
        kept: frozenset[str] = getattr(self, "_kept", frozenset())
        tensors = [part for _, part in parts([(name, value)]) if isinstance(part, Tensor)]
        own = any(tensor.requires_grad and tensor.is_leaf for tensor in tensors)
        is_kept = bool(tensors) and not own and _is_within_a_call()
        object.__setattr__(self, "_kept", kept | {name} if is_kept else kept - {name})

    def held(self) -> Iterable[tuple[str, Any]]:
        """Give what is looked through for parameters, buffers and modules, each with its name."""
        kept = getattr(self, "_kept", None)
        items = vars(self).items()
        return [item for item in items if item[0] not in kept] if kept else items

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        super().__setattr__("edits", self.edits + 1)
        changes.count += 1

    def __getstate__(self) -> dict[str, Any]:  # a kept result can't leave its graph
        return {k: v for k, v in Module.held(self) if type(v) is not Tensor or v.is_leaf}

    @property
    def training(self) -> bool:
        """Whether it is being trained: Dropout is silent otherwise. See `train` and `eval`."""
        modes = evaluated.get()
        mode = None if modes is None else modes.get(id(self))
        if mode is None:
            mode = vars(self).get("training", True)
        return mode

    @training.setter
    def training(self, mode: bool) -> None:
        modes = evaluated.get()
        if modes is not None and id(self) in modes:
            modes[id(self)] = bool(mode)
        else:
            vars(self)["training"] = bool(mode)

    @training.deleter
    def training(self) -> None:
        vars(self).pop("training", None)

    def train(self, mode: bool = True) -> Self:
        """Set it and all modules below to training, where dropout is at work; returns itself."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set it and all modules below to evaluation; returns itself."""
        return self.train(False)

    def forward(self, x: Any) -> Tensor:
        """Compute the output; subclasses say how."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def __call__(self, x: Any, *more: Any, **named: Any) -> Tensor:
        """Compute the output, as ``model(x)``, or ``model(x, state)`` if `forward` takes more."""
        try:  # which takes no time where there is no error
            if named:
                refuse_unless_taken(self.forward, type(self).__name__, "predict()", named)
            if is_tracing() is None and is_recording() is True:  # most come by here, with x alone
                if not more and not named:  # 0.4 us, and 0.7 us by the next line
                    return self.forward(x)
                return self.forward(x, *more, **named)
            result: Tensor = called(self, x, *more, **named)
            return result
        except Exception as error:
            add_address(error, self, x)
            raise

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules it holds, each with its name."""
        return ((name, part) for name, part in parts(self.held()) if isinstance(part, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield itself and all modules below, outer before inner, with dotted names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def own_parameters(self) -> dict[str, Tensor]:
        """Return the parameters that it holds itself, not those of modules below."""
        return {name: part for name, part in own_tensors(self).items() if part.requires_grad}

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all parameters, each with its dotted name; one that is shared has its first name.

        ``dict(model.named_parameters())`` has them by name.

        >>> from autonn import Layer, Sequential
        >>> for name, parameter in Sequential(Layer(2, 3), Layer(3, 1)).named_parameters():
        ...     print(name, parameter.shape)
        0.weight (3, 2)
        0.bias (3,)
        1.weight (1, 3)
        1.bias (1,)
        """
        return self._walk().named(requires_grad=True)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield all buffers, each with its dotted name: the Tensors that require no gradient.

        >>> from autonn import Layer
        >>> layer = Layer(2, 3)
        >>> layer.weight.requires_grad = False
        >>> layer.seen = Tensor(0)
        >>> [name for name, _ in layer.named_buffers()]
        ['weight', 'seen']
        """
        return self._walk().named(requires_grad=False)

    def parameters(self) -> list[Tensor]:
        """Return all parameters, each once."""
        return list(self._walk().parameters)

    def buffers(self) -> list[Tensor]:
        """Return all buffers, each once."""
        return [role[1] for role in self._walk().roles if not role[1].requires_grad]

    def weights(self) -> list[Tensor]:
        """Return the parameters that penalties apply to: all but the biases.

        The class may name its biases, as in ``biases = ("shift",)``. If it does not, they are known
        by their own names and shapes: `b`, `b1`, `bias_2` or `hidden_bias` are biases if they are a
        number, a row or a column.

        >>> class Net(Module):
        ...     def __init__(self):
        ...         self.W1, self.b1 = (Tensor(np.ones(s), True) for s in ((2, 3), 2))
        >>> [weight.shape for weight in Net().weights()]
        [(2, 3)]
        """
        return list(self._walk().weights)

    def _walk(self) -> Walk:
        """Find all parameters and their roles; training asks several times a step."""
        walk: Walk | None = getattr(self, "_walked", None)
        if walk is None or not walk.holds():
            walk = Walk(self)
            object.__setattr__(self, "_walked", walk)
        return walk

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers, by dotted name.

        Raises
        ------
        ValueError
            For two Tensors of the same name.

        Examples
        --------
        >>> from autonn import Layer
        >>> Layer(2, 1, weight=[[1.0, 2.0]]).state_dict()
        {'weight': array([[1., 2.]]), 'bias': array([0.])}
        """
        return {name: tensor.numpy() for name, tensor in self.named_tensors().items()}

    @answers_keywords("state()")
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set all parameters and buffers from arrays by name, as `state_dict` gives them.

        Raises
        ------
        ValueError
            For entries that are missing, unknown, or of another shape or dtype, with all of them;
            then nothing is set. If any is missing or unknown, it is a KeyError as well.

        Examples
        --------
        >>> from autonn import Layer
        >>> layer = Layer(2, 1)
        >>> layer.load_state_dict({"weight": [[1.0, 2.0]], "bias": [3.0]})
        >>> layer.theta
        array([[3., 1., 2.]])
        """
        tensors = self.named_tensors()
        wrong = differences(tensors, state)
        if wrong:
            error = ValueError if tensors.keys() == state.keys() else NamesError
            raise error(f"{self!r}: the state is that of another model: {'; '.join(wrong)}")
        for name, tensor in tensors.items():
            tensor.data = np.asarray(state[name]).astype(tensor.dtype)

    def named_tensors(self) -> dict[str, Tensor]:
        """Return all parameters and buffers by dotted name; two of one name are a ValueError."""
        roles = self._walk().roles
        tensors = {name: tensor for name, tensor, *_ in roles}
        if len(tensors) < len(roles):
            raise ValueError(f"two Tensors of {self!r} have the same name; rename an attribute")
        return tensors

    def astype(self, dtype: DTypeLike) -> Self:
        """Change all floating parameters and buffers to a floating dtype, in place; returns itself.

        The Tensors stay the same ones, so that optimisers go on with them, and their moments
        follow; gradients are dropped. What is no floating number, as a count, stays as it is.

        A layer with parameters computes in their dtype, whatever the data are; data of the same
        dtype need not be copied for that.

        Raises
        ------
        TypeError
            For a dtype that is not floating; then nothing changes.
        CannotCompileError
            Within a compiled function.

        Examples
        --------
        >>> from autonn import Layer
        >>> layer = Layer(2, 1).astype(np.float32)
        >>> layer.weight.dtype
        dtype('float32')
        >>> layer(np.ones((1, 2))).dtype
        dtype('float32')
        """
        if is_tracing() is not None:
            raise CannotCompileError(
                f"{type(self).__name__}.astype: within a compiled function the dtype would change "
                "once, while it is derived; change it outside"
            )
        wanted = floating(f"{type(self).__name__}.astype: dtype", dtype)
        for _, tensor, *_ in self._walk().roles:
            if tensor.dtype.kind == "f":
                recast(tensor, wanted)
        return self

    @answers_keywords("state()")
    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters():
            parameter.grad = None

    def predict(self, x: Any, *more: Any, **named: Any) -> Array:
        """Return the output in evaluation mode as an array of the caller's own, without a graph.

        It is called as the module is; a dict of several inputs is given to `forward` by its names,
        and a tuple one by one where it needs several, as `fit` does. Of a module with several
        outputs it is a tuple, list or dict of arrays, as `forward` has it.

        >>> from autonn import Layer
        >>> Layer(2, 1, weight=[[1.0, 1.0]]).predict([[1.0, 1.0]] * 3)
        array([[2.],
               [2.],
               [2.]])
        """
        if not isinstance(x, _GIVEN):  # a frame, or what is no array
            x = plain(f"{type(self).__name__}.predict: x", x)
        with no_grad(), self.evaluating():
            if not more and not named and isinstance(x, tuple | dict):
                more, named = parts_of(self.forward, x)
                return cast(Array, _arrays(self(*more, **named)))
            return cast(Array, _arrays(self(x, *more, **named)))

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Set it to evaluation for a while, in this thread alone.

        What is set by `train`, `eval` or ``training = ...`` meanwhile holds until the end.
        """
        modules = [module for _, module in self.named_modules()]
        token = evaluated.set((evaluated.get() or {}) | {id(module): False for module in modules})
        try:
            yield
        finally:
            evaluated.reset(token)

    def summary(self, *example: Any) -> Summary:
        """Return a table of the modules and their parameters, with shapes and counts.

        What is not trainable, as frozen weights and running averages, is marked and counted apart.
        It is text, which a notebook shows as a table. Given what `forward` takes, as ``X[:1]``, it
        also has the shape that each module gives, in evaluation.

        >>> from autonn import Layer, Sequential, Sigmoid
        >>> print(Sequential(Layer(400, 25), Sigmoid()).summary(np.ones((1, 400))))
        module            gives    parameter  shape       count
        0  Layer(400, 25) (1, 25)  weight     (25, 400)  10,000
                                   bias       (25,)          25
        1  Sigmoid()      (1, 25)
        total                                            10,025
        """
        return summary_of(self, example)

    def _repr_html_(self) -> str:
        """Show a notebook what it is, and the summary where one unfolds it."""
        facts = f"{sum(p.size for p in self.parameters()):,} parameters"
        table = self.summary()._repr_html_()
        shown = f"<code>{escape(repr(self))}</code> {facts}"
        return f"<details><summary>{shown}</summary>{table}</details>"

    def mermaid(self) -> str:
        """Return a picture of the modules as text, in Mermaid, which README files draw.

        What passes x from one module to the next, as a `Sequential`, has arrows.

        >>> from autonn import Layer, ReLU, Sequential
        >>> print(Sequential(Layer(2, 3), ReLU()).mermaid())
        flowchart TD
            subgraph m0["Sequential"]
                m1["0: Layer(2, 3), weight 3x2, bias 3"]
                m2["1: ReLU()"]
                m1 --> m2
            end
        """
        return chart(self, lambda module: module.passes_on)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={child!r}" for name, child in self.children())
        return f"{type(self).__name__}({inner})"


_KEEPABLE = Tensor, list, tuple, dict
_GIVEN = Tensor, np.ndarray, list, tuple, dict, float, int

# The methods of modules: an attribute of such a name would hide them.
_METHODS = {name for name, value in vars(Module).items() if callable(value) and name[0] != "_"}
_IGNORED = frozenset({"trainable", "requires_grad"})  # nobody would look at them
_TAKEN = frozenset(_METHODS - {"forward"} | {"biases"}) | _IGNORED


def _refuse(module: Module, name: str, value: Any) -> None:
    """Refuse an attribute whose name has a meaning already, but for names of biases."""
    if name in _IGNORED:
        raise AttributeError(HABITS["Module", name].sentence(type(module).__name__), name=None)
    if name == "biases":
        if not isinstance(value, tuple | list) or all(isinstance(part, str) for part in value):
            return
        meaning, other = "says which attributes are biases, by their names", "self.offsets"
    else:
        meaning = "is a method of modules"
        other = f"self.my_{name}"
    raise AttributeError(
        f"{type(module).__name__}.{name} {meaning}; give the attribute another name, as {other}"
    )


def _is_within_a_call() -> bool:
    """Whether the caller's caller is within the call of a module, and not making another one."""
    frame: FrameType | None = sys._getframe(3)
    while frame and frame.f_code.co_name != "__init__":
        if frame.f_code is _CALL:
            return True
        frame = frame.f_back
    return False


_CALL = Module.__call__.__code__


def _arrays(output: Any) -> Any:
    """Turn the Tensors of an output into arrays, in tuples, lists and dicts too."""
    if isinstance(output, dict):
        return {name: _arrays(part) for name, part in output.items()}
    if isinstance(output, tuple | list):
        return type(output)(map(_arrays, output))
    return output.numpy() if isinstance(output, Tensor) else np.array(output)


answer_attributes(Module)


def as_tensor(x: Any) -> Tensor:
    """Let a module that is fed an array give a Tensor, as layers do.

    >>> as_tensor([1.0, 2.0])
    Tensor([1., 2.])
    """
    if isinstance(x, dict):
        names = ", ".join(map(str, x))
        raise TypeError(
            f"it takes one array, not a dict of {names}; a dict goes to a Module whose forward "
            f"takes its names, forward(self, {names})"
        )
    return x if isinstance(x, Tensor) else Tensor(x)


def brought(x: Any, like: Tensor | None) -> Any:
    """Bring floating-point numbers, an array or a Tensor, to the dtype of a layer's weights.

    So a network of float32 computes in float32, whatever it is fed; whole numbers stay as they are.

    >>> brought(np.ones(2), Tensor(np.ones(2, np.float32))).dtype
    dtype('float32')
    """
    if like is None or x.dtype is like.dtype or x.dtype.kind != "f":
        return x
    return x.astype(like.dtype)
