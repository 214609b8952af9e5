"""What a path is, in facts that a person can read: the trip behind ``ossa info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ossa.errors import InputError

#: Problems of a data set that are listed one by one.
LISTED_PROBLEMS = 5


@dataclass(frozen=True)
class Facts:
    """``kind`` of thing ("radiograph", "model", "data set", "label", "submission") and its facts, in order."""

    kind: str
    rows: tuple[tuple[str, str], ...]


def describe(path: str | Path | None = None) -> Facts:
    """Facts about an image, a model bundle, a data set folder, a label file or a submission CSV.

    None is the shipped model. A folder with card.json is a model, any other folder a data set; a file is known by its
    ending (.csv, .json) or else by its content. Raises the error of the reader that the path belongs to.
    """
    if path is None:
        return _model(None)
    where = Path(path)
    if not where.exists():
        raise InputError("there is no such file or folder", path=where)
    if where.is_dir():
        return _model(where) if (where / "card.json").is_file() else _dataset(where)
    if where.name == "card.json":
        return _model(where.parent)
    if where.suffix.lower() == ".csv":
        return _submission(where)
    if where.suffix.lower() == ".json":
        return _label(where)
    return _image(where)


def _image(path: Path) -> Facts:
    from ossa.radiograph.read import read_radiograph

    radiograph = read_radiograph(path)
    height, width = radiograph.shape
    origin = radiograph.provenance
    rows = [
        ("file", str(path)),
        ("format", f"{origin.format}, {origin.bits} bit" + (", shown inverted" if origin.inverted else "")),
        ("size", f"{width} x {height} px"),
        ("grey values", f"{radiograph.pixels.min()} to {radiograph.pixels.max()}, mean {radiograph.pixels.mean():.1f}"),
    ]
    spacing = radiograph.spacing
    if spacing is None:
        rows.append(("spacing", "not known (lengths can only be given in px)"))
    else:
        rows.append(("spacing", f"{spacing.row:.4g} x {spacing.column:.4g} mm (rows x columns; {spacing.source})"))
        rows.append(("extent", f"{width * spacing.column:.0f} x {height * spacing.row:.0f} mm"))
    rows.append(("side", {"L": "left hand", "R": "right hand"}.get(radiograph.side or "", "not said")))
    rows.extend(("note", note) for note in origin.notes)
    return Facts("radiograph", tuple(rows))


def _model(path: Path | None) -> Facts:
    from ossa.bundle.bundle import Bundle

    bundle = Bundle.load(path)
    card = bundle.card
    bones = card.schema
    size = sum(file.stat().st_size for file in bundle.path.iterdir() if file.is_file())
    rows = [
        ("name", card.name),
        ("folder", str(bundle.path) + (" (the shipped model)" if path is None else "")),
        ("bones", f"{len(bones)} of schema {bones.name}: {bones.names[0]} ... {bones.names[-1]}"),
        ("architecture", _flat(card.architecture.to_json())),
        ("output", f"1/{card.stride} of the grid"),
        ("preparation", _flat(card.preparation.to_json())),
        ("thresholds", _flat(card.thresholds) or ".5 for every bone"),
        ("licence", card.licence),
        ("size", f"{size / 1e6:.1f} MB"),
    ]
    rows.extend(("training: " + key, _flat(value)) for key, value in card.training.items())
    rows.extend(("figure: " + key, _flat(value)) for key, value in card.figures.items())
    rows.extend((name, f"SHA-256 {digest} (checked)") for name, digest in card.files.items())
    return Facts("model", tuple(rows))


def _flat(value: Any) -> str:
    """JSON values on one line, for reading."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flat(inner) for inner in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _dataset(path: Path) -> Facts:
    from ossa.dataset.dataset import open_dataset

    dataset = open_dataset(path)
    splits = Counter(case.split for case in dataset)
    sides = Counter({"L": "left", "R": "right"}.get(case.side or "", "not said") for case in dataset)
    rows = [
        ("folder", str(path)),
        ("format", dataset.format),
        ("bones", f"{len(dataset.schema)} of schema {dataset.schema.name}"),
        ("images", f"{len(dataset)} of {len(dataset.subjects)} subjects"),
        ("labelled", f"{len(dataset.labelled)} of {len(dataset)}"),
        ("splits", ", ".join(f"{name} {count}" for name, count in splits.items())),
        ("sides", ", ".join(f"{name} {count}" for name, count in sides.items())),
    ]
    rows.extend(("problem", str(problem)) for problem in dataset.problems[:LISTED_PROBLEMS])
    if len(dataset.problems) > LISTED_PROBLEMS:
        rows.append(("problems", f"{len(dataset.problems)} in all"))
    return Facts("data set", tuple(rows))


def _label(path: Path) -> Facts:
    from ossa.labels.competition import read_label
    from ossa.schema import load_schema

    schema = load_schema()
    outlines = read_label(path, schema)
    missing = [name for name in schema.names if name not in outlines]
    points = sum(len(part.exterior) + sum(map(len, part.holes)) for parts in outlines.values() for part in parts)
    rows = (
        ("file", str(path)),
        ("bones", f"{len(outlines)} of {len(schema)}, {points} points"),
        ("missing", ", ".join(missing) or "none"),
        ("in parts", ", ".join(f"{n} ({len(parts)})" for n, parts in outlines.items() if len(parts) > 1) or "none"),
    )
    return Facts("label", rows)


def _submission(path: Path) -> Facts:
    from ossa.labels.submission import read_submission
    from ossa.schema import load_schema

    schema = load_schema()
    submission = read_submission(path, schema)
    empty = Counter(name for image in submission for name in schema.names if not submission.text(image, name))
    rows = (
        ("file", str(path)),
        ("images", str(len(submission))),
        ("bones", f"{len(schema)} per image, schema {schema.name}"),
        ("empty", ", ".join(f"{name} in {count}" for name, count in empty.most_common()) or "none"),
    )
    return Facts("submission", rows)
