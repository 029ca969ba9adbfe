"""The table that a module is shown as."""

from __future__ import annotations


def table(rows: list[tuple[str, str, str, str]]) -> str:
    """Lay out rows of four cells, the last of which is a number.

    >>> print(table([("a", "b", "c", "1"), ("", "long", "", "10")]))
    a b     c   1
      long     10
    """
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = (
        f"{a:<{widths[0]}} {b:<{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}"
        for a, b, c, d in rows
    )
    return "\n".join(line.rstrip() for line in lines)
