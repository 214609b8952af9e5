"""The real hands that benchmarks judge a model by: reading them, and the measures taken on them.

The folder is found through the environment variable OSSA_REAL, or beside the repository as
``shared/real``; see its README for what the files hold. Nothing here is ever trained on.
Measures take a ``Segmentation`` and say nothing about where it came from.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ossa.schema import BoneSchema, load_schema
from ossa.segmentation.compare import dice, surface_dice
from ossa.segmentation.outlines import Outlines, map_outlines, segmentation_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

#: Bones of a digit from the metacarpal to the tip, and the landmark of each one's base; the last
#: landmark is the tip. Looked at on the pictures: 17 and 13-16 lie at the metacarpal bases, the
#: others on the base of the phalanx, just inside its outer lip.
DIGITS: tuple[tuple[tuple[str, ...], tuple[int, ...]], ...] = (
    (("finger-3", "finger-2", "finger-1"), (17, 18, 19, 20)),
    (("finger-7", "finger-6", "finger-5", "finger-4"), (16, 21, 22, 23, 24)),
    (("finger-11", "finger-10", "finger-9", "finger-8"), (15, 25, 26, 27, 28)),
    (("finger-15", "finger-14", "finger-13", "finger-12"), (14, 29, 30, 31, 32)),
    (("finger-19", "finger-18", "finger-17", "finger-16"), (13, 33, 34, 35, 36)),
)

#: Carpals that the instance masks often hold as one.
MERGED: tuple[tuple[str, ...], ...] = (("Trapezium", "Trapezoid"), ("Triquetrum", "Pisiform"))

#: The first so many instances of a carpal picture are epiphyses of the digits, whatever their index.
DIGIT_EPIPHYSES = 19


def real_folder(given: str | None = None) -> Path | None:
    """The folder of real hands, or None when there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    for candidate in (given, os.environ.get("OSSA_REAL"), beside):
        if candidate and (Path(candidate) / "hands").is_dir():
            return Path(candidate)
    return None


@dataclass(frozen=True)
class Hand:
    """One picture of ``hands``: its landmarks (37, 2) in px, mm per px (x, y), and traced outlines or None."""

    name: str
    path: Path
    landmarks: NDArray[np.float64]
    spacing: tuple[float, float]
    outlines: Outlines | None


@dataclass(frozen=True)
class Wrist:
    """One picture of ``carpals``: its carpal instances as regions, by their palette index."""

    name: str
    path: Path
    instances: Mapping[int, Region]


def read_hands(root: Path) -> list[Hand]:
    """All pictures named in ``hands/landmarks.csv``."""
    from ossa.labels.competition import read_label

    schema = load_schema()
    hands = []
    with open(root / "hands" / "landmarks.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            path = root / "hands" / row["image"]
            label = path.with_suffix(".json")
            hands.append(
                Hand(
                    path.stem,
                    path,
                    np.array([[float(row[f"x{i}"]), float(row[f"y{i}"])] for i in range(37)]),
                    (float(row["spacing_x_mm"]), float(row["spacing_y_mm"])),
                    read_label(label, schema) if label.is_file() else None,
                )
            )
    return hands


def read_wrists(root: Path) -> list[Wrist]:
    """All pictures of ``carpals`` with their carpal instances.

    Instances sorted by index are the epiphyses of the digits (the first 19 that are there: one
    picture skips an index and shifts the rest), then the carpals, then radius and ulna (the last
    two). The index says nothing else.
    """
    wrists = []
    with open(root / "carpals" / "index.csv", newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            mask = read_palette(root / "carpals" / row["mask"])
            found = [int(v) for v in np.unique(mask) if v]
            carpals = found[DIGIT_EPIPHYSES:-2]
            regions = {i: Region.tight(mask == i) for i in carpals}
            name = Path(row["image"]).stem
            wrists.append(
                Wrist(name, root / "carpals" / row["image"], {i: r for i, r in regions.items() if r is not None})
            )
    return wrists


def read_palette(path: Path) -> NDArray[np.uint8]:
    """The palette indices (H, W) of an indexed PNG. OpenCV gives colours, which are made indices again."""
    colours = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if colours is None:
        raise SystemExit(f"{path}: cannot be read")
    data = path.read_bytes()
    start = data.index(b"PLTE")
    length = int.from_bytes(data[start - 4 : start], "big")
    palette = np.frombuffer(data[start + 4 : start + 4 + length], np.uint8).reshape(-1, 3).astype(np.int64)
    keys = palette[:, 0] << 16 | palette[:, 1] << 8 | palette[:, 2]
    bgr = colours[..., :3].astype(np.int64)
    pixels = bgr[..., 2] << 16 | bgr[..., 1] << 8 | bgr[..., 0]
    order = np.argsort(keys, kind="stable")
    out: NDArray[np.uint8] = order[np.searchsorted(keys[order], pixels)].astype(np.uint8)
    return out


def truth_of(outlines: Outlines, shape: tuple[int, int], scale: float = 1.0) -> Segmentation:
    """Traced outlines as a Segmentation of a picture that was scaled by ``scale``."""
    moved = map_outlines(outlines, lambda points: (points + 0.5) * scale - 0.5) if scale != 1.0 else outlines
    return segmentation_from_outlines(moved, load_schema(), shape)


def overlap_scores(predicted: Segmentation, truth: Segmentation) -> dict[str, tuple[float, float]]:
    """Per bone: Dice, and NSD at 2 px of a picture 2048 px high (the tolerance scales with the height)."""
    tolerance = 2.0 * truth.shape[0] / 2048.0
    return {
        name: (
            float(dice(predicted.get(name), truth.get(name))),
            float(surface_dice(predicted.get(name), truth.get(name), tolerance)),
        )
        for name in truth.schema.names
    }


# Landmarks -----------------------------------------------------------------------------------


def _pixels(region: Region) -> NDArray[np.float64]:
    """(N, 2) x, y of the region's largest part: a stray speck must not move a bone's end."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(region.mask.astype(np.uint8), connectivity=8)
    keep = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 2 else 1
    rows, columns = np.nonzero(labels == keep)
    return np.stack([columns + region.left, rows + region.top], axis=1).astype(np.float64)


def _axis(points: NDArray[np.float64], towards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The long axis (unit vector) of a point cloud, pointing along ``towards``."""
    centred = points - points.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axis: NDArray[np.float64] = vectors[:, 1]
    return axis if float(axis @ towards) >= 0 else -axis


def _leave(points: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the axis through the centroid leaves the bone: mean of the last 1 px within a 3 px wide strip."""
    centre = points.mean(axis=0)
    across = np.array([-axis[1], axis[0]])
    offset = points - centre
    strip = points[np.abs(offset @ across) <= 1.5]
    along = (strip - centre) @ axis
    out: NDArray[np.float64] = strip[along >= along.max() - 1.0].mean(axis=0)
    return out


def _extreme(points: NDArray[np.float64], axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """The far end along the axis: mean of the pixels within 1 px of the largest projection."""
    along = points @ axis
    out: NDArray[np.float64] = points[along >= along.max() - 1.0].mean(axis=0)
    return out


def find_landmarks(seg: Segmentation) -> dict[int, NDArray[np.float64]]:
    """The landmarks that a segmentation implies, by index; a missing bone leaves its own out.

    A tip is the far end of the distal phalanx along its long axis. A joint is the middle between the
    points where the line joining the two bones' centroids leaves the one and enters the other. A
    metacarpal base is the point where the metacarpal's axis leaves it proximally (the carpals there
    have no long axis). The tracings themselves, judged so, are .3 mm from the experts' tips and .7 mm
    from their joints (medians): the floor that ``--truth`` prints.
    """
    out: dict[int, NDArray[np.float64]] = {}
    for bones, marks in DIGITS:
        clouds = {name: _pixels(region) for name in bones if (region := seg.get(name)) is not None}
        if len(clouds) < 2:
            continue
        present = [name for name in bones if name in clouds]
        centres = {name: clouds[name].mean(axis=0) for name in present}
        axes = {}
        for name in present:
            i = present.index(name)
            towards = centres[present[min(i + 1, len(present) - 1)]] - centres[present[max(i - 1, 0)]]
            axes[name] = _axis(clouds[name], towards)
        if bones[0] in clouds:
            out[marks[0]] = _leave(clouds[bones[0]], -axes[bones[0]])
        for near, far, mark in zip(bones, bones[1:], marks[1:], strict=False):
            if near in clouds and far in clouds:
                line = (centres[far] - centres[near]) / np.linalg.norm(centres[far] - centres[near])
                out[mark] = (_leave(clouds[near], line) + _leave(clouds[far], -line)) / 2
        if bones[-1] in clouds:
            out[marks[-1]] = _extreme(clouds[bones[-1]], axes[bones[-1]])
    return out


def landmark_errors(seg: Segmentation, hand: Hand) -> dict[str, dict[int, float]]:
    """Distances in mm to the expert's landmarks, by kind ("tips", "joints", "bases") and index."""
    found = find_landmarks(seg)
    kinds = {
        "tips": [marks[-1] for _, marks in DIGITS],
        "joints": [m for _, marks in DIGITS for m in marks[1:-1]],
        "bases": [marks[0] for _, marks in DIGITS],
    }
    spacing = np.array(hand.spacing)
    return {
        kind: {m: float(np.linalg.norm((found[m] - hand.landmarks[m]) * spacing)) for m in marks if m in found}
        for kind, marks in kinds.items()
    }


LANDMARKS_EXPECTED = {"tips": 5, "joints": 14, "bases": 5}


# Carpals -------------------------------------------------------------------------------------


def match_carpals(seg: Segmentation, wrist: Wrist) -> dict[int, tuple[str, float]]:
    """For each carpal instance the predicted bone, or union of two, with the highest Dice.

    Candidates are every predicted carpal and the two unions that annotators draw as one
    (trapezium + trapezoid, triquetrum + pisiform). A predicted bone may serve one instance only:
    pairs are taken from the highest Dice down, so an instance whose bone was found twice by
    another does not profit. No match scores 0.
    """
    names = carpal_names(seg.schema)
    sets = [(name,) for name in names] + list(MERGED)
    pairs = []
    for index, truth in wrist.instances.items():
        for bones in sets:
            region = union(seg, bones)
            if region is not None:
                value = float(dice(region, truth))
                if value > 0.01:
                    pairs.append((value, index, bones))
    pairs.sort(key=lambda p: -p[0])
    used: set[str] = set()
    out: dict[int, tuple[str, float]] = {}
    for value, index, bones in pairs:
        if index not in out and not used.intersection(bones):
            out[index] = ("+".join(bones), value)
            used.update(bones)
    return {index: out.get(index, ("none", 0.0)) for index in wrist.instances}


def carpal_names(schema: BoneSchema) -> tuple[str, ...]:
    """The carpal bones of a schema."""
    return schema.in_row("carpal")


def union(seg: Segmentation, bones: tuple[str, ...]) -> Region | None:
    """All pixels of several bones as one region; None unless each of them was found."""
    found = [r for name in bones if (r := seg.get(name)) is not None]
    if len(found) < len(bones):
        return None
    if len(found) == 1:
        return found[0]
    top, left = min(r.top for r in found), min(r.left for r in found)
    mask = np.zeros((max(r.bottom for r in found) - top, max(r.right for r in found) - left), dtype=bool)
    for r in found:
        mask[r.top - top : r.bottom - top, r.left - left : r.right - left] |= r.mask
    return Region.tight(mask, top, left)


def read_prediction(folder: Path, name: str, shape: tuple[int, int]) -> Segmentation | None:
    """A label file ``folder/name.json`` (competition format) as a Segmentation; None when absent."""
    from ossa.labels.competition import read_label

    path = folder / f"{name}.json"
    if not path.is_file():
        path = folder / f"{name}.png.json"
    if not path.is_file():
        return None
    return truth_of(read_label(path, load_schema()), shape)


def write_figures(path: Path, figures: object) -> None:
    """All figures as JSON."""
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
