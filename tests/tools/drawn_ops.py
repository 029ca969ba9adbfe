"""Ops of the user's own that a compiler could take for others, or read wrongly."""

from __future__ import annotations

from tools.drawn_calls import words

__all__ = ["HOSTILE", "HOSTILE_KEYS", "OPS_OF_ONES_OWN", "OP_NAMES", "RELOADS", "RESULTS"]

# Names of the library's ops, of functions in programs, and of Python's own.
OP_NAMES = words(
    "softmax sigmoid times over mean sum max min cast negative transpose dot logsumexp add "
    "multiply "
    "subtract divide power square sqrt exp log tanh relu where reshape broadcast_to getitem gather "
    "matmul affine einsum absolute sign prod var std norm positive random cumsum concatenate "
    "log_softmax "
    "softplus put sum_to program workspace spare work part after np special blas t0 x k out share "
    "sigmoid_cross_entropy softmax_cross_entropy stop_gradient compiled len range f"
)

HOSTILE = 'f"""\\nimport builtins; builtins.TAKEN_IN = True\\n"""'

HOSTILE_KEYS = [
    "a b",
    "{",
    "}",
    "{0}",
    "%s",
    "'",
    '"',
    "\n",
    "a{b}",
    "lambda",
    "é",
    "",
    "x'); import os  #",
    "a\nimport builtins; builtins.TAKEN_IN = True\n",
    "\\",
    "__class__",
]

# Results that are not all arrays, and what they are called.
RESULTS = {
    "(x * 2, E.A)": "an Enum in a result", "{I.A: x * 2}": "an IntEnum as a key",
    "(x * 2, np.dtype('f4'))": "a dtype in a result", "(x * 2, np.float32)": "a type in a result",
    "(x * 2, abs)": "a function in a result", "(x * 2, fractions.Fraction(1, 2))": "a Fraction",
    "P(x * 2, x + 1)": "a named tuple", "(x * 2, {1, 2})": "a set in a result",
    "(x * 2, slice(1, None))": "a slice in a result", "(x * 2, ...)": "an Ellipsis in a result",
    "(x * 2, nan, -0.0)": "numbers in a result", "{1: x, 1.5: x, None: x, (1, 2): x}": "odd keys",
    "{True: x, 2: x * 2}": "a bool as a key", "(x * 2, b'a', 'b\\n')": "texts in a result",
    "(x * 2, range(3))": "a range in a result",
    "collections.OrderedDict(a=x * 2)": "an OrderedDict",
    "[[], (), {}, [x * 2]]": "empty containers", "None": "None", "3.0": "a number",
    "(x, x)": "twice one",
    "(x * 2, datetime.date(2020, 1, 1))": "a date", "(x * 2, np.float32(3))": "a NumPy number",
    "(x * 2, types.SimpleNamespace(a=1).a)": "an attribute", "(x * 2, np.arange(3))": "an array",
    "(x * 2, 1j)": "a complex number", "{'a': x * 2, 'b': {'c': [x, 1]}}": "nested containers",
}  # fmt: skip

_TWICE = "@an.op(lambda g, z, x: g * 2.0)\ndef mine(x):\n    return x * 2.0"
_RULE = "an.op(lambda g, z, x: g * 2.0)"

# By name: what is set up, what the op is called, and a change between calls.
OPS_OF_ONES_OWN: dict[str, tuple[str, str, str]] = {
    "op of a lambda": (f"mine = {_RULE}(lambda x: x * 2.0)", "mine", ""),
    "op of np.vectorize": (f"mine = {_RULE}(np.vectorize(lambda x: x * 2.0))", "mine", ""),
    "op of a frompyfunc": (
        f"mine = {_RULE}(lambda x: np.frompyfunc(lambda v: v * 2.0, 1, 1)(x).astype(float))",
        "mine", "",
    ),
    "op of a bound method": (
        f"class M:\n    k = 2.0\n    def go(self, x):\n        return x * self.k\nm = M()\n"
        f"mine = {_RULE}(m.go)", "mine", "m.k = 5.0",
    ),
    "op of a partial": (
        f"def g(k, x):\n    return x * k\nmine = {_RULE}(functools.partial(g, 2.0))", "mine", ""
    ),
    "op of a callable object": (
        f"class M:\n    k = 2.0\n    def __call__(self, x):\n        return x * self.k\nm = M()\n"
        f"mine = {_RULE}(m)", "mine", "m.k = 5.0",
    ),
    "op of an inner function": (
        f"def make(k):\n    @{_RULE}\n    def mine(x):\n        return x * k\n    return mine\n"
        "mine = make(2.0)", "mine", "",
    ),
    "two ops of one code": (
        f"def make(k):\n    @{_RULE}\n    def inner(x):\n        return x * k\n    return inner\n"
        "one, two = make(2.0), make(3.0)\ndef mine(x):\n    return one(x) + two(x)", "mine", "",
    ),
    "op with a default": (
        f"k = 2.0\n@{_RULE}\ndef mine(x, k=k):\n    return x * k", "mine", "k = 3.0"
    ),
    "op reads a global": (f"k = 2.0\n@{_RULE}\ndef mine(x):\n    return x * k", "mine", "k = 3.0"),
    "op reads a dict": (
        f"D = {{'k': 2.0}}\n@{_RULE}\ndef mine(x):\n    return x * D['k']", "mine", "D['k'] = 3.0"
    ),
    "op reads a list": (
        f"L = [2.0]\n@{_RULE}\ndef mine(x):\n    return x * L[0]", "mine", "L[0] = 3.0"
    ),
    "op reads a string": (
        f"s = '2.0'\n@{_RULE}\ndef mine(x):\n    return x * float(s)", "mine", "s = '3.0'"
    ),
    "op reads None": (
        f"k = None\n@{_RULE}\ndef mine(x):\n    return x * (2.0 if k is None else k)", "mine",
        "k = 3.0"
    ),
    "op reads an array": (
        f"c = np.ones(3)\n@{_RULE}\ndef mine(x):\n    return x * c", "mine", "c[:] = 3.0"
    ),
    "op reads a large array": (
        f"c = np.ones(3000)\n@{_RULE}\ndef mine(x):\n    return x * c[:3]", "mine", "c[:] = 3.0"
    ),
    "op calls a helper": (
        f"def h(x):\n    return x * 2.0\n@{_RULE}\ndef mine(x):\n    return h(x)", "mine",
        "def h(x):\n    return x * 5.0",
    ),
    "op reads in a comprehension": (
        f"k = 2.0\n@{_RULE}\ndef mine(x):\n    return x * sum([k for _ in range(1)])", "mine",
        "k = 3.0"
    ),
    "op draws": (f"@{_RULE}\ndef mine(x):\n    return x * np.random.rand()", "mine", ""),
    "op counts": (
        f"L = []\n@{_RULE}\ndef mine(x):\n    L.append(0)\n    return x * len(L)", "mine", ""
    ),
    "op returns its argument": (f"@{_RULE}\ndef mine(x):\n    return x", "mine", ""),
    "op returns a view": (f"@{_RULE}\ndef mine(x):\n    return x[::-1]", "mine", ""),
    "op returns one array": (
        f"c = np.ones(3)\n@{_RULE}\ndef mine(x):\n    c[:] = x * 2.0\n    return c", "mine", ""
    ),
    "hostile name of an op": (
        f"{_TWICE.replace('@', '# ', 1)}\nmine.__name__ = {HOSTILE!r}\nmine = {_RULE}(mine)",
        "mine", ""
    ),
    "hostile formula": (
        "@an.op(lambda g, z, x: g * 2.0, formula='z\\n"
        "import builtins; builtins.TAKEN_IN = True')\n"
        "def mine(x):\n    return x * 2.0", "mine", "",
    ),
    "formula over lines": (
        "@an.op(lambda g, z, x: g * 2.0, formula='z = 2 x\\nsecond line')\n"
        "def mine(x):\n    return x * 2.0", "mine", "",
    ),
}  # fmt: skip

# An op or a function that is edited in its file, and then defined anew or not.
RELOADS: dict[str, tuple[str, str, str]] = {
    "op edited, not reloaded": (_TWICE, "mine", "edit('x * 2.0', 'x * 7.0')"),
    "op reloaded": (_TWICE, "mine", _TWICE.replace("x * 2.0", "x * 7.0")),
    "op edited and reloaded": (
        _TWICE, "mine",
        "edit('x * 2.0', 'x * 7.0'); " f"exec({_TWICE.replace('x * 2.0', 'x * 7.0')!r}, globals())",
    ),
    "rule edited": (_TWICE, "mine", _TWICE.replace("g * 2.0", "g * 7.0")),
    "helper edited, not reloaded": (
        f"def h(x):\n    return x * 2.0\n@{_RULE}\ndef mine(x):\n    return h(x)", "mine",
        "edit('return x * 2.0', 'return x * 7.0')",
    ),
    "forward's code replaced": (
        f"def raw(x):\n    return x * 2.0\ndef other(x):\n    return x * 7.0\nmine = {_RULE}(raw)",
        "mine",
        "raw.__code__ = other.__code__",
    ),
}  # fmt: skip
