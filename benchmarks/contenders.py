"""Who computes one cost and its gradients, in backprop.py: the problems, and each one's way.

A contender is built from a `Problem` and returns a function without arguments, the evaluation,
which computes the cost and all gradients from the parameters and rows that the problem gave it:
(J, dJ/dW1, dJ/db1, dJ/dW2, ...). What can be done once is done when it is built.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import handwritten
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

import autonn
from autonn import (
    CrossEntropy,
    Layer,
    ReLU,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    gradients,
    l2_penalty,
    load_digits,
    one_hot,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import reference

Array = NDArray[Any]
Evaluation = Callable[[], tuple[Any, ...]]

WIDTHS = {"digits": (400, 25, 10), "deep": (784, 512, 256, 10)}


@dataclass(frozen=True)
class Case:
    """Which network, how many examples, which dtype."""

    network: str
    m: int
    dtype: str

    def __str__(self) -> str:
        return f"{'-'.join(map(str, WIDTHS[self.network]))}, m = {self.m:,}, {self.dtype}"


class Problem:
    """The rows and the parameters of a case, the same in every process.

    The digit network has sigmoids, the tutorials' cost and lambda = 1, and real digits; the deep
    one ReLU, softmax, no penalty, and rows drawn at random.
    """

    def __init__(self, case: Case) -> None:
        rng = np.random.default_rng(0)
        widths, dtype = WIDTHS[case.network], np.dtype(case.dtype)
        self.case, self.m, self.dtype = case, case.m, dtype  # the penalty is that of all m
        self.is_deep, self.lam = case.network == "deep", 1.0
        if self.is_deep:
            self.x = rng.random((case.m, widths[0])).astype(dtype)
            self.labels = rng.integers(0, widths[-1], case.m)
        else:
            digits = load_digits()
            rows = rng.permutation(len(digits.y))[: case.m]
            self.x = np.ascontiguousarray(digits.X[rows], dtype)
            self.labels = digits.y[rows].astype(np.intp)
        self.y = one_hot(self.labels, widths[-1], dtype)
        pairs = list(itertools.pairwise(widths))
        ends = [(6 / sum(pair)) ** 0.5 for pair in pairs]  # Glorot's range
        self.weights: list[Array] = [
            rng.uniform(-end, end, (after, before)).astype(dtype)
            for end, (before, after) in zip(ends, pairs, strict=True)
        ]
        self.biases: list[Array] = [
            rng.uniform(-0.1, 0.1, after).astype(dtype) for _, after in pairs
        ]

    @property
    def thetas(self) -> list[Array]:
        """The tutorials' matrices, bias column first."""
        pairs = zip(self.weights, self.biases, strict=True)
        return [np.column_stack([bias, weight]) for weight, bias in pairs]

    def in_order(self, convert: Callable[[Array], Any]) -> list[Any]:
        """Convert W1, b1, W2, b2, ... for another library."""
        pairs = zip(self.weights, self.biases, strict=True)
        return [convert(a.copy()) for pair in pairs for a in pair]


# ---- by hand


def loop(p: Problem) -> Evaluation:
    """Take one example after the other, as the tutorials do."""
    t1, t2 = p.thetas
    return lambda: reference.looped(t1, t2, p.x, p.y, p.lam)


def vectorised(p: Problem) -> Evaluation:
    """Use matrices with columns of ones, the short way from the tutorials' formulas to NumPy."""
    if p.is_deep:
        thetas = p.thetas
        return lambda: handwritten.deep_with_bias_columns(thetas, p.x, p.y)
    t1, t2 = p.thetas
    return lambda: reference.vectorised(t1, t2, p.x, p.y, p.lam)


def by_hand(p: Problem) -> Evaluation:
    """Write it as well as we can."""
    if p.is_deep:
        deep = handwritten.Deep(p.weights, p.biases, p.m)
        return lambda: deep(p.x, p.y)
    digits = handwritten.Digits(p.weights, p.biases, p.m, p.lam)
    return lambda: digits(p.x, p.y)


def products(p: Problem) -> Evaluation:
    """Multiply the matrices that any backprop must and do nothing else: the floor."""
    activations = [p.x, *(np.ones((p.m, len(b)), p.dtype) for b in p.biases)]
    outs = [np.empty_like(a) for a in activations]
    slopes = [np.empty_like(w) for w in p.weights]
    calls: list[tuple[Array, Array, Array]] = []
    for k, weight in enumerate(p.weights):
        calls.append((activations[k], weight.T, outs[k + 1]))
        calls.append((activations[k + 1].T, activations[k], slopes[k]))
        if k > 0:
            calls.append((activations[k + 1], weight, outs[k]))

    def evaluate() -> tuple[Any, ...]:
        for left, right, out in calls:
            np.dot(left, right, out)
        return ()

    return evaluate


# ---- autonn


def network(p: Problem) -> Sequential:
    """Make the network with the problem's parameters."""
    modules: list[Any] = []
    for weight, bias in zip(p.weights, p.biases, strict=True):
        outputs, inputs = weight.shape
        modules.append(Layer(inputs, outputs, weight=weight, bias=bias, dtype=p.dtype))
        modules.append(ReLU() if p.is_deep else Sigmoid())
    return Sequential(*(modules[:-1] if p.is_deep else modules))  # the loss takes the logits


def cost_function(p: Problem, model: Sequential) -> Callable[[Any, Any], Any]:
    """Write the cost as the README does."""
    if p.is_deep:
        loss = SoftmaxCrossEntropy()
        return lambda x, y: loss(model(x), y)
    entropy, lam, m = CrossEntropy(), p.lam, p.m
    return lambda x, y: entropy(model(x), y) + l2_penalty(model, lam, examples=m)


def eager(p: Problem) -> Evaluation:
    """Compute the cost, and call `backward`."""
    model = network(p)
    cost, parameters = cost_function(p, model), model.parameters()

    def evaluate() -> tuple[Any, ...]:
        model.zero_grad()
        value = cost(p.x, p.y)
        value.backward()
        return value.item(), *(parameter.grad for parameter in parameters)

    return evaluate


def compiled_step(p: Problem, model: Sequential) -> Callable[..., Any]:
    """Compile the cost and its gradients: ``step(x, y)`` is (J, dJ/dW1, dJ/db1, ...)."""
    cost, parameters = cost_function(p, model), model.parameters()

    def step(x: Any, y: Any) -> tuple[Any, ...]:
        value = cost(x, y)
        return value.detach(), *gradients(value, parameters)

    return autonn.compile(step)


def compiled(p: Problem) -> Evaluation:
    """Compile the same cost and its gradients."""
    step = compiled_step(p, network(p))
    return lambda: step(p.x, p.y)


# ---- peers


def torch_cost(p: Problem) -> Callable[..., Any]:
    """Write the cost in PyTorch, from logits."""
    torch = importlib.import_module("torch")
    functional = torch.nn.functional

    def cost(x: Any, y: Any, *parameters: Any) -> Any:
        for k in range(0, len(parameters), 2):
            x = functional.linear(x, parameters[k], parameters[k + 1])
            if k + 2 < len(parameters):
                x = torch.relu(x) if p.is_deep else torch.sigmoid(x)
        if p.is_deep:
            return functional.cross_entropy(x, y)
        squares = sum(torch.sum(torch.square(w)) for w in parameters[::2])
        total = functional.binary_cross_entropy_with_logits(x, y, reduction="sum")
        return total / len(x) + p.lam / (2 * p.m) * squares

    return cost


def torch_eager(p: Problem) -> Evaluation:
    """Use PyTorch as it is."""
    return _torch(p, torch_cost(p))


def torch_compiled(p: Problem) -> Evaluation:
    """Use `torch.compile`, which needs a C++ compiler."""
    torch = importlib.import_module("torch")
    importlib.import_module("torch._dynamo").reset()  # it gives up on a function's ninth shape
    return _torch(p, torch.compile(torch_cost(p), fullgraph=True, dynamic=False))


def _torch(p: Problem, cost: Callable[..., Any]) -> Evaluation:
    torch = importlib.import_module("torch")
    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)
    parameters = p.in_order(lambda a: torch.from_numpy(a).requires_grad_())

    def evaluate() -> tuple[Any, ...]:
        value = cost(x, y, *parameters)
        return value, *torch.autograd.grad(value, parameters)

    return evaluate


def jax_jit(p: Problem) -> Evaluation:
    """Use JAX, traced and compiled by XLA."""
    jax, jnp = importlib.import_module("jax"), importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)

    def cost(parameters: Any, x: Any, y: Any) -> Any:
        for k in range(0, len(parameters), 2):
            x = x @ parameters[k].T + parameters[k + 1]
            if k + 2 < len(parameters):
                x = jax.nn.relu(x) if p.is_deep else jax.nn.sigmoid(x)
        if p.is_deep:
            return -jnp.sum(y * jax.nn.log_softmax(x)) / len(x)
        squares = sum(jnp.vdot(w, w) for w in parameters[::2])
        return jnp.sum(jax.nn.softplus(x) - x * y) / len(x) + p.lam / (2 * len(x)) * squares

    both = jax.jit(jax.value_and_grad(cost))
    x, y, parameters = jnp.asarray(p.x), jnp.asarray(p.y), p.in_order(jnp.asarray)

    def evaluate() -> tuple[Any, ...]:
        value, slopes = jax.block_until_ready(both(parameters, x, y))
        return value, *slopes

    return evaluate


def hips_autograd(p: Problem) -> Evaluation:
    """Use HIPS autograd."""
    anp = importlib.import_module("autograd.numpy")
    logsumexp = importlib.import_module("autograd.scipy.special").logsumexp

    def cost(parameters: Any) -> Any:
        x = p.x
        for k in range(0, len(parameters), 2):
            x = anp.dot(x, parameters[k].T) + parameters[k + 1]
            if k + 2 < len(parameters):
                x = anp.maximum(x, 0) if p.is_deep else 1 / (1 + anp.exp(-x))
        if p.is_deep:
            return (anp.sum(logsumexp(x, axis=1)) - anp.sum(x * p.y)) / p.m
        squares = sum(anp.sum(w**2) for w in parameters[::2])
        return anp.sum(anp.logaddexp(0, x) - x * p.y) / p.m + p.lam / (2 * p.m) * squares

    both, parameters = importlib.import_module("autograd").value_and_grad(cost), p.in_order(np.copy)

    def evaluate() -> tuple[Any, ...]:
        value, slopes = both(parameters)
        return value, *slopes

    return evaluate


def mygrad(p: Problem) -> Evaluation:
    """Use MyGrad, without its guards against writing to arrays, as it advises for speed."""
    mg = importlib.import_module("mygrad")
    sigmoid = importlib.import_module("mygrad.nnet.activations").sigmoid
    relu = importlib.import_module("mygrad.nnet.activations").relu
    softmax_crossentropy = importlib.import_module("mygrad.nnet.losses").softmax_crossentropy
    mg.turn_memory_guarding_off()
    parameters = p.in_order(mg.tensor)

    def evaluate() -> tuple[Any, ...]:
        x: Any = p.x
        for k in range(0, len(parameters), 2):
            x = mg.matmul(x, parameters[k].T) + parameters[k + 1]
            if k + 2 < len(parameters):
                x = relu(x) if p.is_deep else sigmoid(x)
        if p.is_deep:
            value = softmax_crossentropy(x, p.labels)
        else:
            squares = sum(mg.sum(mg.square(w)) for w in parameters[::2])
            total = mg.sum(mg.logaddexp(0, x) - x * p.y)
            value = total / p.m + p.lam / (2 * p.m) * squares
        value.backward()
        return value.data, *(parameter.grad for parameter in parameters)

    return evaluate


# ---- all of them


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    Attributes
    ----------
    name
        As the table has it.
    build
        Makes the evaluation.
    kind
        "hand", "autonn", "floor" or "peer".
    package
        What must be installed.
    thetas
        Whether its gradients have the bias in column 0.
    """

    name: str
    build: Callable[[Problem], Evaluation]
    kind: str
    package: str = "numpy"
    thetas: bool = False

    def takes(self, case: Case) -> bool:
        """Whether it knows the network; the tutorials have no loop for a deeper one."""
        return self.build is not loop or case.network == "digits"

    def results(self, result: tuple[Any, ...]) -> list[Array]:
        """Bring what an evaluation returned to arrays in the common order."""
        arrays = [np.array(a.detach().numpy() if hasattr(a, "detach") else a) for a in result]
        if not self.thetas:
            return arrays
        cost, *slopes = arrays
        return [cost, *(part for g in slopes for part in (g[:, 1:], g[:, 0]))]


BEST, PLAIN, FLOOR = "best by hand", "vectorised by hand", "matrix products alone"
EAGER, OURS = "autonn, eager", "autonn, compiled"
ALL = (
    Contender("tutorial's loop", loop, "hand", thetas=True),
    Contender(PLAIN, vectorised, "hand", thetas=True),
    Contender(BEST, by_hand, "hand"),
    Contender(EAGER, eager, "autonn"),
    Contender(OURS, compiled, "autonn"),
    Contender(FLOOR, products, "floor"),
    Contender("PyTorch", torch_eager, "peer", "torch"),
    Contender("PyTorch, compiled", torch_compiled, "peer", "torch"),
    Contender("JAX, jit", jax_jit, "peer", "jax"),
    Contender("autograd", hips_autograd, "peer", "autograd"),
    Contender("MyGrad", mygrad, "peer", "mygrad"),
)


def describe(package: str) -> str:
    """Say which version of a package runs here, on how many threads."""
    module, version = importlib.import_module(package), metadata.version(package)
    if package == "torch":
        return f"torch {version}, {module.get_num_threads()} threads"
    if package == "jax":
        return f"jax {version}, as many threads as CPUs: {os.cpu_count()}"
    if package == "numpy":
        version += f", scipy {metadata.version('scipy')}"
    pools = [f"{pool['internal_api']} {pool['num_threads']} threads" for pool in threadpool_info()]
    return ", ".join([f"{package} {version}", *dict.fromkeys(pools)])
