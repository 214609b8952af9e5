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


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from([0.3, 1.0, 2.0]), st.sampled_from([64, 96, 128])), min_size=2
    ),
    st.integers(1, 5),
    st.integers(1, 12),
    st.integers(0, 99),
)
def test_a_batch_is_of_one_kind(sources: list[tuple[int, float, int]], together: int, batches: int, seed: int) -> None:
    lengths, weights, kinds = zip(*sources, strict=True)
    drawn = Plan(lengths, weights, together * batches, seed, kinds, together)
    kind_of = [kind for length, _, kind in sources for _ in range(length)]
    total = sum(weights)
    for epoch in range(3):
        keys = drawn.epoch(epoch)
        assert [(e, p) for e, p, _ in keys] == [(epoch, p) for p in range(together * batches)]
        rows = [[kind_of[i] for *_, i in keys[k : k + together]] for k in range(0, len(keys), together)]
        assert all(len(set(row)) == 1 for row in rows)
        for kind in set(kinds):
            share = sum(w for _, w, k in sources if k == kind) / total * batches
            assert abs(sum(row[0] == kind for row in rows) - share) < 1
    if len(set(kinds)) == 1:  # kinds change nothing where there is one
        plain = Plan(lengths, weights, together * batches, seed)
        assert plain.epoch(2) == drawn.epoch(2)
    # Every entry of a source comes once before any comes again.
    start = 0
    for length in lengths:
        seen = Counter(i for e in range(3) for *_, i in drawn.epoch(e) if start <= i < start + length)
        if seen:
            assert max(seen.values()) - min(seen[i] for i in range(start, start + length)) <= 1
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
