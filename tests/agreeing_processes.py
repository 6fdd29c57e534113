"""What two processes of a run tell each other: run as a program, this file is one of the two.

Usage: agreeing_processes.py RANK PORT FOLDER; writes FOLDER/RANK.json.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import torch

from vtsearch.errors import VtsearchError
from vtsearch.models import ModelConfig
from vtsearch.tensors.distributed import synchronize
from vtsearch.training import coordination
from vtsearch.training.config import TrainConfig
from vtsearch.training.devices import leave_processes, this_process
from vtsearch.training.sharding import copy_weights

TIMEOUT_MINUTES = 0.1


def fails(error):
    raise error


def said(work, *arguments):
    """The value of a call, or the class and message of its error."""
    try:
        return work(*arguments)
    except (VtsearchError, OSError) as error:
        return f"{type(error).__name__}: {error}"


def cases(rank, folder):
    """Name -> what this process gets."""
    mine = folder if rank == 0 else folder / "elsewhere"
    config = TrainConfig(model=ModelConfig(), seed=rank)
    local = TrainConfig(model=ModelConfig(), data=f"/node{rank}/data", workers=rank)
    return {
        "main's value": said(coordination.by_main, lambda: rank + 10),
        "main's error": said(coordination.by_main, lambda: fails(FileExistsError("output: not empty"))),
        "own values": said(coordination.together, lambda: rank + 10),
        "one's error": said(coordination.together, lambda: rank and fails(OSError("no data"))),
        "in turn": said(coordination.first_on_each_node, lambda: in_turn(folder)),
        "values of all": coordination.everywhere(rank),
        "one folder": said(coordination.require_shared, folder),
        "two folders": said(coordination.require_shared, mine, 0.2),
        "two seeds": said(coordination.require_same_config, config),
        "two places of data": said(coordination.require_same_config, local),
        "same": said(coordination.require_same, [1, 2], "split"),
        "other": said(coordination.require_same, rank, "split"),
        "tensors": tensors(rank),
        "statistics": statistics(rank),
    }


def in_turn(folder):
    """Whether this process finds what another one has fetched."""
    fetched = folder / "fetched"
    found = fetched.exists()
    time.sleep(0.2)
    fetched.touch()
    return found


def tensors(rank):
    """Tensors of the first process, one of them not contiguous."""
    filled = [torch.full((2,), float(rank)), torch.arange(4).reshape(2, 2).T + rank, torch.tensor([rank == 0])]
    synchronize(filled)
    return [tensor.tolist() for tensor in filled]


def statistics(rank):
    """The running mean of a network that saw other images in each process."""
    network = torch.nn.BatchNorm1d(2)
    network.running_mean += rank
    copy_weights(network, network)
    return network.running_mean.tolist()


def late(rank):
    """What a process says that waits in vain."""
    if rank:
        time.sleep(60 * TIMEOUT_MINUTES + 3)
        return None
    with coordination.named_losses():
        return coordination.everywhere(rank)


def main(rank, port, folder):
    """Take part as that rank."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    this_process(TIMEOUT_MINUTES)
    results = cases(rank, folder) | {"late": said(late, rank)}
    (folder / "fetched").unlink(missing_ok=True)
    (folder / f"{rank}.json").write_text(json.dumps(results))
    leave_processes()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
