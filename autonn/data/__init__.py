"""The digits come in here, the course's examples, and pictures of one's own handwriting.

Read in this order: `splits`, `resample`, `course`, `digits`, `images`, `photos`, `sheets`,
`rulings`, `pieces`, `pictures`.
"""

from typing import TYPE_CHECKING

from autonn.data.course import as_images, read_examples, unroll, write_examples
from autonn.data.digits import Digits, load_digits
from autonn.data.images import load_images
from autonn.data.photos import read_image
from autonn.data.pictures import digit_from_image, read_digit
from autonn.data.resample import resampling_matrix, shrink
from autonn.data.splits import batches, split
from autonn.habits import answers_of

__all__ = [
    "Digits",
    "as_images",
    "batches",
    "digit_from_image",
    "load_digits",
    "load_images",
    "read_digit",
    "read_examples",
    "read_image",
    "resampling_matrix",
    "shrink",
    "split",
    "unroll",
    "write_examples",
]

if not TYPE_CHECKING:
    __getattr__ = answers_of(__name__)
