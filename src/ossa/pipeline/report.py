"""Radiographs or results in, pages to hand over out: the trip behind ``ossa report``.

OUT/<name>.html      the hand or hands of one picture
OUT/patient_1.html   both hands of a patient, where DICOM files say that pictures are of one person
OUT/hands.html       all pictures on one page, where that is asked for
OUT/<...>.pdf        the same on paper, where that is asked for
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ossa.errors import ConfigError, DeviceError, InputError, OutputError, reason_of
from ossa.pipeline.films import Film, find_films
from ossa.pipeline.measure import Work, all_works, holds_results, works_of_results
from ossa.pipeline.measured import with_kept
from ossa.progress import Track, silent
from ossa.safety import output_folder, write_bytes, write_text

if TYPE_CHECKING:
    from ossa.inference.predictor import Predictor
    from ossa.measurement.spacing import KnownLength
    from ossa.pages.report.content import Report, ReportHand
    from ossa.radiograph.dicom.patient import Patient
    from ossa.radiograph.radiograph import Radiograph, Spacing
    from ossa.segmentation.segmentation import Segmentation

#: What a page is called that holds several pictures.
TOGETHER, PATIENT = "hands", "patient_{}"


@dataclass
class Reported:
    """What a run did: ``pages`` written (and their PDF files), pictures of ``total``, ``skipped`` ones and why."""

    total: int
    pages: list[Path] = field(default_factory=list)
    hands: int = 0
    skipped: list[tuple[Path, str]] = field(default_factory=list)


@dataclass(eq=False)
class _Sheet:
    """One page on its way: of ``expected`` pictures, ``seen`` so far."""

    name: str
    expected: int
    patient: Patient | None
    seen: int = 0
    hands: list[ReportHand] = field(default_factory=list)


def report(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    load: Callable[[], Predictor],
    images: str | Path | None = None,
    spacing: Spacing | None = None,
    known: KnownLength | None = None,
    language: str = "en",
    pdf: bool = False,
    together: bool = False,
    identity: bool = False,
    track: Track = silent,
    tell: Callable[[str], None] = lambda _: None,
) -> Reported:
    """Write a page, and with ``pdf`` a PDF, for every picture of ``paths``, or for every patient.

    ``paths``, ``images``, ``spacing`` and ``known`` as ``pipeline.measure.measure`` takes them; ``load`` gives the
    predictor for pictures without results. Pictures whose DICOM headers name one patient come onto one page, and with
    ``together`` all do. Who the patient is stands on a page only with ``identity``. A picture that cannot be used, or a
    result whose picture is not there, is skipped and told.

    Raises InputError when there is nothing to report, ConfigError for settings that do not fit together,
    MissingExtraError for a PDF without WeasyPrint, OutputError when a page cannot be written.
    """
    from ossa.pages.report.words import LANGUAGES

    if language not in LANGUAGES:
        raise ConfigError("the report does not speak this language", found=language, expected=", ".join(LANGUAGES))
    if spacing is not None and known is not None:
        raise ConfigError("two spacings were given", found="--spacing and --known-length", expected="one of them")
    if pdf:
        from ossa.pages.report.pdf import require

        require()
    given, folder = [Path(path) for path in paths], Path(output)
    held = [path for path in given if holds_results(path)]
    works = list(works_of_results(held, images))
    films = find_films([path for path in given if path not in held], folder, tell) if len(held) < len(given) else []
    pictures = [*(work.film for work in works), *films]
    if known is not None and len(pictures) != 1:
        raise ConfigError("a known length belongs to one picture", found=f"{len(pictures)} pictures", expected="one")
    inputs = [*given, *(film.path for film in pictures), *([] if images is None else [images])]
    with output_folder(folder, inputs):
        done = Reported(len(pictures))
        sheets = _sheets(pictures, together, identity)
        for work in track(all_works(works, films, given, load), done.total, "Reporting"):
            sheet = sheets[work.film.name]
            sheet.seen += 1
            try:
                sheet.hands += _hands(work, spacing, known)
            except (DeviceError, OutputError):
                raise
            except Exception as error:  # whatever one file does, the others are reported
                done.skipped.append((work.film.path, reason_of(error, work.film.path)))
                if done.total > 1:
                    tell(f"skipped: {done.skipped[-1][1]}")
            if sheet.seen == sheet.expected and sheet.hands:
                done.pages += _write(folder / sheet.name, _report(sheet, identity), language, pdf)
                done.hands += len(sheet.hands)
                sheet.hands.clear()  # pictures take memory
    if not done.pages:
        raise _nothing(done)
    return done


def _sheets(pictures: Sequence[Film], together: bool, identity: bool) -> dict[str, _Sheet]:
    """Name of a picture -> its page. Headers of DICOM files tell which pictures are of one patient."""
    from ossa.radiograph.dicom.patient import patient_of

    patients = {one.name: patient_of(one.path) for one in pictures}
    if together:
        found = [patient for patient in patients.values() if patient is not None]
        same = len(found) == len(pictures) and len({patient.key for patient in found}) == 1
        if identity and not same:
            raise ConfigError(
                "these pictures do not say that they are of one patient",
                expected="one patient in the headers of all of them",
                remedy="Leave out --identity, or --together",
            )
        return dict.fromkeys(patients, _Sheet(TOGETHER, len(pictures), found[0] if same else None))
    keys = {name: (patient.key if patient is not None else None) or f"\0{name}" for name, patient in patients.items()}
    members: dict[str, list[str]] = {}
    for name, key in keys.items():
        members.setdefault(key, []).append(name)
    sheets, number, taken = {}, 0, {name.casefold() for name in patients}
    for names in members.values():
        called = names[0]
        if len(names) > 1:
            number += 1
            while PATIENT.format(number) in taken:
                number += 1
            called = PATIENT.format(number)
        sheets.update(dict.fromkeys(names, _Sheet(called, len(names), patients[names[0]])))
    return sheets


def _hands(work: Work, spacing: Spacing | None, known: KnownLength | None) -> list[ReportHand]:
    """The hands of one picture, measured."""
    from ossa.measurement.measure import measure_hand
    from ossa.measurement.spacing import chosen_spacing
    from ossa.pages.report.content import ReportHand

    radiograph, seen = work.read()
    if radiograph is None:
        raise InputError(
            f"the picture of '{work.film.image_name}' was not found",
            path=work.film.path,
            expected="the radiograph that these results were made of",
            remedy="Name its folder: --images FOLDER",
        )
    chosen, told = chosen_spacing(radiograph, spacing, known)
    out = []
    for segmentation, _ in seen:
        numbers = with_kept(measure_hand(segmentation, radiograph, name=work.film.name, spacing=chosen), work.kept)
        numbers = replace(numbers, notes=(*told, *numbers.notes))
        name = _printable(work.film.path.name)
        out.append(ReportHand(name, radiograph, segmentation, numbers, several=len(seen) > 1, here=work.here))
    return out


def page_of(
    film: Film,
    radiograph: Radiograph,
    seen: Sequence[tuple[Segmentation, str | None]],
    *,
    spacing: Spacing | None = None,
    language: str = "en",
) -> str:
    """The page (HTML) about one picture and the hands just ``seen`` in it, each with its side.

    Who the patient is does not stand there. ``spacing`` and ``language`` as ``report`` takes them.
    """
    from ossa.pages.report.document import report_page

    sheet = _Sheet(film.name, 1, None)
    work = Work(film, lambda: (radiograph, seen), here=True)
    sheet.hands = _hands(work, spacing, None)
    return report_page(_report(sheet, identity=False), language)


def _printable(name: str) -> str:
    """A file's name for a page: bytes that are no UTF-8 and unprintable characters as question marks."""
    return "".join(c if c.isprintable() else "?" for c in name.encode("utf-8", "replace").decode())


def _report(sheet: _Sheet, identity: bool) -> Report:
    from ossa import __version__
    from ossa.pages.report.content import Report

    order = {"L": 0, "R": 1}
    return Report(
        sorted(sheet.hands, key=lambda hand: order.get(hand.measurements.side or "", 2)),
        version=__version__,
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        patient=sheet.patient if identity else None,
    )


def _write(path: Path, content: Report, language: str, pdf: bool) -> list[Path]:
    """Write the page called ``path`` and its PDF; both are made before either is written."""
    from ossa.pages.report.document import report_page

    page = report_page(content, language)
    files = [path.with_name(f"{path.name}.html")]
    paper = None
    if pdf:
        from ossa.pages.report.pdf import pdf_of

        paper = pdf_of(page)
        files.append(path.with_name(f"{path.name}.pdf"))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(files[0], page)
    if paper is not None:
        write_bytes(files[1], paper)
    return files


def _nothing(done: Reported) -> InputError:
    if len(done.skipped) == 1:
        return InputError(done.skipped[0][1])
    return InputError(f"none of the {done.total} pictures could be reported", remedy="The reasons are listed above")
