"""A module is a function with parameters; what it holds is found by looking at its attributes.

Nothing is registered: assign Tensors that require gradients, other modules, or lists and dicts of
them to attributes, write `forward`, and parameters, names and the summary follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from autonn.engine.modes import changes, is_tracing, no_grad
from autonn.engine.tensor import Array, Operand, Tensor

Role = tuple[tuple[str, ...], Tensor, bool]  # the path to a parameter, and whether it is a bias


class Module:
    """Base of everything that has parameters: subclasses write ``forward(x)``.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Tensor(2.0, requires_grad=True)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(3.0)
    Tensor(6., requires_grad=True)
    >>> list(Scale().named_parameters())
    ['factor']
    """

    __slots__ = ("__dict__", "__weakref__", "_walked")  # _walked is no attribute to look through

    # The attributes that play the role of a bias: neither L2 nor weight decay touches them.
    biases: tuple[str, ...] = ("bias",)

    # How often an attribute was set: what was compiled with the module is then derived anew.
    edits: int = 0

    # Whether it is being trained: Dropout is silent otherwise. See `train` and `eval`.
    training: bool = True

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "training":  # a mode that comes back finds what was compiled in it
            super().__setattr__("edits", self.edits + 1)
        changes.count += 1  # last: whoever reads the new count sees the new attribute

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        super().__setattr__("edits", self.edits + 1)
        changes.count += 1

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

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

    def __call__(self, x: Any) -> Tensor:
        """Compute the output, as ``model(x)``."""
        trace = is_tracing()
        if trace is not None:
            trace.modules.append(self)
        return self.forward(x)

    def _attributes(self) -> Iterable[tuple[str, Any]]:
        """Give what is looked through for parameters and modules, each with its name."""
        return vars(self).items()

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules it holds, each with its name."""
        return ((name, part) for name, part in _parts(self._attributes()) if not _is_tensor(part))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield itself and all modules below, outer before inner, with dotted names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def own_parameters(self) -> dict[str, Tensor]:
        """Return the parameters that it holds itself, not those of modules below."""
        parts = _parts(self._attributes())
        return {name: part for name, part in parts if _is_tensor(part) and part.requires_grad}

    def named_parameters(self) -> dict[str, Tensor]:
        """Return all parameters by dotted name; one that is shared stands under its first name.

        >>> from autonn import Layer, Sequential
        >>> list(Sequential(Layer(2, 3), Layer(3, 1)).named_parameters())
        ['0.weight', '0.bias', '1.weight', '1.bias']
        """
        return {".".join(path): parameter for path, parameter, _ in self._walk().roles}

    def parameters(self) -> list[Tensor]:
        """Return all parameters, each once."""
        return list(self._walk().parameters)

    def weights(self) -> list[Tensor]:
        """Return the parameters that penalties apply to: all but the biases."""
        return list(self._walk().weights)

    def _walk(self) -> _Walk:
        """Find all parameters and their roles; training asks several times a step."""
        walk: _Walk | None = getattr(self, "_walked", None)
        if walk is None or not walk.holds():
            walk = _Walk(self)
            object.__setattr__(self, "_walked", walk)
        return walk

    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters():
            parameter.grad = None

    def predict(self, x: Any) -> Array:
        """Return the output in evaluation mode as an array of the caller's own, without a graph.

        >>> from autonn import Layer
        >>> Layer(2, 1, weight=[[1.0, 1.0]]).predict([[1.0, 1.0]] * 3)
        array([[2.],
               [2.],
               [2.]])
        """
        with no_grad(), self.evaluating():
            return self(x).numpy()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Set it to evaluation for a while; each module goes back to the mode it was in."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            yield
        finally:
            for module, mode in modes:
                module.training = mode

    def summary(self) -> str:
        """Return a table of the modules and their parameters, with shapes and counts.

        >>> from autonn import Layer, Sequential, Sigmoid
        >>> print(Sequential(Layer(400, 25), Sigmoid()).summary())
        module            parameter  shape       count
        0  Layer(400, 25) weight     (25, 400)  10,000
                          bias       (25,)          25
        1  Sigmoid()
        total                                   10,025
        """
        rows = [("module", "parameter", "shape", "count")]
        for prefix, module in self.named_modules():
            own = module.own_parameters()
            inner = list(module.children())
            if own or not inner:
                shown = type(module).__name__ if inner else repr(module)
                label = f"{prefix}  {shown}" if prefix else shown
                entries = [(n, str(p.shape), f"{p.size:,}") for n, p in own.items()]
                rows += [(label, *entries[0])] if entries else [(label, "", "", "")]
                rows += [("", *entry) for entry in entries[1:]]
        rows.append(("total", "", "", f"{sum(p.size for p in self.parameters()):,}"))
        return _table(rows)

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={child!r}" for name, child in self.children())
        return f"{type(self).__name__}({inner})"


class Sequential(Module):
    """Modules in a row: ``Sequential(f, g)(x) = g(f(x))``.

    Examples
    --------
    >>> from autonn import Layer, Sigmoid
    >>> model = Sequential(Layer(400, 25), Sigmoid(), Layer(25, 10), Sigmoid())
    >>> model
    Sequential(Layer(400, 25), Sigmoid(), Layer(25, 10), Sigmoid())
    >>> model[0].weight.shape
    (25, 400)
    >>> model[:2]
    Sequential(Layer(400, 25), Sigmoid())
    """

    def __init__(self, *modules: Module) -> None:
        for module in modules:
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential takes modules, not {module!r}; wrap a function in a Module"
                )
        self.modules = modules

    def _attributes(self) -> Iterable[tuple[str, Any]]:
        """Name the modules by their positions, "0", "1" and so on."""
        return zip(map(str, range(len(self.modules))), self.modules, strict=True)

    def forward(self, x: Operand) -> Tensor:
        """Pass x through the modules, in order."""
        for module in self.modules:
            x = module(x)
        return x if isinstance(x, Tensor) else Tensor(x)

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.modules)

    def __getitem__(self, k: int | slice) -> Any:
        """Return a module; or those of a slice, as a Sequential that shares their parameters."""
        chosen = self.modules[k]
        return Sequential(*chosen) if isinstance(chosen, tuple) else chosen

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.modules))})"


def _is_tensor(part: Any) -> bool:
    return isinstance(part, Tensor)


def _parts(items: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    """List the Tensors and modules among items, also in lists, tuples and dicts, with their names.

    >>> [name for name, part in _parts({"a": [Tensor(1.0), {"b": Tensor(2.0)}], "c": 3}.items())]
    ['a.0', 'a.1.b']
    """
    parts = []
    for name, value in items:
        if isinstance(value, _PART):
            parts.append((name, value))
        elif isinstance(value, _CONTAINER):
            parts += _parts(_inside(name, value))
    return parts


# Tuples, because `Tensor | Module` would be built anew at each question.
_PART = Tensor, Module
_CONTAINER = dict, list, tuple


def _inside(name: Any, container: Any) -> list[tuple[str, Any]]:
    inside = container.items() if isinstance(container, dict) else enumerate(container)
    return [(f"{name}.{inner}", value) for inner, value in inside]


class _Walk:
    """What was found on one way through a module, and whether another would find the same.

    What is set on modules is counted; what a list or dict holds may change unseen.
    """

    def __init__(self, module: Module) -> None:
        self.count = changes.count
        self.roles: list[Role] = []
        self.seen: set[int] = set()
        self.fixed = True
        self.collect(module._attributes(), (), module.biases)
        self.roles = [role for role in self.roles if role[1].requires_grad]
        self.parameters = [parameter for _, parameter, _ in self.roles]
        self.weights = [parameter for _, parameter, is_bias in self.roles if not is_bias]

    def holds(self) -> bool:
        """Whether nothing was set since, on any module."""
        return self.fixed and self.count == changes.count

    def collect(
        self, items: Iterable[tuple[Any, Any]], path: tuple[str, ...], biases: tuple[str, ...]
    ) -> None:
        """Add the parameters among items, and in the modules and containers among them."""
        for name, value in items:
            kind = type(value)
            if kind is Tensor:
                if id(value) not in self.seen:
                    self.seen.add(id(value))
                    self.roles.append(((*path, name), value, name in biases))
            elif isinstance(value, Module):
                self.collect(value._attributes(), (*path, name), value.biases)
            elif isinstance(value, _CONTAINER):
                self.fixed &= isinstance(value, tuple)
                self.collect(_inside(name, value), path, biases)


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = (
        f"{a:<{widths[0]}} {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )
    return "\n".join(line.rstrip() for line in lines)
