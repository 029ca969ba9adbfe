"""Training: `fit`, its history, metrics and checkpoints; `train_step` for loops of one's own.

Read in this order: `showing`, `history`, `progress`, `loss`, `parts`, `examples`, `columns`,
`metrics`, `task`, `interrupts`, `state`, `fingerprint`, `checkpoints`, `compiling`, `selfcheck`,
`stopping`, `loop`, `fitting`, `stepping`.
"""

from typing import TYPE_CHECKING

from autonn.habits import answers_of
from autonn.training.checkpoints import read_checkpoint, write_checkpoint
from autonn.training.fitting import fit
from autonn.training.history import SERIES, History
from autonn.training.loss import Loss
from autonn.training.metrics import accuracy, confusion_matrix, count_readings, top_k
from autonn.training.progress import ProgressBar
from autonn.training.stepping import TrainStep, train_step

__all__ = [
    "SERIES",
    "History",
    "Loss",
    "ProgressBar",
    "TrainStep",
    "accuracy",
    "confusion_matrix",
    "count_readings",
    "fit",
    "read_checkpoint",
    "top_k",
    "train_step",
    "write_checkpoint",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
