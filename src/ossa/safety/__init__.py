"""Guards for everything that crosses the disk: sizes, whole files, outputs apart from inputs, locks, hashes.

Writers go through ``replacing`` so that a reader never sees half a file; a trip that writes a folder goes through
``output_folder``, which keeps it apart from what is read and from other runs. Readers check sizes before they allocate.
"""

from __future__ import annotations

from ossa.safety.apart import clear_leftovers, contents, output_folder, refuse_inputs
from ossa.safety.lock import LOCK_NAME
from ossa.safety.reading import (
    MAX_IMAGE_BYTES,
    MAX_JSON_BYTES,
    MAX_PIXELS,
    MAX_TEXT_BYTES,
    inside,
    parse_json,
    read_json,
    sha256,
)
from ossa.safety.whole import renewing, replacing, replacing_folder, write_bytes, write_json, write_text
from ossa.safety.yaml_text import parse_yaml

__all__ = [
    "LOCK_NAME",
    "MAX_IMAGE_BYTES",
    "MAX_JSON_BYTES",
    "MAX_PIXELS",
    "MAX_TEXT_BYTES",
    "clear_leftovers",
    "contents",
    "inside",
    "output_folder",
    "parse_json",
    "parse_yaml",
    "read_json",
    "refuse_inputs",
    "renewing",
    "replacing",
    "replacing_folder",
    "sha256",
    "write_bytes",
    "write_json",
    "write_text",
]
