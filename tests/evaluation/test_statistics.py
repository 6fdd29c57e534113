from __future__ import annotations

import itertools
import math
import tracemalloc
from statistics import NormalDist, fmean, stdev

import numpy as np
import pytest

from vtsearch import bootstrap_interval, permutation_test
from vtsearch.evaluation import statistics

SCORES = np.random.default_rng(0).beta(2, 1, 40)
OTHERS = np.clip(SCORES + np.random.default_rng(1).normal(0.04, 0.15, 40), 0, 1)

# Heights of plants in eighths of an inch, cross-fertilised minus self-fertilised, pair by pair: Darwin's maize. Of
# its 2 ** 15 arrangements of signs 1,726 are at least as far from 0 (Fisher, "The design of experiments", section 21).
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def slow_sample(n, resamples, seed):
    """(resamples, n) places drawn with replacement: two from each 64 bits of PCG64, the lower half first."""
    raw = np.random.PCG64(seed)
    rows = []
    for _ in range(resamples):
        words = [int(raw.random_raw()) for _ in range((n + 1) // 2)]
        halves = [half for word in words for half in (word % 2**32, word // 2**32)]
        rows.append([half * n // 2**32 for half in halves[:n]])
    return rows


def slow_interval(scores, confidence, resamples, seed):
    """BCa as Efron writes it: bias from the share of lower means, acceleration from the jackknife."""
    n, normal, mean = len(scores), NormalDist(), fmean(scores)
    means = sorted(fmean([scores[i] for i in row]) for row in slow_sample(n, resamples, seed))
    bias = normal.inv_cdf(sum(value < mean for value in means) / resamples)
    left_out = [fmean([*scores[:i], *scores[i + 1 :]]) for i in range(n)]
    away = [fmean(left_out) - value for value in left_out]
    acceleration = sum(a**3 for a in away) / (6 * sum(a**2 for a in away) ** 1.5)

    def level(alpha):
        moved = bias + normal.inv_cdf(alpha)
        return normal.cdf(bias + moved / (1 - acceleration * moved))

    low, high = level((1 - confidence) / 2), level((1 + confidence) / 2)
    return means[math.floor(low * (resamples + 1)) - 1], means[math.ceil(high * (resamples + 1)) - 1]


@pytest.mark.parametrize(("n", "confidence", "seed"), [(7, 0.95, 0), (40, 0.9, 5), (39, 0.5, 2**70)])
def test_an_interval_is_that_of_a_plain_transcription(n, confidence, seed):
    scores = SCORES[:n].tolist()
    found = bootstrap_interval(scores, confidence=confidence, resamples=999, seed=seed)
    assert (found.low, found.high) == pytest.approx(slow_interval(scores, confidence, 999, seed), abs=1e-11)
    assert found.mean == pytest.approx(fmean(scores), rel=1e-14)
    assert (found.confidence, found.resamples, found.seed) == (confidence, 999, seed)


def test_an_interval_of_many_queries_is_that_of_the_normal_law():
    scores = np.random.default_rng(3).beta(2, 1, 2000)
    found = bootstrap_interval(scores)
    error = stdev(scores.tolist()) / math.sqrt(len(scores))
    assert found.low == pytest.approx(found.mean - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.mean + 1.96 * error, abs=0.1 * error)


def test_skewed_scores_have_a_lopsided_interval():
    found = bootstrap_interval([1.0] * 30 + [0.0] * 2)
    assert found.mean - found.low > 1.5 * (found.high - found.mean)


def test_intervals_hold_the_mean_about_as_often_as_they_say():
    held, trials = 0, 400
    for trial in range(trials):
        scores = np.random.default_rng([7, trial]).beta(0.5, 0.2, 50)
        found = bootstrap_interval(scores, confidence=0.9, resamples=1000, seed=trial)
        held += found.low <= 0.5 / 0.7 <= found.high
    assert 0.86 <= held / trials <= 0.94  # 0.9 and 2.7 standard errors of 400 trials


def test_more_confidence_means_a_wider_interval():
    narrow, middle, wide = (bootstrap_interval(SCORES, confidence=c) for c in (0.5, 0.95, 0.999))
    assert wide.low < middle.low < narrow.low < narrow.mean < narrow.high < middle.high < wide.high


def test_the_interval_of_mirrored_scores_is_mirrored():
    found, mirrored = bootstrap_interval(SCORES), bootstrap_interval(-SCORES)
    assert (mirrored.low, mirrored.high, mirrored.mean) == (-found.high, -found.low, -found.mean)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e300])
def test_the_interval_moves_with_the_scale_of_the_scores(scale):
    found, scaled = bootstrap_interval(SCORES), bootstrap_interval(SCORES * scale)
    expected = [scale * end for end in (found.low, found.high)]
    assert [scaled.low, scaled.high] == pytest.approx(expected, rel=1e-11, abs=0)


@pytest.mark.parametrize("score", [0.0, 0.7, -1e-200])
def test_scores_that_are_alike_have_a_point_for_an_interval(score):
    found = bootstrap_interval([score] * 5)
    assert [found.low, found.high] == pytest.approx([score, score], rel=1e-11, abs=0)


@pytest.mark.parametrize("resamples", [1, 2, 3, 10])
@pytest.mark.parametrize("confidence", [1e-9, 0.5, 1 - 1e-15])
def test_few_resamples_give_ends_among_them(resamples, confidence):
    found = bootstrap_interval(SCORES, resamples=resamples, confidence=confidence)
    means = [SCORES[row].mean() for row in np.array(slow_sample(40, resamples, 0))]
    assert min(means) - 1e-11 <= found.low <= found.high <= max(means) + 1e-11


def test_fishers_maize_has_its_exact_p_value():
    found = permutation_test(MAIZE, np.zeros(15), permutations=2**15)
    assert (found.p_value, found.permutations, found.exact) == (1726 / 2**15, 2**15, True)
    assert found.difference == pytest.approx(314 / 15)


def test_random_arrangements_come_near_the_exact_p_value():
    found = permutation_test(MAIZE, np.zeros(15), permutations=2**15 - 1)
    assert (found.permutations, found.exact) == (2**15 - 1, False)
    assert found.p_value == pytest.approx(1726 / 2**15, abs=4 * math.sqrt(0.05 * 0.95 / 2**15))
    assert found.p_value != 1726 / 2**15


@pytest.mark.parametrize("n", [1, 2, 5, 9, 13])
def test_few_queries_are_tried_in_every_arrangement(n):
    scores, others = np.round(SCORES[:n], 2), np.round(OTHERS[:n], 2)
    differences = [round(100 * (a - b)) for a, b in zip(scores, others, strict=True)]
    observed = abs(sum(differences))
    hits = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) >= observed
        for signs in itertools.product((-1, 1), repeat=n)
    ]
    found = permutation_test(scores, others)
    assert (found.p_value, found.exact) == (fmean(hits), True)


@pytest.mark.parametrize("n", [14, 40, 65])
def test_random_arrangements_are_those_of_a_plain_transcription(n):
    differences = np.random.default_rng(n).integers(-9, 10, n)
    raw = np.random.PCG64(3)
    hits = 0
    for _ in range(500):
        words = [int(raw.random_raw()) for _ in range((np.count_nonzero(differences) + 63) // 64)]
        bits = (words[place // 64] >> place % 64 & 1 for place in itertools.count())
        drawn = sum(-d if next(bits) else d for d in differences.tolist() if d)
        hits += abs(drawn) >= abs(differences.sum())
    found = permutation_test(differences, np.zeros(n), permutations=500, seed=3)
    assert (found.p_value, found.exact) == ((1 + hits) / 501, False)


@pytest.mark.parametrize("tenths", [(1, 2, 3), (1, 3, 4), (1, 6, 7), (2, 4, 6)])
def test_arrangements_that_are_equal_but_for_rounding_count_as_equal(tenths):
    low, middle, sum_of_both = (tenth / 10 for tenth in tenths)  # 0.1 + 0.2 - 0.3 is not 0 in floating point
    found = permutation_test([low, middle, 0.0, 0.9], [0.0, 0.0, sum_of_both, 0.0])
    assert found.p_value == 10 / 16


def test_queries_without_a_difference_change_nothing():
    found = permutation_test([*MAIZE, *SCORES], [*np.zeros(15), *SCORES], permutations=2**15)
    assert (found.p_value, found.permutations, found.exact) == (1726 / 2**15, 2**15, True)


def test_scores_that_are_the_same_are_no_evidence():
    found = permutation_test(SCORES, SCORES)
    assert (found.difference, found.p_value, found.permutations, found.exact) == (0, 1, 1, True)


def test_the_other_way_round_only_the_sign_changes():
    found, back = permutation_test(SCORES, OTHERS), permutation_test(OTHERS, SCORES)
    assert (back.difference, back.p_value) == (-found.difference, found.p_value)


def test_systems_that_are_alike_are_found_different_about_as_rarely_as_asked():
    trials = 400
    found = [
        permutation_test(*np.random.default_rng([9, trial]).beta(2, 1, (2, 20)), permutations=499, seed=trial).p_value
        for trial in range(trials)
    ]
    assert 0.02 <= np.mean([p <= 0.05 for p in found]) <= 0.08  # 0.05 and 2.7 standard errors of 400 trials
    assert np.mean(found) == pytest.approx(0.5, abs=0.05)


def test_a_seed_gives_these_digits_on_every_machine():
    # Scores with exact binary fractions, so that not even the parsing of decimals has a say.
    scores = [(37 * i % 64) / 64 for i in range(101)]
    others = [(29 * i % 61) / 64 for i in range(101)]
    interval = bootstrap_interval(scores, seed=1)
    assert (interval.low, interval.high) == (2813 / 101 / 64, 3538 / 101 / 64)
    assert permutation_test(scores, others, seed=1).p_value == 6184 / 10_001


def test_seeds_differ():
    assert bootstrap_interval(SCORES, seed=1) != bootstrap_interval(SCORES, seed=2)
    assert permutation_test(SCORES, OTHERS, seed=1).p_value != permutation_test(SCORES, OTHERS, seed=2).p_value


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_results_do_not_depend_on_the_size_of_blocks(monkeypatch, block):
    found = bootstrap_interval(SCORES, resamples=300), permutation_test(SCORES, OTHERS, permutations=300)
    monkeypatch.setattr(statistics, "_BLOCK", block)
    assert found == (bootstrap_interval(SCORES, resamples=300), permutation_test(SCORES, OTHERS, permutations=300))


def test_memory_does_not_grow_with_resamples_times_queries():
    scores = np.random.default_rng(0).random((2, 5000))
    tracemalloc.start()
    bootstrap_interval(scores[0], resamples=3000)
    permutation_test(*scores, permutations=3000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20  # all indices at once would be 120 MB


@pytest.mark.parametrize(
    ("act", "kind", "message"),
    [
        (lambda: bootstrap_interval([]), ValueError, "scores: expected at least 2, one for each query, got 0"),
        (lambda: bootstrap_interval([0.5]), ValueError, "scores: expected at least 2, one for each query, got 1"),
        (lambda: bootstrap_interval([0.5, np.nan]), ValueError, r"scores: expected finite numbers, got nan \(1 of 2\)"),
        (lambda: bootstrap_interval([0.5, -np.inf]), ValueError, "scores: expected finite numbers, got -inf"),
        (lambda: bootstrap_interval(np.zeros((2, 3))), ValueError, r"scores: expected \(q,\).*got \(2, 3\)"),
        (lambda: bootstrap_interval(0.5), ValueError, r"scores: expected \(q,\).*got \(\)"),
        (lambda: bootstrap_interval(["0.5", "0.6"]), TypeError, "scores: expected numbers"),
        (lambda: bootstrap_interval([True, False]), TypeError, "scores: expected numbers"),
        (lambda: bootstrap_interval(SCORES, confidence=95), ValueError, "confidence: .* such as 0.95, got 95"),
        (lambda: bootstrap_interval(SCORES, confidence=0), ValueError, "confidence: "),
        (lambda: bootstrap_interval(SCORES, confidence=1.0), ValueError, "confidence: "),
        (lambda: bootstrap_interval(SCORES, confidence=math.nan), ValueError, "confidence: "),
        (lambda: bootstrap_interval(SCORES, confidence="0.95"), TypeError, "confidence: "),
        (lambda: bootstrap_interval(SCORES, confidence=True), TypeError, "confidence: "),
        (lambda: bootstrap_interval(SCORES, resamples=0), ValueError, "resamples: "),
        (lambda: bootstrap_interval(SCORES, resamples=1e4), TypeError, "resamples: "),
        (lambda: bootstrap_interval(SCORES, seed=-1), ValueError, "seed: "),
        (lambda: bootstrap_interval(SCORES, seed=None), TypeError, "seed: "),
        (lambda: permutation_test([], []), ValueError, "scores: expected at least 1"),
        (lambda: permutation_test(SCORES, OTHERS[:39]), ValueError, "other_scores: expected 40 scores.*got 39"),
        (lambda: permutation_test(SCORES, OTHERS[:, None]), ValueError, "other_scores: "),
        (lambda: permutation_test(SCORES, OTHERS * np.nan), ValueError, "other_scores: .*nan"),
        (lambda: permutation_test(SCORES, [None] * 40), TypeError, "other_scores: "),
        (lambda: permutation_test(SCORES, OTHERS, permutations=0), ValueError, "permutations: "),
        (lambda: permutation_test(SCORES, OTHERS, permutations=2.5), TypeError, "permutations: "),
        (lambda: permutation_test(SCORES, OTHERS, seed=-1), ValueError, "seed: "),
        (lambda: permutation_test(SCORES, OTHERS, seed=0.5), TypeError, "seed: "),
    ],
)
def test_a_wrong_argument_is_named(act, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        act()
