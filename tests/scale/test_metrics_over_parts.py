"""The metrics of a database that parts count are those of the whole."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_answers import reference
from strategies import retrievals, seeded_codes, seeded_queries

from vtsearch import metrics
from vtsearch._exclusions import checked_exclude
from vtsearch.evaluation import evaluate
from vtsearch.metrics import PrecisionSums, RelevanceHistograms, precision_sums, relevance_histograms
from vtsearch.scale.evaluation import evaluate_parts

NORMALIZERS = ("retrieved", "relevant", "min")
GOLDEN = json.loads((Path(__file__).parents[1] / "conformance" / "map_golden.json").read_text())["cases"]
SIDES = seeded_queries(1, 3, 16), seeded_codes(1, 40, 16), np.arange(3) % 3, np.arange(40) % 3
WHOLE = relevance_histograms(*SIDES)


class Parts:
    """A database in parts, with a mask and positions that queries exclude."""

    def __init__(self, sides, cuts, *, mask=None, exclude=None, weights=None):
        self.queries, codes, self.labels, labels = sides
        ends = [0, *cuts, len(codes)]
        self.codes, self.db_labels, self.options = [], [], []
        excluded = None if exclude is None else checked_exclude(exclude, len(self.queries), len(codes))
        for start, stop in itertools.pairwise(ends):
            self.codes.append(codes[start:stop])
            self.db_labels.append(labels[start:stop])
            here = None if excluded is None else excluded.between(start, stop)
            lists = None if here is None else np.split(here.items, here.offsets[1:-1])
            own = None if mask is None else np.ascontiguousarray(mask[..., start:stop])
            self.options.append({"mask": own, "exclude": lists, "weights": weights})

    def histograms(self, *, gains=False):
        """Those of each part."""
        return [
            relevance_histograms(self.queries, codes, self.labels, labels, gains=gains, **options)
            for codes, labels, options in zip(self.codes, self.db_labels, self.options, strict=True)
        ]

    def sums(self, counts, k, threads=1):
        """Those of each part."""
        before = [None, *itertools.accumulate(counts[:-1])]
        whole = functools.reduce(operator.add, counts)
        asked = zip(self.codes, self.db_labels, self.options, before, strict=True)
        return [
            precision_sums(
                self.queries, codes, self.labels, labels, k, whole=whole, before=counted, threads=threads, **options
            )
            for codes, labels, options, counted in asked
        ]

    def average_precision(self, k, normalizer, threads=1):
        """By index."""
        counts = self.histograms()
        relevant = functools.reduce(operator.add, counts).relevant_totals
        top = sum(map(len, self.codes)) if k is None else k
        return functools.reduce(operator.add, self.sums(counts, k, threads)).average_precision(
            relevant, top, normalizer
        )

    def evaluation(self, k, **settings):
        """Both passes."""
        counts = self.histograms(gains=np.ndim(self.labels) == 2)
        return evaluate_parts(
            lambda: functools.reduce(operator.add, counts),
            lambda _, top: functools.reduce(operator.add, self.sums(counts, top)),
            sum(map(len, self.codes)),
            k,
            **settings,
        )


@pytest.mark.parametrize("parts", [1, 3, 8])
@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("k", [1, 100, 1000, None])
@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_an_evaluation_of_parts_is_that_of_the_whole(parts, multi, k, normalizer):
    rng = np.random.default_rng(parts)
    labels = [(rng.random((n, 8)) < 0.2).astype(np.uint8) if multi else rng.integers(0, 9, n) for n in (20, 3000)]
    sides = seeded_codes(1, 20, 16), seeded_codes(2, 3000, 16), *labels
    found = Parts(sides, np.sort(rng.integers(0, 3000, parts - 1))).evaluation(
        k, normalizer=normalizer, bits=16, excluded=0
    )
    found, expected = found.to_dict(), evaluate(*sides, k, normalizer=normalizer).to_dict()
    by_index = [each["mean_average_precision"].pop("index") for each in (found, expected)]
    assert by_index[0] == pytest.approx(by_index[1], rel=1e-12)
    assert parts > 1 or by_index[0] == by_index[1]
    assert found == expected


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(retrieval=retrievals(), data=st.data())
def test_ties_by_index_over_any_parts_are_the_reference(isa, agree, retrieval, data):
    q, n = len(retrieval[0]), len(retrieval[1])
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    cuts = np.sort(rng.integers(0, n + 1, data.draw(st.integers(0, 7))))
    masks = [None, rng.random(n) < 0.6, rng.random((q, n)) < 0.6]
    lists = [None, rng.integers(-1, n, q), rng.integers(-1, n, (q, 4))]
    chosen = {"mask": data.draw(st.sampled_from(masks)), "exclude": data.draw(st.sampled_from(lists))}
    k, normalizer = data.draw(st.one_of(st.none(), st.integers(1, 70))), data.draw(st.sampled_from(NORMALIZERS))
    actual = Parts(retrieval, cuts, **chosen).average_precision(k, normalizer, threads=data.draw(st.integers(1, 3)))
    expected = reference.average_precision(*retrieval, k, ties="index", normalizer=normalizer, **chosen)
    agree(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("bits", [8, 16, 32, 64, 128, 256, 33, 513])
@pytest.mark.parametrize("k", [1, 100, 1999, None])
@pytest.mark.parametrize("q", [2, 70])
def test_ties_by_index_of_each_width_over_parts_are_those_of_the_whole(isa, bits, k, q):
    rng = np.random.default_rng(bits)
    sides = (
        seeded_queries(bits, q, bits),
        seeded_codes(bits, 2000, bits),
        rng.integers(0, 5, q),
        rng.integers(0, 5, 2000),
    )
    whole = metrics.average_precision(*sides, k, ties="index")
    for parts in (1, 2, 5, 8):
        found = Parts(sides, np.sort(rng.integers(0, 2000, parts - 1))).average_precision(k, "retrieved", threads=2)
        np.testing.assert_allclose(found, whole, rtol=1e-12)
        assert parts > 1 or (found == whole).all()


def test_distances_of_weights_over_parts_are_those_of_the_whole(isa):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 64, (3, 16))
    for k in (1, 10, None):
        whole = metrics.average_precision(*SIDES, k, ties="index", weights=weights)
        np.testing.assert_allclose(
            Parts(SIDES, [7, 7, 30], weights=weights).average_precision(k, "retrieved"), whole, rtol=1e-12
        )


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
@pytest.mark.parametrize("parts", [3, 8])
def test_parts_give_what_the_published_code_printed(case, parts):
    codes = [reference.pack(np.array(case[name])) for name in ("query_codes", "database_codes")]
    sides = *codes, np.array(case["query_labels"]), np.array(case["database_labels"])
    cuts = np.sort(np.random.default_rng(parts).integers(0, len(codes[1]), parts - 1))
    for k in (k for k in case["ks"] if k > 0):
        expected = [query["at"][str(k)]["ap_retrieved"] for query in case["per_query"]]
        assert Parts(sides, cuts).average_precision(k, "retrieved") == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("before", [2**31, 2**32, 2**33 + 5])
@pytest.mark.parametrize("k", [2**31 + 3, None])
def test_ranks_beyond_32_bits_are_exact(isa, before, k):
    """Many items, all nearest and every other one relevant, stand before a part of one query."""
    queries, codes = np.zeros((1, 2), np.uint8), np.full((5, 2), 255, np.uint8)
    labels = np.array([1, 0, 1, 1, 0])
    counts = [np.zeros((1, 17), np.int64) for _ in range(2)]
    counts[0][0, 0], counts[1][0, 0] = before, before // 2
    first = RelevanceHistograms(*counts)
    whole = first + relevance_histograms(queries, codes, [1], labels)
    found = precision_sums(queries, codes, [1], labels, k, whole=whole, before=first)
    ranks = [(before + place, before // 2 + met) for place, met in ((1, 1), (3, 2), (4, 3))]
    counted = [met / rank for rank, met in ranks if k is None or rank <= k]
    assert found.retrieved.tolist() == [len(counted)]
    assert found.sums == pytest.approx([sum(counted)], rel=1e-15)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"query_codes": np.zeros((3, 2))}, TypeError, "query_codes: "),
        ({"db_labels": np.zeros(7, int)}, ValueError, "db_labels: expected 40 rows"),
        ({"k": 0}, ValueError, "k: "),
        (
            {"whole": relevance_histograms(SIDES[0][:2], SIDES[1], SIDES[2][:2], SIDES[3])},
            ValueError,
            "whole: expected",
        ),
        ({"before": relevance_histograms(SIDES[0][:2], SIDES[1], SIDES[2][:2], SIDES[3])}, ValueError, "before: expe"),
        ({"before": WHOLE + WHOLE}, ValueError, "before: expected no more items than in whole, got more"),
    ],
)
def test_a_wrong_argument_of_precision_sums_is_named(changes, kind, message):
    names = ("query_codes", "db_codes", "query_labels", "db_labels")
    with pytest.raises(kind, match=message):
        precision_sums(**(dict(zip(names, SIDES, strict=True)) | {"whole": WHOLE} | changes))


def test_sums_that_do_not_belong_together_are_refused():
    sums = precision_sums(*SIDES, whole=WHOLE)
    with pytest.raises(ValueError, match="sums: expected as many queries in both, got 3 and 2"):
        sums + PrecisionSums(np.zeros(2), np.zeros(2, np.int64))
    with pytest.raises(TypeError, match="unsupported operand"):
        sums + 1
    with pytest.raises(ValueError, match="normalizer: expected one of retrieved, relevant, min"):
        sums.average_precision(WHOLE.relevant_totals, 5, "max")
    with pytest.raises(ValueError, match=r"relevant: expected \(3,\), one for each query, got \(2,\)"):
        sums.average_precision(WHOLE.relevant_totals[:2], 5)


def test_an_empty_part_adds_nothing():
    empty = precision_sums(SIDES[0], SIDES[1][:0], SIDES[2], SIDES[3][:0], whole=WHOLE)
    assert not empty.sums.any()
    assert not empty.retrieved.any()
