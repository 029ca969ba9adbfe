"""What was trained leaves: by ONNX, which comes in too, and as a page in which it learns.

Read in this order: `learning`, `whole_layers`, `batches`, `onnx_writer`, `onnx_elements`,
`onnx_moves`, `onnx_windows`, `onnx_sequences`, `onnx_norms`, `onnx_export`, `onnx_arithmetic`,
`onnx_layers`, `onnx_recurrent`, `onnx_import`, `page`, `torch_source`, `exporting`.
"""

from autonn.exits.exporting import export
from autonn.exits.learning import learning_step, start_of
from autonn.exits.onnx_import import OnnxModule, from_onnx

__all__ = ["OnnxModule", "export", "from_onnx", "learning_step", "start_of"]
