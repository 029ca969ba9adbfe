"""Training: `fit`, its history, metrics and checkpoints; `train_step` for loops of one's own.

Read in this order: `showing`, `history`, `progress`, `structures`, `loss`, `losses`, `parts`,
`digests`, `examples`, `away`, `columns`, `metrics`, `measures`, `penalties`, `findings`, `certain`,
`task`, `interrupts`, `hooks`, `state`, `feeds`, `validation`, `given`, `fingerprint`,
`checkpoints`, `compiling`, `selfcheck`, `elsewhere`, `stopping`, `cores`, `loop`, `fitting`,
`averaged`, `rates`, `sequences`, `stepping`.
"""

from typing import TYPE_CHECKING

from autonn.habits import answers_of
from autonn.training.averaged import Averaged, renew_statistics
from autonn.training.checkpoints import read_checkpoint, write_checkpoint
from autonn.training.findings import Finding, LintWarning
from autonn.training.fitting import fit
from autonn.training.history import SERIES, History
from autonn.training.hooks import Seen
from autonn.training.loss import Loss
from autonn.training.losses import Losses
from autonn.training.metrics import accuracy, confusion_matrix, count_readings, top_k
from autonn.training.progress import ProgressBar
from autonn.training.rates import RateSearch, find_rate
from autonn.training.sequences import SequenceBatches, sequence_batches
from autonn.training.stepping import TrainStep, train_step

__all__ = [
    "SERIES",
    "Averaged",
    "Finding",
    "History",
    "LintWarning",
    "Loss",
    "Losses",
    "ProgressBar",
    "RateSearch",
    "Seen",
    "SequenceBatches",
    "TrainStep",
    "accuracy",
    "confusion_matrix",
    "count_readings",
    "find_rate",
    "fit",
    "read_checkpoint",
    "renew_statistics",
    "sequence_batches",
    "top_k",
    "train_step",
    "write_checkpoint",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
