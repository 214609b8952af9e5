"""``ossa train``: parse, call, print."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ossa.cli import EXIT_INTERRUPTED
from ossa.cli.options import PATH, engine_options, tell


@click.command("train")
@click.argument("config", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "-o", "--folder", "--output", "folder", type=PATH, help="The run's folder.  [default: output/NAME-001, ...]"
)
@click.option("--resume", is_flag=True, help="Go on with the run in --folder.")
@click.option("--minutes", type=click.FloatRange(min=0.1), help="With auto: the time for everything, planning too.")
@click.option("--dry-run", is_flag=True, help="With auto: write the recipe and train nothing.")
@click.option("--find-lr", is_flag=True, help="Train nothing; print the learning rate at which the loss falls fastest.")
@click.option("--find-lr-steps", type=click.IntRange(10), default=100, show_default=True, help="Steps of --find-lr.")
@engine_options()
@click.pass_context
def command(
    ctx: click.Context,
    config: str | None,
    overrides: tuple[str, ...],
    folder: Path | None,
    resume: bool,
    minutes: float | None,
    dry_run: bool,
    find_lr: bool,
    find_lr_steps: int,
    engine: str,
    address: str | None,
    workers: int | None,
) -> None:
    """Train networks on a data set, on phantoms, or on both.

    CONFIG is a YAML or JSON file, or the name of a recipe (ossa config --recipes). KEY=VALUE changes one key of it:
    train.epochs=5. With --resume CONFIG may be left out. Ctrl-C finishes the batch in hand and writes a checkpoint.

    "ossa train auto ROOT" measures the data set ROOT and this machine, tells a recipe with a reason for each setting,
    writes it to OUTPUT/planned.yaml and trains it. With --engine ray folds are trained side by side by a cluster.
    """
    began = time.monotonic()
    from ossa.config import load_config
    from ossa.parallel.engines import pool_of
    from ossa.pipeline.train import train
    from ossa.progress import bar

    if config is None or "=" in config:
        overrides = (config, *overrides) if config else overrides
        if not resume or folder is None:
            raise click.UsageError("Give a CONFIG, or --resume with --folder.", ctx)
        config = str(folder / "config.yaml")
    if config == "auto":
        if not overrides or "=" in overrides[0]:
            raise click.UsageError("Give the data set to train on: ossa train auto ROOT.", ctx)
        if resume:
            raise click.UsageError("A planned run is resumed without auto: ossa train --resume --folder RUN.", ctx)
        from ossa.pipeline.train_auto import planned_config

        since = None if dry_run else began
        planned = planned_config(overrides[0], overrides[1:], minutes=minutes, began=since, track=bar, tell=tell)
        if dry_run:
            click.echo(planned.recipe)
            return
        settings = planned.config
    elif minutes is not None or dry_run:
        option = "--dry-run" if minutes is None else "--minutes"
        raise click.UsageError(f"{option} belongs to ossa train auto ROOT.", ctx)
    else:
        settings = load_config(config, overrides)
    if find_lr:
        from ossa.pipeline.train import find_learning_rate

        found = find_learning_rate(settings, find_lr_steps, track=bar, tell=tell)
        for rate, loss in found.curve[:: max(1, len(found.curve) // 20)]:
            click.echo(f"{rate:.2e}  {loss:.4f}", err=True)
        click.echo(f"optimiser.lr={found.rate:.2e}")
        return
    pool = pool_of(engine, address, workers)
    try:
        done = train(settings, folder=folder, resume=resume, pool=pool, track=bar, tell=tell)
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)  # the run has said how to go on with it
    for bundle in done.bundles:
        click.echo(bundle)
