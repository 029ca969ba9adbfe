"""Training: `fit`, its history, metrics and checkpoints.

Read in this order: `history`, `progress`, `loss`, `examples`, `metrics`, `task`, `interrupts`,
`state`, `fingerprint`, `checkpoints`, `compiling`, `selfcheck`, `stopping`,
`loop`, `fitting`.
"""

from autonn.training.checkpoints import read_checkpoint, write_checkpoint
from autonn.training.fitting import fit
from autonn.training.history import SERIES, History
from autonn.training.loss import Loss
from autonn.training.metrics import accuracy, confusion_matrix, count_readings, top_k
from autonn.training.progress import ProgressBar

__all__ = [
    "SERIES",
    "History",
    "Loss",
    "ProgressBar",
    "accuracy",
    "confusion_matrix",
    "count_readings",
    "fit",
    "read_checkpoint",
    "top_k",
    "write_checkpoint",
]
