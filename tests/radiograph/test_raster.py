"""Raster files in every usual form, and every way in which one can be broken."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from helpers_films import collimated, film, png_header, tiff
from ossa.errors import ImageError
from ossa.radiograph.read import read_radiograph, read_size

FILM = film(200)


def save(path: Path, picture: np.ndarray, **options: object) -> Path:
    Image.fromarray(picture).save(path, **options)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_grey_8_bit_is_read_exactly(tmp_path: Path, ending: str) -> None:
    found = read_radiograph(save(tmp_path / f"a.{ending}", FILM))
    np.testing.assert_array_equal(found.pixels, FILM)
    assert found.pixels.dtype == np.uint8
    assert (found.provenance.bits, found.provenance.inverted, found.provenance.notes) == (8, False, ())
    assert found.spacing is None
    assert found.side is None
    assert found.shape == FILM.shape


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
def test_three_equal_channels_are_read_exactly(tmp_path: Path, ending: str) -> None:
    found = read_radiograph(save(tmp_path / f"a.{ending}", np.repeat(FILM[:, :, None], 3, axis=2)))
    np.testing.assert_array_equal(found.pixels, FILM)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_is_kept(tmp_path: Path, ending: str) -> None:
    deep = FILM.astype(np.uint16) * 16 + 3  # 12-bit data
    found = read_radiograph(save(tmp_path / f"a.{ending}", deep))
    np.testing.assert_array_equal(found.pixels, deep)
    assert found.provenance.bits == 16


def test_jpeg_is_close(tmp_path: Path) -> None:
    for picture in (FILM, np.repeat(FILM[:, :, None], 3, axis=2)):
        found = read_radiograph(save(tmp_path / "a.jpg", picture, quality=95))
        assert np.abs(found.pixels.astype(int) - FILM).mean() < 2
        assert found.provenance.format == "JPEG"


def test_colour_becomes_luma(tmp_path: Path) -> None:
    picture = np.dstack([FILM, np.roll(FILM, 9, 0), np.roll(FILM, 9, 1)])
    expected = picture @ np.array([0.299, 0.587, 0.114])
    for ending in ("png", "bmp", "tif"):
        found = read_radiograph(save(tmp_path / f"a.{ending}", picture))
        assert np.abs(found.pixels - expected).max() < 8, ending  # libpng weighs by Rec. 709, the others by Rec. 601


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray((FILM // 16).astype(np.uint8), mode="P")
    levels = np.arange(16, dtype=np.uint8) * 17
    image.putpalette(np.repeat(levels, 3).tobytes())
    for ending in ("png", "bmp", "tif"):
        image.save(tmp_path / f"a.{ending}")
        np.testing.assert_array_equal(read_radiograph(tmp_path / f"a.{ending}").pixels, levels[FILM // 16])


def test_1_and_4_bit(tmp_path: Path) -> None:
    save(tmp_path / "one.png", FILM > 60)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "one.png").pixels, (FILM > 60) * 255)
    Image.fromarray(FILM // 16 * 17).save(tmp_path / "four.png", bits=4)
    found = read_radiograph(tmp_path / "four.png").pixels
    assert np.abs(found.astype(int) - FILM // 16 * 17).max() <= 1


def test_transparent_pixels_are_black(tmp_path: Path) -> None:
    alpha = np.full_like(FILM, 255)
    alpha[:20] = 0
    bright = np.maximum(FILM, 30)
    for picture in (np.dstack([bright, alpha]), np.dstack([bright] * 3 + [alpha])):
        found = read_radiograph(save(tmp_path / "a.png", picture))
        assert not found.pixels[:20].any()
        np.testing.assert_array_equal(found.pixels[20:], bright[20:])
        assert found.provenance.remarks == ("transparent pixels set to black",)


def test_wholly_transparent_or_opaque_keeps_its_grey(tmp_path: Path) -> None:
    hidden = read_radiograph(save(tmp_path / "a.png", np.dstack([FILM] * 3 + [FILM * 0])))
    np.testing.assert_array_equal(hidden.pixels, FILM)
    assert "ignored" in hidden.provenance.remarks[0]
    opaque = read_radiograph(save(tmp_path / "b.png", np.dstack([FILM] * 3 + [FILM * 0 + 255])))
    np.testing.assert_array_equal(opaque.pixels, FILM)
    assert opaque.provenance.notes == ()


def test_palette_transparency_without_alpha_channel(tmp_path: Path) -> None:
    """tRNS that leaves every level opaque changes nothing."""
    image = Image.fromarray((FILM // 16).astype(np.uint8), mode="P")
    image.putpalette(np.repeat(np.arange(16, dtype=np.uint8) * 17, 3).tobytes())
    image.save(tmp_path / "a.png", transparency=bytes([255] * 16))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels, FILM // 16 * 17)


def test_grey_with_a_transparent_level_in_16_bits(tmp_path: Path) -> None:
    """A decoder that drops the transparency leaves the grey alone."""
    deep = FILM.astype(np.uint16)
    image = Image.fromarray(deep)
    image.save(tmp_path / "a.png", transparency=int(deep.max()))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.png").pixels.shape, deep.shape)


#: EXIF orientation (tag 274) -> how a viewer shows the stored rows (EXIF 2.32, 4.6.5.1).
SHOWN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_orientation_is_honoured(tmp_path: Path, ending: str, orientation: int) -> None:
    picture = FILM[:80, 30:180]
    path = tmp_path / f"a.{ending}"
    if ending == "tif":
        Image.fromarray(picture).save(path, tiffinfo={274: orientation})
    else:
        exif = Image.Exif()
        exif[274] = orientation
        options = {"quality": 100} if ending == "jpg" else {}
        Image.fromarray(picture).save(path, exif=exif, **options)  # type: ignore[arg-type]
    expected = SHOWN[orientation](picture).astype(int)
    found = read_radiograph(path)
    assert found.shape == expected.shape
    assert np.abs(found.pixels.astype(int) - expected).max() <= (2 if ending == "jpg" else 0)


def test_turned_with_alpha(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(np.dstack([FILM[:60]] * 3 + [FILM[:60]])).save(tmp_path / "a.png", exif=exif)
    assert read_radiograph(tmp_path / "a.png").shape == (200, 60)


def test_resolution_tags_are_not_millimetres(tmp_path: Path) -> None:
    for ending in ("png", "jpg", "tif"):
        assert read_radiograph(save(tmp_path / f"a.{ending}", FILM, dpi=(300, 150))).spacing is None


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [1, 8, 16])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_forms(tmp_path: Path, order: Literal["<", ">"], big: bool, bits: int, photometric: int) -> None:
    picture = (FILM > 60) if bits == 1 else FILM.astype(np.uint16) * (1 if bits == 8 else 200)
    top = {1: 1, 8: 255, 16: int(picture.max())}[bits]
    stored = picture if photometric else top - picture.astype(np.uint16)
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(stored, photometric=photometric, bits=bits, order=order, big=big))
    found = read_radiograph(path)
    # A 16-bit negative is turned over at the largest value it uses: how many of the bits it means is not said.
    offset = picture.min() if bits == 16 and photometric == 0 else 0
    np.testing.assert_array_equal(found.pixels, picture * (255 if bits == 1 else 1) - offset)
    assert found.provenance.inverted == (photometric == 0)


@pytest.mark.parametrize("big", [False, True])
def test_first_page_with_a_note(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(FILM, pages=3, big=big))
    found = read_radiograph(path)
    np.testing.assert_array_equal(found.pixels, FILM)
    assert found.provenance.notes == ("the first of 3 pages",)


def test_damaged_second_page_does_not_spoil_the_first(tmp_path: Path) -> None:
    data = tiff(FILM, pages=2)
    (tmp_path / "a.tif").write_bytes(data[:-60])
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.tif").pixels, FILM)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    path = save(tmp_path / "a.tif", FILM, compression=compression)
    np.testing.assert_array_equal(read_radiograph(path).pixels, FILM)


def test_float_and_int_tiff_are_stretched(tmp_path: Path) -> None:
    wide = FILM.astype(np.float32) / 7 - 3
    wide[0, 0] = np.nan
    for picture in (wide, FILM.astype(np.int32) * 1000 - 5):
        found = read_radiograph(save(tmp_path / "a.tif", picture))
        assert found.pixels.dtype == np.uint16
        assert found.pixels.max() == 65535
        assert "stretched" in found.provenance.remarks[0]
        order = np.argsort(FILM[5:].ravel(), kind="stable")
        assert (np.diff(found.pixels[5:].ravel()[order].astype(int)) >= 0).all()


def test_float_tiff_of_nothing_finite(tmp_path: Path) -> None:
    found = read_radiograph(save(tmp_path / "a.tif", np.full((5, 6), np.nan, np.float32)))
    assert not found.pixels.any()
    assert not read_radiograph(save(tmp_path / "b.tif", np.full((5, 6), 3.5, np.float32))).pixels.any()


def test_bmp_top_down_and_os2(tmp_path: Path) -> None:
    picture = FILM[:7, :5]
    rows = [bytes(np.repeat(row[:, None], 3, 1)) + b"\0" for row in picture]
    body = b"".join(rows)
    head = (
        b"BM"
        + struct.pack("<IHHI", 54 + len(body), 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 5, -7, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    (tmp_path / "a.bmp").write_bytes(head + body)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.bmp").pixels, picture)
    head = b"BM" + struct.pack("<IHHI", 26 + len(body), 0, 0, 26) + struct.pack("<IHHHH", 12, 5, 7, 1, 24)
    (tmp_path / "b.bmp").write_bytes(head + b"".join(rows[::-1]))
    np.testing.assert_array_equal(read_radiograph(tmp_path / "b.bmp").pixels, picture)


def test_one_pixel_and_all_black_are_accepted(tmp_path: Path) -> None:
    assert read_radiograph(save(tmp_path / "a.png", np.full((1, 1), 9, np.uint8))).pixels.tolist() == [[9]]
    black = read_radiograph(save(tmp_path / "b.png", np.zeros((300, 200), np.uint8)))
    assert not black.pixels.any()
    assert not black.provenance.inverted


def test_the_ending_does_not_matter(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", FILM)
    path = path.rename(tmp_path / "Röntgen bild.dcm")
    np.testing.assert_array_equal(read_radiograph(path).pixels, FILM)


# --- negatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("shutter", [None, 0, 120, 255])
@pytest.mark.parametrize("deep", [False, True])
def test_negatives_are_turned_over(tmp_path: Path, shutter: int | None, deep: bool) -> None:
    negative = 255 - film(384)
    negative = negative if shutter is None else collimated(negative, shutter)
    stored = negative.astype(np.uint16) * 257 if deep else negative
    found = read_radiograph(save(tmp_path / "a.png", stored))
    assert found.provenance.inverted
    assert "turned over" in found.provenance.notes[0]
    np.testing.assert_array_equal(found.pixels, stored.max() - stored if deep else 255 - stored)
    again = read_radiograph(save(tmp_path / "b.png", found.pixels))
    assert not again.provenance.inverted
    np.testing.assert_array_equal(again.pixels, found.pixels)


# --- refusals --------------------------------------------------------------------------------


def refused(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_radiograph(path)
    text = str(caught.value)
    assert str(path) in text
    return text


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.png")
    assert "a folder" in refused(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert "is empty" in refused(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (b"Dear doctor,\nplease find", "text that begins 'Dear doctor"),
        (b'{"annotations": []}', "text that begins"),
        ("Grüße aus Köln".encode(), "text that begins 'Grüße"),
        (b"GIF89a" + bytes(40), "a GIF"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"PK\x03\x04" + bytes(40), "a ZIP archive"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "a WebP picture"),
        (b"\x00\x01\x02\x03\x04", "bytes that begin 00 01 02"),
        (b"\x93NUMPY\x01\x00", "a numpy array"),
    ],
)
def test_something_else_renamed(tmp_path: Path, content: bytes, phrase: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    text = refused(tmp_path / "a.png")
    assert phrase in text
    assert "expected PNG, JPEG, TIFF, BMP or DICOM" in text


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif"])
def test_bomb_is_refused_from_its_header(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossa.radiograph.raster.read._grey", None)  # nothing is decoded
    path = tmp_path / f"bomb.{kind}"
    if kind == "png":
        path.write_bytes(png_header(30000, 30000, 16, 6))
    elif kind == "jpg":
        stream = io.BytesIO()
        Image.fromarray(FILM).save(stream, "JPEG")
        data = bytearray(stream.getvalue())
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 30000, 30000)
        path.write_bytes(data)
    elif kind == "bmp":
        path.write_bytes(
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 30000, 30000, 1, 24, 0, 0, 0, 0, 0, 0)
        )
    else:
        data = bytearray(tiff(FILM))
        at = data.index(struct.pack("<HHII", 256, 4, 1, 200))
        path.write_bytes(
            data[:at]
            + struct.pack("<HHII", 256, 4, 1, 30000)
            + struct.pack("<HHII", 257, 4, 1, 30000)
            + data[at + 24 :]
        )
    text = refused(path)
    assert "too large to be a radiograph" in text
    assert "30000x30000 = 900 million pixels" in text


def test_no_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(0, 7))
    assert "has no pixels" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("kept", [0.05, 0.3, 0.7, 0.99])
def test_truncated(tmp_path: Path, kind: str, kept: float) -> None:
    path = save(tmp_path / f"a.{kind}", FILM)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert "damaged or truncated" in refused(path)


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(["png", "jpg", "bmp", "tif", "lzw"]), cut=st.floats(0, 1), data=st.data())
def test_no_cut_is_ever_taken_for_a_picture(
    tmp_path_factory: pytest.TempPathFactory, kind: str, cut: float, data: st.DataObject
) -> None:
    """Whatever is cut off, the answer is an ImageError or the very same pixels."""
    stream = io.BytesIO()
    small = FILM[:40, :60]
    formats = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF", "lzw": "TIFF"}
    options = {"compression": "tiff_lzw"} if kind == "lzw" else {}
    Image.fromarray(small).save(stream, formats[kind], **options)
    whole = stream.getvalue()
    path = tmp_path_factory.mktemp("cut") / "a"
    path.write_bytes(whole)
    expected = read_radiograph(path).pixels
    path.write_bytes(whole[: int(cut * (len(whole) - 1))])
    try:
        found = read_radiograph(path)
    except ImageError:
        return
    np.testing.assert_array_equal(found.pixels, expected)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["png", "jpg", "bmp", "tif", "big"]), where=st.integers(0, 10_000), value=st.integers(0, 255)
)
def test_a_changed_byte_never_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, kind: str, where: int, value: int
) -> None:
    small = FILM[:24, :31]
    if kind == "big":
        data = bytearray(tiff(small, big=True, order=">"))
    else:
        stream = io.BytesIO()
        Image.fromarray(small).save(stream, {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF"}[kind])
        data = bytearray(stream.getvalue())
    data[where % len(data)] = value
    path = tmp_path_factory.mktemp("byte") / "a"
    path.write_bytes(bytes(data))
    try:
        found = read_radiograph(path)
    except ImageError:
        return
    assert found.pixels.ndim == 2
    assert found.pixels.dtype in (np.uint8, np.uint16)


def test_png_with_a_wrong_checksum(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", FILM)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    assert "a wrong checksum in its IDAT chunk" in refused(path)


def test_png_whose_stream_is_too_short_for_its_size(tmp_path: Path) -> None:
    """Every chunk is whole, but they hold 64 bytes where 40,000 are needed."""
    (tmp_path / "a.png").write_bytes(png_header(200, 200))
    assert "PNG" in refused(tmp_path / "a.png")


def test_png_without_ihdr(tmp_path: Path) -> None:
    body = b"IDAT" + bytes(13)
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    )
    assert "no IHDR chunk" in refused(tmp_path / "a.png")


def test_jpeg_with_a_thumbnail_is_not_taken_for_whole(tmp_path: Path) -> None:
    """The end marker of an EXIF thumbnail is not the picture's own."""
    stream = io.BytesIO()
    Image.fromarray(FILM[:20, :20]).save(stream, "JPEG")
    thumbnail = stream.getvalue()
    path = save(tmp_path / "a.jpg", FILM)
    whole = path.read_bytes()
    app = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    path.write_bytes(whole[:2] + app + whole[2:])
    assert read_radiograph(path).shape == FILM.shape
    path.write_bytes((whole[:2] + app + whole[2:])[:-400])
    assert "no end-of-image marker" in refused(path)


@pytest.mark.parametrize(
    ("middle", "phrase"),
    [
        (b"\xff\xff\xff\xda\x00\x04\0\0", "before the frame header"),
        (b"\xff\xd0\x12\x34\x56\x78", "no marker at byte"),
        (b"\xff\xfe\x00\x04ab" * 3, "no frame header"),
    ],
)
def test_malformed_jpeg(tmp_path: Path, middle: bytes, phrase: str) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" + middle)
    assert phrase in refused(tmp_path / "a.jpg")


def test_progressive_and_restart_jpeg(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", FILM, progressive=True)
    assert read_radiograph(tmp_path / "a.jpg").shape == FILM.shape
    cv2.imwrite(str(tmp_path / "b.jpg"), FILM, [cv2.IMWRITE_JPEG_RST_INTERVAL, 3])
    assert read_radiograph(tmp_path / "b.jpg").shape == FILM.shape


def test_jpeg_followed_by_something_else(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", FILM)
    path.write_bytes(path.read_bytes() + b"\n<!-- appended by a web server -->")
    assert read_radiograph(path).shape == FILM.shape


@pytest.mark.parametrize(
    ("data", "phrase"),
    [
        (b"II*\0" + struct.pack("<I", 5000), "a directory at byte 5,000"),
        (b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(90), "a directory of 65,535 entries"),
        (b"II*\0" + struct.pack("<IHHHII", 8, 1, 256, 4, 1, 7) + bytes(4), "no width and height"),
        (b"II*\0" + struct.pack("<IH", 8, 3), "the header stops after"),
    ],
)
def test_malformed_tiff(tmp_path: Path, data: bytes, phrase: str) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    assert phrase in refused(tmp_path / "a.tif")


def test_tiff_without_pixels(tmp_path: Path) -> None:
    data = tiff(FILM)
    at = data.index(struct.pack("<HHI", 273, 4, 1))
    (tmp_path / "a.tif").write_bytes(data[:at] + struct.pack("<H", 300) + data[at + 2 :])
    assert "lacks any pixels" in refused(tmp_path / "a.tif")


def test_tiff_whose_pages_run_in_a_circle(tmp_path: Path) -> None:
    data = bytearray(tiff(FILM))
    data[-4:] = data[4:8]
    (tmp_path / "a.tif").write_bytes(data)
    assert read_radiograph(tmp_path / "a.tif").provenance.notes == ()


def test_tiff_in_an_unknown_compression(tmp_path: Path) -> None:
    data = tiff(FILM)
    at = data.index(struct.pack("<HHII", 259, 4, 1, 1))
    (tmp_path / "a.tif").write_bytes(data[:at] + struct.pack("<HHII", 259, 4, 1, 34887) + data[at + 12 :])
    assert "cannot be decoded as TIFF" in refused(tmp_path / "a.tif")


def test_strange_bmp(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(
        b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 5, 5, 1, 7, 0, 0, 0, 0, 0, 0)
    )
    assert "a size of 5x5 at 7 bits" in refused(tmp_path / "a.bmp")


def test_bmp_with_a_palette_that_cannot_be(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / "a.bmp", FILM)
    data = path.read_bytes()
    path.write_bytes(data[:46] + b"\xff\xff\xff\xff" + data[50:])
    assert "a palette of 4,294,967,295 colours" in refused(path)
    assert capfd.readouterr().err == ""


def test_oversized_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossa.radiograph.raster.read.MAX_IMAGE_BYTES", 1000)
    assert "the file is too large" in refused(save(tmp_path / "a.png", FILM))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", FILM)
    path.chmod(0)
    assert "Permission denied" in refused(path)


def test_decoder_errors_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kornia_rs

    def burst(*_: object) -> None:
        raise Exception("out of memory")  # kornia-rs raises nothing narrower

    path = save(tmp_path / "a.png", FILM)
    monkeypatch.setattr(kornia_rs.io, "decode_image_png_u8", burst)
    assert "out of memory" in refused(path)


# --- sizes -----------------------------------------------------------------------------------


def test_size_from_the_header(tmp_path: Path) -> None:
    for ending in ("png", "jpg", "bmp", "tif"):
        assert read_size(save(tmp_path / f"a.{ending}", FILM[:50, :70])) == (50, 70)
    (tmp_path / "a.png").write_bytes(png_header(30000, 30000))
    with pytest.raises(ImageError, match="too large to be a radiograph"):
        read_size(tmp_path / "a.png")
    with pytest.raises(ImageError, match="No such file"):
        read_size(tmp_path / "none.png")
