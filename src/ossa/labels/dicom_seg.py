"""DICOM Segmentations as labels: binary frames, one for each bone of each hand, of a picture that they refer to.

    ROOT/**/hand.dcm      the radiograph: any DICOM image whose SOPInstanceUID the segmentation names
    ROOT/**/hand_seg.dcm  the segmentation, under any name

A picture that is no DICOM file is known by its name beside (hand.png, hand_seg.dcm) and by its pixels: ossa wraps it
under identifiers that follow from them. A film with two hands is two cases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ossa.errors import InputError, LabelError
from ossa.export.dicom.hands import told_apart
from ossa.export.dicom.source import is_dicom, quietly, require, source_of, wrapped_uid
from ossa.labels.case import Case, Merged, Problem, Reading, Truth, judged
from ossa.labels.dicom_frames import HEAD, SegFile, is_segmentation, read_segmentation
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item
from ossa.labels.match import without_ending
from ossa.labels.names import BoneNames
from ossa.labels.pictures import below, case_of, pictures, subject_of, visible_files
from ossa.radiograph.radiograph import Side
from ossa.radiograph.read import read_radiograph
from ossa.schema import BoneSchema
from ossa.segmentation.outlines import Outline, outlines_from_region
from ossa.segmentation.segmentation import Region

LAYOUT = "DICOM Segmentations (any name, usually hand_seg.dcm) with the DICOM images that they refer to"

#: What ossa adds to a picture's name for its segmentation, and for the picture that it had to wrap.
ENDING, PICTURE = "_seg.dcm", "_picture.dcm"

LOSES = "a DICOM Segmentation has no room for confidences, warnings, and which bones were looked for in vain"

__all__ = ["LAYOUT", "LOSES", "detect", "read", "read_case", "regions", "require", "write_set"]

_WORDS = {"L": "left", "R": "right"}


def detect(root: Path) -> bool:
    """Whether a DICOM Segmentation lies under ``root``."""
    return any(is_segmentation(path) for path in visible_files(root))


def read(root: Path, names: BoneNames) -> Reading:
    """Every picture under ``root``, with the segmentations that refer to it: a case for each of their hands."""
    found = [path for path in visible_files(root) if is_segmentation(path)]
    images = [path for path in pictures(root) if path not in set(found)]
    by_uid = _identifiers(images)
    cases: list[Case] = []
    bare: list[Case] = []
    problems: list[Problem] = []
    used: dict[Path, Path] = {}
    for path in found:
        try:
            seg = read_segmentation(path, names.schema, pixels=False)
        except LabelError as error:
            problems.append(Problem(path, error.what))
            continue
        image = by_uid.get(seg.refers_to) or _beside(path, images)
        if image is not None and image in by_uid.values() and by_uid.get(seg.refers_to) != image:
            problems.append(
                Problem(path, f"refers to another image (SOPInstanceUID {seg.refers_to}) than {image.name}: left out")
            )
            continue
        if image is not None and image in used:
            problems.append(Problem(path, f"refers to the picture that {used[image].name} refers to: left out"))
            continue
        if image is None:
            problems.append(Problem(path, f"its picture (SOPInstanceUID {seg.refers_to}) is not here"))
            bare += _cases(root, path.with_name(_stem(path)), path, seg, names)
        else:
            used[image] = path
            cases += _cases(root, image, path, seg, names)
    everything = frozenset(names.schema.names)
    reader = partial(read_case, names=names)
    for image in images:
        if image not in used:
            cases.append(case_of(root, image, None, subject_of(below(root, image)), everything, reader))
    return Reading(tuple(sorted(cases, key=lambda case: case.name)), tuple(problems), tuple(bare))


def _identifiers(images: Iterable[Path]) -> dict[str, Path]:
    """SOPInstanceUID -> DICOM picture."""
    import pydicom

    out: dict[str, Path] = {}
    for image in images:
        with image.open("rb") as stream:
            head = stream.read(HEAD)
        if b"DICM" not in head[128:132]:
            continue
        try:
            with quietly():
                header = pydicom.dcmread(image, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                out[str(header.get("SOPInstanceUID") or "")] = image
        except Exception:  # whatever is wrong with it is told when it is read
            continue
    out.pop("", None)
    return out


def _stem(path: Path) -> str:
    return path.name.removesuffix(ENDING) if path.name.endswith(ENDING) else without_ending(path.name)


def _beside(path: Path, images: Sequence[Path]) -> Path | None:
    """The one picture of the name of a segmentation, in its folder."""
    named = [image for image in images if image.parent == path.parent and without_ending(image.name) == _stem(path)]
    return named[0] if len(named) == 1 else None


def _cases(root: Path, image: Path, label: Path, seg: SegFile, names: BoneNames) -> list[Case]:
    """A case for each hand of a segmentation; hands of one film are called film_left and film_right, or by number."""
    everything = frozenset(names.schema.names)
    reader = partial(read_case, names=names)
    seen = label if not image.is_file() else image
    plain = case_of(root, image, label, subject_of(below(root, seen)), everything, reader)
    if len(seg.hands) < 2:
        return [replace(plain, side=plain.side or (seg.hands[0].side if seg.hands else None))]
    sides = [hand.side for hand in seg.hands]
    out = []
    for number, hand in enumerate(seg.hands, start=1):
        alone = hand.side is not None and sides.count(hand.side) == 1
        word = _WORDS[hand.side] if hand.side is not None and alone else str(number)
        called = _called(plain.name, word)
        out.append(replace(plain, id=_called(plain.id, word), name=called, key=hand.key, side=hand.side))
    return out


def _called(name: str, word: str) -> str:
    stem = without_ending(name)
    return f"{stem}_{word}{name[len(stem) :]}"


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of one hand. Raises LabelError for a damaged file and for one that refers to another picture."""
    assert case.label is not None  # Case.truth checked it
    seg = read_segmentation(case.label, schema)
    if case.image.is_file() and not is_dicom(case.image):
        expected = wrapped_uid(read_radiograph(case.image))
        if expected != seg.refers_to:
            raise LabelError(
                f"the segmentation refers to another picture than {case.image.name}",
                path=case.label,
                found=f"SOPInstanceUID {seg.refers_to}",
                expected=expected,
                remedy="Lay it beside the picture that it was made for, or make it again",
            )
    hand = next((hand for hand in seg.hands if hand.key == case.key or not case.key), None)
    outlines: dict[str, tuple[Outline, ...]] = {}
    merged: list[Merged] = []
    left_out: list[str] = []
    for segment in () if hand is None else hand.segments:
        region = segment.region
        targets = (segment.bone,) if segment.bone is not None else _targets(names, segment.words)
        if targets is None:
            left_out.append(f"the segment '{segment.label}' is named after no bone")
        elif region is not None and len(targets) == 1:
            if targets[0] in outlines:
                raise LabelError(
                    f"two segments of one hand are '{targets[0]}'", path=case.label, expected="one segment per bone"
                )
            outlines[targets[0]] = outlines_from_region(region)
        elif region is not None and targets:
            merged.append(Merged(frozenset(targets), outlines_from_region(region)))
    said = "all" if seg.looked_for_all else None
    known = judged(outlines, schema, said, tuple(merged))
    return Truth(outlines, known, tuple(merged), seg.shape, left_out=tuple(left_out), origin=seg.origin)


def _targets(names: BoneNames, words: Sequence[str]) -> tuple[str, ...] | None:
    return next((found for word in words if (found := names.targets(word)) is not None), None)


def regions(path: Path, schema: BoneSchema) -> list[tuple[Side | None, Mapping[str, Region]]]:
    """The bones of each hand of a segmentation, as pixels: what bears a code or a name of ``schema``."""
    seg = read_segmentation(path, schema)
    return [
        (hand.side, {one.bone: one.region for one in hand.segments if one.bone is not None and one.region is not None})
        for hand in seg.hands
    ]


def write_set(root: Path, items: Iterable[Item]) -> None:
    """One segmentation for each picture, of all its hands: <name>_seg.dcm; a wrapped picture is <name>_picture.dcm.

    Labels of a data set (they have a subject) count as drawn by people. Pictures without bones have none. Raises
    InputError when all others are written, saying of how many pictures no object can be made and the first reason.
    """
    from ossa.export.dicom.seg import segmentation_object, write_object

    films: dict[Path, list[Item]] = {}
    for item in items:
        films.setdefault(item.image, []).append(item)
    failed: list[InputError] = []
    for image, hands in films.items():
        bones = [item.segmentation for item in hands if len(item.segmentation)]
        if not bones:
            continue
        name = _film_name(hands)
        try:
            radiograph = read_radiograph(image)
            source = source_of(image, radiograph)
            drawn = any(item.subject for item in hands)
            made = segmentation_object(source, told_apart(bones, radiograph.side), drawn=drawn)
        except InputError as error:
            failed.append(error)
            continue
        write_object(root / f"{name}{ENDING}", made)
        if source.made is not None:
            write_object(root / f"{name}{PICTURE}", source.made)
        else:
            hands[0].brought(root / hands[0].file)
    if failed:
        raise InputError(
            f"{len(failed)} of {len(films)} pictures have no DICOM Segmentation, the others are written",
            path=root,
            found=str(failed[0]),
        )


def _film_name(items: Sequence[Item]) -> str:
    """What a film is called of whose hands each has a name: "film" of "film_left" and "film_right"."""
    if len(items) == 1:
        return items[0].name
    return items[0].name.rpartition("_")[0] or items[0].name


FORMATS = (LabelFormat("dicom-seg", LAYOUT, 50, detect, read, write_set=write_set, loses=LOSES, needs=require),)
