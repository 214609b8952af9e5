"""The trips behind ``ossa config``: run files shown, checked and described."""

from __future__ import annotations

from collections.abc import Sequence

from ossa.config import describe_keys, load_config, recipes, to_yaml
from ossa.errors import ConfigError, MissingExtraError


def described(key: str | None = None) -> str:
    """Every key of a run file, or those below ``key``. Raises ConfigError when there is no such key."""
    text = describe_keys(key)
    if not text.strip():
        raise ConfigError(f"no key is called '{key}'", remedy="See: ossa config --explain")
    return text


def recipe_list() -> str:
    """Name and first comment of every shipped recipe."""
    rows = [(name, text.splitlines()[0].lstrip("# ")) for name, text in recipes().items()]
    return "".join(f"{name:14} {line}\n" for name, line in rows)


def effective(config: str, overrides: Sequence[str] = ()) -> str:
    """A run file with every default written out. Raises ConfigError for what is wrong with its keys.

    Where training is installed, the names and arguments of network, losses, optimiser and schedule are checked too,
    as ``ossa train`` does before it begins.
    """
    from ossa.training.augment_keys import augment_config

    settings = load_config(config, overrides)
    augment_config(settings.data.augment)
    try:
        from ossa.training import _lightning  # noqa: F401
    except (ImportError, MissingExtraError):
        return to_yaml(settings)
    from ossa.pipeline.train import check_stages
    from ossa.schema import load_schema

    # Without weights: to look at a file downloads nothing, and its folders need not be there.
    bare = settings.model_copy(
        update={
            "model": settings.model.model_copy(update={"weights": None}),
            "finetune": settings.finetune.model_copy(update={"model": None}),
        }
    )
    check_stages(bare, load_schema(settings.bones))
    return to_yaml(settings)


def augmentation() -> str:
    """Every setting of data.augment with its default and meaning."""
    try:
        from ossa.training.augment_keys import AugmentConfig
    except ImportError as error:
        raise MissingExtraError.of("augmentation", "train", error) from error
    rows = [
        (f"{name}: {list(f.default) if isinstance(f.default, tuple) else f.default}", f.description or "")
        for name, f in AugmentConfig.model_fields.items()
    ]
    return "".join(f"{left:32}  # {meaning}\n" for left, meaning in rows)
