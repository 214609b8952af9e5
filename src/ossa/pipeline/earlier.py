"""What earlier runs of ``ossa predict`` left in its folder: rows of the table, and whose files lie there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ossa.errors import OutputError
from ossa.pipeline.films import Film
from ossa.pipeline.parts import CSV_NAME, HEADER, RUN_FOLDER, Parts, is_table, rows_by_image, rows_of
from ossa.pipeline.written import Written, names_of
from ossa.safety import write_text
from ossa.safety.log import Log


def settle(folder: Path, films: list[Film], settings: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Put what a stopped run had finished into the table: this run may be of other images, or have other settings.

    What it had not finished is removed.
    """
    parts = Parts(Log(folder / RUN_FOLDER))
    parts.drop_unfinished()
    finished = dict(parts.finished())
    if not finished:
        return
    rows = "".join(part.text for part in finished.values())
    images = {image for image, _ in rows_of(rows)}
    kept = [row for image, row in rows_by_image(folder / CSV_NAME) if image not in images]
    write_text(folder / CSV_NAME, HEADER + "".join(kept) + rows)
    others = sorted(set(finished) - {film.image_name for film in films})
    if others and not parts.agree(settings):
        tell(
            f"{len(others)} images in {folder} were done with other settings by a run that was stopped; they stay as "
            f"they are: {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}"
        )


def kept_rows(written: Written, done: list[Film]) -> Iterable[str]:
    """The rows that earlier runs wrote of images whose results are still in the folder.

    A table may have been changed by anybody: names that no file can have are of nothing there.
    """
    new = {film.image_name for film in done}
    held: dict[str, bool] = {}
    for image, row in rows_by_image(written.place.folder / CSV_NAME):
        if image not in held:
            held[image] = image not in new and any(written.has_label(name) for name in names_of(image))
        if held[image]:
            yield row


def own_names(folder: Path) -> set[str] | None:
    """What results in ``folder`` may be called that a run of ossa wrote; None when nothing there tells it."""
    if (folder / RUN_FOLDER).is_dir():
        return None  # a stopped run's results, of which no table tells yet
    images = dict.fromkeys(image for image, _ in rows_by_image(folder / CSV_NAME))
    return {name for image in images for name in names_of(image)}


def is_strange(written: Written, name: str, ours: Collection[str] | None) -> bool:
    """Whether results called ``name`` would replace something that no run of ossa wrote."""
    return ours is not None and name not in ours and written.has_label(name)


def refuse_strangers(written: Written, films: list[Film], ours: set[str] | None) -> None:
    """Refuse to replace labels or a table that no run of ossa wrote."""
    if ours is None:
        return
    csv = written.place.folder / CSV_NAME
    strange = [written.label(film.name) for film in films if is_strange(written, film.name, ours)]
    if csv.exists() and not is_table(csv):
        strange.append(CSV_NAME)
    if written.form.mark and written.place.has(written.form.mark) and not csv.exists():
        strange.append(written.form.mark)
    if strange:
        more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
        raise OutputError(
            "the output folder holds files of the same names that ossa did not write",
            path=written.place.told,
            found=f"{strange[0]}{more}",
            remedy="Give another output folder, or remove them",
        )
