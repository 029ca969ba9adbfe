"""What is cut into columns, block by block, computed with each block by itself.

The gates of a recurrent layer are columns of one product. NumPy goes through a block of columns row
by row: of four blocks of 32 x 64 numbers the calls that read them take 6 microseconds more than of
four that lie behind one another (float32). So where a value of rows ``(m, k n)`` is only read in
``k`` blocks of n columns, a loop computes it as ``(k, m, n)``, of weights that are laid out so
before the loop: the product takes the same time.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from autonn.compiler.graph import Argument, Given, Node, behind, remade, uses_of
from autonn.compiler.loops import Body, input_like
from autonn.engine import ops
from autonn.engine.op import is_elementwise_ufunc

__all__ = ["in_blocks"]

_WIDE = 256  # so long rows take no longer than what lies in one piece


def in_blocks(
    body: Body, args: tuple[Argument, ...], outer: Counter[Node]
) -> tuple[Body, tuple[Argument, ...]]:
    """Let a body compute in blocks what it reads in blocks; `outer` counts the uses around it."""
    uses = uses_of(body.outputs)
    readers: dict[Node, list[Node]] = {}
    for node in behind(body.outputs):
        for a in set(node.nodes()):
            readers.setdefault(a, []).append(node)
    inside = _Inside(body, args, uses, outer)
    made: dict[Node, Node] = {}
    for node, found in readers.items():
        places = _places(node, found)
        if len(places) > 1 and uses[node] == len(found):
            order = _in_order(places, readers)
            whole = inside.seed(node, order)
            for reader in found if whole is not None else ():
                key = order.index(places[reader])
                made[reader] = Node(
                    ops.getitem.op, (whole,), {"key": key}, reader.shape, node.dtype
                )
    if not made:
        return body, args
    return inside.body_of(remade(body.outputs, made))


def _places(node: Node, readers: list[Node]) -> dict[Node, int]:
    """Say which block each of the readers takes, all of one width and each once; none if not so."""
    if node.ndim != 2 or node.dtype not in (np.float32, np.float64):
        return {}
    places = {reader: _place(node, reader) for reader in readers}
    found = {reader: place for reader, place in places.items() if place is not None}
    count, shapes = len(set(found.values())), {reader.shape for reader in found}
    is_whole = count == len(readers) and sum(reader.size for reader in found) == node.size
    return found if is_whole and len(shapes) == 1 else {}


def _place(node: Node, reader: Node) -> int | None:
    """Say which block of columns a call takes, if that is what it does."""
    key = reader.attribute("key") if reader.calls(ops.getitem) else None
    if not isinstance(key, tuple) or len(key) != 2 or not all(isinstance(k, slice) for k in key):
        return None
    (m, wide), n = node.shape, reader.shape[1]
    start, _, step = key[1].indices(wide)
    takes_rows = key[0].indices(m) == (0, m, 1)
    fits = 0 < n <= _WIDE and start % n == 0 and step == 1
    return start // n if takes_rows and fits else None


def _in_order(places: dict[Node, int], readers: dict[Node, list[Node]]) -> list[int]:
    """Let those blocks lie beside each other that are read by the same calls: see `packs`."""

    def kind(block: Node) -> set[str]:
        calls = (n for n in readers.get(block, ()) if sum(1 for _ in n.nodes()) == 1)
        others = ((n, [a for a in n.args if a is not block]) for n in calls)
        return {f"{n.op and n.op.name} {n.attributes} {other}" for n, other in others}

    kinds = [kind(block) for block, _ in sorted(places.items(), key=lambda pair: pair[1])]
    return sorted(range(len(kinds)), key=lambda j: (kinds.index(kinds[j]), j))


class _Blocks:
    """Makes values of rows (..., m, k n) again as (..., k, m, n), where nobody else reads them."""

    def __init__(self, order: list[int], uses: Counter[Node]) -> None:
        self.order, self.uses = order, uses

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.order)

    def ordered(self, x: Node, axis: int) -> Node:
        """Bring blocks into their order."""
        if self.order == sorted(self.order):
            return x
        key = (*(slice(None),) * axis, np.array(self.order))
        return Node(ops.getitem.op, (x,), {"key": key}, x.shape, x.dtype)

    def made(self, node: Node) -> Node | None:
        """Make a value again; None if that would be no better than to look at it in blocks."""
        if node.op is None:
            return self.given(node)
        return self.called(node) if self.uses[node] == 1 else None

    def called(self, node: Node) -> Node | None:
        """Make a call again."""
        args: list[Any] = []
        assert node.op is not None
        if is_elementwise_ufunc(node.op.forward):
            args = [self.operand(a, node) for a in node.args]
        elif node.calls(ops.matmul):
            args = self.factors(*node.args)
        if not args or any(a is None for a in args):
            return None
        *lead, m, wide = node.shape
        shape = (*lead, self.count, m, wide // self.count)
        return node.copy_with(tuple(args), node.attributes, shape)

    def given(self, node: Node) -> Node | None:
        """Take what is given in blocks."""
        return None

    def operand(self, a: Argument, node: Node) -> Any:
        """Make an operand of a call element by element again."""
        if not isinstance(a, Node) or a.shape == ():
            return a
        if a.shape == node.shape:
            return self.made(a)
        return self.row(a) if a.shape == node.shape[-1:] else None

    def factors(self, x: Any, y: Any) -> list[Any]:
        """Make the factors of a product again: one matrix, and of the other a block of columns."""
        if not (isinstance(x, Node) and isinstance(y, Node) and x.ndim > 1 and y.ndim == 2):
            return []
        if x.ndim > 2:
            *lead, m, n = x.shape
            x = reshaped(x, (*lead, 1, m, n))
        return [x, self.weights(y)]

    def row(self, x: Node) -> Node | None:
        """Cut what is added to each row into blocks."""
        return self.ordered(reshaped(x, (self.count, 1, x.size // self.count)), 0)

    def weights(self, y: Node) -> Node | None:
        """Cut a matrix into blocks of columns."""
        m, n = y.shape[0], y.shape[1] // self.count
        if y.calls(ops.transpose):
            return turned(self.ordered(reshaped(y.args[0], (self.count, n, m)), 0), (0, 2, 1))
        return self.view(y)

    def view(self, x: Node) -> Node:
        """Look at rows in blocks."""
        *lead, m, wide = x.shape
        k = len(lead)
        cut = reshaped(x, (*lead, m, self.count, wide // self.count))
        return self.ordered(turned(cut, (*range(k), k + 1, k, k + 2)), k)


class _Inside(_Blocks):
    """The same in the body of a loop: what it is given is made before the loop."""

    def __init__(
        self, body: Body, args: tuple[Argument, ...], uses: Counter[Node], outer: Counter[Node]
    ) -> None:
        super().__init__([], uses)
        self.body, self.outer = body, outer
        self.args = dict(zip(body.inputs, args, strict=True))
        self.slices: dict[Node, Argument] = {}
        self.around: dict[Node, Argument] = {}

    def seed(self, node: Node, order: list[int]) -> Node | None:
        """Make what is read in so many blocks again, in this order."""
        self.order = order
        kept = dict(self.slices), dict(self.around)
        found = self.called(node) if node.op is not None else self.of_slices(node)
        if found is None:
            self.slices, self.around = kept
        return found

    def given(self, node: Node) -> Node | None:
        """Take what is sliced in blocks, computed so if possible."""
        found = self.of_slices(node)
        if found is None and self.is_slice(node):
            found = self.taken(self.view(self.args[node]), node, self.slices)
        return found

    def is_slice(self, node: Node) -> bool:
        """Whether the body is given a slice of it at each step."""
        n = self.body.carries
        slices = self.body.inputs[n : n + self.body.slices]
        return any(node is given for given in slices) and isinstance(self.args[node], Node)

    def of_slices(self, node: Node) -> Node | None:
        """Take what is sliced, if it is computed in blocks; None if not."""
        if not self.is_slice(node):
            return None
        found = _Blocks(self.order, self.outer).made(self.args[node])
        return None if found is None else self.taken(found, node, self.slices)

    def row(self, x: Node) -> Node | None:
        whole = self.same(x)
        return None if whole is None else self.taken(super().row(whole), x, self.around)

    def weights(self, y: Node) -> Node | None:
        whole = self.same(y)
        return None if whole is None else self.taken(super().weights(whole), y, self.around)

    def same(self, node: Node) -> Node | None:
        """Find what is the same in each step; None if it is not."""
        k = next((k for k, given in enumerate(self.body.inputs) if given is node), None)
        if k is None:
            live = node.given in (Given.PARAMETER, Given.ARRAY, Given.CONSTANT)
            return node if live else None
        outer = self.args[node]
        around = k >= self.body.carries + self.body.slices
        return outer if around and isinstance(outer, Node) else None

    def taken(self, outer: Node | None, of: Node, group: dict[Node, Argument]) -> Node | None:
        """Take one more value from around the loop."""
        if outer is None:
            return None
        outer.label = outer.label or of.label
        made = input_like(outer)
        if group is self.slices:
            made.shape = outer.shape[1:]
        group[made] = outer
        return made

    def body_of(self, outputs: list[Node]) -> tuple[Body, tuple[Argument, ...]]:
        """Return the body of these outputs, and what it takes."""
        body, pairs = self.body, [*self.args.items()]
        first = body.carries + body.slices
        pairs = [*pairs[:first], *self.slices.items(), *pairs[first:], *self.around.items()]
        inputs, args = [given for given, _ in pairs], tuple(a for _, a in pairs)
        made = replace(
            body, inputs=inputs, outputs=list(outputs), slices=body.slices + len(self.slices)
        )  # fmt: skip
        return made, args


def reshaped(x: Node, shape: tuple[int, ...]) -> Node:
    """Make a value in another shape."""
    return Node(ops.reshape.op, (x,), {"shape": shape}, shape, x.dtype)


def turned(x: Node, axes: tuple[int, ...]) -> Node:
    """Make a value with its axes in another order."""
    return Node(ops.transpose.op, (x,), {"axes": axes}, tuple(x.shape[a] for a in axes), x.dtype)
