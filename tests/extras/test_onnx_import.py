"""What comes in from ONNX computes what the file means, and can be trained."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.exit_networks import NETWORKS
from tools.profiles import DEEP

import autonn as an
from autonn import nn, optim
from autonn.exits.onnx_export import onnx_model
from autonn.exits.onnx_import import RULES, OnnxModule, from_onnx
from autonn.files.errors import FileFormatError

onnx = pytest.importorskip("onnx")


# ---- onnx's own cases of single nodes


def cases() -> Iterator[Any]:
    """Yield those cases of our node types; all of them in a deep run, which makes them in 14 s."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        package = importlib.import_module("onnx.backend.test.case.node")
        if DEEP:
            yield from package.collect_testcases(None)
            return
        few = {"relu", "elu", "clip", "slice", "pad", "pow", "reducemax",
               "gemm", "matmul", "conv", "convtranspose", "batchnorm", "layernormalization",
               "split", "gather", "where", "softmax", "logsoftmax", "cumsum", "trilu", "einsum",
               "reshape", "onehot", "lstm", "gru", "rnn", "reduce_mean", "gelu",
               "unsqueeze", "tile"}  # fmt: skip
        known = len(package._NodeTestCases)
        for module in pkgutil.iter_modules(package.__path__):
            if module.name in few:
                importlib.import_module(f"onnx.backend.test.case.node.{module.name}")
        yield from package._NodeTestCases[known:]


def is_ours(case: Any) -> bool:
    """Whether all its node types are ours, and all its arrays of dtypes that NumPy has."""
    kinds = {n.op_type for n in case.model.graph.node}
    arrays = [a for set_ in case.data_sets for part in set_ for a in part]
    plain = all(isinstance(a, np.ndarray) and a.dtype in PLAIN for a in arrays)
    return kinds <= set(RULES) and plain and not any(n.domain for n in case.model.graph.node)


PLAIN = [np.dtype(c) for c in "?bBhHiIqQfd"]


def outcome(case: Any) -> str:
    """Say whether a case is computed rightly, is refused, or what is wrong."""
    try:
        model = OnnxModule(case.model)
        for given, expected in case.data_sets:
            result = model.forward(*given)
            results = result if isinstance(result, tuple) else (result,)
            for got, array in zip(results, expected, strict=True):
                assert (got.shape, got.dtype) == (array.shape, array.dtype)
                np.testing.assert_allclose(got.numpy(), array, rtol=case.rtol, atol=case.atol)
    except NotImplementedError as refused:
        return f"refused: {refused}"
    except AssertionError as error:
        return f"wrong: {str(error)[:200]}"
    return "right"


def test_the_cases_of_onnx_itself_are_computed_rightly_or_refused() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = {case.name: outcome(case) for case in cases() if is_ours(case)}
    assert {name: said for name, said in found.items() if said.startswith("wrong")} == {}
    right = [name for name, said in found.items() if said == "right"]
    assert len(right) > 0.95 * len(found)
    assert len(right) > (700 if DEEP else 150)


# ---- out and in again


@pytest.mark.parametrize("name", NETWORKS)
def test_what_went_out_comes_in_again_with_its_gradients(name: str) -> None:
    make, x = NETWORKS[name]
    model = make().eval()
    back = OnnxModule(onnx_model(model, x[:1], dtype="float64"))
    np.testing.assert_allclose(back.predict(x), model.predict(x), rtol=1e-12, atol=1e-14)
    for module in (model, back):
        np.sum(np.sin(module(x))).backward()
    own, came = dict(model.named_parameters()), dict(back.named_parameters())
    assert set(came) <= set(own)
    for key, parameter in came.items():
        np.testing.assert_allclose(parameter.grad, own[key].grad, rtol=1e-9, atol=1e-12)
    missing = {key: own[key].grad for key in own.keys() - came.keys()}
    assert {key for key, grad in missing.items() if np.any(grad)} == set()
    assert dict(back.named_buffers()).keys() <= dict(model.named_buffers()).keys()


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_recurrent_nodes_come_in_again_with_gradients(name: str) -> None:
    make, x = NETWORKS[name]
    model, x = make().eval(), x.astype(np.float32)
    back = OnnxModule(onnx_model(model, x[:1]))
    assert len(dict(back.named_parameters())) >= 2
    a, b = (an.grad(lambda x, m=m: np.sum(np.sin(m(x))))(x) for m in (model, back))
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-5)


def test_it_is_trained_and_compiled(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)
    an.export(nn.Sequential(nn.Layer(3, 5, rng=0), nn.Tanh(), nn.Layer(5, 2, rng=1)), path, X[:1])
    model = from_onnx(path)
    history = an.fit(
        model, X, y, loss=an.SoftmaxCrossEntropy(), optimizer=optim.Adam(lr=0.05), epochs=30
    )
    assert history.cost[-1] < 0.5 * history.cost[0]
    assert history.compiled
    assert list(dict(model.named_parameters())) == ["0.weight", "0.bias", "2.weight", "2.bias"]


# ---- what PyTorch wrote


def torch_networks(torch: Any) -> dict[str, tuple[Any, Any]]:
    """Make networks of PyTorch, each with what it is fed."""
    t, n = torch, torch.nn

    class Reader(n.Module):  # type: ignore[misc,name-defined,unused-ignore]
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.rows = getattr(n, kind)(3, 4, 2, bidirectional=True, batch_first=True)
            self.out = n.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.rows(x)[0][:, -1])

    made = {kind: (Reader(kind), t.randn(3, 5, 3)) for kind in ("RNN", "GRU", "LSTM")}
    attention = n.Sequential(n.TransformerEncoderLayer(8, 2, 16, batch_first=True))
    made["attention"] = attention, t.randn(2, 5, 8)
    made["pictures"] = (
        n.Sequential(
            n.Conv2d(2, 4, 3, 2, 1), n.BatchNorm2d(4), n.SiLU(), n.MaxPool2d(2),
            n.ConvTranspose2d(4, 2, 2, 2), n.AvgPool2d(2), n.Flatten(), n.Linear(18, 3),
        ),
        t.randn(3, 2, 12, 12),
    )  # fmt: skip
    made["rows"] = (
        n.Sequential(n.Linear(4, 5), n.GELU(), n.LayerNorm(5), n.Linear(5, 2), n.Softmax(-1)),
        t.randn(3, 4),
    )
    return made


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM", "attention", "pictures", "rows"])
def test_networks_that_pytorch_wrote_compute_the_same(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network, x = torch_networks(torch)[name]
    network(x)  # running means have moved then
    network.eval()
    path = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x,), path, dynamo=False, opset_version=17)
    expected = network(x).detach().numpy()
    np.testing.assert_allclose(from_onnx(path).predict(x.numpy()), expected, atol=1e-6)


# ---- what is refused


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(b"PK not at all")
    with pytest.raises(FileFormatError, match=r"no\.onnx"):
        from_onnx(path)


def test_nodes_without_a_counterpart_are_named(tmp_path: Path) -> None:
    info = onnx.helper.make_tensor_value_info("x", 1, [1, 1, 4, 4])
    out = onnx.helper.make_tensor_value_info("y", 1, [1, 1, 4, 4])
    node = onnx.helper.make_node("LRN", ["x"], ["y"], size=3)
    proto = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [info], [out]),
        opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    path = tmp_path / "lrn.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(NotImplementedError, match="nodes of type LRN"):
        from_onnx(path)
