import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from helpers_dataset import (
    SCHEMA,
    competition_json,
    draw,
    save_image,
    save_json,
    schematic_hand,
    segmentation,
    write_competition,
)
from helpers_known import known
from ossa.dataset.dataset import open_dataset
from ossa.errors import DatasetError, InputError, LabelError, OutputError
from ossa.labels.competition import read, read_label, write_case, write_label
from ossa.labels.keyhole import keyhole_polygon
from ossa.labels.names import bone_names
from ossa.segmentation.outlines import Outline
from ossa.segmentation.segmentation import Segmentation


def assert_same(a: Segmentation, b: Segmentation) -> None:
    assert a.shape == b.shape
    assert list(a.regions) == list(b.regions)
    for name, region in a:
        other = b.get(name)
        assert other is not None, name
        assert (region.top, region.left) == (other.top, other.left), name
        np.testing.assert_array_equal(region.mask, other.mask, err_msg=name)


def reread(path, shape) -> Segmentation:
    from ossa.segmentation.outlines import segmentation_from_outlines

    return segmentation_from_outlines(read_label(path, SCHEMA, shape), SCHEMA, shape)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))), arrays(bool, (9, 9)))
def test_written_masks_with_parts_holes_and_single_pixels_come_back(tmp_path_factory, first, second):
    """Random pixels: nested holes, islands in holes, diagonal chains, single pixels."""
    shape = (16, 17)
    planes = np.zeros((len(SCHEMA), *shape), bool)
    planes[3, : first.shape[0], : first.shape[1]] = first
    planes[22, 2:11, 5:14] = second
    truth = Segmentation.from_planes(planes, SCHEMA)
    path = tmp_path_factory.mktemp("label") / "a.json"
    write_label(path, truth, "a.png")
    assert_same(reread(path, shape), truth)


def test_ring_with_an_island_and_two_holes_side_by_side(tmp_path):
    planes = np.zeros((len(SCHEMA), 40, 60), bool)
    planes[0, 5:35, 5:55] = True
    planes[0, 10:30, 10:25] = False
    planes[0, 15:25, 13:20] = True
    planes[0, 12:28, 30:50] = False
    truth = Segmentation.from_planes(planes, SCHEMA)
    write_label(tmp_path / "x.json", truth, "x.png")
    assert_same(reread(tmp_path / "x.json", (40, 60)), truth)
    labels = [a["label"] for a in json.loads((tmp_path / "x.json").read_text())["annotations"]]
    assert labels == ["finger-1", "finger-1"]


def test_a_whole_hand_comes_back_and_the_file_has_the_published_keys(tmp_path):
    truth = segmentation(schematic_hand(300, seed=4, side="L"), 300)
    write_label(tmp_path / "h.json", truth, "h_L.png")
    assert_same(reread(tmp_path / "h.json", (300, 300)), truth)
    written = json.loads((tmp_path / "h.json").read_text())
    published = competition_json(schematic_hand(64), "h.png")
    assert set(written) == set(published)
    assert set(written["annotations"][0]) == set(published["annotations"][0])
    assert written["metadata"] == {"height": 300, "width": 300}


def test_published_traps_order_metadata_name_and_repeated_labels(tmp_path):
    outlines = schematic_hand(200, seed=1)
    label = competition_json(outlines, "image1.png", seed=5)
    assert [a["label"] for a in label["annotations"]] != list(SCHEMA.names)
    extra = [[10, 10], [20, 10], [20, 20], [10, 20]]
    label["annotations"].insert(
        0, {"id": "x", "type": "poly_seg", "attributes": {}, "points": extra, "label": "Lunate"}
    )
    save_json(tmp_path / "image1.json", label)
    read = read_label(tmp_path / "image1.json", SCHEMA, (200, 200))
    assert list(read) == list(SCHEMA.names)
    assert len(read["Lunate"]) == 2
    plane = reread(tmp_path / "image1.json", (200, 200)).plane("Lunate")
    assert plane[15, 15]
    assert plane.sum() == 121 + segmentation(rounded(outlines), 200).plane("Lunate").sum()


def rounded(outlines):
    from ossa.segmentation.outlines import map_outlines

    return map_outlines(outlines, np.rint)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.update(label="Lunat"), ["unknown bone 'Lunat'", "perhaps 'Lunate'"]),
        (lambda a: a.update(label="finger-20"), ["finger-20", "perhaps 'finger-2"]),
        (lambda a: a.update(points=[[1, 1], [2, 2]]), ["too few points", "2 points"]),
        (lambda a: a.update(points=[]), ["has no points"]),
        (lambda a: a.update(points=[[1, 1], [2, float("nan")], [3, 3]]), ["NaN", "not valid JSON"]),
        (lambda a: a.update(points=[[1, 1], [2, 1e300], [3, 3]]), ["point 1", "1e+300"]),
        (lambda a: a.update(points=[[1, 1], [400, 2], [3, 3]]), ["outside the picture", "(400, 2)", "0..199"]),
        (lambda a: a.update(points=[[1, 1], [2, -30], [3, 3]]), ["outside the picture", "(2, -30)"]),
        (lambda a: a.update(points=[[1, 1, 1], [2, 2, 2], [3, 3, 3]]), ["not a list of points"]),
        (lambda a: a.update(points=[[1, 1], [2], [3, 3]]), ["not a list of points"]),
        (lambda a: a.update(points="12"), ["not a list of points"]),
        (lambda a: a.update(points=[["a", "b"], ["c", "d"], ["e", "f"]]), ["not a list of points"]),
        (lambda a: a.pop("label"), ["has no label"]),
        (lambda a: a.pop("points"), ["not a list of points"]),
    ],
)
def test_bad_annotations_name_the_file_and_the_trouble(tmp_path, change, words):
    label = competition_json(schematic_hand(200), "i.png")
    change(label["annotations"][7])
    save_json(tmp_path / "broken.json", label)
    with pytest.raises(LabelError) as caught:
        read_label(tmp_path / "broken.json", SCHEMA, (200, 200))
    for word in ["broken.json", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"annotations": 3}', '"x"', "null", "\x00\xff", "[" * 100000])
def test_files_that_are_no_labels(tmp_path, text):
    (tmp_path / "bad.json").write_text(text, encoding="latin-1")
    with pytest.raises(LabelError, match=r"bad\.json"):
        read_label(tmp_path / "bad.json", SCHEMA)


def test_missing_label(tmp_path):
    with pytest.raises(LabelError, match=r"none\.json"):
        read_label(tmp_path / "none.json", SCHEMA)


def test_points_on_the_edge_are_inside(tmp_path):
    points = [[0, 0], [200, 0], [200, 200], [0, 200]]
    save_json(tmp_path / "edge.json", {"annotations": [{"label": "Ulna", "points": points}]})
    assert known(reread(tmp_path / "edge.json", (200, 200)).get("Ulna")).area == 200 * 200


def test_folder_with_gaps_sides_and_both_splits(tmp_path):
    dataset = open_dataset(write_competition(tmp_path, subjects=4, tests=1, size=96))
    assert dataset.format == "competition"
    assert len(dataset) == 10
    assert not dataset.problems
    assert len(dataset.labelled) == 8
    assert len(dataset.unlabelled) == 2
    assert {c.split for c in dataset.unlabelled} == {"test"}
    named = [c for c in dataset if c.side is not None]
    assert named
    assert all(c.id.endswith(f"_{c.side}.png") for c in named)
    assert len(named) < len(dataset)
    case = dataset.labelled[3]
    assert case.annotated == frozenset(SCHEMA.names)
    assert set(case.outlines(SCHEMA, (96, 96))) == set(SCHEMA.names)
    assert known(case.label).stem == case.image.stem
    assert case.image.suffix == ".png"
    with pytest.raises(DatasetError, match="has no label"):
        dataset.unlabelled[0].truth(SCHEMA)
    assert dataset.case(case.id) is case
    with pytest.raises(DatasetError, match="perhaps"):
        dataset.case(case.id[:-6] + "x.png")


def test_pairs_that_do_not_match_are_problems_not_errors(tmp_path):
    write_competition(tmp_path, subjects=2, tests=0, size=64)
    labels = sorted((tmp_path / "train/outputs_json").rglob("*.json"))
    labels[0].rename(labels[0].with_name("other.json"))
    dataset = open_dataset(tmp_path)
    assert len(dataset) == 4
    assert len(dataset.labelled) == 3
    text = "\n".join(map(str, dataset.problems))
    assert "a training picture without a label" in text
    assert "other.json: a label without a picture" in text


def test_the_same_base_name_twice_is_a_problem(tmp_path):
    grey = draw(schematic_hand(48), 48)
    for subject in ("ID001", "ID002"):
        save_image(tmp_path / "test/DCM" / subject / "a_b_c.png", grey)
    (problem,) = open_dataset(tmp_path).problems
    assert "cannot tell them apart" in problem.message


def test_super_resolved_pictures_keep_their_labels(tmp_path):
    write_competition(tmp_path, subjects=2, tests=0, size=64)
    (tmp_path / "train/DCM").rename(tmp_path / "keep")
    (tmp_path / "train_resolx2").mkdir()
    (tmp_path / "keep").rename(tmp_path / "train_resolx2/DCM")
    dataset = read(tmp_path, bone_names(SCHEMA), train_images="train_resolx2")
    assert len([case for case in dataset.cases if case.label is not None]) == 4
    assert "train_resolx2" in str(dataset.cases[0].image)


def test_written_folder_is_read_back(tmp_path):
    truth = segmentation(schematic_hand(80), 80)
    write_case(tmp_path, "ID007", "image_1_R.png", draw(schematic_hand(80), 80), truth)
    write_case(tmp_path, "ID009", "image2.png", draw(schematic_hand(80), 80), None, split="test")
    dataset = open_dataset(tmp_path)
    assert [(c.subject, c.id, c.side, c.split) for c in dataset] == [
        ("ID007", "image_1_R.png", "R", "train"),
        ("ID009", "image2.png", None, "test"),
    ]
    assert_same(dataset.cases[0].segmentation(SCHEMA, (80, 80)), truth)
    with pytest.raises(InputError, match="leaves its folder"):
        write_case(tmp_path, "../..", "../x.png", draw(schematic_hand(80), 80), None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_case(tmp_path / "file", "a", "x.png", draw(schematic_hand(80), 80), truth)


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(DatasetError, match="no such data set folder"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="an empty folder"):
        open_dataset(tmp_path)
    (tmp_path / "train" / "DCM").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no picture was found"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no label format is called 'cocoa'"):
        open_dataset(tmp_path, format_name="cocoa")


def test_hand_made_holes_that_leave_their_ring_still_become_one_polygon():
    ring = np.array([[10, 10], [20, 10], [20, 20], [10, 20]], float)
    polygon = keyhole_polygon(Outline(ring, (ring - 15,)))
    assert len(polygon) == 4 + 4 + 3
    assert {tuple(p) for p in polygon} >= {tuple(p) for p in np.concatenate([ring, ring - 15])}


def test_other_names_of_a_bone_are_read_and_labels_without_bones_are_empty(tmp_path):
    bone = replace(SCHEMA.bones[28], aliases=("ulna", "Elle"))
    schema = replace(SCHEMA, bones=(*SCHEMA.bones[:28], bone))
    points = [[0, 0], [5, 0], [5, 5]]
    save_json(tmp_path / "a.json", {"annotations": [{"label": "Elle", "points": points}]})
    assert list(read_label(tmp_path / "a.json", schema)) == ["Ulna"]
    save_json(tmp_path / "b.json", {"annotations": []})
    assert read_label(tmp_path / "b.json", SCHEMA) == {}
