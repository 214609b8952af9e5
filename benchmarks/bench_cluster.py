"""``ossa predict --engine ray`` against the local engine on the same phantoms: the same bytes, and what Ray costs.

    python benchmarks/bench_cluster.py [--phantoms 500] [--size 256] [--workers 2] [--folder KEEP] [--record]

With ``--single N`` instead: the processor time of one thread, and the bytes, that N pictures of 2048 px take, and
what ten million would (docs/scale.md).

A cluster is started on this machine. What its own work costs a picture is taken twice: with nothing to do (an item goes
to a worker and a table row as large as a picture's comes back, against a loop), and whole, as wall time per picture
with one worker against one process, which on a busy machine says less. ``--workers`` takes the last run.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from _record import record
from ossa.dataset.audit import audit
from ossa.dataset.dataset import open_dataset
from ossa.inference.predictor import Predictor
from ossa.parallel.pool import HERE, Needs, Pool, doing
from ossa.pipeline.asked import asked_predictor
from ossa.pipeline.measured import Numbers
from ossa.pipeline.phantom import make_phantoms
from ossa.pipeline.predict import predict_with

TITLE, SINGLE = "A Ray cluster (bench_cluster.py)", "One core (bench_cluster.py --single)"

#: For so many pictures ``--single`` works out what they take, on machines of so many cores.
MANY, CORES = 10_000_000, 16

#: Each way is measured so many times.
TURNS = 3

#: Bytes of the rows of 29 bones, as a picture of 2048 px has them.
ROWS = 20_000


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def empty(item: int) -> str:
    return chr(97 + item % 26) * ROWS


def seconds_of_nothing(pool: Pool, count: int) -> float:
    began = time.perf_counter()
    assert len(dict(pool.each(doing(empty), range(count), Needs()))) == count
    return time.perf_counter() - began


def seconds_of_predict(pool: Pool, films: Path, output: Path) -> float:
    began = time.perf_counter()
    load = partial(asked_predictor, None, "cpu", "auto", {}, fast=True)
    outcome = predict_with(load, [films], output, pool=pool)
    assert not outcome.skipped
    return time.perf_counter() - began


def of_many(seconds: float, written: float, read: float) -> tuple[float, float, float, float]:
    """Of MANY pictures that take processor ``seconds`` and MB ``written`` and ``read`` each: core hours, machines of
    CORES that do them in a day, TB written, TB read."""
    hours = seconds * MANY / 3600
    return hours, hours / 24 / CORES, written * MANY / 1e6, read * MANY / 1e6


def single(count: int, seed: int, work: Path) -> list[str]:
    """Processor seconds and bytes per picture, one thread."""
    load = partial(Predictor.load, None, "cpu", threads=1)
    films, results = work / "films", {}
    began = time.process_time()
    make_phantoms(films, count, seed=seed, size=2048, processes=1)
    made = (time.process_time() - began) / count
    read = sum(map(len, files(films / "train" / "DCM").values())) / count / 1e6
    predict_with(load, [films / "train" / "DCM"], work / "first")  # imports, first pages of memory
    ways = (
        ("`ossa predict`", load, None),
        ("`ossa predict --measure`", load, Numbers()),
        ("`ossa predict --fast`", partial(load, fast=True), None),
    )
    # In turns, and the least: what else runs on the machine makes work dearer for a while.
    for turn in range(TURNS):
        for name, how, numbers in ways:
            began = time.process_time()
            predict_with(how, [films / "train" / "DCM"], work / f"{name}{turn}", numbers=numbers)
            took = min((time.process_time() - began) / count, results.get(name, (math.inf,))[0])
            results[name] = took, sum(map(len, files(work / f"{name}{turn}").values())) / count / 1e6, read
    began = time.process_time()
    audit(open_dataset(films), workers=1)
    results["`ossa data audit`"] = (time.process_time() - began) / count, 0.0, read
    results["`ossa phantom`"] = made, sum(map(len, files(films).values())) / count / 1e6, 0.0
    lines = [
        f"{count} phantoms of 2048 px, processor time of one thread, the model loaded for each run of {count}, the "
        f"least of {TURNS} turns; load average of the machine {os.getloadavg()[0]:.1f}. PNGs of {read:.2f} MB. Of "
        f"{MANY:,}: core hours, machines of {CORES} cores that do them in a day, data.",
        "",
        f"| | each picture | written | {MANY:,}: core hours | machines for a day | TB read | TB written |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (took, written, fetched) in results.items():
        hours, machines, out, into = of_many(took, written, fetched)
        lines.append(
            f"| {name} | {took:.2f} s | {written:.2f} MB | {hours:,.0f} | {machines:.1f} | {into:.1f} | {out:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=500)
    parser.add_argument("--size", type=int, default=256, help="longest side, px")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keep the phantoms here")
    parser.add_argument("--single", type=int, default=0, metavar="N")
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    if arguments.single:
        with tempfile.TemporaryDirectory() as name:
            lines = single(arguments.single, arguments.seed, Path(name))
        record(SINGLE, lines) if arguments.record else print("\n".join(lines))
        return
    # Ray would have its workers give way to all others, and on a busy machine that would count as its work.
    os.environ.setdefault("RAY_worker_niceness", "0")
    from ossa.parallel.ray_pool import Cluster, connect

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        films = arguments.folder or work / "films"
        make_phantoms(films, arguments.phantoms, seed=arguments.seed, size=arguments.size)
        count, took = arguments.phantoms, {}
        began = time.perf_counter()
        connect(cores=2 * arguments.workers)
        start = time.perf_counter() - began
        pools: dict[str, Pool] = {"local": HERE, "one": Cluster(1), "several": Cluster(arguments.workers)}
        first = seconds_of_nothing(pools["one"], 1)  # Ray Data starts its workers
        nothing = seconds_of_nothing(pools["one"], count) - first
        loop = seconds_of_nothing(HERE, count)
        results = {}
        for which, pool in pools.items():
            took[which] = seconds_of_predict(pool, films / "train" / "DCM", work / which)
            results[which] = files(work / which)
        same = all(one == results["local"] for one in results.values())
        assert same, "the bytes differ"
    per = {which: 1000 * value / count for which, value in took.items()}
    lines = [
        f"{count} phantoms of {arguments.size} px, `ossa predict --fast` with the shipped model; "
        f"{len(results['local'])} files, the same bytes from each.",
        "",
        "| | |",
        "|---|---|",
        f"| cluster started | {start:.1f} s |",
        f"| its workers started, for each run | {first:.1f} s |",
        f"| Ray's work per picture, nothing to do | {1000 * (nothing - loop) / count:.1f} ms |",
        f"| local, one process | {per['local']:.0f} ms per picture |",
        f"| Ray, one worker, its start included | {per['one']:.0f} ms per picture ({per['one'] / per['local']:.2f}) |",
        f"| Ray, {arguments.workers} workers | {per['several']:.0f} ms per picture "
        f"({per['several'] / per['local']:.2f}) |",
    ]
    if arguments.record:
        record(TITLE, lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
