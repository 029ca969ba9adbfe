"""Teaching: what backpropagation does, number by number, and what is wrong with one's own.

Read in this order: `reviewing`.
"""

from autonn.teach.reviewing import Review, review

__all__ = ["Review", "review"]
