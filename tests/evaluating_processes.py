"""An evaluation over the processes of torch.distributed: run as a program, this file is one of them.

Usage: evaluating_processes.py RANK PROCESSES FOLDER; writes FOLDER/RANK.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from strategies import seeded_codes

QUERIES, ITEMS = 9, 61
CUTS = {1: [], 2: [20], 3: [0, 33]}
"""Where the parts of so many processes begin; of three the first is empty."""


def labels_of(items, *, multi, seed):
    random = np.random.default_rng(seed)
    return (random.random((items, 6)) < 0.3).astype(np.uint8) if multi else random.integers(0, 4, items)


def sides(*, multi=False):
    """Codes of queries and of the database, and their labels."""
    codes = seeded_codes(1, QUERIES, 16), seeded_codes(2, ITEMS, 16)
    return *codes, labels_of(QUERIES, multi=multi, seed=3), labels_of(ITEMS, multi=multi, seed=4)


def cases():
    """Name -> (arguments of all items, k, options)."""
    random = np.random.default_rng(5)
    made = {}
    for multi in (False, True):
        for k in (1, 10, None):
            made |= {
                f"multi {multi}, k {k}, {normalizer}": (sides(multi=multi), k, {"normalizer": normalizer})
                for normalizer in ("retrieved", "relevant", "min")
            }
    several = [random.integers(-1, ITEMS, 3) for _ in range(QUERIES)]
    _, codes, _, labels = sides()
    return made | {
        "mask": (sides(), 10, {"mask": random.random(ITEMS) < 0.6}),
        "mask of each query": (sides(multi=True), 10, {"mask": random.random((QUERIES, ITEMS)) < 0.6}),
        "exclude": (sides(multi=True), 10, {"exclude": several}),
        "exclude and mask": (sides(), None, {"exclude": several, "mask": random.random(ITEMS) < 0.6}),
        "exclude self": ((codes, codes, labels, labels), 10, {"exclude": "self"}),
        "one in two is allowed": (sides(), 10, {"mask": np.arange(ITEMS) < ITEMS // 2}),
    }


def mistakes(rank):
    """Name -> (arguments of all items, k, options), wrong everywhere or at the last rank alone."""
    queries, codes, labels, db_labels = sides()
    last = bool(rank)
    return {
        "queries": ((queries ^ np.uint8(last), codes, labels, db_labels), 5, {}),
        "labels of queries": ((queries, codes, labels + last, db_labels), 5, {}),
        "k": (sides(), 5 + last, {}),
        "normalizer": (sides(), 5, {"normalizer": "min" if last else "relevant"}),
        "exclude": (sides(), 5, {"exclude": np.full(QUERIES, int(last))}),
        "no exclude": (sides(), 5, {"exclude": np.full(QUERIES, 3) if last else None}),
        "dtype at one": ((queries, codes.astype(np.float32) if last else codes, labels, db_labels), 5, {}),
        "threads at one": (sides(), 5, {"threads": 0 if last else 1}),
        "values of labels at one": ((*sides(multi=True)[:3], sides(multi=True)[3] * (1 + 2 * last)), 5, {}),
        "bits": (sides(), 5, {"bits": 9}),
        "k below 1": (sides(), 0, {}),
        "unknown normalizer": (sides(), 5, {"normalizer": "max"}),
        "exclude beyond": (sides(), 5, {"exclude": np.full(QUERIES, ITEMS)}),
        "nothing is allowed": (sides(), 5, {"mask": np.zeros(ITEMS, dtype=bool)}),
        "no codes": ((queries, codes[:0], labels, db_labels[:0]), 5, {}),
    }


def part_of(case, rank, processes):
    """The arguments of one process."""
    (queries, codes, labels, db_labels), k, options = case
    cuts = np.minimum([0, *CUTS[processes], ITEMS], len(codes))
    mine = slice(cuts[rank], cuts[rank + 1])
    own = dict(options)
    if "mask" in own:
        own["mask"] = own["mask"][..., mine]
    return (queries, codes[mine], labels, db_labels[mine], k), own


def main(rank, processes, folder):
    """Evaluate all cases as one of the processes."""
    from torch import distributed

    from vtsearch.scale.distributed import evaluate

    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=processes)
    found, errors = {}, {}
    for name, case in cases().items():
        arguments, options = part_of(case, rank, processes)
        found[name] = evaluate(*arguments, **options).to_dict()
    for name, case in mistakes(rank == processes - 1).items():
        arguments, options = part_of(case, rank, processes)
        try:
            evaluate(*arguments, **options)
        except Exception as error:  # noqa: BLE001 (told to the test)
            errors[name] = f"{type(error).__name__}: {error}"
    with Path(folder, f"{rank}.json").open("w") as file:
        json.dump([found, errors], file)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
