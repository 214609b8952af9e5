"""What a trained fold leaves behind: out-of-fold predictions, a bundle, figures for the summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ossa.config import RunConfig
from ossa.errors import BundleError, ConfigError
from ossa.progress import Track
from ossa.safety import read_json, write_text
from ossa.schema import BoneSchema

if TYPE_CHECKING:
    from ossa.bundle.card import Closer
    from ossa.pages.run import FoldFigures
    from ossa.training.material import Checks, Material
    from ossa.training.run import FoldResult

Tell = Callable[[str], object]


def finish_fold(
    config: RunConfig,
    schema: BoneSchema,
    material: Material,
    run: Path,
    number: int,
    result: FoldResult,
    track: Track,
    tell: Tell,
) -> FoldFigures:
    """Out-of-fold predictions, the fold's bundle, its figures."""
    from ossa.pages.run import FoldFigures, read_curves
    from ossa.training.material import Checks

    checks = Checks(material.checks, config.data.size, int(result.network.multiple))  # type: ignore[arg-type]
    per_bone = result.per_bone
    if config.folds.store:
        per_bone = store_held_out(config, schema, checks, run, number, result, track)
    curves = read_curves(result.folder)
    plain = FoldFigures(f"fold {number}", result.dice, result.epoch, per_bone, curves)
    if not config.folds.bundle:
        return plain
    bundle = run / f"bundle{number}"
    try:
        write_bundle(config, schema, bundle, result, per_bone, run, number)
    except BundleError as error:
        tell(f"{error}; the weights are in {result.folder / 'best.safetensors'}")
        return plain
    return replace(plain, bundle=bundle.name)


def store_held_out(
    config: RunConfig, schema: BoneSchema, checks: Checks, run: Path, number: int, result: FoldResult, track: Track
) -> dict[str, float]:
    """Write the held-out logits of a fold to RUN/oof (the best weights') and their Dice; the Dice per bone."""
    import torch

    from ossa.labels.store import Store
    from ossa.segmentation.compare import dice
    from ossa.segmentation.decode import decode

    device = "cuda" if torch.cuda.is_available() and config.train.device in ("auto", "gpu") else "cpu"
    network = result.network.to(device)
    data = read_json(run / "provenance.json")["runs"][0]["data"]["sha256"]
    told = {"kind": "out of fold", "name": config.name, "seed": config.seed, "data": data}
    store = Store.create(run / "oof", schema, told)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "fold", "bone", "dice"])
    sums = {name: [0.0, 0.0] for name in schema.names}
    for index in track(range(len(checks)), len(checks), f"fold {number}: out-of-fold predictions"):
        check = checks[index]
        with torch.no_grad():
            logits = network(check.image[None].to(device))[0].float().cpu().numpy()
        store.write(check.id, logits, check.placement)
        found = decode(logits, check.placement, schema)
        for name in (n for n in schema.names if n in check.annotated):
            value = dice(found.get(name), check.truth.get(name))
            writer.writerow([check.id, number, name, f"{value:.6f}"])
            sums[name][0] += value
            sums[name][1] += 1
    write_text(run / f"fold{number}" / "oof.csv", text.getvalue())
    network.cpu()
    return {name: total / count if count else float("nan") for name, (total, count) in sums.items()}


def write_bundle(
    config: RunConfig,
    schema: BoneSchema,
    folder: Path,
    result: FoldResult,
    per_bone: dict[str, float],
    run: Path,
    number: int,
) -> None:
    from ossa.bundle.bundle import save_bundle
    from ossa.bundle.card import Architecture, Card
    from ossa.radiograph.prepare import Preparation

    network: Any = result.network
    options = getattr(network, "options", None) or config.model.arguments()
    training = {"run": run.name, "fold": number, "seed": config.seed, "config": public_config(config)}
    training["data"] = read_json(run / "provenance.json")["runs"][0]["data"]
    known = {name: round(value, 4) for name, value in per_bone.items() if value == value}
    card = Card(
        name=f"{config.name}-fold{number}",
        schema=schema,
        architecture=Architecture(config.model.architecture, options),
        stride=int(network.stride),
        preparation=Preparation(config.data.size, max(32, int(network.multiple))),
        closer=closer_of(config, schema),
        shafts=config.shafts,
        licence=config.licence,
        training=training,
        figures={"validation_dice": round(result.dice, 4), "per_bone": known, "best_epoch": result.epoch},
    )
    save_bundle(folder, network, card)


def closer_of(config: RunConfig, schema: BoneSchema) -> tuple[Closer, ...]:
    """The closer looks of a run's models; ConfigError or SchemaError for bones that the schema does not have."""
    from ossa.bundle.card import Closer
    from ossa.hand.bones import SHORT

    looks = []
    for look in config.closer:
        bones = look.bones or tuple(bone.name for bone in schema.bones if bone.row in SHORT)
        if not bones:
            raise ConfigError(
                f"the schema '{schema.name}' has no short bones to look at closely", remedy="Set closer.bones"
            )
        for bone in bones:
            schema.index(bone)
        looks.append(Closer(tuple(bones), look.size, look.margin))
    return tuple(looks)


def public_config(config: RunConfig) -> dict[str, Any]:
    """The config without folders: a model that is given away tells nobody where it was made."""
    from ossa.config import dump

    values = dump(config)
    for section, keys in ((values, ("output",)), (values["data"], ("datasets", "cache")), (values["folds"], ("file",))):
        for key in keys:
            section.pop(key, None)
    if values["data"].get("phantoms"):
        phantoms = values["data"]["phantoms"]
        phantoms.pop("pool", None)
        phantoms["anatomy"] = [Path(path).name for path in phantoms["anatomy"]]
        if phantoms["others"] is not None:
            phantoms["others"]["anatomy"] = Path(phantoms["others"]["anatomy"]).name
    values.pop("stages")
    values.pop("search")
    if values.get("distil"):
        values["distil"].pop("models")
    values["model"].pop("weights", None)
    values["finetune"].pop("model", None)
    if values.get("pseudo"):
        values["pseudo"] = {k: v for k, v in values["pseudo"].items() if k not in ("images", "models")}
    return values
