"""autonn: reverse-mode autodiff and neural networks in plain NumPy.

The rooms in the order of reading, and what each stands on: it imports from there, from what those
stand on, and from nowhere else. The files of a room have their order at the top of its own
`__init__.py`.

    habits       -                      words of other libraries, and what to write in their place
    checks       -                      the questions that every room asks of its arguments
    threads      -                      the pools of BLAS, and workers that share rows out
    engine       habits                 `Tensor`, its ops and their rules, the backward pass
    random       engine                 random numbers that compiled programs draw anew
    compiler     engine, threads        `compile`, the flat NumPy program of a function
    distributed  compiler, checks       rows that others hold: threads, and the workers of Dask
    nn           engine, checks         modules, layers, activations, losses, initialisers
    files        nn                     weights and models in and out, the formats of files
    data         files                  the digits, sets of pictures, the course's examples, photos
    optim        nn, threads            gradient descent and its kin, schedules; searches by SciPy
    training     distributed, optim, data  `fit`, its history and checkpoints, metrics
    plots        training               pictures of digits, histories, boundaries and graphs
    teach        training, plots        backprop explained and reviewed, NaN found, training linted
    sklearn      training               estimators of scikit-learn, which is an extra
    exits        compiler, data, optim  ONNX files out and in, pages in which a network learns
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from autonn import nn
from autonn.compiler import compile
from autonn.engine.apply import op
from autonn.engine.batching import vmap
from autonn.engine.higher import hessian, hvp, jacobian, jvp
from autonn.engine.modes import no_grad
from autonn.engine.ops import (
    elu,
    erf,
    gelu,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    logsumexp,
    one_hot,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
)
from autonn.engine.recompute import checkpoint
from autonn.engine.scanning import scan
from autonn.engine.tensor import Tensor
from autonn.engine.transforms import grad, gradients, stop_gradient, value_and_grad, vjp
from autonn.habits import missing
from autonn.nn.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from autonn.nn.attention import MultiheadAttention, PositionEncoding
from autonn.nn.cells import GRUCell, LSTMCell, RNNCell
from autonn.nn.class_losses import HingeLoss, KLDivergence, SigmoidCrossEntropy
from autonn.nn.convolution import Conv1d, Conv2d, ConvTranspose2d
from autonn.nn.dropout import Dropout
from autonn.nn.embedding import Embedding
from autonn.nn.functional import functional_call
from autonn.nn.linear import Layer, Linear
from autonn.nn.losses import (
    CrossEntropy,
    MeanSquaredError,
    SoftmaxCrossEntropy,
)
from autonn.nn.module import Module
from autonn.nn.normalisation import BatchNorm, BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from autonn.nn.penalties import l2_penalty
from autonn.nn.pooling import AvgPool1d, AvgPool2d, GlobalAveragePool, MaxPool1d, MaxPool2d
from autonn.nn.recurrent import GRU, LSTM, RNN, Last, Outputs
from autonn.nn.regression_losses import GaussianNLL, HuberLoss
from autonn.nn.sequential import Lambda, Sequential
from autonn.nn.shape import Flatten, Upsample
from autonn.nn.similarity_losses import CosineSimilarityLoss, TripletLoss

if TYPE_CHECKING:
    from autonn import optim, plots, random
    from autonn.data import load_digits
    from autonn.engine.gradcheck import GradientError, gradcheck
    from autonn.exits import export, from_onnx
    from autonn.files import load_model, load_weights, save_model, save_weights
    from autonn.teach.debugging import debug
    from autonn.teach.explaining import explain
    from autonn.teach.linting import lint
    from autonn.teach.reviewing import review
    from autonn.training.fitting import fit
    from autonn.training.stepping import train_step

__version__ = "0.2.0"

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CosineSimilarityLoss",
    "CrossEntropy",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GaussianNLL",
    "GlobalAveragePool",
    "GradientError",
    "GroupNorm",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "KLDivergence",
    "LSTMCell",
    "Lambda",
    "Last",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "MeanSquaredError",
    "Module",
    "MultiheadAttention",
    "Outputs",
    "PositionEncoding",
    "RNNCell",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
    "Tensor",
    "TripletLoss",
    "Upsample",
    "checkpoint",
    "compile",
    "debug",
    "elu",
    "erf",
    "explain",
    "export",
    "fit",
    "from_onnx",
    "functional_call",
    "gelu",
    "grad",
    "gradcheck",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "l2_penalty",
    "leaky_relu",
    "lint",
    "load_digits",
    "load_model",
    "load_weights",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "nn",
    "no_grad",
    "one_hot",
    "op",
    "optim",
    "plots",
    "random",
    "relu",
    "review",
    "save_model",
    "save_weights",
    "scan",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "stop_gradient",
    "train_step",
    "value_and_grad",
    "vjp",
    "vmap",
]

# What is read when it is first asked for: together these would take half the time of the import.
_LATER = {
    "GradientError": "engine.gradcheck", "gradcheck": "engine.gradcheck",
    "load_digits": "data", "load_model": "files", "load_weights": "files",
    "save_model": "files", "save_weights": "files",
    "fit": "training.fitting", "train_step": "training.stepping",
    "debug": "teach.debugging", "explain": "teach.explaining", "lint": "teach.linting",
    "review": "teach.reviewing", "export": "exits", "from_onnx": "exits",
}  # fmt: skip
_ROOMS = frozenset(
    {
        "checks", "data", "exits", "files", "habits", "optim", "plots", "random", "teach",
        "threads", "training",
    }
)  # fmt: skip
_EXTRAS = frozenset({"sklearn"})  # not listed: they may not be installed


def __getattr__(name: str) -> Any:
    """Read a room, or the file of a name, when it is first asked for."""
    if name in _ROOMS or name in _EXTRAS:
        return importlib.import_module(f"autonn.{name}")
    if name not in _LATER:
        raise missing("autonn", name)
    value = getattr(importlib.import_module(f"autonn.{_LATER[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_ROOMS})
