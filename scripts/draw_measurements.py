"""Draw docs/measurements.jpg, every measurement on a phantom, and write the definitions into docs/measurements.md.

    python scripts/draw_measurements.py [--text]

``--text`` writes the table of definitions alone. tests/measurement/test_docs.py checks that it is up to date.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ossa.export.measured import panel, plain
from ossa.measurement.definitions import DEFINITIONS, Definition
from ossa.measurement.measure import measure_hand
from ossa.phantom.options import PhantomOptions
from ossa.phantom.scene import generate
from ossa.radiograph.display import jpeg
from ossa.safety import write_bytes, write_text

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN, END = "<!-- definitions: scripts/draw_measurements.py -->\n", "<!-- end of definitions -->\n"

#: A flat right hand with a good part of its forearm.
SEED, SIZE = 3_000_000_004, 1800
FLAT = PhantomOptions(
    young=0, bent_wrists=0, oblique_views=0, wrist_only=0, turned=0, tilt=3, clutter=0, fill=(0.72, 0.74)
)

#: The bone on which a measurement of bones is drawn.
BONES = {"width": "Capitate", "joint_space": "finger-10"}
USUAL = "finger-7"

SIDE, COLUMNS, CAPTION = 280, 6, 26


def table() -> str:
    """The definitions as Markdown."""
    lines = []
    for of, title in (("bone", "Of a bone"), ("hand", "Of a hand")):
        lines += [f"### {title}", "", "| name | what is measured | after |", "|---|---|---|"]
        lines += [row(one) for one in DEFINITIONS.values() if one.of == of]
        lines.append("")
    return "\n".join(lines)


def row(one: Definition) -> str:
    """One definition."""
    mark = " *(experimental)*" if one.experimental else ""
    return f"| `{one.name}`: {one.title}{mark} | {one.text} | {one.source} |"


def write_table() -> None:
    """Put the table into the page, between its marks."""
    page = DOCS / "measurements.md"
    text = page.read_text(encoding="utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    write_text(page, text[:start] + "\n" + table() + "\n" + text[end:])


def draw() -> None:
    """The picture: a panel for each measurement that has lines."""
    import cv2

    radiograph, truth = generate(SEED, SIZE, FLAT)
    hand = measure_hand(truth, radiograph)
    panels = []
    for one in DEFINITIONS.values():
        bone = None if one.of == "hand" else BONES.get(one.name, USUAL)
        found = hand.get(one.name, bone)
        if found is None or not found.strokes:
            print(f"not drawn: {found}")
            continue
        tile = np.zeros((SIDE + CAPTION, SIDE, 3), np.uint8)
        tile[CAPTION:] = panel(radiograph, found, SIDE)
        told = plain(f"{one.title}: {found.text.split(' +-')[0]}{'' if found.unit == 'ratio' else ' ' + found.unit}")
        scale = min(0.42, 0.42 * (SIDE - 12) / cv2.getTextSize(told, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0])
        cv2.putText(tile, told, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, scale, (240, 240, 240), 1, cv2.LINE_AA)
        panels.append(tile)
    blank = np.zeros_like(panels[0])
    panels += [blank] * (-len(panels) % COLUMNS)
    rows = [np.concatenate(panels[k : k + COLUMNS], axis=1) for k in range(0, len(panels), COLUMNS)]
    write_bytes(DOCS / "measurements.jpg", jpeg(np.concatenate(rows), 82))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", action="store_true", help="the table alone")
    args = parser.parse_args()
    write_table()
    if not args.text:
        draw()


if __name__ == "__main__":
    main()
