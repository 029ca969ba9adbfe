"""The building blocks of networks: modules, layers, activations, losses and initialisers.

Read in this order: `init`, `summary`, `walk`, `module`, `functional`, `sequential`, `linear`,
`activations`, `dropout`, `normalisation`, `sliding`, `convolution`, `pooling`, `shape`, `targets`,
`losses`, `penalties`.
"""

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
from autonn.nn.convolution import (
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    conv1d,
    conv2d,
    conv_transpose2d,
)
from autonn.nn.dropout import Dropout
from autonn.nn.functional import functional_call
from autonn.nn.linear import Layer, Linear
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.module import Module
from autonn.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
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
from autonn.nn.sequential import Lambda, Sequential
from autonn.nn.shape import Flatten, Upsample

__all__ = [
    "ELU",
    "GELU",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropy",
    "Dropout",
    "Flatten",
    "GlobalAveragePool",
    "GroupNorm",
    "Identity",
    "Lambda",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "MeanSquaredError",
    "Module",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Tanh",
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
