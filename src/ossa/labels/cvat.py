"""CVAT XML 1.1 for images, in and out: one file for a set ("CVAT for images").

    ROOT/annotations.xml with ROOT/images/..., or a folder of such files, one per job

    <image id="0" name="ID001/hand.png" width="2048" height="2048">
      <mask label="Radius" rle="3, 5, ..." left="707" top="888" width="29" height="18" z_order="0"/>
      <polygon label="Ulna" points="10.00,20.00;30.00,20.00;30.00,60.00" z_order="0"/>
    </image>

Format: https://docs.cvat.ai/docs/manual/advanced/xml_format. A polygon's (0, 0) is the corner of the first pixel and
it is filled as the COCO API does, which is what CVAT's own exports of masks do. A mask's runs go row by row through its
box and begin with background. Both may overlap others. ossa writes masks: they keep every pixel, holes and parts too.
Which bones somebody judged stands in an attribute of the image that CVAT passes over; without it only what is drawn is
judged. Boxes, lines, points, ellipses and tags draw no bone: they are counted and left out; video tracks are refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from ossa.errors import DatasetError, LabelError
from ossa.labels.case import Case, Reading, Truth, judged
from ossa.labels.catalogue import Catalogue, Mention
from ossa.labels.coco_case import Drawing
from ossa.labels.format import LabelFormat
from ossa.labels.item import Item
from ossa.labels.names import BoneNames
from ossa.labels.pictures import below, visible_files
from ossa.labels.polygons import MAX_BOX_PIXELS, size_of
from ossa.labels.safe_xml import read_xml
from ossa.safety import write_text
from ossa.schema import BoneSchema
from ossa.segmentation.rle import runs_from_region
from ossa.segmentation.segmentation import Region

LAYOUT = "annotations.xml (CVAT for images 1.1) with the pictures it names"

#: What ossa calls the file, as CVAT does.
FILE = "annotations.xml"

#: XML files that are looked into.
_LOOKS = 20

_DRAWN = ("polygon", "mask")
_UNDRAWN = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton", "tag")


def detect(root: Path) -> bool:
    """Whether one of the first XML files under ``root`` is CVAT's."""
    return bool(_files(root))


def _files(root: Path) -> list[Path]:
    files = [path for path in visible_files(root) if path.suffix.lower() == ".xml"]
    if len(files) <= _LOOKS:
        return [path for path in files if is_cvat(path)]
    return files if any(is_cvat(path) for path in files[:_LOOKS]) else []


def is_cvat(path: Path) -> bool:
    """Whether the beginning of a file is that of CVAT's XML."""
    try:
        with path.open("rb") as stream:
            return b"<annotations>" in stream.read(4096).replace(b"\0", b"")
    except OSError:
        return False


@dataclass(frozen=True)
class _Picture:
    name: str
    size: tuple[int, int] | None
    judged: object
    shapes: tuple[Element, ...]


def load(path: Path) -> Mapping[str, _Picture]:
    """The pictures that a file speaks of, by name. Raises LabelError for what is no CVAT file, and for video."""
    stat = path.stat() if path.is_file() else None
    return _parse(path, stat.st_mtime_ns if stat else 0, stat.st_size if stat else 0)


@lru_cache(maxsize=4)
def _parse(path: Path, _mtime: int, _size: int) -> Mapping[str, _Picture]:
    root = read_xml(path)
    if root.tag != "annotations":
        raise LabelError("is not a file of CVAT", path=path, found=f"<{root.tag[:40]}>", expected="<annotations>")
    if root.find("track") is not None:
        raise LabelError(
            "holds tracks of a video",
            path=path,
            found="<track>",
            expected="<image>",
            remedy="Export the task as 'CVAT for images 1.1'",
        )
    out: dict[str, _Picture] = {}
    for entry in root.iter("image"):
        name = entry.get("name")
        if not name:
            raise LabelError("an image has no name", path=path, expected='<image name="..." width="..." height="...">')
        if name in out:
            raise LabelError(f"two images are called '{name}'", path=path)
        try:
            sides = [None if text is None else float(text) for text in (entry.get("height"), entry.get("width"))]
            size = size_of(*sides)
        except ValueError as error:
            raise LabelError(f"the size of '{name}' is none", path=path, found=str(error)) from error
        said = entry.get("judged")
        listed: object = said if said in (None, "all") else said.split()
        out[name] = _Picture(name, size, listed, tuple(entry))
    return out


def labels_of(path: Path) -> Counter[str]:
    """Label -> how many shapes of a file have it."""
    return Counter(s.get("label", "") for picture in load(path).values() for s in picture.shapes if s.tag in _DRAWN)


def read_case(case: Case, schema: BoneSchema, names: BoneNames) -> Truth:
    """The truth of a case out of its XML file."""
    assert case.label is not None  # Case.truth checked it
    picture = load(case.label).get(case.key)
    if picture is None:
        raise LabelError(f"does not speak of '{case.name}' any more", path=case.label, remedy="Open the data set again")
    drawing = Drawing(case.name, case.label, picture.size, case.scale_labels)
    others: Counter[str] = Counter()
    for shape in picture.shapes:
        label = shape.get("label", "")
        if shape.tag in _UNDRAWN:
            others[f"{shape.tag} of '{label}', which draws no bone"] += 1
            continue
        if shape.tag not in _DRAWN:
            continue  # an attribute, or an element of a later version
        targets = names.targets(label)
        if targets is None:
            others[f"'{label}', which is no bone (the nearest is '{names.nearest(label)}')"] += 1
        elif targets and shape.tag == "polygon":
            drawing.add(targets, label, {"segmentation": [_points(shape, label, case.label)]})
        elif targets:
            drawing.add_region(targets, label, _mask(shape, label, picture.size, case.label))
    outlines, merged = drawing.outlines(schema)
    told = tuple(f"{count} x {what}: left out" for what, count in others.items())
    known = judged(outlines, schema, picture.judged, merged)
    return Truth(outlines, known, merged, drawing.size, left_out=(*told, *drawing.left_out()))


def _points(shape: Element, label: str, path: Path) -> list[float]:
    """ "x,y;x,y;..." as the flat list that COCO has."""
    text = shape.get("points", "")
    try:
        pairs = [pair.split(",") for pair in text.split(";") if pair.strip()]
        return [float(number) for x, y in pairs for number in (x, y)]
    except ValueError as error:
        raise LabelError(
            f"the points of a polygon of '{label}' cannot be read",
            path=path,
            found=text[:60],
            expected='"x,y;x,y;x,y"',
        ) from error


def _mask(shape: Element, label: str, size: tuple[int, int] | None, path: Path) -> Region | None:
    """A mask's runs as a region; LabelError for runs that do not fill the box, and for a box outside the picture."""
    try:
        left, top, width, height = (int(float(shape.get(key, ""))) for key in ("left", "top", "width", "height"))
        runs = np.array([int(text) for text in shape.get("rle", "").split(",") if text.strip()], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise LabelError(
            f"a mask of '{label}' is incomplete",
            path=path,
            found=str(error)[:80],
            expected="rle, left, top, width and height",
        ) from error
    inside = size is None or (left + width <= size[1] and top + height <= size[0])
    if width < 1 or height < 1 or left < 0 or top < 0 or not inside or width * height > MAX_BOX_PIXELS:
        raise LabelError(
            f"the box of a mask of '{label}' is not in the picture",
            path=path,
            found=f"{height}x{width} from ({left}, {top})",
            expected="inside {}x{}".format(*size) if size else f"at most {MAX_BOX_PIXELS:,} px",
        )
    most = width * height
    if len(runs) > most + 1 or (runs.size and (runs.min() < 0 or runs.max() > most)) or int(runs.sum()) != most:
        raise LabelError(
            f"the runs of a mask of '{label}' do not fill its box",
            path=path,
            found=f"{int(np.clip(runs, -most, most + 1).sum()):,} px",
            expected=f"{most:,} px ({height}x{width})",
        )
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Region.tight(filled.reshape(height, width), top, left)


def read(root: Path, names: BoneNames) -> Reading:
    """All pictures that the XML files name. One without shapes is unlabelled; a missing picture is a problem."""
    files = _files(root)
    if not files:
        raise DatasetError("holds no XML file of CVAT", path=root, expected=LAYOUT)
    catalogue = Catalogue(root, "XML file", names, partial(read_case, names=names))
    for path in files:
        mentioned = [Mention(name, name, _is_labelled(picture)) for name, picture in load(path).items()]
        catalogue.add(path, mentioned, frozenset(names.schema.names))
    return catalogue.reading()


def _is_labelled(picture: _Picture) -> bool:
    return any(shape.tag in _DRAWN for shape in picture.shapes) or picture.judged is not None


def write_set(root: Path, items: Iterable[Item]) -> None:
    """Write all labels as ROOT/annotations.xml; pictures go where their names say. Raises OutputError."""
    from xml.sax.saxutils import quoteattr  # brings the mail and web libraries with it

    entries: list[str] = []
    labels: tuple[str, ...] = ()
    for number, item in enumerate(items):
        found = item.segmentation
        labels = labels or found.schema.names
        known = [name for name in found.schema.names if name in item.judged]
        said = "all" if item.everything_judged else " ".join(known)
        height, width = found.shape
        name = below(root.absolute(), item.brought(root / item.file).absolute())
        entries.append(
            f'  <image id="{number}" name={quoteattr(name)} width="{width}" height="{height}" '
            f"judged={quoteattr(said)}>\n"
            + "".join(_mask_text(bone, region) for bone, region in found)
            + "  </image>\n"
        )
    listed = "".join(
        f"        <label>\n          <name>{name}</name>\n          <type>mask</type>\n"
        "          <attributes></attributes>\n        </label>\n"
        for name in labels
    )
    write_text(
        root / FILE,
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
        f"      <name>bones</name>\n      <size>{len(entries)}</size>\n      <mode>annotation</mode>\n"
        f"      <labels>\n{listed}      </labels>\n    </task>\n  </meta>\n{''.join(entries)}</annotations>\n",
    )


def _mask_text(bone: str, region: Region) -> str:
    from xml.sax.saxutils import quoteattr

    height, width = region.mask.shape
    runs = runs_from_region(Region(0, 0, region.mask), width)
    edges = np.empty(2 * len(runs.starts) + 1, dtype=np.int64)
    edges[0:-1:2], edges[1::2], edges[-1] = runs.starts, runs.starts + runs.lengths, height * width
    counts = np.diff(edges, prepend=0).tolist()
    text = ", ".join(map(str, counts if counts[-1] else counts[:-1]))
    return (
        f'    <mask label={quoteattr(bone)} source="manual" occluded="0" rle="{text}" left="{region.left}" '
        f'top="{region.top}" width="{width}" height="{height}" z_order="0">\n    </mask>\n'
    )


FORMATS = (LabelFormat("cvat", LAYOUT, 61, detect, read, write_set=write_set, mark=FILE),)
