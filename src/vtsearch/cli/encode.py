"""``vtsearch encode``: images through a model into an index."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import EncodingReport, show_remarks
from vtsearch.data.selection import Part, select_images

if TYPE_CHECKING:
    from argparse import Namespace

    from vtsearch.data.selection import ImageSelection
    from vtsearch.encoding import Encoder
    from vtsearch.encoding.chunked_encoding import SavePolicy

EXAMPLE = """  vtsearch encode --model runs/cifar/final --output codes/database cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/query --part query cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday --watch 60
  vtsearch encode --model runs/cifar/final --output codes/shards shards/*.tar"""
DESCRIPTION = """Turn images into an index of binary codes, or bring an index to the state of its images.

Codes are saved as they are computed: after a kill or Ctrl-C the same command continues. Images that cannot be read
are left out; `vtsearch info INDEX` lists them with the reasons. Exit code 2 if none can be read.

Where the output is an index of these images, new and changed ones are encoded, and those that are gone are removed.
A file that was renamed keeps its code; a URL is not fetched again."""

LONGEST_PAUSE = 86_400
"""Seconds between two looks at the images."""

PRECISION = Literal["auto", "bf16", "fp32"]  # as encoding.Precision, without torch: help is quick


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("encode", DESCRIPTION, EXAMPLE)
    command.add_argument(
        "images",
        nargs="+",
        help="a protocol's name, a folder (one subfolder per class, or none), a list (.txt, .csv, .parquet), images, "
        "tar files of images (webdataset), Parquet files of images (Hugging Face), or URLs",
    )
    command.add_argument("--model", required=True, help="model folder that made or will make the codes")
    command.add_argument("--output", required=True, help="folder of the new index")
    command.add_argument("--part", type=Part, default="database", help="part of a protocol")
    command.add_argument("--data", help="folder of a protocol's data set, or of a list's images")
    command.add_argument("--seed", type=int, default=0, help="seed of a protocol's split")
    command.add_argument("--split", help="split.json of a run, instead of drawing the split")
    command.add_argument("--strip_prefix", help="beginning to remove from the paths in lists and tables")
    command.add_argument("--batch_size", type=int, default=128, help="images at a time")
    command.add_argument("--device", help="cpu, cuda, ...; by default a GPU if there is one")
    command.add_argument(
        "--precision",
        type=PRECISION,
        default="auto",
        help="arithmetic; auto is bf16 where the device has it, else fp32",
    )
    command.add_argument("--save_images", type=int, default=10_000, help="save the codes after so many images")
    command.add_argument("--save_seconds", type=float, default=30.0, help="or after so many seconds, if that is sooner")
    command.add_argument(
        "--strict", action="store_true", help="stop at the first image that cannot be read, with exit code 2"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the index that --output already is")
    command.add_argument("--keep-missing", action="store_true", help="leave images in the index that are gone")
    command.add_argument("--watch", type=float, metavar="SECONDS", help="look for changes every so often, until Ctrl-C")
    command.add_argument("--workers", type=int, help="processes that read images; by default none without a GPU")
    return command


def run(argv: list[str]) -> int:
    """Encode or update; prints one line about the index."""
    args = parser().parse_args(argv)
    if args.watch is not None and not 0 < args.watch <= LONGEST_PAUSE:
        raise ValueError(f"watch: expected seconds above 0 and up to {LONGEST_PAUSE:,}, got {args.watch}")
    from vtsearch.encoding.chunked_encoding import SavePolicy
    from vtsearch.encoding.output import check_output, is_index

    output, save = Path(args.output), SavePolicy(args.save_images, args.save_seconds)
    exists = is_index(output) and not args.overwrite
    check_output(output, overwrite=args.overwrite or exists)
    images = _images(args)
    show_remarks("encode", images.remarks)
    from vtsearch.encoding import Encoder

    encoder = Encoder(
        args.model, device=args.device, precision=args.precision, batch_size=args.batch_size, workers=args.workers
    )
    if exists:
        _update(args, encoder, images, save)
    else:
        _encode(args, encoder, images, save)
    while args.watch is not None:
        pause(args.watch)
        _update(args, encoder, _images(args), save, quietly=True)
    return 0


def pause(seconds: float) -> None:
    """Wait until the next look at the images."""
    time.sleep(seconds)


def _images(args: Namespace) -> ImageSelection:
    return select_images(
        args.images,
        part=args.part,
        data=args.data,
        seed=args.seed,
        split=args.split,
        strip_prefix=args.strip_prefix or "",
    )


def _encode(args: Namespace, encoder: Encoder, images: ImageSelection, save: SavePolicy) -> None:
    """A new index."""
    from vtsearch.encoding.shard import encode_shard

    description = {"model": str(Path(args.model).absolute()), "backbone": encoder.model.config.backbone}
    with EncodingReport() as progress:
        encoded = encode_shard(
            encoder,
            images,
            Path(args.output),
            overwrite=args.overwrite,
            strict=args.strict,
            save=save,
            description=description,
            progress=progress,
        )
    print(f"{progress.images_per_second:,.0f} images/s", file=sys.stderr)
    _warn_of_skipped(args, encoded.skipped, len(images.positions))
    made_by = f"model {encoder.model.fingerprint()[:12]}, {encoder.arithmetic}"
    print(f"{args.output}: {encoded.items:,} codes of {encoder.bits} bits, {made_by}", flush=True)


def _update(
    args: Namespace, encoder: Encoder, images: ImageSelection, save: SavePolicy, *, quietly: bool = False
) -> None:
    """The index as its images are now; quietly, nothing is printed where nothing has changed."""
    from vtsearch.encoding.update import update_index

    with EncodingReport() as progress:
        update = update_index(
            encoder,
            images,
            Path(args.output),
            keep_missing=args.keep_missing,
            strict=args.strict,
            save=save,
            progress=progress,
        )
    if quietly and update.is_idle:
        return
    _warn_of_skipped(args, update.skipped, len(images.positions))
    numbers = update._asdict()
    del numbers["skipped"]
    print(f"{args.output}: {', '.join(f'{number:,} {name}' for name, number in numbers.items())}", flush=True)


def _warn_of_skipped(args: Namespace, skipped: int, images: int) -> None:
    if skipped:
        print(
            f"vtsearch encode: {skipped:,} of {images:,} images could not be read and are not "
            f"in the index; `vtsearch info {args.output}` lists them",
            file=sys.stderr,
        )
