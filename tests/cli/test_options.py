"""Words of the command line, read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ossa.cli.options import read_numbers, read_shares, read_size, read_threshold_sets, read_thresholds, some
from ossa.errors import ConfigError
from ossa.schema import load_schema


def test_words_of_the_command_line(tmp_path: Path) -> None:
    assert read_numbers("1, 2.5") == [1.0, 2.5]
    assert read_numbers(None) is None
    assert read_size("200x300") == (200, 300)
    for bad in ("200", "x", "0x3", "-1x4", "axb", "\u00b2x3"):
        with pytest.raises(ConfigError):
            read_size(bad)
    with pytest.raises(ConfigError, match="not numbers"):
        read_numbers("a,b")
    (tmp_path / "w.json").write_text("{}")
    with pytest.raises(ConfigError, match="not a file of weights"):
        read_shares(str(tmp_path / "w.json"), load_schema(), 2)


def test_thresholds() -> None:
    assert read_thresholds([]) == {}
    assert read_thresholds([".3", "Pisiform=.4", "metacarpal-1=.5"]) == {"*": 0.3, "Pisiform": 0.4, "metacarpal-1": 0.5}
    for bad in ("Pisiform", "Pisiform=", ".3,.4"):
        with pytest.raises(ConfigError, match="not a number"):
            read_thresholds([bad])
    with pytest.raises(ConfigError, match="several thresholds"):
        read_thresholds([".3", ".4"])
    for twice in ([".3", ".30"], ["Ulna=.3", "Ulna=.4"]):
        with pytest.raises(ConfigError, match="given twice"):
            read_thresholds(twice)
    assert read_threshold_sets([".3", "Ulna=.4", ".5"]) == [{"*": 0.3, "Ulna": 0.4}, {"*": 0.5, "Ulna": 0.4}]
    assert read_threshold_sets(["Ulna=.4"]) == [{"Ulna": 0.4}]
    assert read_threshold_sets([]) == []


def test_a_few_names_stand_for_many() -> None:
    assert some("abc") == "a, b, c"
    assert some("abcdef") == "a, b, c, d, e, ..."
