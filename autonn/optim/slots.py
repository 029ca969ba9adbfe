"""What an optimiser keeps of one parameter from step to step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autonn.engine.tensor import Array, Tensor, values_of

__all__ = ["SWEEP", "Slot"]

# The moments of a dead unit shrink at each step and end as subnormal numbers, with which processors
# take three times as long. Each so many steps, what may become one before the next time is made 0:
# 0.9^128 is 1.4e-6. Beside the usual eps, such small moments are lost in rounding.
SWEEP = 128
MARGIN = 1e6


@dataclass
class Slot:
    """What is kept of one parameter: its state, and a buffer to compute in."""

    parameter: Tensor
    state: dict[str, Any]  # arrays and numbers by name
    decays: bool = True
    scratch: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.scratch = np.empty_like(values_of(self.parameter))

    def __reduce__(self) -> tuple[Any, ...]:  # what is in the buffer means nothing
        return Slot, (self.parameter, self.state, self.decays)

    def follow(self) -> None:
        """Keep the moments in the parameter's dtype, which `Module.astype` may have changed."""
        dtype = self.parameter.dtype
        if self.scratch.dtype != dtype:
            self.scratch = np.empty_like(self.scratch, dtype)
            for name, value in self.state.items():
                self.state[name] = value.astype(dtype) if isinstance(value, np.ndarray) else value

    def sweep(self) -> None:
        """Make 0 of the moments that will soon be subnormal numbers."""
        for value in self.state.values():
            if isinstance(value, np.ndarray):
                sizes = np.abs(value, out=self.scratch)
                value[sizes < MARGIN * np.finfo(value.dtype).tiny] = 0
