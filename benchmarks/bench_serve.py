"""``ossa serve`` under load: eight clients on loopback for minutes, against the bare predictor in the same run.

    python benchmarks/bench_serve.py [--seconds 300] [--clients 8] [--waiting 4] [--record]

The time is cut into slices: in one, clients send 2048 px radiographs as fast as they are answered (asking again after
429 when told); in the next, a process of its own does with the same predictor what the server's does, nothing
else: read, predict, make the answer. Both wait for each other, so that what else runs strikes both alike. Where much
else runs, the processor time of a picture (of the server with its predictor, and of the bare one) tells more.
Targets: no error but 429; the memory of both processes of the server flat (first against last minute of load); at least
85 % of the bare predictor's throughput.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median

import cv2

from _record import record
from ossa.apps.serve.metrics import resident_bytes
from ossa.client import Client, ServerError, Unreachable
from ossa.phantom.scene import generate

SIZE = 2048

BARE = """
import sys, time
from pathlib import Path
from ossa.pipeline.reply import Wanted, reply
from ossa.pipeline.asked import asked_predictor

predictor = asked_predictor(None, "cpu", "flip", {}, fast=%r)
pictures = [Path(name) for name in sys.argv[1:]]
reply(predictor, pictures[0], Wanted())
print("ready", flush=True)
number = 0
for line in sys.stdin:
    end = time.monotonic() + float(line)
    begin, count = time.monotonic(), 0
    while time.monotonic() < end:
        reply(predictor, pictures[number %% len(pictures)], Wanted())
        number += 1
        count += 1
    print(count, time.monotonic() - begin, flush=True)
"""


class Load:
    """Clients that ask without pause while ``on``."""

    def __init__(self, address: str, clients: int, pictures: list[Path]) -> None:
        self.address, self.pictures = address, pictures
        self.on, self.end = threading.Event(), threading.Event()
        self.done, self.refused = 0, 0
        self.errors: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.busy = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(k,), daemon=True) for k in range(clients)]
        for thread in self.threads:
            thread.start()

    def _client(self, number: int) -> None:
        client = Client(self.address, patience=0)
        while not self.end.is_set():
            if not self.on.wait(0.2):
                continue
            with self.lock:
                self.busy += 1
            begin = time.monotonic()
            try:
                self._ask(client, self.pictures[number % len(self.pictures)])
            finally:
                with self.lock:
                    self.busy -= 1
                    self.seconds.append(time.monotonic() - begin)
            number += 1

    def _ask(self, client: Client, picture: Path) -> None:
        while True:
            try:
                film = client.predict(picture)
            except ServerError as error:
                if error.status != 429:
                    with self.lock:
                        self.errors[f"{error.status} {error.code}"] += 1
                    return
                with self.lock:
                    self.refused += 1
                time.sleep(float(re.search(r"(\d+) s", str(error.remedy))[1]) / 4)  # type: ignore[index]
                continue
            except (Unreachable, OSError, ValueError) as error:
                with self.lock:
                    self.errors[type(error).__name__] += 1
                return
            with self.lock:
                self.done += 1
                if film["hands"][0]["bones"] < 15:
                    self.errors["few bones"] += 1
            return

    def stop(self) -> None:
        self.on.clear()
        self.end.set()
        for thread in self.threads:
            thread.join(60)


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [pid for pid in map(int, text.split()) if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]


def processor_seconds(*processes: int) -> float:
    """What processes have computed so far."""
    ticks = 0
    for pid in processes:
        told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(told[11]) + int(told[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(seconds: float, clients: int, waiting: int, fast: bool, keep: bool) -> None:
    slices = max(3, round(seconds / 30))
    with tempfile.TemporaryDirectory() as work:
        pictures = []
        for k in range(4):
            pictures.append(Path(work) / f"hand{k}.png")
            cv2.imwrite(str(pictures[-1]), generate(990_000_300 + k, SIZE)[0].pixels)
        command = [sys.executable, "-m", "ossa", "serve", "--port", "0", "--device", "cpu", "--waiting", str(waiting)]
        server = subprocess.Popen(command + (["--fast"] if fast else []), stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        address = re.search(r"http://\S+:\d+", server.stderr.readline())[0]  # type: ignore[index]
        bare = subprocess.Popen(
            [sys.executable, "-c", BARE % fast, *map(str, pictures)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert bare.stdin is not None
        assert bare.stdout is not None
        bare.stdout.readline()
        (predictor,) = children(server.pid)
        load = Load(address, clients, pictures)
        served, alone, memory = [], [], []
        computed = {"served": 0.0, "alone": 0.0}
        each = seconds / slices
        for _ in range(slices):
            spent = processor_seconds(server.pid, predictor)
            load.on.set()
            time.sleep(min(3.0, each / 5))  # until the queue is full: what is timed is the steady state
            before, begin = load.done, time.monotonic()
            marks = []
            while time.monotonic() - begin < each:
                time.sleep(1)
                marks.append([(resident_bytes(pid) or 0) / 1e6 for pid in (server.pid, predictor)])
            served.append((load.done - before, time.monotonic() - begin))
            memory.append([median(column) for column in zip(*marks, strict=True)])
            load.on.clear()
            while load.busy:
                time.sleep(0.05)
            computed["served"] += processor_seconds(server.pid, predictor) - spent
            spent = processor_seconds(bare.pid)
            bare.stdin.write(f"{each}\n")
            bare.stdin.flush()
            count, took = bare.stdout.readline().split()
            computed["alone"] += processor_seconds(bare.pid) - spent
            alone.append((int(count), float(took)))
        load.stop()
        bare.stdin.close()
        bare.wait(60)
        server.terminate()
        code = server.wait(60)
    rate, bare_rate = (sum(n for n, _ in rows) / sum(t for _, t in rows) for rows in (served, alone))
    cost, bare_cost = computed["served"] / load.done, computed["alone"] / sum(n for n, _ in alone)
    errors = ", ".join(f"{name}: {count}" for name, count in load.errors.items()) or "none"
    lines = [
        f"{clients} clients, {SIZE} px PNG to JSON outlines, {'--fast' if fast else 'the usual way'}, {slices} "
        f"slices of {each:.0f} s of load ({load.done} pictures), each followed by one of the bare predictor "
        f"({sum(n for n, _ in alone)} pictures).",
        f"Load of the machine by all that ran: {os.getloadavg()[1]:.0f} on {len(os.sched_getaffinity(0))} cores.",
        "",
        "| | bare predictor | `ossa serve` | asked |",
        "|---|---|---|---|",
        f"| pictures per second | {bare_rate:.3f} | {rate:.3f}: {100 * rate / bare_rate:.0f} % | at least 85 % |",
        f"| processor seconds a picture | {bare_cost:.2f} | {cost:.2f}: {100 * bare_cost / cost:.0f} % | |",
        f"| errors but 429 | | {errors} | none |",
        f"| 429 | | {load.refused} | |",
        f"| median seconds to an answer | | {median(load.seconds):.1f} | |",
        f"| memory of the server, slice by slice, MB | | {', '.join(f'{row[0]:.0f}' for row in memory)} | flat |",
        f"| memory of its predictor, slice by slice, MB | | {', '.join(f'{row[1]:.0f}' for row in memory)} | flat |",
        f"| exit code after SIGTERM | | {code} | 0 |",
    ]
    if keep:
        record(f"The service under load{', --fast' if fast else ''} (bench_serve.py)", lines)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="of load")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--waiting", type=int, default=16)
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--record", action="store_true", help="put the figures into RESULTS.md")
    given = parser.parse_args()
    main(given.seconds, given.clients, given.waiting, given.fast, given.record)
