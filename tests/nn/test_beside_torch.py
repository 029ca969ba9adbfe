"""PyTorch's layers and losses are what most people know: where they are here, they must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import autonn
from autonn import Tensor

torch: Any = pytest.importorskip("torch")

Array = NDArray[Any]
TOLERANCE = 1e-12


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=TOLERANCE, atol=TOLERANCE)


# ---- layers: the same weights, the same numbers, states and gradients

LAYERS: dict[str, tuple[Callable[[], Any], Callable[[], Any], tuple[int, ...]]] = {
    "GELU": (autonn.GELU, torch.nn.GELU, (5, 4)),
    "GELU by tanh": (
        lambda: autonn.GELU(approximate="tanh"), lambda: torch.nn.GELU(approximate="tanh"), (5, 4),
    ),
    "LeakyReLU": (lambda: autonn.LeakyReLU(0.2), lambda: torch.nn.LeakyReLU(0.2), (5, 4)),
    "ELU": (lambda: autonn.ELU(0.7), lambda: torch.nn.ELU(0.7), (5, 4)),
    "SiLU": (autonn.SiLU, torch.nn.SiLU, (5, 4)),
    "Softplus": (autonn.Softplus, lambda: torch.nn.Softplus(threshold=1000), (5, 4)),
    "LogSoftmax": (autonn.LogSoftmax, lambda: torch.nn.LogSoftmax(-1), (5, 4)),
    "BatchNorm1d": (lambda: autonn.BatchNorm1d(4), lambda: torch.nn.BatchNorm1d(4), (5, 4)),
    "BatchNorm1d of lines": (
        lambda: autonn.BatchNorm1d(4, momentum=0.3), lambda: torch.nn.BatchNorm1d(4, momentum=0.3),
        (5, 4, 3),
    ),
    "BatchNorm2d": (
        lambda: autonn.BatchNorm2d(3, affine=False), lambda: torch.nn.BatchNorm2d(3, affine=False),
        (2, 3, 4, 5),
    ),
    "LayerNorm": (lambda: autonn.LayerNorm(4), lambda: torch.nn.LayerNorm(4), (5, 4)),
    "LayerNorm of tables": (
        lambda: autonn.LayerNorm((3, 4)), lambda: torch.nn.LayerNorm((3, 4)), (5, 3, 4),
    ),
    "GroupNorm": (lambda: autonn.GroupNorm(2, 6), lambda: torch.nn.GroupNorm(2, 6), (3, 6, 2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_agrees_in_values_gradients_and_states(name: str) -> None:
    make, make_theirs, shape = LAYERS[name]
    ours, theirs = make(), make_theirs().double()
    rng = np.random.default_rng(0)
    for parameter in ours.parameters():
        parameter.data = rng.standard_normal(parameter.shape)
    state = {key: torch.tensor(array) for key, array in ours.state_dict().items()}
    theirs.load_state_dict(state)
    factor = rng.standard_normal(shape)
    for k in range(3):
        x = Tensor(rng.standard_normal(shape) * 3 + k, requires_grad=True)
        its = torch.tensor(x.numpy(), requires_grad=True)
        if k == 2:
            ours.eval()
            theirs.eval()
        ours.zero_grad()
        theirs.zero_grad()
        z, t = ours(x), theirs(its)
        np.sum(z * factor).backward()
        (t * torch.tensor(factor)).sum().backward()
        close(z.data, t)
        close(x.grad, its.grad)
        for key, parameter in ours.named_parameters():
            close(parameter.grad, theirs.get_parameter(key).grad)
        for key, buffer in ours.named_buffers():
            close(buffer.data, theirs.get_buffer(key))


@pytest.mark.parametrize("padding", [None, 2])
def test_an_embedding_agrees(padding: int | None) -> None:
    ours, theirs = (
        autonn.Embedding(5, 3, padding, rng=0),
        torch.nn.Embedding(5, 3, padding).double(),
    )
    theirs.load_state_dict({"weight": torch.tensor(ours.weight.numpy())})
    x = np.array([[2, 0, 4], [4, 4, 2]])
    z, t = ours(x), theirs(torch.tensor(x))
    close(z.data, t)
    np.sum(z**2 + z).backward()
    (t**2 + t).sum().backward()
    close(ours.weight.grad, theirs.weight.grad)


# ---- losses: the same numbers and gradients, each reduced as it is here


F: Any = torch.nn.functional
RNG = np.random.default_rng(0)
CLASSES, LABELS = RNG.integers(0, 4, (5, 3)), RNG.integers(0, 4, 5)
WEIGHT = np.array([0.5, 2.0, 1.0, 0.25])
NUMBERS, ANSWERS = RNG.standard_normal((5, 4)), RNG.random((5, 4))
SHARES = RNG.dirichlet(np.ones(4), 5)


def last(loss: Any) -> Any:
    """Give PyTorch the classes along axis 1, where it has them."""
    return lambda z, y: loss(torch.movedim(z, -1, 1), y)


def by_rows(z: Any, y: Any, **more: Any) -> Any:
    """Divide by the rows, where PyTorch divides by the sum of the class weights."""
    return F.cross_entropy(z, y, reduction="sum", **more) / len(y)


LOSSES: dict[str, tuple[Any, Callable[[Any, Any], Any], tuple[int, ...], Any]] = {
    "of texts": (autonn.SoftmaxCrossEntropy(), last(F.cross_entropy), (5, 3, 4), CLASSES),
    "of a text in parts": (
        autonn.SoftmaxCrossEntropy(ignore_index=2, label_smoothing=0.3),
        last(lambda z, y: F.cross_entropy(z, y, ignore_index=2, label_smoothing=0.3)),
        (5, 3, 4), CLASSES,
    ),
    "weighted": (
        autonn.SoftmaxCrossEntropy(class_weight=WEIGHT, label_smoothing=0.1),
        lambda z, y: by_rows(z, y, weight=torch.tensor(WEIGHT), label_smoothing=0.1),
        (5, 4), LABELS,
    ),
    "of shares": (
        autonn.SoftmaxCrossEntropy(class_weight=WEIGHT, label_smoothing=0.1),
        lambda z, y: F.cross_entropy(z, y, weight=torch.tensor(WEIGHT), label_smoothing=0.1),
        (5, 4), SHARES,
    ),
    "SigmoidCrossEntropy": (
        autonn.SigmoidCrossEntropy(), F.binary_cross_entropy_with_logits, (5, 4), ANSWERS,
    ),
    "HingeLoss": (
        autonn.HingeLoss(0.7), lambda z, y: 4 * F.multi_margin_loss(z, y, margin=0.7),
        (5, 4), LABELS,
    ),
    "KLDivergence": (
        lambda z, y: autonn.KLDivergence()(autonn.softmax(z), y),
        lambda z, y: F.kl_div(F.log_softmax(z, -1), y, reduction="batchmean"), (5, 4), SHARES,
    ),
    "HuberLoss": (
        autonn.HuberLoss(0.7), lambda z, y: F.huber_loss(z, y, delta=0.7), (5, 4), NUMBERS,
    ),
    "GaussianNLL": (
        autonn.GaussianNLL(),
        lambda z, y: F.gaussian_nll_loss(z[:, :4], y, torch.exp(z[:, 4:]), eps=1e-300),
        (5, 8), NUMBERS,
    ),
    "CosineSimilarityLoss": (
        autonn.CosineSimilarityLoss(),
        lambda z, y: F.cosine_embedding_loss(z, y, torch.ones(5)), (5, 4), NUMBERS,
    ),
    "TripletLoss": (
        autonn.TripletLoss(2.0),
        lambda z, y: F.triplet_margin_loss(z[:, 0], z[:, 1], z[:, 2], margin=2.0, eps=0),
        (5, 3, 4), LABELS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_agrees_in_values_and_gradients(name: str) -> None:
    ours, theirs, shape, targets = LOSSES[name]
    z = Tensor(2 * np.random.default_rng(1).standard_normal(shape), requires_grad=True)
    t = torch.tensor(z.numpy(), requires_grad=True)
    cost, its = ours(z, targets), theirs(t, torch.tensor(targets))
    cost.backward()
    its.backward()
    np.testing.assert_allclose(cost.data, its.item(), rtol=1e-10)
    np.testing.assert_allclose(z.grad, t.grad.numpy(), rtol=1e-10, atol=1e-12)
