"""The table that a module is shown as."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Row = tuple[str, str, str, str]


class Summary(str):
    """The table as text, which a notebook shows as a table; the rows stand in `rows`."""

    rows: Sequence[Row]

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """Lay the rows out for a notebook: the last cell of each is a number."""
        lines = []
        for k, row in enumerate(self.rows):
            kind = "th" if k == 0 else "td"
            sides = ("left", "left", "left", "right")
            cells = (
                f'<{kind} style="text-align: {side}">{escape(cell)}</{kind}>'
                for cell, side in zip(row, sides, strict=True)
            )
            lines.append(f"<tr>{''.join(cells)}</tr>")
        return f"<table>{''.join(lines)}</table>"


def table(rows: Sequence[Row]) -> Summary:
    """Lay out rows of four cells, the last of which is a number.

    >>> table([("a", "b", "c", "1"), ("", "long", "", "10")])
    a b     c   1
      long     10
    """
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = (
        f"{a:<{widths[0]}} {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )
    summary = Summary("\n".join(line.rstrip() for line in lines))
    summary.rows = rows
    return summary
