"""Commands that are killed, or meet a full disk and the like: a few rounds of scripts/faults, and its own judgement."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("looks at processes as Linux shows them", allow_module_level=True)
for package in ("torch", "numba", "fastapi", "pynetdicom", "highdicom"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "faults"))

import inputs  # type: ignore[import-not-found]  # noqa: E402
import rounds  # type: ignore[import-not-found]  # noqa: E402
import running  # type: ignore[import-not-found]  # noqa: E402
import services  # type: ignore[import-not-found]  # noqa: E402
import services_aimed  # type: ignore[import-not-found]  # noqa: E402
import trips  # type: ignore[import-not-found]  # noqa: E402
import troubles  # type: ignore[import-not-found]  # noqa: E402

#: Killed at so many random moments, and more.
ROUNDS = 5

#: Those that take more than a moment: where they are asked for.
everything = pytest.mark.skipif(not os.environ.get("OSSA_FAULTS"), reason="takes a minute; set OSSA_FAULTS=1")

LIGHT, HEAVY = ("cache", "gallery"), ("predict", "phantom")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rounds.Ground]:
    """A data set, and a process that has read everything; every command is forked off it."""
    folder = tmp_path_factory.mktemp("faults")
    for name in ("logs", "in", "out"):
        (folder / name).mkdir()
    inputs.dataset(folder / "in" / "set")
    modules = {module for name in LIGHT for module in trips.TRIPS[name].modules}
    with running.Nursery(folder / "logs", sorted(modules)) as nursery:
        yield rounds.Ground(nursery, folder / "in", folder / "out")


@pytest.fixture(scope="module")
def whole_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rounds.Ground]:
    """The same with films and a model."""
    folder = tmp_path_factory.mktemp("faults")
    root = folder / "in"
    for name in ("logs", "in", "out"):
        (folder / name).mkdir()
    inputs.films(root / "films")
    inputs.dicom(root / "dicom")
    inputs.model(
        root / "model"
    )  # as the rounds have it: one that finds other bones has nothing to measure on some films
    modules = {*services.MODULES, *(module for name in HEAVY for module in trips.TRIPS[name].modules)}
    with running.Nursery(folder / "logs", sorted(modules)) as nursery:
        yield rounds.Ground(nursery, root, folder / "out")


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rounds.Ground]:
    """A data set and a run file to train on it."""
    if find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    folder = tmp_path_factory.mktemp("faults")
    for name in ("logs", "in", "out"):
        (folder / name).mkdir()
    inputs.dataset(folder / "in" / "set")
    trips.write_run(folder / "in")
    with running.Nursery(folder / "logs", trips.TRIPS["train"].modules) as nursery:
        yield rounds.Ground(nursery, folder / "in", folder / "out")


@pytest.mark.parametrize("name", LIGHT)
def test_a_command_that_is_killed_at_random_moments_goes_on(ground: rounds.Ground, name: str) -> None:
    tally = rounds.at_random(ground, trips.TRIPS[name], ROUNDS, seed=1)
    assert tally.told == []
    assert tally.rounds == ROUNDS
    assert tally.kills >= ROUNDS


@everything
@pytest.mark.parametrize("name", HEAVY)
def test_a_longer_command_that_is_killed_goes_on(whole_ground: rounds.Ground, name: str) -> None:
    tally = rounds.at_random(whole_ground, trips.TRIPS[name], ROUNDS, seed=1)
    assert tally.told == []
    assert tally.kills >= ROUNDS


@everything
def test_a_training_that_is_killed_goes_on(school: rounds.Ground) -> None:
    tally = rounds.at_random(school, trips.TRIPS["train"], ROUNDS, seed=1)
    assert tally.told == []
    assert tally.kills >= ROUNDS


@everything
@pytest.mark.parametrize("name", services.SERVICES)
def test_a_service_that_is_killed_answers_everything_once(whole_ground: rounds.Ground, name: str) -> None:
    tally = services.at_random(name, services.SERVICES[name], whole_ground, ROUNDS, seed=1)
    assert tally.told == []
    assert tally.rounds == ROUNDS


@everything
@pytest.mark.parametrize("name", services_aimed.TROUBLES)
def test_a_trouble_of_a_node_costs_no_answer(whole_ground: rounds.Ground, name: str) -> None:
    tally = rounds.Tally(name)
    services_aimed.TROUBLES[name](services.SERVICES["node"], whole_ground, random.Random(1), tally)
    assert tally.told == []


@everything
def test_a_node_that_is_killed_before_a_step_on_the_disk_answers_everything_once(whole_ground: rounds.Ground) -> None:
    tally = services_aimed.aimed("node", services.SERVICES["node"], whole_ground, every=17)
    assert tally.told == []
    assert tally.kills > 2


def test_a_round_kills_a_node_less_often_than_makes_it_give_a_picture_up() -> None:
    from ossa.pipeline.node_queue import DEADLY

    assert services.KILLS < DEADLY


def test_a_command_that_is_killed_before_a_step_on_the_disk_goes_on(ground: rounds.Ground) -> None:
    tally = rounds.aimed(ground, trips.TRIPS["cache"], every=12)
    assert tally.told == []
    assert tally.rounds > 3


@pytest.mark.parametrize(
    ("name", "trip"),
    [("full disk", "cache"), ("truncated", "cache"), ("SIGTERM", "gallery"), ("two at once", "gallery")],
)
def test_a_trouble_ends_in_clear_words_and_the_command_goes_on(ground: rounds.Ground, name: str, trip: str) -> None:
    trouble, befallen = troubles.TROUBLES[name]
    assert trip in befallen
    assert trouble(ground, trips.TRIPS[trip], random.Random(1)) == []


@everything
@pytest.mark.parametrize(
    ("name", "trip"),
    [("SIGHUP", "phantom"), ("SIGTERM", "predict"), ("full disk", "predict"), ("removed input", "predict")],
)
def test_a_trouble_of_a_longer_command(whole_ground: rounds.Ground, name: str, trip: str) -> None:
    trouble, _ = troubles.TROUBLES[name]
    assert trouble(whole_ground, trips.TRIPS[trip], random.Random(1)) == []


#: Writes a file in its place, in two steps, and keeps what it finds.
CARELESS = """
import os
def main(folder):
    os.makedirs(folder, exist_ok=True)
    for name in ("a", "b"):
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            with open(path, "w") as stream:
                stream.write("half")
            os.truncate(path, 2)
"""


def test_a_careless_writer_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "careless.py").write_text(CARELESS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    trip = trips.Trip("careless", lambda _, out: ["careless:main", str(out)], ())
    with running.Nursery(tmp_path) as nursery:
        tally = rounds.aimed(rounds.Ground(nursery, tmp_path, tmp_path / "out"), trip)
    assert tally.rounds == 5  # a folder, and two files, each opened and shortened
    assert tally.corrupt == 4  # either file right after the kill, and at the end
    assert any("right after: corrupt: a" in line for line in tally.told)


def test_what_is_lost_corrupt_and_left_is_told_apart() -> None:
    trip = trips.Trip("t", lambda *_: [], (), differs=("log",), extra=("more/*",), grows=("table.csv",))
    whole = {"a": b"1", "b": b"2", "log": b"x", "table.csv": b"h\nr\n"}
    found = {"a": b"0", "log": b"y", "c": b"3", "more/d": b"4", "table.csv": b"h\nr\n"}
    assert trips.judged(trip, found, whole) == trips.Verdict(("b",), ("a",), ("c",))
    killed = {"a": b"1", ".b.ossa-part": b"", ".ossa-lock": b"", "table.csv": b"h\n"}
    assert trips.half_written(trip, killed, whole) == []
    assert trips.half_written(trip, {"b": b"", "table.csv": b"h\nx\n"}, whole) == ["b", "table.csv"]
