from __future__ import annotations

import pytest
import torch
from torch import distributed

from vtsearch.tensors import distributed as ours


@pytest.fixture
def two_processes(monkeypatch):
    """Process 1 of two, with the same rows in both; on a device without memory, whoever asks for a value fails."""
    monkeypatch.setattr(ours, "number_of_processes", lambda: 2)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "all_gather", lambda parts, part: [each.copy_(part) for each in parts])
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor.mul_(2))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_equal_batches_are_gathered_without_asking_for_their_lengths(two_processes, device):
    part = torch.arange(6.0, device=device).reshape(3, 2).requires_grad_()
    with ours.equal_batches():
        both, labels = ours.gather_batch(part), ours.gather_batch(torch.arange(3, device=device))
    both.square().sum().backward()
    assert (both.shape, labels.shape, part.grad.shape) == ((6, 2), (6,), (3, 2))
    if device == "cpu":
        assert torch.equal(both, part.repeat(2, 1))
        assert torch.equal(part.grad, 4 * part)


def test_lengths_are_asked_for_outside_of_them(two_processes):
    for gather in (ours.gather, ours.gather_batch):
        with pytest.raises(RuntimeError, match="meta"):
            gather(torch.zeros(3, 2, device="meta"))
        assert torch.equal(gather(torch.ones(3, 2)), torch.ones(6, 2))
    with ours.equal_batches(), pytest.raises(RuntimeError, match="meta"):
        ours.gather(torch.zeros(3, 2, device="meta"))
