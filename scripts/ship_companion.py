"""Put a trained finder, refiner or consultant into a bundle:

    scripts/ship_companion.py finder|refiner OUT/last.pt BUNDLE
    scripts/ship_companion.py consultant RUN/bundle0 BUNDLE [--anatomy FOLDER ...]

The consultant is the model of a run (``ossa train consultant``); it must know the bones that the bundle's model knows.
It travels in 8 bits, calibrated on phantoms of the kinds that it has learnt.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ossa.bundle.bundle import Bundle
from ossa.bundle.companions import CONSULTANT, FINDER, REFINER, add_companion, put_companion
from ossa.bundle.deploy import int8_onnx
from ossa.inference.networks import check_same_bones
from ossa.models.finder import FinderNet
from ossa.models.refiner import RefinerNet
from ossa.phantom.meshes import meshes
from ossa.phantom.scene import generate
from ossa.radiograph.prepare import prepare
from ossa.training.phantoms import films_of

KINDS = {"finder": (FINDER, FinderNet), "refiner": (REFINER, RefinerNet)}

#: Phantoms that the 8 bits are calibrated on: how many, and the first seed.
CALIBRATED, SEED = 64, 1_500_000_000


def main() -> None:
    """Parse, read the averaged weights, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=[*KINDS, "consultant"])
    parser.add_argument("trained", type=Path, help="last.pt, or a consultant's bundle")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="folders of meshes, blended")
    args = parser.parse_args()
    bundle = Bundle.load(args.bundle)
    if args.kind == "consultant":
        name, bundle = CONSULTANT, consulting(bundle, Bundle.load(args.trained), args.anatomy)
    else:
        name, network = KINDS[args.kind]
        net = network()
        net.load_state_dict(torch.load(args.trained, weights_only=True)["mean"])
        bundle = add_companion(bundle, name, net)
    print(f"{bundle.path / name}: {(bundle.path / name).stat().st_size / 1e6:.2f} MB")


def consulting(bundle: Bundle, trained: Bundle, anatomy: list[Path]) -> Bundle:
    """``bundle`` with the network of ``trained`` as its consultant."""
    check_same_bones(bundle, trained)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CONSULTANT
        int8_onnx(trained, path, pictures(trained, anatomy))
        return put_companion(bundle, CONSULTANT, path.read_bytes())


def pictures(trained: Bundle, anatomy: list[Path]) -> Iterator[NDArray[np.float32]]:
    """Pictures (1, H, W) as the consultant is asked about them, mirrored in turn."""
    options = films_of("consultant")
    size = trained.card.preparation.size
    bones = meshes(tuple(anatomy), 2 * size)
    for k in range(CALIBRATED):
        radiograph = generate(SEED + k, 2 * size, options, bones)[0]
        picture = prepare(radiograph, trained.card.preparation)[0]
        yield np.ascontiguousarray(picture[..., ::-1] if k % 2 else picture)


if __name__ == "__main__":
    main()
