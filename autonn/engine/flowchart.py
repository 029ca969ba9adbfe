"""Boxes and arrows as text, in Mermaid, which README files and notebooks draw."""

from __future__ import annotations

__all__ = ["arrow", "box"]


def box(name: str, label: str, ends: str = "[]") -> str:
    """Write a box; what the label holds is text and no markup.

    >>> box("n0", 'a "b" <c>')
    'n0["a #quot;b#quot; #lt;c#gt;"]'
    """
    text = " ".join(label.split()).replace("#", "#35;")
    for sign, entity in (('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("`", "#96;")):
        text = text.replace(sign, entity)
    half = len(ends) // 2
    return f'{name}{ends[:half]}"{text}"{ends[half:]}'


def arrow(start: str, end: str) -> str:
    """Write an arrow from one box to another.

    >>> arrow("n0", "n1")
    'n0 --> n1'
    """
    return f"{start} --> {end}"
