"""The directive ``{habits} PyTorch``: a library's words, and what to write here in their place.

The tables are those that autonn's own errors read: `autonn.habits.HABITS`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autonn.habits import HABITS, Habit

# The places of the tables, as readers know them.
PLACES = {
    "autonn": "of the package", "autonn.nn": "layers and losses, of `nn`", "Tensor": "of tensors",
}  # fmt: skip


def table(library: str) -> dict[str, list[tuple[list[str], str]]]:
    """Return, for each place, the words of a library with one answer, and the answer.

    >>> table("PyTorch")["Tensor"][0]
    (['view'], 'write x.reshape(shape)')
    """
    found: dict[str, dict[str, list[str]]] = {}
    for habit in HABITS.values():
        if library in libraries(habit):
            found.setdefault(habit.place, {}).setdefault(habit.answer, []).append(habit.word)
    if not found:
        known = sorted({name for habit in HABITS.values() for name in libraries(habit)})
        raise ValueError(f"no habit is of {library!r}; there are those of {', '.join(known)}")
    return {
        place: [(words, answer) for answer, words in answers.items()]
        for place, answers in found.items()
    }


def libraries(habit: Habit) -> list[str]:
    """Return whose word it is."""
    return habit.libraries.split(", ")


class Habits(SphinxDirective):
    """Write the tables of a library, one for each place where its words are tried."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """Make the nodes."""
        lines: list[str] = []
        try:
            tables = table(self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from error
        for place, rows in tables.items():
            lines += [f"**{place}**", "", "| you write | here |", "|---|---|"]
            for words, answer in rows:
                shown = " ".join(f"`{word}`" for word in words)
                lines.append(f"| {shown} | {answer} |".replace("*", r"\*"))
            lines.append("")
        node = nodes.container(classes=["habits"])
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), 0, node)
        return [node]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("habits", Habits)
    return {"parallel_read_safe": True}
