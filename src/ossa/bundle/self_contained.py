"""Whether an ONNX file holds all of its numbers itself.

A tensor of an ONNX file may live in another file, named by a path inside it. No hash covers that file, and ONNX Runtime
would read whatever stands there; so such a model is refused before it is opened. The core install has no ``onnx``
package, so the file's protocol-buffer fields are walked here: numbers of fields as in onnx.proto3.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from ossa.errors import BundleError

#: Message -> {field: the message in it} on every way to a tensor.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}

#: TensorProto.external_data and TensorProto.data_location.
_EXTERNAL = (13, 14)

#: More fields than this are no network but a way to keep a reader busy (for a second or so).
_MOST = 1_000_000


def check_self_contained(path: Path, data: bytes | None = None) -> None:
    """Raise BundleError when a tensor of the ONNX file ``path`` lies in another file, or the file is damaged.

    ``data``: what it holds, where it lies in a packed model.
    """
    if data is not None:
        _walk(data, path)
        return
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            _walk(mapped, path)
    except OSError as error:
        raise BundleError("cannot be read", path=path, found=error.strerror or str(error)) from error
    except ValueError as error:  # an empty file cannot be mapped
        raise _damaged(path, "0 bytes") from error


def _walk(data: mmap.mmap | bytes, path: Path) -> None:
    waiting = [("model", 0, len(data))]
    count = 0
    while waiting:
        message, place, end = waiting.pop()
        within = _INSIDE.get(message, {})
        while place < end:
            count += 1
            if count > _MOST:
                raise _damaged(path, f"more than {_MOST:,} fields")
            key, place = _number(data, place, end, path)
            field, wire = key >> 3, key & 7
            stop = place
            if wire == 0:
                value, stop = _number(data, place, end, path)
                if message == "tensor" and field == _EXTERNAL[1] and value:
                    raise _external(path)
            elif wire == 1:
                stop = place + 8
            elif wire == 5:
                stop = place + 4
            elif wire == 2:
                length, place = _number(data, place, end, path)
                stop = place + length
                if message == "tensor" and field == _EXTERNAL[0]:
                    raise _external(path)
            else:
                raise _damaged(path, f"a field of kind {wire}")
            if stop > end:
                raise _damaged(path, "a field that leaves its message")
            if wire == 2 and field in within:
                waiting.append((within[field], place, stop))
            place = stop


def _number(data: mmap.mmap | bytes, place: int, end: int, path: Path) -> tuple[int, int]:
    """A variable-length number at ``place`` and where it ends."""
    if place < end and (value := data[place]) < 128:  # nearly every one
        return value, place + 1
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise _damaged(path, "a number that does not end")


def _external(path: Path) -> BundleError:
    return BundleError(
        "the model's numbers lie in another file",
        path=path,
        found="external data",
        expected="one ONNX file that holds everything",
        remedy="Save it again with external_data=False",
    )


def _damaged(path: Path, found: str) -> BundleError:
    return BundleError("is no ONNX file, or a damaged one", path=path, found=found)
