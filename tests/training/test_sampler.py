"""Draws: in proportion, without repeats before their time, the same wherever a run begins."""

from __future__ import annotations

from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ossa.errors import ConfigError  # noqa: E402
from ossa.training.sampler import Plan, PlannedBatches  # noqa: E402


def plan(lengths: tuple[int, ...], weights: tuple[float, ...], samples: int, seed: int = 3) -> Plan:
    return Plan(lengths, weights, samples, seed)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 0.5, 1.0, 2.0])), min_size=1, max_size=3),
    st.integers(1, 25),
    st.integers(0, 99),
)
def test_counts_and_cycles(sources: list[tuple[int, float]], samples: int, seed: int) -> None:
    lengths, weights = tuple(n for n, _ in sources), tuple(w for _, w in sources)
    if not any(n and w for n, w in sources):
        with pytest.raises(ConfigError, match="nothing to train on"):
            Plan(lengths, weights, samples, seed)
        return
    drawn = Plan(lengths, weights, samples, seed)
    keys = [drawn.epoch(e) for e in range(5)]
    assert all(len(k) == samples for k in keys)
    assert all([p for _, p, _ in k] == list(range(samples)) for k in keys)
    total = sum(w for n, w in sources if n)
    start = 0
    for (length, weight), count in zip(sources, drawn.counts(), strict=True):
        share = samples * weight / total if length else 0.0
        assert abs(count - share) < 1
        seen = Counter(i for k in keys for _, _, i in k if start <= i < start + length)
        assert sum(seen.values()) == 5 * count
        if seen:  # no entry comes twice more often than another
            assert max(seen.values()) - min([seen[i] for i in range(start, start + length)]) <= 1
        start += length


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 3), st.integers(0, 20))
def test_starting_anywhere_gives_the_rest(samples: int, batch: int, ranks: int, done: int) -> None:
    source = plan((7, 5), (1, 1), samples)
    if samples < batch * ranks:
        with pytest.raises(ConfigError, match="fewer samples"):
            PlannedBatches(source, batch, lambda: 0, 0, ranks)
        return
    for rank in range(ranks):
        whole = PlannedBatches(source, batch, lambda: 0, rank, ranks)
        per_epoch = len(whole)
        at = PlannedBatches(source, batch, lambda: done, rank, ranks)
        expected = [whole.at(i) for i in range(done, (done // per_epoch + 1) * per_epoch)]
        assert list(at) == expected
    together = [k for r in range(ranks) for b in PlannedBatches(source, batch, lambda: 0, r, ranks) for k in b]
    assert len({p for _, p, _ in together}) == len(together) == per_epoch * batch * ranks
