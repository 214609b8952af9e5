"""Reading a run file: YAML or JSON, ``key=value`` overrides, errors that name the nearest right key."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from ossa.config.keys import RunConfig
from ossa.errors import ConfigError
from ossa.safety import parse_yaml

#: Largest accepted run file; the longest recipe has under 4 kB.
_MAX_BYTES = 1_000_000


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-3 as a number (YAML 1.1 wants 1.0e-3) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                problem = f"the key '{key}' is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _number_resolver() -> None:
    import re

    _Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


_number_resolver()


def parse(text: str, origin: str | Path) -> dict[str, Any]:
    """The keys of a YAML or JSON text (JSON is YAML). Raises ConfigError that names ``origin`` and the line."""
    try:
        value = parse_yaml(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error) or type(error).__name__
        raise ConfigError("is not valid YAML or JSON", path=origin, found=f"{where}{problem}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError("is not a run file", path=origin, found=type(value).__name__, expected="keys and values")
    return value


def recipes() -> dict[str, str]:
    """The shipped recipes: name -> text.

    >>> from ossa.config import recipes
    >>> "laptop" in recipes()
    True
    """
    folder = files("ossa").joinpath("recipes")
    found = {p.name.removesuffix(".yaml"): p for p in folder.iterdir() if p.name.endswith(".yaml")}
    return {name: found[name].read_text(encoding="utf-8") for name in sorted(found)}


def read_text(source: str | Path) -> tuple[str, str]:
    """Text and origin of a run file: a path, or a shipped recipe as ``laptop`` or ``recipes/laptop.yaml``."""
    path = Path(source)
    if path.is_file():
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError("is too large for a run file", path=path, found=f"{path.stat().st_size:,} bytes")
        try:
            return path.read_text(encoding="utf-8-sig"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("cannot be read", path=path, found=str(error), expected="UTF-8 text") from error
    shipped = recipes()
    name = path.stem if str(path.parent) in (".", "recipes") else None
    if name in shipped:
        return shipped[str(name)], f"recipe {name}"
    near = get_close_matches(path.stem, shipped, n=1)
    raise ConfigError(
        "there is no such run file",
        path=path,
        expected="a YAML or JSON file, or a recipe: " + ", ".join(shipped),
        remedy=f"Perhaps '{near[0]}' is meant" if near else None,
    )


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read, override and check a run file. Raises ConfigError for everything that is wrong with it.

    >>> from ossa.config import load_config
    >>> load_config("laptop", ["train.epochs=3"]).train.epochs
    3
    """
    text, origin = read_text(source)
    values = parse(text, origin)
    for override in overrides:
        apply_override(values, override)
    return check(values, origin)


def check(values: dict[str, Any], origin: str | Path = "run file") -> RunConfig:
    """Validate ``values``; the first problems are told with the nearest right key.

    >>> from ossa.config import check
    >>> check({"train": {"epochz": 3}})
    Traceback (most recent call last):
    ossa.errors.ConfigError: run file: unknown key 'train.epochz', perhaps 'epochs'. See: ossa config --explain
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = [_sentence(problem) for problem in error.errors(include_url=False)]
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        raise ConfigError("; ".join(problems[:3]) + more, path=origin, remedy="See: ossa config --explain") from error


def apply_override(values: dict[str, Any], override: str) -> None:
    """Set one ``key.key=value`` in place; the value is read as YAML, list entries are numbers from 0."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(
            "an override is written key=value", found=f"{override!r:.200}", expected="such as train.epochs=5"
        )
    try:
        value = parse_yaml(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"the value of '{key}' cannot be read", found=f"{text!r:.200}", expected="YAML") from error
    put(values, key, value, override)


def put(values: dict[str, Any], key: str, value: Any, override: str | None = None) -> None:
    """Set one dotted key in place; ``override`` is how the user wrote it. ConfigError for an entry that no list has."""
    said = override or key
    *parents, last = key.split(".")
    target: Any = values
    for part in parents:
        child = _child(target, part, said)
        if child is None:
            child = {}
            _put(target, part, child, said)
        if not isinstance(child, (dict, list)):
            # `loss.dice.weight=1` over `dice: 0.5`, or a key below a plain value: start a section.
            child = {}
            _put(target, part, child, said)
        target = child
    _put(target, last, value, said)


def _child(target: Any, part: str, override: str) -> Any:
    if isinstance(target, list):
        return target[_position(target, part, override)]
    return target.get(part)


def _put(target: Any, part: str, value: Any, override: str) -> None:
    if isinstance(target, list):
        target[_position(target, part, override)] = value
    else:
        target[part] = value


def _position(target: list[Any], part: str, override: str) -> int:
    if part.isdigit() and int(part) < len(target):
        return int(part)
    raise ConfigError(f"the override '{override}' asks for entry '{part}' of a list", expected=f"0..{len(target) - 1}")


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes inside a type (through Optional and tuple)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, types.UnionType, tuple):
        for inner in get_args(annotation):
            yield from _sections(inner)


def all_keys(model: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a run file."""
    for name, field in model.model_fields.items():
        yield prefix + name
        for section in _sections(field.annotation):
            yield from all_keys(section, f"{prefix}{name}.")


def _nearest(location: tuple[Any, ...]) -> str:
    """ "perhaps ..." for an unknown key at ``location``, or the list of right ones."""
    *parents, wrong = location
    section: type[BaseModel] = RunConfig
    for part in parents:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(str(part))
        inner = list(_sections(field.annotation)) if field is not None else []
        if inner:
            section = inner[0]
    siblings = list(section.model_fields)
    near = get_close_matches(str(wrong), siblings, n=1, cutoff=0.6)
    if near:
        return f"perhaps '{near[0]}'"
    elsewhere = [key for key in all_keys() if key.rsplit(".", 1)[-1] == str(wrong)]
    if not elsewhere:
        tails = {key.rsplit(".", 1)[-1]: key for key in all_keys()}
        elsewhere = [tails[t] for t in get_close_matches(str(wrong), tails, n=1, cutoff=0.75)]
    if elsewhere:
        return f"perhaps '{elsewhere[0]}'"
    return "expected one of " + ", ".join(siblings)


def _sentence(problem: Any) -> str:
    location = tuple(problem["loc"])
    key = ".".join(str(part) for part in location) or "run file"
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}', {_nearest(location)}"
    if problem["type"] == "missing":
        return f"the key '{key}' is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    shown = problem.get("input")
    if isinstance(shown, (dict, list, BaseModel)):
        return f"'{key}': {message}" if location else message
    return f"'{key}': {message}, found {shown!r}"


def dump(config: RunConfig) -> dict[str, Any]:
    """The effective config as plain values (paths as text), every default written out.

    >>> from ossa.config import dump, load_config
    >>> dump(load_config("laptop", ["seed=7"]))["seed"]
    7
    """
    value: dict[str, Any] = json.loads(config.model_dump_json())
    return value


def to_yaml(config: RunConfig) -> str:
    """The effective config as YAML that ``load_config`` reads back to the same config.

    >>> from ossa.config import load_config, to_yaml
    >>> print(to_yaml(load_config("laptop"))[:33])
    name: laptop
    output: runs
    seed: 1
    """
    return yaml.safe_dump(dump(config), sort_keys=False, allow_unicode=True, width=100)


def check_arguments(kind: str, name: str, given: dict[str, Any], allowed: Sequence[str]) -> None:
    """Refuse arguments that ``name`` does not take; ConfigError gives the nearest it does.

    >>> from ossa.config import check_arguments
    >>> check_arguments("loss", "focal", {"gama": 2}, ["alpha", "gamma"])
    Traceback (most recent call last):
    ossa.errors.ConfigError: loss 'focal' has no argument 'gama'; expected perhaps 'gamma'
    """
    for argument in given:
        if argument not in allowed:
            near = get_close_matches(argument, allowed, n=1)
            raise ConfigError(
                f"{kind} '{name}' has no argument '{argument}'",
                expected=f"perhaps '{near[0]}'" if near else "one of " + (", ".join(allowed) or "none"),
            )


def unknown_name(kind: str, name: str, known: Sequence[str]) -> ConfigError:
    """The error for a ``kind`` that is not known under ``name``, with the nearest that is.

    >>> from ossa.config import unknown_name
    >>> print(unknown_name("loss", "dise", ["dice", "focal"]))
    no loss is called 'dise'; expected perhaps 'dice'
    """
    near = get_close_matches(name, known, n=1) or [k for k in known if k.lower() == name.lower()]
    return ConfigError(
        f"no {kind} is called '{name}'", expected=f"perhaps '{near[0]}'" if near else "one of " + ", ".join(known)
    )


__all__ = [
    "all_keys",
    "apply_override",
    "check",
    "check_arguments",
    "dump",
    "load_config",
    "parse",
    "put",
    "read_text",
    "recipes",
    "to_yaml",
    "unknown_name",
]
