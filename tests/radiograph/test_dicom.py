"""DICOM files as they are found: windows, inversions, spacings, sides, compressions and damage."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pydicom.encaps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from helpers_dicom import DX, SECONDARY, dataset, frame_of, item, jpeg_baseline, packed, save, with_frame
from helpers_films import film
from ossa.errors import ImageError
from ossa.radiograph.prepare import Preparation, prepare
from ossa.radiograph.radiograph import Aspect, Radiograph, Spacing
from ossa.radiograph.read import read_radiograph, read_size

FILM = film(160)
DEEP = FILM.astype(np.uint16) * 16 + 5  # 12-bit, as a CR plate gives


def read(path: Path, data: pydicom.FileDataset) -> Radiograph:
    return read_radiograph(save(path / "a.dcm", data))


def stretched(values: np.ndarray) -> np.ndarray:
    wide = values.astype(float)
    return np.round((wide - wide.min()) / (wide.max() - wide.min()) * 65535).astype(np.uint16)


def test_12_bit_without_a_window_is_stretched(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(DEEP, bits=12))
    np.testing.assert_array_equal(found.pixels, stretched(DEEP))
    assert (found.provenance.format, found.provenance.bits, found.provenance.inverted) == ("DICOM", 12, False)
    assert found.provenance.notes == ()
    assert found.spacing is None
    assert found.side is None


def test_8_bit_is_kept(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(FILM, sop_class=SECONDARY))
    np.testing.assert_array_equal(found.pixels, FILM)
    assert found.pixels.dtype == np.uint8


def test_1_bit(tmp_path: Path) -> None:
    data = dataset((FILM > 60).astype(np.uint8), bits=1)
    data.BitsAllocated = 1
    data.PixelData = np.packbits(FILM > 60, bitorder="little").tobytes()
    np.testing.assert_array_equal(read(tmp_path, data).pixels, (FILM > 60) * 255)


def test_signed_and_32_bit(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, dataset(DEEP.astype(np.int16) - 900)).pixels, stretched(DEEP))
    wide = DEEP.astype(np.uint32) * 70000
    np.testing.assert_array_equal(read(tmp_path, dataset(wide)).pixels, stretched(wide))


def test_float_pixels(tmp_path: Path) -> None:
    data = dataset(DEEP)
    del data.PixelData
    data.BitsAllocated = 32
    data.FloatPixelData = (DEEP / 7 - 30).astype(np.float32).tobytes()
    found = read(tmp_path, data).pixels
    assert np.abs(found.astype(int) - stretched(DEEP)).max() <= 1


def test_unused_bits_are_not_taken_for_grey(tmp_path: Path) -> None:
    """Old files keep an overlay in the bits above the stored ones."""
    soiled = DEEP | np.uint16(0x8000) * (np.arange(DEEP.size).reshape(DEEP.shape) % 7 == 0)
    np.testing.assert_array_equal(read(tmp_path, dataset(soiled.astype(np.uint16), bits=12)).pixels, stretched(DEEP))


def test_one_grey(tmp_path: Path) -> None:
    assert not read(tmp_path, dataset(np.full((40, 50), 700, np.uint16))).pixels.any()
    assert read(tmp_path, dataset(np.full((1, 1), 7, np.uint8))).pixels.tolist() == [[7]]


# --- grey scale ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    centre=st.floats(200, 3500),
    width=st.floats(2, 5000),
    slope=st.sampled_from([1.0, 2.0, 0.5]),
    intercept=st.sampled_from([0.0, -1000.0, 24.0]),
    signed=st.booleans(),
)
def test_windows_as_pydicom_has_them(
    tmp_path_factory: pytest.TempPathFactory,
    function: str,
    centre: float,
    width: float,
    slope: float,
    intercept: float,
    signed: bool,
) -> None:
    stored = DEEP.astype(np.int16) - 600 if signed else DEEP
    data = dataset(stored, WindowCenter=round(centre, 2), WindowWidth=round(width, 2), VOILUTFunction=function)
    data.RescaleSlope, data.RescaleIntercept = slope, intercept
    expected = apply_voi_lut(apply_modality_lut(stored, data), data).astype(float)
    if np.ptp(expected) < 1e-6:
        return
    # pydicom maps the window to the range of the stored type; 0..1 of it is what the screen shows.
    ends = np.array([-1e9, 1e9])
    low, high = apply_voi_lut(ends, data) if function != "SIGMOID" else (expected.min(), expected.max())
    found = read(tmp_path_factory.mktemp("w"), data).pixels.astype(float)
    if function == "SIGMOID":  # pydicom's range needs the extremes of the curve: compare up to scale
        scale = np.polyfit(expected.ravel(), found.ravel(), 1)
        np.testing.assert_allclose(found, np.polyval(scale, expected), atol=8)
    else:
        np.testing.assert_allclose(found, (expected - low) / (high - low) * 65535, atol=2)


def test_only_the_first_window_counts(tmp_path: Path) -> None:
    one = read(tmp_path, dataset(DEEP, WindowCenter=1500, WindowWidth=900))
    two = read(tmp_path, dataset(DEEP, WindowCenter=[1500, 90], WindowWidth=[900, 7]))
    np.testing.assert_array_equal(one.pixels, two.pixels)


def test_window_of_width_one(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(DEEP, WindowCenter=1000, WindowWidth=1))
    np.testing.assert_array_equal(found.pixels, (DEEP > 999.5) * 65535)


@pytest.mark.parametrize(
    ("elements", "phrase"),
    [
        ({"WindowCenter": 9e5, "WindowWidth": 10}, "shows a single grey"),
        ({"WindowCenter": 900, "WindowWidth": 0}, "is not valid"),
        ({"WindowCenter": 900, "WindowWidth": 50, "VOILUTFunction": "CUBIC"}, "is not valid"),
    ],
)
def test_useless_windows_are_left_out(tmp_path: Path, elements: dict[str, Any], phrase: str) -> None:
    found = read(tmp_path, dataset(DEEP, **elements))
    np.testing.assert_array_equal(found.pixels, stretched(DEEP))
    assert phrase in found.provenance.notes[0]


def lut(values: np.ndarray, first: int, bits: int = 16) -> Any:
    return item(
        LUTDescriptor=[len(values) % 65536, first, bits], LUTData=values.astype("<u2").tobytes(), ModalityLUTType="US"
    )


def with_lut(name: str, table: Any) -> pydicom.FileDataset:
    data = dataset(DEEP, bits=12)
    for keyword in ("LUTDescriptor", "LUTData"):
        table[keyword].VR = "US" if keyword == "LUTDescriptor" else "OW"
    setattr(data, name, [table])
    return data


def test_voi_lut_goes_before_a_window(tmp_path: Path) -> None:
    curve = np.linspace(0, 1, 3000) ** 2 * 65535
    data = with_lut("VOILUTSequence", lut(curve, 500))
    data.WindowCenter, data.WindowWidth = 9, 9
    expected = np.round(curve).astype(int)[np.clip(DEEP.astype(int) - 500, 0, 2999)]
    assert np.abs(read(tmp_path, data).pixels - expected).max() <= 1


def test_modality_lut(tmp_path: Path) -> None:
    curve = (65535 - np.arange(4096) * 15) ** 1.0
    data = with_lut("ModalityLUTSequence", lut(curve, 0))
    found = read(tmp_path, data)
    # The table turns the greys over; the header is believed, and the reader hears of it.
    assert not found.provenance.inverted
    assert "says to be MONOCHROME2: not turned over" in found.provenance.notes[0]
    assert np.corrcoef(found.pixels.ravel(), DEEP.ravel())[0, 1] < -0.999


def test_lut_of_two_bytes_in_a_word(tmp_path: Path) -> None:
    curve = (np.arange(4096) // 16).astype(np.uint8)
    table = item(LUTDescriptor=[4096, 0, 8], LUTData=curve.tobytes())
    found = read(tmp_path, with_lut("VOILUTSequence", table))
    np.testing.assert_array_equal(found.pixels, np.round(curve[DEEP] / 255 * 65535))


@pytest.mark.parametrize(
    "table", [item(LUTDescriptor=[9000, 0, 16], LUTData=bytes(40)), item(LUTDescriptor=[4, 0, 99], LUTData=bytes(8))]
)
def test_malformed_lut_is_left_out(tmp_path: Path, table: Any) -> None:
    found = read(tmp_path, with_lut("VOILUTSequence", table))
    np.testing.assert_array_equal(found.pixels, stretched(DEEP))
    assert "VOILUTSequence is malformed" in found.provenance.notes[0]


def test_lut_without_data_is_left_out(tmp_path: Path) -> None:
    data = dataset(DEEP, bits=12, VOILUTSequence=[item(LUTExplanation="none")])
    assert "malformed" in read(tmp_path, data).provenance.notes[0]


def test_monochrome1(tmp_path: Path) -> None:
    found = read(tmp_path, dataset((4095 - DEEP).astype(np.uint16), bits=12, PhotometricInterpretation="MONOCHROME1"))
    assert found.provenance.inverted
    assert np.abs(found.pixels.astype(int) - stretched(DEEP)).max() <= 1
    found = read(tmp_path, dataset(255 - FILM, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(found.pixels, FILM)


def test_the_header_decides_which_way_round_grey_runs(tmp_path: Path) -> None:
    """A guess serves where there is no header: bones that look dark are told, and left as the file says."""
    found = read(tmp_path, dataset(FILM, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(found.pixels, 255 - FILM)
    assert found.provenance.inverted
    assert "the bones look dark, but it says to be MONOCHROME1" in found.provenance.notes[0]
    found = read(tmp_path, dataset(255 - FILM))
    np.testing.assert_array_equal(found.pixels, 255 - FILM)
    assert not found.provenance.inverted
    colour = read(tmp_path, dataset(np.repeat(255 - FILM[:, :, None], 3, axis=2)))
    assert colour.provenance.inverted
    np.testing.assert_array_equal(colour.pixels, FILM)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_dark_and_outside_the_range(tmp_path: Path, photometric: str) -> None:
    stored = DEEP.copy() if photometric == "MONOCHROME2" else (4095 - DEEP).astype(np.uint16)
    stored[:30] = 65535
    stored[30:40] = 65000
    data = dataset(stored, PhotometricInterpretation=photometric, PixelPaddingValue=65535, PixelPaddingRangeLimit=64000)
    found = read(tmp_path, data)
    assert not found.pixels[:40].any()
    assert np.abs(found.pixels[40:].astype(int) - stretched(DEEP[40:])).max() <= 1


def test_wholly_padded(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(np.full((9, 9), 65535, np.uint16), PixelPaddingValue=65535))
    assert not found.pixels.any()


def test_malformed_numbers_are_left_out(tmp_path: Path) -> None:
    data = dataset(DEEP)
    data.add_new("WindowCenter", "DS", "")
    data.add_new("WindowWidth", "DS", "")
    data.NumberOfFrames = None
    np.testing.assert_array_equal(read(tmp_path, data).pixels, stretched(DEEP))


# --- colour and frames -----------------------------------------------------------------------


def test_colour(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, dataset(np.repeat(FILM[:, :, None], 3, axis=2))).pixels, FILM)
    mixed = np.dstack([FILM, np.roll(FILM, 5, 0), np.roll(FILM, 5, 1)])
    found = read(tmp_path, dataset(mixed)).pixels
    assert np.abs(found - mixed @ np.array([0.299, 0.587, 0.114])).max() <= 0.5


def test_palette_colour(tmp_path: Path) -> None:
    data = dataset((FILM // 16).astype(np.uint8), PhotometricInterpretation="PALETTE COLOR")
    levels = (np.arange(16) * 4096 + 4095).astype("<u2")
    for name in ("Red", "Green", "Blue"):
        data.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [16, 0, 16])
        data.add_new(f"{name}PaletteColorLookupTableData", "OW", levels.tobytes())
    found = read(tmp_path, data).pixels
    assert np.corrcoef(found.ravel(), FILM.ravel())[0, 1] > 0.99
    del data.RedPaletteColorLookupTableData
    with pytest.raises(ImageError, match="damaged"):
        read(tmp_path, data)


def test_first_frame_with_a_note(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(np.stack([DEEP, DEEP // 3, DEEP * 0]), bits=12))
    np.testing.assert_array_equal(found.pixels, stretched(DEEP))
    assert found.provenance.notes == ("the first of 3 frames",)


# --- millimetres -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "expected", "phrase"),
    [
        ({"PixelSpacing": [0.2, 0.1]}, Spacing(0.2, 0.1, "PixelSpacing"), "does not say whether"),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, Spacing(0.2, 0.1, "ImagerPixelSpacing"), None),
        ({"NominalScannedPixelSpacing": [0.2, 0.1]}, Spacing(0.2, 0.1, "NominalScannedPixelSpacing"), None),
        (
            {"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.15, 0.15]},
            Spacing(0.15, 0.15, "ImagerPixelSpacing"),
            None,
        ),
        (
            {"PixelSpacing": [0.14, 0.14], "ImagerPixelSpacing": [0.15, 0.15]},
            Spacing(0.14, 0.14, "PixelSpacing"),
            "calibrated (differs from ImagerPixelSpacing)",
        ),
        (
            {
                "PixelSpacing": [0.15, 0.15],
                "ImagerPixelSpacing": [0.15, 0.15],
                "PixelSpacingCalibrationType": "FIDUCIAL",
            },
            Spacing(0.15, 0.15, "PixelSpacing"),
            "calibrated (fiducial)",
        ),
        (
            {"ImagerPixelSpacing": [0.15, 0.15], "EstimatedRadiographicMagnificationFactor": 1.05},
            Spacing(0.15 / 1.05, 0.15 / 1.05, "ImagerPixelSpacing / EstimatedRadiographicMagnificationFactor"),
            "estimated magnification 1.05",
        ),
        (
            {"ImagerPixelSpacing": [0.15, 0.15], "EstimatedRadiographicMagnificationFactor": 0.2},
            Spacing(0.15, 0.15, "ImagerPixelSpacing"),
            "is no magnification (0.2)",
        ),
        (
            {"PixelSpacing": [0.3, 0.3], "ImagerPixelSpacing": [0.15, 0.15]},
            None,
            "contradict each other (PixelSpacing 0.3 and ImagerPixelSpacing 0.15 mm)",
        ),
        (
            {"PixelSpacing": [0.05, 0.05], "ImagerPixelSpacing": [0.15, 0.15]},
            None,
            "contradict each other",
        ),
        ({"PixelSpacing": [0, 0.1]}, None, "its PixelSpacing is no size of a pixel (0"),
        ({"PixelSpacing": 0.1}, None, "is no size of a pixel (0.1)"),
        ({"PixelSpacing": [1e-9, 1e-9]}, None, "is no size of a pixel"),
        ({"PixelSpacing": [400, 400]}, None, "is no size of a pixel"),
        ({"PixelAspectRatio": [2, 1]}, None, "not square (2:1)"),
        ({"PixelAspectRatio": [1, 1]}, None, None),
    ],
)
def test_spacing(tmp_path: Path, elements: dict[str, Any], expected: Spacing | None, phrase: str | None) -> None:
    found = read(tmp_path, dataset(DEEP, sop_class=DX, **elements))
    assert found.spacing == expected
    origin = found.provenance
    said = [phrase is not None and phrase in note for note in (*origin.notes, *origin.remarks)]
    assert said == ([True] if phrase else [])
    noted = ("no size", "no magnification", "contradict")
    assert len(origin.notes) == (phrase is not None and any(word in phrase for word in noted))


@pytest.mark.parametrize("text", ["0,14\\0,14", "fine", "0.14", "nan\\nan", "0.1\\inf", "1e-9\\1e-9", "-1\\-1", "\\"])
def test_a_spacing_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    """As it stands in the file: pydicom would not write it."""
    path = save(tmp_path / "a.dcm", dataset(DEEP, PixelSpacing=[0.125, 0.125], WindowCenter=700, WindowWidth=3000))
    for name, value in (("PixelSpacing", text), ("WindowCenter", "?")):
        data = path.read_bytes()
        at = data.index({"PixelSpacing": b"\x28\0\x30\0DS", "WindowCenter": b"\x28\0\x50\x10DS"}[name])
        length = struct.unpack_from("<H", data, at + 6)[0]
        body = value.encode() + b" " * (len(value) % 2)
        path.write_bytes(data[: at + 6] + struct.pack("<H", len(body)) + body + data[at + 8 + length :])
    found = read_radiograph(path)
    assert found.spacing is None
    assert "its PixelSpacing is no size of a pixel" in found.provenance.notes[0]
    np.testing.assert_array_equal(found.pixels, stretched(DEEP))


def test_a_ratio_brings_pixels_to_square(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(DEEP, PixelAspectRatio=[2, 1]))
    assert (found.spacing, found.aspect) == (None, Aspect(2.0, 1.0))
    assert prepare(found, Preparation(256, 1))[1].content_shape == (256, 128)


def test_spacing_of_an_enhanced_object(tmp_path: Path) -> None:
    group = item(PixelMeasuresSequence=[item(PixelSpacing=[0.3, 0.25])])
    found = read(tmp_path, dataset(DEEP, SharedFunctionalGroupsSequence=[group]))
    assert found.spacing == Spacing(0.3, 0.25, "PixelSpacing")


# --- side ------------------------------------------------------------------------------------


def modifier(code: str) -> list[Any]:
    return [
        item(AnatomicRegionModifierSequence=[item(CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning="side")])
    ]


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImageLaterality": "L"}, "L"),
        ({"Laterality": "R"}, "R"),
        ({"Laterality": " r "}, "R"),
        ({"ImageLaterality": "U"}, None),
        ({"ImageLaterality": "B"}, None),
        ({"ImageLaterality": "L", "Laterality": "L"}, "L"),
        ({"AnatomicRegionSequence": modifier("24028007")}, "R"),
        ({"AnatomicRegionSequence": modifier("G-A101")}, "L"),
        ({"AnatomicRegionSequence": modifier("51440002")}, None),
        ({"SharedFunctionalGroupsSequence": [item(FrameAnatomySequence=[item(FrameLaterality="R")])]}, "R"),
        ({"PerFrameFunctionalGroupsSequence": [item(FrameAnatomySequence=[item(FrameLaterality="L")])]}, "L"),
    ],
)
def test_side(tmp_path: Path, elements: dict[str, Any], expected: str | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read(tmp_path, dataset(DEEP, **elements))
    assert found.side == expected
    assert found.provenance.notes == ()


def test_contradictory_side(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(DEEP, ImageLaterality="L", Laterality="R"))
    assert found.side is None
    assert "ImageLaterality L, Laterality R" in found.provenance.notes[0]


# --- transfer syntaxes -----------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed(tmp_path: Path, syntax: UID) -> None:
    data = dataset(DEEP, bits=12)
    data.file_meta.TransferSyntaxUID = syntax
    np.testing.assert_array_equal(read(tmp_path, data).pixels, stretched(DEEP))


def test_big_endian(tmp_path: Path) -> None:
    data = dataset(DEEP, bits=12)
    data.PixelData = DEEP.astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data["PixelData"].VR = "OW"
    pydicom.dcmwrite(tmp_path / "a.dcm", data, implicit_vr=False, little_endian=False)
    np.testing.assert_array_equal(read_radiograph(tmp_path / "a.dcm").pixels, stretched(DEEP))


@pytest.mark.parametrize("syntax", ["rle", "lossless", "jls", "j2k", "htj2k"])
def test_lossless_compressions(tmp_path: Path, syntax: str) -> None:
    data = packed(dataset(DEEP, bits=12), syntax)
    np.testing.assert_array_equal(read(tmp_path, data).pixels, stretched(DEEP))


@pytest.mark.parametrize("syntax", ["rle", "lossless", "jls", "j2k"])
def test_lossless_compressions_of_signed_values(tmp_path: Path, syntax: str) -> None:
    """A codec gives unsigned values of 16 bits; the header says that they are signed ones of 12."""
    stored = DEEP.astype(np.int16) // 2 - 900
    data = dataset(stored, bits=12)
    frame = packed(dataset(stored.view(np.uint16) & 0xFFF), syntax)
    found = read(tmp_path, with_frame(data, frame_of(frame), frame.file_meta.TransferSyntaxUID))
    np.testing.assert_array_equal(found.pixels, stretched(DEEP // 2))


def test_jpeg_extended_of_12_bits(tmp_path: Path) -> None:
    found = read(tmp_path, packed(dataset(DEEP, bits=12), "extended"))
    assert np.abs(found.pixels.astype(float) - stretched(DEEP)).mean() < 1000


@pytest.mark.parametrize("syntax", ["rle", "lossless", "jls", "j2k"])
def test_compressed_colour(tmp_path: Path, syntax: str) -> None:
    colour = np.repeat(FILM[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(read(tmp_path, packed(dataset(colour), syntax)).pixels, FILM)


@pytest.mark.parametrize("padding", [b"\0", b"\xff", b" ", b"\xff\xff\xff", bytes(200), b"  \0\0"])
@pytest.mark.parametrize("syntax", ["jpeg", "lossless", "jls", "j2k"])
def test_padding_behind_the_end_marker(tmp_path: Path, syntax: str, padding: bytes) -> None:
    data = packed(dataset(FILM), syntax)
    plain = read(tmp_path, data).pixels
    found = read(tmp_path, with_frame(data, frame_of(data) + padding, data.file_meta.TransferSyntaxUID))
    np.testing.assert_array_equal(found.pixels, plain)


def test_jpeg_baseline(tmp_path: Path) -> None:
    for picture in (FILM, np.repeat(FILM[:, :, None], 3, axis=2)):
        found = read(tmp_path, jpeg_baseline(dataset(picture)))
        assert np.abs(found.pixels.astype(int) - FILM).mean() < 2


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("syntax", ["raw", "rle", "jls", "j2k", "jpeg"])
def test_truncated(tmp_path: Path, syntax: str, kept: float) -> None:
    data = dataset(FILM)
    if syntax != "raw":
        data = packed(data, syntax)
    path = save(tmp_path / "a.dcm", data)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ImageError, match="truncated"):
        read_radiograph(path)


@pytest.mark.parametrize("syntax", ["jls", "j2k", "jpeg", "lossless", "extended"])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"])
def test_a_frame_that_was_cut(tmp_path: Path, syntax: str, end: bytes) -> None:
    """Also one that was given its end marker back."""
    data = packed(dataset(DEEP if syntax == "extended" else FILM), syntax)
    frame = frame_of(data)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read(tmp_path, with_frame(data, frame[: len(frame) // 2] + end, data.file_meta.TransferSyntaxUID))


@pytest.mark.parametrize("syntax", ["jls", "j2k", "jpeg"])
def test_a_frame_without_its_end(tmp_path: Path, syntax: str) -> None:
    """The file is whole, but the stream inside was cut before it was packed."""
    data = packed(dataset(FILM), syntax)
    frame = pydicom.encaps.get_frame(data.PixelData, 0, number_of_frames=1)
    data.PixelData = pydicom.encaps.encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(ImageError, match="no end marker"):
        read(tmp_path, data)


@pytest.mark.parametrize("syntax", ["jls", "jpeg", "j2k", "lossless"])
def test_a_frame_of_another_size(tmp_path: Path, syntax: str) -> None:
    data = packed(dataset(FILM[:80]), syntax)
    data.Rows = 90
    with pytest.raises(ImageError, match="found 160x80 in the picture data, 160x90 in the header"):
        read(tmp_path, data)


@pytest.mark.parametrize("length", [0, 1, 131, 132, 140, 200, 400, 500])
def test_only_a_head(tmp_path: Path, length: int) -> None:
    path = save(tmp_path / "a.dcm", dataset(DEEP))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ImageError):
        read_radiograph(path)


@settings(max_examples=120, deadline=None)
@given(where=st.integers(128, 1500), value=st.integers(0, 255))
def test_a_changed_byte_never_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, where: int, value: int
) -> None:
    whole = dataset(FILM[:20, :30], PixelSpacing=[0.1, 0.1], WindowCenter=9, WindowWidth=9)
    path = save(tmp_path_factory.mktemp("byte") / "a.dcm", whole)
    data = bytearray(path.read_bytes())
    data[where % len(data)] = value
    path.write_bytes(data)
    try:
        found = read_radiograph(path)
    except ImageError:
        return
    assert found.pixels.ndim == 2


def test_video_is_refused(tmp_path: Path) -> None:
    data = jpeg_baseline(dataset(FILM))
    data.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")
    with pytest.raises(ImageError, match=r"cannot be decoded; found MPEG2 .*gdcmconv --raw"):
        read(tmp_path, data)
    data.file_meta.TransferSyntaxUID = UID("1.2.3.4.5")
    with pytest.raises(ImageError, match=r"found 1\.2\.3\.4\.5;"):
        read(tmp_path, data)


def test_run_lengths_end_with_the_picture(tmp_path: Path) -> None:
    """A frame that would unpack to a hundred times its picture is refused at once, and so is one that is short."""
    data = packed(dataset(FILM), "rle")
    frame = bytearray(frame_of(data))
    over = bytes(frame[:64]) + b"\x81\0" * 2_000_000
    for body in (over, bytes(frame[:-400])):
        with pytest.raises(ImageError, match="damaged or truncated"):
            read(tmp_path, with_frame(data, body, data.file_meta.TransferSyntaxUID))


def test_a_compressed_frame_is_bounded_by_its_header(tmp_path: Path) -> None:
    data = packed(dataset(FILM), "j2k")
    data.Rows = data.Columns = 12000
    data.BitsAllocated = 16
    with pytest.raises(ImageError, match="unpacks to more"):
        read(tmp_path, data)


@pytest.mark.parametrize("low", [0, 2, 4])
def test_high_bit(tmp_path: Path, low: int) -> None:
    """The stored bits need not be the lowest ones; what lies beside them is no grey."""
    soiled = (DEEP << low) | np.uint16((1 << low) - 1)
    if low < 4:
        soiled |= np.uint16(0x8000)
    data = dataset(soiled, bits=12)
    data.HighBit = 11 + low
    np.testing.assert_array_equal(read(tmp_path, data).pixels, stretched(DEEP))
    compressed = packed(dataset(soiled, bits=12), "rle")
    compressed.HighBit = 11 + low
    np.testing.assert_array_equal(read(tmp_path, compressed).pixels, stretched(DEEP))


# --- what is not a picture -------------------------------------------------------------------


def test_without_preamble(tmp_path: Path) -> None:
    """Older exports begin with the data set itself, implicit or explicit."""
    for implicit in (True, False):
        data = dataset(DEEP, bits=12)
        del data.file_meta
        path = tmp_path / "a"
        pydicom.dcmwrite(path, pydicom.Dataset(data), implicit_vr=implicit, little_endian=True)
        np.testing.assert_array_equal(read_radiograph(path).pixels, stretched(DEEP))


def test_with_the_preamble_of_a_tiff(tmp_path: Path) -> None:
    """PS3.10, 7.1: the first 128 bytes may be the head of a TIFF of the same pixels."""
    path = save(tmp_path / "a.dcm", dataset(DEEP, bits=12))
    path.write_bytes(b"II*\0" + struct.pack("<I", 2000) + path.read_bytes()[8:])
    np.testing.assert_array_equal(read_radiograph(path).pixels, stretched(DEEP))


@pytest.mark.parametrize(
    ("sop_class", "phrase"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "found a segmentation"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "found a label map segmentation"),
        ("1.2.840.10008.5.1.4.1.1.30", "found a parametric map"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "found a radiotherapy dose"),
        ("1.2.840.10008.1.3.10", "the index of a DICOM folder"),
    ],
)
def test_what_was_made_from_pictures_is_none(tmp_path: Path, sop_class: str, phrase: str) -> None:
    with pytest.raises(ImageError, match=phrase):
        read(tmp_path, dataset(DEEP, sop_class=sop_class))


@pytest.mark.parametrize(
    "sop_class",
    ["1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.59"],
)
def test_what_has_no_picture_is_named(tmp_path: Path, sop_class: str) -> None:
    data = dataset(DEEP, sop_class=sop_class)
    for name in ("Rows", "Columns", "PixelData"):
        delattr(data, name)
    with pytest.raises(ImageError, match=f"without a picture; found {pydicom.uid.UID(sop_class).name}"):
        read(tmp_path, data)


def test_another_kind_of_picture_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, dataset(DEEP, sop_class="1.2.840.10008.5.1.4.1.1.2"))
    assert found.provenance.notes == ("it is no projection radiograph: CT Image",)


def test_report_is_not_a_picture(tmp_path: Path) -> None:
    data = dataset(DEEP, sop_class="1.2.840.10008.5.1.4.1.1.88.11")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(data, name)
    with pytest.raises(ImageError, match="without a picture; found Basic Text SR Storage"):
        read(tmp_path, data)
    del data.SOPClassUID
    data.file_meta.MediaStorageSOPClassUID = UID("1.2.3")
    with pytest.raises(ImageError, match="without a picture"):
        read(tmp_path, data)


def test_preamble_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(ImageError, match="without a picture; found no SOP class"):
        read_radiograph(tmp_path / "a.dcm")


def test_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    data = dataset(DEEP)
    data.Rows = data.Columns = 30000
    with pytest.raises(ImageError, match="900 million pixels"):
        read(tmp_path, data)


def test_deflated_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(np.zeros((2000, 2000), np.uint16))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(tmp_path / "a.dcm", data)
    assert path.stat().st_size < 20_000
    assert not read_radiograph(path).pixels.any()
    monkeypatch.setattr("ossa.radiograph.dicom.read.MAX_FRAME", 6_000_000)
    with pytest.raises(ImageError, match="unpacks to more"):
        read_radiograph(path)


def test_oversized_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ossa.radiograph.dicom.read.MAX_IMAGE_BYTES", 1000)
    with pytest.raises(ImageError, match="too large"):
        read(tmp_path, dataset(DEEP))


def test_deflated_rubbish(tmp_path: Path) -> None:
    data = dataset(DEEP)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(tmp_path / "a.dcm", data)
    whole = path.read_bytes()
    at = whole.index(struct.pack("<HH", 2, 0)) + 12 + struct.unpack_from("<I", whole, 140)[0]
    path.write_bytes(whole[:at] + zlib.compress(b"not a data set")[::-1])
    with pytest.raises(ImageError):
        read_radiograph(path)


def test_size_from_the_header(tmp_path: Path) -> None:
    assert read_size(save(tmp_path / "a.dcm", dataset(DEEP[:50, :70]))) == (50, 70)
    data = dataset(DEEP)
    data.Rows = data.Columns = 30000
    with pytest.raises(ImageError, match="900 million pixels"):
        read_size(save(tmp_path / "b.dcm", data))
