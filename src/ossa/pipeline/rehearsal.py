"""A rehearsal of the hand-bone competition, as it was published: the trip behind ``ossa phantom OUT --rehearsal``.

    OUT/rehearsal.json                                   how the folder was made
    OUT/train/DCM/ID004/image1661130828152_R.png         two hands per subject; three identical channels
    OUT/train/outputs_json/ID004/image1661130828152_R.json
    OUT/test/DCM/ID040/image1661319116107.png            no labels
    OUT/meta_data.xlsx                                   ages and more, with the traps of the published sheet
    OUT/truth/ID040/image1661319116107.json              the truth of the test set, apart, in the same format
    OUT/truth.json                                       which labels are wrong, which wrists were planned bent

Every picture follows from the seed and its number, so a run that was stopped is continued by the same command.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.errors import ConfigError, MissingExtraError
from ossa.parallel import cores, in_processes
from ossa.pipeline.phantom import Made, anatomy_name, check, claim
from ossa.progress import Track, silent
from ossa.safety import output_folder, write_bytes, write_json
from ossa.safety.whole import require_space

if TYPE_CHECKING:
    from ossa.hand.phantom.contest import ContestHand

RECORD = "rehearsal.json"
#: The truth of the test set, and what was planted in the labels.
TRUTH, PLANTED = "truth", "truth.json"
META = "meta_data.xlsx"

#: Subjects of a small contest, to train on and to be judged by; the published one had 400 and 144.
TRAIN, TEST = 40, 14
#: Fewest subjects: two folds of two, and every kind of label error in a picture of its own.
FEWEST_TRAIN, FEWEST_TEST = 4, 1
#: Bytes of a picture's PNG and label per px: 80 films of 2048 px have 1.27 on average.
BYTES_PER_PX = 1.25


@dataclass(frozen=True)
class _Job:
    output: Path
    hand: ContestHand
    seed: int
    size: int
    anatomies: tuple[Path, ...]


def make_rehearsal(
    output: str | Path,
    *,
    train: int = TRAIN,
    test: int = TEST,
    seed: int = 1,
    size: int = 2048,
    anatomies: Sequence[str | Path] = (),
    processes: int | None = None,
    track: Track = silent,
) -> Made:
    """Make the competition's folder with ``train`` + ``test`` subjects of two hands; pictures already there are kept.

    ``size``: side of the square pictures in px (published: 2048). ``anatomies``, ``processes``: as ``make_phantoms``.
    Raises ConfigError for settings out of range and for a folder that was made with others or holds something else,
    MissingExtraError, AnatomyError, OutputError (a full disk, or one that will be: the same command continues).
    """
    check(1, seed, size, processes)
    for what, count, least in (("training", train, FEWEST_TRAIN), ("test", test, FEWEST_TEST)):
        if count < least:
            raise ConfigError(f"too few {what} subjects", found=count, expected=f"at least {least}")
    try:
        from ossa.hand.phantom.contest import plan
    except ImportError as error:
        raise MissingExtraError.of("making phantoms", "phantom", error) from error
    folder = Path(output)
    meshes = tuple(Path(anatomy).resolve() for anatomy in anatomies)
    hands = plan(train, test, seed)
    with output_folder(folder, meshes, (RECORD,)):
        settings = {"train": train, "test": test, "seed": seed, "size": size, "anatomy": anatomy_name(meshes)}
        claim(folder, RECORD, settings)
        _write_meta(folder / META, hands, seed)
        _write_planted(folder / PLANTED, hands)
        jobs = [_Job(folder, hand, seed, size, meshes) for hand in hands if not _picture(folder, hand).exists()]
        needed = len(jobs) * BYTES_PER_PX * size * size
        advice = "or take fewer subjects (--train, --test) or a smaller --size"
        require_space(folder, needed, "the rehearsal", holds=f"{len(jobs)} pictures of {size} px", remedy=advice)
        workers = min(processes if processes is not None else cores(), max(len(jobs), 1))
        remedy = "Give fewer processes with -j or a smaller --size; the same command continues"
        for _ in track(in_processes(_make, jobs, workers, remedy), len(jobs), "Taking films"):
            pass
    return Made(folder, len(jobs), len(hands) - len(jobs))


def _picture(folder: Path, hand: ContestHand) -> Path:
    return folder / hand.split / "DCM" / hand.subject / f"{hand.stem}.png"


def _label(folder: Path, hand: ContestHand) -> Path:
    part = folder / TRUTH if hand.split == "test" else folder / "train" / "outputs_json"
    return part / hand.subject / f"{hand.stem}.json"


def _make(job: _Job) -> None:
    """Draw one picture, and its label first: a picture in the folder always has its label."""
    import numpy as np

    from ossa.hand.phantom.annotators import mistaken, outlined
    from ossa.hand.phantom.contest import developed, picture_seed
    from ossa.labels.competition import write_published
    from ossa.phantom.meshes import meshes
    from ossa.phantom.scene import render
    from ossa.radiograph.display import png
    from ossa.schema import load_schema
    from ossa.segmentation.segmentation import Segmentation

    hand = job.hand
    anatomy = meshes(job.anatomies, job.size)
    picture, scene = render(picture_seed(hand, job.seed, anatomy), job.size, hand.options, anatomy, hand.sitter)
    rng = np.random.default_rng(np.random.SeedSequence([20260105, job.seed, hand.index]))
    picture = developed(picture, rng)
    outlines = outlined(Segmentation.from_bits(scene.bits, load_schema("hand29")), rng)
    if hand.mistake is not None:
        outlines, picture = mistaken(outlines, hand.mistake, picture, rng)
    parts = sum(len(several) for several in outlines.values())
    order, who = rng.permutation(parts).tolist(), f"{int(rng.integers(2**48)):012x}"
    write_published(_label(job.output, hand), outlines, f"{hand.stem}.png", order, who)
    write_bytes(_picture(job.output, hand), png(np.repeat(picture[..., None], 3, axis=2)))


def _write_meta(path: Path, hands: Sequence[ContestHand], seed: int) -> None:
    """Age, sex, weight and height of all subjects, and of a few who have no pictures."""
    import numpy as np

    from ossa.dataset.metadata import Subject, write_metadata
    from ossa.hand.phantom.contest import FILMS
    from ossa.phantom.scene import age_of

    rng = np.random.default_rng(np.random.SeedSequence([20260106, seed]))
    people = {hand.subject: hand.person for hand in hands}
    used = {int(name[2:]) for name in people}
    strangers = [n for n in range(1, max(used) + 5) if n not in used][:: max(1, len(used) // 4)][:6]
    rows = {f"ID{n:03d}": int(rng.integers(2**31)) for n in strangers} | people
    subjects = {}
    for name in sorted(rows):
        woman = bool(rng.uniform() < 0.5)
        height = round(float(rng.normal(161 if woman else 174, 6)), 1)
        weight = round(float(rng.normal(22.5, 2.5)) * (height / 100) ** 2, 1)
        remark = str(rng.choice(["네일아트", "반지", "재촬영"])) if rng.uniform() < 0.03 else None
        age = float(int(age_of(rows[name], FILMS)))
        subjects[name] = Subject(age, "F" if woman else "M", weight, height, remark)
    write_metadata(path, subjects)


def _write_planted(path: Path, hands: Sequence[ContestHand]) -> None:
    """What a rehearsal is judged by: nothing that a contestant would have."""
    facts: dict[str, Any] = {
        "mistakes": {f"{h.stem}.png": h.mistake for h in hands if h.mistake is not None},
        "bent": [f"{h.stem}.png" for h in hands if h.bent],
        "sesamoid_left_out": [f"{h.stem}.png" for h in hands if not h.sesamoid],
    }
    write_json(path, facts)
