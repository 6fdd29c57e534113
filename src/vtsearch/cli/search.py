"""``vtsearch search``: the items of an index that are nearest to images, items or codes."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch._printable import printable
from vtsearch._validate import whole_number
from vtsearch.cli.output import check_output_file, json_text
from vtsearch.cli.parser import WHERE, CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.cli.sharding import add_shard_arguments, opened
from vtsearch.data.locate import ImageLocator
from vtsearch.data.pictures import Pictures
from vtsearch.data.selection import load_image
from vtsearch.data.sources.folder_scan import look_into
from vtsearch.errors import missing_extra
from vtsearch.index import Answers
from vtsearch.reports import RetrievalRow, are_relevant, label_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.index import Index
    from vtsearch.index.answers import Restrictions
    from vtsearch.index.reading import Reading
    from vtsearch.scale import ShardedIndex

EXAMPLE = """  vtsearch search photo.jpg --index codes/database
  vtsearch search test/00017 --index codes/database -k 20 --picture answers.png
  vtsearch search new/ --index photos -k 3 --where "taken > '2024-06' AND bytes > 100000" --show taken bytes
  vtsearch search 9f3c6a0277e1d405 --index codes/database --json
  vtsearch search 9f3c6a0277e1d405 --index codes/database --ray 10.0.0.1:6379 --shards 16"""


class Query(NamedTuple):
    """A query code, and the image or item it came from."""

    word: str
    """As the user gave it, or the file in a folder."""
    code: NDArray[np.uint8]
    """(bytes,)"""
    image: Path | None = None
    """The file, if it is one."""
    item: int | None = None
    """The position, if it is an item of the index."""


class Answer(NamedTuple):
    """An item near a query."""

    position: int
    distance: int
    name: str
    label: str
    metadata: dict[str, Any]


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("search", "Show the items of an index that are nearest to each query.", EXAMPLE)
    command.add_argument(
        "query",
        nargs="+",
        help="an image file, a folder of images, the id of an item of the index, or a code in hexadecimal",
    )
    command.add_argument("--index", required=True, help="folder of the index")
    command.add_argument(
        "--model",
        help="model folder for images, or user/name of the Hugging Face hub; by default the one that made the index",
    )
    command.add_argument("-k", "--k", type=int, default=10, help="how many answers")
    command.add_argument("--bits", type=int, help="compare the first bits of the codes alone, as of a nested model")
    command.add_argument("--where", help=WHERE)
    command.add_argument("--show", nargs="+", default=[], metavar="COLUMN", help="columns of metadata to print")
    command.add_argument("--with-self", action="store_true", help="let items of the index find themselves")
    command.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    add_shard_arguments(command)
    command.add_argument("--explain", action="store_true", help="also print how the answers were found")
    command.add_argument("--json", action="store_true", help="print JSON, with all metadata")
    command.add_argument("--images", help="folder of the index's images, if it has moved")
    command.add_argument("--picture", help="PNG file to draw the answers into")
    return command


def run(argv: list[str]) -> int:
    """Search; prints a table of rank, distance, id and label for each query."""
    args = parser().parse_args(argv)
    check_output_file("picture", args.picture)
    with opened(args.index, args) as index:
        _check_columns(args.show, index)
        queries = _queries(args.query, index, args.model)
        without_self = not args.with_self
        found, how = _search(index, queries, args)
        answers = [
            [answer for answer in each if not (without_self and answer.position == query.item)][: args.k]
            for query, each in zip(queries, _answers(index, found), strict=True)
        ]
        if args.json:
            _print_json(args.index, queries, answers)
        else:
            _print(queries, answers, args.show)
        if args.explain:
            sys.stdout.flush()
            print(f"vtsearch search: {how}", file=sys.stderr)
        if args.picture is not None:  # after the answers: a missing image does not hide them
            sys.stdout.flush()
            _draw(args, queries, index, answers)
    return 0


def _search(index: Index | ShardedIndex, queries: list[Query], args: Namespace) -> tuple[Answers, str]:
    """The nearest items of all queries; and how they were found, if that is asked for."""
    codes = np.stack([query.code for query in queries])
    k = whole_number("k", args.k, 1) + (not args.with_self)  # one more, in case a query finds itself
    with scanning("searching") as progress:
        own: Restrictions = {"where": args.where, "threads": args.threads, "progress": progress, "bits": args.bits}
        if args.explain:
            found, how = index.search(codes, k, explain=True, **own)
            return found, str(how)
        return index.search(codes, k, **own), ""


def _check_columns(names: Sequence[str], index: Reading) -> None:
    columns = index.columns()
    for name in names:
        if name not in columns:
            raise ValueError(f"show: expected columns of {index.path} ({', '.join(columns) or 'none'}), got {name!r}")


def _queries(words: Sequence[str], index: Reading, model: str | None) -> list[Query]:
    """The queries that the user's words name, in their order; all images are encoded together."""
    files = {word: _image_files(Path(word)) for word in words}
    codes = iter(_encode([file for each in files.values() for file in each], index, model))
    queries = []
    for word in words:
        names = [word] if Path(word).is_file() else [str(file) for file in files[word]]
        queries += [Query(name, next(codes), image=file) for name, file in zip(names, files[word], strict=True)]
        if not files[word]:
            queries.append(_of_word(word, index))
    return queries


def _image_files(path: Path) -> list[Path]:
    """The image that a path is, or those below it; none if it is something else."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        return []
    found = look_into(path).images
    if not found:
        raise ValueError(f"query: expected images in the folder {path}, got none")
    return found


def _of_word(word: str, index: Reading) -> Query:
    (item,) = index.positions_of([word]).tolist()
    return Query(word, _parse_code(word, index)) if item < 0 else Query(word, index.code(item)[0], item=item)


def _parse_code(word: str, index: Reading) -> NDArray[np.uint8]:
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
    return np.frombuffer(content, dtype=np.uint8)


def _encode(files: list[Path], index: Reading, folder: str | None) -> NDArray[np.uint8]:
    if not files:
        return np.empty((0, 1), dtype=np.uint8)
    folder = folder or index.description.get("model")
    if folder is None:
        raise ValueError(f"model: expected a folder to encode {files[0]} with; {index.path} does not remember its own")
    from vtsearch.encoding import Encoder

    encoder = Encoder(folder, precision=index.fingerprints.get("arithmetic", "auto"))  # type: ignore[arg-type]
    index.check_fingerprints(encoder.query_fingerprints(index.fingerprints), whose=str(folder))
    return encoder.encode(files)


def _answers(index: Reading, found: Answers) -> list[list[Answer]]:
    """The answers of each query, with what the index knows of them."""
    labels, metadata = index.labels(), index.metadata_at(found.indices.reshape(-1))
    count = found.indices.shape[1]
    answers = []
    for row, items in enumerate(found.indices):
        texts = [""] * count if labels is None else [label_text(labels[item], index.classes) for item in items]
        places = range(row * count, (row + 1) * count)
        known = ({name: values[place] for name, values in metadata.items()} for place in places)
        answers.append(list(map(Answer, items.tolist(), found.distances[row].tolist(), found.ids[row], texts, known)))
    return answers


def _print(queries: list[Query], answers: list[list[Answer]], columns: Sequence[str]) -> None:
    for number, (query, found) in enumerate(zip(queries, answers, strict=True)):
        if len(queries) > 1:
            print(("\n" if number else "") + printable(query.word))
        _print_table(found, columns)


def _print_table(found: list[Answer], columns: Sequence[str]) -> None:
    rows = [["id", "label", *columns]]
    for answer in found:
        values = (answer.metadata[name] for name in columns)
        rows.append([printable("" if value is None else value) for value in (answer.name, answer.label, *values)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    heads = ["rank  distance", *(f"{rank:4}  {answer.distance:8}" for rank, answer in enumerate(found, start=1))]
    for head, row in zip(heads, rows, strict=True):
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        print("  ".join([head, *cells]).rstrip())


def _print_json(folder: str, queries: list[Query], answers: list[list[Answer]]) -> None:
    found = []
    for query, near in zip(queries, answers, strict=True):
        values = [
            {"rank": rank, "distance": answer.distance, "id": answer.name, "label": answer.label}
            | {"metadata": answer.metadata}
            for rank, answer in enumerate(near, start=1)
        ]
        found.append({"query": query.word, "code": query.code.tobytes().hex(), "answers": values})
    print(json_text({"index": folder, "queries": found}))


def _draw(args: Namespace, queries: list[Query], index: Reading, answers: list[list[Answer]]) -> None:
    retrieval_figure = figures().retrieval_figure
    pictures = Pictures(ImageLocator.of(index, root=args.images))
    rows = [_row(query, found, index, pictures) for query, found in zip(queries, answers, strict=True)]
    write_file(
        Path(args.picture),
        retrieval_figure(rows, f"{len(index):,} items of {index.path}, {index.bits} bits, ties index"),
    )
    if note := pictures.note():
        print(f"vtsearch search: {note}", file=sys.stderr)


def _row(query: Query, found: list[Answer], index: Reading, pictures: Pictures) -> RetrievalRow:
    labels, items = index.labels(), [answer.position for answer in found]
    return RetrievalRow(
        query=_image(query, pictures.load),
        title=printable(Path(query.word).name),
        answers=[pictures.load(item) for item in items],
        distances=[answer.distance for answer in found],
        relevant=None if labels is None or query.item is None else are_relevant(labels[query.item], labels[items]),
    )


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
