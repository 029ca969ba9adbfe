"""The compiler: from a function to the flat NumPy program that it stands for.

Read in this order: `graph`, `loops`, `parts`, `products`, `unrolling`, `watching`, `reads`,
`search`, `trace`, `widths`, `bounds`, `centred`, `simplify`, `stretching`, `exchange`, `partition`,
`layout`, `blocks`, `packs`, `lowering`, `memory`, `sources`, `emit_faster`, `emit_loop`,
`emit_numpy`, `javascript_loops`, `javascript_numbers`, `javascript_arrays`, `javascript_products`,
`javascript_windows`, `emit_javascript`, `emit`, `arguments`, `guards`, `results`, `verify`,
`compiled`.
"""

from autonn.compiler.compiled import Compiled, compile
from autonn.compiler.emit import emit
from autonn.compiler.graph import Graph, Node
from autonn.compiler.simplify import simplify
from autonn.compiler.trace import trace

__all__ = ["Compiled", "Graph", "Node", "compile", "emit", "simplify", "trace"]
