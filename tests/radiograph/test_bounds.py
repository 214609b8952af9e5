"""Files that ask for more memory or time than a radiograph is worth: refused, or read within the bounds."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import UID

from helpers_dicom import dataset, frame_of, packed, with_frame
from helpers_dicom import save as save_dicom
from helpers_films import film, png_file, tiff_file

#: Seconds and MB that one file may take, on a busy machine.
SECONDS, MEGABYTES = 5.0, 500.0

#: Reads every file of a folder in one process. The peak of memory is the kernel's, set back before each file.
_READ = """
import json, pathlib, sys, time
import cv2, imagecodecs, kornia_rs, pydicom, simplejpeg
from ossa.errors import ImageError
from ossa.radiograph.read import read_radiograph
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    start = time.process_time()
    try:
        said = str(read_radiograph(path).shape)
    except ImageError as error:
        said = str(error)
    status = pathlib.Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    found[path.name] = [said, time.process_time() - start, peak]
print(json.dumps(found))
"""


def zeros(count: int) -> bytes:
    """A zlib stream of ``count`` zeros, made without holding them."""
    packer = zlib.compressobj(9)
    packed = [packer.compress(bytes(min(1 << 20, count - at))) for at in range(0, count, 1 << 20)]
    return b"".join(packed) + packer.flush()


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated ``count`` times."""
    stream = io.BytesIO()
    Image.fromarray(np.kron(film(384), np.ones((8, 8), np.uint8))).save(stream, "JPEG", progressive=True)
    whole = stream.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * count + b"\xff\xd9"


def pages(count: int, table: int) -> bytes:
    """A TIFF whose pages all point at one long table of strips."""
    strips = struct.pack(f"<{table}I", *([8] * table))
    first = 8 + len(strips)
    tags = [(256, 1, 100), (257, 1, table), (273, table, 8), (279, table, 8)]
    size = 2 + 12 * len(tags) + 4
    out = b"II*\0" + struct.pack("<I", first) + strips
    for page in range(count):
        out += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, n, value) for tag, n, value in tags)
        out += struct.pack("<I", first + (page + 1) * size if page + 1 < count else 0)
    return out


def write_deflated(path: Path) -> None:
    data = dataset(np.zeros((9, 9), np.uint16))
    data.Rows = data.Columns = 9000
    data.PixelData = bytes(2 * 9000 * 9000)
    data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.1.99")
    save_dicom(path, data)


def write_run_lengths(path: Path) -> None:
    data = packed(dataset(film(160)), "rle")
    frame = frame_of(data)[:64] + b"\x81\0" * 8_000_000
    save_dicom(path, with_frame(data, frame, data.file_meta.TransferSyntaxUID))


def write_fragments(path: Path) -> None:
    data = packed(dataset(film(160)), "jls")
    data.PixelData = (
        b"\xfe\xff\0\xe0\0\0\0\0" + b"\xfe\xff\0\xe0\x02\0\0\0\0\0" * 1_000_000 + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    save_dicom(path, data)


def write_claimed(path: Path) -> None:
    """A frame of 20 bytes in a header of 80 million pixels."""
    data = packed(dataset(np.zeros((10, 10), np.uint16)), "j2k")
    data.Rows = data.Columns = 9000
    save_dicom(path, data)


def write_sparse(path: Path) -> None:
    """1.4 GB of which the disk holds a few hundred bytes."""
    tags = {256: (12000,), 257: (12000,), 258: (64,), 273: (1000,), 278: (12000,), 279: (12000 * 12000 * 8,), 339: (3,)}
    with path.open("wb") as stream:
        stream.write(tiff_file(tags))
        stream.truncate(1_400_000_000)


def tiles() -> bytes:
    count, data = (12000 // 16) ** 2, zeros(256)
    places = {322: (16,), 323: (16,), 324: (8,) * count, 325: (len(data),) * count}
    return tiff_file({256: (12000,), 257: (12000,), 258: (8,), 259: (8,), **places}, data)


def one_tile() -> bytes:
    data = zeros(256)
    places = {322: (65520,), 323: (65520,), 324: (8,), 325: (len(data),)}
    return tiff_file({256: (100,), 257: (100,), 258: (8,), 259: (8,), **places}, data)


def overlapping() -> bytes:
    """10,000 strips that are all the same 5 MB of deflate blocks with nothing in them."""
    data = b"\x78\x9c" + b"\0\0\0\xff\xff" * 1_000_000
    strips = {273: (8,) * 10_000, 278: (1,), 279: (len(data),) * 10_000}
    return tiff_file({256: (100,), 257: (10_000,), 258: (8,), 259: (8,), **strips}, data)


def overrunning() -> bytes:
    data = zeros(100_000_000)
    return tiff_file({256: (500,), 257: (500,), 258: (8,), 259: (8,), 273: (8,), 278: (500,), 279: (len(data),)}, data)


def content(make: Callable[[], bytes]) -> Callable[[Path], None]:
    """A writer of what ``make`` gives."""

    def write(path: Path) -> None:
        path.write_bytes(make())

    return write


def many_chunks() -> bytes:
    return png_file(50, 50, 8, 0, zeros(2550), before=(b"tEXt", b"a\0") * 300_000)


#: What it is -> what writes it, and what must be said of it; None where it is read.
FILES: dict[str, tuple[Callable[[Path], None], str | None]] = {
    "rgba16.png": (content(lambda: png_file(12000, 12000, 16, 6, zeros(12000 * (12000 * 8 + 1)))), "unpacks to more"),
    "grey16.png": (content(lambda: png_file(10000, 10000, 16, 0, zeros(10000 * (10000 * 2 + 1)))), None),
    "palette.png": (content(lambda: png_file(12200, 12200, 8, 3, zeros(100))), "unpacks to more"),
    "chunks.png": (content(many_chunks), "more than 200,000 chunks"),
    "scans.jpg": (content(lambda: scans(300)), "pixels in 306 scans"),
    "pages.tif": (content(lambda: pages(9000, 90_000)), "damaged or truncated"),
    "tiles.tif": (content(tiles), "562,500 tiles"),
    "tile.tif": (content(one_tile), "unpacks to more"),
    "overlap.tif": (content(overlapping), "lie over each other"),
    "overrun.tif": (content(overrunning), "250,001 bytes"),
    "sparse.tif": (write_sparse, "unpacks to more"),
    "deflated.dcm": (write_deflated, "unpacks to more"),
    "rle.dcm": (write_run_lengths, "damaged or truncated"),
    "fragments.dcm": (write_fragments, "more than 100,000 fragments"),
    "claimed.dcm": (write_claimed, "unpacks to more"),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, float]]:
    """Name -> what was said, seconds of processor time, peak of memory in MB."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux")
    folder = tmp_path_factory.mktemp("bounds")
    for name, (make, _) in FILES.items():
        make(folder / name)
    done = subprocess.run([sys.executable, "-c", _READ, str(folder)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found: dict[str, tuple[str, float, float]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", list(FILES))
def test_no_file_takes_more_than_it_is_worth(answers: dict[str, tuple[str, float, float]], name: str) -> None:
    said, seconds, megabytes = answers[name]
    phrase = FILES[name][1]
    assert (phrase in said and name in said) if phrase is not None else said.startswith("(")
    assert seconds < SECONDS
    assert megabytes < MEGABYTES
