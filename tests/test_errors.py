"""Errors say where, what, found, expected, what to do; in this order."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ossa import errors
from ossa.errors import ConfigError, ImageError, InputError, MissingExtraError, OssaError


def test_the_order_of_a_message() -> None:
    error = ImageError("is cut", path=Path("x.png"), found="3 bytes", expected="more", remedy="Copy it again")
    assert str(error) == "x.png: is cut; found 3 bytes; expected more. Copy it again"
    assert str(ConfigError("is wrong", found=0)) == "is wrong; found 0"
    assert str(ConfigError("is wrong")) == "is wrong"


def test_an_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageError("is cut", path="x.png", remedy="Copy it")))
    assert type(error) is ImageError
    assert (str(error), error.path, error.remedy) == ("x.png: is cut. Copy it", "x.png", "Copy it")


def test_a_missing_extra_gives_the_command() -> None:
    error = MissingExtraError.of("training", "train", ImportError("No module named 'torch'"))
    assert "training needs packages" in str(error)
    assert "No module named 'torch'" in str(error)
    assert str(error).endswith("Run: pip install 'ossa[train]'")


@pytest.mark.parametrize(
    "name", [n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, OssaError)]
)
def test_the_tree_at_the_top_is_complete(name: str) -> None:
    assert errors.__doc__ is not None
    assert name in errors.__doc__


def test_bad_files_are_input_errors() -> None:
    assert issubclass(ImageError, InputError)
    assert not issubclass(ConfigError, InputError)
