"""The engine: Tensor, its ops and the backward pass.

Read in this order: `modes`, `op`, `ownership`, `refusals`, `tensor`, `apply`, `lineage`, `ops`,
`backward`, `trees`, `transforms`, `higher`, `recompute`, `looping`, `scanning`, `batching`,
`gradcheck`.
"""
