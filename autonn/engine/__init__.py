"""The engine: Tensor, its ops and the backward pass.

Read in this order: `tensor`, `ops`, `autodiff`, `graph`, `helpers`, `program`, `rows`, `compile`,
`gradcheck`.
"""
