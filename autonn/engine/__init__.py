"""The engine: Tensor, its ops and the backward pass.

Read in this order: `flowchart`, `lines`, `modes`, `op`, `ownership`, `refusals`, `tensor`,
`display`, `apply`, `lineage`, `ops`, `backward`, `trees`, `row_gradients`, `transforms`, `higher`,
`recompute`, `looping`, `scanning`, `batching`, `gradcheck`.
"""
