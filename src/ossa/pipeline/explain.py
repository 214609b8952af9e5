"""``ossa explain``: where a network looked to find a bone, hands side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ossa.errors import ConfigError
from ossa.pipeline.films import find_films
from ossa.progress import Track, silent

#: More panels than this make no picture that can be looked at.
MAX_PANELS = 24


@dataclass(frozen=True)
class Explained:
    """``unfound``: (picture, bone) pairs in which the bone was not found, so that the map means less."""

    path: Path
    layer: str
    unfound: tuple[tuple[str, str], ...]


def explain(
    paths: Sequence[str | Path],
    bones: Sequence[str],
    output: str | Path,
    *,
    model: str | Path | None = None,
    layer: str | None = None,
    track: Track = silent,
) -> Explained:
    """Write one PNG: a row per bone, a column per picture of ``paths`` (files, or a subject's folder).

    Of several bones the first row shows all of them in one: the maximum of their maps, each scaled to its own 1.

    ``layer``: any layer of the torch network; None for the one that ``inference.explain.default_layer`` takes. Raises
    InputError, SchemaError, ConfigError, BundleError, MissingExtraError, OutputError.
    """
    from ossa.bundle.bundle import Bundle
    from ossa.export.heat import heat_panel, maximum, side_by_side
    from ossa.inference.explain import explain as heat_of
    from ossa.inference.predictor import Predictor
    from ossa.radiograph.display import png
    from ossa.radiograph.read import read_radiograph
    from ossa.safety import refuse_inputs, write_bytes

    target = Path(output)
    if target.suffix.lower() != ".png":
        raise ConfigError("the picture is written as PNG", found=target.name, expected="a name that ends in .png")
    films = find_films(paths, None)
    refuse_inputs(target, [*paths, *(film.path for film in films)])
    if not bones:
        raise ConfigError("no bone was named", remedy="Name one with --bone")
    rows = len(bones) + (len(bones) > 1)
    if len(films) * rows > MAX_PANELS:
        found = f"{len(films)} pictures x {rows} rows"
        raise ConfigError("too many panels for one picture", found=found, expected=f"at most {MAX_PANELS}")
    bundle = Bundle.load(model)
    for bone in bones:
        bundle.card.schema.index(bone)
    predictor = Predictor.load(model, device="cpu")
    columns = []
    unfound: list[tuple[str, str]] = []
    used = ""
    for film in track(films, len(films), "Explaining"):
        radiograph = read_radiograph(film.path)
        segmentation = predictor.predict(radiograph)
        column, heats = [], []
        for bone in bones:
            heat = heat_of(bundle, radiograph, bone, layer)
            used = heat.layer
            if not heat.found:
                unfound.append((film.name, bone))
            title = f"{bone}: {film.path.name}" + ("" if heat.found else " (not found)")
            heats.append(heat.values)
            column.append(heat_panel(radiograph.pixels, heat.values, [segmentation.get(bone)], title))
        if len(bones) > 1:
            everything = maximum(heats)
            regions = [segmentation.get(bone) for bone in bones]
            title = f"{', '.join(bones)}: {film.path.name}"
            column.insert(0, heat_panel(radiograph.pixels, everything, regions, title))
        columns.append(column)
    picture = side_by_side([[column[i] for column in columns] for i in range(rows)])
    write_bytes(target, png(picture))
    return Explained(target, used, tuple(unfound))


def layer_names(model: str | Path | None = None) -> list[str]:
    """The layers of a bundle's network that can be asked, in the order they are computed, with their maps' sizes."""
    from ossa.bundle.bundle import Bundle
    from ossa.errors import MissingExtraError
    from ossa.inference.explain import default_layer, layers

    bundle = Bundle.load(model)
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError.of("explaining a prediction", "train", error) from error
    preparation = bundle.card.preparation
    side = -(-preparation.size // preparation.multiple) * preparation.multiple
    shapes = layers(bundle.torch_module(), torch.zeros(1, bundle.card.channels, side, side))
    default = default_layer(shapes)
    return [
        f"{name}  {channels} x {height} x {width}" + ("  (default)" if name == default else "")
        for name, (channels, height, width) in shapes.items()
    ]
