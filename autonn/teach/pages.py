"""How an explanation reads: as text, and as a page of HTML that needs nothing else."""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from autonn.engine.tensor import Array
from autonn.teach.steps import Section, Step

__all__ = ["as_html", "as_text"]

_WHOLE = 24  # numbers: so many of a matrix are printed, of more the range
_FOLDED = 8  # steps on the way: a layer with more shows only what leaves it
_WIDE = 58  # letters of a formula beside which there is room for its shape

_LETTERS = (
    "delta = m dJ/dz, as of each example alone; Theta = [b | W]; np.c_ puts columns side by side"
)
_GENERAL = "in formulas dz2 is dJ/dz2; put(x, key, shape) is zeros with x at the key"


def as_text(
    sections: Sequence[Section], given: Mapping[str, Any], in_letters: bool, full: bool
) -> str:
    """Write an explanation as text."""
    lines = [f"{_summary(sections)}", f"({_LETTERS if in_letters else _GENERAL})"]
    lines += textwrap.wrap(_given_text(given), 100, subsequent_indent="  ")
    for back, group in itertools.groupby(sections, key=lambda section: section.back):
        lines += ["", "back" if back else "forward"]
        for section in group:
            lines += [f"  {section.title}"] if section.title else []
            for steps, folded in _runs(section, full):
                if folded:
                    lines.append(f"    ... {_folded(steps)}: text(full=True) shows them")
                else:
                    lines += [line for step in steps for line in _step_lines(step)]
    return "\n".join(lines)


def _summary(sections: Sequence[Section]) -> str:
    cost = next(step for section in sections for step in section.steps if step.name == "J")
    return f"J = {float(cost.value):.6g}, from the input to the loss and back"


def _given_text(given: Mapping[str, Any]) -> str:
    """List what formulas begin with: numbers as they are, arrays with their shapes."""
    parts = [
        f"{name} = {value:.6g}" if np.ndim(value) == 0 else f"{name} ({shape_text(value)})"
        for name, value in given.items()
    ]
    return f"given {', '.join(parts)}"


def _runs(section: Section, full: bool) -> Iterator[tuple[list[Step], bool]]:
    """Yield the steps in a row that are shown, or that are folded."""
    many = sum(step.inner for step in section.steps) > _FOLDED and not full
    for inner, group in itertools.groupby(section.steps, key=lambda step: step.inner):
        steps = list(group)
        yield steps, inner and many and len(steps) > 1


def _folded(steps: Sequence[Step]) -> str:
    return f"{len(steps)} steps on the way, {steps[0].name} to {steps[-1].name}"


def _step_lines(step: Step) -> list[str]:
    """Write a formula, its shape and what it is, and below it its numbers."""
    formula = f"{step.shown} = {step.formula}"
    comment = "  ".join(filter(None, [shape_text(step.value), step.says]))
    if len(formula) <= _WIDE:
        lines = [f"    {formula:{_WIDE}}  # {comment}"]
    else:
        lines = [f"    {formula}", f"    {'':{_WIDE}}  # {comment}"]
    return lines + [f"        {row}" for row in numbers_text(step.value).splitlines()]


def shape_text(value: Array) -> str:
    """Write a shape as "5 x 3"; of a single number nothing.

    >>> shape_text(np.ones((5, 3))), shape_text(np.ones(4)), shape_text(np.ones(()))
    ('5 x 3', '4', '')
    """
    return " x ".join(map(str, value.shape))


def numbers_text(value: Array) -> str:
    """Write the numbers of a small array, and of a large one their range and mean.

    >>> numbers_text(np.arange(100.0))
    'from 0 to 99, mean 49.5'
    """
    if not value.size:
        return "no numbers"
    if value.size <= _WHOLE and value.ndim <= 2:
        return np.array2string(value, precision=4, suppress_small=True, max_line_width=100)
    if value.dtype.kind == "b":
        return f"true in {int(value.sum()):,} of {value.size:,} places"
    with np.errstate(over="ignore"):  # a mask has the least number there is in many places
        low, high, mean = (float(f(value)) for f in (np.min, np.max, np.mean))
    return f"from {low:.4g} to {high:.4g}, mean {mean:.4g}"


# ---- HTML

_STYLE = """\
.autonn-explain {font: 14px/1.45 system-ui, sans-serif; max-width: 72em}
.autonn-explain h2 {font-size: 1.15em; margin: 1.2em 0 .3em}
.autonn-explain h3 {font-size: 1em; margin: .8em 0 .2em; font-weight: 600}
.autonn-explain table {border-collapse: collapse; width: 100%; table-layout: fixed}
.autonn-explain td:nth-child(2) {width: 6em}
.autonn-explain td:nth-child(3) {width: 38%}
.autonn-explain td {border-top: 1px solid #d9d9d9; padding: .25em .6em; vertical-align: top;
  text-align: left}
.autonn-explain code, .autonn-explain pre {font: 13px ui-monospace, monospace; margin: 0;
  overflow-wrap: anywhere}
.autonn-explain pre {color: #444; overflow-x: auto}
.autonn-explain .says {color: #595959}
.autonn-explain .back h3 {color: #a34700}
.autonn-explain .forward h3 {color: #005b8e}
@media (prefers-color-scheme: dark) {
.autonn-explain pre, .autonn-explain .says {color: #bbb}
.autonn-explain .back h3 {color: #ffa35c}
.autonn-explain .forward h3 {color: #6cc0f5}
}"""


def as_html(
    sections: Sequence[Section], given: Mapping[str, Any], in_letters: bool, whole: bool
) -> str:
    """Write an explanation as HTML: a whole page, or the part that a notebook shows."""
    parts = [f"<style>{_STYLE}</style>", '<div class="autonn-explain">']
    parts.append(f"<p><b>{html.escape(_summary(sections))}</b><br>")
    parts.append(f"{html.escape(_LETTERS if in_letters else _GENERAL)}<br>")
    parts.append(f"{html.escape(_given_text(given))}</p>")
    for back, group in itertools.groupby(sections, key=lambda section: section.back):
        word = "back" if back else "forward"
        parts.append(f'<section class="{word}"><h2>{word}</h2>')
        for section in group:
            parts += [f"<h3>{html.escape(section.title)}</h3>"] if section.title else []
            parts += [_table(steps, folded) for steps, folded in _runs(section, full=False)]
        parts.append("</section>")
    body = "\n".join([*parts, "</div>"])
    if not whole:
        return body
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += '<meta name="color-scheme" content="light dark"><title>forward and back</title>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _table(steps: Sequence[Step], folded: bool) -> str:
    rows = "\n".join(map(_row, steps))
    table = f"<table>\n{rows}\n</table>"
    if not folded:
        return table
    return f"<details><summary>{html.escape(_folded(steps))}</summary>\n{table}\n</details>"


def _row(step: Step) -> str:
    formula = html.escape(f"{step.shown} = {step.formula}")
    says = f'<br><span class="says">{html.escape(step.says)}</span>' if step.says else ""
    numbers = html.escape(numbers_text(step.value))
    shape = html.escape(shape_text(step.value))
    cells = (f"<code>{formula}</code>{says}", shape, f"<pre>{numbers}</pre>")
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
