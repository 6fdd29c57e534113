"""``vtsearch demo``: from images to a report, on the digits bundled with scikit-learn."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.evaluation import map_name
from vtsearch.index import Index

if TYPE_CHECKING:
    from vtsearch.training.config import TrainConfig
    from vtsearch.training.result import RunResult

EXAMPLE = """  vtsearch demo
  vtsearch demo --output /tmp/digits --bits 16"""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser(
        "demo", "Train a small model on handwritten digits, encode, evaluate, and draw the nearest images.", EXAMPLE
    )
    command.add_argument("--output", default="demo", help="folder of the run; an existing run is continued")
    command.add_argument("--bits", type=int, default=32, help="length of the codes")
    command.add_argument("--epochs", type=int, default=15, help="passes over the 500 training images")
    command.add_argument(
        "--seed", type=int, default=0, help="seed of the split, the initial weights and the order of images"
    )
    command.add_argument("--json", action="store_true", help="print the result as JSON")
    return command


def run(argv: list[str]) -> int:
    """Train; prints the mAP with its baselines, the paths of the results, and commands to try next."""
    args = parser().parse_args(argv)
    check_output_folder("output", args.output)
    from vtsearch.training import run_folder
    from vtsearch.training.loop import train

    output, config = Path(args.output), _config(args.bits, args.epochs, args.seed)
    run_folder.check(output, config, resume=True)
    print("training a tiny Vision Transformer from random weights on 500 digits ...", file=sys.stderr)
    result = train(
        config,
        output,
        resume=True,
        progress=sys.stderr if sys.stderr.isatty() else None,
    )
    if args.json:
        print(json_text({"run": str(output), **asdict(result)}))
    else:
        print("\n".join([*_scores(result), "", *_places(output), "", *_next(output)]))
    return 0


def _config(bits: int, epochs: int, seed: int) -> TrainConfig:
    from vtsearch.models import ModelConfig
    from vtsearch.training.config import OptimizerConfig, TrainConfig

    return TrainConfig(
        model=ModelConfig(backbone="vit_tiny_patch16_224", bits=bits, image_size=32, pretrained=False),
        framework="csq",
        protocol="digits",
        augment="none",  # a mirrored digit is not that digit
        optimizer=OptimizerConfig(lr=5e-4),
        epochs=epochs,
        batch_size=32,
        seed=seed,
    )


def _scores(result: RunResult) -> list[str]:
    rows = {"trained model": result.final, **result.baselines}
    return [
        f"{'':<18}{map_name(result.k)}  between, by order of ties",
        *(f"{name:<18}{row['expected']:.4f}   {row['worst']:.4f} and {row['best']:.4f}" for name, row in rows.items()),
        "protocol digits, ties expected, normalizer retrieved",
        f"trained {result.epochs} epochs in {result.seconds:.0f} s",
    ]


def _places(output: Path) -> list[str]:
    places = {
        "report": "report.html",
        "answers": "retrievals.png",
        "curves": "pr_curve.png",
        "model": "final",
        "codes": "codes/database",
    }
    return [f"{name:<9}{output / place}" for name, place in places.items()]


def _next(output: Path) -> list[str]:
    codes = output / "codes"
    with Index.open(codes / "database") as index:
        item = index.ids()[10]
    return [
        "try next",
        f"  vtsearch search {item} --index {codes / 'database'} --picture {output / 'answers.png'}",
        f"  vtsearch evaluate --queries {codes / 'query'} --database {codes / 'database'} -k 100",
        f"  vtsearch info {output / 'final'}",
        "  vtsearch train --protocol cifar10@54000 --framework hashnet --bits 64",
    ]
