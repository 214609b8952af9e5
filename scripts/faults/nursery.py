"""A process that has read ossa and the libraries below it, and forks one command after another: no start-up for each.

Started by ``running.Nursery``, which tells it line by line in JSON what to do; it answers in a line each. It keeps to
one thread, so that a fork of it is as good as a new process.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
import traceback
from importlib import import_module
from typing import Any


def main() -> None:
    """Read the modules that are named, then obey."""
    for name in sys.argv[1:]:
        import_module(name)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what commands print goes to their logs, never among the answers
    print(json.dumps("ready"), file=answer, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        found: Any = _begin(asked) if "words" in asked else _end(asked["wait"], asked["seconds"])
        print(json.dumps(found), file=answer, flush=True)


def _begin(asked: dict[str, Any]) -> int:
    """Fork a command into a session of its own; the number of its process."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # as a terminal's command has them
            signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for handle, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(handle, target)
        os.closerange(3, 100)
        os.environ.update(asked["environment"])
        _limit(asked["limits"])
        import sitecustomize  # that of hook/, which stands first in PYTHONPATH

        sitecustomize.install(os.environ.get("OSSA_FAULT"))
        code = _run(asked["words"])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(words: list[str]) -> int:
    """A command of ossa, or, as "MODULE:FUNCTION", a function of this folder; its exit code."""
    module, found, function = words[0].partition(":")
    if found:
        try:
            getattr(import_module(module), function)(*words[1:])
        except Exception as error:
            print(error)
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            return 2 if full or type(error).__module__ == "ossa.errors" else 1  # as ossa.cli has it
        return 0
    from ossa.cli import _end_in_order, cli

    _end_in_order()  # as ossa.cli.main has it
    sys.argv = ["ossa", *words]
    try:
        cli.main(words, prog_name="ossa")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(kind, (value, value))


def _end(child: int, seconds: float) -> tuple[int, float] | None:
    """How a command ended (below 0: by which signal), and its seconds of processor time; None when it is at work yet
    after ``seconds``.
    """
    end = time.monotonic() + seconds
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if time.monotonic() >= end:
            return None
        time.sleep(0.002)


if __name__ == "__main__":
    main()
