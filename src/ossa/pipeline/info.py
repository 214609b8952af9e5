"""What a path is, in facts for a person and for a program: the trip behind ``ossa info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import InputError
from ossa.labels.whose import schema_of
from ossa.pipeline.facts import Facts
from ossa.pipeline.info_labels import LABEL_ENDINGS, coco_file, label_file
from ossa.safety.pictures import MASKS_SUFFIX
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.bundle.bundle import Bundle

__all__ = ["Facts", "describe"]

#: Problems of a data set that are listed one by one.
LISTED_PROBLEMS = 5

#: A mapping with more entries is counted for a person; a program gets all of it.
LISTED_SETTINGS = 12


def describe(
    path: str | Path | None = None, names: str | Path | None = None, schema: BoneSchema | None = None
) -> Facts:
    """Facts about a radiograph, a model, a data set, labels of any form that is read, a submission, a training run,
    saved probabilities, folds, an evaluation, a gallery, or the results of ``ossa predict``.

    None is the shipped model. A folder is known by the files in it, and is else a data set; a file by its ending
    (.csv, .json and those of labels) or else by its content. ``names``: a file that maps names of labels to bones;
    ``schema``: the bones of data sets, labels, submissions and results (None: the shipped ones that they name).
    Raises the error of the reader that the path belongs to.
    """
    if path is None:
        return _model(None)
    from ossa.bundle.packed import is_packed

    where = Path(path)
    bones = schema_of(where) if schema is None else schema
    if is_packed(where) or is_packed(where.parent):
        return _model(where)
    if not where.exists():
        raise InputError("there is no such file or folder", path=where)
    if where.is_dir():
        if where.name.endswith(MASKS_SUFFIX):
            return label_file(where, names, bones)
        known = next((read for mark, read in _FOLDERS.items() if (where / mark).exists()), None)
        return _dataset(where, names, bones) if known is None else known(where, bones)
    if where.name in ("card.json", "store.json"):
        return describe(where.parent, names, bones)
    if where.suffix.lower() == ".csv":
        return _submission(where, bones)
    if where.suffix.lower() == ".json":
        return _json(where, names, bones)
    if where.name == "data.yaml":
        return _dataset(where.parent, names, bones)
    if where.suffix.lower() in LABEL_ENDINGS:
        return label_file(where, names, bones)
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
    rows.extend(("note", note) for note in (*origin.notes, *origin.remarks))
    values = {
        "file": str(path),
        "format": origin.format,
        "bits": origin.bits,
        "inverted": origin.inverted,
        "height": height,
        "width": width,
        "spacing_mm": None if spacing is None else [spacing.row, spacing.column],
        "spacing_source": None if spacing is None else spacing.source,
        "side": radiograph.side,
        "notes": [*origin.notes, *origin.remarks],
    }
    return Facts("radiograph", tuple(rows), values)


def _model(path: Path | None) -> Facts:
    from ossa.bundle.bundle import Bundle

    found = Bundle.load_all(path)
    if len(found) > 1:
        return _ensemble(path, found)
    bundle = found[0]
    card = bundle.card
    bones = card.schema
    size = _bytes(bundle)
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
        ("runs here", here := _runs_here(bundle)),
    ]
    rows.extend(("training: " + key, _flat(value)) for key, value in card.training.items())
    rows.extend(("figure: " + key, _flat(value)) for key, value in card.figures.items())
    rows.extend((name, f"SHA-256 {digest} (checked)") for name, digest in card.files.items())
    values = {"folder": str(bundle.path), "bytes": size, "runs_here": here, "card": card.to_json()}
    return Facts("model", tuple(rows), values)


def _runs_here(bundle: Bundle) -> str:
    """What ``--device auto`` means for the model on this computer, in words."""
    from ossa.inference.engine import runs_on_cuda, runs_quick

    if runs_quick(bundle):
        return "ONNX Runtime on the CPU in 8 bits, the quickest here (--device onnx:cpu: in float)"
    if runs_on_cuda():
        return "ONNX Runtime on CUDA, in float"
    why = "it has no 8-bit form" if bundle.quick_path is None else "8 bits pay on x86 CPUs with AVX2"
    return f"ONNX Runtime on the CPU, in float: {why}"


def _ensemble(path: Path | None, bundles: Sequence[Bundle]) -> Facts:
    """Several networks in one file, which answer together."""
    first = bundles[0].card
    size = sum(map(_bytes, bundles))
    rows = [
        ("file", str(path)),
        ("networks", f"{len(bundles)}, whose answers are averaged"),
        ("bones", f"{len(first.schema)} of schema {first.schema.name}"),
        ("size", f"{size / 1e6:.1f} MB"),
    ]
    for bundle in bundles:
        dice = bundle.card.figures.get("validation_dice")
        told = "no figure" if dice is None else f"validation Dice {dice}"
        rows.append((bundle.path.name, f"{bundle.card.name}, {told} (every hash checked)"))
    cards = {bundle.path.name: bundle.card.to_json() for bundle in bundles}
    return Facts("ensemble", tuple(rows), {"file": str(path), "bytes": size, "cards": cards})


def _bytes(bundle: Bundle) -> int:
    """Size of a bundle's folder, or of its part of a packed model."""
    if bundle.archive is not None:
        return sum(n for name, n in bundle.archive.sizes.items() if name.startswith(f"{bundle.path.name}/"))
    return sum(file.stat().st_size for file in bundle.path.iterdir() if file.is_file())


def _flat(value: Any) -> str:
    """JSON values on one line, for reading."""
    if isinstance(value, Mapping) and _leaves(value) > LISTED_SETTINGS:
        return f"{_leaves(value)} values (--json lists them)"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flat(inner) for inner in value) + "]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, Mapping) else 1


def _dataset(path: Path, names: str | Path | None, schema: BoneSchema) -> Facts:
    from ossa.dataset.dataset import open_dataset

    dataset = open_dataset(path, schema=schema, names=names)
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
    values = {
        "folder": str(path),
        "format": dataset.format,
        "schema": dataset.schema.name,
        "images": len(dataset),
        "subjects": len(dataset.subjects),
        "labelled": len(dataset.labelled),
        "splits": dict(splits),
        "sides": dict(sides),
        "problems": [str(problem) for problem in dataset.problems],
    }
    return Facts("data set", tuple(rows), values)


def _json(path: Path, names: str | Path | None, schema: BoneSchema) -> Facts:
    """A label file of one picture, a COCO file of many, nnU-Net's description of a set, or folds."""
    from ossa.labels.texts import read_label_json

    data = read_label_json(path)
    if isinstance(data, dict) and {"images", "annotations"} <= data.keys():
        return coco_file(path, data, names, schema)
    if isinstance(data, dict) and {"labels", "file_ending"} <= data.keys():
        return _dataset(path.parent, names, schema)
    if isinstance(data, dict) and {"hash", "subjects", "count"} <= data.keys():
        return _folds(path)
    return label_file(path, names, schema)


def _folds(path: Path) -> Facts:
    """A file of ``ossa data folds``."""
    from ossa.dataset.folds import read_folds

    folds = read_folds(path)
    sizes = Counter(folds.fold_of.values())
    each = [sizes[fold] for fold in range(folds.count)]
    rows = (
        ("file", str(path)),
        ("folds", f"{folds.count}, of {', '.join(map(str, each))} subjects"),
        ("seed", str(folds.seed)),
        ("hash", folds.hash[:12]),
    )
    values = {"file": str(path), "count": folds.count, "seed": folds.seed, "subjects": each, "hash": folds.hash}
    return Facts("folds", rows, values)


def _submission(path: Path, schema: BoneSchema) -> Facts:
    from ossa.labels.submission import read_submission

    submission = read_submission(path, schema)
    texts = map(submission.texts, submission)
    empty = Counter(name for of_image in texts for name in schema.names if not of_image[name])
    rows = (
        ("file", str(path)),
        ("images", str(len(submission))),
        ("bones", f"{len(schema)} per image, schema {schema.name}"),
        ("empty", ", ".join(f"{name} in {count}" for name, count in empty.most_common()) or "none"),
    )
    values = {"file": str(path), "images": len(submission), "schema": schema.name, "empty": dict(empty)}
    return Facts("submission", rows, values)


def _predictions(path: Path, schema: BoneSchema) -> Facts:
    """What ``ossa predict`` left in a folder."""
    from ossa.pipeline.parts import CSV_NAME, RUN_FOLDER

    stopped = (path / RUN_FOLDER).exists()
    table = Facts("submission", (), {"images": 0})
    if (path / CSV_NAME).is_file():
        table = _submission(path / CSV_NAME, schema)
    overlays = sum(1 for _ in path.rglob("*_overlay.png"))
    rows = (
        ("folder", str(path)),
        *(row for row in table.rows if row[0] != "file"),
        ("overlays", str(overlays)),
        ("run", "stopped before its end: the same command goes on" if stopped else "complete"),
    )
    values = {**table.values, "folder": str(path), "overlays": overlays, "complete": not stopped}
    values.pop("file", None)
    return Facts("predictions", rows, values)


def _evaluation(path: Path) -> Facts:
    """What ``ossa evaluate`` left in a folder."""
    from ossa.safety import read_json

    figures = read_json(path / "figures.json")
    known = figures if isinstance(figures, dict) else {}
    rows = (
        ("folder", str(path)),
        ("compares", str(known.get("title", "not said"))),
        ("images", f"{known.get('images', 'no')} of {known.get('subjects', 'no')} subjects"),
        ("page", str(path / "evaluation.html")),
    )
    return Facts("evaluation", rows, {"folder": str(path), "page": str(path / "evaluation.html"), "figures": known})


def _gallery(path: Path) -> Facts:
    """What ``ossa gallery`` left in a folder."""
    images = sum(1 for _ in (path / "items").glob("*"))
    page = str(path / "index.html")
    rows = (("folder", str(path)), ("images", str(images)), ("page", page))
    return Facts("gallery", rows, {"folder": str(path), "images": images, "page": page})


def _store(path: Path, schema: BoneSchema) -> Facts:
    """Saved probabilities."""
    from ossa.labels.store import Store

    store = Store.open(path, schema)
    images = store.images()
    rows = (
        ("folder", str(path)),
        ("images", str(len(images))),
        ("bones", f"{len(store.schema)} of schema {store.schema.name}"),
        *(("source: " + key, _flat(value)) for key, value in store.source.items()),
    )
    values = {"folder": str(path), "images": images, "schema": store.schema.name, "source": dict(store.source)}
    return Facts("saved probabilities", rows, values)


def _run(path: Path) -> Facts:
    """A folder of ``ossa train``."""
    from ossa.config import dump, load_config
    from ossa.safety import read_json

    config = load_config(path / "config.yaml")
    folds = sorted(p.name for p in path.glob("fold[0-9]*") if p.is_dir())
    bundles = sorted(p.parent.name for p in path.glob("bundle*/card.json"))
    dice = {name: read_json(path / name / "card.json").get("figures", {}).get("validation_dice") for name in bundles}
    started = read_json(path / "provenance.json") if (path / "provenance.json").is_file() else {}
    finished = (path / "summary.html").is_file()
    rows = [
        ("folder", str(path)),
        ("name", config.name),
        ("network", f"{config.model.architecture}, pictures of {config.data.size} px"),
        ("epochs", str(config.train.epochs)),
        ("folds", ", ".join(folds) or "none begun"),
        ("state", "finished" if finished else "not finished: ossa train --resume --folder " + str(path)),
    ]
    rows.extend(
        (name, f"validation Dice {value}" if value is not None else "no figure") for name, value in dice.items()
    )
    rows.append(("out of fold", "saved" if (path / "oof" / "store.json").is_file() else "not saved"))
    values = {
        "folder": str(path),
        "config": dump(config),
        "folds": folds,
        "bundles": dice,
        "finished": finished,
        "provenance": started,
    }
    return Facts("run", tuple(rows), values)


#: A file that a folder of a kind always holds -> what tells of it; asked in this order.
_FOLDERS: Mapping[str, Callable[[Path, BoneSchema], Facts]] = {
    "card.json": lambda path, _: _model(path),
    "config.yaml": lambda path, _: _run(path),
    "store.json": _store,
    "evaluation.html": lambda path, _: _evaluation(path),
    "gallery.js": lambda path, _: _gallery(path),
    "predictions.csv": _predictions,
    ".ossa-run": _predictions,
}
