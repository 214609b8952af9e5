"""The fixtures of helpers_models for the tests of this folder."""

from helpers_models import bundle, few, make_bundle, second_bundle

__all__ = ["bundle", "few", "make_bundle", "second_bundle"]
