"""What every format does with a picture it found: a case whose id and side come from the file's name."""

from __future__ import annotations

from pathlib import Path

from ossa.labels.case import Case, LabelReader, side_from_name

#: File name endings of pictures in the sets that are published without DICOM (RAM-H1200, RAM-W600).
RASTER_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


def case_of(
    image: Path,
    label: Path | None,
    subject: str,
    annotated: frozenset[str],
    reader: LabelReader,
    split: str = "train",
    key: str = "",
) -> Case:
    """The case of one picture. Without a ``label`` nothing of it is annotated, and nothing reads its truth.

    ``annotated``: the bones that a label of this format tells everything about; ``key`` as in ``Case``.
    """
    return Case(
        id=image.name,
        subject=subject,
        image=image,
        label=label,
        side=side_from_name(image.stem),
        split=split,
        annotated=annotated if label is not None else frozenset(),
        key=key,
        reader=reader if label is not None else None,
    )
