"""Corrected labels out of a studio: in a folder of their own in any format, or back into the data set's own files.

    STUDIO/exports/001-labelme/                    one export; nothing is ever written over
    STUDIO/replaced/2026-01-31T12-00-00Z/...       the files of the data set as they were before corrections went back

In the set's own format, where its files can be amended (``labels.amend``), a label is the set's own file with the
corrected bones in it, at the same place below the folder. Into other formats everything is converted.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ossa.errors import ConfigError, InputError, OutputError
from ossa.labels.amend import ABLE, Change, amended
from ossa.labels.case import Case
from ossa.labels.competition import read_case as read_correction
from ossa.labels.competition import write_outlines
from ossa.labels.format import formats
from ossa.labels.names import bone_names
from ossa.labels.pictures import below
from ossa.pipeline.convert import bringing, convert_cases
from ossa.safety import inside, renewing, write_text
from ossa.studio.collection import TRUTH, Picture
from ossa.studio.corrections import Missing
from ossa.studio.material import ALL, CORRECTED, TAKES
from ossa.studio.studio import Studio

__all__ = ["ALL", "CORRECTED", "Exported", "WrittenBack", "archive", "export", "exported", "offers", "write_back"]

EXPORTS, REPLACED = "exports", "replaced"

_ID = re.compile(r"\d{3,}-[a-z0-9-]+")

#: In what labels are written where a studio has no data set.
USUAL = "competition"


@dataclass(frozen=True)
class Exported:
    """One export in ``folder``. ``skipped``: labels that could not be written, ``left_out``: what of others was."""

    id: str
    format: str
    folder: Path
    written: int
    skipped: Sequence[str] = ()
    left_out: Sequence[str] = ()
    remark: str = ""

    def to_json(self) -> dict[str, Any]:
        """As a page gets it."""
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        return {
            "id": self.id,
            "format": self.format,
            "folder": f"{EXPORTS}/{self.folder.name}",
            "written": self.written,
            "skipped": list(self.skipped)[:200],
            "left_out": list(self.left_out)[:200],
            "remark": self.remark,
            "size": size,
        }


@dataclass
class WrittenBack:
    """``written``: label files of the data set that were changed; ``kept``: where they lie as they were before."""

    written: list[str] = field(default_factory=list)
    pictures: int = 0
    unchanged: int = 0
    skipped: list[str] = field(default_factory=list)
    kept: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """As a page gets it."""
        kept = None if self.kept is None else f"{REPLACED}/{self.kept.name}"
        return {**{key: value for key, value in vars(self).items() if key != "kept"}, "kept": kept}


def offers(studio: Studio, write_back: bool) -> dict[str, Any]:
    """What can be exported, and whether corrections may go back into the data set."""
    own = own_format(studio)
    listed = [
        {"name": one.name, "title": one.layout, "own": one.name == own, "loses": one.loses}
        for one in formats().table.values()
        if one.writable or one.name == own
    ]
    reason = _no_way_back(studio, write_back)
    return {
        "formats": listed,
        "own": own or None,
        "corrected": len(_chosen(studio, CORRECTED)),
        "labelled": len(_chosen(studio, ALL)),
        "write_back": {"able": reason is None, "reason": reason, "pictures": len(_chosen(studio, CORRECTED))},
    }


def own_format(studio: Studio) -> str:
    """The format of the studio's data set; "" where there is none."""
    return studio.collection.form


def export(studio: Studio, form: str | None = None, take: str = CORRECTED, images: bool = False) -> Exported:
    """Write the labels of the corrected pictures, or of all that have one (``take`` "all"), into a folder of their own.

    ``form``: None for the data set's own format. ``images``: the pictures too. Raises ConfigError for what cannot be
    asked, InputError where no label can be written, OutputError.
    """
    if not studio.writable:
        raise OutputError("this studio keeps nothing", expected="one that was started without --read-only")
    if take not in TAKES:
        raise ConfigError("no such pictures to export", found=repr(take)[:40], expected=" or ".join(TAKES))
    own = own_format(studio)
    name = form or own or USUAL
    able = {one.name for one in formats().table.values() if one.writable} | ({own} & ABLE)
    if name not in able:
        raise ConfigError("no such format to export", found=repr(name)[:40], expected=", ".join(sorted(able)))
    chosen = _chosen(studio, take)
    if not chosen:
        raise InputError("there is nothing to export", found="no picture was corrected", expected="a saved correction")
    folder = _new_folder(studio.folder / EXPORTS, name)
    left_out: tuple[str, ...] = ()
    remark = ""
    try:
        if name == own and name in ABLE:
            skipped = _own(studio, chosen, folder, images)
        else:
            cases = [_case(studio, one) for one in chosen]
            made = convert_cases(
                cases, studio.collection.schema, folder, name, pictures="copy" if images else "none", source=studio.root
            )
            skipped, left_out, remark = list(made.skipped), made.left_out, made.remark
        if len(skipped) == len(chosen):
            raise InputError(f"no label can be written as '{name}'", found=skipped[0])
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Exported(folder.name, name, folder, len(chosen) - len(skipped), skipped, left_out, remark)


def exported(studio: Studio, key: str) -> Path:
    """The folder of an earlier export. Raises Missing."""
    folder = studio.folder / EXPORTS / key
    if not _ID.fullmatch(key) or not folder.is_dir():
        raise Missing("there is no such export", found=repr(key)[:80], expected="an id that an export was given")
    return folder


def archive(folder: Path, path: Path) -> None:
    """A folder's files as a ZIP archive at ``path``. Raises OutputError."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made:
            for one in sorted(folder.rglob("*")):
                if one.is_file():
                    made.write(one, one.relative_to(folder).as_posix())
    except OSError as error:
        raise OutputError("the archive cannot be written", path=path, found=error.strerror) from error


def write_back(studio: Studio, allowed: bool) -> WrittenBack:
    """Put the corrected bones into the data set's own label files; what stood there is kept in ``replaced``.

    A bone that nobody corrected stays as the file has it now, even where another program changed it since. Raises
    ConfigError where that was not allowed when the studio was started, or the format has no way back.
    """
    reason = _no_way_back(studio, allowed)
    if reason is not None:
        raise ConfigError("corrections cannot go back into the data set", found=reason)
    out = WrittenBack()
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    root = _root(studio)
    kept = None
    for label, text, count in _amended(studio, _chosen(studio, CORRECTED), out.skipped):
        if label.is_file() and label.read_text(encoding="utf-8-sig") == text:
            out.unchanged += count
            continue
        if label.is_file():
            kept = kept or _free_folder(studio.folder / REPLACED, moment)
            with renewing(inside(kept, below(root, label))) as temporary:
                shutil.copy2(label, temporary)
        write_text(label, text)
        out.written.append(below(root, label))
        out.pictures += count
    out.kept = kept
    return out


def _no_way_back(studio: Studio, allowed: bool) -> str | None:
    """Why corrections cannot go back into the data set; None where they can."""
    form = own_format(studio)
    if not studio.writable:
        return "the studio keeps nothing (--read-only)"
    if studio.root is None or not form:
        return "there is no data set with labels"
    if form not in ABLE:
        return f"label files of the format '{form}' are not amended: export them instead"
    return None if allowed else "the studio was started without --write-back"


def _chosen(studio: Studio, take: str) -> list[Picture]:
    """The pictures whose labels go out: corrected ones, or these and all that the set labels."""
    labelled = (
        one
        for one in studio.pictures.values()
        if one.name in studio.corrected or (take == ALL and one.entry(TRUTH) is not None)
    )
    return sorted(labelled, key=lambda one: one.name)


def _case(studio: Studio, picture: Picture) -> Case:
    """A picture as its label is to be read now: the correction's, else the set's own."""
    entry = picture.entries.get(TRUTH)
    known = entry.case if entry is not None else None
    case = known or Case(
        picture.name.rpartition("/")[2], picture.subject or picture.id, picture.path, None, picture.known_side
    )
    if picture.name not in studio.corrected:
        return case
    reader = partial(read_correction, names=bone_names(studio.collection.schema))
    return replace(case, label=studio.corrections.label(picture.name), reader=reader, key="", name=picture.name)


# --- the set's own files --------------------------------------------------------------------------------------------


def _root(studio: Studio) -> Path:
    assert studio.root is not None  # a data set has one
    return studio.root


def _own(studio: Studio, chosen: Sequence[Picture], folder: Path, images: bool) -> list[str]:
    """The set's own files with the corrections in them, at their places below ``folder``; what was skipped."""
    skipped: list[str] = []
    root = _root(studio)
    bring = bringing("copy")
    done: set[Path] = set()
    for amended_one, text, _ in _amended(studio, chosen, skipped):
        write_text(inside(folder, _below(root, amended_one)), text)
        done.add(amended_one)
    for picture in chosen:
        entry = picture.entries.get(TRUTH)
        label = entry.case.label if entry is not None and entry.case is not None else None
        if label is not None and label not in done and picture.name not in studio.corrected:
            place = inside(folder, _below(root, label))
            with renewing(place) as temporary:
                shutil.copyfile(label, temporary)
            done.add(label)
        if images and bring is not None:
            bring(picture.path, inside(folder, _below(root, picture.path)))
    return skipped


def _below(root: Path, path: Path) -> str:
    """A file's place below the set; one of elsewhere goes by its name alone."""
    place = below(root, path)
    return Path(path).name if place.startswith("..") else place


def _amended(studio: Studio, chosen: Sequence[Picture], skipped: list[str]) -> Iterator[tuple[Path, str, int]]:
    """(label file of the set, its text with the corrections of ``chosen``, how many pictures) file by file."""
    names = bone_names(studio.collection.schema, studio.collection.names)
    by_file: dict[Path, list[Change]] = defaultdict(list)
    fresh: list[tuple[Picture, Path]] = []
    for picture in chosen:
        if picture.name not in studio.corrected:
            continue
        entry = picture.entries.get(TRUTH)
        case = entry.case if entry is not None else None
        where = None if case is None else _label_of(studio, case)
        if case is None or where is None:
            skipped.append(f"{picture.name}: the data set has no place for its label")
            continue
        if not where.is_file():
            fresh.append((picture, where))
            continue
        touched = {bone for one in studio.corrections.history(picture.name) for bone in one.changed}
        truth = studio.corrections.read(picture.name)
        by_file[where].append(Change(case, truth, touched, studio.reader.shape(picture)))
    for where, changes in by_file.items():
        try:
            mended = any(change.bones for change in changes)  # accepted as they are: the file stays as it is
            text = amended(where, changes, names) if mended else where.read_text(encoding="utf-8-sig")
        except InputError as error:
            skipped += [f"{change.case.name}: {error}" for change in changes]
            continue
        yield where, text, len(changes)
    for picture, where in fresh:
        yield where, _written(studio, picture, where), 1


def _label_of(studio: Studio, case: Case) -> Path | None:
    """The label file of a picture: its own, or the one that it would have; None where the format has no place."""
    if case.label is not None:
        return case.label
    root = _root(studio)
    if own_format(studio) == "competition":
        place = below(root, case.image)
        if not place.startswith("train/DCM/"):
            return None  # test pictures have no labels in this layout
        return root / "train" / "outputs_json" / Path(place).relative_to("train/DCM").with_suffix(".json")
    if own_format(studio) == "coco":
        from ossa.labels.coco import file_of

        return file_of(root, case)
    return case.image.with_suffix(".json")


def _written(studio: Studio, picture: Picture, where: Path) -> str:
    """The text of a new label file, in the format of the set."""
    import tempfile

    from ossa.labels.labelme import write_labelme

    truth = studio.corrections.read(picture.name)
    shape = studio.reader.shape(picture)
    with tempfile.TemporaryDirectory(dir=studio.folder) as folder:
        path = Path(folder) / "label.json"
        if own_format(studio) == "labelme":
            found = truth.segmentation(studio.collection.schema, shape)
            write_labelme(path, found, below(where.parent, picture.path), truth.annotated)
        else:
            said = {"judged": [name for name in studio.collection.schema.names if name in truth.annotated]}
            write_outlines(path, truth.outlines, shape, picture.path.name, said)
        return path.read_text(encoding="utf-8")


# --- folders --------------------------------------------------------------------------------------------------------


def _new_folder(parent: Path, name: str) -> Path:
    """A folder of the next number."""
    numbers = [int(path.name.partition("-")[0]) for path in parent.glob("*") if _ID.fullmatch(path.name)]
    return _made(parent / f"{1 + max(numbers, default=0):03d}-{name}")


def _free_folder(parent: Path, name: str) -> Path:
    """A folder of this name, with a number where that is taken."""
    number, place = 1, parent / name
    while place.exists():
        number += 1
        place = parent / f"{name}-{number}"
    return _made(place)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise OutputError("the folder cannot be made", path=folder, found=error.strerror) from error
    return folder
