"""Sharing rows out: where a cost is a sum over rows, its parts can be computed side by side.

NumPy lets go of Python's lock inside its loops and products, so that threads compute at the same
time. A graph is cut in three: what does not depend on the rows; what each slice of the rows adds
to the sums over them; and what is made of the sums, gradients among them. Where rows need a sum
over all rows, as in batch normalisation, the slices wait for each other (`exchange.py`), and what
is made of the sum on the way is made by each. Only a graph where every value is of one of these
kinds is cut: what an op does to rows, it says itself (`Op.rows`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from autonn.compiler.exchange import added_nodes
from autonn.compiler.graph import Argument, Given, Graph, Node, behind, is_even
from autonn.engine import ops
from autonn.engine.op import SUM, mixes_rows

__all__ = [
    "LEAST_ROWS",
    "SLICE",
    "CannotBeCutError",
    "Kind",
    "Parts",
    "cut",
    "kinds",
    "partition",
    "slices_of",
]

# Below so many rows the threads cost more than they save, as each call has to wait for Python's
# lock; so too where slices are short: of 5,000 rows, two slices take 0.9 x the time of the whole,
# four 1.05 x, eight 1.4 x (the digit network on 2 cores, float64).
LEAST_ROWS, SLICE = 4096, 2500

# Of 2.6 million rows on slices grow longer in place of more: the sums of each are kept, and sent
# where others computed them, 82 kB for the digit network.
MOST_SLICES = 1024

# Rows that are pictures are long, and most of what is done with them is not done by BLAS: few are
# enough. A step of LeNet-5 takes 0.3 to 0.8 x the time of the whole from 16 pictures of 28 x 28 on,
# 1.2 x at 8 (2 busy cores); 32 of them make 1.2 million numbers in values of more than two axes.
LEAST_NUMBERS = 2**20

# So many, in all that has rows, for each time that the slices wait for each other, which takes some
# 0.1 ms: of a ResNet, in 32 pictures of 16 x 20 x 20, there are 6.4 MB in float64, where two
# threads take 39 ms in place of 51 (2 quiet cores), and 3.2 in float32: 33 to 47 in place of 28.
BYTES_A_ROUND = 2**22

# What a node is: replicated, where it depends on no row; a partial sum over rows, or made of such;
# or the number of the row axis, along which its rows lie, each as one or as several: of 32 texts of
# 32 characters, a matrix has 1,024 rows.
REPLICATED = "replicated"
Kind = str | int


@dataclass
class Parts:
    """A graph cut along its rows.

    Attributes
    ----------
    early
        The calls that are made once, before the rows are dealt out.
    slices
        The rows of each part.
    parts
        By length of slice: the inputs of a part, those it stands for, and its partial sums.
    rounds
        What stands for the sums that slices wait for, in the order in which they are asked for.
    totals, joined, finals
        What stands for the sums that are left at the end, for the results with rows, whose slices
        are joined, and the outputs made of all of these.
    rows
        The given and early nodes whose rows are dealt out.
    """

    graph: Graph
    early: list[Node]
    slices: list[tuple[int, int]]
    parts: dict[int, tuple[list[Node], list[Node], list[Node]]]
    rounds: list[list[Node]]
    totals: list[Node]
    joined: list[Node]
    finals: list[Argument]
    rows: set[Node]

    def ends(self) -> list[Node]:
        """List what stands for sums, those first that slices wait for, and for joined rows."""
        return [*itertools.chain(*self.rounds), *self.totals, *self.joined]


class CannotBeCutError(Exception):
    """A value, `node`, depends on the rows in another way than those above."""

    def __init__(self, node: Node | None = None) -> None:
        self.node = node


def partition(graph: Graph) -> Parts | None:
    """Cut a graph along the rows of its longest inputs; None where that cannot be done."""
    m = max((node.shape[0] for node in graph.inputs if node.shape), default=0)
    rows = {node for node in graph.inputs if node.shape and node.shape[0] == m}
    if not _are_many(graph, m):
        return None
    try:
        return cut(graph, rows, m)
    except CannotBeCutError:
        return None


def cut(graph: Graph, rows: set[Node], m: int, apart: bool = False) -> Parts:
    """Cut a graph along the m rows of some inputs; `CannotBeCutError` where it can't be.

    Where each slice is computed `apart`, by who has no other rows, nothing is computed for all rows
    at once before, no slice waits for a sum over all, and no rows are joined.
    """
    found = kinds(graph.nodes(), rows, m)
    outputs = dict.fromkeys(a for a in graph.outputs if isinstance(a, Node))
    joined = [node for node in outputs if isinstance(found[node], int)]
    if SUM not in found.values():
        raise CannotBeCutError
    for node in joined:
        if apart or not _is_picture(node, found):
            raise CannotBeCutError(node)
    return _cut_by_kinds(graph, found, m, joined, apart)


def _is_picture(node: Node, found: dict[Node, Kind]) -> bool:
    """Whether slices make parts of it that are worth to be joined, which copies it once more."""
    return found[node] == 0 and node.op is not None and node.ndim > 2


def _cut_by_kinds(
    graph: Graph, found: dict[Node, Kind], m: int, joined: list[Node], apart: bool
) -> Parts:
    """Cut a graph whose values are all of one kind, unless slices would have to wait too often."""
    sums = [node for node in graph.nodes() if _is_partial(node, found)]
    waits = _waits(sums, joined)
    if waits and (apart or _bytes_of_rows(found) < BYTES_A_ROUND * len(waits)):
        raise CannotBeCutError(next(node for node in graph.nodes() if _waits_itself(node, found)))
    early = _before([*sums, *joined], found, apart)
    for a in early:  # what is made before is dealt out as the inputs are
        if isinstance(found[a], int) and (found[a], a.shape[0]) != (0, m):
            raise CannotBeCutError(a)
    for a in behind(early):
        if found[a] == SUM:
            raise CannotBeCutError(a)
    return _cut(graph, found, m, early, sums, waits, joined)


def _waits_itself(node: Node, found: dict[Node, Kind]) -> bool:
    """Whether it is made of rows and of a sum over all rows."""
    own = [found[a] for a in node.nodes()]
    return SUM in own and any(isinstance(kind, int) for kind in own)


def _are_many(graph: Graph, m: int) -> bool:
    """Whether m rows are enough for threads, in number or since they are pictures."""
    pictures = (node.size for node in graph.calls() if node.ndim > 2 and node.shape[0] == m)
    return m >= LEAST_ROWS or (m > 1 and sum(pictures) >= LEAST_NUMBERS)


def _bytes_of_rows(found: dict[Node, Kind]) -> int:
    """Count the bytes of values that have rows."""
    rows = (node for node, kind in found.items() if isinstance(kind, int))
    return sum(node.size * node.dtype.itemsize for node in rows)


def kinds(nodes: Sequence[Node], rows: set[Node], m: int) -> dict[Node, Kind]:
    """Tell what each node is; `CannotBeCutError` where one is something else."""
    found: dict[Node, Kind] = {}
    for node in nodes:
        found[node] = (
            _of_given(node, rows, m) if node.given is not None else _of_call(node, found, m)
        )
    return found


def _of_given(node: Node, rows: set[Node], m: int) -> Kind:
    even = node.is_constant and node.shape[:1] == (m,) and is_even(node.value)
    return 0 if node in rows or even else REPLICATED


def _of_call(node: Node, found: dict[Node, Kind], m: int) -> Kind:
    """Tell what a call is of operands that are known."""
    own = [found[a] for a in node.nodes()]
    if node.op is not None and node.op.draws and node.shape[:1] == (m,):
        return 0
    if all(kind == REPLICATED for kind in own):
        return 0 if _spreads_over_rows(node, m) else REPLICATED
    return _kind(node, found, m) if any(isinstance(kind, int) for kind in own) else SUM


def _kind(node: Node, found: dict[Node, Kind], m: int) -> Kind:
    """Ask the op what a call is of which at least one operand has rows."""
    axes: list[int | None] = []
    for a in node.args:
        kind = found[a] if isinstance(a, Node) else REPLICATED
        axes.append(kind if isinstance(kind, int) else None)
    rule = (node.op and node.op.rows) or mixes_rows
    made = rule(node, axes)
    if made is None or (isinstance(made, int) and node.shape[made] % m):
        raise CannotBeCutError(node)
    return made


def _spreads_over_rows(node: Node, m: int) -> bool:
    """Whether it repeats the same row m times."""
    if not node.calls(ops.broadcast_to) or node.shape[:1] != (m,):
        return False
    x = node.args[0]
    return bool(x.ndim < node.ndim or x.shape[0] == 1 < m)


# ---- cutting


def _is_partial(node: Node, found: dict[Node, Kind]) -> bool:
    """Whether it is a sum over rows itself, so that each slice has a part of it."""
    return found[node] == SUM and any(isinstance(found[a], int) for a in node.nodes())


def _waits(sums: Sequence[Node], joined: Sequence[Node]) -> list[list[Node]]:
    """List the sums that slices need on the way, those together that can be asked for together."""
    partial, needed = set(sums), behind([*sums, *joined])
    asked = {a for node in needed for a in node.nodes() if a in partial}
    after: dict[Node, int] = {}  # how often slices have waited before it can be made
    for node in needed:
        after[node] = max((after[a] + (a in asked) for a in node.nodes()), default=0)
    rounds: dict[int, list[Node]] = {}
    for node in sums:
        if node in asked:
            rounds.setdefault(after[node], []).append(node)
    return [rounds[k] for k in sorted(rounds)]


def _cut(
    graph: Graph, found: dict[Node, Kind], m: int, early: list[Node], sums: list[Node],
    waits: list[list[Node]], joined: list[Node],
) -> Parts:  # fmt: skip
    entries = [*graph.inputs, *early]
    slices = slices_of(m)
    parts = {}
    asked = {node for own in waits for node in own}
    left = [node for node in sums if node not in asked]
    for length in dict.fromkeys(stop - start for start, stop in slices):
        parts[length] = _sliced([*left, *joined], waits, entries, found, length, m)
    known = {node: _given(node, node.shape, Given.DONATED) for node in (*sums, *joined)}
    *rounds, totals, whole = ([known[node] for node in own] for own in (*waits, left, joined))
    finals = [_copied(output, known) for output in graph.outputs]
    rows = {node for node in found if found[node] == 0}
    return Parts(graph, early, slices, parts, rounds, totals, whole, finals, rows)


def _before(sums: Sequence[Node], found: dict[Node, Kind], apart: bool) -> list[Node]:
    """List the calls whose results the slices need, and that are made once for all of them."""
    early: set[Node] = set()
    seen: set[Node] = set()
    stack = list(sums)
    while stack:
        for a in stack.pop().nodes():
            if a in seen or a.op is None:
                continue
            seen.add(a)
            if apart and a.op.draws:
                raise CannotBeCutError(a)
            whole = not apart and (a.op.draws or a.op.undivided)
            if whole or (found[a] == REPLICATED and not _is_cheap(a)):
                early.add(a)
            else:
                stack.append(a)
    return sorted(early, key=lambda node: node.serial)


def _is_cheap(node: Node) -> bool:
    """Whether it is a view of something given, which costs next to nothing to make again."""
    return node.calls(ops.transpose, ops.reshape) and all(a.given for a in node.nodes())


def _given(node: Node, shape: tuple[int, ...], kind: Given = Given.INPUT) -> Node:
    """Make the input that stands for a node in another function."""
    made = Node(None, (), {}, shape, node.dtype)
    made.given, made.label = kind, node.label
    return made


def _sliced(
    left: Sequence[Node], waits: Sequence[Sequence[Node]], entries: Sequence[Node],
    found: dict[Node, Kind], length: int, m: int,
) -> tuple[list[Node], list[Node], list[Node]]:  # fmt: skip
    """Make the nodes of a slice: those of the whole with so many rows.

    Returns the inputs of the slice, what each stands for, and what it gives in the end: its sums,
    without those that it waits for, which it gives away on the way, and results with rows.
    """
    made: dict[Node, Node] = {}
    for node in entries:
        made[node] = _given(node, _shape(node, found, length, m))
    totals: dict[Node, Node] = {}  # of what it waits for, the sums over all slices
    for turn, own in enumerate(waits):
        _make(own, made, totals, found, length, m)
        given = added_nodes([made[node] for node in own], turn)
        totals |= dict(zip(own, given, strict=True))
    _make(left, made, totals, found, length, m)
    results = [made[node] for node in left]
    needed = set(behind([*results, *totals.values()]))
    used = [node for node in entries if made[node] in needed]
    return [made[node] for node in used], used, results


def _make(
    sums: Sequence[Node], made: dict[Node, Node], totals: dict[Node, Node],
    found: dict[Node, Kind], length: int, m: int,
) -> None:  # fmt: skip
    """Make what sums need, with so many rows."""
    for node in behind(sums, made):
        if node.is_constant and found[node] == 0:
            made[node] = Node.constant(node.value[:length])
        elif node.given is not None:
            made[node] = node
        else:
            known = ((totals.get(a) or made[a]) if isinstance(a, Node) else a for a in node.args)
            shape = _shape(node, found, length, m)
            named = {"shape": shape} if "shape" in node.attributes else {}
            made[node] = node.copy_with(tuple(known), node.attributes | named, shape)


def _shape(node: Node, found: dict[Node, Kind], length: int, m: int) -> tuple[int, ...]:
    axis = found.get(node)
    if not isinstance(axis, int):
        return node.shape
    return (*node.shape[:axis], node.shape[axis] // m * length, *node.shape[axis + 1 :])


def _copied(output: Argument, known: dict[Node, Node]) -> Argument:
    """Copy what lies between an output and the sums; what has no sum behind it stays itself."""
    if not isinstance(output, Node):
        return output
    for node in behind([output], known):
        known[node] = node
        if any(known.get(a, a) is not a for a in node.nodes()):
            args = tuple(known.get(a, a) if isinstance(a, Node) else a for a in node.args)
            known[node] = node.copy_with(args, node.attributes, node.shape)
    return known[output]


def slices_of(m: int) -> list[tuple[int, int]]:
    """Cut m rows into slices of nearly `SLICE` rows, `MOST_SLICES` at most: by m alone.

    >>> slices_of(6000)
    [(0, 3000), (3000, 6000)]
    """
    count = min(max(2, round(m / SLICE)), MOST_SLICES)
    edges = [round(m * k / count) for k in range(count + 1)]
    return list(itertools.pairwise(edges))
