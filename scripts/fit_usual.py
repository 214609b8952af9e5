"""Fits src/ossa/hand/usual.json to synthetic hands: python scripts/fit_usual.py [COUNT]

Sizes, lengths, shapes and distances are what the shipped judge of results was fitted with
(benchmarks/bench_quality.py --fit): without --all only the places are fitted anew, and the judge stays as it is.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from ossa.hand.geometry import geometry
from ossa.hand.usual import load_usual
from ossa.hand.usual_fit import fit_places, fit_usual
from ossa.phantom.scene import PhantomOptions, generate
from ossa.safety import write_text
from ossa.schema import load_schema

OUT = Path(__file__).parents[1] / "src" / "ossa" / "hand" / "usual.json"
FIRST_SEED = 70_000_000
SIZE = 384


def main() -> None:
    """Draw, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=300, help="how many hands")
    parser.add_argument("--all", action="store_true", help="everything, not the places alone: fit the judge anew then")
    args = parser.parse_args()
    schema = load_schema()
    hands = [geometry(generate(FIRST_SEED + k, SIZE, PhantomOptions())[1]) for k in range(args.count)]
    known = load_usual(schema)
    if known is None or args.all:
        found = fit_usual(hands, schema)
    else:
        found = replace(known, place=fit_places(hands, known))
    write_text(OUT, json.dumps(found.to_json(), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
