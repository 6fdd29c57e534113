"""What every framework learns in about ten seconds: mAP on scikit-learn's digits, trained and untrained.

A Vision Transformer of 0.3 million random weights, one recipe for all, each framework with its default options.

    python benchmarks/frameworks.py --frameworks csq,dpn --bits 16,64
"""

from __future__ import annotations

import argparse
import tempfile

import torch

from vtsearch.frameworks import FRAMEWORKS, framework_class
from vtsearch.models import ModelConfig
from vtsearch.training.config import OptimizerConfig, TrainConfig
from vtsearch.training.loop import train


def recipe(framework: str, bits: int, *, epochs: int, seed: int) -> TrainConfig:
    """The run behind one cell of the table."""
    return TrainConfig(
        # From random weights DFH, DHN, DPSH and IDHN first give all images one code and stay there, unless each bit is
        # balanced over the batch.
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
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    lengths = [int(bits) for bits in asked.bits.split(",")]
    print(f"mAP, trained / untrained; {asked.epochs} epochs, seed {asked.seed}, one thread")
    print()
    print("| framework |" + "".join(f" {bits} bits |" for bits in lengths) + " seconds, at most |")
    print("| --- |" + " --- |" * len(lengths) + " --- |")
    for name in asked.frameworks.split(","):
        found = [measure(recipe(name, bits, epochs=asked.epochs, seed=asked.seed)) for bits in lengths]
        cells = [f"{trained:.3f} / {untrained:.3f}" for trained, untrained, _ in found]
        longest = max(seconds for _, _, seconds in found)
        print(f"| {framework_class(name).__name__} | {' | '.join(cells)} | {longest:.0f} |", flush=True)


if __name__ == "__main__":
    main()
