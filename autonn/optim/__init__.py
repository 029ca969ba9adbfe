"""Optimisers: how the gradients change the parameters.

Two families share the cost function, the history of costs and the refusals. Those that take one
step per gradient (`SGD`, `RMSprop`, `Adam`, `AdamW`) learn from mini-batches too; their learning
rate may follow a schedule. Those that hand the whole search to SciPy (`LBFGS`, `Newton`) look at
all the data at each step, and choose the lengths of their steps themselves.

Read in this order: `selection`, `averages`, `schedules`, `base`, `slots`, `together`, `steps`,
`sgd`, `adaptive`, `grouped`, `bounds`, `search`.
"""

from typing import TYPE_CHECKING

from autonn.habits import answers_of
from autonn.optim.adaptive import Adam, AdamW, RMSprop
from autonn.optim.averages import EMA, SWA, Average
from autonn.optim.base import Optimizer
from autonn.optim.grouped import Groups, groups
from autonn.optim.schedules import Schedule, constant, cosine, one_cycle, step_decay, warm_up
from autonn.optim.search import LBFGS, Newton
from autonn.optim.sgd import SGD
from autonn.optim.steps import StepOptimizer

__all__ = [
    "EMA",
    "LBFGS",
    "SGD",
    "SWA",
    "Adam",
    "AdamW",
    "Average",
    "Groups",
    "Newton",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepOptimizer",
    "constant",
    "cosine",
    "groups",
    "one_cycle",
    "step_decay",
    "warm_up",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
