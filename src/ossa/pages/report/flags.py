"""Quality flags in words: what the notes of a result, its numbers and its spacing warn of, told in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ossa.pages.report.content import ReportHand
from ossa.pages.report.words import Said, Words, lower

#: The order in which groups are told, the gravest first.
ORDER = ("hand", "side", "doubtful", "missing", "cut", "scale", "file", "model")

#: Sources of a spacing that is not the bone's own: nothing corrected it for magnification.
_AT_DETECTOR = ("ImagerPixelSpacing", "NominalScannedPixelSpacing")


@dataclass(frozen=True)
class Flag:
    """What is said under one ``heading``; ``foreign``: sentences that stay in English."""

    group: str
    heading: str
    sentences: tuple[str, ...]
    foreign: tuple[str, ...] = ()


def flags_of(hand: ReportHand, version: str, words: Words) -> tuple[Flag, ...]:
    """The flags of one hand, one per group. A sentence that is said twice is told once."""
    said = [words.note(note) for note in dict.fromkeys((*hand.segmentation.notes, *hand.measurements.notes))]
    said += doubtful(said, words)
    said = [one for one in said if one.text]
    if hand.measurements.cut:
        cut = tuple(name for name in words.schema.names if name in hand.measurements.cut)
        said.append(Said("cut", words("cut", "own").format(bones=words.bones(cut))))
    spacing = hand.measurements.spacing
    if spacing is None:
        said.append(Said("scale", words("no_spacing", "own")))
    elif spacing.source.startswith(_AT_DETECTOR):
        said.append(Said("scale", words("at_detector", "own").format(source=spacing.source)))
    origin = hand.segmentation.origin
    if origin is not None and origin.version not in ("", version):
        said.append(Said("model", words("other_model", "own").format(version=origin.version, own=version)))
    return tuple(
        Flag(
            group,
            words(group, "group"),
            tuple(dict.fromkeys(one.text for one in said if one.group == group and not one.foreign)),
            tuple(dict.fromkeys(one.text for one in said if one.group == group and one.foreign)),
        )
        for group in ORDER
        if any(one.group == group for one in said)
    )


def doubtful(said: Sequence[Said], words: Words) -> list[Said]:
    """Doubtful bones by the reason for doubt, in one sentence."""
    by_reason: dict[str, list[str]] = {}
    for one in said:
        if one.why:
            by_reason.setdefault(one.why, []).extend(one.bones)
    told = [
        words("doubtful", "own").format(bones=words.bones(tuple(bones)), why=why) for why, bones in by_reason.items()
    ]
    return [Said("doubtful", "; ".join([told[0], *map(lower, told[1:])]))] if told else []
