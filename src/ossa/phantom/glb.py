"""Meshes out of binary glTF files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ossa.errors import AnatomyError
from ossa.phantom.mesh import MAX_MM, Mesh, closed

#: numpy types of glTF's component types, and the number of components of its element types.
_COMPONENTS: Mapping[int, str] = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC3": 3}

_GLB_HEAD = 20
#: No more is read of a file.
_MAX_BYTES = 64_000_000


def read_glb(path: Path) -> Mesh:
    """The first mesh of a binary glTF file, in the file's own axes and units.

    Raises AnatomyError when the file is missing, damaged, or holds no plain triangles.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES)
        length = int.from_bytes(data[12:16], "little")
        head = json.loads(data[_GLB_HEAD : _GLB_HEAD + length])
        body = data[_GLB_HEAD + length + 8 :]
        part = head["meshes"][0]["primitives"][0]
        vertices = _accessor(head, body, int(part["attributes"]["POSITION"]), 3)
        faces = _accessor(head, body, int(part["indices"]), 1).reshape(-1, 3)
        if not (np.abs(vertices) <= MAX_MM).all() or faces.max(initial=0) >= len(vertices):
            raise ValueError("corners that are no numbers, lie too far away, or are missing")
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise AnatomyError(
            "cannot be read", path=path, found=str(error), expected="a binary glTF file with one mesh of triangles"
        ) from error
    unique, index = np.unique(vertices, axis=0, return_inverse=True)
    joined = index.reshape(-1)[faces].astype(np.int32)
    keep = (joined[:, 0] != joined[:, 1]) & (joined[:, 1] != joined[:, 2]) & (joined[:, 0] != joined[:, 2])
    return closed(Mesh(unique.astype(np.float64), np.ascontiguousarray(joined[keep]))).outward()


def _accessor(head: dict[str, Any], body: bytes, number: int, width: int) -> Any:
    accessor = head["accessors"][number]
    view = head["bufferViews"][accessor["bufferView"]]
    if _WIDTHS[accessor["type"]] != width or "byteStride" in view:
        raise ValueError(f"accessor {number} is not laid out plainly")
    start = int(view.get("byteOffset", 0)) + int(accessor.get("byteOffset", 0))
    flat = np.frombuffer(body, _COMPONENTS[accessor["componentType"]], int(accessor["count"]) * width, start)
    return flat.reshape(-1, width) if width > 1 else flat
