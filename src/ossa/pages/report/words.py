"""What the report says, in each of its languages: a key goes in, a sentence comes out.

All strings stand in ``words.toml``. What ossa says elsewhere (notes of a result, reasons for missing numbers) is known
again by its wording; a sentence that is not known stays as it is, in English.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from ossa.errors import ConfigError
from ossa.measurement.definitions import Definition
from ossa.schema import Bone, BoneSchema

#: Code of a language (BCP 47) -> its own name.
LANGUAGES = {"en": "English", "ko": "한국어"}


@dataclass(frozen=True)
class Said:
    """A note as the report tells it: ``group`` is a key of the table's groups; ``bones`` and ``why`` where the note
    is that some bones are doubtful, which are told together; ``foreign``: it stays in English.
    """

    group: str
    text: str
    bones: tuple[str, ...] = ()
    why: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Words:
    """The strings of one ``language`` for bones of ``schema``. Raises ConfigError for a language that is not there.

    >>> from ossa import load_schema
    >>> schema = load_schema()
    >>> words = Words("en", schema)
    >>> words.bone(schema.bones[0]), words("flags")
    ('Distal phalanx of the thumb', 'Quality flags')
    """

    language: str
    schema: BoneSchema

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ConfigError(
                "the report does not speak this language",
                found=repr(self.language),
                expected=", ".join(f"{code} ({name})" for code, name in LANGUAGES.items()),
            )

    def __call__(self, key: str, table: str = "text") -> str:
        """The string ``key`` of a ``table``."""
        return str(_table()[table][key][self.language])

    def has(self, key: str, table: str) -> bool:
        """Whether a ``table`` has the string ``key``."""
        return key in _table()[table]

    def bone(self, bone: Bone | str) -> str:
        """The anatomical name of a bone; its title where the table has none."""
        one = self.schema.bone(bone) if isinstance(bone, str) else bone
        table, digit = _table(), str(one.digit)
        if not self.schema.in_row("metacarpal"):  # toes are no fingers
            return one.title
        if one.row in table["row"] and digit in table["digit"]:
            return self("of", "phalanx").format(row=self(one.row, "row"), digit=self(digit, "digit"))
        if one.row == "metacarpal" and digit in table["metacarpal"]:
            return self(digit, "metacarpal")
        return str(table["bone"].get(one.name, {}).get(self.language, one.title))

    def bones(self, names: tuple[str, ...]) -> str:
        """Several bones in a sentence; a word that is no bone's name stays."""
        told = [self.bone(name) if name in self.schema else name for name in names]
        return ", ".join([told[0], *(lower(one) for one in told[1:])]) if told else ""

    def title(self, one: Definition) -> str:
        """What a measurement is called; beside another language's word stands the English term."""
        own = self._measurement(one)
        return one.title if own is None else f"{own[0]} ({one.title})"

    def short_title(self, one: Definition) -> str:
        """The same for the head of a column, without the English term."""
        own = self._measurement(one)
        return one.title if own is None else own[0]

    def text(self, one: Definition) -> str:
        """What is measured, in a sentence or two."""
        own = self._measurement(one)
        return one.text if own is None else own[1]

    def _measurement(self, one: Definition) -> tuple[str, str] | None:
        own = _table()["measurement"].get(one.name, {}).get(self.language)
        return None if own is None else (str(own[0]), str(own[1]))

    def reason(self, reason: str) -> str:
        """Why a number is missing. It may begin with the title of the bone that is to blame."""
        bone, colon, rest = reason.partition(": ")
        named = self._by_title.get(bone) if colon else None
        if named is not None:
            return f"{self.bone(named)}: {self.reason(rest)}"
        return self._known("reason", reason)

    def note(self, note: str) -> Said:
        """A sentence of a result's notes."""
        for entry in _table()["note"]:
            found = _pattern(entry["said"]).fullmatch(note)
            if found is None:
                continue
            parts = found.groupdict()
            bones = tuple(re.split(r",\s*", parts["bones"])) if parts.get("bones") else ()
            if "why" in parts:
                return Said(entry["group"], "", bones, self._known("doubt", parts["why"]))
            text = entry.get(self.language)
            if text is None:
                return Said(entry["group"], self.with_names(note), foreign=self.language != "en")
            named = {key: self.bone(parts[key]) for key in ("first", "second") if parts.get(key) in self.schema}
            filled = _filled(text, found, {**parts, **named, "bones": self.bones(bones)})
            return Said(entry["group"], filled)
        return Said("file", self.with_names(note), foreign=self.language != "en")

    def with_names(self, sentence: str) -> str:
        """A sentence in which labels of the schema have become anatomical names."""
        return self._labels.sub(lambda found: self.bone(found.group()), sentence)

    def _known(self, table: str, said: str) -> str:
        for entry in _table()[table]:
            found = _pattern(entry["said"]).fullmatch(said)
            if found is not None:
                text = entry.get(self.language)
                return said if text is None else _filled(text, found, {})
        return said

    @cached_property
    def _labels(self) -> re.Pattern[str]:
        names = sorted(self.schema.names, key=len, reverse=True)
        return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])")

    @cached_property
    def _by_title(self) -> Mapping[str, Bone]:
        return {bone.title: bone for bone in self.schema.bones}


def lower(name: str) -> str:
    """A name within a sentence."""
    return name[:1].lower() + name[1:]


def _filled(text: str, found: re.Match[str], parts: Mapping[str, str | None]) -> str:
    """``text`` with {1}, {2}, ... and {name} replaced; braces in what is filled in stay what they are."""
    values = {**{str(k + 1): part for k, part in enumerate(found.groups())}, **parts}
    return re.sub(r"\{(\w+)\}", lambda one: str(values.get(one.group(1)) or ""), text)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files("ossa").joinpath("pages", "report", "words.toml").read_text(encoding="utf-8"))


@cache
def _pattern(said: str) -> re.Pattern[str]:
    return re.compile(said, re.DOTALL)
