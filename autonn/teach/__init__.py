"""Every number of backprop explained, and where a NaN comes from.

Read in this order: `recording`, `steps`, `formulas`, `general`, `chain`, `course`, `terms`,
`pages`, `network_figure`, `explaining`, `debugging`.
"""

from autonn.teach.debugging import NonFiniteError, debug
from autonn.teach.explaining import Explanation, explain

__all__ = [
    "Explanation",
    "NonFiniteError",
    "debug",
    "explain",
]
