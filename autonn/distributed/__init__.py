"""Rows that others hold: a cost that is a sum over rows, computed where the rows are.

`fit(model, X, y, workers=client)` cuts the rows into slices, hands each to somebody who holds it,
and asks at each step for what the slices add to the sums. All else, optimiser, callbacks, history
and checkpoints, stays with the caller.

Who holds rows is a `Held`, in whatever process or machine; `Holders` is how all are asked the same,
and `Workers` how rows come to them. There are `Threads` of the caller's own process and the workers
of Dask, an extra that is imported nowhere but where it is used: ``pip install 'autonn[dask]'``.

Read in this order: `rows`, `holders`, `sums`, `actors`.
"""

from autonn.distributed.actors import as_workers
from autonn.distributed.holders import Held, Holders, Threads, Workers
from autonn.distributed.rows import Rows, is_of_dask
from autonn.distributed.sums import NoSumError, Sums

__all__ = [
    "Held",
    "Holders",
    "NoSumError",
    "Rows",
    "Sums",
    "Threads",
    "Workers",
    "as_workers",
    "is_of_dask",
]
