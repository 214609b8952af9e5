"""A schematic hand (ellipses and rounded bars in anatomical places) and writers of data sets exactly as published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ossa.labels.competition import write_label
from ossa.schema import load_schema
from ossa.segmentation.outlines import Outline, map_outlines, segmentation_from_outlines
from ossa.segmentation.segmentation import Segmentation

SCHEMA = load_schema()

#: digit -> (base x, base y, direction in degrees from "up", lengths from the metacarpal outwards), in hand heights,
#: right hand seen from the back, wrist joint at (0, 0), y downwards.
_DIGITS = {
    1: (-0.072, -0.050, -40.0, (0.105, 0.070, 0.052)),
    2: (-0.042, -0.088, -9.0, (0.155, 0.095, 0.056, 0.042)),
    3: (-0.010, -0.095, -1.0, (0.148, 0.105, 0.066, 0.044)),
    4: (0.022, -0.090, 7.0, (0.132, 0.098, 0.062, 0.044)),
    5: (0.048, -0.080, 15.0, (0.122, 0.078, 0.045, 0.038)),
}
_NAMES = {1: ("finger-3", "finger-2", "finger-1")} | {
    d: tuple(f"finger-{n}" for n in range(4 * d - 1, 4 * d - 5, -1)) for d in (2, 3, 4, 5)
}
#: carpal -> (x, y, half width, half height)
_CARPALS = {
    "Trapezium": (-0.070, -0.043, 0.019, 0.019),
    "Trapezoid": (-0.042, -0.068, 0.017, 0.018),
    "Capitate": (-0.010, -0.064, 0.020, 0.030),
    "Hamate": (0.028, -0.062, 0.022, 0.026),
    "Scaphoid": (-0.045, -0.026, 0.026, 0.018),
    "Lunate": (-0.004, -0.018, 0.020, 0.018),
    "Triquetrum": (0.038, -0.024, 0.019, 0.017),
    "Pisiform": (0.049, -0.030, 0.014, 0.014),
}


def _bar(x, y, half_width, half_length, degrees, flare=0.25, n=48):
    """A long bone around (x, y): wider at its ends, rounded; ``degrees`` from "up", clockwise."""
    t = np.linspace(0, 2 * np.pi, n, endpoint=False)
    s, c = np.sin(t), np.cos(t)
    along = np.sign(s) * np.abs(s) ** 0.5 * half_length
    across = np.sign(c) * np.abs(c) ** 0.6 * half_width * (1 - flare + flare * (along / half_length) ** 2)
    a = np.deg2rad(degrees)
    return np.stack([x + across * np.cos(a) + along * np.sin(a), y + across * np.sin(a) - along * np.cos(a)], axis=1)


def schematic_hand(
    size: int = 512, *, seed: int = 0, side: str = "R", wrist: float = 0.0, turn: float = 0.0
) -> dict[str, tuple[Outline, ...]]:
    """Outlines of the 29 bones in a picture of ``size`` x ``size`` px. ``wrist`` and ``turn`` in degrees."""
    rng = np.random.default_rng(seed)
    height = size * rng.uniform(1.26, 1.36)
    rings: dict[str, np.ndarray] = {}
    for digit, (x, y, degrees, lengths) in _DIGITS.items():
        heading = np.deg2rad(degrees + rng.normal(0, 1.5))
        for k, (name, length) in enumerate(zip(_NAMES[digit], lengths, strict=True)):
            long = length * rng.uniform(0.96, 1.04)
            half = (0.0200, 0.0170, 0.0145, 0.0120)[k + (len(lengths) == 3 and k > 0)] * rng.uniform(0.95, 1.05)
            middle = (x + np.sin(heading) * long / 2, y - np.cos(heading) * long / 2)
            rings[name] = _bar(*middle, half, long / 2 - 0.002, np.rad2deg(heading))
            x, y = x + np.sin(heading) * (long + 0.003), y - np.cos(heading) * (long + 0.003)
    for name, (x, y, half_width, half_height) in _CARPALS.items():
        x, y = x + rng.normal(0, 0.0015), y + rng.normal(0, 0.0015)
        scale = rng.uniform(0.96, 1.04)
        rings[name] = _bar(x, y, half_width * scale, half_height * scale, rng.uniform(-15, 15), 0.0, 36)
    a = np.deg2rad(wrist)
    bend = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    rings = {name: ring @ bend.T for name, ring in rings.items()}
    rings["Radius"] = _bar(-0.028, 0.105, 0.038 * rng.uniform(0.95, 1.05), 0.105, 0.0, 0.35, 64)
    rings["Ulna"] = _bar(0.042, 0.112, 0.020 * rng.uniform(0.95, 1.05), 0.103, 0.0, 0.25, 64)
    a = np.deg2rad(turn)
    spin = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    mirror = np.array([-1.0 if side == "L" else 1.0, 1.0])

    def place(ring):
        return ((ring * mirror) @ spin.T) * height + (size * 0.5, size * 0.70)

    return {name: (Outline(place(rings[name])),) for name in SCHEMA.names}


def draw(outlines, size: int = 512, seed: int = 0) -> np.ndarray:
    """A grey picture (size, size) uint8 of the hand: soft tissue, bones, noise."""
    rng = np.random.default_rng(seed + 1000)
    bones = np.zeros((size, size), np.float32)
    for _, region in segmentation_from_outlines(outlines, SCHEMA, (size, size)):
        bones[region.top : region.bottom, region.left : region.right] += region.mask * 70.0
    soft = cv2.GaussianBlur((bones > 0).astype(np.float32), (0, 0), size / 40) * 90.0
    picture = cv2.GaussianBlur(soft + bones, (0, 0), 0.8) + rng.normal(0, 3, bones.shape) + 8
    return np.clip(picture, 0, 255).astype(np.uint8)


def segmentation(outlines, size: int = 512) -> Segmentation:
    return segmentation_from_outlines(outlines, SCHEMA, (size, size))


def competition_json(outlines, image_name: str, *, seed: int = 0, whole: bool = True) -> dict:
    """A label as published: arbitrary order, a metadata size that is not the picture's, a .jpg name."""
    annotations = [
        {
            "id": f"{seed:08x}-{name}",
            "type": "poly_seg",
            "attributes": {},
            "points": (np.rint(part.exterior).astype(int) if whole else part.exterior).tolist(),
            "label": name,
        }
        for name, parts in outlines.items()
        for part in parts
    ]
    np.random.default_rng(seed).shuffle(annotations)
    return {
        "annotations": annotations,
        "attributes": {},
        "file_id": "6347c9d5a7c5b2f1d3e4a5b6",
        "filename": str(Path(image_name).with_suffix(".jpg")),
        "parent_path": "/",
        "last_modifier_id": "1f2e3d4c",
        "metadata": {"height": 3060, "width": 3060},
        "last_workers": ["1f2e3d4c"],
    }


def save_image(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.merge([grey, grey, grey]))


def save_json(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_competition(root: Path, subjects: int = 4, *, size: int = 256, tests: int = 1, bent_every: int = 4) -> Path:
    """Two hands per subject with gaps in the numbering; every ``bent_every``-th subject has bent wrists."""
    number = 1
    for k in range(subjects + tests):
        split = "train" if k < subjects else "test"
        number += 1 + (k % 3)
        for hand, side in enumerate("RL"):
            seed = 10 * k + hand
            wrist = 30.0 if k % bent_every == bent_every - 1 else 0.0
            outlines = schematic_hand(size, seed=seed, side=side, wrist=wrist)
            stem = f"image16611{number:05d}{hand}" + (f"_{side}" if k % 5 == 0 else "")
            save_image(root / split / "DCM" / f"ID{number:03d}" / f"{stem}.png", draw(outlines, size, seed))
            if split == "train":
                label = competition_json(outlines, f"{stem}.png", seed=seed)
                save_json(root / split / "outputs_json" / f"ID{number:03d}" / f"{stem}.json", label)
    return root


RAM_NAMES = {
    "finger-1": "DP1", "finger-2": "PP1", "finger-3": "MC1", "finger-4": "DP2", "finger-5": "MP2", "finger-6": "PP2",
    "finger-7": "MC2", "finger-8": "DP3", "finger-9": "MP3", "finger-10": "PP3", "finger-11": "MC3",
    "finger-12": "DP4", "finger-13": "MP4", "finger-14": "PP4", "finger-15": "MC4", "finger-16": "DP5",
    "finger-17": "MP5", "finger-18": "PP5", "finger-19": "MC5", "Trapezium": "Trapzium", "Trapezoid": "Trapzoid",
    "Capitate": "Capitate", "Hamate": "Hamate", "Scaphoid": "Scaphoid", "Lunate": "Lunate", "Radius": "Radius",
    "Ulna": "Ulna",
}  # fmt: skip


def coco_counts(mask: np.ndarray) -> list[int]:
    """Uncompressed COCO run lengths, the slow obvious way."""
    flat = mask.astype(int).ravel(order="F")
    counts, value = [0], 0
    for pixel in flat.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def write_ram_h1200(root: Path, *, size: int = 128, per_split: int = 1) -> Path:
    """Splits with .bmp pictures and one COCO file each; segmentations in all three codings, rings and background."""
    from ossa.labels.coco_rle import compress_counts

    others = [
        "Background",
        "Pisifrom_Triquetrum",
        "Ring",
        "Metal Implant",
        "Intravenous cannula",
        "Sesamoid",
        "SoftTissue",
    ]
    names = ["bones-h1200", *others, *RAM_NAMES.values()]
    categories = [{"id": i, "name": n, "supercategory": "none"} for i, n in enumerate(names) if i]
    ids = {c["name"]: c["id"] for c in categories}
    for s, split in enumerate(("train", "val", "test")):
        images: list[Any] = []
        annotations: list[Any] = []
        for k in range(per_split):
            seed = 100 * s + k
            outlines = schematic_hand(size, seed=seed, side="LR"[k % 2])
            name = f"JP_HKD_P{s:02d}{k:02d}_20121201_58{s}{k}_{'LR'[k % 2]}.bmp"
            save_image(root / "Segmentation" / split / name, draw(outlines, size, seed))
            images.append({"id": k, "license": 1, "file_name": name, "height": size, "width": size})
            truth = segmentation(outlines, size)
            masks = {RAM_NAMES[n]: truth.plane(n) for n in RAM_NAMES}
            masks["Pisifrom_Triquetrum"] = truth.plane("Pisiform") | truth.plane("Triquetrum")
            masks["Background"] = ~np.any(truth.planes(), axis=0)
            masks["Ring"] = np.roll(truth.plane("finger-14"), 3, axis=0)
            for j, (category, mask) in enumerate(masks.items()):
                counts = coco_counts(mask)
                coding = ("compressed", "plain", "polygon")[j % 3]
                if coding == "polygon" and category in ids and category not in ("Background", "Ring"):
                    bone = next((n for n, v in RAM_NAMES.items() if v == category), None)
                    parts = outlines[bone] if bone else (*outlines["Pisiform"], *outlines["Triquetrum"])
                    value: Any = [(p.exterior + 0.5).ravel().tolist() for p in parts]
                elif coding == "plain":
                    value = {"size": [size, size], "counts": counts}
                else:
                    value = {"size": [size, size], "counts": compress_counts(counts)}
                annotations.append(
                    {"id": len(annotations), "image_id": k, "category_id": ids[category], "segmentation": value,
                     "area": int(mask.sum()), "bbox": [0, 0, size, size], "iscrowd": 0}
                )  # fmt: skip
        save_json(
            root / "Segmentation" / split / "_annotations_bone_rle.coco.json",
            {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories},
        )
        save_json(root / "Segmentation" / split / "_annotations_BE.coco.json", {"images": [], "annotations": []})
    return root


def write_ram_w600(root: Path, *, size: int = 128, per_split: int = 1) -> Path:
    """Wrist pictures (.bmp) with (14, H, W) arrays."""
    order = ["Capitate", "Radius", "Ulna", "Hamate", "Lunate", None, "Scaphoid", "Trapezium", "Trapezoid",
             "finger-3", "finger-7", "finger-11", "finger-15", "finger-19"]  # fmt: skip
    for s, split in enumerate(("train", "val", "test")):
        for k in range(per_split):
            outlines = schematic_hand(size, seed=7 * s + k)
            outlines = map_outlines(outlines, lambda ring: (ring - (size * 0.5, size * 0.68)) * 1.5 + size / 2)
            truth = segmentation(outlines, size)
            both = truth.plane("Triquetrum") | truth.plane("Pisiform")
            masks = np.stack([both if n is None else truth.plane(n) for n in order])
            stem = f"{s:02d}{k:02d}_0001_R"
            base = root / "BoneSegmentation"
            save_image(base / "images" / split / f"{stem}.bmp", draw(outlines, size, k))
            (base / "masks" / split).mkdir(parents=True, exist_ok=True)
            np.save(base / "masks" / split / f"{stem}.npy", masks.astype(np.uint8))
    return root


def write_prediction_folder(root: Path, *, size: int = 128, count: int = 2) -> Path:
    """Pictures with a competition label beside each."""
    for k in range(count):
        outlines = schematic_hand(size, seed=k)
        save_image(root / f"hand{k}.png", draw(outlines, size, k))
        write_label(root / f"hand{k}.json", segmentation(outlines, size), f"hand{k}.png")
    return root
