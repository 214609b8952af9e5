"""Which pool a command line asks for."""

from __future__ import annotations

from ossa.errors import ConfigError
from ossa.parallel.pool import HERE, Pool

#: What ``--engine`` may name.
ENGINES = ("local", "ray")


def pool_of(engine: str, address: str | None = None, workers: int | None = None) -> Pool:
    """The pool that a command line asks for: ``engine`` "local" or "ray", at ``address``, with so many ``workers``.

    None workers: as many as the cluster has room for. Raises ConfigError, and MissingExtraError where Ray is not
    installed.
    """
    if engine == "ray":
        from ossa.parallel.ray_pool import Cluster

        return Cluster.at(address, workers)
    if engine != "local":
        raise ConfigError("there is no such engine", found=engine, expected=" or ".join(ENGINES))
    given = {"--address": address, "--workers": workers}
    for name, value in given.items():
        if value is not None:
            raise ConfigError("this belongs to a cluster", found=f"{name} {value}", remedy="Give --engine ray too")
    return HERE
