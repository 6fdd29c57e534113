from __future__ import annotations

import numpy as np
import pytest
import torch
from center_distances import minimum_distance
from hypothesis import given, settings
from hypothesis import strategies as st

from vtsearch.frameworks.centers import class_centers, guaranteed_distance, hadamard, majority_centers


@pytest.mark.parametrize("order", [1, 2, 4, 8, 12, 16, 20, 24, 32, 40, 44, 48, 64, 96, 128])
def test_hadamard_rows_are_orthogonal(order):
    matrix = hadamard(order).astype(int)
    np.testing.assert_array_equal(matrix @ matrix.T, order * np.eye(order))


@pytest.mark.parametrize("order", [3, 6, 10, 14, 36, 50, 92])
def test_orders_without_a_construction_are_none(order):
    assert hadamard(order) is None


@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 70), classes=st.integers(1, 80), seed=st.integers(0, 3))
def test_no_two_centers_are_alike_and_the_guarantee_holds(bits, classes, seed):
    classes = min(classes, 2**bits)
    centers = class_centers(classes, bits, seed)
    assert centers.shape == (classes, bits)
    assert set(centers.unique().tolist()) <= {-1.0, 1.0}
    assert len(centers.unique(dim=0)) == classes
    assert minimum_distance(centers) >= min(guaranteed_distance(classes, bits), bits)


@pytest.mark.parametrize(
    ("classes", "bits", "distance"),
    [(10, 16, 8), (32, 16, 8), (100, 16, 6), (256, 16, 6), (80, 32, 12), (10, 48, 24), (96, 48, 24), (100, 64, 32)],
)
def test_the_usual_data_sets_get_distant_centers(classes, bits, distance):
    assert minimum_distance(class_centers(classes, bits)) == distance


def test_all_codes_of_a_length_can_be_centers():
    assert len(class_centers(64, 6).unique(dim=0)) == 64


def test_the_same_seed_draws_the_same_centers():
    assert torch.equal(class_centers(30, 22, seed=5), class_centers(30, 22, seed=5))
    assert not torch.equal(class_centers(30, 22, seed=5), class_centers(30, 22, seed=6))


def test_more_classes_than_codes_is_an_error():
    with pytest.raises(ValueError, match=r"classes: expected at most 2\*\*bits = 8 different centers, got 9"):
        class_centers(9, 3)


@pytest.mark.parametrize(("classes", "bits"), [(0, 8), (3, 0)])
def test_counts_below_one_are_an_error(classes, bits):
    with pytest.raises(ValueError, match="classes, bits: expected at least 1"):
        class_centers(classes, bits)


def test_one_label_keeps_its_center():
    centers = class_centers(5, 12)
    tie = torch.ones(12)
    assert torch.equal(majority_centers(centers, torch.eye(5), tie), centers)
