"""What the page says of bones, warnings and measurements, in every language of the report: its words are used here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ossa.measurement.types import HandMeasurements, Measurement
from ossa.pages.report.flags import ORDER, doubtful
from ossa.pages.report.words import LANGUAGES, Said, Words
from ossa.pages.viewer import bones_of
from ossa.schema import BoneSchema

#: A text in every language.
Texts = dict[str, str]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The words for bones of ``schema``, in all languages at once."""

    schema: BoneSchema
    words: dict[str, Words] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", {code: Words(code, self.schema) for code in LANGUAGES})

    def each(self, say: Callable[[Words], str]) -> Texts:
        """One text per language."""
        return {code: say(words) for code, words in self.words.items()}

    def bones(self) -> list[dict[str, Any]]:
        """Every bone for the page: name, group, row, colour, title."""
        return bones_of(self.schema)

    def codes(self, notes: Sequence[str]) -> tuple[str, ...]:
        """The kinds of warnings among a result's notes, the gravest first."""
        groups = {self.words["en"].note(note).group for note in notes}
        return tuple(code for code in ORDER if code in groups)

    def headings(self) -> dict[str, Texts]:
        """What each kind of warning is called."""
        return {code: self.each(lambda words, code=code: words(code, "group")) for code in ORDER}  # type: ignore[misc]

    def warnings(self, notes: Sequence[str]) -> list[dict[str, Any]]:
        """The notes of a result, told in groups: code, how many, title and text."""
        told = {code: self._said(words, notes) for code, words in self.words.items()}
        out = []
        for group in ORDER:
            count = sum(self.words["en"].note(note).group == group for note in dict.fromkeys(notes))
            if not count:
                continue
            text = {
                code: "; ".join(dict.fromkeys(one.text for one in said if one.group == group))
                for code, said in told.items()
            }
            title = self.each(lambda words, group=group: words(group, "group"))  # type: ignore[misc]
            out.append({"code": group, "count": count, "title": title, "text": text})
        return out

    def _said(self, words: Words, notes: Sequence[str]) -> list[Said]:
        said = [words.note(note) for note in dict.fromkeys(notes)]
        return [one for one in (*said, *doubtful(said, words)) if one.text]

    def flags(self, notes: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Bone -> what the notes say of it: code and text."""
        out: dict[str, list[dict[str, Any]]] = {}
        for note in dict.fromkeys(notes):
            said = {code: words.note(note) for code, words in self.words.items()}
            one = said["en"]
            for bone in (name for name in one.bones if name in self.schema):
                text = {code: each.why or self.words[code](each.group, "group") for code, each in said.items()}
                out.setdefault(bone, []).append({"code": one.group, "text": text})
        return out

    def measurement(self, one: Measurement) -> Texts:
        """What a number is called: the bone and the measurement."""

        def say(words: Words) -> str:
            title = words.short_title(one.definition)
            return title if one.bone is None else f"{words.bone(one.bone)}: {title}"

        return self.each(say)

    def rows(self, hand: HandMeasurements) -> list[dict[str, Any]]:
        """Every number of a hand."""
        return [
            {
                "name": one.name,
                "bone": one.bone,
                "title": self.measurement(one),
                "value": None if one.value is None else round(one.value, 4),
                "uncertainty": None if one.uncertainty is None else round(one.uncertainty, 4),
                "unit": one.unit,
                "text": one.text if one.value is not None else None,
                "reason": None if one.reason is None else self._reason(one.reason),
                "experimental": one.definition.experimental,
            }
            for one in hand
        ]

    def _reason(self, reason: str) -> Texts:
        return self.each(lambda words: words.reason(reason))
