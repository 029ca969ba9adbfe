"""The engine: Tensor, its ops and the backward pass."""
