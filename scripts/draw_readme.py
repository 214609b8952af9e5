"""Draw docs/pictures/sample.jpg from real output on the sample: python scripts/draw_readme.py [FOLDER]

From left to right: the radiograph that was read, what ``ossa predict`` writes beside it, what ``ossa measure --draw``
adds. They are scaled down and stored as JPEG; nothing else is done to them. ``scripts/docs`` draws them anew.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from ossa.radiograph.display import jpeg
from ossa.safety import write_bytes

ROOT = Path(__file__).resolve().parents[1]
HEIGHT, QUALITY, GAP = 720, 78, 8


def draw(folder: Path) -> None:
    """Run both commands on samples/hand.png, and write ``folder``/sample.jpg."""
    with tempfile.TemporaryDirectory(prefix="ossa-sample-") as name:
        out = Path(name)
        image = str(ROOT / "samples" / "hand.png")
        for words in (["predict", image, "-o", str(out / "p")], ["measure", image, "--draw", "-o", str(out / "m")]):
            subprocess.run([sys.executable, "-m", "ossa", *words], check=True, stdout=subprocess.DEVNULL)
        files = [Path(image), out / "p" / "hand_overlay.png", out / "m" / "hand_measured.png"]
        parts = []
        for path in files:
            picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            width = round(picture.shape[1] * HEIGHT / picture.shape[0])
            parts += [
                np.full((HEIGHT, GAP, 3), 255, np.uint8),
                cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA),
            ]
    write_bytes(folder / "sample.jpg", jpeg(np.hstack(parts[1:]), QUALITY))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "pictures")
    draw(parser.parse_args().folder)
