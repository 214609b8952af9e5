"""A Ray cluster of several processes on this machine: the bytes of the local engine, nothing lost when workers die."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if "OSSA_CLUSTER" not in os.environ:
    pytest.skip("clusters are tested with OSSA_CLUSTER=1", allow_module_level=True)
if find_spec("ray") is None:  # not imported here: what it reads once is set by whoever starts a cluster
    pytest.skip("ray is not installed: pip install 'ossa[ray]'", allow_module_level=True)

from helpers_pictures import hand_picture, save
from ossa.errors import DeviceError
from ossa.parallel.pool import HERE, Lost, Needs, Pool, doing
from ossa.pipeline.asked import fast_predictor
from ossa.pipeline.measure import measure
from ossa.pipeline.predict import predict

# Ray's own, in its processes and in what it uses.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Pool]:
    from ossa.parallel.ray_pool import Cluster, connect

    with pytest.MonkeyPatch.context() as patch:
        paths = [str(Path(__file__).parents[2] / "src"), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        patch.setenv("RAY_worker_niceness", "0")
        connect(os.environ.get("OSSA_RAY"), cores=4)  # or a cluster that runs, of this source
        import ray
        from ray import cloudpickle

        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        yield Cluster(2)
        ray.shutdown()


def _dies_once(folder: Path, k: int) -> tuple[int, int]:
    """Kills its process at 5, the first time that anybody takes it."""
    if k == 5:
        try:
            (folder / "killed").touch(exist_ok=False)
        except FileExistsError:
            return k, os.getpid()
        os.kill(os.getpid(), signal.SIGKILL)
    return k, os.getpid()


def _kills(k: int) -> int:
    if k == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return k * k


def _refuses(k: int) -> int:
    if k == 3:
        raise DeviceError("out of memory", remedy="Buy more")
    return k


def test_ray_data_says_nothing_in_the_terminal(cluster: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    assert len(dict(cluster.each(doing(_refuses), range(2), Needs()))) == 2
    said = capfd.readouterr().err
    assert not [line for line in said.splitlines() if "INFO" in line or "WARNING" in line]


def test_a_killed_worker_loses_nothing(cluster: Pool, tmp_path: Path) -> None:
    found = list(cluster.each(doing(partial(_dies_once, tmp_path)), range(40), Needs()))
    assert (tmp_path / "killed").exists()
    assert sorted(number for number, _ in found) == list(range(40))
    values: list[Any] = [made for _, made in sorted(found)]
    assert [value for value, _ in values] == list(range(40))
    workers = {process for _, process in values}
    assert len(workers) >= 2
    assert os.getpid() not in workers


def test_an_item_that_kills_every_worker_is_given_up(cluster: Pool) -> None:
    found = dict(cluster.each(doing(_kills), range(16), Needs(remedy="Look at it")))
    lost = found.pop(11)
    assert isinstance(lost, Lost)
    assert lost.reason.startswith("ended its worker 3 times")
    assert lost.reason.endswith("Look at it")
    assert found == {k: k * k for k in range(16) if k != 11}


def test_what_a_worker_raises_ends_the_run(cluster: Pool) -> None:
    with pytest.raises(DeviceError, match=r"out of memory\. Buy more") as raised:
        list(cluster.each(doing(_refuses), range(16), Needs()))
    assert raised.value.remedy == "Buy more"


@pytest.mark.skipif("OSSA_RAY" in os.environ, reason="somebody else's cluster")
def test_a_cluster_that_is_started_here_listens_on_the_loopback_interface_alone(cluster: Pool) -> None:
    import psutil  # type: ignore[import-untyped]
    import ray

    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    children = psutil.Process().children(recursive=True)
    listening: list[str] = []
    for one in children:
        with suppress(psutil.NoSuchProcess):  # a worker that ended meanwhile listens no more
            listening += [at.laddr.ip for at in one.net_connections("tcp") if at.status == "LISTEN"]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_predict_gives_the_same_bytes(cluster: Pool, bright_model: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "left/c", "right/c"):
        save(tmp_path / "in" / f"{name}.png", hand_picture(240, 200))
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    local = predict([tmp_path / "in"], tmp_path / "local", model=bright_model)
    there = predict([tmp_path / "in"], tmp_path / "there", model=bright_model, pool=cluster)
    assert files(tmp_path / "there") == files(tmp_path / "local")
    assert there.done == local.done
    assert there.skipped == local.skipped
    assert len(local.skipped) == 1


def test_measure_phantom_and_audit_give_the_same_bytes(cluster: Pool, bright_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    from ossa.pipeline.data import audit_dataset
    from ossa.pipeline.phantom import make_phantoms

    for name, pool in (("here", None), ("there", cluster)):
        make_phantoms(tmp_path / name, 5, seed=3, size=64, processes=1, pool=pool)
        audit_dataset(tmp_path / "here", tmp_path / f"{name}.json", workers=1, pool=pool)
        load = partial(fast_predictor, bright_model, "auto")
        films = tmp_path / "here" / "train" / "DCM"
        measure([films], tmp_path / f"{name}-numbers", load=load, pool=pool or HERE)
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert (tmp_path / "there.json").read_bytes() == (tmp_path / "here.json").read_bytes()
    assert files(tmp_path / "there-numbers") == files(tmp_path / "here-numbers")
    assert len(files(tmp_path / "here-numbers")) > 5


def test_folds_side_by_side_are_those_that_come_one_after_the_other(cluster: Pool, tmp_path: Path) -> None:
    if find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    from ossa.config import check
    from ossa.pipeline.phantom import make_phantoms
    from ossa.pipeline.train import train

    make_phantoms(tmp_path / "set", 8, seed=3, size=64, processes=1)
    config = check(
        {
            "output": str(tmp_path / "runs"),
            "data": {"size": 64, "workers": 0, "datasets": [{"path": str(tmp_path / "set")}]},
            "model": {"architecture": "compact", "widths": [16, 16, 16, 16, 16], "head": 16, "depth": 1},
            "train": {"epochs": 1, "batch": 2, "device": "cpu", "threads": 1},
            "folds": {"count": 2, "bundle": False},
        }
    )
    here = train(config, folder=tmp_path / "here")
    there = train(config, folder=tmp_path / "there", pool=cluster)
    assert there.dice == here.dice
    assert len(here.dice) == 2
    for name in ("fold0/best.safetensors", "fold1/best.safetensors", "fold0/oof.csv", "folds.json"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert (tmp_path / "there" / "summary.html").exists()
    assert (tmp_path / "there" / "fold1" / "run.log").read_text()
