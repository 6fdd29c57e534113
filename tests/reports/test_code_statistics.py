"""Statistics of codes, against the plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from saved_runs import clustered

from vtsearch._database import Database
from vtsearch.codes import unpack
from vtsearch.evaluation.samples import sampled_positions
from vtsearch.ranking import distances
from vtsearch.reports.code_statistics import bits_of, distances_of, mean_distance
from vtsearch.reports.subjects import Pair, Side

BITS = 12


def pair_of(labelled=True):
    codes, labels = clustered(BITS, 1.5, 0, items=60)
    query, database = (
        Side.of(Database(codes[rows]), labels[rows] if labelled else None) for rows in (slice(20), slice(20, 60))
    )
    return Pair(query, database), distances(codes[:20], codes[20:]), labels[:20, None] == labels[None, 20:]


def test_pairs_are_counted_by_distance_and_label():
    pair, found, same = pair_of()
    counted = distances_of(pair, BITS)
    assert counted.same.tolist() == np.bincount(found[same], minlength=BITS + 1).tolist()
    assert counted.other.tolist() == np.bincount(found[~same], minlength=BITS + 1).tolist()
    assert counted.nearest.tolist() == np.bincount(found.min(axis=1), minlength=BITS + 1).tolist()
    assert mean_distance(counted.same) == pytest.approx(found[same].mean())
    assert mean_distance(np.zeros(3, dtype=np.int64)) is None


def test_separation_is_the_share_of_pairs_in_the_right_order_with_half_of_the_ties():
    pair, found, same = pair_of()
    near, far = found[same][:, None], found[~same][None, :]
    expected = ((near < far) + (near == far) / 2).mean()
    assert distances_of(pair, BITS).separation == pytest.approx(expected)
    assert distances_of(pair_of(labelled=False)[0], BITS).separation is None


def test_balance_and_correlation_are_those_of_the_bits():
    pair, _, _ = pair_of()
    bits = bits_of(pair.database, BITS, sampled_positions)
    values = unpack(np.concatenate(pair.database.codes.parts), BITS).astype(float)
    np.testing.assert_allclose(bits.balance, values.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(bits.correlation, np.corrcoef(values.T), atol=1e-5)
    assert bits.distinct == len(np.unique(values, axis=0))
    assert len(bits.pairs()) == BITS * (BITS - 1) // 2


def test_a_constant_bit_is_counted_and_correlates_with_nothing():
    codes = np.array([[0b10000000], [0b11000000], [0b10100000]], dtype=np.uint8)
    bits = bits_of(Side.of(Database(codes), None), 3, sampled_positions)
    assert bits.constant == 1
    assert bits.correlation[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("items", "most"), [(5, 10), (10, 10), (1000, 10), (2**31, 1000), (11, 10)])
def test_a_sample_is_ascending_without_doubles_and_always_the_same(items, most):
    sample = sampled_positions(items, most)
    assert len(sample) == min(items, most)
    assert (np.diff(sample) > 0).all()
    assert sample[0] >= 0
    assert sample[-1] < items
    assert sample.tolist() == sampled_positions(items, most).tolist()
