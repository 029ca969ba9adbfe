"""What autodoc shows of a name: its signature as Python tells it, bases that can be looked up."""

from __future__ import annotations

import inspect
from typing import Any, Never

from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature


def signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, said: str, gives: str
) -> tuple[str, str] | None:
    """Show what ``help`` shows: autodoc would look at how a class is made, not how it is called."""
    if what not in ("class", "exception", "function") or not said:
        return None
    op = getattr(thing, "op", None)
    try:
        told = inspect.signature(thing if what == "class" or op is None else op.with_residuals)
    except (TypeError, ValueError):
        return None
    taken = [spoken(p) for p in told.parameters.values() if p.annotation not in ("Never", Never)]
    result = told.return_annotation if what == "function" else told.empty
    told = told.replace(parameters=taken, return_annotation=result)
    text = stringify_signature(told, unqualified_typehints=True)
    arguments, _, gives = text.rpartition(") -> ") if ") -> " in text else (text[:-1], "", "")
    return f"{arguments})", gives


class Spoken:
    """A default that is a function or a class, shown by its name, as it would be written.

    >>> import numpy as np
    >>> Spoken(np.float64), Spoken(len)
    (np.float64, len)
    """

    def __init__(self, thing: Any) -> None:
        home = "np." if getattr(thing, "__module__", "") == "numpy" else ""
        self.text = home + str(getattr(thing, "__name__", thing))

    def __repr__(self) -> str:
        return self.text


def spoken(parameter: inspect.Parameter) -> inspect.Parameter:
    """Show a default that is a function or a class by its name."""
    default = parameter.default
    named = callable(default) and default is not parameter.empty
    return parameter.replace(default=Spoken(default)) if named else parameter


def bases(app: Sphinx, name: str, thing: type, options: Any, found: list[Any]) -> None:
    """Name, in place of a private base, the public ones that it has itself."""
    shown: list[Any] = []
    for base in found:
        public = (b for b in getattr(base, "__mro__", (base,)) if not hidden(b))
        shown.append(next(public, object))
    found[:] = dict.fromkeys(shown)


def hidden(base: type) -> bool:
    """Whether a base is nothing for readers: private, or of what answers foreign words."""
    return base.__name__[0] == "_" or base.__module__ in ("autonn.habits.answers",)


def returned(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Take what stands below "Returns" as a sentence where it is one; napoleon takes it for a type.

    >>> said = ["Returns", "-------", "The cost.", "", "Raises", "------"]
    >>> returned(None, "", "", None, None, said)
    >>> said
    ['Returns', '-------', ':', '    The cost.', '', 'Raises', '------']
    """
    for start in [k for k in range(len(lines) - 1) if lines[k : k + 2] in HEADS]:
        end = next((k for k in range(start + 3, len(lines)) if lines[k][:3] == "---"), None)
        end = len(lines) if end is None else end - 1
        if not any(line[:1] == " " for line in lines[start + 2 : end]):
            inside = [f"    {line}" if line else line for line in lines[start + 2 : end]]
            lines[start + 2 : end] = [":", *inside]


HEADS = [["Returns", "-------"], ["Yields", "------"]]


def skipped(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what another library gave a class, as scikit-learn's ``set_fit_request``."""
    home = getattr(thing, "__module__", None)
    return True if isinstance(home, str) and home.startswith("sklearn.") else None


COLON = "\ue000"


def whole(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Keep the sentence of a property whole: napoleon would take its start for a type."""
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(": ", COLON)


def parted(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Put the colon back."""
    lines[:] = [line.replace(COLON, ": ") for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-bases", bases)
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-docstring", returned, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", whole, priority=400)
    app.connect("autodoc-process-docstring", parted, priority=600)  # and after it
    return {"parallel_read_safe": True}
