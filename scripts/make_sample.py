"""Makes samples/hand.png and its truth samples/hand.json: a phantom, no patient's picture.

python scripts/make_sample.py
"""

from __future__ import annotations

from pathlib import Path

import cv2

from ossa.labels.competition import write_label
from ossa.phantom.scene import PhantomOptions, generate
from ossa.safety import write_bytes

SEED = 2026112204
SIZE = 1024
OPTIONS = PhantomOptions(
    bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, clutter=0, fill=(0.9, 0.9), aspect=(0.75, 0.75)
)


def main() -> None:
    folder = Path(__file__).parents[1] / "samples"
    radiograph, segmentation = generate(SEED, SIZE, OPTIONS)
    write_bytes(folder / "hand.png", cv2.imencode(".png", radiograph.pixels)[1].tobytes())
    write_label(folder / "hand.json", segmentation, "hand.png")


if __name__ == "__main__":
    main()
