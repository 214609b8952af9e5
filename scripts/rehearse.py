"""The whole contest on a rehearsal of it (or on the real data): what does each step gain?

    ossa phantom contest --rehearsal
    scripts/rehearse.py contest -o work

audit -> folds -> training -> out-of-fold predictions -> calibration -> ensemble -> pseudo-labels -> submission, score.
WORK/index.html shows it, WORK/submission.csv is what would be handed in. A step that is done is not done again: the
same command goes on where it was stopped. A step is kept where it gains out of fold; the truth of the test set judges,
it chooses nothing.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _contest import (
    FIRST,
    LEAST_GAIN,
    SECOND,
    THIRD,
    Contest,
    Told,
    audit,
    check,
    fitted_and_submitted,
    folds,
    look_at_tests,
    once,
    pseudo_labels,
    pseudo_note,
    submit,
    train,
    train_if_sure,
)

from ossa.errors import OssaError
from ossa.pages.contest import Alarm, Step, write_contest
from ossa.pages.run import mean_curves, read_curves
from ossa.pipeline.phantom import claim
from ossa.pipeline.rehearsal import PLANTED, TRUTH
from ossa.safety import output_folder, read_json, renewing

RECORD = "rehearse.json"


def rehearse(contest: Contest, folds_file: Path | None = None) -> list[Step]:
    """Do what is not done yet, write the page and the submission; the steps."""
    check(contest, folds_file)
    settings = {
        key: str(getattr(contest, key))
        for key in ("data", "size", "folds", "steps", "start", "more", "floor", "min_bones")
    }
    with output_folder(contest.work, [contest.data, *([contest.truth] if contest.truth else [])], (RECORD,)):
        claim(contest.work, RECORD, settings)
        looked = once(contest, "audit", lambda: audit(contest))
        split = once(contest, "folds", lambda: folds(contest, folds_file))
        first = once(contest, "train first", lambda: train(contest, "first", FIRST))
        seen = once(contest, "test first", lambda: look_at_tests(contest, "first"))
        single = once(contest, "single", lambda: submit(contest, "single", ["first"], first=1))
        three = once(contest, "folds together", lambda: submit(contest, "folds", ["first"]))
        fitted = once(contest, "calibrate", lambda: fitted_and_submitted(contest, "calibrated", ["first"]))
        rules = fitted["held_out"] >= fitted["plain"] + LEAST_GAIN
        before = fitted["held_out"] if rules else fitted["plain"]
        second = once(contest, "train second", lambda: train(contest, "second", SECOND))
        seen2 = once(contest, "test second", lambda: look_at_tests(contest, "second"))
        runs = ["first", "second"]
        both = once(contest, "ensemble", lambda: fitted_and_submitted(contest, "ensemble", runs, rules))
        keep_both = both["held_out"] >= before + LEAST_GAIN
        base = runs if keep_both else ["first"]
        sure = (*THIRD, *pseudo_labels(contest, base))
        third = once(contest, "train pseudo", lambda: train_if_sure(contest, "pseudo", sure))
        if "skipped" in third:  # nothing is lost: the steps before stand
            last, seen3 = {"test": None, "held_out": None, "per_bone": {}, "seconds": 0.0}, {"seconds": 0.0}
            keep_last, told = False, str(third["skipped"])
        else:
            seen3 = once(contest, "test pseudo", lambda: look_at_tests(contest, "pseudo"))
            members = [*base, "pseudo"]
            last = once(contest, "pseudo-labels", lambda: fitted_and_submitted(contest, "pseudo", members, rules))
            keep_last = last["held_out"] >= (both["held_out"] if keep_both else before) + LEAST_GAIN
            told = pseudo_note(contest)

        def seconds(*told: Mapping[str, Any]) -> float:
            return float(sum(t["seconds"] for t in told))

        n = contest.folds
        steps = [
            Step("1 fold", "one fold's model", single["test"], first["dice"][0], single["per_bone"],
                 (seconds(first, seen)) / n + seconds(single), note="its held-out Dice is that of its own fold"),
            Step(f"{n} folds", f"the mean of {n} folds", three["test"], fitted["plain"], three["per_bone"],
                 seconds(first, seen) * (n - 1) / n + seconds(three), note="out of fold each picture has one model"),
            Step("calibrate", "+ thresholds and clean-up per bone", fitted["test"], fitted["held_out"],
                 fitted["per_bone"], seconds(fitted), rules, note="fitted out of fold, judged on other subjects"),
            Step("ensemble", "+ a second run, weights per bone", both["test"], both["held_out"], both["per_bone"],
                 seconds(second, seen2, both), keep_both, note="turned and bent more, other loss, other seed"),
            Step("pseudo", "+ a third run on the test set too", last["test"], last["held_out"], last["per_bone"],
                 seconds(third, seen3, last), keep_last, note=told),
        ]  # fmt: skip
        final = "pseudo" if keep_last else "ensemble" if keep_both else "calibrated" if rules else "folds"
        with renewing(contest.work / "submission.csv") as temporary:
            shutil.copyfile(contest.work / "submissions" / f"{final}.csv", temporary)
        write_page(contest, steps, looked, split)
    return steps


def write_page(contest: Contest, steps: Sequence[Step], looked: Told, split: Told) -> None:
    """WORK/index.html."""
    planted = read_json(contest.data / PLANTED)["mistakes"] if (contest.data / PLANTED).is_file() else {}
    alarms = [Alarm(image, message, planted.get(image, "")) for image, message in looked["alarms"].items()]
    trained = {run: sorted((contest.work / run).glob("fold?")) for run in ("first", "second", "pseudo")}
    curves = [(run, mean_curves([read_curves(fold) for fold in found])) for run, found in trained.items() if found]
    facts = {
        "data": f"{contest.data.name}: {looked['kept']} training pictures after the audit, "
        f"{sum(1 for _ in contest.tests.rglob('*.png'))} test pictures",
        "folds": f"{contest.folds} by subject, {split['hash'][:12]}",
        "training": f"{contest.steps} steps of 4 pictures at {contest.size} px per fold, from "
        + {"default": "the shipped model", "none": "nothing"}.get(contest.start, contest.start),
        "kept": ", ".join(step.name for step in steps if step.kept),
        "submission": "submission.csv",
    }
    titles = {bone.name: bone.title for bone in contest.schema.bones}
    missed = sorted(set(planted) - set(looked["alarms"]))
    work = [("audit and folds", looked["seconds"] + split["seconds"])]
    write_contest(
        contest.work / "index.html", "Rehearsal of the contest", steps,
        facts=facts, bones=titles, alarms=alarms, missed=missed, curves=curves, work=work,
    )  # fmt: skip


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the contest's folder (ossa phantom DATA --rehearsal)")
    parser.add_argument("-o", "--work", type=Path, required=True, help="where everything is written")
    parser.add_argument("--truth", type=Path, help="labels of the test set  [default: DATA/truth]")
    parser.add_argument("--no-truth", action="store_true", help="as in a real contest: nothing is scored")
    parser.add_argument("--size", type=int, default=512, help="longest side on the grid, px")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--folds-file", type=Path, help="a split that exists, instead of making one")
    parser.add_argument("--steps", type=int, default=120, help="steps of four pictures per fold and run")
    parser.add_argument("--threads", type=int, default=0, help="threads of the training; 0: as torch likes")
    parser.add_argument("--start", default="default", help="a bundle or weight file, 'default' (shipped) or 'none'")
    parser.add_argument("more", nargs="*", metavar="KEY=VALUE", help="changes of every run's settings")
    given = parser.parse_args()
    truth = None if given.no_truth else given.truth or given.data / TRUTH
    contest = Contest(
        given.data.resolve(), given.work.resolve(), truth, given.size, given.folds, given.steps, given.threads,
        given.start, tuple(given.more),
    )  # fmt: skip
    try:
        steps = rehearse(contest, given.folds_file)
    except OssaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    for step in steps:
        shown = [f"{v:.4f}" if v is not None else "-" for v in (step.test, step.held_out)]
        print(f"{step.title:<40} test {shown[0]:>7}  out of fold {shown[1]:>7}  {'' if step.kept else 'not kept'}")
    print(f"page -> {contest.work / 'index.html'}\nsubmission -> {contest.work / 'submission.csv'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
