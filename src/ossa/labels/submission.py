"""The competition's submission file, in and out: one row of run lengths per image and bone.

Writing streams; reading keeps only where each row lies in the file, so that a submission of any size
takes little memory, and a Segmentation is decoded when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from io import BufferedReader
from os import PathLike
from pathlib import Path

from ossa import safety
from ossa.errors import SubmissionError
from ossa.schema import BoneSchema
from ossa.segmentation import rle
from ossa.segmentation.segmentation import Segmentation

#: The header, in the competition's order.
COLUMNS = ("image_name", "class", "rle")

#: Longest accepted line, in bytes: the run lengths of a bone of pure noise in the largest picture are shorter.
MAX_LINE_BYTES = 32_000_000

#: One (H, W) for all images, one for each, or none yet.
Shapes = tuple[int, int] | Mapping[str, tuple[int, int]] | None


def write_submission(path: str | PathLike[str], rows: Iterable[tuple[str, Segmentation]]) -> int:
    """Write one row per image and bone, bones in schema order, absent ones empty; give the number of images.

    ``rows`` yields (image base name with extension, Segmentation) and may be a generator: one image is held
    at a time. Raises SubmissionError for an image that comes twice or a name that would break the file,
    OutputError when the file cannot be written; then nothing is left of it.

    >>> found = ossa.Segmentation(ossa.load_schema(), (8, 8), {"Radius": ossa.Region(2, 3, np.ones((1, 2), bool))})
    >>> ossa.write_submission("submission.csv", [("hand.png", found)])  # the number of images
    1
    """
    return write_texts(path, ((image, _texts(segmentation)) for image, segmentation in rows))


def write_texts(path: str | PathLike[str], rows: Iterable[tuple[str, Mapping[str, str]]]) -> int:
    """As ``write_submission``, from run lengths that are text already: (image, bone -> text), bones in schema order."""
    seen: set[str] = set()
    with safety.replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        stream.write(",".join(COLUMNS) + "\n")
        for image, texts in rows:
            if image in seen:
                raise SubmissionError("an image comes twice", path=path, found=repr(image), expected="each image once")
            seen.add(image)
            stream.write(_rows(image, texts, path))
    return len(seen)


def submission_rows(image: str, segmentation: Segmentation, path: str | PathLike[str] = "") -> str:
    """The rows of one image, each with its line end; ``path`` names the file in errors."""
    return _rows(image, _texts(segmentation), path)


def _texts(segmentation: Segmentation) -> dict[str, str]:
    """Bone -> run lengths, "" for an absent one, in schema order."""
    width = segmentation.shape[1]
    return {name: rle.text_from_region(segmentation.get(name), width) for name in segmentation.schema.names}


def _rows(image: str, texts: Mapping[str, str], path: str | PathLike[str]) -> str:
    quoted = _quoted(image, path)
    return "".join(f"{quoted},{_quoted(name, path)},{text}\n" for name, text in texts.items())


def _quoted(text: str, path: str | PathLike[str]) -> str:
    if not text.strip() or "\n" in text or "\r" in text:
        raise SubmissionError(
            "a name cannot stand in a CSV row", path=path, found=repr(text), expected="one line of text"
        )
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') or text != text.strip() else text


class Submission(Mapping[str, Segmentation]):
    """A submission file: image name -> Segmentation, decoded from the file at each access.

    Images come in the file's order. ``submission.text(image, bone)`` gives the run lengths as they stand.
    A row with broken run lengths raises SubmissionError, with file and line, when its image is decoded.
    """

    def __init__(
        self,
        path: Path,
        schema: BoneSchema,
        shape: Shapes,
        index: Mapping[str, Mapping[str, tuple[int, int]]],
        columns: Mapping[str, int],
    ) -> None:
        self.path = path
        self.schema = schema
        self._shape = shape
        self._index = index
        self._columns = columns

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __contains__(self, image: object) -> bool:
        return image in self._index

    def __getitem__(self, image: str) -> Segmentation:
        shape = self.shape(image)
        regions = {}
        for name, text in self.texts(image).items():
            try:
                region = rle.region_from_text(text, shape)
            except SubmissionError as error:
                raise SubmissionError(
                    f"line {self._index[image][name][0]} ({image}, {name}): {error.what}",
                    path=self.path,
                    found=error.found,
                    expected=error.expected,
                ) from error
            if region is not None:
                regions[name] = region
        return Segmentation(self.schema, shape, regions)

    def texts(self, image: str) -> dict[str, str]:
        """The run lengths of every bone of an image as they stand in the file, in its order; "" for an absent bone."""
        with _opened(self.path) as stream:
            return {name: self._text(stream, image, name) for name in self._index[image]}

    def text(self, image: str, name: str) -> str:
        """The run lengths of one bone as they stand in the file; "" when it is absent."""
        with _opened(self.path) as stream:
            return self._text(stream, image, name)

    def shape(self, image: str) -> tuple[int, int]:
        """The (H, W) an image's run lengths are read in; SubmissionError when it was not given."""
        shape = self._shape.get(image) if isinstance(self._shape, Mapping) else self._shape
        if shape is None:
            raise SubmissionError(
                "the size of an image is not known",
                path=self.path,
                found=repr(image),
                remedy="Give the folder of its images, or its size",
            )
        return shape

    def with_shape(self, shape: Shapes) -> Submission:
        """The same file, its run lengths read in another (H, W)."""
        return Submission(self.path, self.schema, shape, self._index, self._columns)

    def _text(self, stream: BufferedReader, image: str, name: str) -> str:
        line, offset = self._index[image][name]
        stream.seek(offset)
        fields = _fields(_line(stream, self.path, line), self.path, line)
        if len(fields) != self._columns["fields"] or _key(fields, self._columns) != (image, name):
            raise SubmissionError(
                "the file has changed since it was opened",
                path=self.path,
                found=f"another row at line {line}",
                expected=f"{image}, {name}",
                remedy="Read it again",
            )
        text = fields[self._columns["rle"]].strip()
        return "" if text.lower() == "nan" else text


def read_submission(path: str | PathLike[str], schema: BoneSchema, shape: Shapes = None) -> Submission:
    """Open a submission file and check that every image has every bone of ``schema`` exactly once.

    ``shape`` is the (H, W) of all images, or one per image name: the file does not say it, and without it nothing can
    be decoded (``with_shape`` gives it later). Rows and columns may come in any order,
    further columns are ignored; quoted fields, CRLF, a byte-order mark and ``nan`` for an empty mask are
    read. Raises SubmissionError for a wrong header, a row with other than the header's fields, an unknown
    bone, an image and bone that come twice, and images that lack bones.

    >>> found = ossa.Segmentation(ossa.load_schema(), (8, 8), {"Radius": ossa.Region(2, 3, np.ones((1, 2), bool))})
    >>> ossa.write_submission("submission.csv", [("hand.png", found)])
    1
    >>> submission = ossa.read_submission("submission.csv", ossa.load_schema(), (8, 8))
    >>> submission.text("hand.png", "Radius"), submission["hand.png"]["Radius"].area
    ('20 2', 2)
    """
    where = Path(path)
    index: dict[str, dict[str, tuple[int, int]]] = {}
    with _opened(where) as stream:
        size = where.stat().st_size
        if size > safety.MAX_TEXT_BYTES:
            raise SubmissionError(
                "the file is too large",
                path=where,
                found=f"{size:,} bytes",
                expected=f"at most {safety.MAX_TEXT_BYTES:,}",
            )
        offset = len(first := _line(stream, where, 1))
        header = _header(first, where)
        line = 1
        while raw := _line(stream, where, line := line + 1):
            if raw.strip():
                fields = _fields(raw, where, line)
                if len(fields) != header["fields"]:
                    raise SubmissionError(
                        f"line {line} does not fit the header",
                        path=where,
                        found=f"{len(fields)} fields",
                        expected=f"{header['fields']}",
                    )
                image, name = _key(fields, header)
                bones = index.setdefault(image, {})
                if name not in schema:
                    raise SubmissionError(
                        f"line {line} names a bone that schema '{schema.name}' does not have",
                        path=where,
                        found=repr(name),
                        expected=_nearest(name, schema),
                    )
                if name in bones:
                    raise SubmissionError(
                        f"line {line} repeats an image and bone",
                        path=where,
                        found=f"{image}, {name}, also at line {bones[name][0]}",
                    )
                bones[name] = (line, offset)
            offset += len(raw)
    _complete(index, schema, where)
    return Submission(where, schema, shape, index, header)


def _key(fields: Sequence[str], columns: Mapping[str, int]) -> tuple[str, str]:
    """The image and bone of a row."""
    return fields[columns["image_name"]], fields[columns["class"]].strip()


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise SubmissionError("cannot be read", path=path, found=error.strerror or str(error)) from error


def _line(stream: BufferedReader, path: Path, line: int) -> bytes:
    """The next line with its end; empty at the end of the file. SubmissionError for one without end."""
    raw = stream.readline(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        raise SubmissionError(
            f"line {line} is too long", path=path, found=repr(raw[:40]), expected=f"at most {MAX_LINE_BYTES:,} bytes"
        )
    return raw


def _header(raw: bytes, path: Path) -> dict[str, int]:
    """Column name -> position, and how many fields a row has."""
    names = [name.strip() for name in _fields(raw.removeprefix(b"\xef\xbb\xbf"), path, 1)]
    missing = [column for column in COLUMNS if names.count(column) != 1]
    if missing:
        raise SubmissionError(
            "is not a submission file",
            path=path,
            found="an empty file" if not raw else f"the header {','.join(names)[:80]!r}",
            expected=",".join(COLUMNS),
        )
    return {column: names.index(column) for column in COLUMNS} | {"fields": len(names)}


def _complete(index: Mapping[str, Mapping[str, object]], schema: BoneSchema, path: Path) -> None:
    lacking = {
        image: [n for n in schema.names if n not in bones] for image, bones in index.items() if len(bones) < len(schema)
    }
    if not index:
        raise SubmissionError("holds no rows", path=path, expected="one row per image and bone")
    if lacking:
        image, names = next(iter(lacking.items()))
        others = f" (and {len(lacking) - 1} more images lack bones)" if len(lacking) > 1 else ""
        raise SubmissionError(
            f"image {image} lacks {len(names)} of {len(schema)} bones{others}",
            path=path,
            found="no row for " + ", ".join(names),
            expected="one row per image and bone, with an empty rle for a bone that is absent",
        )


def _nearest(name: str, schema: BoneSchema) -> str:
    near = get_close_matches(name, schema.names, n=1)
    return f"perhaps '{near[0]}'" if near else "one of " + ", ".join(schema.names)


#: Possessive, so that no place to go back to is kept: they would take a hundred times the memory of a long field.
_FIELD = re.compile(r'\s*+"((?:[^"]++|"")*+)"\s*+(?:,|$)|([^,"]*+)(?:,|$)')


def first_field(line: str) -> str:
    """The first field of a CSV's line, however long the rest: the csv module reads no field over 128 kB."""
    match = _FIELD.match(line)
    if match is None:  # a quote that is not closed
        return line.partition(",")[0]
    return match[1].replace('""', '"') if match[1] is not None else match[2]


def _fields(raw: bytes, path: Path, line: int) -> list[str]:
    """The fields of one line. Not the csv module: its limit of 131,072 characters a field is global."""
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SubmissionError(
            f"line {line} is not UTF-8 text", path=path, found=str(error), expected="a CSV text file"
        ) from error
    if '"' not in text:
        return text.split(",")
    fields = []
    position = 0
    while True:
        match = _FIELD.match(text, position)
        if match is None:
            raise SubmissionError(f"line {line} has a quote that is not closed", path=path, found=repr(text[:60]))
        fields.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        position = match.end()
        if not match[0].endswith(","):
            return fields
