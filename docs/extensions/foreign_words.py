"""Tables of the words of a library, from those that autonn's own errors read: `autonn.habits`."""

from __future__ import annotations

import re

import public

from autonn.habits import HABITS

# Where a word is tried, as readers say it.
PLACES = {
    "autonn": "Functions of the package", "autonn.nn": "Layers and losses, in `nn`",
    "autonn.nn.functional": "Functions of `nn.functional`",
    "autonn.nn.init": "Initialisers, in `nn.init`", "autonn.optim": "In `optim`",
    "autonn.training": "In `training`", "autonn.data": "In `data`", "autonn.plots": "In `plots`",
    "autonn.random": "In `random`", "Tensor": "Of a Tensor", "Module": "Of a model",
    "Optimizer": "Of an optimiser", "History": "Of the history of a run",
    "fit()": "Arguments of `fit`", "layers()": "Arguments of layers",
    "losses()": "Arguments of losses", "optimizers()": "Arguments of optimisers",
    "data()": "Arguments in `data`", "compile()": "Arguments of `compile`",
    "predict()": "Arguments of a model's call",
    "cost()": "Arguments of a loss's call", "state()": "Arguments of `load_state_dict`",
    "axis()": "Arguments of functions along an axis",
}  # fmt: skip

# What is code in an answer: a call, something of something, an argument, an index.
CODE = re.compile(
    r'[A-Za-z_][\w.]*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|"[^"]*"|\b\w+(?:\.\w+)*\[[^\]]*\]|'
    r"\b[A-Za-z_]\w*(?:\.[A-Za-z_⟨]\w*⟩?)+|\b\w+=\([^()]*\)|\b\w+=(?!=)\S*[^\s.,;:]|\b\w+=|\b\w+\b"
)
Rows = list[tuple[list[str], str]]


def table(library: str) -> dict[str, Rows]:
    """Return, for each place, the words of a library with one answer, and the answer.

    Where several words are each to be written elsewhere, the answer has ⟨word⟩ in its place.

    >>> table("PyTorch")["Tensor"][0]
    (['view'], 'write x.reshape(shape)')

    Raises
    ------
    ValueError
        For a library that no word is of, with those that there are.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for habit in HABITS.values():
        if library in habit.libraries.split(", "):
            answer = re.sub(rf"(?<=\.){habit.word}\b", "⟨word⟩", habit.answer)
            found.setdefault(habit.place, {}).setdefault(answer, []).append(habit.word)
    if not found:
        known = sorted({name for habit in HABITS.values() for name in habit.libraries.split(", ")})
        raise ValueError(f"no word is of {library!r}; there are those of {', '.join(known)}")
    return {
        place: [
            (words, answer if len(words) > 1 else answer.replace("⟨word⟩", words[0]))
            for answer, words in answers.items()
        ]
        for place, answers in found.items()
    }


def marked(answer: str) -> str:
    """Mark what is code in an answer.

    >>> marked("write np.concatenate([x, y]), which takes Tensors; see Optimizer's clip_norm=")
    "write `np.concatenate([x, y])`, which takes Tensors; see `Optimizer`'s `clip_norm=`"
    """

    def mark(match: re.Match[str]) -> str:
        text = match[0]
        plain = text.isalnum() and (text[0].islower() or text not in PUBLIC) and text != "fit"
        return text if plain else f"`{text}`"

    return CODE.sub(mark, answer)


PUBLIC = {entry.bare for entry in public.unique()}


def markdown(library: str) -> str:
    """Write the tables of a library."""
    parts = []
    for place, rows in table(library).items():
        parts += [f"**{PLACES[place]}**", "", f"| {library} | here |", "|---|---|"]
        for words, answer in rows:
            shown = " ".join(f"`{word}`" for word in words)
            parts.append(f"| {shown} | {marked(answer)} |")
        parts.append("")
    return "\n".join(parts)
