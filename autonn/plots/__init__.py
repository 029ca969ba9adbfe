"""Pictures, because a network that can be looked at is a network that can be understood.

What a network learned is drawn from plain arrays; how it learns, from the model or the loss itself.
Every function gives back a Matplotlib figure, or the axes it drew on. Where such a picture is the
last value of a notebook's cell, it is shown there; saving is the caller's
(`figure.savefig("digits.png")`). Nothing here needs a display, touches Matplotlib's global state,
or imports Matplotlib before a picture is asked for.

Read in this order: `style`, `arguments`, `grids`, `predictions`, `history`, `rates`, `confusion`,
`boundary`, `gradients`, `surface`, `graph_boxes`, `graph_layout`, `graph`.
"""

from typing import TYPE_CHECKING

from autonn.habits import answers_of
from autonn.plots.boundary import decision_boundary
from autonn.plots.confusion import confusion_matrix
from autonn.plots.gradients import gradient_flow
from autonn.plots.graph import computation_graph
from autonn.plots.grids import digits, grid_shape, hidden_units
from autonn.plots.history import learning_curve
from autonn.plots.predictions import probability_bars, readings, worst_mistakes
from autonn.plots.rates import rate_curve
from autonn.plots.surface import loss_surface

__all__ = [
    "computation_graph",
    "confusion_matrix",
    "decision_boundary",
    "digits",
    "gradient_flow",
    "grid_shape",
    "hidden_units",
    "learning_curve",
    "loss_surface",
    "probability_bars",
    "rate_curve",
    "readings",
    "worst_mistakes",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
