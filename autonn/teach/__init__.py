"""Teaching: backprop explained and reviewed, where a NaN comes from, why it does not learn.

Read in this order: `recording`, `steps`, `formulas`, `general`, `chain`, `course`, `terms`,
`pages`, `network_figure`, `explaining`, `debugging`; of training, `trial`, `data_rules`,
`target_rules`, `start_rules`, `gradient_rules`, `chance_rules`, `step_rules`, `linting`, `vitals`,
`dashboard`, `watch`, `film`; of one's own gradients, `reviewing`.
"""

from autonn.teach.debugging import NonFiniteError, debug
from autonn.teach.explaining import Explanation, explain
from autonn.teach.film import Film
from autonn.teach.linting import Findings, lint
from autonn.teach.reviewing import Review, review
from autonn.teach.vitals import Vitals
from autonn.teach.watch import Watch

__all__ = [
    "Explanation",
    "Film",
    "Findings",
    "NonFiniteError",
    "Review",
    "Vitals",
    "Watch",
    "debug",
    "explain",
    "lint",
    "review",
]
