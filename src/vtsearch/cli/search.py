"""``vtsearch search``: the items of an index that are nearest to an image, an item or a code."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch._printable import printable
from vtsearch.cli.output import check_output_file, json_text
from vtsearch.cli.parser import CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.data.locate import ImageLocator, load_image
from vtsearch.data.pictures import Pictures
from vtsearch.errors import missing_extra
from vtsearch.index import Answers, Index
from vtsearch.reports import RetrievalRow, are_relevant, label_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray
    from PIL.Image import Image

EXAMPLE = """  vtsearch search photo.jpg --index codes/database
  vtsearch search test/00017 --index codes/database -k 20 --picture answers.png
  vtsearch search 9f3c6a0277e1d405 --index codes/database --json"""


class Query(NamedTuple):
    """A query code, and the image or item it came from."""

    code: NDArray[np.uint8]
    """(1, bytes)"""
    image: Path | None = None
    """The file, if it is one."""
    item: int | None = None
    """The position, if it is an item of the index."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("search", "Show the items of an index that are nearest to a query.", EXAMPLE)
    command.add_argument("query", help="an image file, the id of an item of the index, or a code in hexadecimal")
    command.add_argument("--index", required=True, help="folder of the index")
    command.add_argument("--model", help="model folder for an image; by default the one that made the index")
    command.add_argument("-k", "--k", type=int, default=10, help="how many answers")
    command.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--images", help="folder of the index's images, if it has moved")
    command.add_argument("--picture", help="PNG file to draw the answers into")
    return command


def run(argv: list[str]) -> int:
    """Search; prints a table of rank, distance, id and label."""
    args = parser().parse_args(argv)
    check_output_file("picture", args.picture)
    with Index.open(args.index) as index:
        query = _query(args.query, index, args.model)
        with scanning("searching") as progress:
            answers = index.search(query.code, args.k, threads=args.threads, progress=progress)
        rows = list(zip(answers.distances[0].tolist(), answers.ids[0], _labels(index, answers), strict=True))
        if args.json:
            _print_json(args.query, query, rows)
        else:
            _print(rows)
        if args.picture is not None:  # after the answers: a missing image does not hide them
            sys.stdout.flush()
            _draw(args, query, index, answers)
    return 0


def _query(word: str, index: Index, model: str | None) -> Query:
    if Path(word).is_file():
        return Query(_encode(Path(word), index, model), image=Path(word))
    try:
        item = index.position(word)
    except KeyError:
        return Query(_parse_code(word, index))
    return Query(index.code(item), item=item)


def _parse_code(word: str, index: Index) -> NDArray[np.uint8]:
    width = -(-index.bits // 8)
    try:
        content = bytes.fromhex(word)
    except ValueError:
        content = b""
    if len(content) != width:
        raise ValueError(
            f"query: expected an image file, an item of {index.path} or a code of {2 * width} hexadecimal digits, "
            f"got {word!r}"
        )
    return np.frombuffer(content, dtype=np.uint8)[None, :]


def _encode(path: Path, index: Index, folder: str | None) -> NDArray[np.uint8]:
    folder = folder or index.description.get("model")
    if folder is None:
        raise ValueError(f"model: expected a folder to encode {path} with; {index.path} does not remember its own")
    from vtsearch.encoding import Encoder

    encoder = Encoder(folder, precision=index.fingerprints.get("arithmetic", "auto"))  # type: ignore[arg-type]
    index.check_fingerprints(encoder.query_fingerprints(index.fingerprints), whose=str(folder))
    return encoder.encode([path])


def _labels(index: Index, answers: Answers) -> list[str]:
    labels = index.labels()
    if labels is None:
        return [""] * len(answers.ids[0])
    return [label_text(labels[item], index.classes) for item in answers.indices[0]]


def _print(rows: list[tuple[int, str, str]]) -> None:
    rows = [(distance, printable(name), printable(label)) for distance, name, label in rows]
    width = max([2, *(len(name) for _, name, _ in rows)])
    print(f"rank  distance  {'id':<{width}}  label")
    for rank, (distance, name, label) in enumerate(rows, start=1):
        print(f"{rank:4}  {distance:8}  {name:<{width}}  {label}".rstrip())


def _print_json(word: str, query: Query, rows: list[tuple[int, str, str]]) -> None:
    found = [
        {"rank": rank, "distance": distance, "id": name, "label": label}
        for rank, (distance, name, label) in enumerate(rows, start=1)
    ]
    print(json_text({"query": word, "code": query.code.tobytes().hex(), "answers": found}))


def _draw(args: Namespace, query: Query, index: Index, answers: Answers) -> None:
    retrieval_figure = figures().retrieval_figure
    pictures = Pictures(ImageLocator.of(index, root=args.images))
    load = pictures.load
    items = answers.indices[0].tolist()
    labels = index.labels()
    row = RetrievalRow(
        query=_image(query, load),
        title=printable(Path(args.query).name),
        answers=[load(item) for item in items],
        distances=answers.distances[0].tolist(),
        relevant=None if labels is None or query.item is None else are_relevant(labels[query.item], labels[items]),
    )
    write_file(
        Path(args.picture),
        retrieval_figure([row], f"{len(index):,} items of {index.path}, {index.bits} bits, ties index"),
    )
    if note := pictures.note():
        print(f"vtsearch search: {note}", file=sys.stderr)


def _image(query: Query, load: Callable[[int], Image]) -> Image:
    if query.image is not None:
        return load_image(query.image)
    if query.item is not None:
        return load(query.item)
    raise ValueError("picture: expected an image or an item as query, got a code, which has no picture")


def figures() -> ModuleType:
    """The module that draws.

    Raises:
        ModuleNotFoundError: matplotlib is missing; says how to install it.
    """
    if find_spec("matplotlib") is None:
        raise missing_extra("matplotlib")
    return import_module("vtsearch.reports.figures")
