from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vtsearch.frameworks.bank import Bank

TWO_PROCESSES = """
import sys
import torch
from torch import distributed
from vtsearch.frameworks.bank import Bank

rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
bank = Bank(6, 2, 3)
rows = torch.tensor([0, 4, 2]) if rank == 0 else torch.tensor([5, 1])
bank.update(rows[:, None] + torch.tensor([0.25, 0.5]), torch.eye(3)[rows % 3], rows)
torch.save(bank.state_dict(), f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def filled(rows):
    bank = Bank(6, 2, 3)
    bank.update(rows[:, None] + torch.tensor([0.25, 0.5]), torch.eye(3)[rows % 3], rows)
    return bank.state_dict()


def test_only_visited_rows_are_seen():
    state = filled(torch.tensor([4, 1]))
    assert state["seen"].tolist() == [False, True, False, False, True, False]
    assert state["features"][4].tolist() == [4.25, 4.5]
    assert state["labels"][4].tolist() == [0, 1, 0]


def test_of_a_row_that_comes_twice_the_first_features_stay():
    bank, rows = Bank(6, 2, 3), torch.tensor([4, 1, 4])
    bank.update(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), torch.eye(3)[rows % 3], rows)
    assert bank.features[4].tolist() == [1.0, 2.0]
    assert bank.features[1].tolist() == [3.0, 4.0]


@pytest.mark.slow
def test_two_processes_have_the_bank_of_one(tmp_path):
    workers = [subprocess.Popen([sys.executable, "-c", TWO_PROCESSES, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    expected = filled(torch.tensor([0, 4, 2, 5, 1]))
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(state[name], expected[name]) for name in expected)
