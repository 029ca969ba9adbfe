"""Arguments that are hard to tell apart, and arrays that a function closes over."""

from __future__ import annotations

__all__ = ["ARGUMENTS", "ARRAYS", "FLOAT_USES"]

# What is done to a float argument that a Tensor in its place would not do, or not say.
FLOAT_USES = [
    "x * a", "x * float(f'{a:.1f}')", "x * float(str(a))", "x * len(repr(a))", "x * round(a)",
    "x * (a % 2)", "x * (a // 1)", "x * np.full(3, a)", "x * np.array([a, 1.0, 2.0])",
    "x * [1.0, 2.0, 3.0][int(a)]", "x * (1.0 if isinstance(a, float) else 2.0)",
    "x * (hash(a) % 7)", "x * math.floor(a)", "x * a.is_integer()", "x * float('%.1f' % a)",
    "x[:int(a)]", "x * sum(range(int(a)))", "x * (a in (1.0, 2.0))", "x * {1.0: 2.0}.get(a, 3.0)",
    "x * max(a, 1.0)", "x * bool(a)", "x * math.exp(a)", "x * np.float32(a)",
    "x * math.copysign(1, a)",
    "np.copysign(x, a)", "x * (1.0 if a > 1 else 2.0)", "x * divmod(a, 1)[1]", "x * abs(a)",
    "x / (1 + a)", "np.where(x > a, x, a)", "np.clip(x, None, a)", "x ** a", "x * np.asarray(a)",
    "an.Dropout(abs(a) / 4).eval()(x)", "x * (a if a else 1.0)", "x * sorted([a, 1.0])[0]",
    "x * complex(a).real", "x * a.as_integer_ratio()[0]", "x * np.sum([a, a])",
    "x + np.zeros(3) * a",
    "x * json.loads(json.dumps(a))", "x * fractions.Fraction(a).numerator", "{'a': x, 'b': a}",
    "(x * 2, a)", "x * type(a)(1)", "x * np.float64(a)", "np.linspace(0.0, a, 3) * x",
    "x * (1 / (1 + a * a))", "x * (2.0 ** a)",
    "x * (a in {1.0, 2.0})", "x * {a: 2.0}[a]", "x * (a or 1.0)",
    "x * -a", "x * round(a, 1)", "x * math.ceil(a)", "x * math.trunc(a)", "x * a.real",
    "x * len({a})",
    "x * (a * 1e200 * 1e200)", "x * functools.lru_cache(abs)(a)",
    "x * (a < 1)", "x * [a].index(a)", "x * [0.5, 1.0, 2.0].count(a)", "x * a.imag",
    "x * a.conjugate()",
    "x * statistics.mean([a, 1.0])", "np.power(x, a)", "x * a ** 2", "x * (a == 1)",
]  # fmt: skip

_CFG = "@dataclasses.dataclass\nclass Cfg:\n    k: float\n"
_EQUAL = (
    "class Same:\n    def __init__(self, k):\n        self.k = k\n"
    "    def __eq__(self, other):\n        return True\n"
)
_HASHED = _EQUAL + "    def __hash__(self):\n        return 1\n"

# By name: what is set up, how the argument is used, and the arguments of the calls, one by one; a
# statement before the last semicolon is run before the call.
ARGUMENTS: dict[str, tuple[str, str, list[str]]] = {
    "fresh sets": ("", "x * len(a)", ["{1}", "{1, 2}", "{1, 2, 3}", "{5}"]),
    "sets' sums": ("", "x * sum(a)", ["{1, 2}", "{3, 4}", "{5, 6}", "{7, 8}"]),
    "frozensets": ("", "x * sum(a)", ["frozenset({1})", "frozenset({True})", "frozenset({1.0})"]),
    "set changed in place": ("S = {1}", "x * sum(a)", ["S", "S.add(5); S", "S.add(9); S"]),
    "dataclasses": (_CFG, "x * a.k", ["Cfg(1.0)", "Cfg(2.0)", "Cfg(3.0)", "Cfg(1.0)"]),
    "dataclass changed": (_CFG + "c = Cfg(1.0)", "x * a.k", ["c", "c.k = 2.0; c", "c.k = 3.0; c"]),
    "equal objects": (_EQUAL, "x * a.k", ["Same(1.0)", "Same(2.0)", "Same(3.0)"]),
    "equal objects with a hash": (_HASHED, "x * a.k", ["Same(1.0)", "Same(2.0)", "Same(3.0)"]),
    "equal objects in a list": (_HASHED, "x * a[0].k", ["[Same(1.0)]", "[Same(2.0)]",
    "[Same(3.0)]"]),
    "sets in a dict": ("", "x * len(a['s'])", ["{'s': {1}}", "{'s': {1, 2}}", "{'s': {4, 5, 6}}"]),
    "object changed": (
        "o = types.SimpleNamespace(k=1.0)", "x * a.k", ["o", "o.k = 2.0; o", "o.k = 3.0; o"]
    ),
    "fresh objects": (
        "", "x * a.k", [f"types.SimpleNamespace(k={k}.0)" for k in range(1, 6)]
    ),
    "list changed": ("L = [1.0]", "x * a[0]", ["L", "L[0] = 2.0; L", "L[0] = 3.0; L"]),
    "list of strings": ("", "x * len(a[0])", ["['a']", "['ab']", "['abc']"]),
    "dict's order": ("", "x * list(a.values())[0]", ["{'p': 1, 'q': 2}", "{'q': 2, 'p': 1}"]),
    "dict's keys": ("", "x * len(list(a)[0])", ["{'p': 1}", "{'pq': 1}"]),
    "1, True, 1.0": ("", "np.array([1, 2, 3]) * a + (x > 9)", ["1", "True", "1.0",
    "np.float32(1)"]),
    "1 and True by type": ("", "x * len(str(a))", ["1", "True", "1.0", "1"]),
    "0.0 and -0.0": ("", "np.copysign(x, a)", ["0.0", "-0.0", "0.0", "-0.0"]),
    "1j": ("", "x * a", ["1j", "2j", "complex(0, -0.0)", "complex(0, 0.0)"]),
    "(0.0,) and (-0.0,)": ("", "x * a[0]", ["(0.0,)", "(-0.0,)", "(0,)", "(False,)"]),
    "[1] and [True]": ("", "x * len(str(a))", ["[1]", "[True]", "[1.0]", "(1,)"]),
    "strings": ("", "x * len(a)", ["'a'", "'ab'", "''", "'b'"]),
    "string or number": ("", "x * len(str(a))", ["'1'", "1", "b'1'", "None"]),
    "np.int64": ("", "x[:a]", ["np.int64(1)", "np.int64(2)", "2", "np.int32(3)"]),
    "np.bool": ("", "x * (2 if a else 3)", ["np.True_", "np.False_", "True"]),
    "0-d array": ("", "x * a", ["np.array(1.0)", "np.array(2)", "np.float64(3)", "4.0"]),
    "slices": ("", "x[a]", ["slice(0, 1)", "slice(0, 2)", "slice(None, None, -1)"]),
    "functions": ("", "a(x)", ["(lambda x: x)", "(lambda x: x * 2)", "np.sin", "abs"]),
    "function with another default": (
        "def g(x, k=2.0):\n    return x * k", "a(x)", ["g", "g.__defaults__ = (3.0,); g"]
    ),
    "partials": (
        "", "a(x)", ["functools.partial(np.multiply, 2)", "functools.partial(np.multiply, 3)"]
    ),
    "Generators": (
        "", "x * a.random()",
        ["np.random.default_rng(0)", "np.random.default_rng(1)", "np.random.default_rng(0)"],
    ),
    "one Generator": (
        "r = np.random.default_rng(0)", "x * a.random(3)", ["r", "r", "r"]
    ),
    "dtypes": ("", "x.astype(a)", ["np.float32", "'f4'", "np.dtype('f8')", "int"]),
    "named tuples": (
        "P = collections.namedtuple('P', 'k')", "x * a.k", ["P(1.0)", "P(2.0)", "P(x)"][:2]
    ),
    "enums": (
        "class E(enum.Enum):\n    A = 1.0\n    B = 2.0", "x * a.value", ["E.A", "E.B", "E.A"]
    ),
    "ranges": ("", "x * len(a)", ["range(1)", "range(2)", "range(0, 2)"]),
    "iterators": ("", "x * next(a)", ["iter([1.0])", "iter([2.0])", "iter([3.0])"]),
    "bytearrays": ("b = bytearray(b'a')", "x * a[0]", ["b", "b[0] = 9; b", "bytearray(b'c')"]),
    "modules": (
        "net = an.Layer(3, 2, rng=0)", "a(x)", ["net", "net.weight = an.Tensor(np.ones((2, 3)), "
        "requires_grad=False); net", "an.Layer(3, 2, rng=1)"],
    ),
    "Decimals": (
        "import decimal", "x * float(a)", ["decimal.Decimal('1.0')", "decimal.Decimal('1.00')",
        "decimal.Decimal(2)"],
    ),
    "None or array": ("", "x if a is None else x * a", ["None", "np.ones(3)", "None", "2.0"]),
    "nested numbers": ("", "x * a[0]['k']", ["[{'k': 1.0}]", "[{'k': 2.0}]", "[{'k': 2}]"]),
    "nan": ("", "x * a", ["nan", "nan", "1.0", "-nan"]),
    "big integers": ("", "x * (a % 7)", ["10**20", "10**20 + 1", "10**20"]),
}  # fmt: skip

_C = "c = np.array([1.0, 2.0, 3.0])"
_USES = [
    "x * c", "x + np.sort(c)", "x * c.astype('f4')", "x * c[0]", "x + c[::-1]", "x * np.sum(c)",
    "x * float(c[0])", "an.softmax(c) * x", "an.Tensor(c) * x", "x * len(c[c > 1.5])",
    "x * an.sigmoid(c)", "np.concatenate([x, c])", "np.where(c > 1.5, x, 0)", "x[c > 1.5]",
    "x * (c @ c)", "np.outer(x, c)", "x * c * c", "x[np.argsort(-c)]", "x * (c.max() > 4)",
    "x * np.sqrt(np.abs(c))", "x + [c, c][1]", "an.grad(lambda y: np.sum(y * c))(c) * x",
    "x @ np.diag(c)", "x * np.where(c > 1.5, c, 0)", "x * c.tolist()[0]", "x[int(c[0]) % 3:]",
    "x * np.asarray([1.0, *c[:2]])", "x * np.round(c)", "x ** c", "x * c.view()",
]  # fmt: skip
_LOGITS = "np.stack([x, -x, 2 * x])"

# What is set up, the change, and how it is used.
ARRAYS: list[tuple[str, str, list[str]]] = [
    (_C, "c[:] = [3.0, 1.0, 5.0]", _USES),
    (_C, "c[0] = 4.0", _USES),
    (_C, "c *= 2", _USES),
    (_C, "c = np.array([2.0, 2.0, 7.0])", _USES),
    ("c = np.array([1, 2, 3])", "c[:] = [0, 4, 2]", _USES),
    ("c = np.array([1.0, 2.0, 3.0], 'f4')", "c[:] = [0, 4, 2]", _USES),
    ("base = np.arange(1.0, 7.0)\nc = base[:3]", "base[:] = 2.0", _USES),
    ("D = {'c': np.array([1.0, 2.0, 3.0])}", "D['c'] = np.ones(3)",
     [use.replace("c", "D['c']", 1) for use in ("x * c", "x * c * 2", "x + c")]),
    ("D = {'c': np.array([1.0, 2.0, 3.0])}", "D['c'][:] = 5.0", ["x * D['c']", "x * sum(D['c'])"]),
    ("L = [np.ones(3), np.ones(3)]", "L[1] = np.zeros(3)", ["x * L[1]", "sum(x * a for a in L)"]),
    ("L = [np.ones(3)]", "L.append(np.ones(3))", ["sum(x * a for a in L)", "x * len(L)"]),
    ("i = np.array([0, 1])", "i[:] = [2, 2]", ["x[i]", "np.take(x, i)", "x[i] * 2", "x[i - 1]"]),
    ("i = [0, 1]", "i[0] = 2", ["x[i]", "np.take(x, i)", "x[np.array(i)]"]),
    ("m = np.array([True, False, True])", "m[1] = True", ["x[m]", "np.where(m, x, 0)", "x * m"]),
    ("m = np.array([True, False, True])", "m[:] = [False, True, True]",
     ["x[m]", "np.where(m, x, 0)", "x * m", "x[~m]", "x * m.sum()"]),
    ("y = np.array([0, 1, 2])", "y[:] = [2, 2, 0]",
     [f"an.SoftmaxCrossEntropy()({_LOGITS}, y)", "an.one_hot(y, 3) * x", "x[y]",
      f"{_LOGITS}[np.arange(3), y]", "x * (y == 1)"]),
    ("w = np.ones((3, 3))", "w[0, :2] = 5.0", ["x @ w", "x @ w.T", "x * w[0]",
    "x * np.linalg.det(w)"]),
    ("T = an.Tensor(np.ones(3), requires_grad=True)", "T.data = 2 * np.ones(3)",
     ["x * T.data", "x * T.detach().numpy() if False else x * T.data.sum()"]),
]  # fmt: skip
