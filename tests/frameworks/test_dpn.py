from __future__ import annotations

import numpy as np
import pytest
import torch
from center_distances import minimum_distance
from random_batches import (
    BITS,
    CLASSES,
    ITEMS,
    KINDS,
    assert_finite_at_extremes,
    assert_halves_average_to_the_whole,
    loss_and_gradient,
    random_batch,
)

from vtsearch.frameworks.dpn import DPN, DPNOptions, ternary


def build(**options):
    return DPN(BITS, CLASSES, ITEMS, DPNOptions(**options)).double()


def targets_of(labels, centers, tie):
    """An item's targets bit by bit: the majority of its classes', the tie vector where there is none."""
    votes = [[sum(centers[c, k] for c in np.flatnonzero(row)) for k in range(centers.shape[1])] for row in labels]
    return np.array([[np.sign(v) if v else tie[k] for k, v in enumerate(row)] for row in votes])


def reference(features, targets, margin):
    """Mean polarization loss and its gradient."""
    costs = np.maximum(margin - features * targets, 0)
    return costs.mean(), -targets * (costs > 0) / features.size


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_the_papers(kind, seed):
    framework = build(margin=0.8)
    features, labels, positions = random_batch(kind, seed)
    loss, gradient = loss_and_gradient(framework, features, labels, positions)
    targets = targets_of(labels.numpy(), framework.centers.numpy(), framework.tie.numpy())
    expected = reference(features.numpy(), targets, 0.8)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_each_target_adds_its_own_loss_over_all_bits_as_the_authors_do(kind):
    framework = build(multi_label="each", over_bits="sum", shrinkage=0.001)
    features, labels, positions = random_batch(kind, 1)
    expected = 0.001 * np.mean(features.numpy() ** 2)
    for i, c in np.argwhere(labels.numpy()):
        expected += np.maximum(1 - features[i].numpy() * framework.centers[c].numpy(), 0).sum() / ITEMS
    assert framework(features, labels, positions).item() == pytest.approx(expected, rel=1e-12)


def test_the_gradient_with_all_terms_is_that_of_finite_differences():
    framework = build(multi_label="each", over_bits="sum", shrinkage=0.3)
    features, labels, positions = random_batch("some without", 2)
    assert torch.autograd.gradcheck(
        lambda values: framework(values, labels, positions), features.requires_grad_(), atol=1e-7
    )


@pytest.mark.parametrize(("shrinkage", "sure"), [(0.0, 1.0), (0.5, 0.4)])
def test_shrinkage_by_half_ends_at_the_expected_target(shrinkage, sure):
    """Of ten images with the same features seven are of one class, three of its opposite: 7/10 - 3/10 instead of 1."""
    framework = DPN(1, 2, 10, DPNOptions(shrinkage=shrinkage)).double()
    framework.centers = torch.tensor([[1.0], [-1.0]])
    labels = torch.eye(2, dtype=torch.float64)[[0] * 7 + [1] * 3]
    values = np.linspace(-2, 2, 401)
    losses = [framework(torch.full((10, 1), value), labels, torch.arange(10)).item() for value in values]
    assert values[np.argmin(losses)] == pytest.approx(sure)


def test_the_first_label_alone_can_decide():
    features, labels, positions = random_batch("multi", 0)
    first = torch.eye(CLASSES, dtype=torch.float64)[labels.argmax(dim=1)]
    assert build(multi_label="first")(features, labels, positions) == build()(features, first, positions)


def test_ternary_features_have_no_gradient():
    features, labels, positions = random_batch("single", 0)
    framework = build(ternary=True)
    loss, gradient = loss_and_gradient(framework, features, labels, positions)
    assert not gradient.any()
    steps = ternary(features, 1.0)
    assert set(steps.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert loss == pytest.approx(build()(steps, labels, positions).item())


def test_our_targets_differ_and_the_published_may_not():
    assert minimum_distance(DPN(16, 100, 1).centers) == 6
    published = [DPN(16, 100, 1, DPNOptions.published(), seed=seed).centers for seed in range(10)]
    assert all((centers.sum(dim=1) == 0).all() for centers in published)
    assert 0 < sum(len(centers.unique(dim=0)) < 100 for centers in published) < 10


def bank_of(framework, codes, labels):
    """Let the framework see one epoch of these features."""
    framework(codes.double(), labels.double(), torch.arange(len(codes)))


def test_targets_follow_the_majority_of_the_codes_that_are_closest():
    framework = DPN(4, 3, 6, DPNOptions(update="closest", update_share=0.75)).double()
    framework.centers.copy_(torch.ones(3, 4))
    codes = torch.tensor(
        [[9, 9, -1, 0.1], [2, 1, -1, -1], [1, -1, -1, 1], [-1, -1, -1, -1], [-3, 2, 1, 1], [1, -2, 1, 1]]
    )
    labels = torch.eye(3)[[0, 0, 0, 0, 1, 1]]
    bank_of(framework, codes, labels)
    framework.start_epoch(1)
    # Class 0: three of four vote (not the one that is opposite); class 1: even in two bits; class 2: nobody came.
    assert framework.centers.tolist() == [[1, 1, -1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_targets_that_follow_keep_even_votes_as_they_were():
    framework = DPN(2, 1, 2, DPNOptions(update="closest"))
    framework.centers.copy_(torch.tensor([[-1.0, 1.0]]))
    bank_of(framework.double(), torch.tensor([[1.0, 1.0], [-1.0, 1.0]]), torch.ones(2, 1))
    framework.start_epoch(1)
    assert framework.centers.tolist() == [[-1, 1]]


def test_ternary_targets_may_become_zero_as_published():
    framework = DPN(3, 2, 4, DPNOptions(update="ternary"))
    codes = torch.tensor([[2.0, 0.5, -3.0], [4.0, 0.9, 2.0], [-2.0, 0.1, 0.0], [0.2, 1.5, 0.0]])
    labels = torch.eye(2)[[0, 0, 1, 1]]
    bank_of(framework, codes, labels)
    framework.start_epoch(1)
    assert framework.centers.tolist() == [[1, 0, 0], [-1, 1, 0]]
    # A target of 0 costs the margin, whatever the feature: (0 + 1 + 1 + 0 + 0 + 1) / 6.
    assert framework(torch.tensor([[5.0] * 3, [-5.0, 5.0, 5.0]]), torch.eye(2), torch.arange(2)) == 0.5


def test_targets_follow_only_at_the_epochs_that_were_asked_for():
    framework = build(update="closest", update_every=2)
    before = framework.centers.clone()
    features, labels, positions = random_batch("single", 3)
    framework(features, labels, positions)
    for epoch in (0, 1, 3):
        framework.start_epoch(epoch)
        assert torch.equal(framework.centers, before)
    framework.start_epoch(2)
    assert not torch.equal(framework.centers, before)


@pytest.mark.parametrize("update", ["closest", "ternary"])
def test_following_targets_resume_to_the_same_numbers(update):
    framework, other = build(update=update), DPN(BITS, CLASSES, ITEMS, DPNOptions(update=update), seed=9).double()
    framework(*random_batch("multi", 0))
    framework.start_epoch(1)
    framework(*random_batch("multi", 1))
    other.load_state_dict(framework.state_dict())
    for part in (framework, other):
        part.start_epoch(2)
    assert framework(*random_batch("multi", 2)) == other(*random_batch("multi", 2))


def test_fixed_targets_have_no_bank():
    assert set(build().state_dict()) == {"centers", "tie"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{}, {"multi_label": "each", "over_bits": "sum", "shrinkage": 0.1}])
def test_two_processes_are_one(kind, options):
    assert_halves_average_to_the_whole(build(**options), kind)


@pytest.mark.parametrize("options", [{}, {"multi_label": "each", "over_bits": "sum", "shrinkage": 0.1}])
def test_extreme_features_stay_finite(options):
    assert_finite_at_extremes(build(**options).float())


def test_the_published_options():
    assert DPNOptions.published() == DPNOptions(margin=1.0, centers="balanced", multi_label="majority")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": 0.0}, "margin: expected a number above 0, got 0.0"),
        ({"shrinkage": -1.0}, "shrinkage: expected at least 0, got -1.0"),
        ({"update_every": 0}, "update_every: expected at least 1, got 0"),
        ({"update_share": 0.0}, "update_share: expected a number above 0, got 0.0"),
        ({"update_share": 1.5}, "update_share: expected at most 1, got 1.5"),
        ({"centers": "far"}, "centers: expected one of distant, redrawn, balanced, bernoulli, got 'far'"),
        ({"multi_label": "all"}, "multi_label: expected one of majority, each, first, got 'all'"),
        ({"over_bits": "max"}, "over_bits: expected one of mean, sum, got 'max'"),
        ({"update": "always"}, "update: expected one of never, closest, ternary, got 'always'"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        DPNOptions(**options)
