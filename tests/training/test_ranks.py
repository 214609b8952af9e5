"""Who is the first of a run's processes, whoever started them."""

from __future__ import annotations

import os

import pytest

from ossa.training.ranks import is_first, is_launched

SRUN = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("environment", "first", "launched"),
    [
        ({}, True, False),
        # Lightning's launcher: the process that started it all, and one that it started.
        ({"NODE_RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, True, False),
        ({"NODE_RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, False, False),
        # torchrun on two nodes of one device: each is the first of its node.
        ({"RANK": "0", "LOCAL_RANK": "0", "GROUP_RANK": "0"}, True, True),
        ({"RANK": "1", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False, True),
        # Started by hand on the second node.
        ({"NODE_RANK": "1"}, False, True),
        ({**SRUN, "SLURM_PROCID": "0"}, True, True),
        ({**SRUN, "SLURM_PROCID": "2"}, False, True),
        # A person's shell inside a job, and a job of one task.
        ({**SRUN, "SLURM_PROCID": "2", "SLURM_JOB_NAME": "bash"}, True, False),
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, True, False),
    ],
)
def test_first_and_launched(
    environment: dict[str, str], first: bool, launched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.startswith("SLURM_") or n in ("RANK", "LOCAL_RANK", "NODE_RANK")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (is_first(), is_launched()) == (first, launched)
