"""The submission file: what is written comes back, what people's tools make of it is read, the rest is refused."""

import csv
import io
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers_known import known
from ossa.errors import OutputError, SubmissionError
from ossa.labels.submission import first_field, read_submission, write_submission
from ossa.schema import load_schema
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()
SHAPE = (12, 10)


def made(seed: int, shape: tuple[int, int] = SHAPE) -> Segmentation:
    rng = np.random.default_rng(seed)
    planes = rng.random((29, *shape)) < rng.random((29, 1, 1)) * 0.7
    planes[rng.integers(29)] = False
    return Segmentation.from_planes(planes, SCHEMA)


def rows(image: str = "a_1_R.png", rle: str = "1 2") -> list[str]:
    return [f"{image},{name},{rle}" for name in SCHEMA.names]


def file(path: Path, lines: list[str], end: str = "\n") -> Path:
    where = path / "s.csv"
    where.write_bytes(end.join(["image_name,class,rle", *lines, ""]).encode())
    return where


names = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=12).filter(str.strip)


@given(st.lists(names, min_size=1, max_size=4, unique=True))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_comes_back(tmp_path: Path, images: list[str]) -> None:
    wanted = {image: made(i) for i, image in enumerate(images)}
    assert write_submission(tmp_path / "s.csv", wanted.items()) == len(images)
    got = read_submission(tmp_path / "s.csv", SCHEMA, SHAPE)
    assert list(got) == images
    for image, segmentation in wanted.items():
        np.testing.assert_array_equal(got[image].planes(), segmentation.planes())


def test_the_file_is_as_the_competition_wants_it(tmp_path: Path) -> None:
    found = Segmentation(SCHEMA, (4, 5), {"finger-2": Region(1, 2, np.ones((2, 2), bool))})
    write_submission(tmp_path / "s.csv", [("image_1_R.png", found), ("b.png", Segmentation(SCHEMA, (4, 5), {}))])
    lines = (tmp_path / "s.csv").read_bytes().decode().split("\n")
    assert lines[0] == "image_name,class,rle"
    assert lines[1:4] == ["image_1_R.png,finger-1,", "image_1_R.png,finger-2,8 2 13 2", "image_1_R.png,finger-3,"]
    assert [line.split(",")[1] for line in lines[1:30]] == list(SCHEMA.names)
    assert len(lines) == 1 + 58 + 1
    assert lines[-1] == ""


def test_images_stream_through_the_writer(tmp_path: Path) -> None:
    """No image is asked for before the one before it is written."""
    alive: list[int] = []

    def one_by_one() -> Iterator[tuple[str, Segmentation]]:
        for i in range(3):
            alive.append(i)
            part = next(tmp_path.glob(".s.csv*-part"))
            assert part.stat().st_size == 0 or i > 0  # buffered, but opened
            yield f"{i}.png", made(i)

    assert write_submission(tmp_path / "s.csv", one_by_one()) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


def test_a_size_is_asked_for_never_guessed(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [("a.png", Segmentation(SCHEMA, (64, 48), {}))])
    submission = read_submission(tmp_path / "s.csv", SCHEMA)
    with pytest.raises(SubmissionError, match="size of an image is not known"):
        submission["a.png"]
    assert submission.with_shape((64, 48))["a.png"].shape == (64, 48)


def test_a_line_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    with path.open("wb") as stream:
        stream.write(b"image_name,class,rle\na.png,finger-1,1 ")
        stream.truncate(1_000_000_000)  # a gigabyte of nothing that takes no room on the disk
    tracemalloc.start()
    with pytest.raises(SubmissionError, match="line 2 is too long"):
        read_submission(path, SCHEMA)
    assert tracemalloc.get_traced_memory()[1] < 150_000_000
    tracemalloc.stop()


def test_each_image_may_have_its_own_size(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [("a.png", made(1, (7, 9))), ("b.png", made(2, (9, 7)))])
    got = read_submission(tmp_path / "s.csv", SCHEMA, {"a.png": (7, 9), "b.png": (9, 7)})
    np.testing.assert_array_equal(got["b.png"].planes(), made(2, (9, 7)).planes())
    np.testing.assert_array_equal(got.with_shape({"a.png": (7, 9)})["a.png"].planes(), made(1, (7, 9)).planes())
    with pytest.raises(SubmissionError, match=r"b\.png"):
        got.with_shape({"a.png": (7, 9)})["b.png"]


@pytest.mark.parametrize(
    "change", ["shuffled", "crlf", "bom", "quoted", "blank lines", "nan", "extra column", "columns turned"]
)
def test_what_other_tools_write_is_read(tmp_path: Path, change: str) -> None:
    lines, head, end, start = (
        rows("im_a,b.png") if change == "quoted" else rows("im_a_R.png"),
        "image_name,class,rle",
        "\n",
        "",
    )
    if change == "shuffled":
        lines = lines[::-1]
    elif change == "crlf":
        end = "\r\n"
    elif change == "bom":
        start = "\ufeff"
    elif change == "quoted":
        lines = [f'"im ""a"", b.png","{name}", "1 2"' for name in SCHEMA.names]
    elif change == "blank lines":
        lines = [*lines[:3], "", "  ", *lines[3:], "", ""]
    elif change == "nan":
        lines = [
            *(f"im_a_R.png,{name},nan" for name in SCHEMA.names[:5]),
            *(f"im_a_R.png,{n},NaN" for n in SCHEMA.names[5:]),
        ]
    elif change == "extra column":
        head, lines = ",image_name,class,rle", [f"{i},{line}" for i, line in enumerate(lines)]
    elif change == "columns turned":
        head, lines = "class,rle,image_name", [f"{name},1 2,im_a_R.png" for name in SCHEMA.names]
    where = tmp_path / "s.csv"
    where.write_bytes((start + end.join([head, *lines, ""])).encode())
    got = read_submission(where, SCHEMA, SHAPE)
    image = 'im "a", b.png' if change == "quoted" else "im_a_R.png"
    assert list(got) == [image]
    assert image in got
    assert len(got) == 1
    found = got[image]
    assert len(found) == (0 if change == "nan" else 29)
    assert got.text(image, "Ulna") == ("" if change == "nan" else "1 2")
    if change != "nan":
        assert known(found.get("Radius")).area == 2


def test_rows_of_images_may_be_mixed(tmp_path: Path) -> None:
    mixed = [line for pair in zip(rows("a.png", "1 1"), rows("b.png", "2 2"), strict=True) for line in pair]
    got = read_submission(file(tmp_path, mixed), SCHEMA, SHAPE)
    assert [known(got[image].get("Ulna")).area for image in got] == [1, 2]


def test_run_lengths_longer_than_the_csv_modules_limit(tmp_path: Path) -> None:
    plane = np.indices((300, 300)).sum(axis=0) % 2 == 0
    noisy = Segmentation(SCHEMA, (300, 300), {"Ulna": known(Region.tight(plane))})
    write_submission(tmp_path / "s.csv", [("a,b.png", noisy)])
    assert (tmp_path / "s.csv").stat().st_size > 200_000
    np.testing.assert_array_equal(
        read_submission(tmp_path / "s.csv", SCHEMA, (300, 300))["a,b.png"].plane("Ulna"), plane
    )


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    short = [line for line in rows() if "Lunate" not in line and "finger-7," not in line]
    with pytest.raises(SubmissionError, match=r"a_1_R\.png lacks 2 of 29 bones.*finger-7, Lunate"):
        read_submission(file(tmp_path, short), SCHEMA)
    with pytest.raises(SubmissionError, match="1 more images"):
        read_submission(file(tmp_path, short + rows("b.png")[:-1] + rows("c.png")), SCHEMA)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([*rows(), rows()[3]], "line 31 repeats.*finger-4.*line 5"),
        ([*rows()[:-1], "a_1_R.png,Ulnar,1 2"], "line 30 .*'Ulnar'.*perhaps 'Ulna'"),
        ([*rows()[:-1], "a_1_R.png,xyz,1 2"], "one of finger-1"),
        ([*rows()[:-1], "a_1_R.png,Ulna,1,2"], "line 30 .*4 fields"),
        ([*rows()[:-1], "a_1_R.png;Ulna;1 2"], "line 30 .*1 fields"),
        ([*rows()[:-1], '"a_1_R.png,Ulna,1 2'], "line 30 .*quote"),
        ([], "no rows"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path: Path, lines: list[str], word: str) -> None:
    with pytest.raises(SubmissionError, match=word) as caught:
        read_submission(file(tmp_path, lines), SCHEMA)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"a,b\n1,2\n", b"image_name,class\n", b"image_name,class,rle,rle\n", b"\x89PNG\r\n"]
)
def test_what_is_no_submission_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.csv").write_bytes(content)
    with pytest.raises(SubmissionError):
        read_submission(tmp_path / "s.csv", SCHEMA)


def test_a_file_too_large_or_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SubmissionError, match="No such file"):
        read_submission(tmp_path / "none.csv", SCHEMA)
    with pytest.raises(SubmissionError, match="directory"):
        read_submission(tmp_path, SCHEMA)
    where = file(tmp_path, rows())
    monkeypatch.setattr("ossa.safety.MAX_TEXT_BYTES", 100)
    with pytest.raises(SubmissionError, match="at most 100"):
        read_submission(where, SCHEMA)


def test_a_file_changed_after_it_was_opened_is_noticed(tmp_path: Path) -> None:
    opened = read_submission(file(tmp_path, rows()), SCHEMA, SHAPE)
    file(tmp_path, rows("another_name.png"))
    with pytest.raises(SubmissionError, match="changed"):
        opened["a_1_R.png"]


def test_broken_run_lengths_name_file_line_image_and_bone(tmp_path: Path) -> None:
    where = file(tmp_path, [*rows()[:-1], "a_1_R.png,Ulna,119 3"])
    opened = read_submission(where, SCHEMA, SHAPE)
    with pytest.raises(SubmissionError, match=r"s\.csv: line 30 \(a_1_R\.png, Ulna\): a run leaves the picture"):
        opened["a_1_R.png"]


def test_reading_does_not_hold_the_file(tmp_path: Path) -> None:
    where = file(tmp_path, [f"{i}.png,{name},{'1 1' + ' ' * 3000}" for i in range(60) for name in SCHEMA.names])
    size = where.stat().st_size
    tracemalloc.start()
    try:
        opened = read_submission(where, SCHEMA, SHAPE)
        found = sum(known(opened[image].get("Ulna")).area for image in opened)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == 60
    assert peak < size / 5


@given(st.one_of(st.binary(max_size=200), st.text(alphabet='a,"\n\r 1_.', max_size=60).map(str.encode)))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_of_anything_are_read_or_refused(tmp_path: Path, junk: bytes) -> None:
    where = tmp_path / "s.csv"
    good = "\n".join(["image_name,class,rle", *rows("good.png"), ""]).encode()
    where.write_bytes(good + junk)
    try:
        opened = read_submission(where, SCHEMA, SHAPE)
    except SubmissionError:
        return
    assert list(opened) == ["good.png"]


@pytest.mark.parametrize("image", ["", "  ", "a\nb.png", "a\rb.png"])
def test_a_name_that_breaks_the_file_is_refused_and_nothing_is_left(tmp_path: Path, image: str) -> None:
    with pytest.raises(SubmissionError, match="name"):
        write_submission(tmp_path / "s.csv", [("a.png", made(0)), (image, made(1))])
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_comes_twice_is_refused_and_the_old_file_kept(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.csv", [("a.png", made(0))])
    before = (tmp_path / "s.csv").read_bytes()
    with pytest.raises(SubmissionError, match="twice"):
        write_submission(tmp_path / "s.csv", [("b.png", made(0)), ("b.png", made(1))])
    assert (tmp_path / "s.csv").read_bytes() == before


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_submission(tmp_path / "file" / "s.csv", [("a.png", made(0))])


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="file size limits are those of Unix")
    where = tmp_path / "s.csv"
    write_submission(where, [("a.png", made(0))])
    before = where.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written"):
            write_submission(where, ((f"{i}.png", made(i)) for i in range(40)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert where.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["s.csv"]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda name: name.strip() == name))
def test_the_name_of_a_row_is_what_the_csv_module_reads(name: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([name, "Radius", "1 2"])
    assert first_field(text.getvalue()) == next(csv.reader([text.getvalue()]))[0] == name


def test_a_row_longer_than_the_csv_module_reads() -> None:
    assert first_field("a.png,Radius," + "1 2 " * 100_000 + "\n") == "a.png"
    assert first_field('"a""b.png",Radius,' + "1 2 " * 100_000 + "\n") == 'a"b.png'
