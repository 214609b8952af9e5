"""``ossa config --explain``: every key of a run file as commented YAML, made from the classes of ``keys``."""

from __future__ import annotations

import json
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ossa.config.keys import RunConfig
from ossa.config.load import _sections
from ossa.config.sections import Named


def describe_keys(only: str | None = None) -> str:
    """All keys with type, default and meaning; with ``only`` (a dotted prefix) just those that start with it.

    >>> from ossa.config import describe_keys
    >>> print(describe_keys("train.epochs"), end="")
    train.epochs: 20  # How often validation, and a checkpoint, come [whole number]
    """
    lines = _lines(RunConfig, "", 0) if only is None else _filtered(only)
    return "\n".join(lines) + "\n"


def _filtered(only: str) -> list[str]:
    return [
        f"{key}: {default}  # {meaning} [{kind}]"
        for key, default, meaning, kind in table()
        if key == only or key.startswith(only + ".")
    ]


def table(model: type[BaseModel] = RunConfig, prefix: str = "") -> list[tuple[str, str, str, str]]:
    """(dotted key, default, meaning, type) of every key; a section has the default ''.

    >>> from ossa.config import table
    >>> [key for key, _default, _meaning, _kind in table() if key.startswith("folds.")][:2]
    ['folds.count', 'folds.seed']
    """
    rows = []
    for name, field in model.model_fields.items():
        inner = list(_sections(field.annotation))
        rows.append((prefix + name, "" if inner else _default(field), field.description or "", _type(field.annotation)))
        for section in inner:
            rows += table(section, f"{prefix}{name}.")
    return rows


def _lines(model: type[BaseModel], indent: str, depth: int) -> list[str]:
    out: list[str] = []
    for name, field in model.model_fields.items():
        inner = list(_sections(field.annotation))
        meaning = field.description or ""
        if not inner:
            out.append(f"{indent}{name}: {_default(field)}".ljust(34) + f"  # {meaning} [{_type(field.annotation)}]")
            continue
        if depth == 0:
            out.append("")
        many = get_origin(field.annotation) is tuple
        empty = "[]" if many else ("null" if type(None) in get_args(field.annotation) else None)
        out.append(f"{indent}# {meaning}" + (f"; {empty} when absent, else:" if empty else ""))
        out.append(f"{indent}{name}:" + ("  # a list; each entry has:" if many else ""))
        out += _lines(inner[0], indent + "  ", depth + 1)
        if issubclass(inner[0], Named):
            out.append(f"{indent}  # ... and the arguments of what is named")
    return out


def _default(field: Any) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "(required)"
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, default=str)


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if annotation is type(None):
        return "null"
    if origin is Literal:
        return " | ".join(str(a) for a in get_args(annotation))
    if origin in (Union, types.UnionType):
        return " | ".join(_type(a) for a in get_args(annotation))
    if origin is tuple:
        return "list of " + _type(get_args(annotation)[0])
    if origin is dict:
        return "mapping"
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _type(get_args(annotation)[0])
    names = {"int": "whole number", "float": "number", "str": "text", "bool": "true | false", "Path": "path"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)
