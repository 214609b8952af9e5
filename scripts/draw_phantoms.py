"""Draw docs/phantoms.jpg: sixteen phantoms of the wide world, every second one with its truth.

    python scripts/draw_phantoms.py [--anatomy FOLDER ...] [--seed 40] [FILE]

Without --anatomy the built-in hand is drawn; the picture in docs is of three people's bones, blended (docs/phantom.md).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.export.overlay import grey_picture, trace
from ossa.phantom.meshes import meshes
from ossa.phantom.options import WIDE
from ossa.phantom.scene import generate
from ossa.radiograph.display import jpeg
from ossa.safety import write_bytes

ROOT = Path(__file__).resolve().parents[1]
SIZE, TILE, GAP, COLUMNS, COUNT, QUALITY = 512, 248, 8, 8, 16, 82


def tile(number: int, seed: int, anatomy: tuple[Path, ...]) -> NDArray[np.uint8]:
    """(TILE, TILE, 3) uint8 RGB: one phantom on white, with its outlines where ``number`` is odd."""
    radiograph, truth = generate(seed + number, SIZE, WIDE, meshes(anatomy, SIZE))
    picture = grey_picture(radiograph)
    if number % 2:
        for name, region in truth:
            trace(picture, region, truth.schema.bone(name).colour, 3)
    scale = TILE / max(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:TILE, :TILE]
    out = np.full((TILE, TILE, 3), 255, np.uint8)
    top, left = (TILE - small.shape[0]) // 2, (TILE - small.shape[1]) // 2
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


def draw(file: Path, seed: int, anatomy: tuple[Path, ...]) -> None:
    """Write the sheet of phantoms ``seed`` to ``seed`` + 15."""
    rows = -(-COUNT // COLUMNS)
    sheet = np.full((rows * (TILE + GAP) - GAP, COLUMNS * (TILE + GAP) - GAP, 3), 255, np.uint8)
    for number in range(COUNT):
        top, left = (TILE + GAP) * (number // COLUMNS), (TILE + GAP) * (number % COLUMNS)
        sheet[top : top + TILE, left : left + TILE] = tile(number, seed, anatomy)
    write_bytes(file, jpeg(sheet, QUALITY))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "docs" / "phantoms.jpg")
    parser.add_argument("--anatomy", type=Path, action="append", default=[], help="folders of meshes, blended")
    parser.add_argument("--seed", type=int, default=40)
    given = parser.parse_args()
    draw(given.file, given.seed, tuple(given.anatomy))
