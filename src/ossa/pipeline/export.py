"""Results and their radiographs as DICOM objects: the trip behind ``ossa export``.

OUT/<name>_seg.dcm      the bones of all hands of a film (DICOM Segmentation)
OUT/<name>_sr.dcm       measurements that refer to them (Structured Report, TID 1500)
OUT/<name>_sc.dcm       the radiograph with outlines (Secondary Capture)
OUT/<name>_picture.dcm  the radiograph, where it was no DICOM file, or was made anonymous
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import InputError, MissingExtraError, OutputError, reason_of
from ossa.pipeline.measured import kept_path, with_kept
from ossa.progress import Track, silent
from ossa.safety import output_folder

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ossa.export.dicom.anonymise import Secret
    from ossa.export.dicom.hands import BonesOfHand
    from ossa.export.dicom.send import Archive, Sent
    from ossa.export.dicom.source import Source
    from ossa.labels.results import Entry
    from ossa.radiograph.radiograph import Radiograph, Spacing
    from ossa.segmentation.segmentation import Segmentation

#: What can be exported, and the file that each has.
KINDS = {"dicom-seg": "_seg.dcm", "dicom-sr": "_sr.dcm", "dicom-sc": "_sc.dcm"}

PICTURE = "_picture.dcm"

#: How the results of one hand of several are called (pipeline.several).
_HAND = re.compile(r"_(left|right|(hand)?\d+)$")


@dataclass(frozen=True)
class Exported:
    """``files`` that were written; a sentence for each film that could not be used (``skipped``)."""

    files: tuple[Path, ...]
    films: int
    skipped: tuple[str, ...]


def export(
    results: str | Path,
    output: str | Path,
    kind: str,
    *,
    images: str | Path | None = None,
    anonymise: bool = False,
    drawn: bool = False,
    spacing: Spacing | None = None,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write DICOM objects of one ``kind`` ("dicom-seg", "dicom-sr", "dicom-sc") for every film of ``results``.

    ``results``: whatever ``labels.results.open_results`` opens. ``images``: the folder with the radiographs (or one of
    them), where the results do not know them. A report comes with the segmentation that it refers to. ``anonymise``:
    the radiograph without its patient is written beside, and all objects refer to that one; files are numbered then,
    since names of files are names of people. ``drawn``: people drew the bones. ``spacing``: of a report's numbers,
    before what the radiographs say. A film that cannot be used is skipped.

    Raises InputError when none can, OutputError when nothing can be written, MissingExtraError without highdicom.
    """
    from ossa.export.dicom.source import require
    from ossa.labels.results import open_results

    require()
    opened = open_results(results)
    films = _films(opened.entries.values(), opened.path, images, tell)
    folder = Path(output)
    files: list[Path] = []
    skipped: list[str] = []
    secret = _secret() if anonymise else None
    inputs = [Path(results), *([Path(images)] if images is not None else []), *films]
    with output_folder(folder, inputs):
        rows = list(films.items())
        names = _names([image for image, _ in rows], anonymise)
        for (image, entries), name in track(list(zip(rows, names, strict=True)), len(rows), "exporting"):
            try:
                objects = _objects(image, entries, kind, secret, drawn, spacing, Path(results), tell)
            except (MissingExtraError, OutputError):
                raise
            except Exception as error:  # whatever one file does, the others are done
                skipped.append(reason_of(error, image))
                continue
            files += _write(folder, name, objects)
    if not files:
        raise InputError(f"nothing could be exported as {kind}", path=results, found=skipped[0] if skipped else None)
    return Exported(tuple(files), len(films) - len(skipped), tuple(skipped))


def _secret() -> Secret:
    from ossa.export.dicom.anonymise import Secret

    return Secret()


def _films(
    entries: Iterable[Entry], results: Path, images: str | Path | None, tell: Callable[[str], None]
) -> dict[Path, list[Entry]]:
    """Picture -> the results of its hands. Raises InputError where no result has a picture.

    Results of pictures that are not there are told, unless one picture was asked for.
    """
    from ossa.labels.match import without_ending
    from ossa.labels.pictures import below, pictures

    by_name: dict[str, list[Path]] = {}
    root = None if images is None else Path(images)
    files = [] if root is None else [root] if root.is_file() else pictures(root)
    for file in files:
        whole = file.name if root == file else below(Path(str(root)), file)
        for name in {without_ending(whole), without_ending(file.name), file.name}:
            by_name.setdefault(name, []).append(file)
    films: dict[Path, list[Entry]] = {}
    lost: list[str] = []
    for entry in entries:
        image = entry.image if root is None else _picture(entry.name, by_name)
        if image is None:
            lost.append(entry.name)
        elif entry.labelled:
            films.setdefault(image, []).append(entry)
    if not films:
        raise InputError(
            "no radiograph belongs to these results",
            path=results,
            found=", ".join(lost[:3]) or "no results",
            expected="the radiographs that they were made of",
            remedy="Name their folder: --images FOLDER" if root is None else f"Look into {root}",
        )
    if lost and (root is None or not root.is_file()):
        where = "" if root is None else f" in {root}"
        named = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        tell(f"{named}: left out, since no radiograph{where} is theirs alone")
    return films


def _picture(name: str, by_name: Mapping[str, Sequence[Path]]) -> Path | None:
    """The one picture of a result's name, or of its film's ("film" of "film_left")."""
    from ossa.labels.match import without_ending

    stem = without_ending(name)
    for whole in (name, stem, _HAND.sub("", stem)):
        for key in (whole, whole.rpartition("/")[2]):
            found = by_name.get(key, ())
            if len(found) == 1:
                return found[0]
    return None


def _names(images: Sequence[Path], anonymise: bool) -> list[str]:
    from ossa.pipeline.films import name_films

    if anonymise:
        return [f"anonymous_{k:04}" for k in range(1, len(images) + 1)]
    return [film.name for film in name_films(list(images))]


def _objects(
    image: Path,
    entries: Sequence[Entry],
    kind: str,
    secret: Secret | None,
    drawn: bool,
    spacing: Spacing | None,
    results: Path,
    tell: Callable[[str], None],
) -> dict[str, Dataset]:
    """Ending of the file -> object."""
    from ossa.labels.match import without_ending
    from ossa.radiograph.read import read_radiograph

    radiograph = read_radiograph(image)
    found = [entry.read(radiograph.shape) for entry in entries]
    kept = [kept_path(results, without_ending(entry.name)) for entry in entries]
    return objects_of(image, radiograph, found, kind, secret=secret, drawn=drawn, spacing=spacing, kept=kept, tell=tell)


def objects_of(
    image: Path,
    radiograph: Radiograph,
    found: Sequence[Segmentation],
    kind: str,
    *,
    secret: Secret | None = None,
    drawn: bool = False,
    spacing: Spacing | None = None,
    kept: Sequence[Path | None] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Dataset]:
    """Ending of the file -> object: those of one ``kind`` about the picture at ``image`` with the hands ``found``.

    A picture that had to be made is among them, and so is what a report refers to; ``spacing`` as ``export`` takes it;
    ``kept``: of each hand, as ``pipeline.measured.with_kept`` takes it. Raises InputError where there is no bone,
    ImageError for a DICOM file that nothing can refer to.
    """
    from ossa.export.dicom.hands import told_apart
    from ossa.export.dicom.sc import capture_object
    from ossa.export.dicom.seg import segmentation_object
    from ossa.measurement.spacing import chosen_spacing

    hands = told_apart([one for one in found if len(one)], radiograph.side)
    before = [path for path, one in zip(kept or [None] * len(found), found, strict=True) if len(one)]
    source = _source(image, radiograph, secret, tell)
    out: dict[str, Dataset] = {}
    if source.made is not None:
        out[PICTURE] = source.made
    if kind == "dicom-sc":
        if not hands:
            raise InputError("no bones: there is nothing to draw", path=image)
        out[KINDS[kind]] = capture_object(source, radiograph, hands)
        return out
    seg = out[KINDS["dicom-seg"]] = segmentation_object(source, hands, drawn=drawn)
    if kind == "dicom-sr":
        chosen, told = chosen_spacing(radiograph, spacing, None)
        for sentence in told:
            tell(f"{image}: {sentence}")
        out[KINDS[kind]] = report_on(source, seg, hands, radiograph, chosen, before)
    return out


def _source(image: Path, radiograph: Radiograph, secret: Secret | None, tell: Callable[[str], None]) -> Source:
    """What objects refer to; without its patient when there is a ``secret``."""
    from dataclasses import replace

    from ossa.export.dicom.source import is_dicom, quietly, read_whole, source_from, source_of

    source = source_of(image, radiograph)
    if secret is None or not is_dicom(image):
        return source
    from ossa.export.dicom.anonymise import anonymised, may_show_names

    with quietly():
        whole = read_whole(image)
        if may_show_names(whole):
            tell(
                f"{image}: its header does not say that no writing is burned in: look whether the picture bears a name"
            )
        made = anonymised(whole, secret)
        return replace(source_from(made, image), made=made)


def report_on(
    source: Source,
    seg: Dataset,
    hands: Sequence[BonesOfHand],
    radiograph: Radiograph,
    spacing: Spacing | None,
    kept: Sequence[Path | None] = (),
    *,
    maker: str | None = None,
) -> Dataset:
    """The report on all hands of ``seg``. Lengths are in mm where the ``spacing`` is known.

    ``kept``: of each hand, as ``pipeline.measured.with_kept`` takes it; ``maker``: what its identifiers follow
    from, as ``segmentation_object`` takes it.
    """
    from ossa.export.dicom.sr import Number, report_object
    from ossa.measurement.measure import measure_hand

    numbers = [
        [
            Number(one.name, one.definition.title, one.value, one.ucum, one.bone, one.uncertainty)
            for one in with_kept(measure_hand(hand.segmentation, radiograph, spacing=spacing), before)
            if one.value is not None
        ]
        for hand, before in zip(hands, kept or [None] * len(hands), strict=True)
    ]
    return report_object(source, seg, hands, numbers, maker=maker)


def _write(folder: Path, name: str, objects: Mapping[str, Dataset]) -> list[Path]:
    from ossa.export.dicom.seg import write_object

    out = []
    for ending, made in objects.items():
        path = folder / f"{name}{ending}"
        write_object(path, made)
        out.append(path)
    return out


def archive_at(address: str, called: str, calling: str) -> Archive:
    """The archive at "host:port" with its application entity title, and that of ossa. Raises ConfigError."""
    from ossa.export.dicom.send import Archive

    return Archive.parse(address, called, calling)


def send_files(paths: Iterable[str | Path], archive: Archive, track: Track = silent) -> Sent:
    """Send DICOM files, and those of folders, to an archive. Raises as ``export.dicom.send.send`` does.

    Raises InputError where there is no DICOM file.
    """
    from ossa.export.dicom.send import send
    from ossa.export.dicom.source import is_dicom
    from ossa.labels.pictures import visible_files

    files: list[Path] = []
    for given in map(Path, paths):
        found = [path for path in visible_files(given) if is_dicom(path)] if given.is_dir() else [given]
        for path in found:
            if not is_dicom(path):
                raise InputError("is not a DICOM file: it cannot be sent", path=path)
            if path not in files:
                files.append(path)
    if not files:
        raise InputError("no DICOM file was found", path=", ".join(map(str, paths)))
    return send(files, archive, track)
