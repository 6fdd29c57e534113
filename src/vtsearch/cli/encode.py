"""``vtsearch encode``: images through a model into an index."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from vtsearch.cli.output import check_output_folder
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import counting
from vtsearch.data.locate import Part, select_images

EXAMPLE = """  vtsearch encode --model runs/cifar/final --output codes/database cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/query --part query cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday"""

PRECISION = Literal["auto", "bf16", "fp32"]  # as encoding.Precision, without torch: help is quick


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("encode", "Turn images into an index of binary codes.", EXAMPLE)
    command.add_argument(
        "images",
        nargs="+",
        help="a protocol's name, a folder (one subfolder per class, or none), a list (.txt, .csv, .parquet), or images",
    )
    command.add_argument("--model", required=True, help="model folder that made or will make the codes")
    command.add_argument("--output", required=True, help="folder of the new index")
    command.add_argument("--part", type=Part, default="database", help="part of a protocol")
    command.add_argument("--data", help="folder of a protocol's data set, or of a list's images")
    command.add_argument("--seed", type=int, default=0, help="seed of a protocol's split")
    command.add_argument("--split", help="split.json of a run, instead of drawing the split")
    command.add_argument("--batch_size", type=int, default=128, help="images at a time")
    command.add_argument("--device", help="cpu, cuda, ...; by default a GPU if there is one")
    command.add_argument(
        "--precision",
        type=PRECISION,
        default="auto",
        help="arithmetic; auto is bf16 where the device has it, else fp32",
    )
    command.add_argument("--overwrite", action="store_true", help="replace the index that --output already is")
    return command


def run(argv: list[str]) -> int:
    """Encode; prints one line about the new index."""
    args = parser().parse_args(argv)
    from vtsearch.encoding.shard import encode_shard, refuse_existing

    check_output_folder("output", args.output)
    output = Path(args.output)
    refuse_existing(output, overwrite=args.overwrite)
    images = select_images(args.images, part=args.part, data=args.data, seed=args.seed, split=args.split)
    from vtsearch.encoding import Encoder

    encoder = Encoder(args.model, device=args.device, precision=args.precision, batch_size=args.batch_size)
    description = {"model": str(Path(args.model).absolute()), "backbone": encoder.model.config.backbone}
    began = time.monotonic()
    with counting("encoding", len(images.positions)) as progress:
        count = encode_shard(encoder, images, output, description=description, progress=progress)
    speed = count / max(time.monotonic() - began, 1e-9)
    print(f"{speed:,.0f} images/s", file=sys.stderr)
    made_by = f"model {encoder.model.fingerprint()[:12]}, {encoder.arithmetic}"
    print(f"{output}: {count:,} codes of {encoder.bits} bits, {made_by}")
    return 0
