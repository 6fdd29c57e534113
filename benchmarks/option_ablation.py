"""What it costs to do as the published code does: mAP with our defaults and with one departure at a time.

    python benchmarks/option_ablation.py --seeds 0,1,2
    python benchmarks/option_ablation.py --images FOLDER --weights vit_tiny.safetensors
    python benchmarks/option_ablation.py --codes FOLDER

The first trains the network of `frameworks.py` on scikit-learn's digits, which have one label each. The second trains
a pretrained ViT-Ti/16 at 96 pixels on photographs with several labels (a folder with query.txt, database.txt and
train.txt). The third trains nothing: it evaluates the features of the CSQ repository as evaluation scripts do.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import frameworks
import numpy as np
import torch

from vtsearch import average_precision, mean_average_precision, pack
from vtsearch.frameworks import framework_class
from vtsearch.training.loop import train
from vtsearch.training.presets import preset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vtsearch.training.config import TrainConfig

Departure = tuple[str, dict[str, Any]]
"""A framework, and options of it or fields of the model."""

BITS = 16

ON_DIGITS: list[Departure] = [
    ("csq", {"form": "published"}),
    ("dpn", {"ternary": True}),
    ("dpn", {"centers": "balanced"}),
    ("dsh", {"regularizer": "published"}),
    ("dsh", {"unseen": "dissimilar"}),
    ("greedyhash", {"classifier": "frozen"}),
    ("hashnet", {"continuation": 0}),
    ("hashnet", {"unseen": "dissimilar"}),
    ("idhn", {"scale": 0.5}),
    ("idhn", {"unseen": "dissimilar"}),
]

ON_PHOTOGRAPHS: list[Departure] = [
    ("csq", {"multi_label": "first"}),
    ("dpn", {"multi_label": "first"}),
    ("greedyhash", {"multi_label": "first"}),
    ("idhn", {"soft": "published", "scale": 0.5}),
]
ANY_FRAMEWORK: list[dict[str, Any]] = [{"head_init": "published"}, {"preprocessing": "published"}]
"""Departures of the model, tried with CSQ."""


def words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="whole numbers, with commas")
    parser.add_argument("--epochs", type=int, help="by default 15 of digits and 4 of photographs")
    parser.add_argument("--images", help="a folder of photographs with several labels each")
    parser.add_argument("--weights", help="a file with the weights of ViT-Ti/16, for the photographs")
    parser.add_argument("--codes", help="the folder of CSQ's published features")
    return parser.parse_args()


# ---------------------------------------------------------------------------------------------------------------------
# Training


def on_digits(framework: str, epochs: int) -> TrainConfig:
    return replace(frameworks.on_digits(framework, BITS, epochs=epochs, seed=0), baselines=False)


def on_photographs(framework: str, epochs: int, given: argparse.Namespace) -> TrainConfig:
    config = preset("modern", framework, given.images)
    model = replace(config.model, head="cls", image_size=96, weights=given.weights)
    return replace(config, model=model, batch_size=16, epochs=epochs, baselines=False)


def departed(config: TrainConfig, change: dict[str, Any]) -> TrainConfig:
    """The run with options of its framework or fields of its model changed."""
    if change.keys() <= vars(config.options).keys():
        return replace(config, options=replace(config.options, **change))
    return replace(config, model=replace(config.model, **change))


def train_all(base: Callable[[str], TrainConfig], departures: list[Departure], seeds: list[int]) -> None:
    print("| framework | as published | mAP | with the defaults |")
    print("| --- | --- | --- | --- |")
    known: dict[str, str] = {}
    for framework, change in departures:
        config = base(framework)
        if framework not in known:
            known[framework] = scores(config, seeds)
        told = ", ".join(f"`{name}={value}`" for name, value in change.items())
        found = scores(departed(config, change), seeds)
        print(f"| {framework_class(framework).__name__} | {told} | {found} | {known[framework]} |", flush=True)


def scores(config: TrainConfig, seeds: list[int]) -> str:
    """Mean and sample deviation over the seeds."""
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            found.append(train(replace(config, seed=seed), Path(folder) / "run").final["expected"])
    return f"{mean(found):.3f}" + (f" ± {stdev(found):.3f}" if len(found) > 1 else "")


# ---------------------------------------------------------------------------------------------------------------------
# Evaluation


def row(what: str, cells: Iterable[str]) -> None:
    print(f"| {what} | {' | '.join(cells)} |")


def evaluate_all(folder: Path) -> None:
    features, labels = (
        [np.load(folder / f"{side}_{what}.npy") for side in ("query", "database")] for what in ("features", "labels")
    )
    codes = [pack(side) for side in features]
    random = np.random.default_rng(0)

    def by_index(k: int | None, order: np.ndarray) -> float:
        return mean_average_precision(codes[0], codes[1][order], labels[0], labels[1][order], k, ties="index")

    print("| evaluation | mAP@100 | mAP@all |")
    print("| --- | --- | --- |")
    everything = np.arange(len(codes[1]))
    cuts = (100, None)
    for ties in ("expected", "worst", "best", "index"):
        found = [mean_average_precision(*codes, *labels, k, ties=ties) for k in cuts]
        row(f"`ties={ties}`", (f"{value:.4f}" for value in found))
    orders = [random.permutation(everything) for _ in range(20)]
    shuffled = [[by_index(k, order) for order in orders] for k in cuts]
    row("stable sort, database in 20 orders", (f"{min(values):.4f} to {max(values):.4f}" for values in shuffled))
    row("numpy's default sort on this processor", (f"{unstable(features, labels, k):.4f}" for k in cuts))
    row("the last item dropped (k = -1)", ("-", f"{by_index(len(everything) - 1, everything):.4f}"))
    found = [average_precision(*codes, *labels, k, ties="index") for k in cuts]
    row("queries that find nothing left out", (f"{np.mean(ap[ap > 0]):.4f}" for ap in found))
    zeros = sum(int((side == 0).sum()) for side in features)
    print(f"\nFeatures that are exactly 0, whose sign is neither: {zeros} of {sum(side.size for side in features):,}.")


def unstable(features: list[np.ndarray], labels: list[np.ndarray], k: int | None) -> float:
    """mAP by the loop that evaluation scripts share: signs, products, and whatever order the sort leaves ties in."""
    query, database = (np.sign(side) for side in features)
    precisions = []
    for code, label in zip(query, labels[0], strict=True):
        order = np.argsort((query.shape[1] - database @ code) / 2)[:k]
        places = np.flatnonzero(labels[1][order] == label) + 1
        precisions.append(np.mean(np.arange(1, len(places) + 1) / places) if len(places) else 0.0)
    return float(np.mean(precisions))


def main() -> None:
    given = words()
    torch.set_num_threads(1)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    if given.codes:
        evaluate_all(Path(given.codes))
    elif given.images:
        by_model = [("csq", change) for change in ANY_FRAMEWORK]
        train_all(lambda name: on_photographs(name, given.epochs or 4, given), ON_PHOTOGRAPHS + by_model, seeds)
    else:
        train_all(lambda name: on_digits(name, given.epochs or 15), ON_DIGITS, seeds)


if __name__ == "__main__":
    main()
