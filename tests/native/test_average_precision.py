"""Average precision equals the reference for every tie rule, normalizer, k and instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_answers import reference
from strategies import FEW_AND_MANY, KINDS, retrievals, seeded_codes, seeded_queries

from vtsearch import metrics

TIES = ("expected", "index", "best", "worst")
NORMALIZERS = ("retrieved", "relevant", "min")


def labels_of(form, rng, n):
    if form == "single":
        return rng.integers(0, 5, n)
    return (rng.random((n, 9)) < 0.15).astype(np.int64)


@pytest.mark.parametrize("bits", [1, 8, 16, 33, 64, 100, 513])
@pytest.mark.parametrize("form", ["single", "multi"])
def test_average_precision_is_the_reference(isa, agree, bits, form):
    rng = np.random.default_rng(bits)
    queries, query_labels = seeded_queries(bits, 3, bits), labels_of(form, rng, 3)
    for n in (1, 2, 8, 65, 130):
        database, db_labels = seeded_codes(n, n, bits, KINDS[(n + bits) % len(KINDS)]), labels_of(form, rng, n)
        for k in (1, 2, n // 2 or 1, n, n + 3, None):
            for ties in TIES:
                for normalizer in NORMALIZERS:
                    arguments = (queries, database, query_labels, db_labels, k)
                    options = {"ties": ties, "normalizer": normalizer}
                    actual = metrics.average_precision(*arguments, **options, threads=1 + n % 3)
                    agree(actual, reference.average_precision(*arguments, **options), rtol=1e-12)


@pytest.mark.parametrize("bits", [16, pytest.param(64, marks=pytest.mark.slow)])
@pytest.mark.parametrize("k", [1, 1000, 4097, None])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_average_precision_of_thousands_is_the_reference(isa, agree, bits, k, q):
    rng = np.random.default_rng(bits)
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, 6000, bits)
    query_labels, db_labels = rng.integers(0, 10, q), rng.integers(0, 10, 6000)
    for ties in TIES:
        for normalizer in NORMALIZERS:
            options = {"ties": ties, "normalizer": normalizer}
            actual = metrics.average_precision(queries, database, query_labels, db_labels, k, **options)
            expected = reference.average_precision(queries, database, query_labels, db_labels, k, **options)
            agree(actual, expected, rtol=1e-12)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    retrieval=retrievals(), k=st.integers(1, 70), rules=st.tuples(st.sampled_from(TIES), st.sampled_from(NORMALIZERS))
)
def test_average_precision_of_any_small_retrieval_is_the_reference(isa, agree, retrieval, k, rules):
    options = dict(zip(("ties", "normalizer"), rules, strict=True))
    expected = reference.average_precision(*retrieval, k, **options)
    agree(metrics.average_precision(*retrieval, k, **options), expected, rtol=1e-12)


def test_one_query_uses_many_threads_and_gives_the_same_bits(isa, agree):
    rng = np.random.default_rng(1)
    queries, database = seeded_queries(1, 1, 32), seeded_codes(1, 50_000, 32)
    query_labels, db_labels = rng.integers(0, 3, 1), rng.integers(0, 3, 50_000)
    for ties in TIES:
        alone = metrics.average_precision(queries, database, query_labels, db_labels, ties=ties, threads=1)
        agree(metrics.average_precision(queries, database, query_labels, db_labels, ties=ties, threads=5), alone)
