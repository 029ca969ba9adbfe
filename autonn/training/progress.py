"""The progress bar: a callback of `fit`, as anybody might write one; nothing else here prints.

It is a bar on a terminal, a table in a notebook, and a line for each tenth in a log.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, Self

from autonn.training.history import History
from autonn.training.showing import last_entries, rows_of

# How often a notebook is shown something new: more than 5 times a second nobody sees, and each
# time is a message to the browser.
SECONDS = 0.2
ROWS = 10  # of the table in a notebook


class ProgressBar:
    """A callback of `fit` that shows cost and accuracy, and how far it is.

    On a terminal it is a bar with the time left; in a notebook a table, which needs no widgets;
    elsewhere, as in a log, a line each time that another tenth is done, to the standard error.

    >>> with ProgressBar(epochs=100) as bar:
    ...     pass  # fit(..., callbacks=[bar])
    """

    def __init__(self, epochs: int) -> None:
        self._view = _view(epochs)

    def __call__(self, history: History) -> None:
        """Show the last entry of the history."""
        self._view.show(history)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._view.close()


class _View(Protocol):
    """A way to show how far it is."""

    def show(self, history: History) -> None:
        """Show the last entry of the history."""

    def close(self) -> None:
        """Show what is still to be shown, and end."""


def _view(epochs: int) -> _View:
    """Choose by where it would be seen."""
    display = _display_of_a_notebook()
    if display is not None:
        return Table(epochs, display)
    return Bar(epochs) if sys.stderr.isatty() else Lines(epochs)


def _display_of_a_notebook() -> Any:
    """Return IPython's `display` where there is a kernel behind it, or None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return ipython.display.display if ipython and hasattr(shell, "kernel") else None


class Bar:
    """A bar on a terminal, by tqdm."""

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=epochs, unit="epoch", dynamic_ncols=True)

    def show(self, history: History) -> None:
        """Move the bar, and write the last entry beside it."""
        self.bar.set_postfix(last_entries(history), refresh=False)
        self.bar.update(len(history) - self.bar.n)  # more than one where a run was resumed

    def close(self) -> None:
        """End the bar."""
        self.bar.close()


class Lines:
    """A line for each tenth of the epochs, for logs."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.tenth, self.line = epochs, 0, ""

    def show(self, history: History) -> None:
        """Write a line if another tenth is done."""
        done = len(history)
        words = ", ".join(f"{name} {value}" for name, value in last_entries(history).items())
        self.line = f"epoch {done} of {self.epochs}: {words}\n"
        if 10 * done // self.epochs > self.tenth:
            self.tenth = 10 * done // self.epochs
            self.close()

    def close(self) -> None:
        """Write the line of an epoch that no line was for, as the last."""
        if self.line:
            sys.stderr.write(self.line)
            sys.stderr.flush()
        self.line = ""


class Table:
    """A table in a notebook, an epoch a row, and a bar above it."""

    def __init__(self, epochs: int, display: Any) -> None:
        self.epochs, self.history = epochs, History()
        self.begun = self.seen = time.monotonic()
        self.handle = display(self, display_id=True)

    def show(self, history: History) -> None:
        """Show the history, but not too often."""
        self.history = history
        if time.monotonic() - self.seen > SECONDS:
            self.close()

    def close(self) -> None:
        """Show the history as it is."""
        self.seen = time.monotonic()
        self.handle.update(self)

    def __repr__(self) -> str:
        return f"epoch {len(self.history)} of {self.epochs}"

    def _repr_html_(self) -> str:
        """Lay out the bar and the last rows."""
        done = len(self.history)
        seconds = self.seen - self.begun
        left = f", {seconds / done * (self.epochs - done):.0f} s left" if done else ""
        bar = f'<progress value="{done}" max="{self.epochs}"></progress>'
        return f"<div>{bar} {self!r}, {seconds:.0f} s{left}</div>{rows_of(self.history, ROWS)}"
