"""How many planted label faults ``ossa data audit`` finds, and how many alarms it raises where nothing is wrong.

    python benchmarks/bench_audit.py [--phantoms 300] [--each 5] [--seed 913] [--folder KEEP] [--record]

Two sets of phantoms of the flat world, every view in it: in one of them ``--each`` faults of each of twelve kinds are
planted, one in a picture, the other stays perfect. Both are audited whole. Found is a fault whose picture is told,
"named" one whose finding names a bone concerned (where a fault concerns bones). The phantoms that fit what is usual
have seeds of their own (70,000,000 on).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from _record import record
from ossa.dataset.audit import Audit, audit
from ossa.dataset.dataset import open_dataset
from ossa.pipeline.phantom import make_phantoms
from ossa.schema import load_schema

SCHEMA = load_schema()
SIZE = 512
FINGERS = [bone.name for bone in SCHEMA.bones if bone.digit is not None]
CARPALS = [bone.name for bone in SCHEMA.bones if bone.row == "carpal"]
#: Neighbours that a person may take for each other.
PAIRS = {
    "carpals exchanged": [
        ("Trapezium", "Trapezoid"), ("Trapezoid", "Capitate"), ("Capitate", "Hamate"), ("Scaphoid", "Lunate"),
        ("Lunate", "Triquetrum"), ("Scaphoid", "Trapezium"), ("Hamate", "Triquetrum"),
    ],
    "fingers exchanged": [("finger-5", "finger-9"), ("finger-10", "finger-14"), ("finger-12", "finger-16"),
                          ("finger-7", "finger-11"), ("finger-4", "finger-8")],
    "forearm exchanged": [("Radius", "Ulna")],
}  # fmt: skip

Label = dict[str, np.ndarray]
Fault = Callable[[Label, np.random.Generator, Label], tuple[str, ...] | None]


def exchanged(kind: str) -> Fault:
    def plant(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
        there = [pair for pair in PAIRS[kind] if all(name in label for name in pair)]
        if not there:
            return None
        a, b = there[rng.integers(len(there))]
        label[a], label[b] = label[b], label[a]
        return a, b

    return plant


def moved(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    """One bone moved by its own size: the square root of its box."""
    name = _pick(label, rng, [*FINGERS, *CARPALS])
    if name is None:
        return None
    size = float(np.sqrt(np.prod(np.ptp(label[name], axis=0) + 1)))
    turn = rng.uniform(0, 2 * np.pi)
    label[name] = label[name] + size * np.array([np.cos(turn), np.sin(turn)])
    inside = (label[name] >= 0).all() and (label[name] <= label["_shape"] - 1).all()
    return (name,) if inside else None


def missing(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    name = _pick(label, rng, [*FINGERS, *CARPALS])
    if name is not None:
        del label[name]
    return None if name is None else (name,)


def twice(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    """One outline under two names."""
    pairs = [pair for kind in PAIRS.values() for pair in kind if all(name in label for name in pair)]
    if not pairs:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    label[b] = label[a].copy()
    return a, b


def part(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    """A third of the bone: a ring, or a stroke that was stopped."""
    name = _pick(label, rng, FINGERS)
    if name is None:
        return None
    ring = label[name]
    centre = ring.mean(axis=0)
    axis = np.linalg.svd(ring - centre)[2][0]
    along = (ring - centre) @ axis
    kept = ring[along <= np.quantile(along, 0.3)]
    if len(kept) < 3:
        return None
    label[name] = kept
    return (name,)


def two_in_one(label: Label, rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    """Two bones of a digit in one outline, the other one left out."""
    import cv2

    rays = [[b.name for b in SCHEMA.bones if b.digit == d and b.name in label] for d in range(1, 6)]
    pairs = [(a, b) for ray in rays for a, b in pairwise(ray)]
    if not pairs:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    both = np.concatenate([label[a], label[b]]).astype(np.float32)
    label[a] = cv2.convexHull(both)[:, 0].astype(float)
    del label[b]
    return a, b


def reversed_fingers(label: Label, _rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    if not all(name in label for name in FINGERS):
        return None
    rings = [label[name] for name in FINGERS]
    label.update(zip(FINGERS, rings[::-1], strict=True))
    return tuple(FINGERS)


def other_hand(label: Label, _rng: np.random.Generator, other: Label) -> tuple[str, ...] | None:
    """The label of another picture."""
    inside = all((ring <= label["_shape"] - 1).all() for name, ring in other.items() if name != "_shape")
    if not inside or len(label) < 25 or len(other) < 25:
        return None
    shape = label["_shape"]
    label.clear()
    label.update({**other, "_shape": shape})
    return ()


def wrong_size(label: Label, _rng: np.random.Generator, _: Label) -> tuple[str, ...] | None:
    """Drawn at three quarters of the picture's size."""
    if len(label) < 25:
        return None
    for name in [name for name in label if name != "_shape"]:
        label[name] = label[name] * 0.75
    return ()


def _pick(label: Label, rng: np.random.Generator, names: list[str]) -> str | None:
    there = [name for name in names if name in label]
    return there[rng.integers(len(there))] if there else None


FAULTS: dict[str, Fault] = {
    **{kind: exchanged(kind) for kind in PAIRS},
    "fingers reversed": reversed_fingers,
    "bone moved by its size": moved,
    "bone missing": missing,
    "outline under two names": twice,
    "part of a bone": part,
    "two bones in one": two_in_one,
    "label of another hand": other_hand,
    "drawn at another size": wrong_size,
}


def read(path: Path) -> tuple[dict, Label]:
    data = json.loads(path.read_text())
    label = {a["label"]: np.array(a["points"], float) for a in data["annotations"]}
    return data, {**label, "_shape": np.array([data["metadata"]["width"], data["metadata"]["height"]])}


def write(path: Path, data: dict, label: Label) -> None:
    data["annotations"] = [
        {"id": name, "type": "poly_seg", "attributes": {}, "points": ring.tolist(), "label": name}
        for name, ring in label.items()
        if name != "_shape"
    ]
    path.write_text(json.dumps(data))


def plant(root: Path, each: int, seed: int) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Plant faults in the set at ``root``; picture -> (kind, bones)."""
    rng = np.random.default_rng(seed)
    cases = list(open_dataset(root).cases)
    order = [cases[i] for i in rng.permutation(len(cases))]
    planted: dict[str, tuple[str, tuple[str, ...]]] = {}
    for kind in [*FAULTS, "side in the name"]:
        done = 0
        while done < each and order:
            case = order.pop()
            assert case.label is not None
            data, label = read(case.label)
            if kind == "side in the name":
                wrong = "L" if case.side == "R" else "R"
                if len(label) < 25:
                    continue
                for path in (case.image, case.label):
                    path.rename(path.with_name(path.name.replace(f"_{case.side}.", f"_{wrong}.")))
                planted[case.id.replace(f"_{case.side}.", f"_{wrong}.")] = (kind, ())
            else:
                other = cases[int(rng.integers(len(cases)))]
                if other is case or other.label is None or not other.label.exists():
                    continue
                bones = FAULTS[kind](label, rng, read(other.label)[1])
                if bones is None:
                    continue
                write(case.label, data, label)
                planted[case.id] = (kind, bones)
            done += 1
    return planted


def table(found: Audit, planted: dict[str, tuple[str, tuple[str, ...]]]) -> list[str]:
    """A row per kind, and the sums."""
    told = {case: [f for f in found.findings if f.case == case] for case in found.cases}
    lines = ["| fault | planted | found | a bone of it named |", "|---|---|---|---|"]
    sums: Counter[str] = Counter()
    for kind in [*FAULTS, "side in the name"]:
        mine = {case: bones for case, (k, bones) in planted.items() if k == kind}
        seen = [case for case in mine if case in told]
        named = [c for c in seen if not mine[c] or any(set(f.bones) & set(mine[c]) for f in told[c])]
        sums.update(planted=len(mine), found=len(seen), named=len(named))
        lines.append(f"| {kind} | {len(mine)} | {len(seen)} | {len(named)} |")
    lines.append(f"| all | {sums['planted']} | {sums['found']} | {sums['named']} |")
    first = list(found.cases)[: sums["planted"]]
    right = sum(case in planted for case in first)
    others = [case for case in found.cases if case not in planted]
    clean = found.checked - len(planted)
    lines += [
        "",
        f"Of the first {len(first)} pictures told, {right} have a planted fault; of {clean} pictures without one, "
        f"{len(others)} are told too ({len(others) / max(1, clean):.1%}).",
    ]
    return lines


def main() -> None:
    """Make, plant, audit, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=300)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--seed", type=int, default=913)
    parser.add_argument("--folder", type=Path, help="keeps the phantoms, and takes those that are there")
    parser.add_argument("--missed", action="store_true", help="tell which were not found")
    parser.add_argument("--record", action="store_true", help="into RESULTS.md too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        kept = args.folder or Path(temporary)
        for name, seed in (("faulty", args.seed), ("perfect", args.seed + 1)):
            make_phantoms(kept / name, args.phantoms, seed=seed, size=SIZE, processes=1)
        root = Path(temporary) / "planted"
        shutil.copytree(kept / "faulty", root)
        planted = plant(root, args.each, args.seed)
        found = audit(open_dataset(root), workers=1)
        lines = [f"{args.phantoms} phantoms at {SIZE} px with {len(planted)} faults, as many without", ""]
        lines += table(found, planted)
        perfect = audit(open_dataset(kept / "perfect"), workers=1)
        alarms = len(perfect.cases)
        lines += ["", f"Alarms on perfect ones: {alarms} of {perfect.checked} ({alarms / perfect.checked:.1%})."]
    if args.missed:
        for case, (kind, bones) in planted.items():
            if case not in found.cases:
                print(f"not found: {case}: {kind} {' '.join(bones)}")
        for finding in (*(f for f in found.findings if f.case not in planted), *perfect.findings):
            print(f"alarm: {finding}")
    if args.record:
        record("Label faults (bench_audit.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
