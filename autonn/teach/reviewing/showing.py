"""What a review found, to be read: the listing with what each line computed, and the cause."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from autonn.teach.reviewing.judging import Judgement, Program
from autonn.teach.reviewing.matching import Match, Pool
from autonn.teach.reviewing.searching import Finding, Search

__all__ = ["Review", "shown"]


@dataclass
class Review:
    """What was found of a gradient written by hand.

    Attributes
    ----------
    right
        Whether the cost and all gradients are right.
    line, file, variable
        Where the mistake is, and what is given the wrong value there; None where it was not found.
    expected
        What should stand there, as a formula.
    cause
        One sentence that says what is wrong.
    listing
        The lines of the program, each with a mark and what it computed.
    """

    right: bool
    line: int | None
    file: str | None
    variable: str | None
    expected: str | None
    cause: str
    listing: list[tuple[int, str, str, str]] = field(default_factory=list)
    head: str = ""

    def __str__(self) -> str:
        rows = [f"{n:4} {mark:1} {text:<60} {note}".rstrip() for n, mark, text, note in self.listing]
        return "\n".join([self.head, *rows, "", self.cause])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def shown(
    judgement: Judgement, program: Program, pool: Pool, search: Search | None,
    finding: Finding | None, rows: list[int] | None,
) -> Review:  # fmt: skip
    """Write down what was found."""
    if search is None:
        return Review(True, None, None, None, None, "all gradients are right")
    line = finding.line if finding else None
    cause = finding.cause if finding else "not found"
    return Review(
        False, line.lineno if line else None, line.part.file if line else None,
        line.target if line else None, finding.expected if finding else None, cause,
    )  # fmt: skip


_: Any = Match
