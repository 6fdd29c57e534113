"""Codes class by class."""

from __future__ import annotations

import numpy as np
import pytest

from vtsearch.serve.codes_by_label import CodesByLabel


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_the_codes_of_a_label_are_those_of_its_items_in_their_order(dtype):
    rng = np.random.default_rng(0)
    labels, codes = rng.integers(0, 5, 200).astype(dtype) * 3, rng.integers(0, 256, (200, 4), dtype=np.uint8)
    made = CodesByLabel.made(labels, codes)
    for label in (0, 3, 6, 9, 12):
        np.testing.assert_array_equal(made.of(label), codes[labels == label])


def test_one_item_is_a_class():
    made = CodesByLabel.made(np.array([7]), np.array([[1, 2]], dtype=np.uint8))
    assert made.of(7).tolist() == [[1, 2]]
