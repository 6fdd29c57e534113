from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vtsearch import bootstrap_interval, compare, evaluate, permutation_test, reference


def images(queries=40, database=300, classes=5, bits=(32, 24), noise=(1.5, 1.6), *, multi=False):
    """Codes of one set of images by two models, and their labels."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, queries + database)
    features = draw.normal(size=(classes, 32))[labels]
    codes = [
        reference.pack((features + spread * draw.normal(size=features.shape))[:, :length])
        for length, spread in zip(bits, noise, strict=True)
    ]
    truth = np.eye(classes, dtype=int)[labels] if multi else labels
    sides = [part for model in codes for part in (model[:queries], model[queries:])]
    return sides, {"query_labels": truth[:queries], "db_labels": truth[queries:]}


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
@pytest.mark.parametrize(("normalizer", "k"), [("retrieved", 20), ("relevant", None), ("min", 7)])
def test_both_sides_are_scored_as_the_reference_does(multi, ties, normalizer, k):
    sides, labels = images(multi=multi)
    found = compare(*sides, **labels, k=k, ties=ties, normalizer=normalizer)
    rule = {"k": k, "ties": ties, "normalizer": normalizer}
    scores, others = (reference.average_precision(*pair, *labels.values(), **rule) for pair in (sides[:2], sides[2:]))
    assert found.mean_average_precision == pytest.approx(scores.mean(), rel=1e-12)
    assert found.other_mean_average_precision == pytest.approx(others.mean(), rel=1e-12)
    expected = bootstrap_interval(scores - others)
    ends = (found.difference.mean, found.difference.low, found.difference.high)
    assert ends == pytest.approx((expected.mean, expected.low, expected.high), abs=1e-11)
    assert found.test.p_value == permutation_test(scores, others).p_value
    assert (found.better, found.worse) == ((scores > others + 1e-11).sum(), (scores < others - 1e-11).sum())
    assert (found.queries, found.database, found.k, found.ties, found.normalizer) == (40, 300, k, ties, normalizer)


def test_a_comparison_agrees_with_two_evaluations():
    sides, labels = images()
    found = compare(*sides, **labels, k=50)
    one, other = (evaluate(*pair, *labels.values(), 50) for pair in (sides[:2], sides[2:]))
    assert found.mean_average_precision == one.mean_average_precision.expected
    assert found.other_mean_average_precision == other.mean_average_precision.expected
    assert found.test == permutation_test(one.average_precisions, other.average_precisions)


def test_queries_that_are_hard_for_both_sides_do_not_widen_the_interval():
    sides, labels = images()
    shorter = [codes[:, :3] for codes in sides[:2]]  # the same model with 24 of its 32 bits
    found = compare(*sides[:2], *shorter, **labels)
    own = evaluate(*sides[:2], *labels.values()).bootstrap_interval
    assert found.difference.high - found.difference.low < 0.8 * (own.high - own.low)


def test_better_codes_are_told_from_worse_ones():
    sides, labels = images(noise=(1.0, 2.0))
    found = compare(*sides, **labels)
    assert 0 < found.difference.low < found.difference.mean < found.difference.high
    assert found.test.p_value == 1 / 10_001
    assert found.better > found.worse


def test_the_other_way_round_only_the_sign_changes():
    sides, labels = images()
    found, back = compare(*sides, **labels), compare(*sides[2:], *sides[:2], **labels)
    assert (back.difference.low, back.difference.high) == (-found.difference.high, -found.difference.low)
    assert (back.test.p_value, back.better, back.worse) == (found.test.p_value, found.worse, found.better)


def test_codes_do_not_differ_from_themselves():
    sides, labels = images()
    found = compare(*sides[:2], *sides[:2], **labels)
    assert (found.difference.low, found.difference.mean, found.difference.high) == (0, 0, 0)
    assert (found.test.p_value, found.better, found.worse) == (1, 0, 0)


def test_codes_with_every_bit_twice_are_equal_but_for_rounding():
    sides, labels = images()
    twice = [reference.pack(np.repeat(reference.unpack(codes, 32), 2, axis=1)) for codes in sides[:2]]
    found = compare(*sides[:2], *twice, **labels, k=30)
    assert (found.test.p_value, found.better, found.worse) == (1, 0, 0)


def test_what_is_drawn_can_be_chosen():
    sides, labels = images()
    chosen = {"confidence": 0.5, "resamples": 500, "seed": 3}
    found, usual = compare(*sides, **labels, **chosen, permutations=200, threads=1), compare(*sides, **labels)
    differences = [reference.average_precision(*pair, *labels.values()) for pair in (sides[:2], sides[2:])]
    expected = bootstrap_interval(np.subtract(*differences), **chosen)
    assert (found.difference.low, found.difference.high) == pytest.approx((expected.low, expected.high), abs=1e-11)
    assert (found.test.permutations, found.test.seed) == (200, 3)
    assert replace(found, difference=usual.difference, test=usual.test) == usual


SIDES, LABELS = images()


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"query_codes": SIDES[0][:1]}, ValueError, "query_codes: expected at least 2 queries to compare over, got 1"),
        ({"query_codes": SIDES[0][:0]}, ValueError, "query_codes: expected at least 2"),
        ({"query_codes": SIDES[0].astype(float)}, TypeError, "query_codes: "),
        ({"db_codes": SIDES[1][:, :2]}, ValueError, "query_codes: expected 2 bytes per code as in db_codes"),
        ({"other_query_codes": SIDES[2][:39]}, ValueError, "other_query_codes: expected 40 codes.*got 39"),
        ({"other_db_codes": SIDES[3][:0]}, ValueError, "other_db_codes: expected 300 codes.*got 0"),
        ({"other_query_codes": SIDES[0]}, ValueError, "other_query_codes: expected 3 bytes.*other_db_codes, got 4"),
        ({"other_db_codes": SIDES[3].astype(float)}, TypeError, "other_db_codes: "),
        ({"db_codes": SIDES[1][:0], "other_db_codes": SIDES[3][:0]}, ValueError, "db_codes: expected at least 1"),
        ({"query_labels": LABELS["query_labels"][:39]}, ValueError, "query_labels: "),
        ({"db_labels": np.array(["cat"] * 300)}, TypeError, "db_labels: "),
        ({"k": 0}, ValueError, "k: "),
        ({"k": 1.5}, TypeError, "k: "),
        ({"ties": "random"}, ValueError, "ties: "),
        ({"normalizer": "max"}, ValueError, "normalizer: "),
        ({"threads": 0}, ValueError, "threads: "),
        ({"confidence": 95}, ValueError, "confidence: "),
        ({"resamples": 0}, ValueError, "resamples: "),
        ({"permutations": 0}, ValueError, "permutations: "),
        ({"seed": "0"}, TypeError, "seed: "),
    ],
)
def test_a_wrong_argument_is_named(changes, kind, message):
    names = ("query_codes", "db_codes", "other_query_codes", "other_db_codes")
    with pytest.raises(kind, match=f"^{message}"):
        compare(**(dict(zip(names, SIDES, strict=True)) | LABELS | changes))
