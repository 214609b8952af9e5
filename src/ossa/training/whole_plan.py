"""A run planned as a whole: how many folds, how long each, from a plan for one (training.plan) and a timed trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ossa.config.load import apply_override, check
from ossa.dataset.fingerprint import Fingerprint
from ossa.errors import ConfigError
from ossa.training.plan import ASKED, BYTES_PER_PX, Line, Machine, Plan, plan

if TYPE_CHECKING:
    from ossa.training.trial import Trial

#: Epochs that a fold should have before another fold is worth its time.
ENOUGH = 30

#: What is kept for whatever was not timed: checkpoints, the machine's other work, augmentation's dearer draws.
MARGIN = 0.15

#: Seconds that a run takes to start, and each fold to start its processes and write its pages.
_STARTING, _PAGES = 5.0, 5.0

#: Seconds that a run with train.minutes keeps to write a fold's model (training.deadline.WRITING, which needs torch).
_KEPT = 20.0

_ABSENT = object()


@dataclass(frozen=True)
class Costs:
    """Seconds of a run on a machine: ``once`` before training, ``fold`` of each fold besides its epochs, ``epoch``."""

    once: float
    fold: float
    epoch: float
    samples: int

    @classmethod
    def of(cls, trial: Trial, pictures: int, folds: int, workers: int, samples: int | None = None) -> Costs:
        """What the ``trial`` says of a run on so many labelled ``pictures``; ``samples`` of an epoch where given."""
        trained = max(1, round(pictures * (1 - 1 / folds)))
        checks = max(1, pictures - trained)
        samples = samples or trained
        more = 1 + MARGIN
        return cls(
            _STARTING + more * pictures * trial.reading / max(1, workers),
            _PAGES + more * (checks * trial.check + trial.writing),
            more * trial.epoch(samples, checks),
            samples,
        )

    def minutes(self, folds: int, epochs: int) -> float:
        """Minutes of a run of so many folds."""
        return (self.once + folds * (self.fold + epochs * self.epoch)) / 60

    def left(self, minutes: float, folds: int) -> float:
        """Minutes for the epochs of each of ``folds`` folds in a run of ``minutes``; negative where there are none."""
        return minutes / folds - (self.once / folds + self.fold) / 60


def plan_run(
    fingerprint: Fingerprint,
    machine: Machine,
    trial: Trial,
    minutes: float | None = None,
    given: Mapping[str, Any] | None = None,
    spent: float = 0.0,
) -> Plan:
    """The recipe of a whole run within ``minutes`` where given, from what a ``trial`` of its first plan took.

    ``spent``: minutes beside these that measuring took already, to be told.

    As many folds are trained as leave ENOUGH epochs to each on the grid that the bones ask for, one at least.
    ``given``: settings that somebody asked for, dotted key -> value; they are reckoned with. Raises ConfigError for a
    time that is too short.
    """
    given = given or {}
    first = plan(fingerprint, machine, None, given)
    count = int(first["folds.count"])
    costs = Costs.of(trial, fingerprint.labelled, count, first["data.workers"], given.get("train.samples"))
    # plan() counts epochs of the compact network by px; what was measured is brought to that.
    kind = first["model.architecture"]
    ratio = BYTES_PER_PX[kind if kind in BYTES_PER_PX else "unet"] / BYTES_PER_PX["compact"]
    samples = max(1, round(fingerprint.labelled * (1 - 1 / count)))
    timed = replace(machine, seconds_per_px=costs.epoch / (samples * trial.size**2 * ratio))
    asked = given.get("folds.run")
    wanted = len(asked) if asked else count
    epochs = given.get("train.epochs")
    if minutes is None or epochs is not None:
        return _with(plan(fingerprint, timed, None, given), costs, trial, wanted, minutes, epochs, bool(asked))
    for folds in range(wanted, 0, -1):
        one = _of_fold(fingerprint, timed, costs.left(minutes, folds), given)
        if one is not None:
            enough = one["train.epochs"] >= ENOUGH and one["data.size"] >= first["data.size"]
            if enough or folds == 1 or asked:
                return _with(one, costs, trial, folds, minutes, None, bool(asked))
        if asked:
            break
    folds = wanted if asked else 1
    raise ConfigError(
        "the time is too short for one epoch",
        found=f"{minutes + spent:.3g} minutes" + (f", {spent:.1f} of them for measuring" if spent else ""),
        expected=f"{costs.minutes(folds, 1):.1f} or more at {trial.size} px: {costs.once / 60:.1f} to read the "
        f"pictures once, and for each fold {costs.epoch / 60:.1f} an epoch and {costs.fold / 60:.1f} to write it",
        remedy="Give more --minutes, fewer pictures, or a machine with a GPU",
    )


def _of_fold(fingerprint: Fingerprint, timed: Machine, left: float, given: Mapping[str, Any]) -> Plan | None:
    """The plan of a fold with ``left`` minutes for its epochs; None where not one fits in."""
    if left <= 0:
        return None
    try:
        return plan(fingerprint, timed, left, given)
    except ConfigError:
        return None


def _with(
    one: Plan, costs: Costs, trial: Trial, folds: int, minutes: float | None, epochs: int | None, asked: bool
) -> Plan:
    """The plan of one fold as that of the run, and how long that is expected to take."""
    count = int(one["folds.count"])
    if folds == count:
        why = "all of them: predictions of every picture by a network that never saw it, and an ensemble"
    else:
        why = f"{folds} of {count}: more would leave fewer than {ENOUGH} epochs to each, or a coarser grid"
    lines = []
    for line in one.lines:
        lines.append(line)
        if line.key == "folds.count" and not asked:
            lines.append(Line("folds.run", list(range(folds)), why))
        if line.key == "train.epochs" and minutes is not None and epochs is None:
            kept = round(max(0.1, minutes - folds * max(0.0, trial.writing - _KEPT) / 60), 2)
            lines.append(Line("train.minutes", kept, "should the machine become slower than it was when it was timed"))
    scale = (one["data.size"] / trial.size) ** 2
    here = replace(costs, epoch=costs.epoch * scale)
    expected = here.minutes(folds, int(epochs or one["train.epochs"]))
    told = f" of the {minutes:.3g} that there are" if minutes is not None else ""
    note = (
        f"expected to take about {expected:.1f} minutes{told}, {MARGIN:.0%} of margin and {costs.fold:.0f} s to check "
    )
    note += "and write each fold's model in it, if the machine stays as it was when it was timed"
    if minutes is not None and expected > minutes * 1.05:
        note += "; that is longer than was asked for, since train.epochs was given"
    fewer = (f"the time is short: {folds} of {count} folds are trained",) if folds < count and not asked else ()
    return Plan(tuple(lines), expected, (*one.warnings, *fewer, note))


def given_by(overrides: Sequence[str]) -> dict[str, Any]:
    """What KEY=VALUE say of a run whose plan says nothing yet: dotted key -> value. Raises ConfigError as they do."""
    values: dict[str, Any] = {}
    for override in overrides:
        if not _in_a_list(override):
            apply_override(values, override)
    check(values, "what was asked for")
    return _flat(values)


def _in_a_list(override: str) -> bool:
    return any(part.isdigit() for part in override.partition("=")[0].split("."))


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {above + name: value}
    return out


def with_overrides(planned: Plan, overrides: Sequence[str]) -> Plan:
    """The plan with KEY=VALUE in it, as a run file takes them; reasons say what was asked for.

    Raises ConfigError for what is no such setting of a run file.
    """
    values = planned.settings()
    for override in overrides:
        apply_override(values, override)
    keys = [override.partition("=")[0] for override in overrides]
    lines = []
    for line in planned.lines:
        value = _at(values, line.key)
        if value is _ABSENT:
            continue  # a section was given whole
        changed = [o for o, key in zip(overrides, keys, strict=True) if f"{key}.".startswith(f"{line.key}.")]
        above = [key for key in keys if f"{line.key}.".startswith(f"{key}.")]
        if value != line.value or above:
            reason = ASKED if above else f"{line.reason}; asked for: {', '.join(changed)}"
            lines.append(Line(line.key, value, reason))
        else:
            lines.append(line)
    known = [line.key for line in lines]
    for key in dict.fromkeys(keys):
        covered = any(f"{key}.".startswith(f"{other}.") for other in known)
        if covered:
            continue
        value = _at(values, key)
        inside = [other for other in known if other.startswith(f"{key}.")]
        if inside and isinstance(value, Mapping):
            lines += [Line(f"{key}.{name}", own, ASKED) for name, own in value.items() if f"{key}.{name}" not in inside]
        elif value is not _ABSENT:
            lines.append(Line(key, value, ASKED))
    return replace(planned, lines=tuple(lines))


def _at(values: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return _ABSENT
        values = values[part]
    return values
