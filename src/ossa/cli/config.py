"""``ossa config``: parse, call, print."""

from __future__ import annotations

import click


@click.command("config")
@click.argument("config", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--explain", is_flag=True, help="Every key with its default and meaning.")
@click.option("--key", help="With --explain: only the keys below this one.")
@click.option("--recipes", is_flag=True, help="The recipes that come with ossa.")
@click.option("--augment", is_flag=True, help="Every setting of data.augment.")
def command(
    config: str | None, overrides: tuple[str, ...], explain: bool, key: str | None, recipes: bool, augment: bool
) -> None:
    """Check the keys of a run file and show what it comes to, or explain them.

    Names and arguments of network, losses, optimiser and schedule are checked where ossa[train] is installed.
    """
    from ossa.pipeline import config as trips

    if explain or key:
        click.echo(trips.described(key), nl=False)
    elif augment:
        click.echo(trips.augmentation(), nl=False)
    elif recipes:
        click.echo(trips.recipe_list(), nl=False)
    elif config is not None:
        click.echo(trips.effective(config, overrides), nl=False)
    else:
        raise click.UsageError("Give a CONFIG, or --explain, --recipes or --augment.")
