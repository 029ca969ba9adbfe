"""The building blocks of networks: modules, layers, activations, losses and initialisers.

Read in this order: `init`, `mermaid`, `parts`, `walk`, `summary`, `addresses`, `module`,
`functional`, `sequential`, `linear`, `activations`, `dropout`, `normalisation`, `embedding`,
`sliding`, `convolution`, `pooling`, `shape`, `cells`, `recurrent`, `attention`, `targets`,
`losses`, `class_losses`, `regression_losses`, `similarity_losses`, `penalties`.
"""

from typing import TYPE_CHECKING

from autonn.habits import answers_of
from autonn.nn import init
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
from autonn.nn.convolution import (
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    conv1d,
    conv2d,
    conv_transpose2d,
)
from autonn.nn.dropout import Dropout
from autonn.nn.embedding import Embedding
from autonn.nn.functional import functional_call
from autonn.nn.linear import Layer, Linear
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.module import Module
from autonn.nn.normalisation import BatchNorm, BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from autonn.nn.penalties import l2_penalty
from autonn.nn.pooling import (
    AvgPool1d,
    AvgPool2d,
    GlobalAveragePool,
    MaxPool1d,
    MaxPool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from autonn.nn.recurrent import GRU, LSTM, RNN, Last, Outputs
from autonn.nn.regression_losses import GaussianNLL, HuberLoss
from autonn.nn.sequential import Lambda, Sequential
from autonn.nn.shape import Flatten, Upsample
from autonn.nn.similarity_losses import CosineSimilarityLoss, TripletLoss

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
    "TripletLoss",
    "Upsample",
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "functional_call",
    "init",
    "l2_penalty",
    "max_pool1d",
    "max_pool2d",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
