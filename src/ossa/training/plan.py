"""A training that suits a data set and a machine, each setting with its reason: a fingerprint in, a recipe out.

The rules are few and plain, after the manner of nnU-Net's (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): the
grid follows from what is drawn, then shrinks until a batch fits into memory; the number of folds from the subjects; the
length from the time that there is. No torch is needed to plan.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ossa.dataset.fingerprint import Fingerprint
from ossa.errors import ConfigError, DatasetError
from ossa.schema import load_schema, shipped_schemas

#: Grids that a network may work on, px of the longer side: multiples of 32, as the networks ask.
GRIDS = (256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048)

#: The narrowest bone shall have so many px across on the grid: the compact network answers on half of it, and four px
#: of an answer are what an outline can be interpolated from.
NARROWEST = 8.0

#: Float32 bytes that a step keeps for every px of every sample, and those of the weights. Measured: what autograd saves
#: for the backward pass at 128 px, both networks with 29 bones.
BYTES_PER_PX = {"compact": 590, "unet": 5920}
_WEIGHTS = {"compact": 4 * 20_000_000, "unet": 4 * 81_000_000}

#: Share of the memory that a step may take: the rest is the allocator's, the workers' and everybody else's.
_USABLE = 0.6

#: Batches beyond these gain little speed and cost steps; below two, batch statistics are of one picture.
_BATCHES = {"compact": (2, 8), "unet": (2, 16)}

#: Subjects that a fold should hold at least, for its score to mean something.
_PER_FOLD = 4

#: Epochs, as often as every picture is seen, without a budget; below the fewest a training is not worth its start.
_EPOCHS, _FEWEST = 60, 3

#: The reason of what somebody decided.
ASKED = "as it was asked for"

#: GPU memory (bytes) from which the larger network is planned.
_LARGE_GPU = 10 * 2**30


@dataclass(frozen=True)
class Machine:
    """``memory`` in bytes (the GPU's where there is one), ``gpu`` its name. ``seconds_per_px``: what a training step of
    the compact network takes per px and sample, measured by a few timed steps; None where nobody measured."""

    memory: int
    cores: int
    gpu: str | None = None
    seconds_per_px: float | None = None


@dataclass(frozen=True)
class Line:
    """One setting of the recipe: ``key`` ("train.batch"), its value, and why."""

    key: str
    value: Any
    reason: str

    @property
    def told(self) -> str:
        """The value in words."""
        return _told(self.value)


@dataclass(frozen=True)
class Plan:
    """The recipe's settings in order; ``minutes`` that one fold is expected to take, None where speed is not known."""

    lines: tuple[Line, ...]
    minutes: float | None = None
    warnings: tuple[str, ...] = field(default=())

    def __getitem__(self, key: str) -> Any:
        """The value of one setting; KeyError for one that the plan says nothing of."""
        return {line.key: line.value for line in self.lines}[key]

    def because(self, key: str, reason: str) -> Plan:
        """The same plan with another reason for one setting."""
        lines = tuple(replace(line, reason=reason) if line.key == key else line for line in self.lines)
        return replace(self, lines=lines)

    def settings(self) -> dict[str, Any]:
        """The run file as nested values."""
        out: dict[str, Any] = {}
        for line in self.lines:
            *above, last = line.key.split(".")
            place = out
            for name in above:
                place = place.setdefault(name, {})
            place[last] = line.value
        return out

    def to_yaml(self) -> str:
        """The run file, each setting below its reason; what is to be noted stands above all."""
        told = "".join(f"# Note: {warning}\n" for warning in self.warnings)
        reasons = {line.key: line.reason for line in self.lines}
        return f"# Proposed by ossa; above every setting why it is so.\n{told}{_commented(self.settings(), reasons)}"


def _commented(values: Mapping[str, Any], reasons: Mapping[str, str], above: str = "", indent: str = "") -> str:
    """``values`` as YAML; a key that has a reason is written whole below it, any other as a section."""
    import yaml

    out = ""
    for name, value in values.items():
        key = above + name
        if key in reasons or not isinstance(value, Mapping):
            why = " ".join(reasons.get(key, "").split())
            text: str = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True, width=10_000)
            text = (f"# {why}\n" if why else "") + text
            out += "".join(f"{indent}{line}\n" for line in text.splitlines())
        else:
            out += f"{indent}{name}:\n" + _commented(value, reasons, f"{key}.", f"{indent}  ")
    return out


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(inner)}" for key, inner in value.items())
    return ", ".join(map(_told, value)) if isinstance(value, list) else str(value)


def this_machine() -> Machine:
    """Memory and cores of this computer, and its GPU where torch is installed and sees one."""
    from ossa.parallel import cores

    try:
        import torch

        if torch.cuda.is_available():
            properties = torch.cuda.get_device_properties(0)
            return Machine(int(properties.total_memory), cores(), str(properties.name))
    except ImportError:
        pass
    return Machine(_memory(), cores())


def _memory() -> int:
    """Bytes that this process may use: of the computer, or less where a container says so; 8 GB where nobody tells."""
    found = [8 * 2**30]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as stream:
                found.append(int(stream.read()))
        except (OSError, ValueError):
            continue
    return min(found)


def plan(
    fingerprint: Fingerprint,
    machine: Machine,
    budget_minutes: float | None = None,
    given: Mapping[str, Any] | None = None,
) -> Plan:
    """A recipe for training on a data set with a machine, within ``budget_minutes`` per fold where given.

    ``given``: of the grid (data.size), the network (model.architecture) and the folds (folds.count), what somebody
    decided already. Raises DatasetError for a set without labels, of one subject or of fewer than folds, ConfigError
    for a memory that not two samples of the smallest grid fit into, and for a budget too short for one epoch of it.
    """
    given = given or {}
    if not fingerprint.labelled or fingerprint.longest is None:
        raise DatasetError("has no labelled picture to plan a training for", path=fingerprint.root)
    if fingerprint.subjects < 2:
        raise DatasetError(
            "shows one person only, and a validation needs another",
            path=fingerprint.root,
            expected="2 subjects or more",
        )
    lines = [Line("name", "planned", "the run's folder is called so")]
    lines.append(Line("data.datasets", [{"path": fingerprint.root}], "the data set that was measured"))
    if "bones" not in given and fingerprint.schema != load_schema().name and fingerprint.schema in shipped_schemas():
        lines.append(Line("bones", fingerprint.schema, "its labels name these bones"))
    network, why_network = _network(machine)
    decided = "model.architecture" in given
    if decided:
        network, why_network = str(given["model.architecture"]), ASKED
    kind = network if network in BYTES_PER_PX else "unet"  # what is not known is taken for large
    grid = int(given["data.size"]) if "data.size" in given else None
    size, batch, why_size, why_batch = _fitting(fingerprint, machine, kind, grid)
    folds, why_folds = _folds(fingerprint)
    if "folds.count" in given:
        folds, why_folds = int(given["folds.count"]), ASKED
    if not 2 <= folds <= fingerprint.subjects:
        raise DatasetError(
            "cannot be dealt into so many folds",
            path=fingerprint.root,
            found=f"folds.count={folds}, {fingerprint.subjects} subjects",
            expected=f"2 to {fingerprint.subjects} folds: one subject in each, at least",
            remedy="Leave folds.count to the plan, or lower it",
        )
    share = 1 - 1 / folds
    samples = max(1, round(fingerprint.labelled * share))
    size, epochs, minutes, why_epochs, shrunk = _length(machine, kind, size, samples, budget_minutes, grid is not None)
    lines += [
        Line("data.size", size, why_size + shrunk),
        Line("data.workers", max(0, min(8, machine.cores - 1)), f"{machine.cores} cores, one of them for the network"),
        *_augmentation(fingerprint),
        Line("model.architecture", network, why_network),
    ]
    if network == "unet" and not decided:
        lines.append(Line("model.encoder", "efficientnet-b4", "as the recipe gpu1024, which this follows"))
        lines.append(Line("model.weights", "imagenet", "few labels: an encoder that has seen pictures learns sooner"))
    while batch > max(2, samples):
        batch //= 2
        why_batch = f"an epoch has {samples} samples only"
    wanted = min(8, samples)
    lines += [
        Line("folds.count", folds, why_folds),
        Line("loss", {"bce": 1, "dice": 1}, "overlapping bones: each its own plane, areas far apart"),
        Line("optimiser", {"name": "AdamW", "lr": 2.5e-3 if kind == "compact" else 5e-4}, "as the shipped recipes"),
        Line("scheduler", {"name": "OneCycleLR", "pct_start": 0.1}, "the length is known beforehand"),
        Line("train.epochs", epochs, why_epochs),
        Line("train.batch", batch, why_batch),
        Line(
            "train.accumulate",
            max(1, wanted // batch),
            f"gradients of {wanted} samples to a step, whatever fits at once",
        ),
        Line("train.ema", 0.99 if samples * epochs < 20_000 else 0.999, "averaged over a small part of the steps"),
        Line("train.device", "cpu" if machine.gpu is None else "gpu", machine.gpu or "no GPU was found"),
    ]
    return Plan(tuple(lines), minutes, tuple(_warnings(fingerprint, size)))


def _network(machine: Machine) -> tuple[str, str]:
    gigabytes = machine.memory / 2**30
    if machine.gpu is not None and machine.memory >= _LARGE_GPU:
        return "unet", f"{machine.gpu} with {gigabytes:.0f} GB takes a large encoder"
    if machine.gpu is not None:
        return "compact", f"{machine.gpu} has {gigabytes:.0f} GB, a large encoder wants {_LARGE_GPU / 2**30:.0f}"
    return "compact", "made for processors: most of its work lies at an eighth of the grid"


def _fitting(fingerprint: Fingerprint, machine: Machine, network: str, grid: int | None) -> tuple[int, int, str, str]:
    """(grid, batch, why the grid, why the batch): ``grid``, or the one that bones ask for, smaller until two fit."""
    assert fingerprint.longest is not None  # plan checked it
    picture = fingerprint.longest.median
    narrow = [(bone.width.median, bone.title) for bone in fingerprint.bones if bone.width is not None]
    width, title = min(narrow, default=(picture / 50, "the narrowest bone"))
    wanted = picture * NARROWEST / max(width, 1e-6)
    largest = _at_most(picture * 1.15)
    size = min(next((grid for grid in GRIDS if grid >= wanted), GRIDS[-1]), largest)
    across = width * size / picture
    why = f"{title} is {width:.0f} px wide in pictures of {picture:.0f} px, {across:.1f} here (wanted {NARROWEST:g})"
    fewest, most = _BATCHES[network]
    room = machine.memory * _USABLE - 4 * _WEIGHTS[network]  # with gradients and AdamW's two moments
    if grid is not None:
        size, why = grid, ASKED
    asked = size
    while grid is None and size > GRIDS[0] and BYTES_PER_PX[network] * size * size * fewest > room:
        size = max(grid for grid in GRIDS if grid < size)
    if size < asked:
        why += f"; {asked} would not fit {fewest} samples into {machine.memory / 2**30:.1f} GB"
    each = BYTES_PER_PX[network] * size * size
    if each * fewest > room:
        needed = (each * fewest + 4 * _WEIGHTS[network]) / _USABLE
        raise ConfigError(
            "there is too little memory for this training",
            found=f"{machine.memory / 2**30:.1f} GB{' of the GPU' if machine.gpu else ''}",
            expected=f"about {needed / 2**30:.1f} GB for {fewest} samples at {size} px, {_USABLE:.0%} of it used",
            remedy="Give a smaller grid (data.size=256) or the compact network (model.architecture=compact)"
            if size > GRIDS[0] or network != "compact"
            else "Train on a machine with more memory",
        )
    batch = int(max(fewest, min(most, room // each)))
    batch = 2 ** int(math.log2(batch))
    whose = "of the GPU" if machine.gpu else "of memory"
    why_batch = (
        f"a sample takes {each / 2**20:.0f} MB of {machine.memory / 2**30:.1f} GB {whose}, {_USABLE:.0%} of it used"
    )
    return size, batch, why, why_batch


def _at_most(size: float) -> int:
    """The largest grid that does not blow pictures up."""
    return max((grid for grid in GRIDS if grid <= size), default=GRIDS[0])


def _folds(fingerprint: Fingerprint) -> tuple[int, str]:
    subjects = fingerprint.subjects
    count = max(2, min(5, subjects // _PER_FOLD))
    if count == 5:
        return 5, f"{subjects} subjects: {subjects // 5} or more in each of the usual five"
    return count, f"{subjects} subjects: no more folds than hold {_PER_FOLD} of them each, two at least"


def _augmentation(fingerprint: Fingerprint) -> list[Line]:
    lines = []
    if fingerprint.wrist is not None:
        share = fingerprint.bent / fingerprint.wrist.count
        bend = 0.15 if share >= 0.25 else 0.3
        why = f"{share:.0%} of the wrists are bent" + (": rare, so that it is bent in training" if bend > 0.2 else "")
        lines.append(Line("data.augment.p_bend", bend, why))
    inverted = sum(n for kind, n in fingerprint.kinds.items() if kind.endswith("inverted"))
    if inverted:
        lines.append(
            Line("data.augment.p_invert", 0.1, f"{inverted} of {fingerprint.looked_at} pictures are negatives")
        )
    return lines


def _length(
    machine: Machine, network: str, size: int, samples: int, budget: float | None, fixed: bool
) -> tuple[int, int, float | None, str, str]:
    """(grid, epochs, minutes, why, what became of the grid); a budget first costs epochs, then the grid."""
    if machine.seconds_per_px is None:
        why = f"every picture {_EPOCHS} times; nobody measured how fast this machine is"
        return size, _EPOCHS, None, why, ""
    speed = machine.seconds_per_px * BYTES_PER_PX[network] / BYTES_PER_PX["compact"]

    def minutes(grid: int) -> float:
        return speed * grid * grid * samples / 60

    shrunk = ""
    if budget is not None:
        asked = size
        while not fixed and size > GRIDS[0] and minutes(size) * _EPOCHS / 3 > budget:
            size = max(grid for grid in GRIDS if grid < size)
        if size < asked:
            shrunk = f"; {asked} would leave too few epochs in {budget:.3g} minutes"
        if minutes(size) > budget:
            raise ConfigError(
                "the budget is too short for one epoch",
                found=f"{budget:g} minutes",
                expected=f"{minutes(size):.1f} for an epoch of {samples} samples at {size} px, and some epochs",
                remedy="Give more time, fewer pictures, or a machine with a GPU",
            )
    epoch = minutes(size)
    epochs = _EPOCHS if budget is None else max(1, min(3 * _EPOCHS, int(budget / epoch)))
    why = f"an epoch of {samples} samples takes {epoch:.1f} minutes"
    why += f"; {budget:.3g} minutes are there for it" if budget is not None else f"; every picture {_EPOCHS} times"
    if epochs < _FEWEST:
        why += f" (fewer than {_FEWEST} epochs: it will hardly learn)"
    return size, epochs, epochs * epoch, why, shrunk


def _warnings(fingerprint: Fingerprint, size: int) -> list[str]:
    out = []
    absent = [bone.title for bone in fingerprint.bones if not bone.drawn]
    if absent:
        out.append(f"no label shows {', '.join(absent)}: a network will not learn to find them")
    rare = [bone.title for bone in fingerprint.bones if 0 < bone.drawn < 0.2 * fingerprint.labelled]
    if rare:
        out.append(f"few labels show {', '.join(rare)}")
    if fingerprint.longest is not None and fingerprint.longest.low < size / 2:
        out.append(f"some pictures are less than half as large ({fingerprint.longest.low:.0f} px) as the grid")
    if fingerprint.problems:
        out.append(
            f"{len(fingerprint.problems)} problems of the data set are told by ossa data info and ossa data audit"
        )
    return out
