"""One radiograph in, answers out: what a server or a node gives back for a picture, in memory.

Every answer is made by the writer whose file ``ossa predict``, ``measure``, ``report`` or ``export`` leaves, so that
its bytes are the same. The picture is looked at once, however many answers are wanted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, ImageError, InputError
from ossa.pipeline.films import Film, check_name, name_films
from ossa.pipeline.several import apart

if TYPE_CHECKING:
    from ossa.inference.hands import Hand
    from ossa.inference.predictor import Predictor
    from ossa.measurement.types import HandMeasurements
    from ossa.radiograph.radiograph import Radiograph, Spacing

JSON, CSV, PNG, HTML, DICOM = "application/json", "text/csv", "image/png", "text/html", "application/dicom"


@dataclass(frozen=True)
class Wanted:
    """What is asked of a picture: ``formats`` of FORMATS; ``spacing`` between rows and columns in mm, before what the
    file says; ``language`` of the report; ``megapixels``: larger pictures are refused from their headers. ``hand``: of
    a film with several hands only this one, by its number from the left ("1") or its side ("left", "right"); all where
    nothing is said.
    """

    formats: tuple[str, ...] = ("json",)
    spacing: tuple[float, float] | None = None
    language: str = "en"
    megapixels: float | None = None
    hand: str | None = None


@dataclass(frozen=True)
class File:
    """One answer: its ``name`` as a file, its media type, its bytes."""

    name: str
    media: str
    data: bytes


@dataclass(frozen=True)
class Reply:
    """All answers for one picture, in the order of the formats; how many ``bones`` were found; the warnings."""

    files: tuple[File, ...]
    bones: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Format:
    """``make`` gives the files of a format; ``measured``: hands are looked at as ``ossa measure`` does.

    ``by_hand``: of a film with several hands there is a file for each.
    """

    media: str
    make: Callable[[Seen], Sequence[File]]
    title: str
    measured: bool = False
    by_hand: bool = False


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture with its hands; ``results``: how the results of each hand are called."""

    film: Film
    radiograph: Radiograph
    hands: tuple[Hand, ...]
    results: tuple[Film, ...]
    wanted: Wanted

    @property
    def spacing(self) -> Spacing | None:
        """The spacing that was given."""
        from ossa.measurement.spacing import spacing_by_user

        return None if self.wanted.spacing is None else spacing_by_user(*self.wanted.spacing)

    @cached_property
    def measured(self) -> tuple[HandMeasurements, ...]:
        """The numbers of every hand."""
        from ossa.pipeline.measured import measure_one

        return tuple(
            measure_one(result.name, hand.segmentation, self.radiograph, spacing=self.spacing)
            for hand, result in zip(self.hands, self.results, strict=True)
        )

    @property
    def name(self) -> str:
        """How files about all of ``hands`` are called: as the film, or as the one hand that was asked for."""
        return self.results[0].name if self.wanted.hand is not None else self.film.name

    @property
    def notes(self) -> tuple[str, ...]:
        """The warnings of all hands, each once."""
        return tuple(dict.fromkeys(note for hand in self.hands for note in hand.segmentation.notes))


def reply(predictor: Predictor, path: str | Path, wanted: Wanted) -> Reply:
    """Look at the radiograph at ``path`` once and make every answer that is ``wanted``.

    Raises ConfigError for a format or a language that is not known, ImageError for what is no radiograph or too large,
    InputError where nothing can be said in a format (DICOM objects of a picture without bones), MissingExtraError.
    """
    check(wanted)
    where = Path(path)
    (film,) = name_films([where])
    check_name(film)
    radiograph = _read(where, wanted.megapixels)
    if any(FORMATS[name].measured for name in wanted.formats):
        predictor = replace(predictor, edges=True)
    hands = predictor.predict_hands(radiograph)
    results = apart(film, [hand.side for hand in hands], lambda _: False)
    if wanted.hand is not None:
        at = _which(wanted.hand, hands, where)
        hands, results = hands[at : at + 1], results[at : at + 1]
    seen = Seen(film, radiograph, hands, tuple(results), wanted)
    # A report comes with its segmentation, which may be asked for as well: each file is there once.
    files = {file.name: file for name in wanted.formats for file in FORMATS[name].make(seen)}
    return Reply(tuple(files.values()), sum(len(hand.segmentation) for hand in hands), seen.notes)


def reply_into(predictor: Predictor, path: str | Path, wanted: Wanted, folder: str | Path) -> Reply:
    """``reply``, its files written into ``folder``, each whole or not at all; the answer comes without their bytes."""
    from ossa.safety import inside, write_bytes

    made = reply(predictor, path, wanted)
    for file in made.files:
        write_bytes(inside(folder, file.name), file.data)
    return replace(made, files=tuple(replace(file, data=b"") for file in made.files))


def check(wanted: Wanted) -> None:
    """Raise ConfigError for a format, a language or a spacing that does not exist; nothing is looked at."""
    from ossa.measurement.spacing import spacing_by_user
    from ossa.pages.report.words import LANGUAGES

    for name in wanted.formats:
        if name not in FORMATS:
            raise ConfigError(f"no answer is called {name[:40]!r}", expected="one of " + ", ".join(FORMATS))
    if not wanted.formats:
        raise ConfigError("no answer is asked for", expected="one of " + ", ".join(FORMATS))
    if wanted.language not in LANGUAGES:
        raise ConfigError(
            "the report does not speak this language", found=wanted.language[:40], expected=", ".join(LANGUAGES)
        )
    if wanted.spacing is not None:
        spacing_by_user(*wanted.spacing)
    if wanted.hand is not None and wanted.hand not in HANDS and not (wanted.hand.isdecimal() and wanted.hand.isascii()):
        raise ConfigError(
            "no hand is called so", found=repr(wanted.hand)[:40], expected="left, right or a number from 1"
        )


#: How a hand may be asked for.
HANDS = {"left": "L", "right": "R"}


def _which(asked: str, hands: Sequence[Hand], path: Path) -> int:
    """The place of the hand that is asked for. Raises InputError where it is not on the film, or is there twice."""
    sides = [hand.side for hand in hands]
    if asked.isdecimal():
        fits = [int(asked) - 1] if 1 <= int(asked) <= len(hands) else []
    else:
        fits = [k for k, side in enumerate(sides) if side == HANDS[asked]]
    if len(fits) == 1:
        return fits[0]
    told = ", ".join(
        f"{k} ({ {'L': 'left', 'R': 'right', None: 'side unknown'}[side] })" for k, side in enumerate(sides, 1)
    )
    raise InputError(
        f"the film has no hand '{asked}'" if not fits else f"the film has several hands '{asked}'",
        path=path,
        found=told,
        expected="one of these, by its number from the left or its side",
        remedy="Leave hand out to get all of them",
    )


def _read(path: Path, megapixels: float | None) -> Radiograph:
    from ossa.radiograph.read import read_radiograph, read_size

    if megapixels is not None:
        height, width = read_size(path)
        if height * width > megapixels * 1e6:
            raise ImageError(
                "is larger than pictures may be here",
                path=path,
                found=f"{width}x{height} = {width * height / 1e6:,.1f} million pixels",
                expected=f"at most {megapixels:g} million",
                remedy="Reduce or crop the picture",
            )
    return read_radiograph(path)


# --- the answers --------------------------------------------------------------------------------------------------


def _json(value: Any) -> bytes:
    """As ``safety.write_json`` writes it."""
    return (json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode("utf-8")


def _outlines(seen: Seen) -> list[File]:
    """One document of all hands; the label of each is that of ``ossa predict``."""
    from ossa.labels.competition import label_of

    height, width = seen.radiograph.shape
    spacing = seen.radiograph.spacing
    hands = [
        {
            "name": result.name,
            "side": hand.side,
            "bones": len(hand.segmentation),
            "label": label_of(hand.segmentation, seen.film.path.name),
        }
        for hand, result in zip(seen.hands, seen.results, strict=True)
    ]
    value = {
        "image": seen.film.image_name,
        "width": width,
        "height": height,
        "spacing": None
        if spacing is None
        else {"row_mm": spacing.row, "column_mm": spacing.column, "source": spacing.source},
        "notes": list(seen.notes),
        "hands": hands,
    }
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return [File(f"{seen.name}.json", JSON, text.encode("utf-8"))]


def _run_lengths(seen: Seen) -> list[File]:
    from ossa.labels.submission import submission_rows
    from ossa.pipeline.parts import HEADER

    rows = (
        submission_rows(result.image_name, hand.segmentation)
        for hand, result in zip(seen.hands, seen.results, strict=True)
    )
    return [File("predictions.csv", CSV, (HEADER + "".join(rows)).encode("utf-8"))]


def _overlay(seen: Seen) -> list[File]:
    """A picture for each hand, as ``ossa predict`` writes it."""
    from ossa.export.overlay import annotated_overlay
    from ossa.radiograph.display import png
    from ossa.safety.pictures import OVERLAY_SUFFIX

    return [
        File(f"{result.name}{OVERLAY_SUFFIX}", PNG, png(annotated_overlay(seen.radiograph, hand.segmentation)))
        for hand, result in zip(seen.hands, seen.results, strict=True)
    ]


def _measurements(seen: Seen) -> list[File]:
    from ossa.measurement.files import to_json

    value = {"image": seen.film.image_name, "hands": [to_json(hand) for hand in seen.measured]}
    return [File(f"{seen.name}_measurements.json", JSON, _json(value))]


def _bones_table(seen: Seen) -> list[File]:
    from ossa.measurement.tables import BONE_COLUMNS, bone_rows, csv_text
    from ossa.pipeline.measured import BONES

    rows = [row for hand in seen.measured for row in bone_rows(hand)]
    return [File(BONES, CSV, csv_text(BONE_COLUMNS, rows).encode("utf-8"))]


def _hands_table(seen: Seen) -> list[File]:
    from ossa.measurement.tables import HAND_COLUMNS, csv_text, hand_row
    from ossa.pipeline.measured import HANDS

    text = csv_text(HAND_COLUMNS, [hand_row(hand) for hand in seen.measured])
    return [File(HANDS, CSV, text.encode("utf-8"))]


def _report(seen: Seen) -> list[File]:
    from ossa.pipeline.report import page_of

    found = [(hand.segmentation, hand.side) for hand in seen.hands]
    page = page_of(
        seen.film,
        seen.radiograph,
        found,
        spacing=seen.spacing,
        language=seen.wanted.language,
    )
    return [File(f"{seen.name}.html", HTML, page.encode("utf-8"))]


def _dicom(kind: str) -> Callable[[Seen], Sequence[File]]:
    def make(seen: Seen) -> list[File]:
        from ossa.export.dicom.seg import save_object
        from ossa.pipeline.export import PICTURE, objects_of

        found = [hand.segmentation for hand in seen.hands]
        objects = objects_of(seen.film.path, seen.radiograph, found, kind, spacing=seen.spacing)
        out = []
        # What was asked for comes first; what it refers to, where ossa made it, after that.
        for ending in sorted(objects, key=lambda ending: (ending == PICTURE, ending != _ENDINGS[kind])):
            stream = io.BytesIO()
            save_object(stream, objects[ending])
            out.append(File(f"{seen.name}{ending}", DICOM, stream.getvalue()))
        return out

    return make


_ENDINGS: Mapping[str, str] = {"dicom-seg": "_seg.dcm", "dicom-sr": "_sr.dcm", "dicom-sc": "_sc.dcm"}

#: Every answer by its name. The first file of each is the answer itself.
FORMATS: Mapping[str, Format] = {
    "json": Format(JSON, _outlines, "outlines of every bone"),
    "rle": Format(CSV, _run_lengths, "run lengths, a row per bone"),
    "overlay": Format(PNG, _overlay, "the bones drawn over the radiograph", by_hand=True),
    "measurements": Format(JSON, _measurements, "every measurement with its uncertainty", measured=True),
    "bones-csv": Format(CSV, _bones_table, "measurements, a row per bone", measured=True),
    "hands-csv": Format(CSV, _hands_table, "measurements, a row per hand", measured=True),
    "report": Format(HTML, _report, "the page about the hand", measured=True),
    "dicom-seg": Format(DICOM, _dicom("dicom-seg"), "DICOM Segmentation"),
    "dicom-sr": Format(DICOM, _dicom("dicom-sr"), "DICOM Structured Report with its Segmentation", measured=True),
    "dicom-sc": Format(DICOM, _dicom("dicom-sc"), "DICOM Secondary Capture with outlines"),
}
