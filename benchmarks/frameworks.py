"""What every framework learns in a minute or two: mAP trained and untrained, of all frameworks at three lengths.

    python benchmarks/frameworks.py --frameworks csq,dpn --bits 16,64
    VTSEARCH_DATA=... python benchmarks/frameworks.py --weights vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors

On scikit-learn's digits: a Vision Transformer of 0.3 million random weights, one recipe for all, each framework with
its default options. With pretrained weights, on 1,200 images of CIFAR-10: ViT-Ti/16 at 64 pixels, `modern` but for
batch normalization at the head's end, which both have: with so few steps, some frameworks give all images one code
without it.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from vtsearch.data import open_dataset
from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import ModelConfig
from vtsearch.training.config import OptimizerConfig, TrainConfig
from vtsearch.training.loop import train
from vtsearch.training.presets import preset

QUERIES, DATABASE = 20, 100
"""Of each of CIFAR-10's ten classes; the whole database is trained on."""


def on_digits(framework: str, bits: int, *, epochs: int, seed: int) -> TrainConfig:
    return TrainConfig(
        model=ModelConfig(
            backbone="test_vit", bits=bits, head="tokens", head_norm="batch", image_size=32, pretrained=False
        ),
        framework=framework,
        options=framework_class(framework).Options(),
        protocol="digits",
        augment="none",
        optimizer=OptimizerConfig(lr=2e-3),
        epochs=epochs,
        batch_size=32,
        seed=seed,
        precision="fp32",
    )


def on_cifar(framework: str, bits: int, *, epochs: int, seed: int, folder: Path, weights: str) -> TrainConfig:
    config = preset("modern", framework, str(folder))
    model = replace(config.model, bits=bits, head_norm="batch", image_size=64, weights=weights)
    return replace(config, model=model, epochs=epochs, batch_size=32, seed=seed, validation=0.0, evaluate_every=0)


def write_subset(folder: Path) -> None:
    """Images of CIFAR-10 and a manifest that says which are queries."""
    source = open_dataset("cifar10@54000").source
    lines = []
    for number, name in enumerate(source.classes):
        chosen = np.flatnonzero(source.labels == number)[: QUERIES + DATABASE]
        for place, position in enumerate(chosen.tolist()):
            file = f"{name} {place:03}.png"
            source.load(position).save(folder / file)
            lines.append((file, name, "query" if place < QUERIES else "train+database"))
    with (folder / "manifest.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("path", "label", "split"), *lines])


def measure(config: TrainConfig) -> tuple[float, float, float]:
    """mAP of the trained and of the untrained model, and seconds of training."""
    with tempfile.TemporaryDirectory() as folder:
        result = train(config, folder)
    return result.final["expected"], result.baselines["untrained model"]["expected"], result.seconds


def main() -> None:
    """Train what was asked for and print the table, a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frameworks", default=",".join(FRAMEWORKS), help="names, with commas; by default all")
    parser.add_argument("--bits", default="16,32,64", help="lengths of the codes, with commas")
    parser.add_argument("--epochs", type=int, help="by default 15 of digits and 8 of CIFAR-10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", help="a file with the weights of ViT-Ti/16: train it on images of CIFAR-10")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lengths = [int(bits) for bits in asked.bits.split(",")]
    epochs = asked.epochs or (8 if asked.weights else 15)
    print(f"mAP, trained / untrained; {epochs} epochs, seed {asked.seed}, one thread")
    print()
    print("| framework |" + "".join(f" {bits} bits |" for bits in lengths) + " seconds, at most |")
    print("| --- |" + " --- |" * len(lengths) + " --- |")
    with tempfile.TemporaryDirectory() as place:
        recipe = on_digits
        if asked.weights:
            write_subset(Path(place))
            recipe = partial(on_cifar, folder=Path(place), weights=asked.weights)
        for name in asked.frameworks.split(","):
            found = [measure(recipe(name, bits, epochs=epochs, seed=asked.seed)) for bits in lengths]
            cells = [f"{trained:.3f} / {untrained:.3f}" for trained, untrained, _ in found]
            longest = max(seconds for _, _, seconds in found)
            print(f"| {framework_class(name).__name__} | {' | '.join(cells)} | {longest:.0f} |", flush=True)


if __name__ == "__main__":
    main()
