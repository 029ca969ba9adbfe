"""What was trained leaves: to phones and servers by ONNX; and comes in from there.

Read in this order: `learning`, `batches`, `onnx_writer`, `onnx_elements`, `onnx_moves`,
`onnx_windows`, `onnx_export`, `onnx_arithmetic`, `onnx_layers`, `onnx_import`, `exporting`.
"""

from autonn.exits.exporting import export
from autonn.exits.onnx_import import OnnxModule, from_onnx

__all__ = ["OnnxModule", "export", "from_onnx"]
