"""The directive ``{habits} PyTorch``: a library's words, and what to write here in their place."""

from __future__ import annotations

from typing import Any

import foreign_words
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Habits(SphinxDirective):
    """Write the tables of a library, one for each place where its words are tried."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Make the nodes."""
        try:
            lines = foreign_words.markdown(self.arguments[0]).splitlines()
        except ValueError as error:
            raise self.error(str(error)) from error
        node = nodes.container(classes=["habits"])
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), 0, node)
        for cell in node.findall(nodes.entry):
            if cell.parent.index(cell) == 0:  # words of others lead nowhere here
                for code in cell.findall(nodes.literal):
                    code["classes"].append("foreign")
        return [node]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("habits", Habits)
    return {"parallel_read_safe": True}
