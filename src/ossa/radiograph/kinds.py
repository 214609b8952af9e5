"""What a file is, from its first bytes; and which names are those of pictures."""

from __future__ import annotations

from pathlib import PurePath

from ossa.safety.pictures import ENDINGS

#: How many of a file's first bytes ``sniff`` and ``describe`` look at.
HEAD = 132

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")

#: Leading bytes of files that people give by mistake, to name them in the error.
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 code stream"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\xff\xff\xff\xff", "filled with FF"),
)

#: Brands of the ISO base media format (ISO/IEC 14496-12, box "ftyp") that hold a still picture.
_BRANDS = {
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC picture"),
}


def is_hidden(path: PurePath) -> bool:
    """Whether a file is one that people do not mean: ".hidden", and the "._name" that macOS lays beside its files."""
    return path.name.startswith(".")


def is_picture_name(path: PurePath) -> bool:
    """Whether a file is a picture by its name: one of ENDINGS in upper or lower case, and not hidden."""
    return path.suffix.lower() in ENDINGS and not is_hidden(path)


def sniff(head: bytes) -> str | None:
    """The format of a file from its first HEAD bytes: "PNG", "JPEG", "TIFF", "BMP", "DICOM" or None."""
    if head[128:132] == b"DICM":  # asked first: the 128 bytes before it may be the head of a TIFF (PS3.10, 7.1)
        return "DICOM"
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head[:4] in _TIFF:
        return "TIFF"
    if head.startswith(b"BM"):
        return "BMP"
    # DICOM without its preamble (older exports) begins with a short element of group 0002 or 0008:
    # group, element, then two letters (explicit VR) or a 32-bit length (implicit).
    if len(head) >= 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0:
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if explicit or int.from_bytes(head[4:8], "little") <= 1024:
            return "DICOM"
    return None


def describe(head: bytes) -> str:
    """A phrase for a file that is none of the accepted formats, from its first bytes."""
    for magic, phrase in _OTHERS:
        if head.startswith(magic):
            return phrase
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "a film or picture of the MP4 family")
    if head and not any(head):
        return "filled with zeros"
    if b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return "text that begins " + repr(head[:24].decode("utf-8", "replace"))
    return "bytes that begin " + head[:8].hex(" ")
