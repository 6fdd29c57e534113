"""``vtsearch encode``: images through a model into an index."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vtsearch._atomic_io import write_file
from vtsearch._validate import whole_number
from vtsearch.cli.cluster import add_ray_argument, add_worker_argument, own_device, worker_of
from vtsearch.cli.output import check_output_file
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import EncodingReport, show_remarks
from vtsearch.data.selection import Part, select_images
from vtsearch.data.skipped import skipped_images
from vtsearch.exchange.hub import locate_model
from vtsearch.index import Index

if TYPE_CHECKING:
    from argparse import Namespace

    from vtsearch.cli.cluster import Worker
    from vtsearch.data.selection import ImageSelection
    from vtsearch.encoding import Encoder
    from vtsearch.encoding.chunked_encoding import SavePolicy
    from vtsearch.encoding.shard import EncodedShard
    from vtsearch.scale.encoding import RayEncoder

EXAMPLE = """  vtsearch encode --model runs/cifar/final --output codes/database cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/query --part query cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday --watch 60
  vtsearch encode --model runs/cifar/final --output codes/shards shards/*.tar
  vtsearch encode --model runs/cifar/final --output codes/shards shards --ray head:6379
  torchrun --nproc-per-node 8 -m vtsearch encode --model runs/cifar/final --output codes/shards shards"""
DESCRIPTION = """Turn images into an index of binary codes, or bring an index to the state of its images.

Codes are saved as they are computed: after a kill or Ctrl-C the same command continues. Images that cannot be read
are left out; `vtsearch info INDEX` lists them with the reasons. Exit code 2 if none can be read.

Where the output is an index of these images, new and changed ones are encoded, and those that are gone are removed.
A file that was renamed keeps its code; a URL is not fetched again.

Processes that torchrun starts, or --worker numbers, encode a new index together (docs/scale.md)."""

MOST_PROCESSES = 65_536
"""Of one stage of an encoding."""

LONGEST_PAUSE = 86_400
"""Seconds between two looks at the images."""

PRECISION = Literal["auto", "bf16", "fp16", "fp32"]  # as encoding.Precision, without torch: help is quick


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("encode", DESCRIPTION, EXAMPLE)
    command.add_argument(
        "images",
        nargs="+",
        help="a protocol's name, a folder (one subfolder per class, or none), a list (.txt, .csv, .parquet), images, "
        "tar files of images (webdataset), Parquet files of images (Hugging Face), or URLs",
    )
    command.add_argument(
        "--model",
        required=True,
        help="model folder that made or will make the codes, or user/name of the Hugging Face hub",
    )
    command.add_argument("--output", required=True, help="folder of the new index")
    command.add_argument("--part", type=Part, default="database", help="part of a protocol")
    command.add_argument("--data", help="folder of a protocol's data set, or of a list's images")
    command.add_argument("--seed", type=int, default=0, help="seed of a protocol's split")
    command.add_argument("--split", help="split.json of a run, instead of drawing the split")
    command.add_argument("--strip_prefix", help="beginning to remove from the paths in lists and tables")
    add_encoder_arguments(command)
    command.add_argument("--save_images", type=int, default=10_000, help="save the codes after so many images")
    command.add_argument("--save_seconds", type=float, default=30.0, help="or after so many seconds, if that is sooner")
    command.add_argument(
        "--strict", action="store_true", help="stop at the first image that cannot be read, with exit code 2"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the index that --output already is")
    command.add_argument("--keep-missing", action="store_true", help="leave images in the index that are gone")
    command.add_argument("--watch", type=float, metavar="SECONDS", help="look for changes every so often, until Ctrl-C")
    command.add_argument("--failures", help="file of the images that could not be read: a line of JSON for each")
    add_worker_argument(command, "encode only a share of the images; the worker that finishes last writes the index")
    add_ray_argument(command, "read and encode images")
    command.add_argument("--decoders", type=int, help="with --ray: processes that read images; by default the CPUs")
    command.add_argument(
        "--models", type=int, help="with --ray: models that encode; by default one for each GPU, else half of the CPUs"
    )
    return command


def add_encoder_arguments(command: CommandParser) -> None:
    """The arguments of an encoder: how images are read, and where and in which arithmetic the model computes."""
    command.add_argument("--batch_size", type=int, default=128, help="images at a time")
    command.add_argument("--device", help="cpu, cuda, ...; by default a GPU if there is one")
    command.add_argument(
        "--precision",
        type=PRECISION,
        default="auto",
        help="arithmetic; auto is bf16 where the device has it, else fp32, which is faster there; fp16 needs a GPU",
    )
    command.add_argument("--workers", type=int, help="processes that read images; by default none without a GPU")


def run(argv: list[str]) -> int:
    """Encode or update; prints one line about the index."""
    args = parser().parse_args(argv)
    worker = worker_of(args.worker)
    _check(args, worker)
    from vtsearch.encoding.chunked_encoding import SavePolicy
    from vtsearch.encoding.output import check_output, is_index

    output, save = Path(args.output), SavePolicy(args.save_images, args.save_seconds)
    exists = is_index(output) and not args.overwrite
    if worker is None:  # otherwise others may be writing there
        check_output(output, overwrite=args.overwrite or exists)
    images = _images(args)
    if worker is None or worker.number == 0:
        show_remarks("encode", images.remarks)
    located = locate_model(args.model)
    args.model_address = located.address
    encoder = _encoder(args, located.folder, images)
    if worker is not None:
        _encode_share(args, encoder, images, save, worker)
    elif exists:
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


def _check(args: Namespace, worker: Worker | None) -> None:
    """Refuse arguments that do not go together.

    Raises:
        ValueError: naming one of them.
    """
    if args.watch is not None and not 0 < args.watch <= LONGEST_PAUSE:
        raise ValueError(f"watch: expected seconds above 0 and up to {LONGEST_PAUSE:,}, got {args.watch}")
    check_output_file("failures", args.failures)
    for name in ("decoders", "models"):
        number = getattr(args, name)
        if number is not None and args.ray is None:
            raise ValueError(f"{name}: expected --ray beside it, got none")
        if number is not None:
            whole_number(name, number, 1, MOST_PROCESSES)
    for name in ("ray", "watch", "keep_missing"):
        if worker is not None and getattr(args, name):
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{name}: expected no {flag} for worker {worker} of an encoding, got one")


def _encoder(args: Namespace, model: Path, images: ImageSelection) -> Encoder | RayEncoder:
    """The encoder, in this process or on a cluster."""
    if args.ray is None:
        from vtsearch.encoding import Encoder

        device = args.device or own_device()
        return Encoder(model, device=device, precision=args.precision, batch_size=args.batch_size, workers=args.workers)
    from vtsearch.scale.connection import connect
    from vtsearch.scale.encoding import RayEncoder

    connect(args.ray)
    encoder = RayEncoder(
        model,
        device=args.device,
        precision=args.precision,
        batch_size=args.batch_size,
        decoders=args.decoders,
        models=args.models,
        root=images.root,
    )
    show_remarks("encode", encoder.remarks)
    return encoder


def _encode(args: Namespace, encoder: Encoder | RayEncoder, images: ImageSelection, save: SavePolicy) -> None:
    """A new index."""
    from vtsearch.encoding.shard import encode_shard

    with EncodingReport() as progress:
        encoded = encode_shard(
            encoder,
            images,
            Path(args.output),
            overwrite=args.overwrite,
            strict=args.strict,
            save=save,
            description=_made_by(args, encoder),
            progress=progress,
        )
    _write_failures(args)
    print(progress.summary(), file=sys.stderr)
    _report(args, encoder, images, encoded)


def _encode_share(
    args: Namespace, encoder: Encoder | RayEncoder, images: ImageSelection, save: SavePolicy, worker: Worker
) -> None:
    """The share of a worker in a new index."""
    from vtsearch.encoding.share import encode_share

    with EncodingReport(f"worker {worker}: ") as progress:
        share = encode_share(
            encoder,
            images,
            Path(args.output),
            worker.pair,
            overwrite=args.overwrite,
            strict=args.strict,
            save=save,
            description=_made_by(args, encoder),
            progress=progress,
        )
    if share.index is not None:
        _write_failures(args)
    print(f"worker {worker}: {progress.summary()}", file=sys.stderr)
    if share.index is not None:
        _report(args, encoder, images, share.index)
        return
    left = {None: "others are at work; the last one writes the index", 0: f"{args.output} is complete"}
    what = left.get(share.missing, f"{share.missing or 0:,} images of other workers are missing: run these workers")
    print(f"worker {worker}: its {share.images:,} images are encoded; {what}", flush=True)


def _made_by(args: Namespace, encoder: Encoder | RayEncoder) -> dict[str, str]:
    """What the description of an index says of its model."""
    return {"model": args.model_address, "backbone": encoder.model.config.backbone}


def _report(args: Namespace, encoder: Encoder | RayEncoder, images: ImageSelection, encoded: EncodedShard) -> None:
    """Say what a new index has."""
    _warn_of_skipped(args, encoded.skipped, len(images.positions))
    made_by = f"model {encoder.model.fingerprint()[:12]}, {encoder.arithmetic}"
    print(f"{args.output}: {encoded.items:,} codes of {encoder.bits} bits, {made_by}", flush=True)


def _update(
    args: Namespace, encoder: Encoder | RayEncoder, images: ImageSelection, save: SavePolicy, *, quietly: bool = False
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
    _write_failures(args)
    _warn_of_skipped(args, update.skipped, len(images.positions))
    numbers = update._asdict()
    del numbers["skipped"]
    print(f"{args.output}: {', '.join(f'{number:,} {name}' for name, number in numbers.items())}", flush=True)


def _write_failures(args: Namespace) -> None:
    """Write the file of the images that could not be read, if one is wanted."""
    if args.failures is not None:
        with Index.open(args.output) as index:
            lines = [json.dumps(failure._asdict(), ensure_ascii=False) for failure in skipped_images(index)]
        write_file(Path(args.failures), "".join(f"{line}\n" for line in lines).encode())


def _warn_of_skipped(args: Namespace, skipped: int, images: int) -> None:
    if skipped:
        print(
            f"vtsearch encode: {skipped:,} of {images:,} images could not be read and are not "
            f"in the index; `vtsearch info {args.output}` lists them",
            file=sys.stderr,
        )
