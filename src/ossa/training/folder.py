"""A run's folder: numbered, never overwritten, with everything needed to know how it came about.

    OUTPUT/NAME-001/config.yaml   the effective config
    .../provenance.json           versions, git state, data fingerprint, machine, command
    .../run.log                   the log
    .../fold0/                    last.ckpt, best.ckpt, best.safetensors, metrics.csv, tensorboard/, oof.csv
    .../bundle0/, oof/, curves.svg, summary.html

The next free number is taken by making the folder, so two runs that start together get one each.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ossa.config import RunConfig, dump, to_yaml
from ossa.errors import ConfigError, OutputError
from ossa.safety import contents, read_json, write_json, write_text

#: Packages whose version can change a result.
_PACKAGES = (
    *("ossa", "torch", "lightning", "numpy", "opencv-python-headless", "torchvision", "timm"),
    *("segmentation-models-pytorch", "transformers", "numba", "scipy"),
)


#: Schedules whose length ``training.optim.make_schedule`` takes from the run's.
_OF_A_LENGTH = (
    *("OneCycleLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts"),
    *("LinearLR", "ConstantLR", "PolynomialLR", "SequentialLR", "ChainedScheduler"),
)


def new_folder(config: RunConfig) -> Path:
    """Make OUTPUT/NAME-NNN with the next free number. Raises OutputError when it cannot be made."""
    root = config.output
    pattern = re.compile(re.escape(config.name) + r"-(\d+)")
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            taken = [int(m[1]) for p in root.iterdir() if (m := pattern.fullmatch(p.name))]
            folder = root / f"{config.name}-{max(taken, default=0) + 1:03d}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue  # another run took the number
    except OSError as error:
        raise OutputError(
            "the run folder cannot be made", path=root, found=error.strerror, remedy="Give another folder with output="
        ) from error


def exact_folder(folder: Path) -> Path:
    """``folder`` itself, made; OutputError when a run, or anything but the log of a failed start, is in it already."""
    if folder.exists() and (not folder.is_dir() or any(name != "run.log" for name in contents(folder))):
        raise OutputError(
            "the run folder exists",
            path=folder,
            found="a run" if (folder / "config.yaml").exists() else "something else",
            remedy="Give --resume to go on with that run, or another folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("the run folder cannot be made", path=folder, found=error.strerror) from error
    return folder


def resumed_folder(folder: Path, config: RunConfig) -> Path:
    """``folder`` of a run with the same config; ConfigError names what differs.

    More epochs, other loggers and another kind of device (not another number of them) may be given, as they change
    no number of the run so far; with a schedule that depends on the run's length more epochs are another run.
    """
    from ossa.config import load_config

    if not (folder / "config.yaml").is_file():
        raise ConfigError("there is no run to resume", path=folder, expected="a run folder with config.yaml")
    before, now = _flat(dump(load_config(folder / "config.yaml"))), _flat(dump(config))
    free = (
        *(
            "output",
            "name",
            "train.device",
            "train.threads",
            "train.minutes",
            "data.workers",
            "data.cache",
            "folds.run",
        ),
        *("data.phantoms.writers", "data.phantoms.pool"),
    )
    differing = [
        k
        for k in sorted(before.keys() | now.keys())
        if before.get(k) != now.get(k) and k not in free and not k.startswith("logging.")
    ]
    if "train.epochs" in differing and config.scheduler.name not in _OF_A_LENGTH:
        differing.remove("train.epochs")
    if differing:
        first = differing[0]
        raise ConfigError(
            "the run was started with another config",
            path=folder,
            found=f"{first}={now.get(first)}" + (f" (and {len(differing) - 1} more)" if differing[1:] else ""),
            expected=f"{first}={before.get(first)}",
            remedy="Resume without overrides, or start a new run",
        )
    return folder


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix.rstrip("."): value}
    out: dict[str, Any] = {}
    for key, inner in value.items():
        out |= _flat(inner, f"{prefix}{key}.")
    return out


def record(folder: Path, config: RunConfig, fingerprint: dict[str, Any]) -> None:
    """Write config.yaml and provenance.json. A resumed run adds an entry and refuses other data."""
    path = folder / "provenance.json"
    entry = {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": versions(),
        "git": git_state(Path.cwd()),
        "machine": {"platform": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()},
        "data": fingerprint,
    }
    if not path.exists():
        write_text(folder / "config.yaml", to_yaml(config))
        write_json(path, {"runs": [entry]})
        return
    refuse_other_data(folder, fingerprint)
    write_json(path, {"runs": [*read_json(path)["runs"], entry]})


def refuse_other_data(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Raise ConfigError when ``fingerprint`` is not that of the data with which the run in ``folder`` began."""
    before = read_json(folder / "provenance.json")["runs"][0]["data"]
    if before["sha256"] != fingerprint["sha256"]:
        raise ConfigError(
            "the data has changed since the run was started",
            path=folder,
            found=f"{fingerprint}",
            expected=f"{before}",
            remedy="Start a new run",
        )


def versions() -> dict[str, str]:
    """Installed versions of the packages that matter."""
    out = {}
    for package in _PACKAGES:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether files differ from it, of the repository around ``folder``; None outside of one."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no").splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "changed": len(changed)}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def fingerprint(lines: Iterable[str]) -> dict[str, Any]:
    """The SHA-256 of all samples' descriptions (one line each), whatever their order, and how many there are."""
    ordered = sorted(lines)
    return {"sha256": hashlib.sha256("\n".join(ordered).encode()).hexdigest(), "samples": len(ordered)}
