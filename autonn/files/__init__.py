"""Files: weights in and out, and the bytes of the formats that they come in.

Whatever is wrong with a file's content is a `FileFormatError`; nothing is ever unpickled.

Read in this order: `errors`, `reading`, `atomic`, `npz`, `safetensors`, `text`, `mat4`, `mat5`,
`mat`, `packed`, `idx`, `fields`, `thetas`, `weights`, `architecture`, `models`.
"""

from autonn.files.atomic import atomic_write
from autonn.files.errors import FileFormatError, FileNamesError
from autonn.files.models import load_model, save_model
from autonn.files.thetas import read_weights, write_weights
from autonn.files.weights import load_weights, save_weights

__all__ = [
    "FileFormatError",
    "FileNamesError",
    "atomic_write",
    "load_model",
    "load_weights",
    "read_weights",
    "save_model",
    "save_weights",
    "write_weights",
]
