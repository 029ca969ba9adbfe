"""A name that is written as code leads to its entry in the reference, on pages and in docstrings.

In docstrings a name stands in single backticks, on pages as inline code; what is no public name
stays code. A reference that is written as one, as ``:py:func:`autonn.fit```, must lead somewhere.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import public
from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


@cache
def spoken() -> dict[str, str]:
    """Return the full name of each name as it is spoken: ``fit``, ``optim.Adam``, ``autonn.fit``.

    A bare name is that of `autonn` itself, or one that a single room has.
    """
    found: dict[str, str] = {}
    twice = set()
    for full, entry in public.entries().items():
        found[full] = found[full.removeprefix("autonn.")] = entry.name
        bare = full.rpartition(".")[2]
        if found.setdefault(bare, entry.name) != entry.name:
            twice.add(bare)
    of_autonn = {entry.name for entry in public.unique()}
    return {name: full for name, full in found.items() if name not in twice or full in of_autonn}


def link(text: str) -> nodes.Node:
    """Make code of a text, and of a name a link to its entry, or to what a class has."""
    name = text.removesuffix("()")
    owner, _, member = name.rpartition(".")
    full = spoken().get(name)
    if full is None and owner in spoken():
        full = f"{spoken()[owner]}.{member}"
    code = nodes.literal(text, text)
    if full is None:
        return code
    code["classes"] += ["xref", "py"]
    return addnodes.pending_xref(
        "", code, refdomain="py", reftype="obj", reftarget=full, refexplicit=True, spoken=True,
    )  # fmt: skip


def role(
    name: str, raw: str, text: str, line: int, inliner: Inliner, *rest: Any
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Read what stands in single backticks in a docstring."""
    return [link(text)], []


def link_code(app: Sphinx, doctree: nodes.document) -> None:
    """Link the inline code of a page."""
    for code in list(doctree.findall(nodes.literal)):
        within = code.parent
        while isinstance(within, nodes.inline):
            within = within.parent
        inside = isinstance(within, nodes.reference | addnodes.pending_xref | nodes.title)
        if not inside and not code["classes"]:
            code.parent.replace(code, link(code.astext()))


def add_names(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Let an entry be found by all names of its thing, the one by which it is defined too."""
    objects = env.domains.python_domain.objects
    for entry in public.unique():
        for known in [name for name in objects if f"{name}.".startswith(f"{entry.name}.")]:
            for other in [*entry.others, f"{entry.file}.{entry.name.rpartition('.')[2]}"]:
                alias = other + known.removeprefix(entry.name)
                objects.setdefault(alias, objects[known]._replace(aliased=True))
    return []


def inner(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Leave as code what was not written as a reference, and types that exist without an entry."""
    if node.get("spoken"):
        return content
    module, _, name = str(node.get("reftarget")).rpartition(".")
    if not module.startswith("autonn.") or module in public.ROOMS:
        return None
    try:
        return content if hasattr(importlib.import_module(module), name) else None
    except ImportError:
        return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_role("name", role)
    app.connect("doctree-read", link_code)
    app.connect("env-updated", add_names)
    app.connect("missing-reference", inner)
    return {"parallel_read_safe": True}
