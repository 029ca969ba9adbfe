"""What an explanation is made of: steps, each a formula with its numbers, in sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from autonn.engine.tensor import Array

__all__ = ["Section", "Step"]


@dataclass
class Step:
    """One value: what it is called, by which formula it is computed, and what comes out.

    Attributes
    ----------
    name
        As a formula calls it: "a2", "delta3", "dW1".
    formula
        In Python, of the names of other steps and of what was given.
    value
        The engine's own numbers.
    says
        What it is, in words or in mathematics.
    inner
        Whether it is a step on the way, which is folded where there are many.
    is_gradient
        Whether it is the gradient of J for what its name says after the d.
    """

    name: str
    formula: str
    value: Array
    says: str = ""
    inner: bool = False
    is_gradient: bool = False

    @property
    def shown(self) -> str:
        """The name as it is read: of a gradient, dW1, "dJ/dW1"."""
        return f"dJ/{self.name}" if self.is_gradient else self.name


@dataclass
class Section:
    """The steps of one layer, forward or back."""

    title: str
    back: bool = False
    steps: list[Step] = field(default_factory=list)
