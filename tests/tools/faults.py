"""Tests that never fail prove nothing: this breaks the package on purpose and counts who notices.

``python tests/tools/faults.py`` plants one fault at a time, in a child process, and runs the tests
there until the first one fails: the fault is caught. A fault is a changed derivative rule, a
changed operator or number in the source of the rules, losses and optimisers, or one of those in
`SENTENCES`. The status is 1 if less than 95 % are caught, or if one of the sentences is not.

First everything is run once without a fault, to see which test comes through which rule and which
function, for no other test can notice that it is changed, and to collect calls of each rule. A
change that alters none of the results there is no fault; such are counted apart. It needs fork().
"""

from __future__ import annotations

import argparse
import ast
import copy
import dataclasses
import functools
import gc
import inspect
import json
import os
import pickle
import random
import re
import signal
import sys
import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from threadpoolctl import threadpool_limits

import autonn
from autonn import Tensor
from autonn.engine import backward, modes, ownership, tensor
from autonn.engine.op import OPS, Op
from autonn.engine.ops import (
    activations,
    arithmetic,
    arranging,
    elementary,
    indexing,
    joining,
    labels,
    linalg,
    probability,
    products,
    reductions,
    safe,
    scans,
    selection,
    shapes,
    statistics,
)
from autonn.engine.ops import losses as fused
from autonn.files import thetas
from autonn.nn import (
    class_losses,
    embedding,
    linear,
    losses,
    module,
    normalisation,
    penalties,
    regression_losses,
    similarity_losses,
    targets,
    walk,
)  # fmt: skip
from autonn.optim import adaptive, base, schedules, search, sgd, steps
from autonn.training import (
    compiling,
    feeds,
    fingerprint,
    loop,
    metrics,
    state,
    task,
    validation,
)  # fmt: skip

Rule = Callable[..., Any]
Where = tuple[str, int]  # an op's name and the position of the rule

HOUSE = Path(autonn.__file__).parent
HOUSE_NAME = str(HOUSE)
TESTS = Path(__file__).parents[1]
ENOUGH = 0.95
PATIENCE = 30  # seconds for one test, which otherwise hangs: caught as well
CALLS = 80  # how many calls of each rule are kept
WIDTH = 2000  # and of how many elements at most


@dataclass(frozen=True)
class Fault:
    """What is wrong, how to make it so, and which rules and functions it concerns."""

    name: str
    plant: Callable[[], None]
    concerns: frozenset[Hashable]
    group: str = ""
    judged: bool = False  # whether the same results of the rules mean that nothing is wrong


# ---- faults of a rule: its result, or what it is told, is changed

Spoiler = Callable[[Any, Any, Sequence[Any]], Any]  # of the right result, g, and the arguments


def first_alone(d: Any) -> Any:
    mask = np.zeros(d.shape, d.dtype)
    mask.flat[:1] = 1
    return d * mask


def transposed(d: Any) -> Any:
    square = d.ndim >= 2 and d.shape[-1] == d.shape[-2]
    return np.swapaxes(d, -1, -2) if square else d


def spoil(array: Any, d: Any) -> Any:
    """Write into what belongs to others, after its use."""
    if isinstance(array, np.ndarray) and array.size and array.dtype.kind == "f":
        d = np.array(d)
        array[...] = 7
    return d


RESULTS: dict[str, Spoiler] = {
    "sign": lambda d, g, args: -d,
    "twice": lambda d, g, args: d * 2,
    "nearly": lambda d, g, args: d * (1 + 1e-9),
    "nothing": lambda d, g, args: d * 0,
    "first element alone": lambda d, g, args: first_alone(d),
    "rolled by one": lambda d, g, args: np.roll(d, 1),
    "transposed": lambda d, g, args: transposed(d),
    "without the chain": lambda d, g, args: g,
    "the chain twice": lambda d, g, args: d * g,
    "times n": lambda d, g, args: d * np.size(args[0]),
    "no further order": lambda d, g, args: d.detach() if isinstance(d, Tensor) else d,
    "writes into the gradient": lambda d, g, args: spoil(g, d),
    "writes into an argument": lambda d, g, args: spoil(args[0], d),
}


def with_result(op: Op, right: Rule, change: Spoiler) -> Rule:
    lead = int(op.variadic)

    def wrong(*args: Any, **static: Any) -> Any:
        return change(right(*args, **static), args[lead], args[lead + 2 :])

    return wrong


def turned(name: str, value: Any) -> Any:
    """Give a static argument another value."""
    if isinstance(value, bool):
        return not value
    if name == "axis":
        if isinstance(value, tuple):
            return tuple(a - 1 for a in value)
        return -1 if value is None else value - 1
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
        return value[1:] + value[:1]
    if isinstance(value, np.ndarray) and value.dtype.kind in "ib":
        return np.roll(value, 1)
    return value


def statics(op: Op, rule: Rule) -> list[str]:
    """List the names of a rule's arguments that no gradient goes to."""
    parameters = list(inspect.signature(rule).parameters.values())
    if op.variadic:
        return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    named = [p for p in parameters if p.kind is not p.VAR_POSITIONAL]
    return [p.name for p in named[2 + len(op.rules) + op.residuals :]]


def with_static(right: Rule, name: str) -> Rule:
    signature = inspect.signature(right)

    def wrong(*args: Any, **given: Any) -> Any:
        bound = signature.bind(*args, **given)
        bound.apply_defaults()
        bound.arguments[name] = turned(name, bound.arguments[name])
        return right(*bound.args, **bound.kwargs)

    return wrong


def swapped(right: Rule) -> Rule:
    def wrong(g: Any, z: Any, x: Any, y: Any, *more: Any, **static: Any) -> Any:
        return right(g, z, y, x, *more, **static)

    return wrong


def put_rule(op: Op, position: int, rule: Rule | None) -> None:
    rules = [*op.rules]
    rules[position] = rule
    object.__setattr__(op, "rules", tuple(rules))


def wrong_rules(op: Op, position: int, right: Rule) -> Iterator[tuple[str, Rule]]:
    for name, change in RESULTS.items():
        yield name, with_result(op, right, change)
    for name in statics(op, right):
        yield f"another {name}", with_static(right, name)
    if len(op.rules) == 2:
        yield "operands exchanged", swapped(right)
    for other, rule in enumerate(op.rules):
        if rule is not None and other != position:
            yield f"the rule of argument {other}", rule


def rule_faults() -> Iterator[Fault]:
    for name, op in OPS.items():
        for k, right in enumerate(op.rules):
            if right is None:
                continue
            for kind, wrong in wrong_rules(op, k, right):

                def plant(op: Op = op, k: int = k, wrong: Rule = wrong) -> None:
                    put_rule(op, k, wrong)

                yield Fault(f"{name}[{k}] {kind}", plant, frozenset({(name, k)}), name, True)


# ---- faults of the source: functions in memory get the code of a changed text


def key_of(code: CodeType) -> tuple[str, int, str, int]:
    """Name a code for good; lambdas on one line differ in their table of positions."""
    positions = zlib.crc32(code.co_linetable)
    return within_house(code.co_filename), code.co_firstlineno, code.co_qualname, positions


def within_house(path: str) -> str:
    """Name a file of the package by its place in it."""
    file = Path(path)
    return str(file.relative_to(HOUSE)) if file.is_relative_to(HOUSE) else file.name


def codes_in(code: CodeType) -> list[CodeType]:
    return [const for const in code.co_consts if isinstance(const, CodeType)]


def changed_codes(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Pair the functions that differ, the nested ones too."""
    for before, after in zip(codes_in(old), codes_in(new), strict=False):
        if before != after:
            yield before, after
            yield from changed_codes(before, after)


@functools.cache
def functions_by_module() -> dict[int, dict[CodeType, list[FunctionType]]]:
    """Look through the memory once: the functions of each module, by their code."""
    found: dict[int, dict[CodeType, list[FunctionType]]] = defaultdict(lambda: defaultdict(list))
    for thing in gc.get_objects():
        if type(thing) is FunctionType and HOUSE_NAME in str(thing.__globals__.get("__file__")):
            found[id(thing.__globals__)][thing.__code__].append(thing)
    return found


class Source:
    """A module's text, from which variants of its functions are compiled."""

    def __init__(self, home: ModuleType) -> None:
        self.path = str(home.__file__)
        self.name = within_house(self.path)
        self.text = Path(self.path).read_text()
        self.functions = functions_by_module()[id(vars(home))]

    @functools.cached_property
    def statements(self) -> list[ast.stmt]:
        """What it says; parsed when first asked for, as tests import this file and need little."""
        return ast.parse(self.text).body

    @functools.cached_property
    def imports(self) -> list[ast.stmt]:
        return [s for s in self.statements if isinstance(s, ast.Import | ast.ImportFrom)]

    @functools.cached_property
    def right(self) -> CodeType:
        """The module as it is."""
        return self.compiled(self.statements)

    def compiled(self, statements: list[ast.stmt]) -> CodeType:
        """Compile some statements; calls look different where the imports are not known."""
        others = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
        tree = ast.Module([*self.imports, *others], [])
        code = compile(tree, self.path, "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code

    def fault(self, name: str, before: CodeType, after: CodeType) -> Fault:
        pairs = list(changed_codes(before, after))
        live = [(f, new) for old, new in pairs for f in self.functions.get(old, ())]

        def plant() -> None:
            for function, code in live:
                function.__code__ = code

        concerns = frozenset(key_of(function.__code__) for function, _ in live)
        return Fault(name, plant, concerns, self.name)


OPS_ROOMS = (
    activations, arithmetic, arranging, elementary, fused, indexing, joining, labels, linalg,
    probability, products, reductions, safe, scans, selection, shapes, statistics,
)  # fmt: skip
# Of these, as of the ops, all places are changed.
BESIDE = (
    losses, class_losses, regression_losses, similarity_losses, targets, penalties, normalisation,
    embedding, base, schedules, steps, sgd, adaptive, search,
)  # fmt: skip
SOURCES = {home: Source(home) for home in (
    *OPS_ROOMS, tensor, modes, ownership, backward, linear, module, walk, *BESIDE,
    compiling, feeds, fingerprint, loop, metrics, state, task, thetas, validation,
)}  # fmt: skip

SWAPPED: dict[type[ast.AST], Any] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip
NAMESAKES = {
    "less": "less_equal", "less_equal": "less", "greater": "greater_equal", "equal": "not_equal",
    "greater_equal": "greater", "maximum": "minimum", "minimum": "maximum", "max": "min",
    "min": "max", "sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh",
}  # fmt: skip


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what could stand in the place of a node by mistake."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPPED:
            yield ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
        yield from (node.left, node.right)
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPPED:
        yield ast.Compare(
            node.left, [SWAPPED[type(node.ops[0])](), *node.ops[1:]], node.comparators
        )
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(SWAPPED[type(node.op)](), node.values)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Attribute) and node.attr in NAMESAKES:
        yield ast.Attribute(node.value, NAMESAKES[node.attr], node.ctx)


def places(root: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Walk over (parent, field, index, node), but not into messages and annotations."""
    for name, value in ast.iter_fields(root):
        if name in ("annotation", "returns", "decorator_list", "defaults", "kw_defaults"):
            continue
        many = isinstance(value, list)
        for k, child in enumerate(value if many else [value]):
            if isinstance(child, ast.AST) and not isinstance(child, ast.Raise | ast.JoinedStr):
                yield root, name, k if many else None, child
                yield from places(child)


def set_child(parent: ast.AST, name: str, k: int | None, child: ast.AST) -> None:
    if k is None:
        setattr(parent, name, child)
    else:
        getattr(parent, name)[k] = child


def source_faults(source: Source, pattern: str = "") -> Iterator[Fault]:
    """Change one place of a module at a time, where the name of the fault has this pattern."""
    for statement in source.statements:
        right: CodeType | None = None
        for parent, name, k, node in places(statement):
            for other in variants(node):
                new = copy.deepcopy(other)
                for part in ast.walk(new):
                    if "lineno" in part._attributes and not hasattr(part, "lineno"):
                        ast.copy_location(part, node)
                line = getattr(node, "lineno", 0)
                words = f"{source.name}:{line} {ast.unparse(node)} -> {ast.unparse(new)}"
                words = " ".join(words.split())
                if not re.search(pattern, words):
                    continue  # compiling takes most of the time
                right = right or source.compiled([statement])
                set_child(parent, name, k, new)
                wrong = source.compiled([statement])
                set_child(parent, name, k, node)
                yield source.fault(words, right, wrong)


# ---- faults in sentences, each a text in place of another

SENTENCES: list[tuple[str, ModuleType, str, str]] = [
    ("the cross-entropy is not divided by m", fused,
     "_sum_log1p(q)) / x.shape[0]", "_sum_log1p(q))"),
    ("the gradient of the cross-entropy is not divided by m", fused,
     "else less_targets(x, *kept)\n    return g / x.shape[0] * residual",
     "else less_targets(x, *kept)\n    return g * residual"),
    ("the biases are penalised", walk,
     "if not is_bias(name, t, biases)]", "]"),
    ("the penalty is not divided by m", penalties,
     "strength / (2 * examples)", "strength / 2"),
    ("labels are shifted by one", labels,
     "np.arange(len(flat)), flat] = 1", "np.arange(len(flat)), flat - 1] = 1"),
    ("the unit of the digit 0 stays last", thetas,
     "np.roll(matrices[-1], ", "np.roll(matrices[-1], 0 * "),
    ("sigmoid' is z (1 + z)", probability,
     "return times_slope(g, x)\n    slope", "return g * (z * (1 + z))\n    slope"),
    ("sigmoid' of many is s(-x)", probability,
     "slope = z * opposite", "slope = 1 * opposite"),
    ("relu' at 0 is 1", activations,
     "g * np.sign(z)", "g * np.heaviside(x, 1)"),
    ("equal operands of maximum get the full gradient each", selection,
     "np.where(equal, g / 2,", "np.where(equal, g,"),
    ("clip has gradient 0 at its bounds", selection,
     "np.where(np.less(x, low) | np.greater(x, high), 0, g)",
     "np.where(np.less_equal(x, low) | np.greater_equal(x, high), 0, g)"),
    ("equal maxima get the full gradient each", reductions,
     "restored(g, axis, keepdims) / count", "restored(g, axis, keepdims)"),
    ("the gradient of sum forgets keepdims", reductions,
     "np.broadcast_to(restored(g, axis, keepdims), x.shape)", "np.broadcast_to(g, x.shape)"),
    ("broadcasting is undone by the first row alone", reductions,
     "np.sum(x, axis=(*range(lead), *ones), keepdims=True)",
     "np.min(x, axis=(*range(lead), *ones), keepdims=True)"),
    ("a vector times a matrix is transposed wrongly on the way back", products,
     "np.matmul(y, np.expand_dims(g, -1))[..., 0]",
     "np.matmul(g, y if y.shape[-1] == y.shape[-2] else swap_last(y))"),
    ("repeated indices overwrite each other", indexing,
     "np.add.at(out, key, g)", "out[key] = g"),
    ("gradients add up in an array that others hold", backward,
     "if index in self.ours:", "if gradient.ndim and gradient.flags.writeable:"),
    ("a second backward counts without a word", backward,
     "if not retain:", "if retain is None:"),
    ("no_grad leaks when there was an exception", modes,
     "recording.reset(self._tokens.pop())",
     "exception[0] or recording.reset(self._tokens.pop())"),
    ("detach keeps the graph", tensor,
     "out = leaf(self._data.copy(\"K\") if self._aliased else self._data)", "out = self"),
    ("a rule's float64 reaches a float32 argument", backward,
     "if gradient.dtype != value.dtype:", "if gradient.dtype < value.dtype:"),
    ("gradient descent goes up", sgd,
     "data -= np.multiply(gradient,", "data += np.multiply(gradient,"),
    ("momentum is lost at each step", sgd,
     "velocity *= self.momentum", "velocity *= 0"),
    ("a second fit forgets the moments", steps,
     "if is_new:", "if decays:"),
    ("Adam counts one step too many", adaptive,
     'slot.state["t"] += 1', 'slot.state["t"] += 1 + (slot.state["t"] == 0)'),
    ("weight decay reaches the biases", steps,
     "slot.decays = decay", "slot.decays = True"),
    ("L-BFGS ends at the last point tried, not at the best iterate", search,
     "self._assign(best)", "self._joined([best])"),
    ("the short batch at the end is dropped", feeds,
     "islice(drawn, progress.batch, None)",
     "islice(drawn, progress.batch, len(self.held) // self.batch_size)"),
    ("each epoch has the same order", feeds,
     "batches(len(self.held), self.batch_size, rng)",
     "batches(len(self.held), self.batch_size, 0)"),
    ("validation is measured with the weights before the step", loop,
     """
    with run.averaged():
""", """
    here = Values.of(run.model)
    run.finite.put_into(run.model)
    with run.averaged():
"""),
    ("theta has its bias column last", linear,
     "[self.bias.numpy(), self.weight.numpy()]", "[self.weight.numpy(), self.bias.numpy()]"),
    ("the accuracy of validation is that of the training", validation,
     "validation_accuracy.append(accuracy)",
     "validation_accuracy.append(history.accuracy[-1])"),
    ("the buffers are left behind when a run goes back to older weights", state,
     "_write(dict(model.named_buffers()), self.buffers)", "_write({}, self.buffers)"),
    ("a run goes on with any data", fingerprint,
     "if before != value:", "if name not in DIGESTS and before != value:"),
    ("the compiler's own faults are hidden", compiling,
     "    raise fault\n", "    return str(fault)\n"),
    ("a single probability is read as class 1 above 0", metrics,
     "np.greater(predictions[:, 0], half)", "np.greater(predictions[:, 0], 0)"),
    ("a constant may be changed under a pending graph", ownership,
     'saved[k] = saved[k].copy("K")', "saved[k] = value"),
    ("smoothing leaves the right class all of its share", losses,
     "(1 - self.label_smoothing) * y + even * kept", "y + even * kept"),
    ("smoothing shares out among the others alone", losses,
     "even = self.label_smoothing / z.shape[-1]",
     "even = self.label_smoothing / (z.shape[-1] - 1)"),
    ("what is ignored is smoothed", losses,
     "kept = 1.0 if ignored is None else", "kept = 1.0 if True else"),
    ("ignored rows count in the mean", losses,
     "cost if share is None else cost / share", "cost"),
    ("class weights are divided by their mean", losses,
     "y * self.class_weight.astype(z.dtype)",
     "y * (self.class_weight / self.class_weight.mean()).astype(z.dtype)"),
    ("several predictions an example are added up", losses,
     "cost if a.ndim == 2 else cost * (", "cost if a.ndim else cost * ("),
    ("a margin holds for the right class too", class_losses,
     "lacks = (1 - y) * ops.relu(", "lacks = ops.relu("),
    ("class 0 of a single score is 0", class_losses, "(2 * y - 1) * z", "y * z"),
    ("the sum over outputs is not divided", class_losses,
     "cost if z.size == len(z) else cost * (len(z) / max(z.size, 1))", "cost"),
    ("the entropy of the targets is left out", class_losses, "log_y - log_a", "-log_a"),
    ("the joint of Huber's two parts gapes", regression_losses,
     "held * (difference - held / 2)", "held * (difference - held / 2) * 2"),
    ("the variance is the deviation", regression_losses,
     "np.exp(-log_variance)", "np.exp(-2 * log_variance)"),
    ("the negative is drawn near", similarity_losses,
     "near - far + self.margin", "near + far + self.margin"),
    ("only one of two lengths counts", similarity_losses,
     "_length(a) * _length(y)", "_length(y) * _length(y)"),
    ("a logit is read as class 1 above 1/2", task,
     "half = boundary(self.loss) if logits is predictions else 0.0", "half = 0.5"),
    ("the row of padding is learned", embedding,
     "np.where(is_padding, rows.detach(), rows)", "rows"),
    ("a number of a row wraps", embedding, "(x < 0) | (x >= count)", "(x < -count) | (x >= count)"),
    ("the running variance is over n", normalisation,
     ".reshape(-1) * (n / (n - 1))", ".reshape(-1)"),
    ("a batch is normalised by the variance over n - 1", normalisation,
     "        return centred, variance\n", "        return centred, variance * (n / (n - 1))\n"),
    ("momentum is what is kept", normalisation,
     "keep, move = 1 - self.momentum, self.momentum",
     "keep, move = self.momentum, 1 - self.momentum"),
    ("the running mean moves in evaluation", normalisation,
     "if self.training:\n            centred", "if len(x) > 1:\n            centred"),
    ("eps is added to the deviation", normalisation,
     "1 / np.sqrt(variance + self.eps)", "1 / (np.sqrt(variance) + self.eps)"),
    ("groups take every other channel", normalisation,
     "groups = x.reshape(len(x), self.groups, size)",
     "groups = np.swapaxes(x.reshape(len(x), size, self.groups), 1, 2)"),
]  # fmt: skip


def sentence_faults(pattern: str = "") -> Iterator[Fault]:
    for sentence, home, old, new in SENTENCES:
        if not re.search(pattern, sentence):
            continue
        source = SOURCES[home]
        if source.text.count(old) != 1:
            raise LookupError(f"{sentence}: {old!r} is {source.text.count(old)} times in {home}")
        changed = ast.parse(source.text.replace(old, new)).body
        fault = source.fault(sentence, source.right, source.compiled(changed))
        if not fault.concerns:
            raise LookupError(f"{sentence}: no function in memory has this text")
        yield fault


# ---- one run without a fault: which test comes through what, and calls of each rule


@dataclass
class Call:
    """A call of a rule as it was seen, or one derived from it."""

    args: tuple[Any, ...]
    static: dict[str, Any]


@dataclass
class Sound:
    """What was seen when nothing was wrong."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    through: dict[str, set[Hashable]] = field(default_factory=dict)
    calls: dict[Where, list[Call]] = field(default_factory=dict)


class Recorder:
    """Notes the rules and functions that the present test comes through."""

    def __init__(self) -> None:
        self.present: set[Hashable] = set()
        self.calls: dict[Where, list[Call]] = defaultdict(list)
        self._kinds: dict[Where, Counter[Hashable]] = defaultdict(Counter)
        self._keys: dict[CodeType, Hashable] = {}

    def install(self) -> None:
        for name, op in OPS.items():
            for k, rule in enumerate(op.rules):
                if rule is not None:
                    put_rule(op, k, self.listening((name, k), rule))
        sys.setprofile(self.see)

    def see(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in self._keys:
                ours = code.co_filename.startswith(HOUSE_NAME)
                self._keys[code] = key_of(code) if ours else None
            self.present.add(self._keys[code])

    def listening(self, where: Where, rule: Rule) -> Rule:
        def heard(*args: Any, **static: Any) -> Any:
            self.present.add(where)
            if len(self.calls[where]) < CALLS:
                self.keep(where, args, static)
            return rule(*args, **static)

        heard.__signature__ = inspect.signature(rule)  # type: ignore[attr-defined]
        return heard

    def keep(self, where: Where, args: tuple[Any, ...], static: dict[str, Any]) -> None:
        """Keep a few calls of each kind; tell kinds by shapes and static arguments."""
        if any(isinstance(a, Tensor) or np.size(a) > WIDTH for a in args):
            return
        kind = (tuple((np.shape(a), str(getattr(a, "dtype", ""))) for a in args), repr(static))
        self._kinds[where][kind] += 1
        if self._kinds[where][kind] <= 4:
            self.calls[where].append(Call(copy.deepcopy(args), copy.deepcopy(static)))


# ---- what a rule does with a call: the same before and after means that there is no fault


# Where gradients break: 30 % of the elements of a derived call are these.
POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1e-300, -1e-300, 1e-8, 40.0, -40.0, 750.0, -750.0, 1e8]


def elsewhere(values: Sequence[Any], rng: np.random.Generator) -> Iterator[list[Any]]:
    """Yield the arguments with ties, and with elements at points where gradients break."""
    is_float = [getattr(v, "dtype", None) in ("f4", "f8") for v in values]
    yield [np.round(v) if f else v for v, f in zip(values, is_float, strict=True)]
    for share in (0.3, 0.3, 1.0):
        moved = []
        for v, f in zip(values, is_float, strict=True):
            points = rng.choice(POINTS, np.shape(v))
            with np.errstate(all="ignore"):
                points = points.astype(v.dtype) if f else points
            moved.append(np.where(rng.random(np.shape(v)) < share, points, v) if f else v)
        yield moved


def derived(op: Op, call: Call, rng: np.random.Generator) -> Iterator[Call]:
    """Yield a call, the same with a gradient at random, and some with other values."""
    lead = int(op.variadic)
    head, g, z, values = call.args[:lead], *call.args[lead : lead + 2], call.args[lead + 2 :]
    yield call
    other = rng.standard_normal(np.shape(g)).astype(np.asarray(g).dtype)
    yield Call((*head, other, z, *values), call.static)
    for moved in elsewhere(values, rng):
        with np.errstate(all="ignore"):
            try:
                z = np.asarray(op.forward(*moved, **call.static))
            except (ValueError, TypeError, IndexError, np.linalg.LinAlgError):
                continue
        yield Call((*head, other, z, *moved), call.static)


def outcome(where: Where, call: Call) -> tuple[Any, bool, bool]:
    """Return the gradient or the error, whether it has a graph, and whether all was left alone."""
    op = OPS[where[0]]
    rule = op.rules[where[1]]
    assert rule is not None
    args = copy.deepcopy(call.args)
    position = call.args[0] + 3 if op.variadic else where[1] + 2
    graph = False
    with np.errstate(all="ignore"):
        try:
            d = rule(*args, **call.static)
            if d.shape != args[position].shape or d.dtype != args[position].dtype:
                d = backward._fit(d, args[position], op)
            tensors = [lifted(a) for a in args]
            symbolic = rule(*tensors, **call.static)
            graph = isinstance(symbolic, Tensor) and symbolic.requires_grad
        except Exception as error:  # any: it is compared
            d = repr(type(error))
    same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(args, call.args, strict=True)
               if isinstance(a, np.ndarray) and a.dtype.kind == "f")  # fmt: skip
    return d, graph, same


def lifted(value: Any) -> Any:
    is_float = isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f"
    return Tensor(value, requires_grad=True) if is_float else value


def agree(one: tuple[Any, bool, bool], other: tuple[Any, bool, bool]) -> bool:
    if one[1:] != other[1:] or type(one[0]) is str or type(other[0]) is str:
        return bool(one[1:] == other[1:] and type(one[0]) is type(other[0]) and one[0] == other[0])
    a, b = np.asarray(one[0]), np.asarray(other[0])
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    with np.errstate(all="ignore"):
        return bool(np.allclose(a, b, rtol=8 * np.finfo(a.dtype).eps, atol=0, equal_nan=True))


class Judge:
    """Tells whether a fault changes what the rules do with the calls that were seen."""

    def __init__(self, sound: Sound) -> None:
        self.right: dict[Where, list[tuple[Call, Any]]] = {}
        self.reached: dict[Hashable, set[Where]] = defaultdict(set)
        rng = np.random.default_rng(0)
        recorder = Recorder()
        for where, calls in sound.calls.items():
            recorder.present = set()
            all_calls = [c for call in calls for c in derived(OPS[where[0]], call, rng)]
            sys.setprofile(recorder.see)
            self.right[where] = [(call, outcome(where, call)) for call in all_calls]
            sys.setprofile(None)
            for key in recorder.present:
                self.reached[key].add(where)

    def sees_no_change(self, fault: Fault) -> bool:
        """Compare; the fault is planted already."""
        wheres = {key for key in fault.concerns if key in self.right}
        for key in fault.concerns - wheres:
            wheres |= self.reached.get(key, set())
        calls = [(where, *pair) for where in wheres for pair in self.right[where]]
        return bool(calls) and all(agree(right, outcome(where, c)) for where, c, right in calls)


# ---- the tests, run again and again in children


class Workbench:
    """A plugin of pytest that takes the collected tests and runs them in its own way."""

    def __init__(self, work: Callable[[Workbench], None]) -> None:
        self.work = work
        self.items: list[pytest.Item] = []
        self.failure = ""
        self.error: BaseException | None = None
        self.patience = PATIENCE

    def pytest_configure(self) -> None:
        settings.register_profile(
            "faults", settings.default, database=None, derandomize=True,
            phases=[Phase.explicit, Phase.generate],
        )  # fmt: skip
        settings.load_profile("faults")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = session.items
        try:
            self.work(self)
        except (Exception, KeyboardInterrupt) as error:  # pytest would hide it
            self.error = error
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failure = report.nodeid

    def run(self, item: pytest.Item, following: pytest.Item | None) -> str:
        """Run one test; return its name if it failed."""
        self.failure = ""
        signal.alarm(self.patience)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        signal.alarm(0)
        return self.failure

    def first_failure(self, items: Sequence[pytest.Item]) -> str:
        for item, following in zip(items, [*items[1:], None], strict=True):
            if self.run(item, following):
                return self.failure
        return ""

    def sound(self, listen: bool) -> Sound:
        """Run all tests without a fault, to the end; listening makes them several times slower."""
        self.patience = 20 * PATIENCE
        seen, recorder = Sound(), Recorder()
        for item, following in zip(self.items, [*self.items[1:], None], strict=True):
            recorder.present = set()
            if listen and not seen.seconds:
                recorder.install()
            start = time.perf_counter()
            if self.run(item, following):
                seen.failed.add(item.nodeid)
            seen.seconds[item.nodeid] = time.perf_counter() - start
            seen.through[item.nodeid] = recorder.present - {None}
        sys.setprofile(None)
        seen.calls = dict(recorder.calls)
        return seen


def in_child(job: Callable[[], Any]) -> tuple[int, str]:
    """Start a child whose result is pickled to a file; return its id and the file's name."""
    handle, name = tempfile.mkstemp()
    os.close(handle)
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid, name
    status = 1
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        Path(name).write_bytes(pickle.dumps(job()))
        status = 0
    except BaseException as error:  # the child ends here, whatever happens
        Path(name).write_bytes(pickle.dumps(repr(error)))
    finally:
        os._exit(status)


def result_of(status: int, name: str) -> Any:
    path = Path(name)
    content = path.read_bytes()
    path.unlink()
    if os.WIFSIGNALED(status):
        return "caught", f"(killed by signal {os.WTERMSIG(status)})"
    if status != 0:
        raise RuntimeError(f"a child failed: {pickle.loads(content)}")
    return pickle.loads(content)


def wait_for(job: Callable[[], Any]) -> Any:
    pid, name = in_child(job)
    return result_of(os.waitpid(pid, 0)[1], name)


def look_around(bench: Workbench) -> Sound:
    """Run the tests once, listening; those that fail then, once more in peace."""
    sound: Sound = wait_for(lambda: bench.sound(listen=True))
    if sound.failed:
        suspects = [item for item in bench.items if item.nodeid in sound.failed]
        bench.items, everything = suspects, bench.items
        plain: Sound = wait_for(lambda: bench.sound(listen=False))
        bench.items = [item for item in everything if item.nodeid not in plain.failed]
        for name in sound.failed - plain.failed:
            del sound.through[name]  # it minds being watched: it counts as coming through all
        sound.failed = plain.failed
    return sound


class Hunt:
    """The faults that are planted, and what became of them."""

    def __init__(self, bench: Workbench, sound: Sound, judge: Judge) -> None:
        self.bench, self.sound, self.judge = bench, sound, judge
        self.killers: dict[str, Counter[str]] = defaultdict(Counter)
        self.fate: dict[str, tuple[str, str]] = {}

    def order(self, fault: Fault) -> list[pytest.Item]:
        """Choose the tests that come through the fault, the likeliest and quickest first."""

        def comes_through(item: pytest.Item) -> bool:
            through = self.sound.through.get(item.nodeid)
            return through is None or bool(fault.concerns & through)

        def rank(item: pytest.Item) -> tuple[int, bool, float]:
            hits = self.killers[fault.group][item.nodeid]
            named = bool(fault.group) and fault.group in item.nodeid.partition("[")[2]
            return -hits, not named, self.sound.seconds[item.nodeid]

        return sorted(filter(comes_through, self.bench.items), key=rank)

    def trial(self, fault: Fault) -> tuple[str, str]:
        fault.plant()
        if fault.judged and self.judge.sees_no_change(fault):
            return "equivalent", ""
        failure = self.bench.first_failure(self.order(fault))
        return ("caught", failure) if failure else ("survived", "")

    def run(self, faults: Sequence[Fault], workers: int) -> None:
        running: dict[int, tuple[Fault, str]] = {}
        waiting = list(reversed(faults))
        gc.collect()
        gc.freeze()  # the children share this memory as long as nobody counts in it
        while waiting or running:
            while waiting and len(running) < workers:
                fault = waiting.pop()
                pid, name = in_child(lambda fault=fault: self.trial(fault))  # type: ignore[misc]
                running[pid] = fault, name
            pid, status = os.wait()
            if pid in running:
                fault, name = running.pop(pid)
                try:
                    fate, killer = result_of(status, name)
                except RuntimeError as error:  # in the planting, not in a test
                    fate, killer = "failed", str(error)
                self.fate[fault.name] = fate, killer
                if fate == "caught":
                    self.killers[fault.group][killer] += 1
                print(f"{fate:10}  {fault.name}  {killer}", flush=True)


def summary(fate: dict[str, tuple[str, str]], sentences: set[str]) -> int:
    """Print what survived and the shares; return the status."""
    outcomes = {name: what for name, (what, _) in fate.items()}
    survivors = [name for name, what in outcomes.items() if what in ("survived", "failed")]
    spoken = [name for name in survivors if name in sentences]
    planted = [name for name, what in outcomes.items() if what != "equivalent"]
    share = 1 - len(survivors) / max(len(planted), 1)
    print(f"\nsurvivors: {len(survivors)}", *survivors, sep="\n  ")
    told = sentences & set(outcomes)
    print(f"\n{len(outcomes) - len(planted)} changes changed nothing, {len(planted)} are faults")
    print(f"{share:.2%} of them are caught; {len(told) - len(spoken)} of {len(told)} sentences")
    return int(share < ENOUGH or bool(spoken))


def all_faults(judge: Judge, pattern: str) -> tuple[list[Fault], set[str]]:
    """List the faults in sentences and the generated ones, and the names of the former."""
    sentences = list(sentence_faults(pattern))
    of_rules = {key for key, wheres in judge.reached.items() if wheres}
    in_rules = (
        dataclasses.replace(fault, judged=True)
        for home in OPS_ROOMS
        for fault in source_faults(SOURCES[home], pattern)
        if fault.concerns & of_rules
    )
    beside = (f for home in BESIDE for f in source_faults(SOURCES[home], pattern))
    of_rules_alone = (fault for fault in rule_faults() if re.search(pattern, fault.name))
    faults = [*sentences, *of_rules_alone, *in_rules, *(f for f in beside if f.concerns)]
    unique = {fault.name: fault for fault in faults}
    return list(unique.values()), {fault.name for fault in sentences}


def concerns_op(fault: Fault, op: str, judge: Judge) -> bool:
    wheres = set(fault.concerns)
    for key in fault.concerns:
        wheres |= judge.reached.get(key, set())
    return any((op, k) in wheres for k in range(len(OPS[op].rules)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Plant faults; count those that tests notice.")
    parser.add_argument("--op", choices=sorted(OPS), help="only faults that concern this op")
    parser.add_argument("--match", default="", help="only faults whose name has this pattern")
    parser.add_argument("--limit", type=int, help="so many of the generated faults, drawn by lot")
    parser.add_argument("--seed", type=int, default=0, help="for the lot")
    parser.add_argument("--list", action="store_true", help="list the faults and stop")
    parser.add_argument("--workers", type=int, default=2, help="how many children at a time")
    parser.add_argument("--json", type=Path, help="write what became of each fault to this file")
    parser.add_argument("tests", nargs="*", type=Path, help="where the tests are")
    return parser.parse_args()


def chosen(options: argparse.Namespace, judge: Judge) -> tuple[list[Fault], set[str]]:
    faults, sentences = all_faults(judge, options.match)
    if options.op:
        faults = [fault for fault in faults if concerns_op(fault, options.op, judge)]
    if options.limit is not None and options.limit < len(faults):
        told = [fault for fault in faults if fault.name in sentences]
        others = [fault for fault in faults if fault.name not in sentences]
        limit = min(options.limit, len(others))
        faults = told + random.Random(options.seed).sample(others, limit)
    return faults, sentences


def main() -> int:
    options = arguments()
    status = 1

    def work(bench: Workbench) -> None:
        nonlocal status
        start = time.perf_counter()
        sound = look_around(bench)
        if sound.failed:
            print("left out, they fail without a fault:", *sorted(sound.failed), sep="\n  ")
        judge = Judge(sound)
        faults, sentences = chosen(options, judge)
        print(f"{len(bench.items)} tests, {len(faults)} changes", flush=True)
        if options.list:
            print(*(fault.name for fault in faults), sep="\n")
            return
        hunt = Hunt(bench, sound, judge)
        hunt.run(faults, options.workers)
        status = summary(hunt.fate, sentences)
        print(f"{time.perf_counter() - start:.0f} seconds")
        if options.json:
            options.json.write_text(json.dumps(hunt.fate, indent=1) + "\n")

    os.environ["HYPOTHESIS_PROFILE"] = "dev"
    skipped = ("test_faults.py", "test_structure.py", "test_digits_example.py", "test_examples.py")
    paths = options.tests or [
        *(path for path in sorted(TESTS.rglob("test_*.py")) if path.name not in skipped), HOUSE,
    ]  # fmt: skip
    bench = Workbench(work)
    flags = ["-s", "-n0", "-p", "no:cacheprovider", "-p", "no:terminal", "--assert=plain"]
    with threadpool_limits(1):
        pytest.main([*flags, *map(str, paths)], plugins=[bench])
    if bench.error is not None:
        raise bench.error
    return status


if __name__ == "__main__":
    sys.exit(main())
