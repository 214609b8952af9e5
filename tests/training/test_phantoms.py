"""Phantoms on the disk: those of their seeds, renewed by numbers alone, drawn ahead by other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

import itertools

import ossa
from helpers_dataset import SCHEMA
from ossa.config import PhantomKeys as Keys
from ossa.config import check
from ossa.errors import ConfigError, OutputError
from ossa.phantom.options import PhantomOptions
from ossa.phantom.scene import render
from ossa.training import phantoms
from ossa.training.phantoms import (
    FIRST_HELD_OUT_SEED,
    StoredPhantoms,
    films_of,
    phantom_options,
    phantom_sets,
    stored_phantoms,
    wrists_of,
)
from ossa.training.writers import Writers, tidy, writing_ahead

RNG = np.random.default_rng(0)


def stored(folder: Path, count: int, size: int = 64, first: int = 0, renew: float = 0.0) -> StoredPhantoms:
    keys = Keys()
    return stored_phantoms(keys, phantom_sets(keys, size)[0], SCHEMA, folder, first, count, renew)


def test_a_part_s_own_room_belongs_to_the_version_of_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored phantoms are drawn anew when the poses of hands change, as when the beam does."""
    seen: list[Path] = []

    def noted(path: Path) -> str:
        seen.append(path)
        return ""

    monkeypatch.setattr(phantoms, "sha256", noted)
    phantoms._generator_version.__wrapped__()
    rooms = {path.parent.relative_to(Path(ossa.__file__).parent).as_posix() for path in seen}
    assert rooms == {"phantom", "hand/phantom"}
    assert {"pose.py", "scene.py", "soft.py"} <= {path.name for path in seen}


def test_entries_are_the_phantoms_of_their_seeds(tmp_path: Path) -> None:
    phantoms = stored(tmp_path, 3, 96, first=6)
    for again in (False, True):  # drawn, then read
        for slot, seed in ((0, 6), (1, 7), (2, 8)):
            picture, scene = render(seed, 96, PhantomOptions(), None)
            raw = phantoms.sample(slot, RNG)
            np.testing.assert_array_equal(raw.image, picture)
            assert raw.bits is not None
            np.testing.assert_array_equal(raw.bits[0], scene.bits)
            assert raw.id == f"phantom {seed}", again
            assert phantoms.path(seed).is_file()


def test_of_drawings_nothing_is_to_be_found(tmp_path: Path) -> None:
    """A share of the phantoms is drawn as books draw bones; all others stay as they were, in a folder apart."""
    keys = Keys.model_validate({"drawings": 0.5})
    kind = phantom_sets(keys, 96)[0]
    phantoms, plain = (stored_phantoms(k, kind, SCHEMA, tmp_path, 0, 12) for k in (keys, Keys()))
    assert phantoms.folder != plain.folder
    drawn = 0
    for slot in range(12):
        raw, usual = phantoms.sample(slot, RNG), plain.sample(slot, RNG)
        assert raw.bits is not None
        assert usual.bits is not None
        assert raw.annotated == frozenset(SCHEMA.names), "that nothing is there is told of every bone"
        if raw.bits.any():
            np.testing.assert_array_equal(raw.image, usual.image)
        else:
            drawn += 1
            assert raw.image.shape == usual.image.shape
            assert not np.array_equal(raw.image, usual.image)
    assert 2 <= drawn <= 10


def test_ossa_phantom_draws_what_is_trained_on(tmp_path: Path) -> None:
    """The same seed, options and size give the same pixels and, up to the label format's outlines, the same truth."""
    from ossa.dataset.dataset import open_dataset
    from ossa.pipeline.phantom import make_phantoms
    from ossa.segmentation.compare import dice
    from ossa.segmentation.segmentation import Segmentation

    make_phantoms(tmp_path / "set", 1, seed=3, size=96, processes=1)
    (case,) = open_dataset(tmp_path / "set").labelled
    seed = int(np.random.SeedSequence([3, 0]).generate_state(1)[0])
    raw = stored(tmp_path, 1, 96, first=seed).sample(0, RNG)
    np.testing.assert_array_equal(raw.image, case.radiograph().pixels)
    assert raw.bits is not None
    truth = case.truth(SCHEMA, raw.image.shape).segmentation(SCHEMA, raw.image.shape)
    for name, region in Segmentation.from_bits(raw.bits, SCHEMA):
        assert dice(region, truth.get(name)) > 0.99, name


def test_each_epoch_new_seeds_take_the_oldest_ones_places() -> None:
    phantoms = replace(stored(Path("x"), 4, first=100), renew=0.75)
    seen = [[phantoms.in_epoch(e).seed(k) for k in range(4)] for e in range(5)]
    assert seen[0] == [100, 101, 102, 103]
    assert seen[1] == [104, 105, 106, 103]
    assert seen[2] == [108, 109, 106, 107]
    assert seen[4] == [112, 113, 114, 115]
    for before, after in itertools.pairwise(seen):
        assert len(set(after) - set(before)) == 3
        assert min(after) >= 100 + phantoms.replaced(seen.index(after))
    kept = replace(phantoms, renew=0.0)
    assert [kept.in_epoch(9).seed(k) for k in range(4)] == seen[0]


def test_a_recipe_tells_its_films() -> None:
    assert films_of("consultant").one_digit > 0 == films_of("shipped").one_digit
    with pytest.raises(ConfigError, match="draws no phantoms"):
        films_of("best2048")


def test_other_sizes_options_and_kinds_lie_in_other_folders(tmp_path: Path) -> None:
    keys = Keys.model_validate({"wrists": {"share": 0.25, "size": 96}})
    hand, wrist = phantom_sets(keys, 64)
    assert (hand.share, wrist.share) == (0.75, 0.25)
    assert wrist.options == wrists_of(PhantomOptions())
    folders = {
        stored_phantoms(keys, kind, SCHEMA, tmp_path, 0, 2).folder
        for kind in (hand, wrist, replace(hand, size=96), replace(hand, options=PhantomOptions(clutter=0)))
    }
    assert len(folders) == 4


def test_worlds_have_names_and_options_differ_from_theirs() -> None:
    assert phantom_options({}, "wide").parts > 0
    assert phantom_options({"parts": 0.5, "fill": [0.5, 0.6]}, "wide").fill == (0.5, 0.6)
    with pytest.raises(ConfigError, match="perhaps 'wide'"):
        phantom_options({}, "wyde")


def test_writers_draw_the_next_epochs_side_by_side_and_the_training_draws_none_of_them(tmp_path: Path) -> None:
    phantoms = stored(tmp_path, 4, renew=0.5)
    with writing_ahead([phantoms, stored(tmp_path, 2, first=50)], 2, 3) as writers:
        writers.tell(0)
        until = time.monotonic() + 600  # writers are the last to get time where others work
        while not all(phantoms.path(seed).exists() for seed in range(8)) and time.monotonic() < until:
            time.sleep(0.1)
        for process in writers.processes:
            process.join(600)
        writers.tell(1)  # all drawn and gone: no error
    assert [phantoms.path(seed).exists() for seed in (0, 7, 8, 50)] == [True, True, False, False]
    raw = phantoms.in_epoch(2).sample(3, RNG)
    np.testing.assert_array_equal(raw.image, render(7, 64, PhantomOptions(), None)[0])
    assert all(not p.is_alive() for p in writers.processes)


def test_nothing_is_started_where_nothing_is_renewed(tmp_path: Path) -> None:
    with writing_ahead([stored(tmp_path, 4)], 2, 3) as writers:
        assert writers == Writers(None, ())
        writers.tell(0)


def test_what_is_past_is_removed(tmp_path: Path) -> None:
    phantoms = stored(tmp_path, 4, renew=0.5)
    for seed in range(8):
        phantoms.path(seed).parent.mkdir(parents=True, exist_ok=True)
        phantoms.path(seed).touch()
    assert tidy(phantoms, 0, 1) == 0
    assert tidy(phantoms, 0, 3) == 4  # before epoch 2, seeds 0 to 3 were replaced
    assert [seed for seed in range(8) if phantoms.path(seed).exists()] == [4, 5, 6, 7]


def test_dead_writers_are_noticed(tmp_path: Path) -> None:
    phantoms = stored(tmp_path, 4, renew=0.5)
    (tmp_path / "file").touch()
    nowhere = replace(phantoms, folder=tmp_path / "file" / "below")
    with writing_ahead([nowhere], 1, 3) as writers:
        for process in writers.processes:
            process.join(600)
        with pytest.raises(OutputError, match="ended early"):
            writers.tell(0)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for the process in /proc")
def test_writers_of_a_killed_training_end(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; import test_phantoms as t\n"
        "if __name__ == '__main__':\n"
        "    source = t.stored(Path(sys.argv[1]), 4000, renew=0.5)\n"
        "    with t.writing_ahead([source], 1, 9) as writers:\n"
        "        print(writers.processes[0].pid, flush=True)\n"
        "        while not source.folder.exists():\n"
        "            time.sleep(0.1)\n"
        "        os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "program.py").write_text(code)
    path = os.pathsep.join([*(p for p in sys.path if p), str(Path(__file__).parent)])
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "pool")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    until = time.monotonic() + 600
    while Path(f"/proc/{int(done.stdout)}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{int(done.stdout)}").exists()


def test_seeds_end_before_the_held_out_ones() -> None:
    from ossa.training.material import phantom_sources

    phantoms = {"count": 10, "held_out": 4, "renew": 1.0, "seed": FIRST_HELD_OUT_SEED - 30}
    for epochs, fits in ((2, True), (3, False)):
        config = check({"data": {"phantoms": phantoms}, "train": {"epochs": epochs}})
        if fits:
            ((_, training, held_out),) = phantom_sources(config, SCHEMA)
            assert training.in_epoch(1).seed(9) == FIRST_HELD_OUT_SEED - 11
            assert [held_out.seed(k) for k in range(2)] == [FIRST_HELD_OUT_SEED, FIRST_HELD_OUT_SEED + 1]
            continue
        with pytest.raises(ConfigError, match="reach those held out"):
            phantom_sources(config, SCHEMA)
