from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vtsearch.frameworks.hashnet import HashNet, HashNetOptions

LABELS = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 1]])


def reference(left, right, similar, alpha):
    """Mean over similar pairs plus mean over dissimilar pairs of log(1 + e^x) - s x, in numpy."""
    logits = alpha * left @ right.T
    losses = np.logaddexp(0, logits) - similar * logits
    return sum(losses[chosen].mean() for chosen in (similar, ~similar) if chosen.any())


def features(seed, rows=4):
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_unseen_rows_of_the_bank_are_left_out():
    framework = HashNet(6, 3, 10, HashNetOptions(alpha=0.5)).double()
    first = framework(features(0), LABELS, torch.tensor([7, 1, 4, 2]))
    tanh = np.tanh(features(0).numpy())
    similar = (LABELS @ LABELS.T > 0).numpy()
    assert first.item() == pytest.approx(reference(tanh, tanh, similar, 0.5), rel=1e-12)


def test_the_bank_keeps_the_last_features_of_each_position():
    framework = HashNet(6, 3, 10, HashNetOptions(alpha=0.5)).double()
    framework(features(0), LABELS, torch.tensor([7, 1, 4, 2]))
    second = framework(features(1), LABELS, torch.tensor([7, 3, 4, 0]))
    old, new = np.tanh(features(0).numpy()), np.tanh(features(1).numpy())
    bank = np.concatenate([new, old[[1, 3]]])  # 7 and 4 are overwritten, 1 and 2 remain
    similar = (LABELS @ torch.cat([LABELS, LABELS[[1, 3]]]).T > 0).numpy()
    assert second.item() == pytest.approx(reference(new, bank, similar, 0.5), rel=1e-12)


def test_the_scale_follows_the_epochs():
    framework = HashNet(6, 3, 10)
    for epoch, scale in ((0, 1), (19, 1), (20, math.sqrt(2)), (59, math.sqrt(3)), (140, math.sqrt(8))):
        framework.start_epoch(epoch)
        assert framework.scale.item() == pytest.approx(scale)


def test_continuation_zero_leaves_the_scale_alone():
    framework = HashNet(6, 3, 10, HashNetOptions(continuation=0))
    framework.start_epoch(100)
    assert framework.scale.item() == 1


def test_alpha_by_bits_is_the_authors_rule():
    assert HashNet(64, 3, 10, HashNetOptions(alpha="10/bits")).alpha == 10 / 64


@pytest.mark.parametrize("labels", [torch.zeros(4, dtype=torch.int64), torch.tensor([[0, 0, 0]] * 4)])
def test_a_batch_without_similar_or_without_dissimilar_pairs_has_one_mean(labels):
    framework = HashNet(6, 3, 4, HashNetOptions(pairs="batch")).double()
    tanh = np.tanh(features(0).numpy())
    similar = np.full((4, 4), labels.ndim == 1)
    loss = framework(features(0), labels, torch.arange(4))
    assert loss.item() == pytest.approx(reference(tanh, tanh, similar, 0.1), rel=1e-12)


def test_a_batch_of_one_has_no_halves_and_no_loss():
    framework = HashNet(6, 3, 4, HashNetOptions(pairs="halves", positive_weight=2.0)).double()
    assert framework(features(0, rows=1), torch.tensor([0]), torch.tensor([0])).item() == 0


def test_gradient_flows_through_the_batch_only():
    framework = HashNet(6, 3, 10).double()
    values = features(0).requires_grad_()
    framework(values, LABELS, torch.arange(4)).backward()
    assert not framework.bank.features.requires_grad
    assert values.grad.abs().sum() > 0


def test_the_next_step_may_come_before_the_backward_pass_of_the_last():
    framework = HashNet(6, 3, 10).double()
    values = features(0).requires_grad_()
    loss = framework(values, LABELS, torch.arange(4))
    framework(features(1), LABELS, torch.arange(4))
    loss.backward()
    other = HashNet(6, 3, 10).double()
    expected = features(0).requires_grad_()
    other(expected, LABELS, torch.arange(4)).backward()
    assert torch.equal(values.grad, expected.grad)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("alpha", 0.0, "alpha: expected a number above 0 or '10/bits', got 0.0"),
        ("alpha", "10/K", "alpha: expected a number above 0 or '10/bits', got '10/K'"),
        ("positive_weight", -1.0, "positive_weight: expected a number above 0 or 'balanced', got -1.0"),
        ("continuation", -1, "continuation: expected at least 0, got -1"),
        ("pairs", "banks", "pairs: expected one of bank, batch, distinct, halves, got 'banks'"),
        ("unseen", "zero", "unseen: expected one of masked, dissimilar, got 'zero'"),
    ],
)
def test_options_out_of_range_are_named(field, value, message):
    with pytest.raises(ValueError) as error:
        HashNetOptions(**{field: value})
    assert str(error.value) == message
