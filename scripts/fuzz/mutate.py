"""Damages files: bytes that flip, go, come twice or from another file; numbers that are too large, none, or no numbers;
JSON whose values are of another kind. All by one random generator.
"""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import zlib
from typing import Any

_WORDS = (
    b"0", b"-1", b"1e999", b"NaN", b"null", b"99999999999999999999", b"1e308", b"-0.0", b'""', b"[]", b"{}", b"true",
    b"2147483648", b"65536", b"0x10", b"[[[[[[", b"\xff\xfe", b"\x00", b"'", b"\n", b",", b"Infinity", b"4294967295",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1e308, -1e308, 0.5, 2**31, 2**63, 10**30, "", "x", "0", "finger-1", "../x", "\0", [],
    {}, [None], [[]], {"a": None}, [1, 2], [[1, 2]], ["x"], "9" * 5000, [0] * 2000, float("nan"), float("inf"),
)  # fmt: skip
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """One of ``seeds`` with one to six damages; every fiftieth as it is."""
    data = rng.choice(seeds)
    if rng.random() < 0.02:
        return data
    if _is_json(data) and rng.random() < 0.6:
        return _json_damage(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(_DAMAGES)(data, seeds, rng) or data
    if data.startswith(b"\x89PNG") and rng.random() < 0.6:
        data = _with_right_sums(data)
    return data


def _at(data: bytes, rng: random.Random) -> int:
    """A place, the beginning of a file more often than the rest: headers are there."""
    reach = min(len(data), 512) if rng.random() < 0.5 else len(data)
    return rng.randrange(max(1, reach))


def _flip(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    out = bytearray(data)
    for _n in range(rng.choice((1, 1, 4, 16))):
        if out:
            out[_at(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(out)


def _overwrite(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at, number = _at(data, rng), rng.choice(_NUMBERS)
    packed = struct.pack(rng.choice(("<I", ">I")), number)[: rng.choice((1, 2, 4))]
    return data[:at] + packed + data[at + len(packed) :]


def _cut(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    return data[: _at(data, rng)]


def _remove(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 200)) :]


def _repeat(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    piece = data[at : at + rng.choice((1, 4, 16, 64, 500))]
    return data[:at] + piece * rng.choice((2, 3, 50)) + data[at:]


def _splice(data: bytes, seeds: list[bytes], rng: random.Random) -> bytes:
    other = rng.choice(seeds)
    return data[: _at(data, rng)] + other[_at(other, rng) :]


def _word(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + rng.choice(_WORDS) + data[at + rng.choice((0, 1, 4)) :]


def _number(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    found = [m.span() for m in re.finditer(rb"-?\d+(\.\d+)?", data[:20_000])]
    if not found:
        return data
    start, stop = rng.choice(found)
    return data[:start] + rng.choice(_WORDS) + data[stop:]


def _noise(data: bytes, _: list[bytes], rng: random.Random) -> bytes:
    at = _at(data, rng)
    return data[:at] + rng.randbytes(rng.choice((1, 8, 64))) + data[at + rng.choice((0, 8, 64)) :]


_DAMAGES = (_flip, _flip, _overwrite, _overwrite, _cut, _remove, _repeat, _splice, _word, _number, _number, _noise)


def _is_json(data: bytes) -> bool:
    return data[:1] in (b"{", b"[")


def _json_damage(data: bytes, rng: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = _with_change(value, rng)
    return json.dumps(value).encode()


def _with_change(value: Any, rng: random.Random) -> Any:
    """``value`` with a change somewhere below: a value of another kind, gone, doubled, or under another name."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        what = rng.random()
        if what < 0.08:
            value.pop(key)
        elif what < 0.12:
            value[rng.choice(("x", "", key.upper()))] = value.pop(key)
        else:
            value[key] = _with_change(value[key], rng)
        return value
    if isinstance(value, list) and value and rng.random() < 0.85:
        i = rng.randrange(len(value))
        what = rng.random()
        if what < 0.08:
            del value[i]
        elif what < 0.16:
            value.extend(copy.deepcopy(value[i]) for _ in range(rng.choice((1, 2, 300))))
        else:
            value[i] = _with_change(value[i], rng)
        return value
    return copy.deepcopy(rng.choice(_VALUES))


def _with_right_sums(data: bytes) -> bytes:
    """A PNG whose chunks' sums fit what they hold now: else nothing behind the first damage is ever looked at."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        body = data[at + 4 : at + 8 + length]
        out += data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out) + data[at:]
