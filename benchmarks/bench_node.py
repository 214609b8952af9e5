"""A DICOM node before a real Orthanc: N radiographs in, N Segmentations and N reports found, both killed in between.

The node is killed (-9) after a quarter and after half of the pictures, Orthanc after a third; what was acknowledged
must be answered all the same, and nothing may lie in the archive twice. Radiographs are phantoms of 384 px, wrapped as
DX; for each in which the judge sees no hand, one more is sent at the end.

Needs ossa[dicom,phantom] and Debian's orthanc.

Run: python benchmarks/bench_node.py [-n 100] [--record]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from _record import record

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from helpers_clinic import Orthanc, free_port, radiograph, start_orthanc  # noqa: E402
from ossa.errors import OutputError  # noqa: E402
from ossa.export.dicom.send import Archive, send  # noqa: E402
from ossa.pipeline.node_queue import status_of  # noqa: E402
from ossa.pipeline.phantom import make_phantoms  # noqa: E402
from ossa.radiograph.read import read_radiograph  # noqa: E402

#: Phantoms beyond those asked for, in the place of those in which the judge sees no hand.
SPARE = 10


def films(folder: Path, count: int) -> list[Path]:
    """Phantoms as DX files of studies of their own."""
    make_phantoms(folder / "phantoms", count, seed=11, size=384, processes=1)
    pictures = sorted((folder / "phantoms").rglob("*.png"))[:count]
    return [
        radiograph(
            folder / f"{k:03}.dcm", read_radiograph(path).pixels, ImageLaterality=None, PatientID=f"P{k:03}",
            StudyInstanceUID=generate_uid(), SOPInstanceUID=generate_uid(),
        )
        for k, path in enumerate(pictures)
    ]  # fmt: skip


def start_node(queue: Path, port: int, archive: Orthanc, log: Path) -> subprocess.Popen[bytes]:
    words = ["--port", str(port), "--to", f"ORTHANC@127.0.0.1:{archive.dicom}", "--allow", "MODALITY"]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "ossa", "node", "start", str(queue), *words],
            stderr=stream,
            stdout=stream,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
    until(lambda: _listens(port), "the node listens")
    return process


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def until(done: Callable[[], bool], what: str, patience: float = 3600) -> None:
    end = time.monotonic() + patience
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"in vain waited: {what}")
        time.sleep(0.2)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def store(paths: list[Path], port: int) -> set[str]:
    """Send as a modality does that keeps what was not acknowledged; the identifiers of what was."""
    taken: set[Path] = set()
    with suppress(OutputError):
        send(paths, Archive("127.0.0.1", port, "OSSA", "MODALITY"), heard=lambda p, why: why or taken.add(p))
    return {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in taken}


def found_in(archive: Orthanc) -> list[dict[str, Any]]:
    return [json.loads(archive.get(f"/instances/{one}/simplified-tags")) for one in archive.instances()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--record", action="store_true")
    asked = parser.parse_args()
    n = asked.n
    folder = Path(tempfile.mkdtemp())
    pictures = films(folder, n + SPARE)
    pictures, spare = pictures[:n], pictures[n:]
    begin = time.monotonic()
    archive, server = start_orthanc(folder)
    ports, queue, port = (archive.http, archive.dicom), folder / "queue", free_port()
    log = folder / "node.log"
    node = start_node(queue, port, archive, log)
    try:

        def states() -> dict[str, int]:
            found: dict[str, int] = status_of(queue)["pictures"]
            return found

        def done() -> int:
            return sum(number for state, number in states().items() if state not in ("waiting", "working"))

        first = store(pictures[: n // 2], port)
        until(lambda: done() >= n // 4, "a quarter")
        kill(node)
        node = start_node(queue, port, archive, log)
        until(lambda: done() >= n // 3, "a third")
        kill(server)
        until(lambda: done() >= n // 2, "half, without the archive")
        waiting = sum(peer["waiting"] for peer in status_of(queue)["peers"])
        kill(node)
        node = start_node(queue, port, archive, log)
        second = store(pictures[n // 2 :], port) | store(pictures[: max(1, n // 10)], port)  # some of them once more
        archive, server = start_orthanc(folder, ports)
        until(lambda: done() == sum(states().values()), "all")
        while missing := n - states().get("answered", 0):
            pictures += spare[:missing]
            second |= store(spare[:missing], port)
            del spare[:missing]
            until(lambda: done() == sum(states().values()), "all, and spare ones")
        until(lambda: not any(peer["waiting"] for peer in status_of(queue)["peers"]), "all sent")
        wall = time.monotonic() - begin
        node.send_signal(signal.SIGTERM)
        ended = node.wait(60)
        tags, unseen = found_in(archive), states().get("no hand", 0)
    finally:
        for process in (node, server):
            process.kill()
            process.wait()
    kinds = Counter(str(one["Modality"]) for one in tags)
    studies = {str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID) for path in pictures}
    whole = {kind: {str(one["StudyInstanceUID"]) for one in tags if one["Modality"] == kind} for kind in ("SEG", "SR")}
    lines_of_log = log.read_text().splitlines()
    sent = Counter(line.split(" sent ")[1].split(" to ")[0] for line in lines_of_log if " sent " in line)
    answers = Counter(line.split(" answered ")[1].split(":")[0] for line in lines_of_log if " answered " in line)
    lines = [
        f"{n} phantoms of 384 px by C-STORE to the node, its answers by C-STORE to Orthanc; the node killed (-9) "
        "twice, Orthanc once, which stayed away until all pictures had come",
        "",
        "| | |",
        "|---|---|",
        f"| pictures sent, acknowledged | {len(pictures)}, {len(first | second)} |",
        f"| of these without a hand, says the judge: recorded, not answered | {unseen} |",
        f"| Segmentations in Orthanc | {kinds['SEG']}, of {len(whole['SEG'] & studies)} studies |",
        f"| reports in Orthanc | {kinds['SR']}, of {len(whole['SR'] & studies)} studies |",
        f"| answers that waited while Orthanc was away | {waiting} or more |",
        f"| objects sent more than once | {sum(1 for times in sent.values() if times > 1)} |",
        f"| pictures answered more than once | {sum(1 for times in answers.values() if times > 1)} |",
        f"| names of patients in the log | {sum('Hong' in line for line in lines_of_log)} |",
        f"| the node's end by SIGTERM | exit code {ended} |",
        f"| the whole round | {wall / 60:.1f} minutes |",
    ]
    if asked.record:
        record("DICOM node (bench_node.py)", lines)
    else:
        print("\n".join(lines))
    if not kinds["SEG"] == kinds["SR"] == len(whole["SEG"] & studies) == n:
        raise SystemExit("not every picture has its answers")


if __name__ == "__main__":
    main()
