"""What a review found, to be read: the listing with what each line computed, and the cause."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field

import numpy as np

from autonn.engine.lines import shown_file
from autonn.teach.reviewing.judging import Judgement, Program
from autonn.teach.reviewing.matching import Match, Pool
from autonn.teach.reviewing.searching import Finding, Search
from autonn.teach.reviewing.trials import agrees

__all__ = ["Note", "Review", "shown"]


@dataclass
class Note:
    """One line of a listing: its number, a mark, its text, and what it computed."""

    number: int
    mark: str
    text: str
    note: str


@dataclass(repr=False)
class Review:
    """What was found of a gradient written by hand.

    Attributes
    ----------
    right
        Whether the cost and all gradients are right.
    line, file, variable
        Where the mistake is, and what is given the wrong value there; None where it was not found.
    expected
        What should stand there, as a formula: the line as it would be right, or the slope of J that
        is needed.
    cause
        One sentence that says what is wrong.
    verdicts
        For each gradient, what it belongs to and whether it is right.
    listing
        By file, the lines of the program: a tick where a line computed a value of the derived
        forward or backward pass, a cross where the mistake is.
    rows
        Which examples were looked at, where they were not all.

    Examples
    --------
    >>> review = Review(False, 9, "mine.py", "delta2", "delta3 @ Theta2[:, 1:]", "it is transposed")
    >>> review.right, review.line, review.cause
    (False, 9, 'it is transposed')
    """

    right: bool
    line: int | None = None
    file: str | None = None
    variable: str | None = None
    expected: str | None = None
    cause: str = ""
    verdicts: list[tuple[str, str]] = field(default_factory=list)
    listing: dict[str, list[Note]] = field(default_factory=dict)
    rows: list[int] | None = None

    def __str__(self) -> str:
        """Write the listing, what is said of each gradient, and where the mistake is."""
        lines = []
        for file, notes in self.listing.items():
            lines.append(shown_file(file))
            width = min(76, max((len(n.text) for n in notes), default=0))
            for n in notes:
                lines.append(f"{n.number:4} {n.mark or ' '} {n.text:<{width}}  {n.note}".rstrip())
            lines.append("")
        lines += [f"{name}: {verdict}" for name, verdict in self.verdicts]
        if self.rows is not None:
            lines.append(f"looked at with the examples {', '.join(map(str, self.rows))} alone")
        return "\n".join([*lines, "", self._said()])

    def _said(self) -> str:
        """Say in two lines where the mistake is, and what should stand there."""
        if self.line is None:
            return self.cause
        where = f"line {self.line}, {self.variable}: {self.cause}"
        return f"{where}\nit should be: {self.expected}" if self.expected else where

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the listing for a notebook, with the wrong line in red."""
        rows = []
        for file, notes in self.listing.items():
            rows.append(f'<tr><th colspan="4">{html.escape(shown_file(file))}</th></tr>')
            for n in notes:
                colours = COLOURS.get(n.mark, "")
                cells = "".join(
                    f'<td style="text-align:left;white-space:pre;font-family:monospace{colours}">'
                    f"{html.escape(str(x))}</td>"
                    for x in (n.number, n.mark, n.text, n.note)
                )
                rows.append(f"<tr>{cells}</tr>")
        verdicts = "".join(f"<li>{html.escape(f'{a}: {b}')}</li>" for a, b in self.verdicts)
        said = html.escape(self._said()).replace("\n", "<br>")
        return f"<table>{''.join(rows)}</table><ul>{verdicts}</ul><p><b>{said}</b></p>"


# Paper and ink, so that they can be read on a dark notebook too.
COLOURS = {"✓": ";background:#e6f4ea;color:#14532d", "✗": ";background:#fdecea;color:#8c1d18"}


def shown(
    judgement: Judgement, program: Program, pool: Pool, search: Search | None,
    finding: Finding | None, rows: list[int] | None,
) -> Review:  # fmt: skip
    """Write down what was found."""
    review = Review(judgement.is_right, rows=rows, cause="the cost and all gradients are right")
    review.verdicts = _verdicts(judgement)
    wrong = finding.line if finding is not None else None
    if search is not None:
        if finding is None:
            review.cause = _not_placed(judgement, pool, program.unread)
        else:
            review.cause, review.expected = finding.cause, finding.expected
            review.line, review.file = finding.line.lineno, finding.line.part.file
            review.variable = finding.line.target
        if not judgement.cost_is_right:
            review.cause = (
                f"J itself is wrong: {judgement.outputs.cost:.8g}, where cost= gives "
                f"{judgement.cost:.8g}; {review.cause}"
            )
    for part in program.parts:
        for line in program.lines:
            if line.part is part:
                _note(review, judgement, pool, line.number, program, line is wrong)
    for notes in review.listing.values():
        notes.sort(key=lambda n: n.number)
    return review


def _note(
    review: Review, judgement: Judgement, pool: Pool, number: int, program: Program, wrong: bool
) -> None:
    """Write a line of the listing: what it computed last, in the program's own letters."""
    line = program.lines[number]
    events = [e for e in judgement.events if e.line is line]
    found = [pool.find(v) for e in events[-3:] for v in e.values if v.size > 1]
    last = next((f for f in reversed(found) if f is not None), None)
    mark = "✗" if wrong else "✓" if found and all(f is not None for f in found) else ""
    text = line.part.lines[line.lineno - 1].rstrip()
    note = _formula(last) if last is not None else ""
    review.listing.setdefault(line.part.file, []).append(Note(line.lineno, mark, text, note))


def _formula(match: Match) -> str:
    """Write a factor and a derived value: ``= 7 * dJ/dz2``."""
    factor = match.factor
    inverse = 1 / factor if factor else 0.0
    times = "" if math.isclose(factor, 1, rel_tol=1e-7) else f"{factor:.6g} * "
    if math.isclose(factor, -1, rel_tol=1e-7):
        times = "-"
    elif abs(factor) < 1 and abs(inverse - round(inverse)) < 1e-6:
        times = f"1/{round(inverse)} * "
    return f"= {times}{match.entry.label}{' transposed' if match.transposed else ''}"


def _verdicts(judgement: Judgement) -> list[tuple[str, str]]:
    """Say of each gradient whether it is right, and how far off it is."""
    found = []
    for name, given, right in zip(
        judgement.names, judgement.outputs.gradients, judgement.rights, strict=True
    ):
        if agrees(given, right):
            verdict = "right"
        elif given.size != right.size:
            verdict = f"has the shape {given.shape}, and should have {right.shape}"
        else:
            off = float(np.linalg.norm(given.ravel() - right.ravel()))
            size = float(np.linalg.norm(given) + np.linalg.norm(right))
            verdict = f"wrong, relative difference {off / max(size, 1e-300):.3g}"
        found.append((f"the gradient for {name}, {judgement.how}", verdict))
    return found


def _not_placed(judgement: Judgement, pool: Pool, unread: list[str]) -> str:
    """Say plainly that the line was not found, and what is known: which gradients, how far off."""
    wrong = [judgement.names[k] for k in judgement.wrong]
    if unread:
        names = ", ".join(f"`{name}`" for name in unread)
        what = f"the gradient for {', '.join(wrong)} is wrong, but " if wrong else ""
        return (
            f"{what}the line can't be found without the text of {names}; write it into a file or "
            "a notebook cell"
        )
    if not wrong:
        return "no line was found whose change makes J right"
    k = judgement.wrong[0]
    near = pool.find(judgement.outputs.gradients[k])
    nearest = f"; the nearest derived value is {_formula(near)[2:]}" if near else ""
    return (
        f"the gradient for {', '.join(wrong)} is wrong, but no single change of a line was found "
        f"that makes it right: the mistake is of several lines, or of another kind{nearest}"
    )
