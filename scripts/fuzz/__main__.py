"""Feeds damaged files to every reader of ossa: python scripts/fuzz [--inputs N] [--seconds S] [READER ...]

Every reader has seeds (corpus.py) that are mutated (mutate.py) by the number of the input, so that input 4711 of a
reader is the same bytes every time. Inputs are read in worker processes under a limit of memory and of time. A table
tells, per reader, how many were refused by an error of ossa's own, how many were read, how many ended in any other
exception, the slowest and the highest peak of memory; what went wrong is kept in --keep. Exit 1 when anything did.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import targets

#: An input may take so long (s), and its worker so much memory (MB).
SLOWEST, HIGHEST = 5.0, 500.0


def main() -> None:
    """Run the readers one after another, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(targets.TARGETS))
    parser.add_argument("--inputs", type=int, default=50_000, help="how many per reader")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most so long per reader")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"), help="folder for what went wrong")
    parser.add_argument(
        "--show", action="store_true", help="write input --first of each reader to --keep, read nothing"
    )
    args = parser.parse_args()
    wrong = set(args.readers) - set(targets.TARGETS)
    if wrong:
        parser.error(f"no such reader: {', '.join(sorted(wrong))}; there are {', '.join(targets.TARGETS)}")
    args.keep.mkdir(parents=True, exist_ok=True)
    print("| reader | inputs | refused | read | foreign | slowest, s | peak, MB |\n|---|---|---|---|---|---|---|")
    failed = False
    for name in args.readers or targets.TARGETS:
        if args.show:
            (args.keep / f"{name}-{args.first}").write_bytes(targets.input_bytes(name, args.first))
            continue
        total = run(name, args.first, args.inputs, args.seconds, args.keep)
        bad = total["foreign"] or total["slowest"] > SLOWEST or total["peak"] > HIGHEST
        failed = failed or bool(bad)
        print(
            f"| {name} | {total['inputs']:,} | {total['refused']:,} | {total['read']:,} | {total['foreign']} "
            f"| {total['slowest']:.2f} | {total['peak']:.0f} |",
            flush=True,
        )
        for told in sorted(total["told"])[:20]:
            print(f"    {told}", file=sys.stderr, flush=True)
    sys.exit(1 if failed else 0)


def run(name: str, first: int, count: int, seconds: float, keep: Path) -> dict:
    """The sum over one reader's inputs. A worker that dies or hangs is replaced, and its input counts as foreign."""
    total = {"inputs": 0, "refused": 0, "read": 0, "foreign": 0, "slowest": 0.0, "peak": 0.0, "told": set()}
    end, number = time.monotonic() + seconds, first
    while number < first + count and time.monotonic() < end:
        # A worker is replaced from time to time: its peak of memory only ever rises.
        stop = min(number + 5000, first + count)
        number = _one_worker(name, number, stop, end, keep, total)
    return total


def _one_worker(name: str, number: int, stop: int, end: float, keep: Path, total: dict) -> int:
    """Let a worker read inputs from ``number`` up to ``stop``; the first that is still to be read."""
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), name, str(number), str(stop), str(end)]
    with tempfile.TemporaryFile() as errors:
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ)
        assert worker.stdout is not None
        for line in worker.stdout:
            said = json.loads(line)
            number = said["number"] + 1
            if said["kind"] == "end":
                number = said["number"]
                break
            total["inputs"] += 1
            total[said["kind"]] += 1
            total["slowest"] = max(total["slowest"], said["seconds"])
            total["peak"] = max(total["peak"], said["peak"])
            if said["kind"] == "foreign" or said["seconds"] > SLOWEST or said["peak"] > HIGHEST:
                _keep(name, said["number"], said["what"], said, keep, total)
        worker.wait()
        if worker.returncode and number < stop:
            total["inputs"] += 1
            total["foreign"] += 1
            _keep(name, number, f"the worker died ({worker.returncode})", {"seconds": 0, "peak": 0}, keep, total)
            number += 1
    return number


def _keep(name: str, number: int, what: str, said: dict, keep: Path, total: dict) -> None:
    """Remember a finding, and its bytes unless the same thing was seen before."""
    told = f"{name}: {what or 'read'}"
    if said["seconds"] > SLOWEST or said["peak"] > HIGHEST:
        told = f"{name}: {said['seconds']:.1f} s, {said['peak']:.0f} MB: {what or 'read'}"
    seen = any(entry.startswith(told) for entry in total["told"])
    if not seen and len(total["told"]) < 200:
        total["told"].add(f"{told} (input {number})")
        (keep / f"{name}-{number}").write_bytes(targets.input_bytes(name, number))


if __name__ == "__main__":
    main()
