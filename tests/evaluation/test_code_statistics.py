"""Balance and correlation of bits, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from vtsearch.evaluation import bit_statistics


def test_balance_and_correlation_are_those_of_numpy():
    values = np.random.default_rng(0).integers(0, 2, (500, 12))
    values[:, 3] = values[:, 2]
    values[:, 5] = 1 - values[:, 4]
    found = bit_statistics(values)
    np.testing.assert_allclose(found.balance, values.mean(axis=0))
    np.testing.assert_allclose(found.correlation, np.corrcoef(values.T), atol=1e-12)
    assert found.partner[[2, 3, 4, 5]].tolist() == [3, 2, 5, 4]
    np.testing.assert_allclose(found.partner_correlation[[2, 4]], [1, -1])


def test_a_bit_that_never_changes_correlates_with_none():
    values = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 1]])
    found = bit_statistics(values)
    assert found.balance[0] == 1
    assert found.correlation[0].tolist() == [0, 0, 0]


def test_a_single_bit_is_its_own_partner():
    assert bit_statistics([[0], [1]]).partner.tolist() == [0]


@pytest.mark.parametrize("values", [np.zeros((0, 8)), np.zeros(8), np.zeros((3, 0))])
def test_other_shapes_are_refused(values):
    with pytest.raises(ValueError, match="values: expected"):
        bit_statistics(values)
