"""What the engine adds to NumPy: the cost of each op, forward and backward, on 4 x 4 arrays.

    python benchmarks/ops.py [--rounds 30] [--json FILE]

Each op is applied a hundred times in a row and the gradient pulled back through all of them. The
control makes the same NumPy calls without an engine: the forward and the op's own rule on bare
arrays. PyTorch, autograd and MyGrad (`pip install 'autonn[bench]'`) run the same chains where they
are installed. Rounds are interleaved; the figures are medians, in microseconds per op.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from autonn import Tensor
from autonn.engine.lineage import attributes_of, op_of, operands_of, saved_values
from autonn.engine.op import OPS

LENGTH = 100
RNG = np.random.default_rng(0)
C = RNG.uniform(0.9, 1.1, (4, 4))
Q = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
M = RNG.random((4, 4)) < 0.5
X = RNG.uniform(1e-6, 1e-5, (4, 4))  # small, so that no chain runs off to infinity

Step = Callable[[Any, Any, Any, Any, Any], Any]

# The op, and its step: from the value so far, a namespace of functions and the three constants.
STEPS: dict[str, tuple[str, Step]] = {
    "y * c": ("multiply", lambda y, np, c, q, m: y * c),
    "y * array": ("multiply", lambda y, np, c, q, m: y * c),
    "y * 1.01": ("multiply", lambda y, np, c, q, m: y * 1.01),
    "y + y": ("add", lambda y, np, c, q, m: y + y),
    "y / c": ("divide", lambda y, np, c, q, m: y / c),
    "-y": ("negative", lambda y, np, c, q, m: -y),
    "maximum(y, c)": ("maximum", lambda y, np, c, q, m: np.maximum(y, c)),
    "where(m, y, c)": ("where", lambda y, np, c, q, m: np.where(m, y, c)),
    "sqrt(y)": ("sqrt", lambda y, np, c, q, m: np.sqrt(y)),
    "sin(y)": ("sin", lambda y, np, c, q, m: np.sin(y)),
    "tanh(y)": ("tanh", lambda y, np, c, q, m: np.tanh(y)),
    "expm1(y)": ("expm1", lambda y, np, c, q, m: np.expm1(y)),
    "log1p(y)": ("log1p", lambda y, np, c, q, m: np.log1p(y)),
    "y @ q": ("matmul", lambda y, np, c, q, m: y @ q),
    "y.T": ("transpose", lambda y, np, c, q, m: y.T),
    "y.reshape(4, 4)": ("reshape", lambda y, np, c, q, m: y.reshape(4, 4)),
    "y[0:4]": ("getitem", lambda y, np, c, q, m: y[0:4]),
}


def chained(step: Step, y: Any, functions: Any, constants: tuple[Any, Any, Any]) -> Any:
    """Apply the step a hundred times."""
    for _ in range(LENGTH):
        y = step(y, functions, *constants)
    return y


def autonn_chain(label: str, step: Step) -> Callable[[], Any]:
    """Build the chain in autonn; constants are Tensors, but for the row that has an array."""
    constants = (C, Q, M) if "array" in label else (Tensor(C), Tensor(Q), Tensor(M))
    x, ones = Tensor(X, requires_grad=True), np.ones((4, 4))

    def run() -> Any:
        x.grad = None
        chained(step, x, np, constants).backward(ones)
        return x.grad

    return run


def control_chain(name: str, step: Step) -> Callable[[], Any]:
    """Make the same NumPy calls: the op's forward and the rules that its gradient needs."""
    op = OPS[name]
    sample = Tensor(X, requires_grad=True)
    z = step(sample, np, Tensor(C), Tensor(Q), Tensor(M))
    if op_of(z) is not op:
        raise SystemExit(f"{name}: the step is another op, {op_of(z)}")
    args, values, attributes = operands_of(z), saved_values(z), attributes_of(z)
    pairs = zip(op.rules, args, strict=False)
    rules = [rule for rule, a in pairs if rule and isinstance(a, Tensor) and a.requires_grad]
    forward, data = op.forward, z.data

    def run() -> None:
        for _ in range(LENGTH):
            forward(*values, **attributes)
        for _ in range(LENGTH):
            for rule in rules:
                rule(data, data, *values, **attributes)

    return run


def torch_chain(step: Step) -> Callable[[], Any]:
    """Build the chain in PyTorch, on one thread."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    constants = (torch.tensor(C), torch.tensor(Q), torch.tensor(M))
    x, ones = torch.tensor(X, requires_grad=True), torch.ones(4, 4, dtype=torch.float64)

    def run() -> Any:
        x.grad = None
        chained(step, x, torch, constants).backward(ones)
        return x.grad

    return run


def autograd_chain(step: Step) -> Callable[[], Any]:
    """Build the chain in HIPS autograd."""
    functions = importlib.import_module("autograd.numpy")
    make_vjp = importlib.import_module("autograd").make_vjp
    ones = np.ones((4, 4))

    def run() -> Any:
        pull, _ = make_vjp(lambda x: chained(step, x, functions, (C, Q, M)))(X)
        return pull(ones)

    return run


def mygrad_chain(step: Step) -> Callable[[], Any]:
    """Build the chain in MyGrad."""
    mygrad = importlib.import_module("mygrad")
    constants = (mygrad.tensor(C, constant=True), mygrad.tensor(Q, constant=True), M)
    x, ones = mygrad.tensor(X), np.ones((4, 4))

    def run() -> Any:
        chained(step, x, mygrad, constants).backward(ones)
        return x.grad

    return run


PEERS = {"torch": torch_chain, "autograd": autograd_chain, "mygrad": mygrad_chain}


def installed() -> list[str]:
    """List the peers that can be imported."""
    found = []
    for name in PEERS:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found.append(name)
    return found


def measure(contenders: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Run them in turn; return the median of each in microseconds per op."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds + 2):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t[2:])) / LENGTH * 1e6 for name, t in times.items()}


def main() -> None:
    """Measure all steps and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="of each chain (default 30)")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    options = parser.parse_args()
    peers = installed()
    versions = [f"{p} {getattr(importlib.import_module(p), '__version__', '')}" for p in peers]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}", *versions, sep=", ")
    print("microseconds per op, forward and backward, 4 x 4 float64\n")
    columns = ["NumPy alone", "autonn", "overhead", *peers]
    print(f"{'':20}" + "".join(f"{name:>13}" for name in columns))
    rows = {}
    for label, (name, step) in STEPS.items():
        contenders = {"NumPy alone": control_chain(name, step), "autonn": autonn_chain(label, step)}
        contenders |= {peer: PEERS[peer](step) for peer in peers}
        row = measure(contenders, options.rounds)
        row["overhead"] = row["autonn"] - row["NumPy alone"]
        rows[label] = row
        print(f"{label:20}" + "".join(f"{row[name]:>13.2f}" for name in columns))
    mean = {name: float(np.mean([row[name] for row in rows.values()])) for name in columns}
    print(f"{'mean':20}" + "".join(f"{mean[name]:>13.2f}" for name in columns))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"versions": versions, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
