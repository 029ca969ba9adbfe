"""What a loss is to `fit`: how it is called, and what it may say about itself.

All that training asks a loss is asked here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Protocol, cast

from autonn.engine.tensor import Tensor
from autonn.nn.class_losses import HingeLoss, SigmoidCrossEntropy
from autonn.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.regression_losses import HuberLoss


class Loss(Protocol):
    """What `fit` makes small: a function of predictions and targets that returns one number.

    Where rows have weights it is also given these: by the name `weights`, or third if it has no
    parameter of that name. Any function will do. A loss may say more about itself:

    - ``takes_weights = True``, or False: whether it takes `weights`; of others the parameters tell.
    - ``classifies = True``, or False: whether the targets are classes, so that there is an
      accuracy to measure. Of others `fit` looks at the targets.
    - ``needs_targets = False``: that it goes without targets, though it has a `check`.
    - ``boundary = 0.0``: above which a single output is read as class 1, where it is no
      probability; of others that is 1/2.
    - ``check(targets, shape)``: raises for targets that it can't take, given the shape of their
      predictions. `fit` calls it once, on all targets, before the first step. A subclass that has
      a ``__call__`` of its own, and so may take other targets, is asked only for a `check` of its
      own.

    >>> def absolute(predictions, targets):
    ...     return np.mean(np.absolute(predictions - targets))
    >>> absolute.classifies = False
    """

    def __call__(self, predictions: Any, targets: Any, /, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the cost, a mean over examples."""
        ...


# What losses are called elsewhere. Those of Keras take probabilities, PyTorch's logits: these take
# both, logits or the output of a Softmax or a Sigmoid.
_NAMED: dict[str, Callable[[], Loss]] = {
    name: kind
    for names, kind in (
        ("mse mean_squared_error", MeanSquaredError),
        ("cross_entropy categorical_crossentropy sparse_categorical_crossentropy log_loss",
         SoftmaxCrossEntropy),
        ("binary_crossentropy binary_cross_entropy", SigmoidCrossEntropy),
        ("huber huber_loss", HuberLoss),
        ("hinge hinge_loss", HingeLoss),
    )
    for name in names.split()
}  # fmt: skip


def checked_loss(loss: Any, caller: str = "fit") -> Loss:
    """Return the loss, also of its name; refuse what is none, with what to write in its place.

    The message begins with `caller`.

    >>> checked_loss("mse")
    MeanSquaredError()
    """
    if isinstance(loss, str) and loss in _NAMED:
        return _NAMED[loss]()
    if isinstance(loss, str):
        raise ValueError(
            f"{caller}: loss {loss!r} is not known by name; give a function of predictions and "
            f"targets, as HuberLoss(), or one of {', '.join(_NAMED)}"
        )
    if isinstance(loss, type):
        name = loss.__name__
        raise TypeError(f"{caller}: loss is the class {name}; give one of its kind, loss={name}()")
    if not callable(loss):
        raise TypeError(
            f"{caller}: loss is {loss!r}; give a function of predictions and targets, such as "
            "CrossEntropy() or MeanSquaredError()"
        )
    return cast(Loss, loss)


def weighed(loss: Loss) -> Callable[[Any, Any, Any], Tensor] | None:
    """Return the loss as a function of predictions, targets and weights; None if it takes none.

    >>> weighed(lambda a, y: a) is None
    True
    >>> weighed(lambda a, y, *, weights: weights)(1, 2, 3)
    3
    """
    says = getattr(loss, "takes_weights", None)
    if says is False:
        return None
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # it is written in C
        signature = inspect.Signature()
    parameter = signature.parameters.get("weights")
    if says or (parameter and parameter.kind is not parameter.POSITIONAL_ONLY):
        return lambda predictions, targets, weights: loss(predictions, targets, weights=weights)
    try:
        signature.bind(None, None, None)
    except TypeError:
        return None
    return loss


def check_targets(loss: Loss, targets: Any, shape: Any) -> None:
    """Let the loss refuse targets, of predictions of such a shape, if it has a check of its own."""
    if has_check(loss):
        getattr(loss, "check")(targets, shape)  # noqa: B009  # no loss needs to have one


def has_check(loss: Loss) -> bool:
    """Whether a loss can tell of targets, without predictions, that it can't take them.

    >>> from autonn import CrossEntropy
    >>> has_check(CrossEntropy()), has_check(lambda a, y: a)
    (True, False)
    """
    for kind in type(loss).__mro__:
        if "check" in vars(kind):
            return True
        if "__call__" in vars(kind):
            return False
    return False


def needs_targets(loss: Loss) -> bool:
    """Whether a loss is known to compare predictions with targets.

    >>> from autonn import CrossEntropy, TripletLoss
    >>> needs_targets(CrossEntropy()), needs_targets(TripletLoss()), needs_targets(lambda a, y: a)
    (True, False, False)
    """
    return bool(has_check(loss) and getattr(loss, "needs_targets", True))


def require_targets(caller: str, y: Any, loss: Loss) -> None:
    """Refuse to go without targets where the loss is known to need them; `caller` is who says so.

    >>> from autonn import MeanSquaredError
    >>> require_targets("fit", None, MeanSquaredError())
    Traceback (most recent call last):
    TypeError: fit: y is None, and MeanSquaredError() compares predictions with targets; ...
    """
    if y is None and needs_targets(loss):
        raise TypeError(
            f"{caller}: y is None, and {loss!r} compares predictions with targets; give y, or "
            "a loss that needs none"
        )


def classifies(loss: Loss) -> bool | None:
    """Whether the targets are classes; None if the loss does not say."""
    return getattr(loss, "classifies", None)


def boundary(loss: Loss) -> float:
    """Above what a single output is read as class 1: 1/2, unless the loss says otherwise.

    >>> from autonn import SigmoidCrossEntropy
    >>> boundary(SigmoidCrossEntropy()), boundary(lambda a, y: a)
    (0.0, 0.5)
    """
    return float(getattr(loss, "boundary", 0.5))


def described(thing: Any) -> str:
    """Describe a loss or an optimiser by its settings, the same in every process.

    >>> described(len), described(print).partition(" at ")[1]
    ('<built-in function len>', '')
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing))
