"""Reads numbered inputs of one reader under limits: python worker.py READER FIRST STOP DEADLINE. One JSON line each."""

from __future__ import annotations

import json
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import targets

from ossa.errors import OssaError

#: Address space beyond what the worker needs before the first input (bytes): above the limit that is asked for, so that
#: the peak is measured and not only refused.
SPACE = 3 << 30

#: An input is given up after so long (s).
GIVE_UP = 8.0


class TooLong(BaseException):
    """Not an Exception, so that no reader takes it for a damaged file."""


def main() -> None:
    """Read, measure, tell."""
    name, first, stop, deadline = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as folder:
        target = targets.open_target(name, Path(folder))
        target(targets.seeds(name)[0])  # what is imported late is imported now
        space = _megabytes("VmSize") * (1 << 20) + SPACE
        resource.setrlimit(resource.RLIMIT_AS, (int(space), int(space)))
        for number in range(first, stop):
            if time.monotonic() > deadline:
                print(json.dumps({"number": number, "kind": "end"}), flush=True)
                return
            print(json.dumps({"number": number, **_read(target, targets.input_bytes(name, number))}), flush=True)
    print(json.dumps({"number": stop, "kind": "end"}), flush=True)


def _read(target: targets.Target, data: bytes) -> dict:
    kind, what, start = "read", "", time.perf_counter()
    _forget_the_peak()
    signal.setitimer(signal.ITIMER_REAL, GIVE_UP)
    try:
        target(data)
    except OssaError:
        kind = "refused"
    except TooLong:
        kind, what = "foreign", f"took more than {GIVE_UP:g} s"
    except BaseException as error:  # whatever it is, it is what is looked for
        place = traceback.extract_tb(error.__traceback__)
        here = next((f for f in reversed(place) if "ossa" in f.filename and "fuzz" not in f.filename), place[-1])
        kind, what = "foreign", f"{type(error).__name__} at {Path(here.filename).name}:{here.lineno}: {error!s:.100}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"kind": kind, "what": what, "seconds": time.perf_counter() - start, "peak": _megabytes("VmHWM")}


def _too_long(*_: object) -> None:
    raise TooLong


def _forget_the_peak() -> None:
    with suppress(OSError):  # not every kernel lets one: the peak is then that of the worker's life
        Path("/proc/self/clear_refs").write_text("5")


def _megabytes(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
