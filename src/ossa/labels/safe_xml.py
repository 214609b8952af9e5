"""XML label files read without what makes XML dangerous: entities, document types, endless nesting.

Python's own expat expands entities that a file defines (a few hundred bytes become gigabytes) and names files by them.
No label file needs a document type, so the first sign of one ends the reading.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from ossa.errors import LabelError

#: Largest XML label, in bytes: one describes a whole set.
MAX_XML_BYTES = 400_000_000

#: Elements within elements. CVAT has 5.
_DEEPEST = 40


def read_xml(path: Path, limit: int = MAX_XML_BYTES) -> Element:
    """The root element of an XML file. Raises LabelError for what is missing, too large, broken or has a document type.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.xml"
    ...     _ = file.write_text("<annotations><version>1.1</version></annotations>")
    ...     read_xml(file).findtext("version")
    '1.1'
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise LabelError("the file is too large", path=path, found=f"{size:,} bytes", expected=f"at most {limit:,}")
        data = path.read_bytes()
    except OSError as error:
        raise LabelError("cannot be read", path=path, found=error.strerror or str(error)) from error
    return parse_xml(data, path)


def parse_xml(data: bytes, path: Path) -> Element:
    """The root element of an XML text; errors, which name ``path``, as ``read_xml``."""
    builder, parser = TreeBuilder(), expat.ParserCreate()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise LabelError("is nested too deep for a label", path=path, expected=f"at most {_DEEPEST} levels")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> NoReturn:
        raise LabelError(
            "has a document type or entities, which a label does not need and ossa does not expand",
            path=path,
            found="<!DOCTYPE or <!ENTITY",
            remedy="Remove it, if you trust where the file comes from",
        )

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    # expat tells of unknown encodings by LookupError, of text that none holds by ValueError.
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        raise LabelError("is not valid XML", path=path, found=str(error)[:100], expected="an XML label file") from error
