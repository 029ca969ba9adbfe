"""How many lines a network and its cost take here, and in PyTorch: counted, not claimed.

    python benchmarks/lines.py

Counted are the lines with code of a function of networks.py, and of all that it uses from there,
and those of its twin in twins.py: no docstrings, no comments, no imports.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

HERE = Path(__file__).parent
NOTHING = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENCODING, tokenize.ENDMARKER,
}  # fmt: skip
Definition = ast.FunctionDef | ast.ClassDef


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines with code: neither comments nor docstrings alone."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {
        line
        for token in tokens
        if token.type not in NOTHING
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Definition | ast.Module) and ast.get_docstring(node) is not None:
            said = node.body[0]
            lines -= set(range(said.lineno, (said.end_lineno or said.lineno) + 1))
    return lines


def of_each(path: Path) -> dict[str, int]:
    """Count the lines of each function of a file, with those of what it uses from the file."""
    source = path.read_text()
    lines = code_lines(source)
    defined = {node.name: node for node in ast.parse(source).body if isinstance(node, Definition)}

    def used(name: str, seen: set[str]) -> set[str]:
        """Return a definition's own name, and those of all that it uses."""
        seen.add(name)
        for node in ast.walk(defined[name]):
            if isinstance(node, ast.Name) and node.id in defined and node.id not in seen:
                used(node.id, seen)
        return seen

    def count(name: str) -> int:
        spans = (defined[part] for part in used(name, set()))
        return sum(
            line in lines
            for node in spans
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        )

    return {
        name: count(name) for name, node in defined.items() if isinstance(node, ast.FunctionDef)
    }


def main() -> None:
    """Print both counts for each network, and their sums."""
    ours, theirs = of_each(HERE / "networks.py"), of_each(HERE / "twins.py")
    print(f"{'':22}{'autonn':>8}{'PyTorch':>9}")
    for name in theirs:
        print(f"{name:22}{ours[name]:8}{theirs[name]:9}")
    print(f"{'all':22}{sum(ours[name] for name in theirs):8}{sum(theirs.values()):9}")


if __name__ == "__main__":
    main()
