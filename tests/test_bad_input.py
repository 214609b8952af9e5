"""Bad input, end to end: a clear error that names the file, nothing lost, nothing half-written."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from helpers_pictures import hand_picture, other_picture, save
from ossa.cli import cli
from ossa.labels.competition import write_case, write_label
from ossa.labels.submission import read_submission, write_submission
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def leftovers(folder: Path) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.name.endswith(".part") or p.name.startswith(".")]


def whole_png() -> bytes:
    return bytes(cv2.imencode(".png", hand_picture())[1])


def whole_jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", hand_picture())[1])


def whole_dicom() -> bytes:
    import io

    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = hand_picture()
    data = FileDataset("x", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality = "CR"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 30000 x 30000."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(30_000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "is empty"),
    "text.png": (lambda: b"this is no picture at all", "is not a picture"),
    "cut.png": (lambda: whole_png()[:-40], "truncated"),
    "half.png": (lambda: whole_png()[: len(whole_png()) // 2], "truncated"),
    "cut.jpg": (lambda: whole_jpeg()[: len(whole_jpeg()) // 2], "truncated"),
    "cut.dcm": (lambda: whole_dicom()[:-20_000], "expected a header and 48,000 bytes of pixels"),
    "end.dcm": (lambda: whole_dicom()[:-1], "expected a header and 48,000 bytes of pixels"),
    "header.dcm": (lambda: whole_dicom()[:200], "header.dcm"),
    "bomb.png": (bomb, "30000x30000"),
}


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_a_bad_file_is_reported_and_the_rest_is_done(bright_model: Path, tmp_path: Path, name: str) -> None:
    make, words = BAD_FILES[name]
    save(tmp_path / "in" / "good.png", hand_picture())
    (tmp_path / "in" / name).write_bytes(make())
    result = run("predict", tmp_path / "in", "-o", tmp_path / "o", "--model", bright_model)
    assert result.exit_code == 1, result.output
    assert f"{tmp_path / 'in' / name}: " in result.stderr
    assert words in result.stderr
    assert "unforeseen" not in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == ["good.json", "good_overlay.png", "predictions.csv"]


@pytest.mark.parametrize("name", list(BAD_FILES))
def test_info_says_the_same(tmp_path: Path, name: str) -> None:
    make, words = BAD_FILES[name]
    (tmp_path / name).write_bytes(make())
    result = run("info", tmp_path / name)
    assert result.exit_code == 2, result.output
    assert words in result.stderr


def test_a_bomb_is_refused_without_room_for_it(tmp_path: Path) -> None:
    """With less memory than its 900 MB of pixels."""
    (tmp_path / "bomb.png").write_bytes(bomb())
    code = (
        "import resource, cv2, ossa\n"
        "from ossa.radiograph.read import read_radiograph\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + 200_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        f"read_radiograph({str(tmp_path / 'bomb.png')!r})\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("needs /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImageError" in done.stderr
    assert "30000x30000" in done.stderr


def rgba() -> np.ndarray[Any, Any]:
    return np.dstack([hand_picture()] * 3 + [np.full((240, 200), 255, np.uint8)])


UNUSUAL: dict[str, tuple[Callable[[], np.ndarray[Any, Any]], int]] = {
    "rgba": (rgba, 29),
    "sixteen": (lambda: hand_picture().astype(np.uint16) * 200, 29),
    "colour": (lambda: np.dstack([hand_picture()] * 3), 29),
    "black": (lambda: np.zeros((240, 200), np.uint8), 0),
    "white": (lambda: np.full((240, 200), 255, np.uint8), 0),
    "pixel": (lambda: np.full((1, 1), 90, np.uint8), 0),
    "line": (lambda: np.full((1, 300), 90, np.uint8), 0),
    "chest": (other_picture, 0),
}


@pytest.mark.parametrize("name", list(UNUSUAL))
def test_an_unusual_picture_is_answered(bright_model: Path, tmp_path: Path, name: str) -> None:
    make, bones = UNUSUAL[name]
    pixels = make()
    image = save(tmp_path / f"{name}.png", pixels)
    # The made hand is one block for all bones, which the judge of results would refuse.
    unjudged = ["--fast"] if bones else []
    result = run("predict", image, "-o", tmp_path / "o", "--model", bright_model, *unjudged)
    assert result.exit_code == 0, result.output
    assert f"{bones} bones in" in result.stdout
    assert ("few bones found" in result.stderr) == (0 < bones < 29)
    assert ("no hand found" in result.stderr) == (bones == 0)
    submission = read_submission(tmp_path / "o" / "predictions.csv", SCHEMA, pixels.shape[:2])
    assert len(submission[f"{name}.png"]) == bones


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_names_that_results_cannot_have(bright_model: Path, tmp_path: Path) -> None:
    names = ["line\nbreak.png", "x" * 250 + ".png", os.fsdecode(b"bytes\xff.png"), "Hand, links \u624b.png"]
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(whole_png())
    result = run("predict", tmp_path / "in", "-o", tmp_path / "o", "--model", bright_model)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("results cannot be named after this file") == 3
    assert list(read_submission(tmp_path / "o" / "predictions.csv", SCHEMA, (240, 200))) == [names[3]]
    assert (tmp_path / "o" / "Hand, links \u624b_overlay.png").is_file()


def square(name: str = "Radius", points: object = ((10, 10), (50, 10), (50, 50), (10, 50))) -> dict[str, object]:
    return {"annotations": [{"id": "1", "type": "poly_seg", "attributes": {}, "points": points, "label": name}]}


BAD_LABELS: dict[str, tuple[str, str]] = {
    "an unknown bone": (json.dumps(square("Scafoid")), "perhaps 'Scaphoid'"),
    "points outside": (json.dumps(square(points=[[10, 10], [900, 10], [10, 50]])), "lie outside the picture"),
    "two points": (json.dumps(square(points=[[10, 10], [50, 10]])), "expected at least 3"),
    "no points": (json.dumps(square(points=[])), "has no points"),
    "NaN": (
        '{"annotations": [{"label": "Ulna", "points": [[NaN, 1], [2, 2], [3, 1]]}]}',
        "which JSON does not have",
    ),
    "Infinity": (
        '{"annotations": [{"label": "Ulna", "points": [[1, 1], [2, Infinity], [3, 1]]}]}',
        "which JSON does not have",
    ),
    "text for a number": (json.dumps(square(points=[["a", 1], [2, 2], [3, 1]])), "not a list of points"),
    "no label": ('{"annotations": [{"points": [[1, 1], [2, 2], [3, 1]]}]}', "has no label"),
    "a list": ("[]", "is not a label of this format"),
    "cut": (json.dumps(square())[:60], "is not valid JSON"),
    "nested": ("[" * 100_000, "is not valid JSON"),
    "empty": ("", "is not valid JSON"),
}


@pytest.mark.parametrize("name", list(BAD_LABELS))
def test_a_bad_label_is_named(tmp_path: Path, name: str) -> None:
    text, words = BAD_LABELS[name]
    found = Segmentation(SCHEMA, (240, 200), {"Radius": Region(5, 6, np.ones((7, 8), bool))})
    write_case(tmp_path / "data", "ID001", "a.png", hand_picture(), found)
    write_submission(tmp_path / "p.csv", [("a.png", found)])
    label = tmp_path / "data" / "train" / "outputs_json" / "ID001" / "a.json"
    label.write_text(text)
    result = run("evaluate", tmp_path / "p.csv", tmp_path / "data")
    assert result.exit_code == 2, result.output
    assert f"{label}: " in result.stderr
    assert words in result.stderr
    assert label.read_text() == text


def submission_lines(folder: Path) -> list[str]:
    found = Segmentation(SCHEMA, (240, 200), {"Radius": Region(5, 6, np.ones((7, 8), bool))})
    write_submission(folder / "p.csv", [("a.png", found), ("b.png", found)])
    return (folder / "p.csv").read_text().splitlines()


def evaluated(folder: Path, lines: list[str]) -> Result:
    found = Segmentation(SCHEMA, (240, 200), {"Radius": Region(5, 6, np.ones((7, 8), bool))})
    for name in ("a.png", "b.png"):
        write_case(folder / "data", name[0], name, hand_picture(), found)
    (folder / "p.csv").write_text("\n".join(lines) + "\n")
    return run("evaluate", folder / "p.csv", folder / "data")


def test_a_submission_without_a_class_is_refused(tmp_path: Path) -> None:
    lines = [line for line in submission_lines(tmp_path) if not line.startswith("b.png,Lunate,")]
    result = evaluated(tmp_path, lines)
    assert result.exit_code == 2
    assert "p.csv" in result.stderr
    assert "b.png" in result.stderr
    assert "Lunate" in result.stderr


def test_the_order_of_a_submission_does_not_matter(tmp_path: Path) -> None:
    head, *rows = submission_lines(tmp_path)
    result = evaluated(tmp_path, [head, *sorted(rows, key=lambda row: hash(row) % 101)])
    assert result.exit_code == 0, result.output
    assert "1.0000" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "words", "code"),
    [
        ("image_name,class,rle", "name,kind,mask", "rle", 2),
        ("a.png,Lunate,", "a.png,Lunatum,", "Lunate", 2),
        # Run lengths are read picture by picture: a broken one does not end the others.
        ("a.png,Lunate,", "a.png,Lunate,1 2 3", "line 26", 1),
        ("a.png,Lunate,", "a.png,Lunate,0 5", "line 26", 1),
        ("a.png,Lunate,", "a.png,Lunate,47999 900", "line 26", 1),
        ("a.png,Lunate,", "a.png,Lunate,one two", "line 26", 1),
        ("a.png,Lunate,", "a.png,Lunate,1,2,3", "line 26", 2),
    ],
)
def test_a_broken_submission_is_named_with_its_line(tmp_path: Path, old: str, new: str, words: str, code: int) -> None:
    lines = [new if line == old else line for line in submission_lines(tmp_path)]
    assert new in lines
    result = evaluated(tmp_path, lines)
    assert result.exit_code == code, result.output
    assert ("b.png: Dice 1.0000" in result.stdout) == (code == 1)
    assert "p.csv" in result.stderr
    assert words in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits")
def test_an_output_folder_that_cannot_be_written(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    if os.access(locked, os.W_OK):  # root may write everywhere, except in a folder of the kernel
        locked = Path("/proc/1")
    result = run("predict", image, "-o", locked / "o", "--model", bright_model)
    assert result.exit_code == 2, result.output
    assert "cannot be written" in result.stderr
    assert str(locked / "o") in result.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(bright_model: Path, tmp_path: Path, small_disk: Path) -> None:
    """What was written before stays whole; nothing half-written is left."""
    noise = np.random.default_rng(1).integers(0, 30, (600, 500), np.uint8)
    for i in range(6):
        save(tmp_path / "in" / f"{i}.png", noise + hand_picture(600, 500) // 2)
    out = small_disk / "o"
    result = run("predict", tmp_path / "in", "-o", out, "--model", bright_model)
    assert result.exit_code == 2, result.output
    assert "No space left on device" in result.stderr
    assert "Free some space" in result.stderr
    assert leftovers(out) in ([], [".ossa-run"])  # the memory of a stopped run may stay
    for path in out.glob("*.json"):
        json.loads(path.read_text())
    for path in out.glob("*.png"):
        assert cv2.imread(str(path)) is not None


def test_a_full_disk_while_making_phantoms(small_disk: Path) -> None:
    pytest.importorskip("numba")
    result = run("phantom", small_disk / "p", "-n", "40", "--size", "256", "-j", "1")
    assert result.exit_code == 2, result.output
    assert "No space left on device" in result.stderr
    assert leftovers(small_disk) == []
    assert json.loads((small_disk / "p" / "phantoms.json").read_text())["size"] == 256


def test_a_label_file_keeps_its_old_content_when_the_disk_is_full(small_disk: Path) -> None:
    from ossa.errors import OutputError

    found = Segmentation(SCHEMA, (240, 200), {"Radius": Region(5, 6, np.ones((7, 8), bool))})
    write_label(small_disk / "a.json", found, "a.png")
    before = (small_disk / "a.json").read_bytes()
    (small_disk / "filler").write_bytes(bytes(256_000 - 8_192))
    rough = np.random.default_rng(1).random((200, 180)) < 0.5
    with pytest.raises(OutputError, match="No space left"):
        write_label(small_disk / "a.json", Segmentation(SCHEMA, (240, 200), {"Radius": Region(0, 0, rough)}), "a.png")
    assert (small_disk / "a.json").read_bytes() == before
    assert leftovers(small_disk) == []
