"""`lint`: why a network does not learn, as findings with their evidence and their cure.

Other tools guess from statistics or from the source. Here the graph of the cost is known, so that
what can be exact is exact; and what needs a try is tried, and undone.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from autonn import checks
from autonn.nn.module import Module
from autonn.optim.base import Optimizer
from autonn.teach import chance_rules, data_rules, gradient_rules, start_rules, step_rules
from autonn.teach import target_rules as targets
from autonn.teach.trial import Trial, chance_kept, generators_near
from autonn.training import Finding
from autonn.training.columns import lay_out
from autonn.training.compiling import untouched
from autonn.training.examples import Examples, held_out_examples
from autonn.training.feeds import is_stream
from autonn.training.loss import require_targets
from autonn.training.losses import as_loss
from autonn.training.parts import checked_parts
from autonn.training.stepping import TrainStep

Rule = Callable[[Trial], Iterator[Finding]]

# In the order in which the findings are told: what is first may be why there is a second.
RULES: tuple[Rule, ...] = (
    *targets.RULES,
    *data_rules.RULES,
    *start_rules.RULES,
    *gradient_rules.RULES,
    *chance_rules.RULES,
    *step_rules.RULES,
)


class Findings(tuple[Finding, ...]):
    """What `lint` found, as a tuple that prints well; empty where nothing is wrong.

    >>> from autonn.training import Finding
    >>> found = Findings([Finding("dead-units", "model.1", "25 of 25 give 0", "take a smaller lr")])
    >>> found.names
    ['dead-units']
    >>> Findings()
    lint: nothing found by 28 rules
    """

    __slots__ = ()

    @property
    def names(self) -> list[str]:
        """The names of the rules that found something, each once."""
        return list(dict.fromkeys(found.name for found in self))

    def __repr__(self) -> str:
        if not self:
            return f"lint: nothing found by {len(RULES)} rules"
        lines = (f"{k}. {found}".replace("\n", "\n   ") for k, found in enumerate(self, 1))
        return f"lint: {len(self)} found\n" + "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        if not self:
            return f"<p>{html.escape(repr(self))}</p>"
        cells = "</th><th>".join(("found", "in", "evidence", "cure"))
        left = 'style="text-align:left;vertical-align:top"'
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td {left}>{html.escape(text)}</td>"
                for text in (found.name, found.where, found.evidence, found.cure)
            )
            + "</tr>"
            for found in self
        )
        return f"<table><tr><th>{cells}</th></tr>{rows}</table>"


def lint(
    model: Module,
    X: Any,
    y: Any = None,
    *,
    loss: Any,
    optimizer: Optimizer | str | None = None,
    l2: float = 0.0,
    batch_size: int | None = None,
    validation: tuple[Any, Any] | float | None = None,
    step: Callable[[Any, Any], Any] | None = None,
) -> Findings:
    """Look for what keeps a network from learning: give it what `fit` would be given.

    Up to 512 rows, spread over all, are shown to the model; with an optimiser that takes steps, it
    takes ten, and then ten examples are learned by heart. All of this is undone: parameters,
    buffers, modes, gradients and random generators are bit for bit as they were.

    Parameters
    ----------
    model, X, y, loss, optimizer, l2, batch_size, validation
        As for `fit`, of a model with one output; X does not give batches. Without an optimiser,
        rules of the learning rate and of weight decay are left out; a validation that is no share
        is looked for among the training rows.
    step
        For loops of one's own: a function of a batch, ``step(X, y)``, that takes one step with the
        optimiser, and may return the cost. It is called twice, and undone.

    Returns
    -------
    Findings
        A tuple of `Finding`, each with `name`, `where`, `evidence` and `cure`; empty where nothing
        was found.

    Raises
    ------
    ValueError, TypeError
        As `fit`, for what is no model, no loss, or no numbers; for a `step` without the optimiser
        that it uses.

    Examples
    --------
    >>> from autonn import Layer, Sequential, Sigmoid, SoftmaxCrossEntropy
    >>> X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3
    >>> model = Sequential(Layer(2, 3, rng=0), Sigmoid())
    >>> print(lint(model, X, y, loss=SoftmaxCrossEntropy())[0])
    squashed-twice, in model.1 Sigmoid()
      the loss takes the softmax of numbers that a sigmoid made: they are between 0 and 1, so that \
each probability is between 0.155 and 0.576 whatever is learned
      cure: leave out the sigmoid at the end of the model; or else take a loss of probabilities, \
CrossEntropy()
    """
    if isinstance(step, TrainStep) and optimizer is None:
        optimizer = step.optimizer
    if step is not None and optimizer is None:
        raise ValueError("lint: step changes an optimiser too; give it, optimizer=, to be put back")
    checked = checked_parts("lint", model, optimizer or Optimizer())
    optimizer = None if optimizer is None else checked
    checks.number("lint: l2, the tutorials' lambda,", l2, least=0)
    if batch_size is not None:
        checks.whole("lint: batch_size", batch_size)
    loss = as_loss(loss, "lint")
    examples = _checked_rows(X, y, loss)
    held_out = _held_out(validation)
    if step is None:  # as `fit` does
        with chance_kept(generators_near([model])), untouched(model):
            lay_out(model, loss, examples, held_out)
    trial = Trial(model, examples, loss, optimizer, l2, batch_size, held_out, step)
    with np.errstate(all="ignore"):
        alone = tuple(chance_rules.batches_of_one(trial)) if len(examples) == 1 else ()
        if alone:  # the model would refuse
            return Findings(alone)
        return Findings(_each_once(found for rule in RULES for found in rule(trial)))


def _checked_rows(X: Any, y: Any, loss: Any) -> Examples:
    """Take the examples, and refuse batches and what has no targets."""
    if is_stream(X):
        raise TypeError(
            "lint: X gives batches, and it looks at rows; give it those of one batch, as X, y = "
            "next(iter(batches))"
        )
    require_targets("lint", y, loss)
    return Examples.checked(X, y, "lint")


def _held_out(validation: Any) -> Examples | None:
    """Take held-out rows; of a share there are none, as it is not among the rows to learn from."""
    if validation is None or isinstance(validation, int | float):
        return None
    return held_out_examples(validation, "lint")


def _each_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Leave out what was found twice, of the same thing."""
    seen = set()
    for found in findings:
        if (found.name, found.where) not in seen:
            seen.add((found.name, found.where))
            yield found
