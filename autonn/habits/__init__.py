"""Habits: the words of other libraries, and what to write here in their place.

Whoever asks `autonn` for a word of PyTorch, Keras, JAX, scikit-learn or NumPy that it does not have
is told autonn's own; nothing that is asked for is taken in silence and then ignored.

Read in this order: `of_modules`, `of_classes`, `of_calls`, `answers`.
"""

from autonn.habits.answers import (
    HABITS,
    Answering,
    AnsweringLoss,
    AnsweringOptimizer,
    Count,
    Habit,
    answer_attributes,
    answers_keywords,
    answers_of,
    missing,
    refuse_keywords,
    refuse_unless_taken,
    take_keywords,
)

__all__ = [
    "HABITS",
    "Answering",
    "AnsweringLoss",
    "AnsweringOptimizer",
    "Count",
    "Habit",
    "answer_attributes",
    "answers_keywords",
    "answers_of",
    "missing",
    "refuse_keywords",
    "refuse_unless_taken",
    "take_keywords",
]
