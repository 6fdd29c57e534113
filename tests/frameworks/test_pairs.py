from __future__ import annotations

import pytest
import torch

from vtsearch.frameworks.dsh import DSH, DSHOptions
from vtsearch.frameworks.pairs import pair_mean

FEATURES = torch.arange(8.0).reshape(4, 2)
LABELS = torch.eye(3)[[0, 1, 1, 2]]
POSITIONS = torch.tensor([5, 0, 3, 1])


def sides(pairs, unseen="masked"):
    return DSH(2, 3, 6, DSHOptions(pairs=pairs, unseen=unseen)).sides(FEATURES, LABELS, POSITIONS)


def test_the_bank_is_the_right_side_in_the_order_of_positions():
    got = sides("bank")
    assert torch.equal(got.left, FEATURES)
    assert torch.equal(got.right[POSITIONS], FEATURES)
    assert torch.equal(got.right_labels[POSITIONS], LABELS)
    assert got.exists.tolist() == [[1, 1, 0, 1, 0, 1]] * 4


def test_unseen_rows_can_be_taken_as_published():
    got = sides("bank", unseen="dissimilar")
    assert got.exists.tolist() == [[1] * 6] * 4
    assert got.right[[2, 4]].tolist() == [[0, 0], [0, 0]]
    assert got.right_labels[[2, 4]].sum() == 0


def test_distinct_leaves_out_each_image_with_itself():
    assert torch.equal(sides("batch").exists, torch.ones(4, 4))
    assert torch.equal(sides("distinct").exists, 1 - torch.eye(4))


def test_an_image_that_comes_twice_is_no_pair_of_distinct_images():
    framework = DSH(2, 3, 6, DSHOptions(pairs="distinct"))
    assert framework.sides(FEATURES[:2], LABELS[:2], torch.tensor([4, 4])).exists.sum() == 0


def test_halves_meet_each_other():
    got = sides("halves")
    assert torch.equal(got.left, FEATURES[:2])
    assert torch.equal(got.right, FEATURES[2:])
    assert torch.equal(got.left_labels, LABELS[:2])
    assert torch.equal(got.right_labels, LABELS[2:])
    assert torch.equal(got.exists, torch.ones(2, 2))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("equal", (1 + 2 + 4) / 3),
        ("balanced", (1 + 2) / 2 + 4),
        ("similar", (1 * 4 / 3 + 2 * 4 / 3 + 4) / 3),  # three of the four pairs are similar, one of them left out
    ],
)
def test_weights_of_similar_and_dissimilar_pairs(weights, expected):
    losses = torch.tensor([[1.0, 2.0], [4.0, 8.0]])
    similar, exists = torch.tensor([[1.0, 1.0], [0.0, 1.0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert pair_mean(losses, similar, exists, weights).item() == pytest.approx(expected)


@pytest.mark.parametrize("weights", ["equal", "balanced", "similar"])
def test_no_pairs_have_no_loss(weights):
    losses = torch.ones(2, 3, requires_grad=True)
    loss = pair_mean(losses, torch.zeros(2, 3), torch.zeros(2, 3), weights)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(losses.grad, torch.zeros(2, 3))
