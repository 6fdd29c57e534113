"""Codes of the baselines: of a linear classifier, of a random projection, of chance."""

from __future__ import annotations

import numpy as np

from vtsearch import unpack
from vtsearch.training.baselines import class_codes, coin_flips, random_projection

RANDOM = np.random.default_rng(0)


def test_class_codes_have_the_bit_of_the_class_that_the_features_tell():
    means = 5 * RANDOM.standard_normal((3, 20)) + 100  # a common offset is no feature of a class
    labels = RANDOM.integers(0, 3, 300)
    images = (means[labels] + RANDOM.standard_normal((300, 20))).astype(np.float32)
    sides = class_codes(images[:40], images[40:90], images[90:], np.array([4, 0, 7])[labels[90:]])
    expected = np.array([4, 0, 7])[labels[:90]][:, None] == [0, 4, 7]
    assert sides.bits == 3
    np.testing.assert_array_equal(unpack(np.concatenate([sides.query, sides.database]), 3), expected)


def test_the_classifier_bears_features_that_depend_on_each_other():
    once = RANDOM.standard_normal((50, 1)).astype(np.float32)
    both = np.repeat(once, 30, axis=1)
    sides = class_codes(both, both, both, (once[:, 0] > 0).astype(np.int64))
    right = unpack(sides.query, 2)[:, 1] == (once[:, 0] > 0)
    assert right.mean() > 0.9


def test_projections_are_centered_on_the_database():
    features = RANDOM.standard_normal((400, 30)).astype(np.float32)
    sides = random_projection(features[:100], features[100:] + 50, 16, np.random.default_rng(1))
    balance = unpack(sides.database, 16).mean(axis=0)
    assert (abs(balance - 0.5) < 0.15).all()
    again = random_projection(features[:100], features[100:] + 50, 16, np.random.default_rng(1))
    np.testing.assert_array_equal(sides.query, again.query)


def test_coins_are_fair():
    sides = coin_flips(50, 2000, 12, np.random.default_rng(2))
    assert sides.query.shape == (50, 2)
    assert abs(unpack(sides.database, 12).mean() - 0.5) < 0.02
