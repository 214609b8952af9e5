"""scripts/planted_faults.toml: every fault can still be planted, or it guards nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

sys.path.insert(0, str(ROOT / "scripts"))

import plant_faults  # type: ignore[import-not-found]  # noqa: E402

FAULTS = plant_faults.listed()


def test_names_are_told_apart() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 0


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_has_its_one_place_and_its_tests(fault: plant_faults.Fault) -> None:
    text = (ROOT / "src" / "ossa" / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.old) == 1, "the code has moved on: mend the entry"
    assert fault.new != fault.old
    assert all((ROOT / "tests" / name).exists() for name in fault.tests.split())
