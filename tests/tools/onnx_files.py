"""ONNX files, run by onnxruntime and by onnx's own evaluator."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np

from autonn.exits.onnx_export import onnx_model

__all__ = ["furthest", "session"]


def session(model: Any) -> Any:
    """Load a model into onnxruntime, which computes on one core and says nothing."""
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    content = model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def furthest(model: Any, x: Any, sizes: tuple[int, ...], dtype: str = "float32") -> float:
    """Return the largest difference, as a share of the largest output."""
    made = onnx_model(model, x[:1], dtype=dtype)
    evaluator = importlib.import_module("onnx.reference")
    readers = [session(made), evaluator.ReferenceEvaluator(made)]
    worst = 0.0
    for size in sizes:
        rows = x[np.arange(size) % len(x)]
        expected = model.predict(rows)
        fed = rows.astype(dtype) if rows.dtype.kind == "f" else rows
        for reader in readers:
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    (got,) = reader.run(None, {"input": fed})
            except NotImplementedError as error:  # of two directions, in onnx before 1.18
                if "num_directions" not in str(error):
                    raise
                continue
            assert got.shape == expected.shape
            largest = max(float(np.abs(expected).max()), 1e-300)
            worst = max(worst, float(np.abs(got - expected).max()) / largest)
    return worst
