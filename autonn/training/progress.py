"""The progress bar: a callback of `fit`, as anybody might write one; nothing else here prints."""

from __future__ import annotations

from typing import Self

from autonn.training.history import History


class ProgressBar:
    """A callback of `fit` that shows cost, accuracy and the time left, on a terminal only.

    >>> with ProgressBar(epochs=100) as bar:
    ...     pass  # fit(..., callbacks=[bar])
    """

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=epochs, disable=None, unit="epoch", dynamic_ncols=True)

    def __call__(self, history: History) -> None:
        """Show the last entry of the history."""
        shown = {"cost": f"{history.cost[-1]:.4f}"}
        if history.accuracy:
            shown["accuracy"] = f"{history.accuracy[-1]:.2%}"
        if history.validation_accuracy:
            shown["held out"] = f"{history.validation_accuracy[-1]:.2%}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(len(history) - self._bar.n)  # more than one where a run was resumed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()
