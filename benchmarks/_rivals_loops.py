"""Three of the trainings of bench_rivals.py: ossa's default recipe, the reference's loop, a plain MONAI loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from _rivals_common import BATCH, Logits, Pictures, Spent, Trained, order_of, padded
from ossa.radiograph.prepare import normalise


def spoken(network: torch.nn.Module, prepared: Any, channels: int = 1) -> Logits:
    """``network`` as logits of a picture; ``prepared`` brings its uint8 content to the network's own scale."""

    def logits(image: NDArray[np.uint8], placement: Any) -> NDArray[np.float32]:
        grid = torch.from_numpy(padded(prepared(image), placement))[None, None].expand(-1, channels, -1, -1)
        with torch.inference_mode():
            out = network.eval()(grid)
        return (out[0] if isinstance(out, list | tuple) else out).float()[0].numpy()

    return logits


def to_one(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    return image.astype(np.float32) / 255


# --- ossa --------------------------------------------------------------------------------------------


def ossa_default(pictures: Pictures, spent: Spent, seed: int) -> Trained:
    """The recipe ``default`` on the pictures in place of its phantoms; the number of steps, which its schedule has to
    know, comes from four steps that are timed within the budget and thrown away."""
    from ossa.config import load_config
    from ossa.training._lightning import Callback
    from ossa.training.material import Material, Weighted
    from ossa.training.run import train_fold
    from ossa.training.samples import CaseSource

    class Watch(Callback):
        """Counts steps, stops at the end of the budget, and keeps the processor time of the first and last step."""

        def __init__(self) -> None:
            self.steps, self.first, self.last = 0, 0.0, 0.0

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            self.steps += 1
            self.last = spent.used
            self.first = self.first or self.last
            trainer.should_stop = trainer.should_stop or spent.share >= 1

    source = CaseSource(pictures.training, pictures.schema, pictures.cache)
    one = CaseSource(pictures.training[:1], pictures.schema, pictures.cache)
    material = Material((Weighted(source, 1.0),), one)

    def config(steps: int) -> Any:
        return load_config(
            "default",
            [
                "data.phantoms=null",
                "data.datasets=[{path: .}]",
                f"data.size={pictures.size}",
                "data.workers=0",
                "train.epochs=1",
                f"train.samples={steps * BATCH}",
                f"train.batch={BATCH}",
                "train.device=cpu",
                "train.threads=1",
                "train.validate_every=1",
                f"seed={seed}",
                "logging.every=1000",
            ],
        )

    spent.start()
    pilot = Watch()
    train_fold(config(4), pictures.schema, material, pictures.work / f"ossa-pilot-{seed}", callbacks=[pilot])
    step = (pilot.last - pilot.first) / (pilot.steps - 1)
    whole = max(2, int((spent.budget - spent.used) / step))
    watch = Watch()
    done = train_fold(config(whole), pictures.schema, material, pictures.work / f"ossa-{seed}", callbacks=[watch])
    note = f"{watch.last:.0f} s; its trial steps count as time, not as samples"
    return Trained(watch.steps, watch.steps * BATCH, watch.last, spoken(done.network, normalise), note)


# --- the reference -----------------------------------------------------------------------------------


def reference_sample(path: Path, outlines: Any, names: tuple[str, ...], size: int, rng: Any) -> Any:
    """A sample as the reference loads it: the PNG decoded, 29 full-size masks filled, both resized, then augmented."""
    image = cv2.imread(str(path))
    label = np.zeros((*image.shape[:2], len(names)), np.uint8)
    for i, name in enumerate(names):
        plane = np.zeros(image.shape[:2], np.uint8)
        for part in outlines.get(name, ()):
            cv2.fillPoly(plane, [np.rint(part.exterior).astype(np.int32)], 1)
        label[..., i] = plane
    image = cv2.resize(image, (size, size)).astype(np.float32) / 255
    label = cv2.resize(label, (size, size), interpolation=cv2.INTER_NEAREST)
    if rng.random() < 0.5:
        image, label = image[:, ::-1], label[:, ::-1]
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-15, 15), rng.uniform(0.9, 1.1))
        turn[:, 2] += rng.uniform(-0.0625, 0.0625, 2) * size
        image = cv2.warpAffine(np.ascontiguousarray(image), turn, (size, size))
        parts = [np.ascontiguousarray(label[..., i : i + 4]) for i in range(0, label.shape[2], 4)]
        turned = [cv2.warpAffine(part, turn, (size, size), flags=cv2.INTER_NEAREST) for part in parts]
        label = np.concatenate([part.reshape(size, size, -1) for part in turned], axis=2)
    return np.ascontiguousarray(image.transpose(2, 0, 1)), np.ascontiguousarray(label.transpose(2, 0, 1))


def reference(pictures: Pictures, spent: Spent, seed: int) -> Trained:
    """smp's U-Net with a ResNet-18, BCE and Dice by halves, Adam (amsgrad), float32: the reference's train.py.

    Random first weights, since ImageNet's cannot be had without the internet; a rate of 1e-3, as its 1e-4 learns
    nothing in so few steps. The labels' JSON is read once, before the clock starts.
    """
    from ossa.models._torchvision import ensure_torchvision

    ensure_torchvision()
    import segmentation_models_pytorch as smp

    torch.manual_seed(seed)
    names, rng = pictures.schema.names, np.random.default_rng(seed)
    outlines = [
        case.truth(pictures.schema, pictures.cache.get(case.image)[1].image_shape).outlines
        for case in pictures.training
    ]
    network = smp.Unet("resnet18", encoder_weights=None, in_channels=3, classes=len(names))
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-6, amsgrad=True)
    steps = 0
    spent.start()
    for batch in order_of(len(outlines), seed):
        samples = [reference_sample(pictures.training[i].image, outlines[i], names, pictures.size, rng) for i in batch]
        target = torch.from_numpy(np.stack([label for _, label in samples])).float()
        logits = network(torch.from_numpy(np.stack([image for image, _ in samples])))
        bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        chance = torch.sigmoid(logits)
        both = (chance * target).sum(dim=(2, 3))
        dice = 1 - ((2 * both + 1) / (chance.sum(dim=(2, 3)) + target.sum(dim=(2, 3)) + 1)).mean()
        optimiser.zero_grad()
        (0.5 * bce + 0.5 * dice).backward()
        optimiser.step()
        steps += 1
        if spent.share >= 1:
            break
    return Trained(steps, steps * BATCH, spent.used, spoken(network, to_one, 3))


# --- MONAI -------------------------------------------------------------------------------------------


def monai(pictures: Pictures, spent: Spent, seed: int) -> Trained:
    """MONAI as in its tutorials: the residual UNet of 16..256 channels, DiceCELoss, Adam at 1e-3, flips and affine
    maps of dictionaries, pictures and masks kept in memory on the grid (CacheDataset's part), float32."""
    from monai.losses import DiceCELoss
    from monai.networks.nets import UNet
    from monai.transforms import Compose, RandAffined, RandFlipd, RandGaussianNoised
    from monai.utils import set_determinism

    set_determinism(seed)
    both = ("image", "label")
    change = Compose(
        [
            RandFlipd(both, prob=0.5, spatial_axis=1),
            RandAffined(
                both,
                prob=0.5,
                rotate_range=0.26,
                scale_range=0.1,
                translate_range=0.0625 * pictures.size,
                mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandGaussianNoised("image", prob=0.2, std=0.02),
        ]
    )
    items = []
    for image, planes in pictures.prepared():
        side = ((0, 0), (0, -image.shape[0] % 32), (0, -image.shape[1] % 32))
        items.append({"image": np.pad(to_one(image)[None], side), "label": np.pad(planes, side).astype(np.float32)})
    bones = len(pictures.schema)
    network = UNet(2, 1, bones, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2)
    loss = DiceCELoss(sigmoid=True)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    steps = 0
    spent.start()
    for batch in order_of(len(items), seed):
        samples: list[Any] = [change(items[i]) for i in batch]
        image = torch.stack([torch.as_tensor(s["image"]) for s in samples])
        label = torch.stack([torch.as_tensor(s["label"]) for s in samples])
        optimiser.zero_grad()
        loss(network(image), label).backward()
        optimiser.step()
        steps += 1
        if spent.share >= 1:
            break
    return Trained(steps, steps * BATCH, spent.used, spoken(network, to_one))
