"""Trees: lists, tuples and dicts of Tensors, arrays and numbers, taken apart and put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Tree", "tree_flatten", "tree_form", "tree_leaves", "tree_unflatten"]

Tree = Any  # a Tensor, an array or a number, or a list, tuple or dict of trees


def tree_leaves(tree: Tree) -> list[Any]:
    """List what hangs on a tree, in order; a dict's by its order of insertion.

    >>> tree_leaves({"b": [1, (2, 3)], "a": 4})
    [1, 2, 3, 4]
    """
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in tree_leaves(branch)]
    if isinstance(tree, list | tuple):
        return [leaf for branch in tree for leaf in tree_leaves(branch)]
    return [tree]


def tree_form(tree: Tree) -> Tree:
    """Return the tree with None in the place of each leaf: its form, which keeps none of them.

    >>> tree_form({"b": [1, (2, 3)], "a": 4})
    {'b': [None, (None, None)], 'a': None}
    """
    return tree_unflatten(tree, (None for _ in tree_leaves(tree)))


def tree_flatten(tree: Tree) -> tuple[list[Any], Tree]:
    """Return the leaves of a tree and its form."""
    return tree_leaves(tree), tree_form(tree)


def tree_unflatten(form: Tree, leaves: Iterable[Any]) -> Tree:
    """Hang leaves on a tree of that form.

    >>> tree_unflatten({"b": [None, (None,)]}, [1, 2])
    {'b': [1, (2,)]}
    """
    return _hung(form, iter(leaves))


def _hung(form: Tree, leaves: Iterator[Any]) -> Tree:
    """Hang leaves on a form, one after the other."""
    if isinstance(form, dict):
        return type(form)({key: _hung(branch, leaves) for key, branch in form.items()})
    if isinstance(form, list | tuple):
        branches = [_hung(branch, leaves) for branch in form]
        return type(form)(*branches) if hasattr(form, "_fields") else type(form)(branches)
    return next(leaves)
