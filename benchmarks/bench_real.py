"""How good a model is on the real hands: bone overlap, landmarks in mm, carpals, variants, time.

    python benchmarks/bench_real.py --model BUNDLE --out FOLDER
    python benchmarks/bench_real.py --predictions FOLDER --out FOLDER     (label files NAME.json)
    python benchmarks/bench_real.py --truth --out FOLDER                  (the tracings judged by the same rules)

Prints tables; FOLDER gets figures.json and the contact sheets hands.png, carpals.png and
variants.png (white: truth or instance; coloured: prediction). What each figure means is said in
benchmarks/_real.py, where it is computed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from _real import (
    LANDMARKS_EXPECTED,
    Hand,
    Wrist,
    landmark_errors,
    match_carpals,
    overlap_scores,
    read_hands,
    read_prediction,
    read_wrists,
    real_folder,
    truth_of,
    write_figures,
)
from _record import record
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

Picture = NDArray[np.uint8]
Predict = Callable[[str, Path, tuple[int, int]], Segmentation | None]

#: Bounds that the project asks for (mean Dice, worst bone, phalanges and metacarpals, tips in mm, carpals, drop).
ASKED = {"mean": 0.94, "long": 0.95, "worst": 0.82, "tips": 1.0, "carpals": 0.88, "drop": 0.02}


# Variants: a way to change the picture, and the way of the truth into the changed picture ------


def _as_is(picture: Picture) -> Picture:
    return picture


def _sixteen(picture: Picture) -> NDArray[np.uint16]:
    return picture.astype(np.uint16) * 16 + 37  # 12 significant bits with a foot, as detectors deliver


def _inverted(picture: Picture) -> Picture:
    return 255 - picture


def _half(picture: Picture) -> Picture:
    out: Picture = cv2.resize(
        picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA
    ).astype(np.uint8)
    return out


VARIANTS: dict[str, Callable[[Picture], NDArray[Any]]] = {
    "as is": _as_is,
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
    "upside down": lambda p: np.ascontiguousarray(p[::-1, ::-1]),
    "inverted": _inverted,
    "16 bit": _sixteen,
    "half resolution": _half,
}


def moved_truth(name: str, truth: Segmentation, hand: Hand) -> Segmentation:
    """The traced truth as it lies in a variant of the picture."""
    height, width = truth.shape
    if name == "half resolution":
        assert hand.outlines is not None
        return truth_of(hand.outlines, (height // 2, width // 2), 0.5)
    if name not in ("mirrored", "upside down"):
        return truth

    def move(r: Region) -> Region:
        if name == "mirrored":
            return Region(r.top, width - r.right, np.ascontiguousarray(r.mask[:, ::-1]))
        return Region(height - r.bottom, width - r.right, np.ascontiguousarray(r.mask[::-1, ::-1]))

    return Segmentation(truth.schema, truth.shape, {n: move(r) for n, r in truth})


# Judging --------------------------------------------------------------------------------------


def judge_hands(hands: list[Hand], predict: Predict, figures: dict[str, Any]) -> dict[str, Segmentation]:
    """Overlap on the traced hands and landmarks on all, printed and put into ``figures``."""
    names = load_schema().names
    predictions: dict[str, Segmentation] = {}
    scores: dict[str, dict[str, tuple[float, float]]] = {}
    landmarks: dict[str, dict[str, dict[int, float]]] = {}
    for hand in hands:
        shape = _shape(hand.path)
        predicted = predict(hand.name, hand.path, shape)
        if predicted is None:
            print(f"{hand.name}: no prediction")
            continue
        predictions[hand.name] = predicted
        landmarks[hand.name] = landmark_errors(predicted, hand)
        if hand.outlines is not None:
            scores[hand.name] = overlap_scores(predicted, truth_of(hand.outlines, shape))
    if scores:
        _print_overlap(names, scores, figures)
    if landmarks:
        _print_landmarks(landmarks, figures)
    return predictions


def _print_overlap(
    names: tuple[str, ...], scores: dict[str, dict[str, tuple[float, float]]], figures: dict[str, Any]
) -> None:
    print("\nTraced hands: Dice | NSD at 2 px of a 2048-high picture")
    print(f"  {'bone':<12}" + "".join(f"{hand:>18}" for hand in scores) + f"{'mean':>18}")
    means = {n: tuple(statistics.fmean(s[n][k] for s in scores.values()) for k in (0, 1)) for n in names}
    for n in names:
        cells = "".join(f"{s[n][0]:>10.4f} {s[n][1]:>7.3f}" for s in scores.values())
        mark = "  <" if means[n][0] < ASKED["worst"] else ""
        print(f"  {n:<12}{cells}{means[n][0]:>10.4f} {means[n][1]:>7.3f}{mark}")
    per_hand = {h: tuple(statistics.fmean(v[k] for v in s.values()) for k in (0, 1)) for h, s in scores.items()}
    mean = tuple(statistics.fmean(m[k] for m in means.values()) for k in (0, 1))
    print(
        f"  {'mean':<12}"
        + "".join(f"{d:>10.4f} {n:>7.3f}" for d, n in per_hand.values())
        + f"{mean[0]:>10.4f} {mean[1]:>7.3f}"
    )
    schema = load_schema()
    long = [n for n in names if schema.bone(n).digit is not None]
    rows = {"phalanges, metacarpals": long, "carpals": list(schema.in_row("carpal"))}
    rows["forearm"] = list(schema.in_row("forearm"))
    groups = {label: statistics.fmean(means[n][0] for n in members) for label, members in rows.items()}
    worst = min(means, key=lambda n: means[n][0])
    lowest_long = min(long, key=lambda n: means[n][0])
    print("  " + ", ".join(f"{label} {value:.4f}" for label, value in groups.items()))
    print(
        f"  worst bone {worst} {means[worst][0]:.4f}; "
        f"worst phalanx or metacarpal {lowest_long} {means[lowest_long][0]:.4f}"
    )
    figures["overlap"] = {
        "mean_dice": mean[0],
        "mean_nsd": mean[1],
        "per_hand": {h: {"dice": d, "nsd": n} for h, (d, n) in per_hand.items()},
        "groups_dice": groups,
        "per_bone": {n: {"dice": m[0], "nsd": m[1]} for n, m in means.items()},
        "per_hand_bone": {h: {n: {"dice": v[0], "nsd": v[1]} for n, v in s.items()} for h, s in scores.items()},
    }


def _print_landmarks(landmarks: dict[str, dict[str, dict[int, float]]], figures: dict[str, Any]) -> None:
    print(
        "\nLandmarks, error in mm (joints = middle between neighbouring bones; "
        "the experts marked them just inside the distal bone's lip)"
    )
    figures["landmarks"] = {
        "per_hand": {
            h: {k: {str(i): e for i, e in v.items()} for k, v in kinds.items()} for h, kinds in landmarks.items()
        }
    }
    for kind, count in LANDMARKS_EXPECTED.items():
        errors = [e for kinds in landmarks.values() for e in kinds[kind].values()]
        expected = count * len(landmarks)
        if not errors:
            print(f"  {kind:<7} none of {expected} found")
            continue
        median, high = statistics.median(errors), float(np.percentile(errors, 90))
        per_hand = ", ".join(f"{h} {statistics.median(k[kind].values()):.2f}" for h, k in landmarks.items() if k[kind])
        print(
            f"  {kind:<7} median {median:.2f}  p90 {high:.2f}  max {max(errors):.2f}  "
            f"found {len(errors)} of {expected}   ({per_hand})"
        )
        figures["landmarks"][kind] = {
            "median_mm": median,
            "p90_mm": high,
            "max_mm": max(errors),
            "found": len(errors),
            "expected": expected,
        }


def judge_carpals(wrists: list[Wrist], predict: Predict, figures: dict[str, Any]) -> dict[str, Segmentation]:
    """Best-match Dice of the carpal instances, printed and put into ``figures``."""
    predictions: dict[str, Segmentation] = {}
    matches: dict[str, dict[int, tuple[str, float]]] = {}
    for wrist in wrists:
        predicted = predict(wrist.name, wrist.path, _shape(wrist.path))
        if predicted is not None:
            predictions[wrist.name] = predicted
            matches[wrist.name] = match_carpals(predicted, wrist)
    if not matches:
        return predictions
    by_bone: dict[str, list[float]] = {}
    for match in matches.values():
        for bones, value in match.values():
            by_bone.setdefault(bones, []).append(value)
    per_hand = {n: statistics.fmean(v for _, v in m.values()) for n, m in matches.items()}
    everything = [v for values in by_bone.values() for v in values]
    print(
        f"\nCarpals of {len(matches)} adolescent hands: mean best-match Dice {statistics.fmean(everything):.4f} "
        f"over {len(everything)} instances"
    )
    print(
        f"  mean over hands {statistics.fmean(per_hand.values()):.4f}, lowest: "
        + ", ".join(f"{n} {v:.3f}" for n, v in sorted(per_hand.items(), key=lambda p: p[1])[:5])
    )
    for bones, values in sorted(by_bone.items(), key=lambda p: -len(p[1])):
        print(f"  {bones:<22} {len(values):>3} x  mean {statistics.fmean(values):.4f}  lowest {min(values):.3f}")
    figures["carpals"] = {
        "mean_dice": statistics.fmean(everything),
        "per_hand": per_hand,
        "per_bone": {b: {"count": len(v), "mean": statistics.fmean(v), "lowest": min(v)} for b, v in by_bone.items()},
        "instances": {n: {str(i): {"bones": b, "dice": v} for i, (b, v) in m.items()} for n, m in matches.items()},
    }
    return predictions


def judge_variants(hands: list[Hand], predict: Predict, figures: dict[str, Any], sheet: list[Picture]) -> None:
    """Mean Dice of the traced hands in each variant, written to a file and read as a user's file is."""
    print("\nVariants of the traced hands, mean Dice (written as PNG and read back)")
    base: float | None = None
    figures["variants"] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant, change in VARIANTS.items():
            values = []
            for hand in (h for h in hands if h.outlines is not None):
                picture = cv2.imread(str(hand.path), cv2.IMREAD_GRAYSCALE)
                changed = change(picture)
                path = Path(folder) / f"{hand.name}.png"
                cv2.imwrite(str(path), changed)
                predicted = predict(hand.name, path, changed.shape[:2])
                if predicted is None:
                    continue
                assert hand.outlines is not None
                truth = moved_truth(variant, truth_of(hand.outlines, picture.shape[:2]), hand)
                values.append(statistics.fmean(d for d, _ in overlap_scores(predicted, truth).values()))
                shown = changed if changed.dtype == np.uint8 else (changed >> 4).astype(np.uint8)
                sheet.append(_tile(shown, predicted, truth, 420, f"{variant} {values[-1]:.3f}"))
            if values:
                mean = statistics.fmean(values)
                base = mean if base is None else base
                figures["variants"][variant] = {"mean_dice": mean, "drop": base - mean}
                print(f"  {variant:<16} {mean:.4f}  drop {base - mean:+.4f}")
    others = [v["mean_dice"] for n, v in figures["variants"].items() if n != "as is"]
    if others and base is not None:
        figures["variants_mean_drop"] = base - statistics.fmean(others)
        print(f"  {'mean of variants':<16} {statistics.fmean(others):.4f}  drop {figures['variants_mean_drop']:+.4f}")


# Pictures -------------------------------------------------------------------------------------


def _tile(
    picture: Picture, predicted: Segmentation, truth: Segmentation | dict[str, Region] | None, height: int, title: str
) -> Picture:
    """One picture with both sets of outlines, scaled to ``height``; a line of text on top."""
    schema = load_schema()
    scale = height / picture.shape[0]
    size = (max(1, round(picture.shape[1] * scale)), height)
    tile = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    for region in () if truth is None else (truth if isinstance(truth, dict) else truth.regions).values():
        _draw(tile, region, scale, (255, 255, 255))
    for name, region in predicted:
        r, g, b = schema.bone(name).colour
        _draw(tile, region, scale, (b, g, r))
    cv2.putText(tile, title, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 255), 1, cv2.LINE_AA)
    return tile  # type: ignore[no-any-return]


def _draw(tile: Picture, region: Region, scale: float, colour: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(region.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = (contour.reshape(-1, 2) + np.array([region.left + 0.5, region.top + 0.5])) * scale - 0.5
        cv2.polylines(tile, [np.round(points * 16).astype(np.int32)], True, colour, 1, cv2.LINE_AA, shift=4)


def _sheet(path: Path, tiles: list[Picture], columns: int) -> None:
    """Tiles in rows, each padded to the widest and highest."""
    if not tiles:
        return
    height, width = max(t.shape[0] for t in tiles), max(t.shape[1] for t in tiles)
    padded = [cv2.copyMakeBorder(t, 0, height - t.shape[0], 0, width - t.shape[1], cv2.BORDER_CONSTANT) for t in tiles]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % columns)
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    cv2.imwrite(str(path), np.vstack(rows))


def hand_sheet(path: Path, hands: list[Hand], predictions: dict[str, Segmentation], height: int) -> None:
    """The five hands, with tracings in white where there are any."""
    tiles = []
    for hand in hands:
        if hand.name in predictions:
            picture = cv2.imread(str(hand.path), cv2.IMREAD_GRAYSCALE)
            truth = truth_of(hand.outlines, picture.shape[:2]) if hand.outlines is not None else None
            tiles.append(_tile(picture, predictions[hand.name], truth, height, hand.name))
    _sheet(path, tiles, 3)


def carpal_sheet(
    path: Path, wrists: list[Wrist], predictions: dict[str, Segmentation], figures: dict[str, Any]
) -> None:
    """The wrists, cropped around the instances (white)."""
    tiles = []
    for wrist in wrists:
        if wrist.name not in predictions or not wrist.instances:
            continue
        regions = list(wrist.instances.values())
        top, left = max(0, min(r.top for r in regions) - 60), max(0, min(r.left for r in regions) - 60)
        picture = cv2.imread(str(wrist.path), cv2.IMREAD_GRAYSCALE)
        crop = picture[top : max(r.bottom for r in regions) + 60, left : max(r.right for r in regions) + 60]
        moved = {str(i): Region(r.top - top, r.left - left, r.mask) for i, r in wrist.instances.items()}
        cropped = {n: _cut(r, top, left, crop.shape[:2]) for n, r in predictions[wrist.name]}
        shown = Segmentation(load_schema(), crop.shape[:2], {n: r for n, r in cropped.items() if r is not None})
        tiles.append(_tile(crop, shown, moved, 360, f"{wrist.name} {figures['carpals']['per_hand'][wrist.name]:.3f}"))
    _sheet(path, tiles, 6)


def _cut(region: Region, top: int, left: int, shape: tuple[int, int]) -> Region | None:
    """The part of a region inside a window, in the window's frame."""
    a, b = max(region.top, top), min(region.bottom, top + shape[0])
    c, d = max(region.left, left), min(region.right, left + shape[1])
    if a >= b or c >= d:
        return None
    return Region.tight(
        region.mask[a - region.top : b - region.top, c - region.left : d - region.left], a - top, c - left
    )


def _shape(path: Path) -> tuple[int, int]:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    return (picture.shape[0], picture.shape[1])


# The run --------------------------------------------------------------------------------------


def predictor_of(model: str, device: str, times: dict[str, list[float]]) -> Predict:
    """Prediction with a bundle, timed: reading and everything after it."""
    from ossa.inference.predictor import Predictor
    from ossa.radiograph.read import read_radiograph

    start = time.perf_counter()
    predictor = replace(Predictor.load(model, device), judge=None)  # as ossa predict looks, whatever it is taken for
    times["load"] = [time.perf_counter() - start]

    def predict(_name: str, path: Path, _shape: tuple[int, int]) -> Segmentation:
        begin = time.perf_counter()
        radiograph = read_radiograph(path)
        middle = time.perf_counter()
        out = predictor.predict(radiograph)
        times.setdefault("read", []).append(middle - begin)
        times.setdefault("predict", []).append(time.perf_counter() - middle)
        return out

    return predict


def main() -> None:
    """Parse, judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", help="bundle folder")
    parser.add_argument("--device", default="auto", help="as ossa predict takes it; onnx:cpu: in float")
    source.add_argument("--predictions", type=Path, help="folder of label files NAME.json (competition format)")
    source.add_argument(
        "--truth",
        action="store_true",
        help="judge the tracings themselves: Dice 1, and the floor of the landmark errors",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for figures.json and the contact sheets")
    parser.add_argument("--real", help="folder of real hands (default: OSSA_REAL, or ../shared/real)")
    parser.add_argument("--no-variants", action="store_true")
    parser.add_argument("--no-carpals", action="store_true")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    args = parser.parse_args()
    root = real_folder(args.real)
    if root is None:
        raise SystemExit("no real hands: give --real FOLDER or set OSSA_REAL")
    args.out.mkdir(parents=True, exist_ok=True)
    hands = read_hands(root)
    outlines = {hand.name: hand.outlines for hand in hands}
    times: dict[str, list[float]] = {}
    predict: Predict
    if args.model:
        predict = predictor_of(args.model, args.device, times)
    elif args.truth:
        predict = lambda name, _path, shape: truth_of(o, shape) if (o := outlines.get(name)) is not None else None  # noqa: E731
    else:
        predict = lambda name, _path, shape: read_prediction(args.predictions, name, shape)  # noqa: E731
    figures: dict[str, Any] = {"source": args.model or str(args.predictions or "truth")}
    predictions = judge_hands(hands, predict, figures)
    hand_sheet(args.out / "hands.png", hands, predictions, 1000)
    if not args.no_carpals:
        wrists = read_wrists(root)
        found = judge_carpals(wrists, predict, figures)
        carpal_sheet(args.out / "carpals.png", wrists, found, figures)
    if args.model and not args.no_variants:
        tiles: list[Picture] = []
        judge_variants(hands, predict, figures, tiles)
        _sheet(args.out / "variants.png", tiles, 4)
    if times:
        figures["seconds"] = {k: statistics.median(v) for k, v in times.items()}
        print("\nSeconds per picture (median): " + ", ".join(f"{k} {v:.3f}" for k, v in figures["seconds"].items()))
    write_figures(args.out / "figures.json", figures)
    print(f"\n{args.out / 'figures.json'} and the contact sheets beside it are written")
    lines = verdict(figures)
    if args.record:
        record("Real hands (bench_real.py)", lines + per_bone(figures))
    else:
        print("\n".join(lines))


def per_bone(figures: dict[str, Any]) -> list[str]:
    """Dice and NSD of every bone, as a table of RESULTS.md."""
    rows = figures.get("overlap", {}).get("per_bone", {})
    return ["", "| bone | Dice | NSD at 2 px of 2048 |", "|---|---|---|"] + [
        f"| {name} | {value['dice']:.3f} | {value['nsd']:.3f} |" for name, value in rows.items()
    ]


def verdict(figures: dict[str, Any]) -> list[str]:
    """What was asked for against what was found, a line each."""
    rows = []
    if "overlap" in figures:
        bones = {n: v["dice"] for n, v in figures["overlap"]["per_bone"].items()}
        rows.append(("mean Dice", figures["overlap"]["mean_dice"], ">=", ASKED["mean"]))
        rows.append(
            (
                "phalanges and metacarpals",
                figures["overlap"]["groups_dice"]["phalanges, metacarpals"],
                ">=",
                ASKED["long"],
            )
        )
        rows.append(("worst bone", min(bones.values()), ">=", ASKED["worst"]))
    if "tips" in figures.get("landmarks", {}):
        rows.append(("tips, median mm", figures["landmarks"]["tips"]["median_mm"], "<=", ASKED["tips"]))
    if "carpals" in figures:
        rows.append(("carpals", figures["carpals"]["mean_dice"], ">=", ASKED["carpals"]))
    if "variants_mean_drop" in figures:
        rows.append(("drop over variants", figures["variants_mean_drop"], "<=", ASKED["drop"]))
    lines = []
    for label, value, sign, bound in rows:
        met = value >= bound if sign == ">=" else value <= bound
        lines.append(f"  {'ok  ' if met else 'MISS'} {label:<27} {value:.4f}  asked {sign} {bound}")
    return lines


if __name__ == "__main__":
    main()
