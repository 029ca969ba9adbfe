"""Teaching: why a network does not learn, and how it learns where it does.

Read in this order: `trial`, `data_rules`, `target_rules`, `start_rules`, `gradient_rules`,
`chance_rules`, `step_rules`, `linting`, `vitals`, `dashboard`, `watch`, `film`.
"""

from autonn.teach.film import Film
from autonn.teach.linting import Findings, lint
from autonn.teach.vitals import Vitals
from autonn.teach.watch import Watch

__all__ = [
    "Film",
    "Findings",
    "Vitals",
    "Watch",
    "lint",
]
