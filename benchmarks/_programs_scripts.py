"""Two scripts as people write them around a library, for bench_programs.py: each reads a folder of PNGs and ends.

    python benchmarks/_programs_scripts.py {smp,monai} FILMS OUTPUT WEIGHTS

``smp``: the picture squeezed to 512 x 512, a U-Net of ResNet-34, 29 planes of probabilities brought to the picture's
size, a threshold, run lengths by numpy, a CSV. ``monai``: windows of 512 px over the whole picture, its residual UNet,
a threshold, a PNG of each bone. Of ossa they take nothing, but torchvision built for another torch is made to load.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

BONES = 29
SIDE = 512


def smp_network() -> torch.nn.Module:
    from ossa.models._torchvision import ensure_torchvision

    ensure_torchvision()
    from segmentation_models_pytorch import Unet

    network: torch.nn.Module = Unet("resnet34", encoder_weights=None, in_channels=3, classes=BONES)
    return network


def monai_network() -> torch.nn.Module:
    from monai.networks.nets import UNet

    network: torch.nn.Module = UNet(2, 1, BONES, (32, 64, 128, 256, 512), (2, 2, 2, 2), num_res_units=2)
    return network


class Films(Dataset[Any]):
    """Pictures as smp's script feeds them: (3, 512, 512) float32, with their place in the list."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int, int, int]:
        image = cv2.imread(str(self.paths[index]))
        small = cv2.resize(image, (SIDE, SIDE)).astype(np.float32) / 255
        return torch.from_numpy(small.transpose(2, 0, 1)), index, image.shape[0], image.shape[1]


def run_lengths(mask: NDArray[np.bool_]) -> str:
    """As every notebook of the contest does it."""
    pixels = np.concatenate([[0], mask.flatten().astype(np.uint8), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


def smp(films: Path, output: Path, weights: Path) -> None:
    import pandas

    network = smp_network()
    network.load_state_dict(torch.load(weights))
    network.eval()
    paths = sorted(films.glob("*.png"))
    rows = []
    with torch.no_grad():
        for images, indices, heights, widths in DataLoader(Films(paths), batch_size=2, num_workers=2):
            logits = network(images)
            for one, index, height, width in zip(logits, indices, heights, widths, strict=True):
                whole = torch.nn.functional.interpolate(one[None], (int(height), int(width)), mode="bilinear")
                masks = (torch.sigmoid(whole)[0] > 0.5).numpy()
                rows += [(paths[index].name, bone, run_lengths(mask)) for bone, mask in enumerate(masks)]
    pandas.DataFrame(rows, columns=["image_name", "class", "rle"]).to_csv(output / "predictions.csv", index=False)


def monai(films: Path, output: Path, weights: Path) -> None:
    from monai.inferers import SlidingWindowInferer
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, ScaleIntensity

    network = monai_network()
    network.load_state_dict(torch.load(weights))
    network.eval()
    read = Compose([LoadImage(image_only=True), EnsureChannelFirst(), ScaleIntensity()])
    infer = SlidingWindowInferer((SIDE, SIDE), sw_batch_size=4, overlap=0.25)
    with torch.no_grad():
        for path in sorted(films.glob("*.png")):
            masks = torch.sigmoid(infer(read(path)[None], network))[0] > 0.5
            for bone, mask in enumerate(masks.numpy()):  # MONAI holds pictures as (x, y)
                cv2.imwrite(str(output / f"{path.stem}_{bone:02d}.png"), mask.T.astype(np.uint8) * 255)


if __name__ == "__main__":
    name, *given = sys.argv[1:]
    Path(given[1]).mkdir(parents=True, exist_ok=True)
    {"smp": smp, "monai": monai}[name](*map(Path, given))
