"""docs/measurements.md holds every definition as the code has it."""

from pathlib import Path

from ossa.measurement.definitions import DEFINITIONS

PAGE = Path(__file__).parents[2] / "docs" / "measurements.md"


def test_the_page_has_every_definition_and_its_source() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for one in DEFINITIONS.values():
        mark = " *(experimental)*" if one.experimental else ""
        line = f"| `{one.name}`: {one.title}{mark} | {one.text} | {one.source} |"
        assert line in text, f"{one.name}: run scripts/draw_measurements.py --text"
