"""Digits on the page's paper: ``PYTHONPATH=tests python -m tools.read_papers --count 1000``.

The network is trained on 4,000 digits. The other 1,000, MNIST's own pictures too, are put on the
paper of its page, which reads them in Chromium; beside it `digit_from_image` and NumPy read the
same paper. "squares" are pixels of MNIST as 5 x 5 of the paper, "smooth" is a bicubic enlargement,
"drawn" is that as a pen would leave it, without greys. Of the 1,000

               page     numpy     other   refused  furthest
    squares     925       923         0         2   3.5e-14
    smooth      926       926         0         0   1.6e-01
    drawn       921       921         0         0   1.1e-15

were read rightly. What is seen differs where a pixel lies exactly on the threshold of ink.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tools.browser import chromium
from tools.drawings import Picture, enlarged
from tools.read_photos import held_out

import autonn as an
from autonn import optim
from autonn.data import digit_from_image, unroll

__all__ = ["WAYS", "Read", "on_paper", "read_papers"]

_SIDE, _FRAME = 200, 30  # of the paper, and around a picture of 140 x 140


def _framed(ink: NDArray[Any]) -> NDArray[np.uint8]:
    return np.pad(np.rint(255 * ink).astype(np.uint8), _FRAME)


WAYS: dict[str, Callable[[Picture], NDArray[np.uint8]]] = {
    "squares": lambda ink: _framed(np.kron(ink, np.ones((5, 5)))),
    "smooth": lambda ink: _framed(enlarged(ink, 140)),
    "drawn": lambda ink: _framed(enlarged(ink, 140).round()),
}

_READ = """
return arguments[0].map((text) => {
  const picture = brush.createImageData(200, 200);
  bytes(text).forEach((v, i) => picture.data.set([255 - v, 255 - v, 255 - v, 255], 4 * i));
  brush.putImageData(picture, 0, 0);
  current = unrolled(see(ink(), 200));
  show();
  return [parseInt($("result").textContent), Array.from(rolled(current))];
});
"""


class Read(NamedTuple):
    """How many are read rightly, by the page and by NumPy; where both differ; how far at most.

    `refused` is how many `digit_from_image` takes for no digit; the page does not ask.
    """

    page: int
    numpy: int
    other: int
    refused: int
    furthest: float


def on_paper(browser: Any, papers: list[NDArray[np.uint8]]) -> list[tuple[int, Picture]]:
    """Have the page read papers, 200 x 200 bytes of ink; return the digit, and what is seen."""
    texts = [base64.b64encode(paper.tobytes()).decode() for paper in papers]
    found = browser.execute_script(_READ, texts)
    return [(digit, np.reshape(seen, (20, 20))) for digit, seen in found]


def read_papers(browser: Any, model: Any, inks: Picture, y: Any, way: str) -> Read:
    """Put pictures of ink on the paper of the page that is open, and compare."""
    papers = [WAYS[way](ink) for ink in inks]
    page = numpy = other = refused = 0
    furthest = 0.0
    for paper, label, (digit, seen) in zip(papers, y, on_paper(browser, papers), strict=True):
        page += digit == label
        try:
            expected = digit_from_image(1 - paper / 255)
        except ValueError:
            refused += 1
            continue
        own = int(model.predict(unroll(expected[None])).argmax())
        numpy += own == label
        other += own != digit
        furthest = max(furthest, float(np.abs(seen - expected).max()))
    return Read(page, numpy, other, refused, furthest)


def main() -> None:
    """Print a row for each way of putting digits on the paper."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many of the 1,000")
    count = parser.parse_args().count
    of = held_out(optim.SGD(lr=0.8), 800)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder, "digits.html")
        an.export(of.model, path)
        browser.get(path.as_uri())
        print(f"{'':10}" + "".join(f"{name:>10}" for name in Read._fields))
        for way in WAYS:
            parts = [read_papers(browser, of.model, of.inks[k : k + 50], of.y[k : k + 50], way)
                     for k in range(0, count, 50)]  # fmt: skip
            *sums, _ = map(sum, zip(*parts, strict=True))
            far = max(part.furthest for part in parts)
            print(f"{way:10}" + "".join(f"{n:10}" for n in sums) + f"{far:10.1e}", flush=True)


if __name__ == "__main__":
    main()
