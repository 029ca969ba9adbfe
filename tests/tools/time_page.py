"""How long learning takes in the browser: ``PYTHONPATH=tests python -m tools.time_page``.

One step of the digit network, forward, backward and update, for one example; and an epoch of 5,000.
In Chromium 156 on two cores that were busy otherwise: 0.0125 ms at least, 0.017 to 0.027 in the
median, an epoch 0.10 s. Before steps were written in place it was 0.0220 ms at least.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from tools.browser import chromium

import autonn as an
from autonn import nn

__all__ = ["times"]

_MEASURED = """
const [rounds, each] = arguments, last = samples.length, found = [];
const learned = (n) => {
  const begun = performance.now();
  for (let i = 0; i < n; i++) step(samples[i % last].x, samples[i % last].label);
  return performance.now() - begun;
};
learned(2000);
for (let r = 0; r < rounds; r++) found.push(learned(each) / each);
return [found, learned(5000), learned(5000), learned(5000)];
"""


def times(rounds: int, each: int = 200) -> tuple[list[float], float]:
    """Return the milliseconds of a step in each round, and the least of three epochs of 5,000."""
    model = nn.Sequential(
        nn.Layer(400, 25, rng=0), nn.Sigmoid(), nn.Layer(25, 10, rng=1), nn.Sigmoid()
    )
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        path = Path(folder, "digits.html")
        an.export(model, path)
        browser.get(path.as_uri())
        found, *epochs = browser.execute_script(_MEASURED, rounds, each)
    return found, min(epochs)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="of 200 steps each")
    found, epoch = times(parser.parse_args().rounds)
    least, median = min(found), statistics.median(found)
    print(f"a step for one example: least {least:.4f} ms, median {median:.4f} of {len(found)}")
    print(f"an epoch of 5,000: {epoch / 1000:.3f} s")


if __name__ == "__main__":
    main()
