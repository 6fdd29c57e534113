"""``vtsearch encode``: images through a model into an index."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch._atomic_io import beside, swap_folder
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import counting
from vtsearch.data.locate import Images, Part, open_images
from vtsearch.index import Index

if TYPE_CHECKING:
    from vtsearch.models import HashModel

EXAMPLE = """  vtsearch encode --model runs/cifar/final --output codes/database cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/query --part query cifar10@54000
  vtsearch encode --model runs/cifar/final --output codes/holiday ~/pictures/holiday"""


def parser() -> CommandParser:
    """The words that this command understands."""
    words = CommandParser("encode", "Turn images into an index of binary codes.", EXAMPLE)
    words.add_argument(
        "images",
        nargs="+",
        help="a protocol's name, a folder (one subfolder per class, or none), a list (.txt, .csv, .parquet), or images",
    )
    words.add_argument("--model", required=True, help="model folder that made or will make the codes")
    words.add_argument("--output", required=True, help="folder of the new index")
    words.add_argument("--part", type=Part, default="database", help="part of a protocol")
    words.add_argument("--data", help="folder of a protocol's data set, or of a list's images")
    words.add_argument("--seed", type=int, default=0, help="seed of a protocol's split")
    words.add_argument("--split", help="split.json of a run, instead of drawing the split")
    words.add_argument("--batch_size", type=int, default=128, help="images at a time")
    words.add_argument("--device", help="cpu, cuda, ...; by default a GPU if there is one")
    words.add_argument("--overwrite", action="store_true", help="replace the index that --output already is")
    return words


def run(argv: list[str]) -> int:
    """Encode; prints one line about the new index."""
    given = parser().parse_args(argv)
    output = Path(given.output)
    refuse_existing(output, overwrite=given.overwrite)
    images = open_images(given.images, part=given.part, data=given.data, seed=given.seed, split=given.split)
    from vtsearch.models import load_model

    model = load_model(given.model)
    began = time.monotonic()
    count = encode(model, images, output, model_folder=given.model, batch_size=given.batch_size, device=given.device)
    speed = count / max(time.monotonic() - began, 1e-9)
    print(f"{speed:,.0f} images/s", file=sys.stderr)
    print(f"{output}: {count:,} codes of {model.bits} bits, model {model.fingerprint()[:12]}")
    return 0


def encode(
    model: HashModel,
    images: Images,
    output: Path,
    *,
    model_folder: str,
    batch_size: int = 128,
    device: str | None = None,
) -> int:
    """Write the index of some images, all of it or nothing; the number of its items."""
    from vtsearch.encoding.encode import encode_positions

    with counting("encoding", len(images.positions)) as progress:
        codes = encode_positions(
            model, images.source, images.positions, batch_size=batch_size, device=device, progress=progress
        )
    fingerprints = {"model": model.fingerprint(), "preprocessing": model.preprocessing.fingerprint()}
    if images.split is not None:
        fingerprints["split"] = images.split
    words = dict(images.description) | {"model": str(Path(model_folder).absolute()), "backbone": model.config.backbone}
    fresh = beside(output, "tmp")
    try:
        with Index.create(
            fresh, model.bits, fingerprints=fingerprints, classes=images.source.classes, description=words
        ) as index:
            ids = [images.source.id(int(position)) for position in images.positions]
            index.add(codes, ids, images.source.labels[images.positions] if images.labelled else None)
        swap_folder(fresh, output, beside(output, "old"))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return len(codes)


def refuse_existing(output: Path, *, overwrite: bool) -> None:
    """Before hours of work: may ``output`` be written?

    Raises:
        FileExistsError: something is there that the user did not ask to replace, or that is no index.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not overwrite:
        raise FileExistsError(f"output: {output} exists; choose another folder, or --overwrite it")
    if not (output / "index.sqlite").is_file():
        raise FileExistsError(f"output: expected an index to overwrite, got {output}, which is none")
