"""The trip behind ``ossa predict``: naming on the disk, skipping, stopping, refusing."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from helpers_pictures import hand_picture, save
from ossa.errors import ConfigError, DeviceError, InputError, OutputError
from ossa.inference.hands import Hand
from ossa.labels.competition import read_label
from ossa.labels.submission import read_submission
from ossa.pipeline import predict as module
from ossa.pipeline.asked import fast_predictor, with_thresholds
from ossa.pipeline.films import read_film
from ossa.pipeline.parts import RUN_FOLDER
from ossa.pipeline.predict import predict, predict_with
from ossa.pipeline.written import Written
from ossa.radiograph.radiograph import Radiograph
from ossa.safety.log import Log
from ossa.schema import load_schema
from ossa.segmentation.outlines import region_from_outlines
from ossa.segmentation.segmentation import Region, Segmentation

SCHEMA = load_schema()


def test_same_base_name_in_two_folders(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "left" / "hand.png", hand_picture(240, 200))
    save(tmp_path / "right" / "hand.png", hand_picture(120, 100))
    outcome = predict([tmp_path / "left", tmp_path / "right"], tmp_path / "o", model=bright_model)
    assert len(outcome.done) == 2
    made = sorted(p.relative_to(tmp_path / "o").as_posix() for p in (tmp_path / "o").rglob("*") if p.is_file())
    assert made == [
        "left/hand.json", "left/hand_overlay.png", "predictions.csv", "right/hand.json", "right/hand_overlay.png",
    ]  # fmt: skip
    shapes = {"left/hand.png": (240, 200), "right/hand.png": (120, 100)}
    assert list(read_submission(tmp_path / "o" / "predictions.csv", SCHEMA, shapes)) == list(shapes)


def test_outlines_and_run_lengths_are_the_same_pixels(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "hand.png", hand_picture())
    predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "hand.png"], tmp_path / "o")
    outlines = read_label(tmp_path / "o" / "hand.json", SCHEMA, (240, 200))
    submission = read_submission(tmp_path / "o" / "predictions.csv", SCHEMA, (240, 200))["hand.png"]
    assert len(submission) == len(outlines) == 29
    for name, region in submission:
        again = region_from_outlines(outlines[name], (240, 200))
        assert again is not None
        assert (again.plane((240, 200)) == region.plane((240, 200))).all()


def test_results_do_not_replace_labels(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    (tmp_path / "hand.json").write_text("precious")
    with pytest.raises(OutputError, match=r"an output would be one of the inputs; found what is read lies in it"):
        predict([image], tmp_path, model=bright_model)
    assert (tmp_path / "hand.json").read_text() == "precious"


def test_results_below_the_images_are_left_out_of_the_next_run(bright_model: Path, tmp_path: Path) -> None:
    save(tmp_path / "hand.png", hand_picture())
    for _ in range(2):
        assert predict([tmp_path], tmp_path / "out", model=bright_model).total == 1


def test_the_output_is_a_file(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "in" / "hand.png", hand_picture())
    (tmp_path / "o").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        predict([image], tmp_path / "o", model=bright_model)
    assert (tmp_path / "o").read_text() == "a file"


def test_nothing_usable_keeps_an_earlier_csv(bright_model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    (tmp_path / "in" / "b.png").write_bytes(b"")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "predictions.csv").write_text("image_name,class,rle\nc.png,Ulna,\n")
    with pytest.raises(InputError, match="none of the 2 files"):
        predict([tmp_path / "in"], tmp_path / "o", model=bright_model)
    assert (tmp_path / "o" / "predictions.csv").read_text() == "image_name,class,rle\nc.png,Ulna,\n"


def test_an_unforeseen_error_skips_its_file_only(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    whole = module.predict_one

    def fails_on_b(radiograph, predictor):
        if radiograph.provenance.path.endswith("b.png"):
            raise ZeroDivisionError("oh")
        return whole(radiograph, predictor)

    monkeypatch.setattr(module, "predict_one", fails_on_b)
    said: list[str] = []
    outcome = predict([tmp_path / "in"], tmp_path / "o", model=bright_model, tell=said.append)
    assert [p.film.name for p in outcome.done] == ["a", "c"]
    assert any("b.png: unforeseen ZeroDivisionError: oh" in sentence for sentence in said)


def test_the_first_picture_is_read_while_the_model_is_loaded(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    read, begun = read_film, threading.Event()
    seen: list[str] = []

    def reads(film):
        seen.append(film.name)
        begun.set()
        return read(film)

    def load():
        assert begun.wait(60)
        return fast_predictor(bright_model, "auto")

    monkeypatch.setattr(module, "read_film", reads)
    monkeypatch.setattr("ossa.pipeline.parts.read_film", reads)
    outcome = predict_with(load, [tmp_path / "in"], tmp_path / "o")
    assert [p.film.name for p in outcome.done] == ["a", "b"] == seen  # and once


def test_results_are_written_while_the_next_picture_is_looked_at(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    find, write = module.predict_one, Written.write
    looked = threading.Semaphore(0)

    def looks(radiograph, predictor):
        looked.release()
        return find(radiograph, predictor)

    def writes(self, film, radiograph, segmentation):
        if film.name != "c":  # as long as this one is not written the next one is looked at
            assert looked.acquire(timeout=60)
            assert looked.acquire(timeout=60)
            looked.release()
        write(self, film, radiograph, segmentation)

    monkeypatch.setattr(module, "predict_one", looks)
    monkeypatch.setattr(Written, "write", writes)
    outcome = predict([tmp_path / "in"], tmp_path / "o", model=bright_model)
    assert [p.film.name for p in outcome.done] == ["a", "b", "c"]
    assert not outcome.skipped


def test_an_error_while_writing_skips_its_file_only(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    write = Written.write

    def fails_on_b(self, film, radiograph, segmentation):
        if film.name == "b":
            raise ZeroDivisionError("oh")
        write(self, film, radiograph, segmentation)

    monkeypatch.setattr(Written, "write", fails_on_b)
    said: list[str] = []
    outcome = predict([tmp_path / "in"], tmp_path / "o", model=bright_model, tell=said.append)
    assert [p.film.name for p in outcome.done] == ["a", "c"]
    assert any("b.png: unforeseen ZeroDivisionError: oh" in sentence for sentence in said)


@pytest.mark.parametrize("error", [DeviceError("out of memory on the GPU"), OutputError("disk")])
def test_an_error_that_is_not_the_files_stops_the_run(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save(tmp_path / "in" / "a.png", hand_picture())

    def fails(radiograph, predictor):
        raise error

    monkeypatch.setattr(module, "predict_one", fails)
    with pytest.raises(type(error)):
        predict([tmp_path / "in"], tmp_path / "o", model=bright_model)


def test_an_interrupted_run_keeps_what_is_done(bright_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())

    def stops_at_the_third(items: Iterable, total: int, what: str) -> Iterator:
        for i, item in enumerate(items):
            if i == 2:
                raise KeyboardInterrupt
            yield item

    outcome = predict([tmp_path / "in"], tmp_path / "o", model=bright_model, track=stops_at_the_third)
    assert outcome.interrupted
    rows = list(read_submission(tmp_path / "o" / "predictions.csv", SCHEMA, (240, 200)))
    assert rows[:2] == ["a.png", "b.png"]  # and the one in hand, where it was finished by then
    assert all((tmp_path / "o" / name).with_suffix(".json").is_file() for name in rows)


def test_a_full_disk_while_writing(bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up when the second image's results are moved into place: the first one's stay whole."""
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    replace = os.replace

    def full(source: str, target: str) -> None:
        if Path(target).name == "b.json":
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"No space left on device.*Free some space"):
        predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o")
    assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [".ossa-run", "a.json", "a_overlay.png"]
    assert len(read_label(tmp_path / "o" / "a.json", SCHEMA)) == 29


def test_a_stopped_run_goes_on(bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the third image of four: the second start does the rest, and the result is that of one run."""
    names = ["a.png", "b.png", "c.png", "d.png"]
    for name in names:
        save(tmp_path / "in" / name, hand_picture())
    whole = module.predict_one
    asked: list[str] = []

    def counted(radiograph, predictor):
        name = Path(radiograph.provenance.path).name
        if name == "c.png" and "c.png" not in asked:
            asked.append(name)
            raise SystemExit  # what a signal does: no handler of the run sees it
        asked.append(name)
        return whole(radiograph, predictor)

    monkeypatch.setattr(module, "predict_one", counted)
    with pytest.raises(SystemExit):
        predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o")
    assert not (tmp_path / "o" / "predictions.csv").exists()
    (tmp_path / "o" / "b.json").unlink()  # complete or absent: an image that lost a result is done again
    outcome = predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o")
    assert asked == ["a.png", "b.png", "c.png", "b.png", "c.png", "d.png"]
    assert [p.film.image_name for p in outcome.done] == names
    assert all(p.bones == 29 for p in outcome.done)
    again = predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "whole")
    assert again.done == outcome.done
    csv = "predictions.csv"
    assert (tmp_path / "o" / csv).read_bytes() == (tmp_path / "whole" / csv).read_bytes()
    assert not (tmp_path / "o" / ".ossa-run").exists()


def _rows(folder: Path) -> list[str]:
    return list(read_submission(folder / "predictions.csv", SCHEMA, (240, 200)))


def test_the_table_lists_what_the_folder_holds(bright_model: Path, tmp_path: Path) -> None:
    """Runs one after the other into one folder, in any order: no result without its rows, no row without its result."""
    fast = lambda: fast_predictor(bright_model, "auto")  # noqa: E731
    for name in ("a", "b", "c, d"):
        predict_with(fast, [save(tmp_path / "in" / f"{name}.png", hand_picture())], tmp_path / "o")
    assert _rows(tmp_path / "o") == ["a.png", "b.png", "c, d.png"]
    (tmp_path / "o" / "a.json").unlink()
    predict_with(fast, [tmp_path / "in" / "b.png"], tmp_path / "o")
    assert _rows(tmp_path / "o") == ["c, d.png", "b.png"]
    predict_with(fast, [tmp_path / "in"], tmp_path / "o")
    assert _rows(tmp_path / "o") == ["a.png", "b.png", "c, d.png"]
    again = predict_with(fast, [tmp_path / "in"], tmp_path / "whole")
    assert len(again.done) == 3
    csv = "predictions.csv"
    assert (tmp_path / "o" / csv).read_bytes() == (tmp_path / "whole" / csv).read_bytes()


def test_a_picture_that_went_bad_keeps_its_rows(bright_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    fast = lambda: fast_predictor(bright_model, "auto")  # noqa: E731
    predict_with(fast, [tmp_path / "in"], tmp_path / "o")
    (tmp_path / "in" / "a.png").write_bytes(b"bad")
    assert len(predict_with(fast, [tmp_path / "in"], tmp_path / "o").skipped) == 1
    assert _rows(tmp_path / "o") == ["a.png", "b.png"]


def test_labels_that_ossa_did_not_write_stay(bright_model: Path, tmp_path: Path) -> None:
    """The output folder is none of the inputs, but holds the truth under the names of the results."""
    image = save(tmp_path / "in" / "hand.png", hand_picture())
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "hand.json").write_text("precious")
    with pytest.raises(OutputError, match=r"ossa did not write; found hand\.json"):
        predict([image], labels, model=bright_model)
    (labels / "hand.json").unlink()
    (labels / "predictions.csv").write_text("somebody's")
    with pytest.raises(OutputError, match=r"ossa did not write; found predictions\.csv"):
        predict([image], labels, model=bright_model)
    assert [(p.name, p.read_text()) for p in labels.iterdir()] == [("predictions.csv", "somebody's")]


@pytest.mark.parametrize("nested", [True, False])
def test_results_never_fall_among_the_inputs(bright_model: Path, tmp_path: Path, nested: bool) -> None:
    for part in ("left", "right"):
        save(tmp_path / "set" / part / "hand.png", hand_picture())
        (tmp_path / "set" / part / "hand.json").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "set")
    output = tmp_path / "link" / ("left" if nested else "")
    with pytest.raises(OutputError, match="an output would be one of the inputs"):
        predict([tmp_path / "set"], output, model=bright_model)
    assert {p.read_text() for p in (tmp_path / "set").rglob("*.json")} == {"precious"}
    assert len([p for p in (tmp_path / "set").rglob("*") if p.is_file()]) == 4


def test_a_folder_that_is_removed_during_the_run_is_counted(
    bright_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcd":
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    whole, count = module.predict_one, 0

    def removes(radiograph, predictor):
        nonlocal count
        count += 1
        if count == 3:
            until = time.monotonic() + 60
            while len(Log(tmp_path / "o" / RUN_FOLDER).keys()) < 2 and time.monotonic() < until:
                time.sleep(0.01)  # results are written behind the network
            shutil.rmtree(tmp_path / "o")
        return whole(radiograph, predictor)

    monkeypatch.setattr(module, "predict_one", removes)
    said: list[str] = []
    outcome = predict_with(
        lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o", tell=said.append
    )
    assert [p.film.name for p in outcome.done] == ["c", "d"]
    assert [s.path.name for s in outcome.skipped] == ["a.png", "b.png"]
    assert all("its results were removed" in sentence for sentence in said)
    assert _rows(tmp_path / "o") == ["c.png", "d.png"]


#: A run that waits at its second picture.
_SLOW = """
import sys, time
from ossa.pipeline import predict as module
from ossa.pipeline.parts import RUN_FOLDER
whole, count = module.predict_one, 0
def slow(radiograph, predictor):
    global count
    count += 1
    if count == 2:
        print("at the second", flush=True)
        time.sleep(100)
    return whole(radiograph, predictor)
module.predict_one = slow
model, given, output = sys.argv[1:]
from ossa.pipeline.asked import fast_predictor
module.predict_with(lambda: fast_predictor(model, "auto"), [given], output)
"""


def test_two_runs_on_one_folder_and_one_that_is_killed(bright_model: Path, tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    words = [sys.executable, "-c", _SLOW, str(bright_model), str(tmp_path / "in"), str(tmp_path / "o")]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "at the second\n"
    fast = lambda: fast_predictor(bright_model, "auto")  # noqa: E731
    with pytest.raises(OutputError, match=f"another run is writing into this folder; found process {first.pid}"):
        predict_with(fast, [tmp_path / "in"], tmp_path / "o")
    first.kill()
    first.wait()
    first.stdout.close()
    (tmp_path / "o" / ".b.json.ossa-part").write_text("half")
    outcome = predict_with(fast, [tmp_path / "in"], tmp_path / "o")
    assert len(outcome.done) == 3
    assert _rows(tmp_path / "o") == ["a.png", "b.png", "c.png"]
    assert [p.name for p in (tmp_path / "o").iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("other", [True, False])
def test_what_a_stopped_run_did_stays_in_the_table(bright_model: Path, tmp_path: Path, other: bool) -> None:
    """Although the next run has other settings, or is of other images."""
    for name in "abc":
        save(tmp_path / "in" / f"{name}.png", hand_picture())

    def stops(items: Iterable, total: int, what: str) -> Iterator:
        yield from islice(items, 2)
        raise KeyboardInterrupt

    fast = lambda: fast_predictor(bright_model, "auto")  # noqa: E731
    assert predict_with(fast, [tmp_path / "in"], tmp_path / "o", track=stops).interrupted
    (tmp_path / "o" / "predictions.csv").unlink()  # as if it had been killed
    changed = lambda: with_thresholds(fast(), {"*": 0.4} if other else {})  # noqa: E731
    said: list[str] = []
    predict_with(changed, [tmp_path / "in" / "b.png", tmp_path / "in" / "c.png"], tmp_path / "o", tell=said.append)
    assert sorted(_rows(tmp_path / "o")) == ["a.png", "b.png", "c.png"]
    assert [line for line in said if "other settings" in line and "a.png" in line and "b.png" not in line] == (
        said[:1] if other else []
    )


def test_a_damaged_memory_of_a_run_is_made_again(bright_model: Path, tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())

    def stops(items: Iterable, total: int, what: str) -> Iterator:
        yield from items
        raise KeyboardInterrupt

    fast = lambda: fast_predictor(bright_model, "auto")  # noqa: E731
    assert predict_with(fast, [image], tmp_path / "o", track=stops).interrupted
    (part,) = (tmp_path / "o" / ".ossa-run").glob("*.jsonl")
    whole = part.read_text()
    for wrong in (whole.replace('"bones": 29', '"bones": "many"'), whole.replace('"results": [', '"results": [1, ')):
        assert wrong != whole
        part.write_text(wrong)
        assert predict_with(fast, [image], tmp_path / "o", track=stops).done[0].bones == 29
        assert part.read_text().splitlines(keepends=True)[-1] == whole
    assert predict_with(fast, [image], tmp_path / "o").done[0].bones == 29


def two_hands(radiograph: Radiograph, sides: tuple[str | None, ...]) -> tuple[Hand, ...]:
    one = Region(1, 1, np.ones((2, 2), bool))
    return tuple(
        Hand(Segmentation(SCHEMA, radiograph.shape, {SCHEMA.names[k]: one}, notes=("2 hands",)), side)  # type: ignore[arg-type]
        for k, side in enumerate(sides)
    )


@pytest.mark.parametrize(
    ("sides", "names"), [(("R", "L"), ("right", "left")), (("L", "L"), ("1", "2")), ((None, "R", "L"), ("1", "2", "3"))]
)
def test_every_hand_of_a_film_has_its_results(
    tmp_path: Path,
    bright_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[str | None, ...],
    names: tuple[str],
) -> None:
    save(tmp_path / "in" / "both.png", hand_picture())
    save(tmp_path / "in" / "one.png", hand_picture())
    whole = module.predict_one

    def several(radiograph, predictor):
        several.count += 1  # type: ignore[attr-defined]
        return two_hands(radiograph, sides) if several.count == 1 else whole(radiograph, predictor)  # type: ignore[attr-defined]

    several.count = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "predict_one", several)
    outcome = predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o")
    assert outcome.done[0].bones == len(sides)
    assert outcome.done[0].notes == ("2 hands",)
    expected = [f"both_{name}" for name in names]
    assert sorted(p.stem for p in (tmp_path / "o").glob("*.json")) == sorted([*expected, "one"])
    assert all((tmp_path / "o" / f"{name}_overlay.png").is_file() for name in expected)
    assert _rows(tmp_path / "o") == [*(f"{name}.png" for name in expected), "one.png"]
    # Another run into the same folder keeps them, and may replace them.
    save(tmp_path / "more" / "two.png", hand_picture())
    predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "more"], tmp_path / "o")
    assert _rows(tmp_path / "o") == [*(f"{name}.png" for name in expected), "one.png", "two.png"]


def test_results_of_two_hands_keep_clear_of_other_results(
    tmp_path: Path, bright_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "a_left", "a_1"):
        save(tmp_path / "in" / f"{name}.png", hand_picture())
    whole = module.predict_one

    def several(radiograph, predictor):
        if radiograph.provenance.path.endswith("a.png"):
            return two_hands(radiograph, ("R", "L"))
        return whole(radiograph, predictor)

    monkeypatch.setattr(module, "predict_one", several)
    predict_with(lambda: fast_predictor(bright_model, "auto"), [tmp_path / "in"], tmp_path / "o")
    names = sorted(p.stem for p in (tmp_path / "o").glob("*.json"))
    assert names == ["a_1", "a_hand1", "a_hand2", "a_left"]


def test_an_unknown_format_lists_the_known(tmp_path: Path) -> None:
    image = save(tmp_path / "hand.png", hand_picture())
    with pytest.raises(ConfigError, match=r"expected one of .*competition"):
        predict([image], tmp_path / "o", label_format="nonsense")
    assert not (tmp_path / "o").exists()
