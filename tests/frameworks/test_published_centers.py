from __future__ import annotations

import pytest
import torch

from vtsearch.frameworks.centers import CONSTRUCTIONS, class_centers, draw_centers, hadamard, tie_vector


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_every_construction_is_a_function_of_the_seed(construction):
    drawn = [draw_centers(construction, 70, 16, seed) for seed in (0, 0, 1)]
    assert drawn[0].shape == (70, 16)
    assert drawn[0].dtype == torch.float32
    assert set(drawn[0].unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_distant_is_ours():
    assert torch.equal(draw_centers("distant", 9, 12, seed=2), class_centers(9, 12, seed=2))


def test_redrawn_begins_with_hadamard_rows_and_goes_on_balanced():
    centers = draw_centers("redrawn", 80, 16)
    matrix = torch.from_numpy(hadamard(16)).float()
    assert torch.equal(centers[:32], torch.cat([matrix, -matrix]))
    assert not centers[32:].sum(dim=1).any()


@pytest.mark.parametrize(("classes", "share"), [(80, 0.22), (100, 0.27)])
def test_redrawn_centers_of_two_classes_may_be_the_same(classes, share):
    draws = 60
    alike = sum(len(draw_centers("redrawn", classes, 16, seed).unique(dim=0)) < classes for seed in range(draws))
    assert alike / draws == pytest.approx(share, abs=0.2)  # three standard deviations of 60 draws
    assert len(draw_centers("distant", classes, 16).unique(dim=0)) == classes


def test_redrawn_needs_a_power_of_two():
    with pytest.raises(ValueError, match="bits: 'redrawn' centers exist for powers of two, got 48"):
        draw_centers("redrawn", 4, 48)


@pytest.mark.parametrize("bits", [16, 15])
def test_balanced_rows_have_as_many_of_each_sign(bits):
    assert draw_centers("balanced", 30, bits).sum(dim=1).tolist() == [bits % 2] * 30


def test_an_unknown_construction_lists_the_choices():
    with pytest.raises(ValueError, match="centers: expected one of distant, redrawn, balanced, bernoulli, got 'far'"):
        draw_centers("far", 4, 16)


def test_the_tie_vector_is_a_fair_coin_for_each_bit():
    ties = torch.stack([tie_vector(64, seed) for seed in range(50)])
    assert set(ties.unique().tolist()) == {-1.0, 1.0}
    assert abs(ties.mean().item()) < 0.1
