"""Run a fuzzer over many seeds: ``PYTHONPATH=tests python -m fuzz.run programs --seeds 0 100000``.

It prints how many calls were compared, and for each kind of fault the first program that shows it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from tools.trials import Summary

FUZZERS = ("programs", "row_costs", "impure", "networks", "fits")


def main() -> int:
    """Run and print; the status is 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fuzzer", choices=FUZZERS)
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 1000), metavar=("FROM", "TO"))
    options = parser.parse_args()
    trial = importlib.import_module(f"fuzz.{options.fuzzer}").trial
    found, start = Summary(), time.perf_counter()
    for seed in range(*options.seeds):
        found.add(seed, trial(seed))
    print(found.text())
    print(f"{time.perf_counter() - start:.0f} seconds")
    return int(bool(found.kinds))


if __name__ == "__main__":
    sys.exit(main())
