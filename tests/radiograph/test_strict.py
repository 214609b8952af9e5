"""Damage inside compressed data is refused, and nothing is ever written to standard error."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image

from helpers_films import film, png_file, tiff_file
from helpers_known import known
from ossa.errors import ImageError
from ossa.radiograph.read import read_radiograph, read_size

FILM = film(200)
CASES = Path(os.environ.get("OSSA_CASES", Path(__file__).parents[3] / "shared" / "cases"))


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Libraries in C write past Python: the descriptor itself must stay silent."""
    yield
    assert capfd.readouterr().err == ""


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_radiograph(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def blocks(compression: str, tile: bool) -> bytes:
    """FILM as a TIFF in strips of 50 rows or tiles of 64 px."""
    row = 64 if tile else 200
    encoders: dict[str, Callable[[bytes], bytes | bytearray]] = {
        "lzw": imagecodecs.lzw_encode,
        "deflate": zlib.compress,
        "packbits": lambda data: imagecodecs.packbits_encode(np.frombuffer(data, np.uint8).reshape(-1, row)),
        "none": bytes,
    }
    encode = encoders[compression]
    number = {"lzw": 5, "deflate": 8, "packbits": 32773, "none": 1}[compression]
    if tile:
        padded = np.pad(FILM, ((0, 56), (0, 56)))
        parts = [padded[y : y + 64, x : x + 64] for y in range(0, 256, 64) for x in range(0, 256, 64)]
    else:
        parts = [FILM[y : y + 50] for y in range(0, 200, 50)]
    packed = [encode(part.tobytes()) for part in parts]
    places = tuple(8 + sum(map(len, packed[:i])) for i in range(len(packed)))
    sizes = tuple(map(len, packed))
    tags: dict[int, tuple[int, ...]] = {256: (200,), 257: (200,), 258: (8,), 259: (number,), 262: (1,), 277: (1,)}
    tags |= {322: (64,), 323: (64,), 324: places, 325: sizes} if tile else {273: places, 278: (50,), 279: sizes}
    return tiff_file(tags, b"".join(packed))


@pytest.mark.parametrize("tile", [False, True])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "packbits"])
def test_damaged_tiff(tmp_path: Path, compression: str, tile: bool) -> None:
    whole = blocks(compression, tile)
    path = tmp_path / "a.tif"
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_radiograph(path).pixels, FILM)
    if compression in ("none", "packbits"):
        return
    end = len(whole) - 600  # the directory and its tables stand behind the data
    rng = np.random.default_rng(1)
    wrong = 0
    for at in rng.integers(40, end, 60):
        hurt = bytearray(whole)
        hurt[at : at + 5] = bytes(b ^ 0xA5 for b in hurt[at : at + 5])
        path.write_bytes(hurt)
        try:
            wrong += not np.array_equal(read_radiograph(path).pixels, FILM)
        except ImageError:
            continue
    # LZW carries no checksum; damage that keeps every length cannot be seen.
    assert wrong <= {"lzw": 6, "deflate": 0}[compression]


@pytest.mark.parametrize("tile", [False, True])
def test_damaged_run_lengths(tmp_path: Path, tile: bool) -> None:
    """PackBits: whatever happens to the length of a run is seen (what happens to its values cannot be)."""
    whole = blocks("packbits", tile)
    for control in (0, 5, 0x80, 0xC0, 0xFF):
        hurt = bytearray(whole)
        hurt[8] = control if hurt[8] != control else control ^ 1
        (tmp_path / "a.tif").write_bytes(hurt)
        assert "damaged or truncated" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits"])
def test_a_tiff_whose_last_rows_are_missing_inside_a_block(tmp_path: Path, compression: str) -> None:
    """The file is whole and every offset lies in it, but one strip holds fewer rows than it should."""
    whole = blocks(compression, False)
    short = whole.replace(
        b"\x16\x01\x04\0\x01\0\0\0" + (50).to_bytes(4, "little"),
        b"\x16\x01\x04\0\x01\0\0\0" + (67).to_bytes(4, "little"),
    )
    assert short != whole
    (tmp_path / "a.tif").write_bytes(short)
    assert "damaged or truncated" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("number", "name"),
    [(7, "JPEG"), (34712, "JPEG 2000"), (4, "CCITT fax"), (50000, "Zstandard"), (9999, "number 9999")],
)
def test_compressions_without_a_check_are_named(tmp_path: Path, number: int, name: str) -> None:
    tags = {256: (9,), 257: (9,), 258: (8,), 259: (number,), 273: (8,), 278: (9,), 279: (81,)}
    (tmp_path / "a.tif").write_bytes(tiff_file(tags, bytes(81)))
    assert f"cannot be decoded as TIFF; found {'the compression ' * (number == 9999)}{name}" in refused(
        tmp_path / "a.tif"
    )


def test_a_strip_that_is_not_there(tmp_path: Path) -> None:
    """A sparse file says so with a place and a length of 0: libtiff would fill it with black."""
    tags = {256: (9,), 257: (9,), 258: (8,), 259: (1,), 273: (8, 0, 8), 278: (3,), 279: (27, 0, 27)}
    (tmp_path / "a.tif").write_bytes(tiff_file(tags, bytes(27)))
    assert "number 2 of its 3 strips" in refused(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(tiff_file(tags | {273: (8, 8), 279: (27, 27)}, bytes(27)))
    assert "lacks 1 of its 3 strips" in refused(tmp_path / "b.tif")


def test_damaged_jpeg(tmp_path: Path) -> None:
    for progressive in (False, True):
        stream = io.BytesIO()
        Image.fromarray(FILM).save(stream, "JPEG", progressive=progressive)
        whole = stream.getvalue()
        for kept in (0.5, 0.9):  # cut, and given its end marker back
            (tmp_path / "a.jpg").write_bytes(whole[: int(kept * len(whole))] + b"\xff\xd9")
            assert "damaged or truncated JPEG" in refused(tmp_path / "a.jpg")
        middle = len(whole) // 2
        (tmp_path / "b.jpg").write_bytes(whole[:middle] + b"\xff\xd7\xff\xd1" + whole[middle:])
        assert "damaged or truncated JPEG" in refused(tmp_path / "b.jpg")


def test_other_kinds_of_jpeg_are_named(tmp_path: Path) -> None:
    for data, name in (
        (imagecodecs.jpegls_encode(FILM), "JPEG-LS"),
        (imagecodecs.jpeg8_encode(FILM, lossless=True), "lossless or hierarchical JPEG"),
        (imagecodecs.jpeg8_encode(FILM.astype(np.uint16) * 16, bitspersample=12), "JPEG of 12 bits"),
    ):
        (tmp_path / "a.jpg").write_bytes(data)
        assert f"cannot be decoded as JPEG; found {name}" in refused(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL picture"),
        (b"\x00\x00\x00\x1cftypheic" + bytes(40), "a HEIC picture"),
        (b"\x00\x00\x00\x1cftypmif1" + bytes(40), "a HEIC picture"),
        (b"\x00\x00\x00\x1cftypavif" + bytes(40), "an AVIF picture"),
        (b"\x00\x00\x00\x18ftypisom" + bytes(40), "MP4"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "a WebP picture"),
        (bytes(500), "filled with zeros"),
        (b"\xff" * 500, "filled with FF"),
    ],
)
def test_other_pictures_are_named(tmp_path: Path, head: bytes, name: str) -> None:
    (tmp_path / "a.png").write_bytes(head)
    assert name in refused(tmp_path / "a.png")


def interlaced(picture: np.ndarray) -> bytes:
    """A grey PNG in Adam7 (REC-PNG-3, 8.2)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [row for y, x, down, across in passes for row in picture[y::down, x::across] if row.size]
    stream = zlib.compress(b"".join(b"\0" + row.astype(picture.dtype.newbyteorder(">")).tobytes() for row in rows))
    return png_file(picture.shape[1], picture.shape[0], 8 * picture.itemsize, 0, stream, interlace=1)


@pytest.mark.parametrize("deep", [False, True])
def test_interlaced_png(tmp_path: Path, deep: bool) -> None:
    picture = FILM[:77, :93].astype(np.uint16) * 16 if deep else FILM[:77, :93]
    (tmp_path / "a.png").write_bytes(interlaced(picture))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, picture)


@pytest.mark.parametrize("mode", ["grey", "alpha", "palette", "bits"])
def test_damaged_png_of_every_form(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(FILM)
    options: dict[str, Any] = {}
    if mode == "alpha":
        image = Image.fromarray(np.dstack([FILM, FILM]))
    if mode == "palette":
        image = Image.fromarray(FILM // 16).convert("P")
    if mode == "bits":
        image, options = Image.fromarray(FILM // 16 * 17), {"bits": 4}
    path = tmp_path / "a.png"
    image.save(path, **options)
    whole = path.read_bytes()
    for at in (len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        assert "damaged or truncated PNG" in refused(path)
    path.write_bytes(whole[:-200] + whole[-12:])
    assert "damaged or truncated PNG" in refused(path)


# --- transparency, turns and thumbnails ----------------------------------------------------------


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "tRNS"])
def test_transparency_in_a_turned_picture(tmp_path: Path, kind: str, orientation: int) -> None:
    bright = np.maximum(FILM[:80, 30:180], 30)
    bright[:20] = 7
    alpha = np.where(bright == 7, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    picture = {"RGBA": np.dstack([bright] * 3 + [alpha]), "LA": np.dstack([bright, alpha]), "tRNS": bright}[kind]
    options: dict[str, Any] = {"transparency": 7} if kind == "tRNS" else {}
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif, **options)
    expected = np.rot90(np.where(alpha == 0, 0, bright), {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    found = read_radiograph(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels, expected)
    assert found.provenance.remarks == ("transparent pixels set to black",)
    assert read_size(tmp_path / "a.png") == expected.shape


@pytest.mark.parametrize("colour", [0, 255])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_in_alpha_alone(tmp_path: Path, colour: int, channels: int) -> None:
    flat = np.full_like(FILM, colour)
    Image.fromarray(np.dstack([flat] * channels + [FILM])).save(tmp_path / "a.png")
    found = read_radiograph(tmp_path / "a.png")
    np.testing.assert_array_equal(found.pixels, FILM)
    assert "in its transparency alone" in found.provenance.remarks[0]


@pytest.mark.parametrize("said", [True, False])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_thumbnail_as_the_first_page(tmp_path: Path, said: bool, compression: str | None) -> None:
    small = Image.fromarray(cv2.resize(FILM, (50, 50)))
    small.encoderinfo = {"tiffinfo": {254: 1}} if said else {}
    full = Image.fromarray(FILM)
    path = tmp_path / "a.tif"
    small.save(path, save_all=True, append_images=[full], compression=compression, tiffinfo={254: 1} if said else {})
    found = read_radiograph(path)
    np.testing.assert_array_equal(found.pixels, FILM)
    assert found.provenance.notes == ("its first page is a thumbnail: the full picture is read",)
    assert read_size(path) == FILM.shape


def test_pages_of_like_size_give_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(FILM[:150]).save(path, save_all=True, append_images=[Image.fromarray(255 - FILM)])
    np.testing.assert_array_equal(read_radiograph(path).pixels, FILM[:150])


def test_deep_colour_tiff(tmp_path: Path) -> None:
    deep = np.repeat(FILM[:, :, None].astype(np.uint16) * 200, 3, axis=2)
    cv2.imwrite(str(tmp_path / "a.tif"), deep)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.tif").pixels, FILM.astype(np.uint16) * 200)


# --- the cases of the collection -----------------------------------------------------------------


@pytest.mark.skipif(not CASES.is_dir(), reason="no collection of cases here")
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("damaged/tif_lzw_hurt.tif", "damaged or truncated TIFF"),
        ("damaged/tif_scheme_jpeg2000.tif", "found JPEG 2000"),
        ("damaged/jpeg_hurt.jpg", "damaged or truncated JPEG"),
        ("raster/jpegls.jpg", "found JPEG-LS"),
        ("dicom/seg.dcm", "found a segmentation"),
    ],
)
def test_cases_that_are_refused(name: str, answer: str) -> None:
    assert answer in refused(CASES / name)


@pytest.mark.skipif(not CASES.is_dir(), reason="no collection of cases here")
def test_cases_that_are_read() -> None:
    assert read_radiograph(CASES / "raster/tif_thumbnail_first.tif").shape == (1024, 768)
    high = read_radiograph(CASES / "dicom/highbit_15.dcm").pixels
    hand = known(cv2.imread(str(Path(__file__).parents[2] / "samples" / "hand.png"), cv2.IMREAD_GRAYSCALE))
    assert np.corrcoef(high.ravel(), hand.ravel())[0, 1] > 0.999
    shown = read_radiograph(CASES / "dicom/0350_pydicom_RG3_J2KR.dcm")
    assert shown.provenance.inverted
    assert shown.pixels[880, 850] > shown.pixels[880, 500]  # the shaft is brighter than the film beside it
    assert read_radiograph(CASES / "dicom/0417_pydicom_RG2_JLSL.dcm").shape == (2140, 1760)
    assert "CT Image" in read_radiograph(CASES / "dicom/0249_pydicom_CT_small.dcm").provenance.notes[0]
