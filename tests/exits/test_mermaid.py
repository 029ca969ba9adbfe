"""Pictures in Mermaid: each box once, arrows where x goes, and no text that is markup."""

from __future__ import annotations

import re

import numpy as np
from tools.exit_networks import Residual

from autonn import nn
from autonn.compiler import trace


def test_modules_of_a_row_have_arrows_and_others_none() -> None:
    model = nn.Sequential(nn.Layer(3, 3, rng=0), nn.Sequential(nn.Tanh(), nn.ReLU()), Residual(3))
    text = model.mermaid()
    assert re.findall(r"(m\d) --> (m\d)", text) == [("m3", "m4"), ("m1", "m2"), ("m2", "m5")]
    assert text.count("subgraph") == text.count("    end") == 3
    assert 'm6["2.first: Layer(3, 3), weight 3x3, bias 3"]' in text
    assert len(set(re.findall(r"m\d(?=\[)", text))) == 8


def test_a_graph_has_an_arrow_for_each_operand() -> None:
    graph = trace(lambda x, y: np.sum(x @ y), np.ones((2, 3)), np.ones((3, 2)))
    text = graph.mermaid()
    assert re.findall(r"(\w+) --> (\w+)", text) == [
        ("n0", "n2"), ("n1", "n2"), ("n2", "n3"), ("n3", "r0"),
    ]  # fmt: skip
    assert 'n2["Z = X Y (2, 2)"]' in text


def test_labels_are_no_markup() -> None:
    class Odd(nn.Module):
        def __repr__(self) -> str:
            return '"]; click m0 <script> `x` #1'

    (line,) = Odd().mermaid().splitlines()[1:]
    assert line.strip() == ('m0["#quot;]; click m0 #lt;script#gt; #96;x#96; #35;1"]')
