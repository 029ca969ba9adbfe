"""A gradient written by hand, reviewed: whether it is right, and if not, in which line it is wrong.

Read in this order: `recording`, `replaying`, `programs`, `watching`, `trials`, `judging`, `rows`,
`atoms`, `edits`, `expression_edits`, `larger_edits`, `matching`, `causes`, `searching`, `showing`,
`reviewing`.
"""

from autonn.teach.reviewing.reviewing import review
from autonn.teach.reviewing.showing import Review

__all__ = ["Review", "review"]
