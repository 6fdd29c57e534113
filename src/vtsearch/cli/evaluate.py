"""``vtsearch evaluate``: codes and labels into numbers and a report."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.cli.images import knows_images, reopen
from vtsearch.cli.parser import CommandParser
from vtsearch.codes import pack
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import (
    Evaluation,
    PicturedSide,
    ReportContext,
    RetrievalRow,
    evaluate,
    map_name,
    retrieval_rows,
    spread_over_classes,
    write_report,
)
from vtsearch.evaluation.report import UNKNOWN, choices
from vtsearch.index import Index
from vtsearch.metrics import Normalizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EXAMPLE = """  vtsearch evaluate --queries codes/query --database codes/database -k 1000 --report report
  vtsearch evaluate --queries q.npy --query_labels ql.npy --database d.npy --database_labels dl.npy --json"""


@dataclass(frozen=True)
class Side:
    """Queries or database."""

    codes: NDArray[np.uint8]
    labels: NDArray[np.generic]
    bits: int
    index: Index | None = None
    """Where the codes come from, if not from arrays."""


def parser() -> CommandParser:
    """The words that this command understands."""
    words = CommandParser("evaluate", "Measure how well codes retrieve what shares a label.", EXAMPLE)
    words.add_argument(
        "--queries",
        required=True,
        help="index folder, or .npy of codes (uint8, packed) or features (floats, whose signs are the code)",
    )
    words.add_argument("--database", required=True, help="the same for the database")
    words.add_argument("--query_labels", help=".npy of labels, integers (n,) or 0/1 (n, classes), for .npy codes")
    words.add_argument("--database_labels", help="the same for the database")
    words.add_argument("-k", "--k", type=int, help="length of the list that counts; by default the whole database")
    words.add_argument("--normalizer", type=Normalizer, default="retrieved", help="what average precision divides by")
    words.add_argument("--threads", type=int, help="upper bound; by default the CPUs that may be used")
    words.add_argument("--report", help="folder to write report.json, report.md and figures into")
    words.add_argument(
        "--pictures", type=int, default=8, help="queries in the report's picture, where images are known"
    )
    words.add_argument("--json", action="store_true", help="print JSON")
    return words


def run(argv: list[str]) -> int:
    """Evaluate; prints mAP with its bounds and what it depends on."""
    given = parser().parse_args(argv)
    if given.pictures < 0:
        raise ValueError(f"pictures: expected at least 0, got {given.pictures}")
    queries = _open("queries", given.queries, "query_labels", given.query_labels)
    database = _open("database", given.database, "database_labels", given.database_labels)
    _refuse_mixing(queries, database)
    evaluation = evaluate(
        queries.codes,
        database.codes,
        queries.labels,
        database.labels,
        given.k,
        normalizer=given.normalizer,
        bits=database.bits,
        threads=given.threads,
    )
    _warn_of_leakage(queries, database)
    context = _context(database, ["vtsearch evaluate", *argv])
    if given.report is not None:
        rows = _rows(queries, database, given.pictures)
        path = write_report(given.report, evaluation, context, retrievals=rows)
        print(f"report: {path}", file=sys.stderr)
    print(as_json(evaluation, context) if given.json else as_text(evaluation, context))
    return 0


def as_text(evaluation: Evaluation, context: ReportContext) -> str:
    """The numbers for a terminal."""
    score, name = evaluation.mean_average_precision, map_name(evaluation.k)
    lines = [
        f"{name:<14}{score.expected:.6f}  expected over all orders of tied items",
        f"{'':<14}{score.index:.6f}  ties by index",
        f"{'':<14}{score.best:.6f}  best order of ties",
        f"{'':<14}{score.worst:.6f}  worst order of ties",
        f"{'P@radius<=2':<14}{evaluation.precision_within_2:.6f}",
    ]
    lines += [
        f"{f'P@{point.n}':<14}{point.precision:.6f}  R@{point.n} {point.recall:.6f}" for point in evaluation.cut_offs
    ]
    if evaluation.gains is not None:
        at = evaluation.k or "all"
        lines += [
            f"{f'NDCG@{at}':<14}{evaluation.gains.ndcg:.6f}",
            f"{f'ACG@{at}':<14}{evaluation.gains.acg:.6f}",
            f"{f'WAP@{at}':<14}{evaluation.gains.wap:.6f}",
        ]
    lines += [
        f"{'chance':<14}{evaluation.chance:.6f}",
        f"{evaluation.queries:,} queries, {evaluation.database:,} items, {evaluation.bits} bits",
        choices(evaluation, context, "as said"),
        f"model {context.model[:12]}",
    ]
    return "\n".join(lines)


def as_json(evaluation: Evaluation, context: ReportContext) -> str:
    """The numbers for a program, but for those of each query, which are in the report."""
    values: dict[str, Any] = evaluation.to_dict()
    del values["average_precisions"]
    about = {"protocol": context.protocol, "split": context.split, "model": context.model}
    return json.dumps(values | about, indent=1)


def _open(name: str, word: str, labels_name: str, labels: str | None) -> Side:
    if Path(word).suffix == ".npy":
        if labels is None:
            raise ValueError(f"{labels_name}: expected a .npy file of labels beside {word}, got nothing")
        codes, bits = _codes(name, load_array(word))
        truth = load_array(labels)
        if len(truth) != len(codes):
            raise ValueError(f"{labels_name}: expected {len(codes)} rows as in {word}, got {len(truth)}")
        return Side(codes, truth, bits)
    if labels is not None:
        raise ValueError(f"{labels_name}: expected no labels beside an index, which has its own, got {labels}")
    index = Index.open(word)
    found = index.labels()
    if found is None:
        raise ValueError(f"{name}: expected an index with labels, got {word}, which has none")
    return Side(index.codes(), found, index.bits, index)


def _codes(name: str, array: NDArray[Any]) -> tuple[NDArray[np.uint8], int]:
    if array.ndim != 2:
        raise ValueError(f"{name}: expected (n, bytes) codes or (n, bits) features, got {array.shape}")
    if array.dtype == np.uint8:
        return array, 8 * array.shape[1]
    if array.dtype.kind != "f":
        raise TypeError(f"{name}: expected uint8 codes or features that are floats, got {array.dtype}")
    if np.isnan(array).any():
        raise ValueError(f"{name}: expected features without NaN, got NaN")
    return pack(array), array.shape[1]


def load_array(path: str) -> NDArray[Any]:
    """A .npy file of at least one axis, mapped.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: another kind of file, or a truncated one.
    """
    with Path(path).open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise VtsearchError(f"{path}: expected a .npy file, got something else")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise VtsearchError(f"{path}: expected a whole .npy file of numbers, got a damaged one ({error})") from error
    if array.ndim == 0:
        raise VtsearchError(f"{path}: expected a row per item, got a single number")
    return array


def _refuse_mixing(queries: Side, database: Side) -> None:
    if queries.bits != database.bits:
        raise VtsearchError(f"bits: expected one length of codes, got {queries.bits} (queries) and {database.bits}")
    if queries.index is not None and database.index is not None:
        database.index.check_fingerprints(queries.index.fingerprints, whose=str(queries.index.path))


def _warn_of_leakage(queries: Side, database: Side) -> None:
    if queries.index is None or database.index is None:
        return
    asked = queries.index.ids()
    if asked == [str(position) for position in range(len(asked))]:
        return  # names that nobody gave say nothing
    found = set(asked) & set(database.index.ids())
    if found:
        print(
            f"vtsearch evaluate: warning: {len(found):,} of {len(asked):,} queries are also in the database "
            f"(such as {min(found)}): they find themselves, and the scores are too high",
            file=sys.stderr,
        )


def _context(database: Side, command: Sequence[str]) -> ReportContext:
    if database.index is None:
        return ReportContext(protocol="arrays", command=" ".join(command))
    words, fingerprints = database.index.description, database.index.fingerprints
    return ReportContext(
        protocol=words.get("protocol", str(database.index.path)),
        split=fingerprints.get("split", UNKNOWN),
        model=fingerprints.get("model", UNKNOWN),
        preprocessing=fingerprints.get("preprocessing", UNKNOWN),
        framework=words.get("framework", UNKNOWN),
        backbone=words.get("backbone", UNKNOWN),
        command=" ".join(command),
    )


def _rows(queries: Side, database: Side, count: int) -> list[RetrievalRow]:
    """Queries of every class, where both indexes say where their images are."""
    if count == 0 or queries.index is None or database.index is None:
        return []
    if not (knows_images(queries.index) and knows_images(database.index)):
        return []
    sides = [
        PicturedSide(side.codes, side.labels, reopen(index))
        for side, index in ((queries, queries.index), (database, database.index))
    ]
    return retrieval_rows(sides[0], sides[1], spread_over_classes(queries.labels, count), queries.index.classes)
