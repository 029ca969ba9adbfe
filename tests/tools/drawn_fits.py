"""Random trainings of models, losses and callbacks that change things while training runs."""

from __future__ import annotations

import numpy as np
from tools.drawn_impure import filled, indented, one_of
from tools.drawn_networks import net_text
from tools.script import Script

__all__ = ["draw_fit"]

Random = np.random.Generator

# What a forward or a loss reads, or draws: what is set up, and a factor of the cost.
READS: dict[str, tuple[str, str]] = {
    "np.random.rand": ("", "(0.5 + np.random.rand())"),
    "np.random mask": ("", "np.mean(np.random.rand(4) > 0.5)"),
    "random.random": ("", "(0.5 + random.random())"),
    "Generator in a list": ("gens = [np.random.default_rng(0)]", "(0.5 + gens[0].random())"),
    "global Generator": ("gen = np.random.default_rng(0)", "(0.5 + gen.random())"),
    "RandomState": ("state = np.random.RandomState(0)", "(0.5 + state.rand())"),
    "Generator of the model": ("Net.gen = np.random.default_rng(0)", "(0.5 + net.gen.random())"),
    "global weight": ("weight = 1.0", "weight"),
    "weight in a dict": ("D = {'w': 1.0}", "D['w']"),
    "weight in a list": ("L = [1.0]", "L[0]"),
    "weight in a namespace": ("box = types.SimpleNamespace(w=1.0)", "box.w"),
    "attribute of the model": ("Net.w = 1.0", "net.w"),
    "global in a comprehension": ("weight = 1.0", "sum([weight for _ in range(1)])"),
    "global in a helper": ("weight = 1.0\ndef helper():\n    return weight", "helper()"),
    "closure": (
        "def make():\n    w = 1.0\n    def get():\n        return w\n    def put(v):\n"
        "        nonlocal w\n"
        "        w = v\n    return get, put\nget, put = make()", "get()",
    ),
    "array in place": ("arr = np.ones(4)", "np.mean(arr)"),
    "sorted array in place": ("arr = np.ones(4)", "np.sort(arr)[0]"),
    "own counter": ("n = itertools.count(1)", "(1 + 1 / next(n))"),
    "list that grows": ("seen = []\ndef grow():\n    seen.append(1)\n    return len(seen)",
    "(1 / grow())"),
    "length of a list": ("L = [1.0]", "len(L)"),
    "attribute set in forward": (
        "def tick():\n    net.ticks = getattr(net, 'ticks', 0) + 1\n    return 1 / net.ticks",
        "tick()"
    ),
    "buffer in place": (
        "buffer = np.zeros(1)\ndef tick():\n    buffer[0] += 1\n    return 1 / buffer[0]", "tick()"
    ),
    "isinstance": ("", "(2.0 if isinstance(X, np.ndarray) else 1.0)"),
    "mode": ("", "(1.0 if net.training else 2.0)"),
    "swallowed refusal": (
        "def look(t):\n    try:\n"
        "        return 1.0 if float(np.sum(t.data if hasattr(t, 'data') else t)) > 2 "
        "else 2.0\n    except Exception:\n        return 3.0", "look(X)",
    ),
    "value read": ("", "(1.0 if np.sum(net.first.weight.data) > 0.5 else 2.0)"),
    "mask": ("", "np.mean(X[X > 0])"),
    "mask's length": ("", "len(X[X > 0.2])"),
    "nothing": ("", "1.0"),
}  # fmt: skip

# What a callback does after each epoch.
CALLBACKS = [
    "", "weight = 2.0", "globals()['weight'] = globals().get('weight', 1.0) * 0.5",
    "'D' in globals() and D.__setitem__('w', len(history) * 0.5)",
    "'L' in globals() and L.__setitem__(0, len(history) * 0.5)",
    "'L' in globals() and L.append(1.0)", "'box' in globals() and setattr(box, 'w', 0.5)",
    "Net.w = 0.5", "net.w = len(history) * 0.1", "'put' in globals() and put(0.25)",
    "'arr' in globals() and arr.fill(len(history))", "net.k = 1.0 / len(history)",
    "net.skip = not net.skip",
    "net.act = 'sin'", "'layers' in vars(net) and net.layers.append(an.Layer(4, 4, rng=60))",
    "'layers' in vars(net) and net.layers.reverse()",
    "'drop' in vars(net) and setattr(net.drop, 'p', 0.1)",
    "net.first.bias.requires_grad = len(history) % 2 == 0",
    "'ks' in vars(net) and net.ks.append(0.5)",
    "'plain' in vars(net) and net.plain.__setitem__(0, 3.0)",
    "net.first.weight.data = net.first.weight.data "
    "* 0.5", "'heads' in vars(net) and net.heads.__setitem__('a', net.heads['b'])",
    "net.first = an.Layer(3, 4, rng=61)", "net.eval()", "Net.forward = other_forward",
    "net.scale = 0.5", "lam = 3.0", "strength['l2'] = 2.0", "loss.w = 0.5",
    "globals()['helper'] = lambda: 0.25",
]  # fmt: skip

_FIT = """\
X = np.linspace(-1, 1, 36).reshape(12, 3)[np.random.default_rng(5).permutation(12)]
Y = np.cos(np.linspace(0, 3, 48)).reshape(12, 4)
class Loss:
    w = 1.0
    def __call__(self, a, b):
        return np.mean(np.square(a - b)) * self.w$loss
loss = Loss()
class Model(an.Module):
    def __init__(self):
        self.net = net
    def forward(self, X):
        return net(X)$forward
def after(history):
    global weight, lam
$after
def F():
    history = an.fit(
        Model(), X, Y, loss=loss, optimizer=optim.$optimizer, epochs=$epochs, seed=3,
        batch_size=$batch, callbacks=[after], l2=$l2, compile=COMPILED,
    )
    return history.cost, {name: p.numpy() for name, p in net.named_parameters()}
"""


def draw_fit(seed: int) -> Script:
    """Draw a model, a loss, a callback and how they are trained."""
    rng = np.random.default_rng(seed)
    net, _ = net_text(rng, int(rng.integers(0, 3)))
    name = one_of(rng, READS)
    setup, factor = READS[name]
    in_loss = rng.random() < 0.5
    factor_in_loss = factor.replace("(X", "(a").replace("X[X", "a[a").replace("(X,", "(a,")
    after = one_of(rng, CALLBACKS)
    text = filled(
        _FIT,
        loss=f" * {factor_in_loss}" if in_loss else "",
        forward="" if in_loss else f" * {factor}",
        after=indented(f"{after or 'pass'}").rstrip(),
        optimizer=one_of(rng, ["SGD(lr=0.05)", "Adam(lr=0.01)", "SGD(lr=0.05, momentum=0.9)"]),
        epochs=str(int(rng.integers(3, 9))),
        batch=one_of(rng, ["None", "4", "5"]),
        l2=one_of(rng, ["0.0", "0.1"]),
    )
    where = "loss" if in_loss else "forward"
    kind = f"{name} in {where} | {after or 'no callback'}"
    return Script(f"{net}{setup}\n{text}", ["F()"], False, kind, tolerance=1e-9, compiles=False)
