from __future__ import annotations

import numpy as np
import pytest
import torch

from vtsearch.frameworks.csq import CSQ, CSQOptions


def reference(features, targets, quantization):
    """The paper's formula, in numpy: cross-entropy of (tanh u + 1) / 2 against (c + 1) / 2, and the square term."""
    probability, target = (np.tanh(features) + 1) / 2, (targets + 1) / 2
    entropy = -(target * np.log(probability) + (1 - target) * np.log(1 - probability))
    return entropy.mean() + quantization * ((np.abs(np.tanh(features)) - 1) ** 2).mean()


@pytest.mark.parametrize("form", ["logits", "published"])
def test_the_loss_is_the_papers(form):
    framework = CSQ(12, 5, 9, CSQOptions(quantization=0.3, form=form)).double()
    features = torch.randn(7, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 2])
    expected = reference(features.numpy(), framework.centers[labels].numpy(), 0.3)
    assert framework(features, labels, torch.arange(7)).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", ["logits", "published"])
def test_smoothing_shortens_the_targets(form):
    options = CSQOptions(quantization=0.3, form=form, smoothing=0.2)
    framework = CSQ(12, 5, 9, options).double()
    features = torch.randn(7, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 4, 0, 2])
    expected = reference(features.numpy(), 0.8 * framework.centers[labels].numpy(), 0.3)
    assert framework(features, labels, torch.arange(7)).item() == pytest.approx(expected, rel=1e-12)


def test_several_labels_vote_and_even_votes_take_the_tie_vector():
    framework = CSQ(16, 4, 3)
    a, b, c, _ = framework.centers
    rows = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    targets = torch.stack([torch.where(a == b, a, framework.tie), (a + b + c).sign(), framework.tie])
    features = torch.randn(3, 16)
    expected = reference(features.double().numpy(), targets.double().numpy(), 1e-4)
    assert framework(features, rows, torch.arange(3)).item() == pytest.approx(expected, rel=1e-6)


def test_the_tie_vector_comes_from_the_seed_and_is_saved():
    ties = [CSQ(32, 4, 3, seed=seed).tie for seed in (0, 0, 1)]
    assert torch.equal(ties[0], ties[1])
    assert not torch.equal(ties[0], ties[2])
    assert set(ties[0].tolist()) == {-1.0, 1.0}
    assert "tie" in CSQ(32, 4, 3).state_dict()


def test_options_out_of_range_are_named():
    with pytest.raises(ValueError, match="quantization: expected at least 0, got -1"):
        CSQOptions(quantization=-1)
    with pytest.raises(ValueError, match="form: expected one of logits, published, got 'logit'"):
        CSQOptions(form="logit")
    with pytest.raises(ValueError, match="centers: expected one of distant, redrawn, balanced, bernoulli, got 'far'"):
        CSQOptions(centers="far")
    with pytest.raises(ValueError, match="multi_label: expected one of majority, first, got 'all'"):
        CSQOptions(multi_label="all")
    with pytest.raises(ValueError, match=r"smoothing: expected a number below 1, got 1\.0"):
        CSQOptions(smoothing=1.0)


def test_published_centers_may_be_the_same_and_ours_are_not():
    published = [CSQ(16, 100, 1, CSQOptions(centers="redrawn"), seed=seed).centers for seed in range(20)]
    assert any(len(centers.unique(dim=0)) < 100 for centers in published)
    assert len(CSQ(16, 100, 1).centers.unique(dim=0)) == 100


def test_the_first_label_alone_can_decide():
    framework, first = CSQ(16, 4, 3), CSQ(16, 4, 3, CSQOptions(multi_label="first"))
    features, positions = torch.randn(3, 16), torch.arange(3)
    several, one = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]]), torch.tensor([1, 0, 3])
    assert first(features, several, positions) == framework(features, one, positions)
    assert first(features, several, positions) != framework(features, several, positions)
