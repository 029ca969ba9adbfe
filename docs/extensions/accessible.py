"""Pages that everybody can use: what Sphinx and the theme leave out for those who see less.

A signature of several lines is no list of definitions; what scrolls can be reached by the keyboard;
the two sides of a page have names of their own.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LINES = re.compile(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>")


def in_lines(app: Sphinx, page: str, template: str, context: Any, doctree: nodes.document) -> None:
    r"""Write the arguments of a signature as lines.

    >>> context = {"body": "(\n<dl>\n<dd><em>x</em>,</dd>\n</dl>\n)"}
    >>> in_lines(None, "", "", context, None)
    >>> context["body"]
    '(\n<span class="sig-lines"><span><em>x</em>,</span>\n</span>\n)'
    """
    context["body"] = LINES.sub(lines, context.get("body") or "")


def lines(match: re.Match[str]) -> str:
    """Write the arguments of one signature."""
    inside = match[1].replace("<dd>", "<span>").replace("</dd>", "</span>")
    return f'<span class="sig-lines">{inside}</span>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("html-page-context", in_lines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
