"""Numbers as HTML tables: those of the hand with their drawings, those of the bones; both hands side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ossa.measurement.anatomy import CUT
from ossa.measurement.definitions import DEFINITIONS
from ossa.measurement.types import HandMeasurements, Measurement
from ossa.pages.page import escape
from ossa.pages.report.content import ReportHand
from ossa.pages.report.figure import Shown, panel
from ossa.pages.report.words import Words

#: What is told of a bone beside another hand, and of a bone of a single hand. "width" is a carpal's, of the other bones
#: the width at the middle.
_BESIDE = ("length", "width")
_ALONE = ("length", "length_z", "width", "width_base", "width_head", "joint_space", "area")

#: (measurement, bone) -> left less right as text.
Differences = Mapping[tuple[str, str | None], str]


def hand_table(hands: Sequence[ReportHand], views: Sequence[Shown], differences: Differences, words: Words) -> str:
    """A row per measurement of the hand: what it is, a drawing and the number of each hand, and the difference."""
    rows = []
    for name in dict.fromkeys(one.name for hand in hands for one in hand.measurements.of_hand()):
        definition = DEFINITIONS[name]
        cells = []
        for number, (hand, view) in enumerate(zip(hands, views, strict=True)):
            one = hand.measurements.get(name)
            drawn = "" if one is None else panel(one, view)
            pick = "" if one is None else _pick(number, name, 0, one)
            cells.append(f"<td{pick}>{drawn}{_value(one, words)}</td>")
        mark = f" <em>{escape(words('experimental'))}</em>" if definition.experimental else ""
        what = (
            f'<th scope="row"><b>{escape(words.title(definition))}</b>{mark}<p>{escape(words.text(definition))}</p>'
            f"<p class=after>{escape(words('source'))}: {escape(definition.source)}</p></th>"
        )
        rows.append(f"<tr>{what}{''.join(cells)}{_difference(differences, name, None)}</tr>")
    heads = f"<th>{escape(words('measurement'))}</th>{_hand_heads(hands, words, 1)}{_last_head(differences, words)}"
    kind = f"hand n{len(hands)}" + (" apart" if differences else "")
    table = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class=wide><table class="{kind}">{table}</table></div>'


def bone_table(hands: Sequence[ReportHand], differences: Differences, words: Words) -> str:
    """A row per bone: its number and colour as in the pictures, its sizes in each hand, the confidence."""
    wanted = _ALONE if len(hands) == 1 else _BESIDE
    # Where nothing has millimetres there is no column of scores against norms.
    names = [name for name in wanted if name != "length_z" or scored(hands)]
    rows = []
    reasons: dict[str, int] = {}
    for index, bone in enumerate(words.schema.bones, 1):
        if not any(hand.measurements.of_bone(bone.name) for hand in hands):
            continue
        colour = "#{:02x}{:02x}{:02x}".format(*bone.colour)
        what = (
            f'<th scope="row" data-row="{index}"><span class=no>{index}</span><i style="background:{colour}"></i>'
            f"{escape(words.bone(bone))}</th>"
        )
        cells = "".join(
            _bone_cells(number, hand, bone.name, index, names, reasons, words) for number, hand in enumerate(hands)
        )
        rows.append(f"<tr>{what}{cells}{_difference(differences, 'length', bone.name)}</tr>")
    columns = "".join(f"<th>{escape(_column(name, words))}</th>" for name in names)
    columns += f"<th>{escape(words('confidence'))}</th>"
    bone_head = escape(words("bone"))
    if len(hands) == 1:
        head = f"<tr><th>{bone_head}</th>{columns}</tr>"
    else:
        last = f"<th rowspan=2>{escape(words('difference'))}<br>{escape(_column('length', words))}</th>"
        last = last if differences else ""
        heads = _hand_heads(hands, words, len(names) + 1)
        head = f"<tr><th rowspan=2>{bone_head}</th>{heads}{last}</tr><tr>{columns * len(hands)}</tr>"
    table = f"<table class=bones><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
    notes = "; ".join(f"<sup>{number}</sup> {escape(reason)}" for reason, number in reasons.items())
    return f"<div class=wide>{table}</div>" + (f"<p class=soft>{notes}</p>" if notes else "")


def _bone_cells(
    number: int,
    hand: ReportHand,
    bone: str,
    index: int,
    names: Sequence[str],
    notes: dict[str, int],
    words: Words,
) -> str:
    """The numbers of one bone; where there is none at all, the reason over all columns.

    A single number that is missing has no room for its reason: it gets a number in ``notes``, below the table.
    """
    numbers = hand.measurements
    found = [_of_bone(numbers, name, bone) for name in names]
    sure = numbers.confidence.get(bone)
    told = "" if sure is None else f"{sure:.2f}"
    reasons = {one.reason for one in found if one is not None}
    if not reasons and bone in numbers.cut:
        reasons = {CUT}
    if len(reasons) == 1 and None not in reasons:
        reason = words.reason(str(reasons.pop()))
        return f"<td class=why colspan={len(names)}>{escape(reason)}</td><td>{told}</td>"
    cells = []
    for one in found:
        if one is None:
            cells.append("<td></td>")
        elif one.reason is not None:
            why = words.reason(one.reason)
            note = notes.setdefault(why, len(notes) + 1)
            cells.append(f'<td title="{escape(why)}">– <sup>{note}</sup></td>')
        elif one.name == "length_z":
            cells.append(
                f"<td>{escape(typographic(f'{one.value:.1f}'))}</td>"
            )  # a narrow column: the length has its +-
        else:
            cells.append(f"<td{_pick(number, one.name, index, one)}>{_value(one, words)}</td>")
    return f"{''.join(cells)}<td>{told}</td>"


def scored(hands: Sequence[ReportHand]) -> bool:
    """Whether the table has a column of scores: of one hand with millimetres."""
    numbers = hands[0].measurements
    return len(hands) == 1 and any(one.name == "length_z" and one.value is not None for one in numbers)


def _of_bone(numbers: HandMeasurements, name: str, bone: str) -> Measurement | None:
    one = numbers.get(name, bone)
    return numbers.get("width_middle", bone) if one is None and name == "width" else one


def _value(one: Measurement | None, words: Words) -> str:
    if one is None:
        return ""
    if one.reason is not None:
        return f"<span class=why>{escape(words.reason(one.reason))}</span>"
    return f"<span class=value>{escape(pretty(one))}</span>"


def pretty(one: Measurement) -> str:
    """A number with its uncertainty and unit, in typographer's signs."""
    return typographic(one.text)


def typographic(text: str) -> str:
    """Plus-minus and minus signs as they are printed."""
    text = text.replace(" +- ", "\u00a0±\u00a0")
    if re.match(r"-0\.?0*(?![\d.])", text):
        return text[1:]  # nothing is less than nothing
    return f"−{text[1:]}" if text.startswith("-") else text


def _pick(number: int, name: str, index: int, one: Measurement) -> str:
    """What lets the page's script show the drawing of a number on the film."""
    return f' data-pick="{number} {escape(name)} {index}"' if one.strokes else ""


def _difference(differences: Differences, name: str, bone: str | None) -> str:
    return f"<td>{escape(differences.get((name, bone), ''))}</td>" if differences else ""


def _hand_heads(hands: Sequence[ReportHand], words: Words, columns: int) -> str:
    return "".join(f"<th colspan={columns}>{escape(side_title(hand, words))}</th>" for hand in hands)


def _last_head(differences: Differences, words: Words) -> str:
    return f"<th>{escape(words('difference'))}</th>" if differences else ""


def _column(name: str, words: Words) -> str:
    return "z" if name == "length_z" else words.short_title(DEFINITIONS[name])


def side_title(hand: ReportHand, words: Words) -> str:
    """Which hand it is, as the bones lie."""
    return words(f"hand_{hand.measurements.side or 'unknown'}")
