"""Several losses at once: one for each output of a model, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autonn import checks
from autonn.engine.tensor import Tensor
from autonn.engine.trees import tree_leaves
from autonn.training.loss import Loss, check_targets, checked_loss, described, weighed
from autonn.training.structures import is_structure

__all__ = ["Losses", "as_loss"]

Keys = list[Any]


class Losses:
    """The sum of a loss for each output, ``J = sum_k w_k loss_k(output_k, target_k)``.

    Parameters
    ----------
    losses
        A dict of losses by the names of the outputs, for a model that returns a dict; or a tuple in
        the order of the outputs, for one that returns a tuple or list. An output without a loss is
        left out of a dict, and None in a tuple.
    weights
        How much each counts, numbers from 0 in the same form; those left out of a dict count 1.

    Raises
    ------
    TypeError, ValueError
        For what is no loss; for weights that are negative or of no output; when called, for
        predictions or targets of another form.

    Examples
    --------
    >>> from autonn import MeanSquaredError
    >>> both = Losses({"a": MeanSquaredError(), "b": MeanSquaredError()}, weights={"b": 0.5})
    >>> both({"a": Tensor([2.0]), "b": Tensor([4.0])}, {"a": [0.0], "b": [0.0]})
    Tensor(12.)
    """

    classifies = False  # which output the accuracy would be of, metrics may say

    def __init__(self, losses: Any, weights: Any = None) -> None:
        if not is_structure(losses):
            raise TypeError(f"Losses: losses is a dict or tuple of losses, not {losses!r}")
        self.named = isinstance(losses, Mapping)
        given = dict(losses) if self.named else dict(enumerate(losses))
        self.losses: dict[Any, Loss] = {
            key: checked_loss(loss, f"Losses: [{key!r}]")
            for key, loss in given.items()
            if loss is not None
        }
        if not self.losses:
            raise ValueError("Losses: there is no loss; give one for an output at least")
        self.weights = self._checked(weights)
        self.takes_weights = all(weighed(loss) is not None for loss in self.losses.values())

    def _checked(self, weights: Any) -> dict[Any, float]:
        """Return a weight for each loss."""
        if weights is None:
            weights = {}
        if isinstance(weights, tuple | list):
            weights = dict(enumerate(weights))
        if not isinstance(weights, Mapping):
            raise TypeError(f"Losses: weights is a dict or tuple of numbers, not {weights!r}")
        unknown = [key for key in weights if key not in self.losses]
        if unknown:
            raise ValueError(
                f"Losses: weights speaks of {', '.join(map(repr, unknown))}, but there are losses "
                f"of {', '.join(map(repr, self.losses))}"
            )
        return {
            key: checks.number(f"Losses: weights[{key!r}]", weights.get(key, 1.0), least=0)
            for key in self.losses
        }

    def __call__(self, predictions: Any, targets: Any, weights: Any = None) -> Tensor:
        """Return the cost; `weights`, one a row, are given to each of the losses."""
        outputs, wanted = self.parts("predictions", predictions), self.parts("targets", targets)
        total: Any = 0.0
        for key, loss in self.losses.items():
            if weights is None:
                cost = loss(outputs[key], wanted[key])
            else:
                weighing = weighed(loss)
                assert weighing is not None  # or `takes_weights` would be False
                cost = weighing(outputs[key], wanted[key], weights)
            share = self.weights[key]
            total = total + (cost if share == 1 else share * cost)
        return total  # type: ignore[no-any-return]

    def check(self, targets: Any, shapes: Any) -> None:
        """Let each loss refuse targets, given the shapes of the predictions in the same form."""
        wanted = self.parts("targets", targets)
        for key, loss in self.losses.items():
            shape = shapes[key]
            if shape is not None and wanted[key] is not None:
                check_targets(loss, wanted[key], shape)

    def parts(self, what: str, given: Any) -> Any:
        """Return what can be asked for each output; refuse another form with the cure."""
        fits = isinstance(given, Mapping) if self.named else isinstance(given, tuple | list)
        if fits:
            there = set(given) if self.named else set(range(len(given)))
            missing = [key for key in self.losses if key not in there]
            if not missing:
                return given
            what_is_not = f"have no {', '.join(map(repr, missing))}"
        else:
            what_is_not = f"are a {type(given).__name__}"
        form = "a dict with" if self.named else "a tuple with the places"
        raise TypeError(
            f"{self!r}: the {what} {what_is_not}, expected {form} "
            f"{', '.join(map(repr, self.losses))}, one for each loss"
        )

    def __repr__(self) -> str:
        """Show all settings, the same in every process: a checkpoint is known by them."""
        shown = {key: described(loss) for key, loss in self.losses.items()}
        text = ", ".join(f"{key!r}: {loss}" for key, loss in shown.items())
        uneven = {key: w for key, w in self.weights.items() if w != 1}
        return f"Losses({{{text}}}{f', weights={uneven}' if uneven else ''})"


def as_loss(loss: Any, caller: str = "fit") -> Loss:
    """Return one loss of what was given: itself, or `Losses` of a dict or tuple of some.

    >>> from autonn import MeanSquaredError
    >>> as_loss((MeanSquaredError(), None))
    Losses({0: MeanSquaredError()})
    """
    if is_structure(loss) and tree_leaves(loss):
        return Losses(loss)
    return checked_loss(loss, caller)
