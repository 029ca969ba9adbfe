"""How a word of another library is answered: where an attribute or a keyword is not there.

Nothing that succeeds passes through here. A module asks by its own ``__getattr__``; a class has a
descriptor for each word, which is found where the attribute is not: a ``__getattr__`` of the class
would be asked for properties that fail within, and hide why, and it makes what is there slower to
find: a slot takes 96 ns in place of 18 in Python 3.11.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any, ClassVar, NamedTuple, NoReturn, Self, TypeVar, cast

from autonn.habits.of_calls import OF_CALLS
from autonn.habits.of_classes import OF_CLASSES
from autonn.habits.of_modules import OF_MODULES


class Habit(NamedTuple):
    """A word of other libraries, where it is asked for, and what to write in its place."""

    place: str  # a module, a class, or a kind of call, as "fit()"
    word: str
    libraries: str
    answer: str

    def sentence(self, owner: str, kind: str = "attribute") -> str:
        """Say that it is not there, and what is.

        >>> print(HABITS["Tensor", "view"].sentence("a Tensor"))
        a Tensor has no attribute 'view', as PyTorch has: write x.reshape(shape)
        """
        many = ", " in self.libraries
        have = " and ".join(self.libraries.rsplit(", ", 1)) + (" have" if many else " has")
        return f"{owner} has no {kind} {self.word!r}, as {have}: {self.answer}"


def _read(place: str, text: str) -> Iterator[Habit]:
    """Read the table of a place: the words and whose they are, then the answer, set in."""
    for head, answer in re.findall(r"((?:^\S.*\n)+)((?:^    .*\n)+)", text, re.M):
        words, _, libraries = " ".join(head.split()).partition(" | ")
        said = " ".join(answer.split())
        for word in words.split():
            yield Habit(place, word, libraries, said.replace("{word}", word))


# All of them, by place and word: what pages print tables of.
HABITS: dict[tuple[str, str], Habit] = {
    (habit.place, habit.word): habit
    for place, text in (OF_MODULES | OF_CLASSES | OF_CALLS).items()
    for habit in _read(place, text)
}


# ---- modules


def missing(module: str, word: str) -> AttributeError | ImportError:
    """Make the error of what a module does not have; `__getattr__` of the module raises it.

    ``from autonn import word`` would turn an `AttributeError` into one of Python's own words, so
    that statement is told apart.

    >>> print(missing("autonn.plots", "gallery"))
    module 'autonn.plots' has no attribute 'gallery'
    """
    habit = HABITS.get((module, word))
    if habit is None:
        return AttributeError(f"module {module!r} has no attribute {word!r}", name=word)
    said = habit.sentence(f"module {module!r}")
    if _imports(sys._getframe(2)):
        return ImportError(said, name=module)
    return AttributeError(said, name=None)  # no name: then Python adds no guess of its own


def _imports(frame: FrameType) -> bool:
    """Whether what a frame is doing is ``from module import word``."""
    from opcode import opmap

    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def answers_of(module: str) -> Callable[[str], NoReturn]:
    """Return the `__getattr__` of a module of that name, which has nothing but answers."""

    def __getattr__(word: str) -> NoReturn:
        raise missing(module, word)

    return __getattr__


# ---- classes


class _Word:
    """What stands in a class for a word that it does not have, and tells what it has."""

    __slots__ = ("habit",)

    def __init__(self, habit: Habit) -> None:
        self.habit = habit

    def __get__(self, thing: Any, kind: type) -> NoReturn:
        raise AttributeError(self.habit.sentence(kind.__name__), name=None)


class Count(int):
    """What ``x.size`` is, a whole number; called, as PyTorch's is, it says where the lengths are.

    >>> Count(6) + 1
    7
    >>> Count(6)(0)
    Traceback (most recent call last):
    TypeError: x.size is the number of elements, as in NumPy; PyTorch's x.size(0) is x.shape[0]
    """

    __slots__ = ()

    def __call__(self, axis: int | None = None) -> NoReturn:
        """Say what to write."""
        at, cure = ("", "x.shape") if axis is None else (axis, f"x.shape[{axis}]")
        raise TypeError(
            f"x.size is the number of elements, as in NumPy; PyTorch's x.size({at}) is {cure}"
        )

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


def answer_attributes(kind: type) -> None:
    """Let a class answer for the words of its place; what an object has of them comes first.

    They are no attributes: `hasattr` says so, and `dir` does not list them.
    """
    for (place, word), habit in HABITS.items():
        if place == kind.__name__ and not hasattr(kind, word):
            setattr(kind, word, _Word(habit))
    kind.__dir__ = _listed  # type: ignore[assignment]  # a method like any other


def _listed(self: Any) -> list[str]:
    """List the attributes that are there."""
    own = getattr(self, "__dict__", {})
    found = (name for name in object.__dir__(self) if name in own or not _is_word(self, name))
    return sorted(found)


def _is_word(thing: Any, name: str) -> bool:
    return isinstance(inspect.getattr_static(type(thing), name, None), _Word)


# ---- calls


def refuse_keywords(owner: str, place: str, names: Iterable[str]) -> None:
    """Refuse the keywords that are words of others, with what to write in their place.

    >>> refuse_keywords("sum", "axis()", ["dim"])
    Traceback (most recent call last):
    TypeError: sum has no argument 'dim', as PyTorch has: write axis=
    """
    for name in names:
        habit = HABITS.get((place, name))
        if habit is not None:
            raise TypeError(habit.sentence(owner, "argument"))


def take_keywords(function: Any, place: str, name: str) -> Any:
    """Let a function answer for the keywords of others before it is called with its own."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            refuse_keywords(name, place, options)
        return function(*args, **options)

    return call


def refuse_unless_taken(function: Any, owner: str, place: str, names: Iterable[str]) -> None:
    """Refuse the keywords that are words of others, but for those that a function takes."""
    words = [name for name in names if (place, name) in HABITS]
    if words:
        known = inspect.signature(function).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
            refuse_keywords(owner, place, [word for word in words if word not in known])


Call = TypeVar("Call", bound=Callable[..., Any])


def answers_keywords(place: str) -> Callable[[Call], Call]:
    """Decorate a function that answers for the keywords of others which it does not take itself."""

    def decorate(function: Call) -> Call:
        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            if named:
                refuse_unless_taken(function, function.__name__, place, named)
            return function(*args, **named)

        return cast(Call, call)

    return decorate


class Answering:
    """What is made by a call that answers for the keywords of others: a layer."""

    __slots__ = ()

    _place: ClassVar[str] = "layers()"  # in the table

    def __new__(cls, *args: Any, **named: Any) -> Self:
        """Look at the arguments before `__init__` does."""
        if args or named:
            if _takes_none(cls.__init__):
                refuse_keywords(cls.__name__, cls._place, named)
                raise TypeError(f"{cls.__name__}() takes no arguments")
            _refuse_places(cls, len(args))
            refuse_unless_taken(cls.__init__, cls.__name__, cls._place, named)
            _refuse_names(cls, named)
        return super().__new__(cls)


def _refuse_places(kind: type, count: int) -> None:
    """Refuse more arguments than have places, with the names of those that have none."""
    code = getattr(kind.__init__, "__code__", None)  # type: ignore[misc]  # of the class itself
    if code is None or count < code.co_argcount or code.co_flags & inspect.CO_VARARGS:
        return
    places = code.co_varnames[1 : code.co_argcount]
    others = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    raise TypeError(
        f"{kind.__name__} has {len(places)} places, for {', '.join(places)}, and was given "
        f"{count}; write {', '.join(f'{name}=' for name in others)} by name"
    )


def _refuse_names(kind: type, names: Iterable[str]) -> None:
    """Refuse names that no argument has, where one may be meant; the rest Python refuses."""
    code = getattr(kind.__init__, "__code__", None)  # type: ignore[misc]  # of the class itself
    if code is None or code.co_flags & inspect.CO_VARKEYWORDS:
        return
    own = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    for name in names:
        if name in own:
            continue
        near = [known for known in own if len(name) > 2 and name in known]
        if not near:
            import difflib  # which would be a part of the time of `import autonn`

            near = difflib.get_close_matches(name, own, 1)
        if near:
            raise TypeError(f"{kind.__name__} has no argument {name!r}; did you mean {near[0]}=?")


def _takes_none(function: Any) -> bool:
    """Whether a method takes no arguments."""
    code = getattr(function, "__code__", None)
    more = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return code is not None and (
        code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & more
    )


class AnsweringLoss(Answering):
    """A loss, as it is made: it may have settings, and has none if it says nothing."""

    __slots__ = ()

    _place = "losses()"

    def __init_subclass__(cls, **options: Any) -> None:
        """Let its call answer, too."""
        super().__init_subclass__(**options)
        own = vars(cls).get("__call__")
        if own is not None:
            setattr(cls, "__call__", _answering(own))  # noqa: B010  # which mypy would refuse

    def __init__(self) -> None:
        super().__init__()


def _answering(own: Any) -> Any:
    """Let the call of a loss answer for the keywords of others."""

    @functools.wraps(own)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        if named:
            refuse_unless_taken(own, type(self).__name__, "cost()", named)
        return own(self, *args, **named)

    return call


class AnsweringOptimizer(Answering):
    """An optimiser, as it is made."""

    __slots__ = ()

    _place = "optimizers()"
