"""The building blocks of networks: modules, layers, activations, losses and initialisers.

Read in this order: `init`, `summary`, `walk`, `module`, `sequential`, `linear`, `activations`,
`dropout`, `shape`, `targets`, `losses`, `penalties`.
"""

from autonn.nn import init
from autonn.nn.activations import ReLU, Sigmoid, Softmax, Tanh
from autonn.nn.dropout import Dropout
from autonn.nn.linear import Layer, Linear
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.module import Module
from autonn.nn.penalties import l2_penalty
from autonn.nn.sequential import Lambda, Sequential
from autonn.nn.shape import Flatten

__all__ = [
    "CrossEntropy",
    "Dropout",
    "Flatten",
    "Lambda",
    "Layer",
    "Linear",
    "MeanSquaredError",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Tanh",
    "init",
    "l2_penalty",
]
