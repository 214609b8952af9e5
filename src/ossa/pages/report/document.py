"""The report as one page: films side by side, flags, tables, provenance. Data goes in, one HTML text comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ossa.measurement.sides import compare_sides
from ossa.measurement.types import HandMeasurements, Measurement
from ossa.pages.page import asset, escape, page
from ossa.pages.report.content import Report, ReportHand
from ossa.pages.report.figure import film, shown
from ossa.pages.report.flags import Flag, flags_of
from ossa.pages.report.tables import Differences, bone_table, hand_table, scored, side_title, typographic
from ossa.pages.report.words import Words, lower
from ossa.radiograph.dicom.patient import Patient
from ossa.segmentation.origin import Origin

#: Rows of bones that are switched together.
_ROWS = {
    **dict.fromkeys(("distal", "middle", "proximal", "metacarpal", "metatarsal"), "digits"),
    **{row: row for row in ("carpal", "forearm", "tarsal", "leg")},
}


def report_page(report: Report, language: str = "en") -> str:
    """The report in ``language``, a page that needs nothing beside it. Raises ConfigError for an unknown language."""
    words = Words(language, report.hands[0].segmentation.schema)
    hands = report.hands
    views = [shown(hand) for hand in hands]
    films = "".join(_figure(hand, film(hand, views[k], k, words), words) for k, hand in enumerate(hands))
    flags = "".join(_flags(hand, report, words) for hand in hands)
    differences = differences_of(hands)
    measured = any(len(hand.segmentation) for hand in hands)
    notice = f"<p class=notice>{escape(words('research'))}</p>"
    title = words("title")
    named = ", ".join(dict.fromkeys(hand.file for hand in hands))
    parts = [
        f"<header><h1>{escape(title)}</h1><p class=soft>{escape(named)}</p>{_patient(report.patient, words)}"
        f"{notice}</header>",
        f'<section><h2>{escape(words("films"))}</h2><div class="look n{len(hands)}"><div class=films>{films}</div>'
        f"{_layers(hands, words)}</div></section>",
        f"<section><h2>{escape(words('flags'))}</h2><div class=flags>{flags}</div></section>",
        f"<section><h2>{escape(words('of_hand'))}</h2>{hand_table(hands, views, differences, words)}"
        f"{_remarks(hands, words, ('side_note',))}</section>"
        if measured
        else "",
        f"<section><h2>{escape(words('of_bones'))}</h2>{bone_table(hands, differences, words)}"
        f"{_remarks(hands, words, ('width_note', 'z_note') if scored(hands) else ('width_note',))}</section>"
        if measured
        else "",
        f"<section><h2>{escape(words('provenance'))}</h2><div class=origins>"
        + "".join(_origin(hand, report, words) for hand in hands)
        + f"</div></section><footer>{notice}</footer>",
    ]
    return page(f"{title}: {named}", "\n".join(parts), asset("report.css"), (asset("report.js"),), language)


def differences_of(hands: Sequence[ReportHand]) -> Differences:
    """Left less right where there is one hand of each; nothing for lengths in px of two films."""
    if [hand.measurements.side for hand in hands] != ["L", "R"]:
        return {}
    left, right = hands
    film = left.radiograph is right.radiograph
    return {
        (one.left.name, one.left.bone): typographic(
            Measurement(one.left.name, one.left.bone, one.value, one.uncertainty, one.left.unit).text
        )
        for one in compare_sides(left.measurements, right.measurements, same_film=film)
        if one.value is not None
    }


def _figure(hand: ReportHand, drawn: str, words: Words) -> str:
    caption = f"<b>{escape(side_title(hand, words))}</b> <span class=soft>{escape(hand.file)}</span>"
    return f"<figure>{drawn}<figcaption>{caption}</figcaption></figure>"


def _layers(hands: Sequence[ReportHand], words: Words) -> str:
    """A box to tick per bone, in groups that are ticked together."""
    groups: dict[str, list[str]] = {}
    for index, bone in enumerate(words.schema.bones, 1):
        if not any(bone.name in hand.segmentation for hand in hands):
            continue
        colour = "#{:02x}{:02x}{:02x}".format(*bone.colour)
        kind = _ROWS.get(bone.row, "other")
        if kind == "digits" and words.schema.in_row("metatarsal"):
            kind = "toes"
        groups.setdefault(kind, []).append(
            f'<label><input type=checkbox checked data-toggle="{index}"><span class=no>{index}</span>'
            f'<i style="background:{colour}"></i>{escape(words.bone(bone))}</label>'
        )
    if not groups:
        return ""
    boxes = "".join(
        f"<fieldset><legend><label><input type=checkbox checked data-group>{escape(words(f'row_{kind}'))}</label>"
        f"</legend>{''.join(labels)}</fieldset>"
        for kind, labels in groups.items()
    )
    return (
        f"<details class=layers open><summary>{escape(words('layers'))}</summary><p class=buttons>"
        f"<button type=button data-all=on>{escape(words('all'))}</button> "
        f"<button type=button data-all=off>{escape(words('none'))}</button> "
        f"<label><input type=checkbox checked data-numbers>{escape(words('numbers'))}</label></p>"
        f"<div class=groups>{boxes}</div></details>"
    )


def _flags(hand: ReportHand, report: Report, words: Words) -> str:
    flags = flags_of(hand, report.version, words)
    told = "".join(_flag(flag) for flag in flags) or f"<p>{escape(words('no_flags'))}</p>"
    return f"<div><h3>{escape(side_title(hand, words))}</h3>{told}</div>"


def _flag(flag: Flag) -> str:
    own = escape("; ".join([*flag.sentences[:1], *map(lower, flag.sentences[1:])]))
    foreign = f"<span lang=en>{escape('; '.join(flag.foreign))}</span>" if flag.foreign else ""
    joined = "; ".join(part for part in (own, foreign) if part)
    return f'<p class="flag {escape(flag.group)}"><b>{escape(flag.heading)}</b> {joined}</p>'


def _remarks(hands: Sequence[ReportHand], words: Words, keys: Sequence[str]) -> str:
    """What has to be known of the numbers."""
    told = [words(key) for key in keys]
    for hand in hands:
        edges = hand.measurements.uncertainty_source.startswith("edges")
        told.append(words("uncertainty_edges" if edges else "uncertainty_pixels"))
    return f"<p class=soft>{escape(' '.join(dict.fromkeys(told)))}</p>"


def _patient(patient: Patient | None, words: Words) -> str:
    if patient is None:
        return ""
    sex = words(f"sex_{patient.sex}") if patient.sex in ("M", "F", "O") else patient.sex
    rows = {"name": patient.name, "id": patient.id, "birth": patient.birth, "sex": sex, "date": patient.date}
    return f"<div class=patient>{_facts({words(key): value for key, value in rows.items() if value})}</div>"


def _origin(hand: ReportHand, report: Report, words: Words) -> str:
    height, width = hand.radiograph.shape
    origin = hand.segmentation.origin or Origin("")
    models = " + ".join(model.name for model in origin.models) or words("unknown_model")
    hashes = "; ".join(f"{file} {digest}" for model in origin.models for file, digest in model.files.items())
    licences = ", ".join(dict.fromkeys(model.licence for model in origin.models if model.licence))
    facts = {
        "file": hand.file,
        "format": f"{hand.radiograph.provenance.format}, {hand.radiograph.provenance.bits} bit",
        "size": f"{width} × {height} px",
        "spacing": _spacing(hand.measurements, words),
        "marked": words(f"side_{hand.radiograph.side or 'none'}"),
        "bones_from": words("predicted" if hand.here else "from_results"),
        "model": models,
        "licence": licences,
        "hash": hashes,
        "settings": _settings(origin.settings, words),
        "version": report.version if origin.version in ("", report.version) else f"{origin.version}, {report.version}",
        "made": report.made,
    }
    told = {words(key): value for key, value in facts.items() if value}
    return f"<div><h3>{escape(side_title(hand, words))}</h3>{_facts(told)}</div>"


def _settings(settings: Mapping[str, Any], words: Words) -> str:
    """What the model was asked, in the reader's language; what this version has no word for is left out."""
    told = []
    for name, value in settings.items():
        if not words.has(name, "setting"):
            continue
        if isinstance(value, bool):
            value = words("yes" if value else "no", "setting")
        elif isinstance(value, Mapping):
            value = _thresholds(value, words)
        told.append(f"{words(name, 'setting')}: {value}")
    return "; ".join(told)


def _thresholds(given: Mapping[str, float], words: Words) -> str:
    """One probability, or the least and the greatest of several; .5 of bones of which nothing is said."""
    each = [given.get(name, 0.5) for name in words.schema.names]
    low, high = min(each), max(each)
    return f"{low:g}" if low == high else f"{low:.2g}–{high:.2g} ({words('by_bone', 'setting')})"


def _spacing(numbers: HandMeasurements, words: Words) -> str:
    if numbers.spacing is None:
        return words("no_spacing")
    row, column = numbers.spacing.row, numbers.spacing.column
    size = f"{column:.4g} mm" if math.isclose(row, column, rel_tol=1e-4) else f"{column:.4g} × {row:.4g} mm"
    return f"{size} ({numbers.spacing.source})"


def _facts(rows: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows.items()) + "</dl>"
