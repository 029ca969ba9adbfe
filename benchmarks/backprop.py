"""Autograd against hand-written backprop: one cost and its gradients, by everybody.

    python benchmarks/backprop.py [--seconds 5] [--json FILE] [--plot FILE] [--compare FILE]

The 400-25-10 digit network with the tutorials' cost, and a 784-512-256-10 one with ReLU and
softmax. Each contender (contenders.py) has a process of its own and they run in turn (rounds.py);
before they are timed, all must agree. Figures are medians of rounds, with the middle half of the
rounds as their spread; ratios are taken round by round. PyTorch, JAX, autograd and MyGrad (`pip
install 'autonn[bench]'`) take part where they are installed.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import contenders
import numpy as np
import report
import rounds
from contenders import ALL, BEST, EAGER, FLOOR, OURS, PLAIN, Case, Contender, Problem
from figures import by_hand
from report import Figure
from rounds import Failed, Worker

TOLERANCE = {"float64": 1e-12, "float32": 1e-4}
DEEP_BATCH = 128
CONTESTS = ((EAGER, PLAIN), (OURS, BEST))  # whose ratios are rows of their own

# Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = {"autonn": "#D55E00", "hand": "#0072B2", "floor": "#000000", "peer": "#009E73"}


# ---- in the workers

evaluation: Callable[[], Any] = tuple


def prepare(row: int, case: Case) -> list[Any]:
    """Build a contender's evaluation, and return what it computes."""
    global evaluation
    evaluation = ALL[row].build(Problem(case))
    evaluation()
    return ALL[row].results(evaluation())


def turn() -> float:
    """Run the evaluation for a while; return the seconds that it takes."""
    return rounds.burst(evaluation)


# ---- in the parent


class Contest:
    """The contenders that take part, each with its worker."""

    def __init__(self, names: Sequence[str]) -> None:
        self.workers: dict[Contender, Worker] = {}
        for contender in ALL:
            if not report.chosen(contender.name, names):
                continue
            if importlib.util.find_spec(contender.package) is None:
                print(f"{contender.name}: left out, {contender.package} is not installed")
                continue
            self.workers[contender] = Worker()
        packages = {c.package: worker for c, worker in self.workers.items()}
        self.versions = [w.ask(contenders.describe, package) for package, w in packages.items()]

    def measure(self, case: Case, seconds: float) -> list[Figure]:
        """Check that all compute the same, and time them in turn."""
        ready, expected = [], None
        for contender, worker in self.workers.items():
            if not contender.takes(case):
                continue
            try:
                results = worker.ask(prepare, ALL.index(contender), case)
            except Failed as why:
                if contender.kind != "peer":
                    raise
                print(f"{contender.name} is left out: {why}")
                continue
            ready.append(contender)
            if contender.name != FLOOR:
                expected = expected or results
                agree(contender, case, results, expected)
        turns = {c.name: functools.partial(self.workers[c].ask, turn) for c in ready}
        times = rounds.in_turn(turns, seconds)
        rows = {name: [1e3 * s for s in t] for name, t in times.items()}
        figures = [Figure.of(str(case), row, "ms", ms, rows.get(BEST)) for row, ms in rows.items()]
        for row, base in CONTESTS:
            if row in rows and base in rows:
                ratios = report.by_round(rows[row], rows[base])
                figures.append(Figure.of(str(case), f"{row} : {base}", "x", ratios))
        return figures

    def close(self) -> None:
        """Let all workers end."""
        for worker in self.workers.values():
            worker.close()


def agree(contender: Contender, case: Case, results: list[Any], expected: list[Any]) -> None:
    """Make sure that a contender computes what the first one does, and in the case's dtype."""
    tolerance = TOLERANCE[case.dtype]
    for got, right in zip(results, expected, strict=True):
        if not np.allclose(got, right, rtol=tolerance, atol=tolerance):
            error = np.max(np.abs(got - right))
            raise SystemExit(f"{contender.name} is wrong by {error:.1e}: {case}")
    other = {str(a.dtype) for a in results[1:]} - {case.dtype}
    if other:
        print(f"{contender.name} computes {', '.join(other)} gradients: {case}")


def draw(figures: Sequence[Figure], path: str) -> None:
    """Draw what each takes in multiples of the best by hand: a panel a problem, a line a row."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    by_title = {f.title: f for f in figures if f.row == BEST}
    problems = list(dict.fromkeys(title.rpartition(", ")[0] for title in by_title))
    rows = [c for c in ALL if any(f.row == c.name for f in figures)]
    figure, panels = pyplot.subplots(
        1, len(problems), figsize=(2 + 1.6 * len(problems), 1.6 + 0.3 * len(rows)),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for panel, problem in zip(panels[0], problems, strict=True):
        for dtype, shift in zip(TOLERANCE, (-0.14, 0.14), strict=True):
            base = by_title[f"{problem}, {dtype}"]
            for place, contender in enumerate(rows):
                for f in figures:
                    if f.title == base.title and f.row == contender.name and f.ratios:
                        mark(panel, f.title, f.ratios, place + shift, COLOURS[contender.kind])
        title, _, size = problem.partition(", ")
        best = [report.number(by_title[f"{problem}, {dtype}"].median) for dtype in TOLERANCE]
        panel.set_title(f"{title}\n{size}\n1 = {' / '.join(best)} ms", fontsize=9)
    finish(panels[0], rows)
    figure.supxlabel(
        "time of one cost + gradient in multiples of the best by hand\n"
        "\u25cf float64   \u25cb float32   \u2013 middle half of the rounds",
        fontsize=9,
    )
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def mark(panel: Any, title: str, ratios: Sequence[float], place: float, colour: str) -> None:
    """Draw one figure: its median, and the middle half of its rounds."""
    low, median, high = ratios
    fill = colour if title.endswith("float64") else "white"
    panel.plot([low, high], [place, place], color=colour, lw=1.2, zorder=2)
    panel.plot(median, place, "o", ms=5, mec=colour, mfc=fill, mew=1.2, zorder=3)


def finish(panels: Any, rows: Sequence[Contender]) -> None:
    """Set the axes of all panels: the names in their colours, and a line at 1."""
    from matplotlib.ticker import LogLocator, NullLocator

    for panel in panels:
        panel.set_xscale("log")
        panel.axvline(1, color=COLOURS["hand"], lw=0.8, zorder=1)
        panel.grid(axis="x", color="0.9", lw=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(axis="y", length=0)
        panel.tick_params(axis="x", labelsize=8)
        panel.spines[["top", "right", "left"]].set_visible(False)
    first = panels[0]
    low, high = first.get_xlim()
    first.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 1000 * low else (1,)))
    first.xaxis.set_minor_locator(NullLocator())
    first.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    first.set_yticks(range(len(rows)), [c.name for c in rows], fontsize=9)
    first.invert_yaxis()
    for label, contender in zip(first.get_yticklabels(), rows, strict=True):
        label.set_color(COLOURS[contender.kind])
        label.set_fontweight("bold" if contender.kind == "autonn" else "normal")


def main() -> None:
    """Measure every case, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="for each case (default 5)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[32, 128, 500, 5000], metavar="M",
        help="examples of the digit network (default 32 128 500 5000)",
    )  # fmt: skip
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME",
        help="contenders whose names contain one of these",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    parser.add_argument("--plot", metavar="FILE", help="draw them here")
    parser.add_argument("--compare", metavar="FILE", help="the figures of another run, by --json")
    options = parser.parse_args()
    if options.plot and not report.chosen(BEST, options.only):
        parser.error(f"the plot is in multiples of {BEST!r}; let --only include it")
    old = report.read(options.compare) if options.compare else []
    contest = Contest(options.only)
    print(report.machine(), *contest.versions, sep="\n")
    figures: list[Figure] = []
    for dtype in TOLERANCE:
        cases = [Case("digits", m, dtype) for m in options.sizes]
        for case in [*cases, Case("deep", DEEP_BATCH, dtype)]:
            found = contest.measure(case, options.seconds)
            print(f"\n{case}: one cost + gradient")
            print(report.table(found, BEST), flush=True)
            figures += found
    contest.close()
    print(f"\nAll medians in milliseconds, {' / '.join(TOLERANCE)}\n\n{by_hand(figures)}")
    if options.json:
        setting = {"machine": report.machine(), "versions": contest.versions}
        report.write(options.json, setting | {"seconds": options.seconds}, figures)
    if options.plot:
        draw(figures, options.plot)
    if old:
        print(f"\n{report.compared(old, figures)}")


if __name__ == "__main__":
    main()
