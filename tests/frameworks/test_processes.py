"""Two processes that share a batch train as one process with the whole batch does."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import two_processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What each of two processes had for its part of the batches."""
    folder = tmp_path_factory.mktemp("processes")
    program = [sys.executable, two_processes.__file__]
    workers = [subprocess.Popen([*program, str(rank), str(folder)]) for rank in range(2)]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", two_processes.cases())
def test_averaged_gradients_are_those_of_the_whole_batch(name, both):
    case = two_processes.cases()[name]
    rows = [row for part in two_processes.rows_of(case) for row in part]
    in_one = two_processes.steps(two_processes.build(case), slice(None))
    for whole, first, second in zip(in_one, both[0][name], both[1][name], strict=True):
        loss, features, parameters = whole
        assert ((first[0] + second[0]) / 2).item() == pytest.approx(loss.item(), rel=1e-10)
        # the gradient by a weight of the model sums over the images of a process, and is averaged over processes
        torch.testing.assert_close(torch.cat([first[1], second[1]]) / 2, features[rows], rtol=1e-9, atol=1e-13)
        for one, two, all_of_them in zip(first[2], second[2], parameters, strict=True):
            torch.testing.assert_close((one + two) / 2, all_of_them, rtol=1e-9, atol=1e-13)
