"""The files of measurements that a trip writes, whichever it is: a JSON file per hand, tables of all, drawings.

OUT/<name>_measurements.json   every number of one hand, with what to draw
OUT/<name>_measured.png        drawn on the radiograph, where that is asked for
OUT/bones.csv, OUT/hands.csv   a row per bone, a row per hand
OUT/left_right.csv             where both hands of a person are there
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, InputError, SchemaError
from ossa.safety import write_text
from ossa.safety.pictures import MEASURED_SUFFIX

if TYPE_CHECKING:
    from ossa.measurement.spacing import KnownLength
    from ossa.measurement.types import HandMeasurements
    from ossa.radiograph.radiograph import Radiograph, Spacing
    from ossa.segmentation.segmentation import Segmentation

BONES, HANDS, LEFT_RIGHT = "bones.csv", "hands.csv", "left_right.csv"

#: What is added to the name of a hand.
SUFFIX = "_measurements.json"


@dataclass(frozen=True)
class Numbers:
    """What ``ossa predict`` measures of each hand: by ``spacing`` (None: the file's own); ``draw``: with a drawing."""

    spacing: Spacing | None = None
    draw: bool = False


def numbers_of(measure: bool, spacing: tuple[float, float] | None, draw: bool) -> Numbers | None:
    """What a command line asks for. Raises ConfigError for a drawing or a spacing without measurements."""
    if not measure:
        if draw or spacing is not None:
            found = "--draw" if draw else "--spacing"
            raise ConfigError("this belongs to measurements", found=found, remedy="Give --measure too")
        return None
    from ossa.measurement.spacing import spacing_by_user

    return Numbers(None if spacing is None else spacing_by_user(*spacing), draw)


def measure_and_write(
    folder: Path,
    name: str,
    segmentation: Segmentation,
    radiograph: Radiograph | None,
    *,
    spacing: Spacing | None = None,
    known: KnownLength | None = None,
    draw: bool = False,
    kept: Path | None = None,
) -> HandMeasurements:
    """Measure one hand and write its JSON file and, with ``draw`` and a ``radiograph``, its drawing; ``kept`` as in
    ``with_kept``.
    """
    from ossa.measurement.files import write_measurements

    hand = measure_one(name, segmentation, radiograph, spacing=spacing, known=known, kept=kept)
    write_measurements(measurements_path(folder, name), hand)
    if draw and radiograph is not None:
        from ossa.export.measured import write_measured

        write_measured(folder / f"{name}{MEASURED_SUFFIX}", radiograph, hand)
    return hand


def measure_one(
    name: str,
    segmentation: Segmentation,
    radiograph: Radiograph | None,
    *,
    spacing: Spacing | None = None,
    known: KnownLength | None = None,
    kept: Path | None = None,
) -> HandMeasurements:
    """The measurements of one hand, called ``name``: by the ``spacing`` that is given, or a ``known`` length, or the
    radiograph's own; ``kept`` as in ``with_kept``.
    """
    from ossa.measurement.measure import measure_hand
    from ossa.measurement.spacing import chosen_spacing

    told: tuple[str, ...] = ()
    if radiograph is not None:
        spacing, told = chosen_spacing(radiograph, spacing, known)
    hand = with_kept(measure_hand(segmentation, radiograph, name=name, spacing=spacing), kept)
    return replace(hand, notes=(*told, *hand.notes))


def kept_path(results: str | Path, name: str) -> Path | None:
    """What ``ossa predict --measure`` measured of the result called ``name``; None where it did not."""
    path = measurements_path(Path(results), name)
    return path if path.is_file() else None


def with_kept(hand: HandMeasurements, kept: Path | None) -> HandMeasurements:
    """``hand`` with the uncertainties of the measurements ``kept`` when its bones were found: they rest on edges that
    a label does not hold.

    Only where every number is the same as then; otherwise, and where there are none, ``hand`` as it is.
    """
    from ossa.measurement.files import read_measurements

    if kept is None:
        return hand
    try:
        before = read_measurements(kept)
    except (InputError, SchemaError):
        return hand
    known = {(one.name, one.bone): one for one in before}
    out = []
    for one in hand:
        then = known.get((one.name, one.bone))
        if then is None or then.unit != one.unit or not _same(one.value, then.value):
            return hand
        out.append(replace(one, uncertainty=then.uncertainty))
    return replace(hand, measurements=tuple(out), uncertainty_source=before.uncertainty_source)


def _same(one: float | None, other: float | None) -> bool:
    """Whether two numbers are one, as files keep them: with six digits."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=2e-5, abs_tol=1e-9)


def measurements_path(folder: Path, name: str) -> Path:
    """Where the measurements of a hand lie."""
    return folder / f"{name}{SUFFIX}"


def write_tables(folder: Path, films: Iterable[Sequence[str]], pairs: Iterable[tuple[str, str]] = ()) -> int:
    """Write the tables of all hands, from their JSON files in ``folder``; how many left and right hands were compared.

    ``films``: the names of the hands of each picture; ``pairs``: of a left and a right hand of one person that lie on
    two pictures. Of one film a left and a right hand are compared without being named.
    """
    from ossa.measurement.files import read_measurements
    from ossa.measurement.sides import COLUMNS, compare_sides
    from ossa.measurement.tables import BONE_COLUMNS, HAND_COLUMNS, bone_rows, csv_text, hand_row

    named = list(pairs)
    wanted = {name for pair in named for name in pair}
    bones: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    differences: list[dict[str, Any]] = []
    kept: dict[str, HandMeasurements] = {}
    compared = 0
    for film in films:
        hands = [read_measurements(measurements_path(folder, name)) for name in film]
        for hand in hands:
            bones += list(bone_rows(hand))
            rows.append(hand_row(hand))
        kept |= {hand.name: hand for hand in hands if hand.name in wanted}
        sides = [[hand for hand in hands if hand.side == side] for side in "LR"]
        if len(hands) == 2 and all(sides):
            left, right = sides[0][0], sides[1][0]
            differences += [one.row(left, right) for one in compare_sides(left, right, same_film=True)]
            compared += 1
    for first, second in named:
        left, right = kept[first], kept[second]
        differences += [one.row(left, right) for one in compare_sides(left, right)]
        compared += 1
    write_text(folder / BONES, csv_text(BONE_COLUMNS, bones))
    write_text(folder / HANDS, csv_text(HAND_COLUMNS, rows))
    if compared:
        write_text(folder / LEFT_RIGHT, csv_text(COLUMNS, differences))
    else:
        (folder / LEFT_RIGHT).unlink(missing_ok=True)
    return compared
