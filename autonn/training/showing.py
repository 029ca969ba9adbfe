"""A history in words, as rows of a table, and as a curve: what notebooks and logs show."""

from __future__ import annotations

import math
from typing import Any

WIDTH, HEIGHT = 300, 90  # of a curve, in pixels
POINTS = 150  # at most so many: a curve of 10,000 epochs is no longer than one of 150


def last_entries(history: Any, k: int = -1) -> dict[str, str]:
    """Say in words what the history has of an epoch: of the last, if nothing is said.

    >>> from autonn.training import History
    >>> last_entries(History(cost=[0.5], accuracy=[0.25]))
    {'cost': '0.5000', 'accuracy': '25.00%'}
    """
    shown = {"cost": _cost(history.cost[k])}
    if history.accuracy:
        shown["accuracy"] = f"{history.accuracy[k]:.2%}"
    if history.validation_accuracy:
        shown["held out"] = f"{history.validation_accuracy[k]:.2%}"
    elif history.validation_cost:
        shown["held out"] = _cost(history.validation_cost[k])
    return shown


def _cost(value: float) -> str:
    """Write a cost: one that is very small or large in powers of ten.

    >>> _cost(0.5), _cost(2.5e-7), _cost(6.66e122)
    ('0.5000', '2.5e-07', '6.66e+122')
    """
    usual = value == 0 or 1e-3 <= abs(value) < 1e6
    return f"{value:.4f}" if usual else f"{value:.3g}"


def rows_of(history: Any, most: int) -> str:
    """Return the last epochs of a history as a table in HTML; of none it is empty."""
    done = len(history)
    if not done:
        return ""
    names = ["epoch", *last_entries(history)]
    rows = ["".join(f"<th>{name}</th>" for name in names)]
    for k in range(max(0, done - most), done):
        cells = [str(k + 1), *last_entries(history, k).values()]
        rows.append("".join(f"<td>{cell}</td>" for cell in cells))
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def curve_of(history: Any) -> str:
    """Return the costs as a picture in SVG: of the training, and dashed of what is held out."""
    lines = [("#0072B2", "", history.cost), ("#D55E00", "4 3", history.validation_cost)]
    finite = [cost for _, _, costs in lines for cost in costs if math.isfinite(cost)]
    if len(history) < 2 or not finite:
        return ""
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    drawn = []
    for colour, dashes, costs in lines:
        step = max(1, -(-len(costs) // POINTS))
        points = " ".join(
            f"{WIDTH * k / (len(costs) - 1):.1f},{HEIGHT * (1 - (costs[k] - low) / span):.1f}"
            for k in range(0, len(costs), step)
            if math.isfinite(costs[k]) and len(costs) > 1
        )
        style = f'fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="{dashes}"'
        drawn.append(f'<polyline {style} points="{points}"/>' if points else "")
    box = f'width="{WIDTH}" height="{HEIGHT}" viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}"'
    words = f"cost from {finite[0]:.4g} to {history.cost[-1]:.4g}"
    return f"<svg {box}><title>{words}</title>{''.join(drawn)}</svg>"
