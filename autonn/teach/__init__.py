"""Teaching: why a network does not learn.

Read in this order: `trial`, `data_rules`, `target_rules`, `start_rules`, `gradient_rules`,
`chance_rules`, `step_rules`, `linting`.
"""

from autonn.teach.linting import Findings, lint

__all__ = [
    "Findings",
    "lint",
]
