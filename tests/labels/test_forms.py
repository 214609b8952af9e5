"""Labels as CVAT, YOLO tools, nnU-Net and scripts write them; what ossa writes; and how they can be wrong."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from helpers_dataset import SCHEMA, draw, save_image, schematic_hand, segmentation, write_ram_w600
from ossa.dataset.dataset import open_dataset
from ossa.errors import DatasetError, LabelError
from ossa.labels.case import Truth
from ossa.labels.labelme import write_labelme
from ossa.pipeline.convert import convert
from ossa.pipeline.info import describe
from ossa.segmentation.segmentation import Region, Segmentation

SIZE = 96
SQUARE = Segmentation(SCHEMA, (SIZE, SIZE), {"Radius": Region(20, 10, np.ones((8, 6), bool))})


def picture(root: Path, name: str = "hand.png") -> None:
    save_image(root / name, draw(schematic_hand(SIZE, seed=1), SIZE, 1))


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def truth(root: Path, form: str) -> Truth:
    dataset = open_dataset(root)
    assert dataset.format == form
    (case,) = dataset.labelled
    return case.truth(SCHEMA, (SIZE, SIZE))


def planes(found: Truth) -> np.ndarray:
    return found.segmentation(SCHEMA, (SIZE, SIZE)).planes()


# --- as their tools write them ------------------------------------------------------------------------------------

#: An export of "CVAT for images 1.1" with every kind of shape.
CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task><id>4</id><name>hands</name><size>1</size><mode>annotation</mode><labels>
      <label><name>Radius</name><color>#c06060</color><type>any</type><attributes></attributes></label>
    </labels></task>
    <dumped>2024-03-01 10:20:30.000000+00:00</dumped>
  </meta>
  <image id="0" name="hand.png" width="96" height="96">
    <polygon label="Radius" source="manual" occluded="0" points="10.00,20.00;16.00,20.00;16.00,28.00;10.00,28.00">
    </polygon>
    <mask label="Ulna" source="manual" occluded="0" rle="1, 5" left="40" top="50" width="3" height="2" z_order="0">
    </mask>
    <box label="Radius" source="manual" occluded="0" xtl="1.0" ytl="1.0" xbr="9.0" ybr="9.0" z_order="0"></box>
    <polygon label="Plate" source="manual" occluded="0" points="1,1;5,1;5,5" z_order="0"></polygon>
    <tag label="Radius" source="manual"></tag>
  </image>
</annotations>
"""


def test_an_export_of_cvat(tmp_path: Path) -> None:
    picture(tmp_path, "images/hand.png")
    path = write(tmp_path / "annotations.xml", CVAT)
    found = truth(tmp_path, "cvat")
    assert found.annotated == {"Radius", "Ulna"}
    assert (planes(found)[SCHEMA.index("Radius")] == SQUARE.plane("Radius")).all()
    ulna = np.zeros((SIZE, SIZE), bool)
    ulna[50:52, 40:43] = [[0, 1, 1], [1, 1, 1]]
    assert (planes(found)[SCHEMA.index("Ulna")] == ulna).all()
    assert any("'Plate', which is no bone" in what for what in found.left_out)
    assert any("box of 'Radius'" in what for what in found.left_out)
    rows = dict(describe(path).rows)
    assert (rows["format"], rows["images"], rows["no bones"]) == ("CVAT XML", "1", "Plate")


@pytest.mark.parametrize("names", ["names: [Ulna, Radius]", "names:\n  0: Ulna\n  1: Radius", None])
def test_yolo_with_its_pictures_in_folders_of_their_own(tmp_path: Path, names: str | None) -> None:
    picture(tmp_path, "images/train/hand.png")
    if names is None:
        write(tmp_path / "classes.txt", "Ulna\nRadius\n")
    else:
        write(tmp_path / "data.yaml", f"train: images/train\n{names}\n")
    # Two rows of one class are two parts; four numbers are a box.
    row = "1 0.109375 0.213542 0.161458 0.213542 0.161458 0.286458 0.109375 0.286458\n"
    text = row + "1 0.5 0.5 0.55 0.5 0.55 0.55\n0 0.5 0.5 0.1 0.1\n\n"
    path = write(tmp_path / "labels" / "train" / "hand.txt", text)
    found = truth(tmp_path, "yolo")
    assert found.annotated == {"Radius"}
    assert len(found.outlines["Radius"]) == 2
    assert (planes(found)[SCHEMA.index("Radius")][:40] == SQUARE.plane("Radius")[:40]).all()
    assert found.left_out == ("1 x box of 'Ulna', which draws no bone: left out",)
    assert dict(describe(path).rows)["categories"] == "2, for 2 of 29 bones"


def test_a_data_set_of_nnunet(tmp_path: Path) -> None:
    picture(tmp_path, "imagesTr/hand_0000.png")
    picture(tmp_path, "imagesTs/other_0000.png")
    value = np.zeros((SIZE, SIZE), np.uint8)
    value[20:28, 10:16] = 2
    value[24:28, 10:16] = 3
    save_image(tmp_path / "labelsTr" / "hand.png", value)
    labels = {"background": 0, "Ulna": [1, 3], "Radius": [2, 3], "plate": 4}
    said = {"channel_names": {"0": "xray"}, "labels": labels, "numTraining": 1, "file_ending": ".png"}
    path = write(tmp_path / "dataset.json", json.dumps({**said, "regions_class_order": [1, 2, 4]}))
    found = truth(tmp_path, "nnunet")
    assert found.annotated == {"Radius", "Ulna"}
    assert (planes(found)[SCHEMA.index("Radius")] == SQUARE.plane("Radius")).all()
    assert int(planes(found)[SCHEMA.index("Ulna")].sum()) == 24
    assert [case.split for case in open_dataset(tmp_path)] == ["train", "test"]
    assert dict(describe(path).rows)["format"] == "nnunet"
    value[0, 0] = 9
    save_image(tmp_path / "labelsTr" / "hand.png", value)
    with pytest.raises(LabelError, match=r"does not name; found 9; expected 0 to 4"):
        truth(tmp_path, "nnunet")


# --- as ossa writes them ------------------------------------------------------------------------------------------


def made(root: Path, found: Segmentation) -> Path:
    picture(root)
    write_labelme(root / "hand.json", found, "hand.png")
    return root


def holed() -> Segmentation:
    """Overlap, two parts, a hole, a single pixel, and a bone at the picture's edge."""
    mask = np.ones((20, 20), bool)
    mask[5:9, 5:9] = False
    parts = np.zeros((30, 30), bool)
    parts[:4, :4] = parts[20:, 20:] = True
    regions = {
        "Radius": Region(76, 76, mask),
        "Ulna": Region(60, 60, parts),
        "Lunate": Region(3, 90, np.ones((1, 1), bool)),
        "Hamate": Region(0, 0, np.ones((5, 96), bool)),
    }
    return Segmentation(SCHEMA, (SIZE, SIZE), regions)


@pytest.mark.parametrize("to", ["cvat", "yolo", "masks", "bits", "nnunet-regions", "coco"])
@pytest.mark.parametrize("hand", [holed, lambda: segmentation(schematic_hand(SIZE, seed=2), SIZE)])
def test_every_pixel_comes_back(tmp_path: Path, to: str, hand: Callable[[], Segmentation]) -> None:
    written = hand()
    convert(made(tmp_path / "set", written), tmp_path / "out", to)
    found = truth(tmp_path / "out", to.removesuffix("-regions"))
    assert (planes(found) == written.planes()).all()
    assert found.annotated == frozenset(SCHEMA.names)


def test_what_a_label_map_cannot_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"16 px that are both Radius and Ulna|bones overlap"):
        convert(made(tmp_path / "set", holed()), tmp_path / "out", "nnunet")
    assert not (tmp_path / "out" / "dataset.json").exists()
    convert(made(tmp_path / "apart", SQUARE), tmp_path / "out", "nnunet")
    said = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert said["labels"]["finger-1"] == 1
    assert "regions_class_order" not in said
    assert (planes(truth(tmp_path / "out", "nnunet")) == SQUARE.planes()).all()


def test_regions_are_numbered_without_gaps(tmp_path: Path) -> None:
    convert(made(tmp_path / "set", holed()), tmp_path / "out", "nnunet-regions")
    said = json.loads((tmp_path / "out" / "dataset.json").read_text())
    used = {n for several in said["labels"].values() if several for n in several}
    assert used == set(range(1, len(used) + 1))
    assert len(said["regions_class_order"]) == 29
    assert said["labels"]["Radius"][0] == SCHEMA.index("Radius") + 1


def test_ram_w600_there_and_back(tmp_path: Path) -> None:
    source = open_dataset(write_ram_w600(tmp_path / "set"))
    done = convert(tmp_path / "set", tmp_path / "out", "ramw600")
    assert "no channels for phalanges" in done.remark
    written = open_dataset(tmp_path / "out")
    assert [(c.split, c.subject) for c in written] == [(c.split, c.subject) for c in source]
    for case in source:
        first, second = (d.case(case.id).truth(SCHEMA) for d in (source, written))
        assert first.annotated == second.annotated
        for bone in first.outlines:
            assert (
                first.segmentation(SCHEMA, (128, 128)).plane(bone)
                == second.segmentation(SCHEMA, (128, 128)).plane(bone)
            ).all()


# --- wrong files --------------------------------------------------------------------------------------------------


def image(inner: str, size: str = 'width="96" height="96"') -> str:
    return f'<annotations><image id="0" name="hand.png" {size}>{inner}</image></annotations>'


BOMB = '<!DOCTYPE a [<!ENTITY b "boom"><!ENTITY c "&b;&b;&b;&b;&b;">]><annotations>&c;</annotations>'

WRONG_XML = {
    "document type": BOMB,
    "not valid XML": "<annotations><image>",
    "another encoding": '<?xml version="1.0" encoding="nothing"?><annotations></annotations>',
    "tracks of a video": '<annotations><track id="0" label="Radius"></track></annotations>',
    "nested too deep": "<annotations>" + "<a>" * 60 + "</a>" * 60 + "</annotations>",
    "no name": "<annotations><image/></annotations>",
    "two images are called 'hand.png'": image("").replace("</annotations>", "") + image("")[13:],
    "size of 'hand.png' is none": image("", 'width="x" height="96"'),
    "too few points": image('<polygon label="Radius" points="1,1;5,5"/>'),
    "cannot be read": image('<polygon label="Radius" points="1,1;5;9,9"/>'),
    "lie outside the picture": image('<polygon label="Radius" points="1,1;500,1;5,9"/>'),
    "no position": image('<polygon label="Radius" points="1,1;nan,1;5,9"/>'),
    "do not fill its box": image('<mask label="Radius" rle="1,2" left="0" top="0" width="9" height="9"/>'),
    "is not in the picture": image('<mask label="Radius" rle="0,81" left="90" top="0" width="9" height="9"/>'),
    "is incomplete": image('<mask label="Radius" rle="0,81" left="90"/>'),
}


@pytest.mark.parametrize("word", WRONG_XML)
def test_wrong_files_of_cvat(tmp_path: Path, word: str) -> None:
    picture(tmp_path)
    write(tmp_path / "annotations.xml", WRONG_XML[word])
    with pytest.raises(LabelError, match=word if word != "another encoding" else "not valid XML") as caught:
        for case in open_dataset(tmp_path, format_name="cvat").labelled:
            case.truth(SCHEMA, (SIZE, SIZE))
    assert "annotations.xml" in str(caught.value)


def test_pictures_and_sizes_of_cvat(tmp_path: Path) -> None:
    picture(tmp_path, "other.png")
    write(
        tmp_path / "annotations.xml", image('<polygon label="Radius" points="1,1;9,1;9,9"/>', 'width="50" height="50"')
    )
    with pytest.raises(DatasetError, match=r"names a picture that is not there: hand.png"):
        open_dataset(tmp_path)
    picture(tmp_path, "hand.png")
    dataset = open_dataset(tmp_path)
    assert "a picture that no XML file names" in str(dataset.problems)
    (case,) = dataset.labelled
    with pytest.raises(LabelError, match="drawn at another size"):
        case.truth(SCHEMA, (SIZE, SIZE))


WRONG_YOLO = {
    "not a class and numbers": "0 a b c d e f",
    "a class that is not named": "7 .1 .1 .2 .1 .2 .2",
    "too few points": "0 .1 .1 .2 .1 .2",
    "has no y": "0 .1 .1 .2 .1 .2 .2 .3",
    "outside the picture": "0 10 10 20 10 20 20",
    "outside": "0 nan .1 .2 .1 .2 .2",
}


@pytest.mark.parametrize("word", WRONG_YOLO)
def test_wrong_texts_of_yolo(tmp_path: Path, word: str) -> None:
    picture(tmp_path)
    write(tmp_path / "data.yaml", "names: [Radius]")
    write(tmp_path / "hand.txt", WRONG_YOLO[word])
    (case,) = open_dataset(tmp_path, format_name="yolo").labelled
    with pytest.raises(LabelError, match=word) as caught:
        case.truth(SCHEMA, (SIZE, SIZE))
    assert "hand.txt" in str(caught.value)


def test_classes_of_yolo_that_nothing_names(tmp_path: Path) -> None:
    picture(tmp_path)
    write(tmp_path / "hand.txt", "0 .1 .1 .2 .1 .2 .2")
    write(tmp_path / "gone.txt", "0 .1 .1 .2 .1 .2 .2")
    dataset = open_dataset(tmp_path)
    assert "a label without a picture" in str(dataset.problems)
    with pytest.raises(LabelError, match="no file names them"):
        dataset.labelled[0].truth(SCHEMA)
    for text in ("names: 3", "a: [", "[]", "names: []"):
        write(tmp_path / "data.yaml", text)
        with pytest.raises(LabelError, match="names no classes"):
            dataset.labelled[0].truth(SCHEMA)


def test_wrong_masks(tmp_path: Path) -> None:
    convert(made(tmp_path / "set", SQUARE), tmp_path / "out", "masks")
    (folder,) = (path for path in (tmp_path / "out").rglob("*_masks"))
    assert dict(describe(folder).rows)["bones"].startswith("1 of 29")
    save_image(folder / "Radius.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(LabelError, match=r"Radius.png: the mask has another size"):
        truth(tmp_path / "out", "masks")
    write(folder / "Radius.png", b"no picture")
    with pytest.raises(LabelError, match=r"Radius.png: the mask cannot be read"):
        truth(tmp_path / "out", "masks")
    (folder / "Radius.png").rename(folder / "Raduis.png")
    with pytest.raises(LabelError, match=r"Raduis.png: is named after no bone; expected perhaps 'Radius.png'"):
        truth(tmp_path / "out", "masks")


def npz(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(
    ("word", "arrays"),
    [
        ("do not fit the bones", {"bits": np.zeros((2, 8, 8), np.uint32), "bones": ["Radius"]}),
        ("do not fit the bones", {"bits": np.zeros((1, 8, 8), np.uint16), "bones": ["Radius"]}),
        ("'bits' is another array", {"bits": np.zeros((8, 8), np.uint32), "bones": ["Radius"]}),
        ("'bones' is another array", {"bits": np.zeros((1, 8, 8), np.uint32), "bones": [1]}),
        ("one name", {"bits": np.zeros((1, 8, 8), np.uint32), "bones": ["Radius", "Radius"]}),
        (
            "unknown bone 'Raduis'; expected perhaps 'Radius'",
            {"bits": np.zeros((1, 8, 8), np.uint32), "bones": ["Raduis"]},
        ),
        ("'bones' is another array", {"bits": np.zeros((1, 8, 8), np.uint32), "bones": np.array([{}], object)}),
    ],
)
def test_wrong_bit_planes(tmp_path: Path, word: str, arrays: dict[str, object]) -> None:
    path = npz(tmp_path / "hand.npz", **arrays)
    with pytest.raises(LabelError, match=word) as caught:
        describe(path)
    assert "hand.npz" in str(caught.value)


def test_bit_planes_that_promise_too_much_or_stop_early(tmp_path: Path) -> None:
    path = npz(tmp_path / "hand.npz", bits=np.zeros((1, 8, 8), np.uint32), bones=["Radius"])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(LabelError, match="is not a file of bit planes"):
        describe(path)
    head = (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<u4', 'fortran_order': False, 'shape': (1, 900000, 900000), }".ljust(117)
        + b"\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bits.npy", head)
    with pytest.raises(LabelError, match="'bits' is another array"):
        describe(path)
