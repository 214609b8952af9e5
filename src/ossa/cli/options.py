"""What several commands share: options, and how their words are read and their messages told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ossa.errors import ConfigError

if TYPE_CHECKING:
    from ossa.schema import BoneSchema

Command = TypeVar("Command", bound=Callable[..., Any])

#: A file or a folder; whether it is there, and what is in it, is for the reader to tell.
PATH = click.Path(path_type=Path)


class _Where(click.Path):
    """A folder, or the URL of a prefix of an object store, which stays text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from ossa.places import is_url

        return value if is_url(value) else super().convert(value, param, ctx)


#: Where results go that may go into a store too.
WHERE = _Where(path_type=Path)

#: The label formats that help texts name; the table of ossa.labels.format, which takes time to import, has them all.
FORMATS = "competition, coco, labelme, cvat, yolo, masks, bits, nnunet, nnunet-regions, ramw600, dicom-seg"


def output(text: str, required: bool = True, kind: click.Path = PATH) -> Callable[[Command], Command]:
    """``-o``: the file or the folder that is written."""
    return click.option("-o", "--output", required=required, type=kind, help=text)


def schema_option(default: str | None = "hand29") -> Callable[[Command], Command]:
    """``--schema``: which bones there are; the command gets the ``BoneSchema``, or None for what the files name."""
    told = "" if default is not None else "  [default: the one whose bones are named]"
    return click.option(
        "--schema",
        default=default,
        show_default=default is not None,
        callback=_read(_schema),
        help=f"Bone schema (name or .toml file).{told}",
    )


def dataset_options(command: Command) -> Command:
    """DATASET, ``--schema`` and ``--map``: what every command asks that reads a data set."""
    for option in (names_option(), schema_option(), click.argument("dataset", metavar="DATASET", type=PATH)):
        command = option(command)
    return command


def model_option() -> Callable[[Command], Command]:
    """``--model``: one bundle, a run's folds, or a packed model."""
    return click.option(
        "--model",
        type=PATH,
        help="Folder of a bundle or a run, or a packed model (.ossa).  [default: the shipped one]",
    )


def device_option() -> Callable[[Command], Command]:
    """``--device``: where the network runs."""
    return click.option(
        "--device", default="auto", show_default=True, help="Where the network runs: auto, cpu, cuda, cuda:1, ..."
    )


def engine_options(workers: bool = True) -> Callable[[Command], Command]:
    """``--engine``, ``--address`` and, where the command has no option of its own, ``--workers``: who does the work."""

    def add(command: Command) -> Command:
        if workers:
            many = "With --engine ray: how many workers at most.  [default: as many as the cluster has room for]"
            command = click.option("--workers", type=click.IntRange(min=1), help=many)(command)
        where = "A Ray cluster: HOST:6379, or auto for this machine's.  [default: one that is started for this run]"
        command = click.option("--address", help=where)(command)
        who, kinds = (
            "Who does the work: this machine, or a Ray cluster (docs/scale.md).",
            click.Choice(["local", "ray"]),
        )
        return click.option("--engine", type=kinds, default="local", show_default=True, help=who)(command)

    return add


def looks_option(default: str) -> Callable[[Command], Command]:
    """``--tta``: test-time augmentation."""
    return click.option(
        "--tta",
        "looks",
        default=default,
        show_default=True,
        help="Test-time augmentation: none, flip, scale:0.9:1, rotate:-5:0:5, or several with commas"
        + ("; auto: flip where a bone's outline is taken." if default == "auto" else "."),
    )


def threshold_option(default: str = "the model's") -> Callable[[Command], Command]:
    """``--threshold``, any number of times; the command gets {bone: probability}, "*" for every bone."""
    return click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="[BONE=]P",
        callback=lambda _context, _option, words: read_thresholds(words),
        help=f"Probability from which a pixel is bone: .4, or Pisiform=.3 for one; repeat it.  [default: {default}]",
    )


def thresholds_option(default: str) -> Callable[[Command], Command]:
    """``--threshold`` where several numbers give several results; the command gets a list of {bone: probability}."""
    return click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="[BONE=]P",
        callback=lambda _context, _option, words: read_threshold_sets(words),
        help="Probability from which a pixel is bone: .4, or Pisiform=.3 for one; repeat it. Several without a bone: "
        f"a CSV at each.  [default: {default}]",
    )


def tile_option() -> Callable[[Command], Command]:
    """``--tile``: sliding windows."""
    return click.option(
        "--tile", type=int, metavar="PX", help="Side of sliding windows in grid pixels.  [default: the whole picture]"
    )


def names_option() -> Callable[[Command], Command]:
    """``--map``: what the names in label files mean."""
    return click.option(
        "--map",
        "names",
        metavar="FILE",
        type=PATH,
        help="Names of the labels and the bones that they mean (.toml, .json or .yaml).",
    )


def scale_labels_option() -> Callable[[Command], Command]:
    """``--scale-labels``: labels drawn at another size than their pictures are scaled instead of refused."""
    return click.option(
        "--scale-labels", is_flag=True, help="Scale labels that were drawn at another size than their pictures have."
    )


def _read(read: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """A callback that reads an option's word; None where it was not given."""
    return lambda _context, _option, word: None if word is None else read(word)


def size_option(text: str) -> Callable[[Command], Command]:
    """``--size``; the command gets (height, width) or None."""
    return click.option(
        "--size",
        metavar="HEIGHTxWIDTH",
        callback=_read(read_size),
        help=text,
    )


def spacing_option() -> Callable[[Command], Command]:
    """``--spacing``; the command gets (row, column) in mm or None."""
    return click.option(
        "--spacing",
        metavar="MM",
        callback=_read(read_spacing),
        help="Millimetres per pixel, .15, or between rows and columns, .15x.2: before what the files say.",
    )


def known_length_option() -> Callable[[Command], Command]:
    """``--known-length``; the command gets ((x, y), (x, y), mm) or None."""
    return click.option(
        "--known-length",
        metavar="X,Y,X,Y=MM",
        callback=_read(read_known_length),
        help="Two places in px on the picture and the millimetres between them: a ruler's marks, a coin's rim.",
    )


def measuring_options(command: Command) -> Command:
    """What commands ask that measure hands: millimetres, pictures, and the predictor for pictures without results."""
    for option in (
        click.option("--fast", is_flag=True, help="Find bones as ossa predict --fast: one look, no confidences."),
        threshold_option(),
        looks_option("auto"),
        device_option(),
        model_option(),
        click.option("--images", type=PATH, help="Folder of the pictures that results or labels belong to."),
        known_length_option(),
        spacing_option(),
    ):
        command = option(command)
    return command


def tell(sentence: object) -> None:
    """Say something on standard error."""
    click.echo(str(sentence), err=True)


def tell_some(sentences: Sequence[object], most: int = 10) -> None:
    """Say the first sentences of many on standard error, and how many more there are."""
    for sentence in sentences[:most]:
        tell(sentence)
    if len(sentences) > most:
        tell(f"... and {len(sentences) - most} more")


def some(names: Iterable[str], most: int = 5) -> str:
    """A few names in one line: "a, b, c, d, e, ..."."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def read_thresholds(words: Iterable[str]) -> dict[str, float]:
    """{"*": .4, "Pisiform": .3} from ".4" and "Pisiform=.3". Raises ConfigError."""
    sets = read_threshold_sets(words)
    if len(sets) > 1:
        raise ConfigError(
            "several thresholds for every bone",
            found=", ".join(f"{one['*']:g}" for one in sets),
            expected="one, and others for single bones, such as Pisiform=.4",
            remedy="For a CSV at each: 'ossa ensemble save', then 'ossa ensemble soft' with all of them",
        )
    return sets[0] if sets else {}


def read_threshold_sets(words: Iterable[str]) -> list[dict[str, float]]:
    """[{"*": .3, "Pisiform": .4}, {"*": .5, "Pisiform": .4}] from ".3", ".5" and "Pisiform=.4". Raises ConfigError."""
    everywhere: list[float] = []
    single: dict[str, float] = {}
    for word in words:
        bone, equals, number = word.rpartition("=")
        try:
            value = float(number)
        except ValueError as error:
            raise ConfigError("a threshold is not a number", found=repr(word), expected=".4 or Pisiform=.4") from error
        known = single.get(bone) if equals else (value if value in everywhere else None)
        if known is not None:
            of = f"'{bone}'" if equals else "every bone"
            raise ConfigError(f"the threshold of {of} is given twice", found=f"{known:g} and {value:g}")
        if equals:
            single[bone] = value
        else:
            everywhere.append(value)
    sets = [{"*": value, **single} for value in everywhere]
    return sets or ([single] if single else [])


def read_size(text: str) -> tuple[int, int]:
    """ "2048x1536" as (height, width). Raises ConfigError."""
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise ConfigError("the size is not understood", found=repr(text), expected="height x width, as 2048x2048")
    return int(height), int(width)


def read_spacing(text: str) -> tuple[float, float]:
    """ ".15" as (.15, .15), ".15x.2" as (.15, .2): mm between rows and columns. Raises ConfigError."""
    row, times, column = text.lower().partition("x")
    try:
        return float(row), float(column if times else row)
    except ValueError as error:
        raise ConfigError("the spacing is not a number", found=repr(text), expected=".15 or .15x.2 (mm)") from error


def read_known_length(text: str) -> tuple[tuple[float, float], tuple[float, float], float]:
    """ "100,80,400,80=30" as ((100, 80), (400, 80), 30). Raises ConfigError."""
    places, _, mm = text.partition("=")
    try:
        x, y, u, v = (float(part) for part in places.split(","))
        return (x, y), (u, v), float(mm)
    except ValueError as error:
        expected = "X,Y,X,Y=MM, as 100,80,400,80=30"
        raise ConfigError("the known length is not understood", found=repr(text), expected=expected) from error


def read_numbers(text: str | None) -> list[float] | None:
    """Comma-separated numbers, None for None. Raises ConfigError."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError("the weights are not numbers", found=repr(text), expected="for instance 2,1,1") from error


def _schema(word: str) -> BoneSchema:
    from ossa.schema import load_schema

    return load_schema(word)


def read_shares(text: str | None, schema: BoneSchema, members: int) -> Any:
    """Weights: numbers, one per member, or an array (members, bones) from a file of 'ossa ensemble fit'."""
    if text is not None and Path(text).is_file():
        from ossa.pipeline.ensemble import read_weights

        return read_weights(text, schema, members)
    return read_numbers(text)
