"""A batch of a run drawn again by its number: what the network was shown, for a person to look at."""

from __future__ import annotations

from pathlib import Path

from ossa.errors import ConfigError, MissingExtraError
from ossa.progress import silent
from ossa.safety import refuse_inputs


def write_batch_sheet(
    run: str | Path, number: int, output: Path, *, fold: int = 0, rank: int = 0, columns: int = 4
) -> tuple[str, ...]:
    """Write a PNG of batch ``number`` (from 0, counted since the fold began) of a run; the ids of its samples.

    The samples are those that were trained on, pixel by pixel, before MixUp. Raises ConfigError for a folder that is
    no run and for a fold or ``rank`` (process, from 0) that it does not have, and what reading its data raises.
    """
    try:
        from ossa.training.run import fold_config, planned
        from ossa.training.sheet import contact_sheet
    except ImportError as error:
        raise MissingExtraError.of("drawing training samples", "train", error) from error
    from ossa.config import load_config
    from ossa.pipeline.data import write_sheet
    from ossa.pipeline.train_data import material_of
    from ossa.schema import load_schema
    from ossa.training.sampler import PlannedBatches

    folder = Path(run)
    if not (folder / "config.yaml").is_file():
        raise ConfigError("is no run", path=folder, expected="a run folder with config.yaml")
    config = load_config(folder / "config.yaml")
    ranks = config.train.devices * config.train.nodes
    if not 0 <= rank < ranks or number < 0:
        raise ConfigError(
            "there is no such batch", found=f"batch {number} of process {rank}", expected=f"0..{ranks - 1}"
        )
    schema = load_schema(config.bones)
    material = material_of(config, schema, folder, fold, silent)
    own = fold_config(config, fold)
    data, plan = planned(own, schema, material)
    keys = PlannedBatches(plan, own.train.batch, lambda: 0, rank, ranks).at(number)
    samples = [data[key] for key in keys]
    refuse_inputs(output, [folder])
    write_sheet(output, contact_sheet(samples, schema, columns))
    return tuple(sample.id for sample in samples)
