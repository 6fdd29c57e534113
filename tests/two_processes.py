"""A batch split over two processes, and the same batch in one: run as a program, this file is one of the two.

Usage: two_processes.py RANK FOLDER; writes FOLDER/RANK.pt.
"""

from __future__ import annotations

import sys

import torch
from framework_calls import loss_of
from torch import distributed

from vtsearch.frameworks import FRAMEWORKS, framework_class

BITS, CLASSES, IMAGES = 8, 4, 12
ROWS = 8
# rows of the first process; the second has the others
EVEN = [0, 1, 2, 3]
UNEVEN = [0, 1, 2, 3, 4]
CROSSED = [0, 1, 4, 5]  # so that the first halves of both are the first half of the batch

PAIRWISE = ("dbdh", "dch", "dfh", "dhn", "dpsh", "dsdh", "dsh", "hashnet", "idhn")
"""Frameworks of pairs, which reduce over all processes; the others average what each process has."""

DRAWING = ("cibhash",)
"""Frameworks whose defaults draw codes, in each process others."""


def cases():
    """Name -> (framework, options, rows of the first process)."""
    made = {}
    for name in FRAMEWORKS:
        options = framework_class(name).Options
        if name not in DRAWING:
            made[f"{name} defaults"] = (name, options(), EVEN)
        made[f"{name} published"] = (name, options.published(), EVEN)
    for name in PAIRWISE:
        options = framework_class(name).Options
        made |= {
            f"{name} {pairs} uneven": (name, options(pairs=pairs), UNEVEN) for pairs in ("bank", "batch", "distinct")
        }
        made[f"{name} halves"] = (name, options(pairs="halves"), CROSSED)
    for name in sorted(set(PAIRWISE) - {"hashnet"}):
        options = framework_class(name).Options
        made |= {f"{name} {weights}": (name, options(weights=weights), UNEVEN) for weights in ("balanced", "similar")}
    made["bihalf uneven"] = ("bihalf", framework_class("bihalf").Options(), UNEVEN)
    made["cibhash uneven"] = ("cibhash", framework_class("cibhash").Options.published(), UNEVEN)
    made["crovca uneven"] = ("crovca", framework_class("crovca").Options(), UNEVEN)
    made["dtsh uneven"] = ("dtsh", framework_class("dtsh").Options(), UNEVEN)
    made["hyp2 uneven"] = ("hyp2", framework_class("hyp2").Options(), UNEVEN)
    made["adsh uneven"] = ("adsh", framework_class("adsh").Options(), UNEVEN)
    made["hashnet weight 3"] = ("hashnet", framework_class("hashnet").Options(positive_weight=3.0), UNEVEN)
    return made


def steps(framework, part):
    """Losses, and gradients by features and parameters, of two batches of which this process has some rows."""
    framework = framework.double()
    random = torch.Generator().manual_seed(5)
    results = []
    for _ in range(2):
        features = torch.randn(ROWS, BITS, generator=random, dtype=torch.float64)
        labels = torch.randint(2, (ROWS, CLASSES), generator=random)
        labels[labels.sum(dim=1) == CLASSES, 0] = 0
        positions = torch.randperm(IMAGES, generator=random)[:ROWS]
        mine = features[part].requires_grad_()
        framework.zero_grad()
        loss = loss_of(framework, mine, labels[part], positions[part])
        loss.backward()
        results.append((loss.detach(), mine.grad, [parameter.grad.clone() for parameter in framework.parameters()]))
    return results


def rows_of(case):
    """The rows of either process."""
    return case[2], [row for row in range(ROWS) if row not in case[2]]


def build(case):
    """The framework of a case."""
    name, options, _ = case
    framework = framework_class(name)(BITS, CLASSES, IMAGES, options)
    framework.set_train_labels(torch.arange(IMAGES) % CLASSES)
    framework.start_epoch(0)
    return framework


def main(rank, folder):
    """Run all cases as one of two processes."""
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = {}
    for name, case in cases().items():
        results[name] = steps(build(case), rows_of(case)[rank])
    torch.save(results, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
