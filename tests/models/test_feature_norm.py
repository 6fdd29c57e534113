from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from vtsearch.models.heads import FeatureNorm

TWO_PROCESSES = """
import sys
import torch
from torch import distributed
from vtsearch.models.heads import FeatureNorm

rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
features = torch.load(f"{folder}/features.pt", weights_only=True)
mine = features[:3] if rank == 0 else features[3:]
mine.requires_grad_()
norm = FeatureNorm(4)
normed = norm(mine)
normed.pow(3).sum().backward()
torch.save([normed.detach(), mine.grad, norm.weight.grad, norm.running_mean, norm.running_var], f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def drawn(rows=8):
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(0)) * 3 + 5


def steps(norm, features):
    """Outputs, gradient and running statistics."""
    values = features.clone().requires_grad_()
    normed = norm(values)
    normed.pow(3).sum().backward()
    return normed.detach(), values.grad, norm.weight.grad, norm.running_mean, norm.running_var


def test_one_process_has_torchs_batch_normalization():
    for ours, torchs in zip(steps(FeatureNorm(4), drawn()), steps(nn.BatchNorm1d(4), drawn()), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-5, atol=1e-5)


def test_encoding_goes_by_the_running_statistics():
    norm, torchs = FeatureNorm(4), nn.BatchNorm1d(4)
    for each in (norm, torchs):
        each(drawn())
        each.eval()
    torch.testing.assert_close(norm(drawn()), torchs(drawn()))
    torch.testing.assert_close(norm(drawn())[:1], norm(drawn()[:1]))


def test_half_precision_is_normed_in_float32():
    features = drawn().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        normed = FeatureNorm(4)(features)
    assert torch.equal(normed, FeatureNorm(4)(features.float()))


@pytest.mark.slow
def test_two_processes_norm_over_the_batch_of_both(tmp_path):
    torch.save(drawn(), tmp_path / "features.pt")
    workers = [subprocess.Popen([sys.executable, "-c", TWO_PROCESSES, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    expected = steps(FeatureNorm(4), drawn())
    of_each = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    torch.testing.assert_close(torch.cat([first for first, *_ in of_each]), expected[0])
    torch.testing.assert_close(torch.cat([second for _, second, *_ in of_each]), expected[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(of_each[0][2] + of_each[1][2], expected[2])
    for mean, variance in (each[3:] for each in of_each):
        torch.testing.assert_close(mean, expected[3])
        torch.testing.assert_close(variance, expected[4])
