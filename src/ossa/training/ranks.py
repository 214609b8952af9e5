"""Which of a run's processes this is, before Lightning can say: folders and data are prepared by the first alone."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this process has rank 0, or is the only one.

    torchrun sets RANK; Lightning's own launcher sets NODE_RANK and LOCAL_RANK in the processes that it starts; srun
    sets SLURM_PROCID. In the order of ``lightning.fabric.utilities.rank_zero``: SLURM's number may be there although
    others started the processes.
    """
    if "RANK" in os.environ:
        return os.environ["RANK"] == "0"
    if "LOCAL_RANK" in os.environ or "NODE_RANK" in os.environ:
        return _number("LOCAL_RANK") == 0 and _number("NODE_RANK") == 0
    return not _by_slurm() or _number("SLURM_PROCID") == 0


def is_launched() -> bool:
    """Whether the run's processes were started from outside (torchrun, srun, by hand on each node).

    They then share nothing but what stands on the command line; Lightning's own processes get the first one's
    environment.
    """
    return "RANK" in os.environ or _by_slurm() or ("NODE_RANK" in os.environ and "LOCAL_RANK" not in os.environ)


def _by_slurm() -> bool:
    # As SLURMEnvironment.detect: a job of these names is a person's shell.
    several = _number("SLURM_NTASKS") > 1 and "SLURM_PROCID" in os.environ and "LOCAL_RANK" not in os.environ
    return several and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def _number(name: str) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else 0
