"""The run file: reading, checking, overriding, describing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ossa.config import (
    RunConfig,
    check,
    check_arguments,
    describe_keys,
    dump,
    load_config,
    recipes,
    table,
    to_yaml,
    unknown_name,
)
from ossa.config.load import all_keys, apply_override, parse
from ossa.errors import ConfigError


def write(folder: Path, text: str, name: str = "run.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    values = {"name": "a", "train": {"epochs": 3}, "optimiser": {"name": "SGD", "lr": 0.1, "momentum": 0.9}}
    one = load_config(write(tmp_path, yaml.safe_dump(values)))
    two = load_config(write(tmp_path, json.dumps(values), "run.json"))
    assert one == two
    assert one.optimiser.arguments() == {"momentum": 0.9}


def test_the_effective_config_reads_back_to_itself() -> None:
    for name in recipes():
        config = load_config(name)
        assert check(parse(to_yaml(config), "x")) == config
        assert check(dump(config)) == config


def test_a_recipe_is_found_by_name_and_by_its_path_in_the_project() -> None:
    assert load_config("laptop") == load_config("recipes/laptop.yaml")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epoch=3", "'train.epoch', perhaps 'epochs'"),
        ("lr=3", "perhaps 'optimiser.lr'"),
        ("optimizer.lr=3", "perhaps 'optimiser'"),
        ("data.phantoms.cuont=3", "perhaps 'count'"),
        ("train.batch=0", "'train.batch'"),
        ("train.precision=8", "'train.precision'"),
        ("train.validate_every=100", "never reached"),
        ("data.window.size=100", "multiple of 32"),
        ("data.window={}", "needs model.architecture 'context'"),
        ("data.datasets=[{weight: 1}]", "'data.datasets.0.path' is missing"),
        ("data.datasets=[{path: a, wieght: 1}]", "perhaps 'weight'"),
        ("loss={}", "at least one term"),
        ("folds.run=[7]", "does not exist"),
        ("name=a/b", "plain folder name"),
        ("optimiser.lr=nan", "optimiser.lr"),
        ("novalue", "key=value"),
        ("=3", "key=value"),
        ("train.epochs={a", "cannot be read"),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_what_would_be_right(override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("laptop", [override])
    assert said in str(caught.value)


def test_overrides_reach_sections_lists_and_absent_parents() -> None:
    values = {"data": {"datasets": [{"path": "a"}]}, "loss": {"dice": 0.5}}
    given = (
        "data.datasets.0.path=b",
        "loss.dice.weight=2",
        "pseudo.floor=0.7",
        "optimiser.lr=1e-3",
        "train.precision=32",
    )
    for text in given:
        apply_override(values, text)
    config = check(values)
    assert str(config.data.datasets[0].path) == "b"
    assert config.loss == {"dice": {"weight": 2}}
    assert config.pseudo is not None
    assert config.pseudo.floor == 0.7
    assert config.optimiser.lr == 1e-3
    assert config.train.precision == "32"
    with pytest.raises(ConfigError, match="entry '1'"):
        apply_override(values, "data.datasets.1.path=b")


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/data/someone")
    config = load_config("gpu1024", ["data.datasets.0.path=~/hands", "data.cache=~/cache", "output=~/runs"])
    assert config.data.datasets[0].path == Path("/data/someone/hands")
    assert config.data.cache == Path("/data/someone/cache")
    assert "data.cache: null  # Folder of the image cache" in describe_keys("data.cache")
    assert "[path | null]" in describe_keys("data.cache")


def test_yaml_traps() -> None:
    assert check(parse("logging: {wandb: off}", "x")).logging.wandb == "off"
    assert check(parse("optimiser: {lr: 1e-4}", "x")).optimiser.lr == 1e-4
    with pytest.raises(ConfigError, match="given twice"):
        parse("seed: 1\nseed: 2\n", "x")
    with pytest.raises(ConfigError, match="line 3"):
        parse("a: 1\nb: [1\n", "x.yaml")
    with pytest.raises(ConfigError, match="keys and values"):
        parse("- 1", "x")
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse("!!python/object/apply:os.system [true]", "x")


def test_a_missing_file_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such run file.*laptop"):
        load_config("labtop")
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError):
        load_config(path)


def test_every_key_is_documented_and_described() -> None:
    rows = table()
    assert {row[0] for row in rows} == set(all_keys())
    assert all(len(meaning) > 8 or key == "logging" for key, _, meaning, _ in rows)
    text = describe_keys()
    for key, *_ in rows:
        assert key.rsplit(".", 1)[-1] + ":" in text
    assert describe_keys("train.batch").startswith("train.batch: 8")
    # Comments aside, what is explained is YAML whose every key is a right one.
    shown = yaml.safe_load(text.replace("(required)", "x"))
    shown["data"]["datasets"] = [shown["data"]["datasets"]]
    shown["model"]["architecture"] = "context"
    shown["data"]["size"] = 2048
    shown["distil"]["models"] = ["default"]
    shown["search"]["keys"] = {"train.batch": [4, 8]}
    with pytest.raises(ConfigError, match=r"data\.window trains on windows.*deep_supervision, distil need whole"):
        check(shown)
    shown["data"]["window"] = None
    assert check(shown).seed == 1


def test_names_and_arguments_of_things_built_later() -> None:
    check_arguments("optimiser", "SGD", {"momentum": 1}, ["lr", "momentum"])
    with pytest.raises(ConfigError, match="perhaps 'momentum'"):
        check_arguments("optimiser", "SGD", {"momentun": 1}, ["lr", "momentum"])
    assert "perhaps 'dice'" in str(unknown_name("loss", "dise", ["bce", "dice"]))


def test_a_window_larger_than_the_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"window\.size=768 is larger than the grid, data\.size=512"):
        load_config("best2048", ["data.size=512"])


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        values = parse(text, "x")
        assert isinstance(check(values), RunConfig)
    except ConfigError:
        pass
