"""A module is a function with parameters; what it holds is found by looking at its attributes.

Nothing is registered: assign Tensors that require gradients, other modules, or lists and dicts of
them to attributes, write `forward`, and parameters, names and the summary follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from autonn.engine.tensor import Array, Operand, Tensor, no_grad


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

    # The attributes that play the role of a bias: neither L2 nor weight decay touches them.
    biases: tuple[str, ...] = ("bias",)

    def forward(self, x: Any) -> Tensor:
        """Compute the output; subclasses say how."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(x)")

    def __call__(self, x: Any) -> Tensor:
        """Compute the output, as ``model(x)``."""
        return self.forward(x)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules it holds, each with its name."""
        return ((name, part) for name, part in _parts(vars(self)) if isinstance(part, Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield itself and all modules below, outer before inner, with dotted names."""
        yield prefix, self
        for name, child in self.children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def own_parameters(self) -> dict[str, Tensor]:
        """Return the parameters that it holds itself, not those of modules below."""
        return {
            name: part
            for name, part in _parts(vars(self))
            if isinstance(part, Tensor) and part.requires_grad
        }

    def named_parameters(self) -> dict[str, Tensor]:
        """Return all parameters by dotted name; one that is shared stands under its first name.

        >>> from autonn import Layer, Sequential
        >>> list(Sequential(Layer(2, 3), Layer(3, 1)).named_parameters())
        ['0.weight', '0.bias', '1.weight', '1.bias']
        """
        named: dict[str, Tensor] = {}
        seen = set()
        for prefix, module in self.named_modules():
            for name, parameter in module.own_parameters().items():
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    named[f"{prefix}.{name}" if prefix else name] = parameter
        return named

    def parameters(self) -> list[Tensor]:
        """Return all parameters, each once."""
        return list(self.named_parameters().values())

    def weights(self) -> list[Tensor]:
        """Return the parameters that penalties apply to: all but the biases."""
        kept = {
            id(parameter)
            for _, module in self.named_modules()
            for name, parameter in module.own_parameters().items()
            if name not in module.biases
        }
        return [parameter for parameter in self.parameters() if id(parameter) in kept]

    def zero_grad(self) -> None:
        """Forget the gradients, which would otherwise add up."""
        for parameter in self.parameters():
            parameter.grad = None

    def predict(self, x: Any) -> Array:
        """Return the output as an array of the caller's own; no graph is recorded.

        >>> from autonn import Layer
        >>> Layer(2, 1, weight=[[1.0, 1.0]]).predict([[1.0, 1.0]] * 3)
        array([[2.],
               [2.],
               [2.]])
        """
        with no_grad():
            return self(x).numpy()

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
            if own or not any(True for _ in module.children()):
                label = f"{prefix}  {module!r}" if prefix else repr(module)
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
    """

    def __init__(self, *modules: Module) -> None:
        for module in modules:
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential takes modules, not {module!r}; wrap a function in a Module"
                )
        self.modules = list(modules)

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield the modules under their positions, "0", "1" and so on."""
        return ((str(k), module) for k, module in enumerate(self.modules))

    def forward(self, x: Operand) -> Tensor:
        """Pass x through the modules, in order."""
        for module in self.modules:
            x = module(x)
        return x if isinstance(x, Tensor) else Tensor(x)

    def __len__(self) -> int:
        return len(self.modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.modules)

    def __getitem__(self, k: int) -> Any:
        return self.modules[k]

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.modules))})"


def _parts(container: Any) -> Iterator[tuple[str, Any]]:
    """Yield the Tensors and modules in attributes, lists, tuples and dicts, with dotted names."""
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for name, value in items:
        if isinstance(value, Tensor | Module):
            yield str(name), value
        elif isinstance(value, dict | list | tuple):
            for inner, part in _parts(value):
                yield f"{name}.{inner}", part


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = (
        f"{a:<{widths[0]}} {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )
    return "\n".join(line.rstrip() for line in lines)
