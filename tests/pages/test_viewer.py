"""What the viewer is told of bones: the same for the studio and for galleries."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ossa.pages.page import asset
from ossa.pages.viewer import bones_of, group_of, notice
from ossa.schema import load_schema

SOURCES = Path(__file__).parents[2] / "studio" / "src"


def test_every_bone_has_its_group_and_both_names() -> None:
    schema = load_schema()
    told = bones_of(schema)
    assert [one["name"] for one in told] == list(schema.names)
    assert {one["group"] for one in told} == {*(f"digit-{n}" for n in range(1, 6)), "carpals", "forearm"}
    assert all(re.fullmatch("#[0-9a-f]{6}", one["colour"]) for one in told)
    assert all(re.search("[가-힣]", one["title"]["ko"]) for one in told)
    assert {group_of(schema.bone(name)) for name in ("finger-3", "finger-2", "finger-1")} == {"digit-1"}


def test_the_page_has_a_word_for_every_group_and_row() -> None:
    panel = (SOURCES / "look" / "Panel.tsx").read_text(encoding="utf-8")
    named = panel[panel.index("const GROUPS") : panel.index("export const groupTitle")]
    told = bones_of(load_schema())
    for key in {one["group"] for one in told} | {one["row"] for one in told}:
        assert re.search(rf'"?{re.escape(key)}"?: "\w+"', named), key


def test_the_notice_is_the_reports() -> None:
    assert notice(load_schema())["en"] == "For research. Not a medical device: not for diagnosis or treatment."


def test_the_shipped_viewer_of_galleries_is_one_classic_script() -> None:
    """Browsers load no modules from the disk; the test of the studio's page compares both with their sources."""
    script = asset("gallery.js")
    assert not re.search(r"^\s*(import|export)\b|\bimport\(|import\.meta", script, re.M)
    assert "sourceMappingURL" not in script
    assert len(script) < 600_000
    words = json.loads((SOURCES / "words.json").read_text(encoding="utf-8"))
    assert words["cannot_read"]["ko"] in script
    assert "BSD" in asset("licences.txt")
