"""The compiler: from a function to the flat NumPy program that it stands for.

Read `graph`, `trace`, `simplify`, then `partition`, `layout`, `memory` and `emit_numpy`, which
write a graph down, and `guards` and `compiled`, which run what was written.
"""

from autonn.compiler.compiled import Compiled, compile
from autonn.compiler.emit import emit
from autonn.compiler.graph import Graph, Node
from autonn.compiler.simplify import simplify
from autonn.compiler.trace import trace

__all__ = ["Compiled", "Graph", "Node", "compile", "emit", "simplify", "trace"]
