"""Weights, archives, pictures, links and names made to do harm: refused, or kept to their folder; nothing is run."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers_attacks import Evil, Watch
from helpers_dataset import SCHEMA, save_json
from ossa.cli import cli
from ossa.dataset.dataset import open_dataset
from ossa.errors import BundleError, ImageError, OssaError
from ossa.labels.format import writable
from ossa.pipeline.earlier import kept_rows, own_names
from ossa.pipeline.written import Written
from ossa.places import Folder
from ossa.radiograph.read import read_radiograph
from ossa.segmentation.segmentation import Region, Segmentation


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.mark.parametrize("packed", [False, True])
def test_weights_with_code(packed: bool, evil: bytes, tmp_path: Path, watch: Watch) -> None:
    """A .pth as torch.save writes it, and the bare pickle of old."""
    pytest.importorskip("torch")
    from ossa.models.weights import read_weights

    path = tmp_path / "w.pth"
    if packed:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w/data.pkl", evil)
            archive.writestr("w/version", "3\n")
            archive.writestr("w/byteorder", "little")
    else:
        path.write_bytes(evil)
    with pytest.raises(BundleError, match=r"w\.pth"):
        read_weights(path)


@pytest.mark.parametrize(
    "head",
    [
        {"a": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 2**60]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}},
        {"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "PY", "shape": [2], "data_offsets": [0, 8]}},
        {f"a{i}": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for i in range(2000)},
    ],
)
def test_safetensors_with_absurd_headers(head: dict[str, object], tmp_path: Path, watch: Watch) -> None:
    pytest.importorskip("torch")
    from ossa.models.weights import read_weights

    text = json.dumps(head).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    with pytest.raises(BundleError, match=r"w\.safetensors"):
        read_weights(path)


def test_arrays_with_code(picture: Path, tmp_path: Path, watch: Watch) -> None:
    """Masks as .npy and .npz whose elements are Python objects."""
    thing = np.array([Evil(tmp_path)], dtype=object)
    np.save(picture.with_suffix(".npy"), thing, allow_pickle=True)
    np.savez(picture.with_name("b.npz"), bits=thing)
    for form in ("npz_bits", "ram-w600", None):
        try:
            found = open_dataset(picture.parent, SCHEMA, form) if form else open_dataset(picture.parent, SCHEMA)
            for case in found.labelled:
                case.truth(SCHEMA)
        except OssaError:
            continue


@pytest.mark.parametrize(
    "name",
    [
        "../../secret.png",
        "/etc/hostname",
        "..\\..\\secret.png",
        "a.png/../../../secret.png",
        "../../../etc/hostname",
        "\0",
    ],
)
def test_names_of_pictures_that_leave_their_folder(name: str, label_set: Path, tmp_path: Path, watch: Watch) -> None:
    """A COCO file that points elsewhere: nothing from there comes into what is written."""
    (tmp_path / "secret.png").write_bytes((label_set / "a.png").read_bytes())
    (tmp_path / "data").mkdir()
    label_set = label_set.rename(tmp_path / "data" / label_set.name)
    (label_set / "a.json").unlink()
    entry = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[4, 4, 24, 4, 24, 24]]}
    image = {"id": 1, "file_name": name, "height": 96, "width": 96}
    categories = [{"id": 1, "name": "Radius"}]
    save_json(label_set / "coco.json", {"images": [image], "categories": categories, "annotations": [entry]})
    result = run("data", "convert", label_set, "--to", "masks", "-o", tmp_path / "out" / "deep")
    assert result.exit_code in (0, 1, 2), result.output
    assert "Traceback" not in result.output
    assert not [path for path in (tmp_path / "out").rglob("*") if "secret" in path.name or "hostname" in path.name]


@pytest.mark.parametrize("name", ["../../evil.png", "/tmp/evil.png", "a/../../../evil.png", "evil\x1b[2J.png"])
def test_names_in_a_submission(name: str, label_set: Path, tmp_path: Path, watch: Watch) -> None:
    """Whatever a CSV calls its pictures: files are written inside of OUT, and no command reaches the terminal."""
    rows = "".join(f"{name},{bone},\n" for bone in SCHEMA.names)
    (tmp_path / "p.csv").write_text("image_name,class,rle\n" + rows)
    for words in (
        ("evaluate", tmp_path / "p.csv", label_set, "-o", tmp_path / "out" / "e"),
        ("gallery", tmp_path / "p.csv", "--images", label_set, "-o", tmp_path / "out" / "g"),
        ("ensemble", "vote", tmp_path / "p.csv", "--size", "96x96", "-o", tmp_path / "out" / "v.csv"),
    ):
        result = run(*words)
        assert result.exit_code in (0, 1, 2), result.output
        assert "\x1b[2J" not in result.output
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("name", ["a" * 300_000, "", "..", "/", "../../evil.png", '"', "nul\0l"])
def test_a_table_of_earlier_results(name: str, tmp_path: Path, watch: Watch) -> None:
    """The CSV in an output folder may have been changed by anybody: its strange rows go, the others stay."""
    quoted = name.replace('"', '""')
    rows = f'"{quoted}",Radius,1 2\n"{quoted}",Ulna,' + "1 2 " * 50_000 + "\n"
    out = tmp_path / "out"
    out.mkdir()
    (out / "predictions.csv").write_text("image_name,class,rle\n" + rows)
    written = Written(Folder(out), writable("competition"), writable("competition"))
    assert list(kept_rows(written, [])) == []
    assert own_names(out) is not None


def test_links_in_a_data_set(label_set: Path, tmp_path: Path, watch: Watch) -> None:
    """Circles end; what a link in the output folder leads to stays as it is."""
    (label_set / "again").symlink_to(label_set)
    (label_set / "up").symlink_to(tmp_path)
    (label_set / "nowhere.png").symlink_to(tmp_path / "absent.png")
    assert run("data", "summary", label_set).exit_code in (0, 1)
    precious = tmp_path / "precious.json"
    precious.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "_annotations.coco.json").symlink_to(precious)
    run("data", "convert", label_set, "--to", "coco", "-o", out)
    assert precious.read_text() == "mine"


def nested(depth: int) -> bytes:
    """An explicit little-endian sequence in a sequence, ``depth`` deep, none of which ends."""
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    return (sequence + item) * depth


def element(group: int, number: int, vr: bytes, length: int, data: bytes = b"") -> bytes:
    """A long-form element that says it has ``length`` bytes."""
    return struct.pack("<HH2sHI", group, number, vr, 0, length) + data


DICOM = {
    "sequences without end": nested(20_000),
    "a value of 4 GB": element(0x0008, 0x0008, b"UT", 0xFFFFFFFE, b"x"),
    "pixels of 4 GB": element(0x7FE0, 0x0010, b"OB", 0xFFFFFFFE, bytes(64)),
    "an unknown that does not end": element(0x0009, 0x1010, b"UN", 0xFFFFFFFF, bytes(64)),
    "an odd length": element(0x0010, 0x0010, b"UT", 3, b"abc"),
    "a VR that is none": element(0x0010, 0x0010, b"\xff\xff", 8, bytes(8)),
    "a head of 4 GB": struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, 0xFFFFFFFF),
}


@pytest.mark.parametrize("kind", DICOM)
def test_dicom_with_wrong_lengths(kind: str, tmp_path: Path, watch: Watch) -> None:
    syntax = b"1.2.840.10008.1.2.1\0"
    meta = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(syntax)) + syntax
    head = b"" if kind == "a head of 4 GB" else struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(meta)) + meta
    path = tmp_path / "a.dcm"
    path.write_bytes(bytes(128) + b"DICM" + head + DICOM[kind])
    with pytest.raises(ImageError, match=r"a\.dcm"):
        read_radiograph(path)


def test_a_name_steers_no_terminal(tmp_path: Path, watch: Watch) -> None:
    path = tmp_path / "hand\x1b]0;owned\x07.png"
    path.write_bytes(b"no picture")
    with pytest.raises(ImageError) as caught:
        read_radiograph(path)
    assert "\\x1b]0;owned\\x07" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_message_has_an_end() -> None:
    assert len(str(OssaError("x" * 10**6, found="y" * 10**6))) < 10_000


def test_results_of_a_hostile_name_stay_inside(tmp_path: Path, watch: Watch) -> None:
    from ossa.labels.submission import write_submission

    found = Segmentation(SCHEMA, (24, 20), {"Radius": Region(5, 6, np.ones((7, 8), bool))})
    write_submission(tmp_path / "p.csv", [("../../evil.png", found)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv"]
