"""Whose bones labels are is told by the names in them; what is unclear is the hand's."""

from __future__ import annotations

import json
from pathlib import Path

from ossa.labels.results import open_results
from ossa.labels.whose import schema_of
from ossa.schema import shipped_schemas


def label(path: Path, *bones: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [[1, 1], [5, 1], [5, 5], [1, 5]]
    drawn = [{"id": f"{bone}.0", "type": "poly_seg", "points": points, "label": bone} for bone in bones]
    path.write_text(json.dumps({"annotations": drawn, "metadata": {"height": 9, "width": 9}}))
    return path


def test_labels_tables_and_folders_tell_whose_bones_they_name(tmp_path: Path) -> None:
    assert set(shipped_schemas()) == {"foot28", "hand29"}
    assert schema_of(label(tmp_path / "a" / "x.json", "talus", "tibia")).name == "foot28"
    assert schema_of(label(tmp_path / "b" / "deep" / "x.json", "Lunate")).name == "hand29"
    (tmp_path / "a" / "notes.json").write_text("{}")
    assert schema_of(tmp_path / "a").name == "foot28"
    table = tmp_path / "predictions.csv"
    table.write_text("image_name,class,rle\nx.png,talus,1 2\nx.png,toe-1-distal,\n")
    assert schema_of(table).name == "foot28"
    assert schema_of(tmp_path).name == "foot28"  # the table is asked first
    table.write_text("image_name,class,rle\nx.png,finger-1,1 2\n")
    assert schema_of(tmp_path).name == "hand29"


def test_what_is_unclear_is_the_hands(tmp_path: Path) -> None:
    assert schema_of(tmp_path / "gone").name == "hand29"
    assert schema_of(tmp_path).name == "hand29"
    assert schema_of(label(tmp_path / "x.json", "femur", "talus")).name == "hand29"
    (tmp_path / "y.json").write_bytes(b'\xff\xfe{"label": "tal')
    assert schema_of(tmp_path / "y.json").name == "hand29"


def test_results_are_opened_with_the_bones_that_they_name(tmp_path: Path) -> None:
    opened = open_results(label(tmp_path / "x.json", "talus"))
    assert opened.schema.name == "foot28"
    (entry,) = opened.entries.values()
    assert set(entry.read((9, 9)).regions) == {"talus"}
