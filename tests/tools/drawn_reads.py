"""What a function may read beside its arguments, and how that changes between calls.

Each row is what is set up, the expression that reads it, and the statement that changes it; ``$v``
is the value at first, ``$w`` another one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NUMBERS", "PLACES", "READS", "USES", "Place", "Read"]


@dataclass(frozen=True)
class Read:
    """Something to read: a number, as a rule; `draws` where each reading gives another."""

    setup: str
    read: str
    change: str
    draws: bool = False
    clock: bool = False  # not even a second eager run gives the same


@dataclass(frozen=True)
class Place:
    """Where in a function something is read: text before it, lines in it, and an expression.

    ``$r`` is the expression that reads.
    """

    before: str
    inside: str
    value: str


BOX = "class Box:\n    k = $v\nbox = Box()"
HELPER = "def helper():\n    return $v\n"

READS: dict[str, Read] = {
    "global": Read("k = $v", "k", "k = $w"),
    "global dict's entry": Read("D = {'k': $v}", "D['k']", "D['k'] = $w"),
    "missing entry": Read("D = {}", "D.get('q', $v)", "D['q'] = $w"),
    "caught KeyError": Read(
        "D = {}\ndef look():\n    try:\n        return D['q']\n    except KeyError:\n"
        "        return $v",
        "look()", "D['q'] = $w",
    ),
    "list's entry": Read("L = [$v, 1.0]", "L[0]", "L[0] = $w"),
    "list's length": Read("L = [1.0]", "len(L)", "L.append($w)"),
    "list's sum": Read("L = [$v]", "sum(L)", "L.append($w)"),
    "list in a dict": Read("D = {'L': [$v]}", "D['L'][0]", "D['L'][0] = $w"),
    "dict's length": Read("D = {0: 1.0}", "len(D)", "D[len(D)] = $w"),
    "set": Read("S = {$v}", "max(S)", "S.clear(); S.add($w)"),
    "deque": Read("S = collections.deque([$v])", "S[0]", "S[0] = $w"),
    "bytearray": Read("S = bytearray([1])", "S[0]", "S[0] += 1"),
    "attribute": Read("box = types.SimpleNamespace(k=$v)", "box.k", "box.k = $w"),
    "attribute of an attribute": Read(
        "box = types.SimpleNamespace(i=types.SimpleNamespace(k=$v))", "box.i.k", "box.i.k = $w"
    ),
    "slot": Read(
        "class Slotted:\n    __slots__ = ('k',)\nbox = Slotted()\nbox.k = $v", "box.k", "box.k = $w"
    ),
    "dataclass": Read(
        "@dataclasses.dataclass\nclass Cfg:\n    k: float\ncfg = Cfg($v)", "cfg.k", "cfg.k = $w"
    ),
    "dataclass replaced": Read(
        "@dataclasses.dataclass(frozen=True)\nclass Cfg:\n    k: float\ncfg = Cfg($v)", "cfg.k",
        "cfg = Cfg($w)",
    ),
    "class attribute": Read(BOX, "Box.k", "Box.k = $w"),
    "class attribute by an instance": Read(BOX, "box.k", "Box.k = $w"),
    "instance hides the class": Read(BOX, "box.k", "box.k = $w"),
    "property": Read(
        "class Box:\n    _k = $v\n    @property\n    def k(self):\n        return self._k\n"
        "box = Box()",
        "box.k", "box._k = $w",
    ),
    "__getattr__": Read(
        "class Box:\n    def __getattr__(self, name):\n        return D[name]\nD = {'k': $v}\n"
        "box = Box()", "box.k", "D['k'] = $w",
    ),
    "module's name": Read("mod = types.ModuleType('mod')\nmod.k = $v", "mod.k", "mod.k = $w"),
    "function attribute": Read(HELPER + "helper.k = $v", "helper.k", "helper.k = $w"),
    "default": Read("def g(k=$v):\n    return k", "g()", "g.__defaults__ = ($w,)"),
    "keyword default": Read(
        "def g(*, k=$v):\n    return k", "g()", "g.__kwdefaults__['k'] = $w"
    ),
    "mutable default": Read("def g(k=[$v]):\n    return k[0]", "g()", "g.__defaults__[0][0] = $w"),
    "code": Read(
        "def g():\n    return $v\ndef other():\n    return $w", "g()", "g.__code__ = other.__code__"
    ),
    "partial's keywords": Read(
        "p = functools.partial(dict, k=$v)", "p()['k']", "p.keywords['k'] = $w"
    ),
    "partial replaced": Read("p = functools.partial(max, $v)", "p(0)",
    "p = functools.partial(max, $w)"),
    "closure": Read(
        "def make():\n    k = $v\n    def get():\n        return k\n    def put(v):\n"
        "        nonlocal k\n        k = v\n    return get, put\nget, put = make()", "get()",
        "put($w)",
    ),
    "name that appears": Read("", "globals().get('late', $v)", "late = $w"),
    "NameError": Read(
        "def look():\n    try:\n        return late\n    except NameError:\n        return $v",
        "look()", "late = $w",
    ),
    "builtin hidden": Read("", "abs($v)", "abs = lambda v: $w"),
    "function replaced": Read(HELPER, "helper()", "def helper():\n    return $w"),
    "method replaced": Read(
        "class Box:\n    def get(self):\n        return $v\nbox = Box()", "box.get()",
        "Box.get = lambda self: $w",
    ),
    "method of one instance": Read(
        "class Box:\n    def get(self):\n        return $v\nbox = Box()", "box.get()",
        "box.get = lambda: $w",
    ),
    "base class": Read(
        "class Base:\n    k = $v\nclass Box(Base):\n    pass\nbox = Box()", "box.k", "Base.k = $w"
    ),
    "environment": Read(
        "os.environ['DRAWN'] = str($v)", "float(os.environ['DRAWN'])",
        "os.environ['DRAWN'] = str($w)",
    ),
    "ContextVar": Read("cv = contextvars.ContextVar('cv')\ncv.set($v)", "cv.get()", "cv.set($w)"),
    "string": Read("s = str(float($v))", "float(s)", "s = str(float($w))"),
    "format": Read("k = $v", "float(f'{k:.1f}')", "k = $w"),
    "flag": Read("flag = None", "(1.0 if flag is None else flag)", "flag = $w"),
    "hasattr": Read(BOX, "(2.0 if hasattr(box, 'q') else $v)", "box.q = 1"),
    "vars": Read(BOX + "\nbox.k = $v", "vars(box)['k']", "box.k = $w"),
    "getattr by a name": Read(BOX + "\nbox.q = $w\nname = 'k'", "getattr(box, name)", "name = 'q'"),
    "attrgetter": Read(BOX, "operator.attrgetter('k')(box)", "Box.k = $w"),
    "getattr by a text": Read(BOX + "\nbox.k0 = $v", "getattr(box, f'k{0}')", "box.k0 = $w"),
    "getattr by another name": Read(BOX + "\nget = getattr\nbox.k = $v", "get(box, 'k')",
    "box.k = $w"),
    "partial of getattr": Read(
        BOX + "\nbox.k = $v\np = functools.partial(getattr, box, 'k')", "p()", "box.k = $w"
    ),
    "an object's dict": Read(BOX + "\nbox.k = $v", "box.__dict__['k']", "box.k = $w"),
    "dir": Read(BOX, "(2.0 if 'q' in dir(box) else $v)", "box.q = 1"),
    "descriptor": Read(
        "class Get:\n    def __get__(self, owner, kind=None):\n"
        "        return owner.__dict__['_k']\n"
        "class Box:\n    k = Get()\nbox = Box()\nbox._k = $v", "box.k", "box._k = $w",
    ),
    "asdict": Read(
        "@dataclasses.dataclass\nclass Cfg:\n    k: float\ncfg = Cfg($v)",
        "dataclasses.asdict(cfg)['k']", "cfg.k = $w",
    ),
    "copied object": Read(BOX + "\nbox.k = $v", "copy.copy(box).k", "box.k = $w"),
    "mapping proxy": Read(
        "D = {'k': $v}\nview = types.MappingProxyType(D)", "view['k']", "D['k'] = $w"
    ),
    "array.array": Read("S = array.array('d', [$v])", "S[0]", "S[0] = $w"),
    "memoryview": Read("S = bytearray([1])\nview = memoryview(S)", "view[0]", "S[0] += 1"),
    "weak reference": Read(BOX + "\nref = weakref.ref(box)\nbox.k = $v", "ref().k", "box.k = $w"),
    "globals": Read("k = $v", "globals()['k']", "k = $w"),
    "import": Read(
        "mod = sys.modules['drawn_mod'] = types.ModuleType('drawn_mod')\nmod.k = $v\n"
        "def look():\n    import drawn_mod\n    return drawn_mod.k", "look()", "mod.k = $w",
    ),
    "getenv": Read(
        "os.environ['DRAWN'] = str(float($v))", "float(os.getenv('DRAWN'))",
        "os.environ['DRAWN'] = str(float($w))",
    ),
    "text of an array": Read("a = np.array([float($v)])", "len(str(a))", "a[0] = 3.0625"),
    "class of an object": Read(
        BOX + "\nclass Other:\n    k = $w", "box.k", "box.__class__ = Other"
    ),
    "bases of a class": Read(
        "class A:\n    k = $v\nclass B:\n    k = $w\nclass Box(A):\n    pass\nbox = Box()",
        "box.k", "Box.__bases__ = (B,)",
    ),
    "metaclass": Read(
        "class Kind(type):\n    k = $v\nclass Box(metaclass=Kind):\n    pass", "Box.k",
        "Kind.k = $w",
    ),
    "name of a function": Read(
        HELPER, "len(helper.__name__)", "helper.__name__ = 'another'"
    ),
    "name of a class": Read(BOX, "len(type(box).__name__)", "Box.__name__ = 'another'"),
    "annotation": Read(
        HELPER + "helper.__annotations__['k'] = $v", "helper.__annotations__['k']",
        "helper.__annotations__['k'] = $w",
    ),
    "globals of a function": Read(
        HELPER + "k = $v", "helper.__globals__['k']", "k = $w"
    ),
    "globals of a frame": Read("k = $v", "sys._getframe().f_globals['k']", "k = $w"),
    "missing attribute": Read(
        "box = types.SimpleNamespace()\ndef look():\n    try:\n        return box.k\n"
        "    except AttributeError:\n        return $v",
        "look()", "box.k = $w",
    ),
    "missing attribute of a class": Read(
        "class Box:\n    pass\ndef look():\n    try:\n        return Box().k\n"
        "    except AttributeError:\n        return $v",
        "look()", "Box.k = $w",
    ),
    "dict's values": Read("D = {'k': $v}\nview = D.values()", "sum(view)", "D['k'] = $w"),
    "dict's items": Read("D = {'k': $v}\nview = D.items()", "dict(view)['k']", "D['k'] = $w"),
    "dict of a class of its own": Read(
        "class Known(dict):\n    pass\nD = Known()\nD.k = $v", "D.k", "D.k = $w"
    ),
    "frozenset of objects": Read(
        BOX + "\nbox.k = $v\nS = frozenset([box])", "list(S)[0].k", "box.k = $w"
    ),
    "__len__": Read(
        "class Box:\n    k = 1\n    def __len__(self):\n        return self.k\nbox = Box()",
        "len(box)", "box.k = 3",
    ),
    "__bool__": Read(
        "class Box:\n    k = True\n    def __bool__(self):\n        return self.k\nbox = Box()",
        "($v if box else $w)", "box.k = False",
    ),
    "ctypes": Read("c = ctypes.c_double($v)", "c.value", "c.value = $w"),
    "array of ctypes": Read("c = (ctypes.c_double * 2)($v)", "c[0]", "c[0] = $w"),
    "mmap": Read("m = mmap.mmap(-1, 4)\nm[0] = 1", "m[0]", "m[0] = 3"),
    "UserDict of one's own": Read(
        "class Known(collections.UserDict):\n    pass\nD = Known(k=$v)", "D['k']", "D['k'] = $w"
    ),
    "thread's own": Read("t = threading.local()\nt.k = $v", "t.k", "t.k = $w"),
    "level of a log": Read(
        "log = logging.getLogger('drawn')\nlog.setLevel(10)", "log.level", "log.setLevel(30)"
    ),
    "strftime": Read("", "float(time.strftime('%S'))", "", True, True),
    "callable object": Read(
        "class Call:\n    k = $v\n    def __call__(self):\n        return self.k\ncall = Call()",
        "call()",
        "call.k = $w",
    ),
    "print options": Read(
        "np.set_printoptions(precision=8)", "np.get_printoptions()['precision']",
        "np.set_printoptions(precision=3)",
    ),
    "array's element": Read("a = np.array([float($v)])", "a[0]", "a[0] = $w"),
    "float of an element": Read("a = np.array([float($v)])", "float(a[0])", "a[0] = $w"),
    "item of an array": Read("a = np.array(float($v))", "a.item()", "a[...] = $w"),
    "length of an array": Read("a = np.ones(2)", "len(a)", "a = np.ones(3)"),
    "Tensor": Read("T = an.Tensor(float($v))", "T", "T.data = float($w)"),
    "Tensor replaced": Read("T = an.Tensor(float($v))", "T", "T = an.Tensor(float($w))"),
    "module's attribute": Read(
        "class Net(an.Module):\n    def __init__(self):\n        self.k = $v\n"
        "    def forward(self, x):\n"
        "        return x * self.k\nnet = Net()", "net.k", "net.k = $w",
    ),
    "module's list": Read(
        "class Net(an.Module):\n    def __init__(self):\n        self.k = [$v]\nnet = Net()",
        "net.k[0]",
        "net.k[0] = $w",
    ),
    "mode": Read("net = an.Dropout(0.5)", "(1.0 if net.training else 2.0)", "net.eval()"),
    "dropout's p": Read("net = an.Dropout(0.25)", "net.p", "net.p = 0.5"),
    "spline's numbers": Read(
        "from scipy.interpolate import CubicSpline\ns = CubicSpline([0, 1, 2, 3], [$v, 1, 4, 9])",
        "float(s(0.0))", "s.c[...] = $w",
    ),
    "interpolation made anew": Read(
        "from scipy.interpolate import interp1d\ns = interp1d([0.0, 1.0], [$v, $v])",
        "float(s(0.5))", "s.__init__([0.0, 1.0], [$w, $w])",
    ),
    "polynomial": Read("p = np.poly1d([$v, 1.0])", "p(1.0)", "p.coeffs[0] = $w"),
    "frozen distribution": Read(
        "from scipy import stats\nn = stats.norm($v, 1.0)", "n.mean()", "n.args = ($w, 1.0)"
    ),
    "attribute of a number": Read(
        "class K(float):\n    pass\nk = K(2.0)\nk.more = $v", "k.more", "k.more = $w"
    ),
    "exception": Read("e = ValueError($v)", "e.args[0]", "e.args = ($w,)"),
    "module's own getattr": Read(
        "m = types.ModuleType('m')\nD = {'k': $v}\nm.__getattr__ = lambda name: D[name]", "m.k",
        "D['k'] = $w",
    ),
    "pattern of a class": Read(
        "class P:\n    __match_args__ = ('v',)\np = P()\np.v = $v\n"
        "def look():\n    match p:\n        case P(v):\n            return v", "look()", "p.v = $w",
    ),
    "abstract class": Read(
        "import abc\nclass B(abc.ABC):\n    pass\nclass C:\n    pass\nc = C()",
        "($w if isinstance(c, B) else $v)", "B.register(C)",
    ),
    "name of the thread": Read(
        "threading.current_thread().name = 'MainThread'", "len(threading.current_thread().name)",
        "threading.current_thread().name = 'MainThread of a test'",
    ),
    "level of a logger": Read(
        "logging.getLogger('zz').setLevel(10)", "logging.getLogger('zz').level",
        "logging.getLogger('zz').setLevel(30)",
    ),
    "context of decimals": Read(
        "import decimal\ndecimal.getcontext().prec = 28", "decimal.getcontext().prec",
        "decimal.getcontext().prec = 29",
    ),
    "ufunc of one's own": Read(
        "def make():\n    k = [$v]\n    return k, np.frompyfunc(lambda a: a * k[0], 1, 1)\n"
        "K, u = make()", "float(u(1.0))", "K[0] = $w",
    ),
    "switch interval": Read(
        "sys.setswitchinterval(0.005)", "sys.getswitchinterval()", "sys.setswitchinterval(0.006)"
    ),
    # what is another at each reading
    "database": Read(
        "import sqlite3\nc = sqlite3.connect(':memory:')", "c.execute('select 2').fetchone()[0]",
        "", True,
    ),
    "iterator": Read("it = iter([$v, $w] * 20)", "next(it)", "", True),
    "counter": Read("n = itertools.count()", "next(n)", "", True),
    "own counter": Read(
        "class Box:\n    k = 0\n    def step(self):\n        self.k += 1\n        return self.k\n"
        "box = Box()", "box.step()", "", True,
    ),
    "list that grows": Read(
        "L = []\ndef step():\n    L.append(1.0)\n    return len(L)", "step()", "", True
    ),
    "pop": Read("L = [$v, $w] * 20", "L.pop()", "", True),
    "np.random.rand": Read("", "np.random.rand()", "", True),
    "np.random.normal": Read("", "np.random.normal(size=3)", "", True),
    "np.random.randint": Read("", "np.random.randint(5)", "", True),
    "random.random": Read("", "random.random()", "", True),
    "random.choice": Read("", "random.choice([1.0, 2.0, 3.0])", "", True),
    "random.Random": Read("r = random.Random(0)", "r.random()", "", True),
    "Generator": Read("r = np.random.default_rng(0)", "r.random()", "", True),
    "Generator in a list": Read("r = [np.random.default_rng(0)]", "r[0].random()", "", True),
    "Generator's permutation": Read("r = np.random.default_rng(0)", "r.permutation(3)", "", True),
    "RandomState": Read("r = np.random.RandomState(0)", "r.rand()", "", True),
    "bound draw": Read("draw = np.random.default_rng(0).random", "draw()", "", True),
    "draw by SciPy": Read("from scipy import stats", "stats.norm.rvs()", "", True),
    "fresh Generator": Read("", "np.random.default_rng(0).random()", ""),
    "time": Read("", "time.time()", "", True, True),
    "perf_counter": Read("", "time.perf_counter()", "", True, True),
    "now": Read("", "datetime.datetime.now().timestamp()", "", True, True),
    "urandom": Read("", "os.urandom(1)[0] + time.time()", "", True, True),
    "entropy": Read("", "np.random.default_rng().random()", "", True, True),
}  # fmt: skip

PLACES: dict[str, Place] = {
    "the function": Place("", "", "$r"),
    "a comprehension": Place("", "", "[$r for _ in range(1)][0]"),
    "a dict comprehension": Place("", "", "{0: $r for _ in range(1)}[0]"),
    "a generator expression": Place("", "", "next($r for _ in range(1))"),
    "a lambda": Place("", "", "(lambda: $r)()"),
    "an inner function": Place("", "def inner():\n    return $r", "inner()"),
    "an inner function's inner": Place(
        "", "def outer():\n    def inner():\n        return $r\n    return inner()", "outer()"
    ),
    "a helper": Place("def h1():\n    return $r", "", "h1()"),
    "a helper's helper": Place("def h1():\n    return $r\ndef h2():\n    return h1()", "", "h2()"),
    "a lambda outside": Place("h1 = lambda: $r", "", "h1()"),
    "a staticmethod": Place(
        "class H:\n    @staticmethod\n    def get():\n        return $r", "", "H.get()"
    ),
    "a classmethod": Place(
        "class H:\n    @classmethod\n    def get(cls):\n        return $r", "", "H.get()"
    ),
    "a method": Place("class H:\n    def get(self):\n        return $r\nh = H()", "", "h.get()"),
    "a property": Place(
        "class H:\n    @property\n    def get(self):\n        return $r\nh = H()", "", "h.get"
    ),
    "a callable object": Place(
        "class H:\n    def __call__(self):\n        return $r\nh = H()", "", "h()"
    ),
    "a partial": Place("def h1(_):\n    return $r\nh = functools.partial(h1, 0)", "", "h()"),
    "a function in a dict": Place("hs = {'a': lambda: $r}", "", "hs['a']()"),
    "a function in a list": Place("hs = [lambda: $r]", "", "hs[0]()"),
    "a bound method kept": Place(
        "class H:\n    def get(self):\n        return $r\nget_it = H().get", "", "get_it()"
    ),
    "a default argument": Place("def h1():\n    return $r\ndef h2(g=h1):\n    return g()", "",
    "h2()"),
    "a decorated helper": Place(
        "def deco(g):\n    @functools.wraps(g)\n    def made(*a):\n        return g(*a)\n"
        "    return made\n"
        "@deco\ndef h1():\n    return $r", "", "h1()",
    ),
    "a generator": Place("def gen():\n    yield $r", "", "next(gen())"),
    "a map": Place("", "", "list(map(lambda _: $r, [0]))[0]"),
    "a sort key": Place("", "", "sorted([0.0], key=lambda _: 0)[0] + $r"),
    "a compiled helper": Place(
        "def h0(y):\n    return y * $r\nh1 = an.compile(h0)", "", "h1(np.ones(3))"
    ),
    "a function of functions": Place("def apply(g):\n    return g()", "", "apply(lambda: $r)"),
    "__getitem__": Place(
        "class H:\n    def __getitem__(self, _):\n        return $r\nh = H()", "", "h[0]"
    ),
    "a with block": Place(
        "@contextlib.contextmanager\ndef block():\n    yield $r",
        "with block() as value:\n    pass", "value"
    ),
    "a forward": Place(
        "class Mod(an.Module):\n    def forward(self, x):\n        return x * $r\nmod_ = Mod()", "",
        "mod_(np.ones(3))",
    ),
    "eval": Place("", "", "eval(\"\"\"$r\"\"\")"),
    "np.vectorize": Place("h = np.vectorize(lambda _: $r, otypes=[float])", "", "h(np.zeros(3))"),
}  # fmt: skip

# How the number that was read is used.
USES = [
    "x * $e", "x * $e", "x + $e", "np.sum(x) * $e", "np.where(x > $e, x, 0)", "x ** 2 * $e",
    "x * np.full(3, $e)", "np.maximum(x, $e)", "x * np.array([1.0, 2.0, 3.0]) * $e",
    "x / (1 + $e * $e)", "np.stack([x, x * $e])", "{'a': x * $e, 'b': x}", "(x, $e)",
    "np.copysign(x, $e)", "x * np.asarray($e)", "an.sigmoid(x * $e)", "x * np.exp($e)",
]  # fmt: skip

NUMBERS = ["1.0", "2.0", "3.0", "0.5", "1", "2", "True", "0.0", "-0.0"]
