"""Random networks that are edited between calls, as scripts: what a loss reads is what counts."""

from __future__ import annotations

import numpy as np
from tools.drawn_impure import HOSTILE_KEYS, filled, indented, one_of
from tools.script import Script

__all__ = ["LOSSES", "MODELS", "draw_network", "net_text"]

Random = np.random.Generator

# A network in pieces: what it holds, and what it does with a hidden h of four numbers.
HOLDS: dict[str, tuple[str, str]] = {
    "list": (
        "self.layers = [an.Layer(4, 4, rng=1), an.Layer(4, 4, rng=2)]",
        "for layer in self.layers:\n    h = np.tanh(layer(h))",
    ),
    "dict": (
        "self.heads = {'a': an.Layer(4, 4, rng=3), 'b': an.Layer(4, 4, rng=4)}",
        "h = sum(head(h) for head in self.heads.values())",
    ),
    "one head": (
        "self.heads = {'a': an.Layer(4, 4, rng=3), 'b': an.Layer(4, 4, rng=4)}",
        "h = self.heads[self.head](h)",
    ),
    "nested": (
        "self.deep = {'l': [an.Layer(4, 4, rng=5), (an.Layer(4, 4, rng=6),)]}",
        "h = h + self.deep['l'][1][0](self.deep['l'][0](h))",
    ),
    "shared": ("self.again = self.first", "h = h @ self.again.weight @ self.again.weight.T"),
    "scale": ("self.scale = an.Tensor(1.5, requires_grad=True)", "h = h * self.scale"),
    "frozen": ("self.fixed = an.Tensor(np.ones(4))", "h = h * self.fixed"),
    "plain array": ("self.plain = np.array([1.0, 2.0, 0.5, 1.0])", "h = h * self.plain"),
    "parameters in a list": (
        "self.ps = [an.Tensor(np.ones(4), requires_grad=True)]", "for p in self.ps:\n    h = h * p"
    ),
    "dropout": ("self.drop = an.Dropout(0.5, rng=7)", "h = self.drop(h)"),
    "sequential": (
        "self.seq = an.Sequential(an.Layer(4, 4, rng=8), an.ReLU(), an.Dropout(0.25, rng=9))",
        "h = self.seq(h)",
    ),
    "called by hand": ("self.by_hand = an.Layer(4, 4, rng=10)", "h = self.by_hand.forward(h)"),
    "flag": ("", "if self.skip:\n    h = h * 2"),
    "number": ("", "h = h * self.k"),
    "numbers": ("self.ks = [1.0, 2.0]", "h = h * sum(self.ks)"),
    "act": ("", "h = getattr(np, self.act)(h)"),
    "mode": ("", "h = h if self.training else h * 3"),
}  # fmt: skip

# What is done to a network between calls, by what it holds; "" is always possible.
EDITS: dict[str, list[str]] = {
    "": [
        "net.first.weight.data = net.first.weight.data * 2", "net.eval()", "net.train()",
        "net.first.weight = an.Tensor(np.ones((4, 3)), requires_grad=True)",
        "net.first = an.Layer(3, 4, rng=20)", "net.first.bias.requires_grad = False",
        "net.first.bias.requires_grad = True", "lam = 2.0", "strength['l2'] = 3.0",
        "step()", "Net.forward = other_forward", "net.forward = lambda x: net.first(x) * 2",
        "vars(net)['k'] = 5.0", "object.__setattr__(net, 'k', 6.0)", "net.__class__ = Other",
        "side.weight.data = side.weight.data + 1", "side = an.Layer(4, 4, rng=21)",
        "net.extra = an.Layer(2, 2, rng=22)", "del net.first.bias; net.first.bias = "
        "an.Tensor(np.zeros(4), requires_grad=True)", "net.first.weight.requires_grad = False",
        "net.training = False", "before = dict(vars(net)); net.k = 9.0; vars(net).update(before)",
    ],
    "list": [
        "net.layers.append(an.Layer(4, 4, rng=23))", "net.layers[1] = an.Layer(4, 4, rng=24)",
        "net.layers.pop()", "net.layers.reverse()", "net.layers[0].weight.data = np.ones((4, 4))",
        "net.layers.insert(0, net.layers[-1])", "net.layers = net.layers[:1]",
        "net.layers[0] = net.layers[1]",
    ],
    "dict": [
        "net.heads['c'] = an.Layer(4, 4, rng=25)", "net.heads['a'] = an.Layer(4, 4, rng=26)",
        "del net.heads['b']", "net.heads['a'], net.heads['b'] = net.heads['b'], net.heads['a']",
    ],
    "one head": ["net.head = 'b'", "net.heads['a'] = net.heads['b']",
    "net.heads[net.head].bias.data = "
                 "np.ones(4)"],
    "nested": [
        "net.deep['l'][0] = an.Layer(4, 4, rng=27)", "net.deep['l'][1] = (an.Layer(4, 4, rng=28),)"
    ],
    "shared": ["net.again = an.Layer(3, 4, rng=29)", "net.first.weight.data = np.eye(4)[:, :3]"],
    "scale": ["net.scale.data = 0.5", "net.scale.requires_grad = False", "net.scale = 2.0",
              "net.scale = an.Tensor(3.0, requires_grad=True)"],
    "frozen": ["net.fixed.requires_grad = True", "net.fixed.data = np.zeros(4)"],
    "plain array": ["net.plain[0] = 7.0", "net.plain = np.ones(4)"],
    "parameters in a list": [
        "net.ps.append(an.Tensor(2 * np.ones(4), requires_grad=True))",
        "net.ps[0].data = np.zeros(4)",
        "net.ps[0] = an.Tensor(3 * np.ones(4))",
    ],
    "dropout": ["net.drop.p = 0.25", "net.drop.p = 0", "net.drop.eval()", "net.drop.train()",
                "net.drop = an.Dropout(0.1, rng=30)", "net.drop.rng = np.random.default_rng(31)"],
    "sequential": [
        "net.seq.modules = net.seq.modules[:1]", "net.seq[2].p = 0.5",
        "net.seq[0].bias.data = np.ones(4)",
        "net.seq.modules += (an.Tanh(),)", "net.seq = net.seq[:2]",
    ],
    "called by hand": ["net.by_hand.weight.data = np.eye(4)",
    "net.by_hand = an.Layer(4, 4, rng=32)",
                       "net.by_hand.bias = an.Tensor(np.ones(4), requires_grad=True)"],
    "flag": ["net.skip = False", "net.skip = True"],
    "number": ["net.k = 2.0", "net.k = True", "Net.k = 4.0"],
    "numbers": ["net.ks[0] = 5.0", "net.ks.append(1.0)"],
    "act": ["net.act = 'sin'", "net.act = 'tanh'"],
    "mode": ["net.eval()", "net.train()"],
}  # fmt: skip

LOSSES = [
    "an.MeanSquaredError()(net(X), Y)", "an.SoftmaxCrossEntropy()(net(X), y)",
    "np.mean(np.square(net(X) - Y))", "np.sum(net(X) ** 2) * lam",
    "an.MeanSquaredError()(net(X), Y) + an.l2_penalty(net, lam, 5)",
    "an.MeanSquaredError()(net(X), Y) + an.l2_penalty(side, strength['l2'], 5)",
    "np.mean(net(X)) + np.sum(side.weight ** 2)", "np.sum(net.first.weight * net.first.weight)",
    "np.sum(net.forward(X) * Y)", "an.l2_penalty(net, lam, 5)", "np.mean(net(X) * net.k)",
    "sum(np.sum(p ** 2) for p in net.parameters())", "np.mean(net(X)) * (2 if net.training else 3)",
    "sum(np.sum(w) for w in net.weights())", "np.mean(net(side(net(X)[:, :4]))) if False else "
    "np.mean(side(net(X)))",
]  # fmt: skip

MODELS = """\
class Net(an.Module):
    k = 1.0
    skip = True
    act = 'tanh'
    head = 'a'
    def __init__(self):
        self.first = an.Layer(3, 4, rng=0)
$holds
    def forward(self, x):
        h = self.first(x)
$does
        return h
class Other(Net):
    def forward(self, x):
        return self.first(x) * 3
def other_forward(self, x):
    return self.first(x) * 4
net = Net()
side = an.Layer(4, 4, rng=40)
lam, strength = 0.5, {'l2': 0.5}
"""

_CALL = """\
X = np.linspace(-1, 1, 15).reshape(5, 3)
Y = np.linspace(0, 1, 20).reshape(5, 4)
y = np.array([0, 1, 2, 3, 0])
def known():
    found = dict(net.named_parameters())
    return found | {'side.' + name: p for name, p in side.named_parameters()}
def G(X):
    for p in known().values():
        p.grad = None
    loss = F(X)
    if isinstance(loss, an.Tensor) and loss.requires_grad:
        loss.backward()
    grads = {n: None if p.grad is None else np.array(p.grad) for n, p in known().items()}
    return np.array(loss.data if isinstance(loss, an.Tensor) else loss), grads
def step():
    for p in net.parameters():
        p.data = p.data * 0.9 + 0.1
def f(X):
"""


def net_text(rng: Random, count: int = 3) -> tuple[str, list[str]]:
    """Draw the text of a network, and list what it holds."""
    held = [str(name) for name in rng.choice(list(HOLDS), count, replace=False)]
    held = [h for h in held if h != "one head" or "dict" not in held]
    holds = "".join(indented(indented(HOLDS[h][0])) for h in held)
    does = "".join(indented(indented(HOLDS[h][1])) for h in held)
    return filled(MODELS, holds=holds, does=does), held


def draw_network(seed: int) -> Script:
    """Draw a network, a loss of it, and calls with edits between them."""
    rng = np.random.default_rng(seed)
    text, held = net_text(rng, int(rng.integers(1, 5)))
    loss = one_of(rng, LOSSES)
    if rng.random() < 0.05:
        text += f"net.named = {{{one_of(rng, HOSTILE_KEYS)!r}: an.Layer(4, 4, rng=50)}}\n"
        loss = "np.sum(list(net.named.values())[0](net(X)))"
    call = "G(X)" if rng.random() < 0.8 else "F(X)"
    calls = [call]
    for _ in range(int(rng.integers(1, 5))):
        about = one_of(rng, held) if rng.random() < 0.6 else ""
        calls += [one_of(rng, EDITS[about]), call]
        calls += [call] if rng.random() < 0.3 else []
    setup = f"{text}{_CALL}    return {loss}\n"
    return Script(
        setup, calls, False, "called" if "net(" in loss else "read", tolerance=1e-9, edited=True
    )
