"""The building blocks of networks: modules, layers, activations, losses and initialisers.

Read in this order: `init`, `summary`, `walk`, `module`, `sequential`, `linear`, `activations`,
`dropout`, `normalisation`, `embedding`, `shape`, `targets`, `losses`, `class_losses`,
`regression_losses`, `similarity_losses`, `penalties`.
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
from autonn.nn.class_losses import HingeLoss, KLDivergence, SigmoidCrossEntropy
from autonn.nn.dropout import Dropout
from autonn.nn.embedding import Embedding
from autonn.nn.linear import Layer, Linear
from autonn.nn.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from autonn.nn.module import Module
from autonn.nn.normalisation import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from autonn.nn.penalties import l2_penalty
from autonn.nn.regression_losses import GaussianNLL, HuberLoss
from autonn.nn.sequential import Lambda, Sequential
from autonn.nn.shape import Flatten
from autonn.nn.similarity_losses import CosineSimilarityLoss, TripletLoss

__all__ = [
    "ELU",
    "GELU",
    "BatchNorm1d",
    "BatchNorm2d",
    "CosineSimilarityLoss",
    "CrossEntropy",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNLL",
    "GroupNorm",
    "HingeLoss",
    "HuberLoss",
    "Identity",
    "KLDivergence",
    "Lambda",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MeanSquaredError",
    "Module",
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
    "init",
    "l2_penalty",
]
