"""Put a trained finder of hands into a bundle: scripts/ship_finder.py OUT/last.pt BUNDLE"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ossa.bundle.bundle import Bundle
from ossa.bundle.finder import FINDER, add_finder
from ossa.models.finder import FinderNet


def main() -> None:
    """Parse, read the averaged weights, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="last.pt of ossa.training.finder")
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()
    net = FinderNet()
    net.load_state_dict(torch.load(args.checkpoint, weights_only=True)["mean"])
    bundle = add_finder(Bundle.load(args.bundle), net)
    print(f"{bundle.path / FINDER}: {(bundle.path / FINDER).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
