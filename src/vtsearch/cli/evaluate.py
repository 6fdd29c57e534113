"""``vtsearch evaluate``: codes and labels into numbers and a report."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._printable import printable
from vtsearch.cli import format_error
from vtsearch.cli.code_inputs import (
    CodePair,
    LabelledCodes,
    excluded_positions,
    matching,
    open_codes,
    open_others,
    refuse_mixing,
    shared_positions,
)
from vtsearch.cli.evaluation_subjects import subjects_of
from vtsearch.cli.output import check_output_folder, json_text
from vtsearch.cli.parser import WHERE, CommandParser
from vtsearch.cli.progress import scanning
from vtsearch.cli.sharding import add_shard_arguments, opened
from vtsearch.data.locate import ImageLocator, knows_images
from vtsearch.data.pictures import Pictures
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import Comparison, Evaluation, compare, evaluate, map_name, with_vote
from vtsearch.index.where import refuse_none
from vtsearch.metrics import Normalizer
from vtsearch.reports import (
    PicturedSide,
    ReportContext,
    RetrievalRow,
    retrieval_rows,
    spread_over_classes,
    write_report,
)
from vtsearch.reports.html_report import write_subjects
from vtsearch.reports.inputs import context_of
from vtsearch.reports.markdown import UNKNOWN, choices, percent

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from numpy.typing import NDArray

EXAMPLE = """  vtsearch evaluate --queries codes/query --database codes/database -k 1000 --report report
  vtsearch evaluate --queries q.npy --query-labels ql.npy --database d.npy --database-labels dl.npy --json
  vtsearch evaluate --queries a/query --database a/database --against b/query b/database
  vtsearch evaluate --queries codes/query --database codes/database --ray 10.0.0.1:6379 --shards 16"""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("evaluate", "Compute retrieval metrics of codes with labels.", EXAMPLE)
    command.add_argument(
        "--queries",
        required=True,
        help="index folder, or .npy of codes (uint8, packed) or features (floats, whose signs are the code)",
    )
    command.add_argument("--database", required=True, help="the same for the database")
    command.add_argument("--query-labels", help=".npy of labels, integers (n,) or 0/1 (n, classes), for .npy codes")
    command.add_argument("--database-labels", help="the same for the database")
    command.add_argument("-k", "--k", type=int, help="length of the list that counts; by default the whole database")
    command.add_argument("--normalizer", type=Normalizer, default="retrieved", help="divisor of average precision")
    command.add_argument("--bits", type=int, help="compare the first bits of the codes alone, as of a nested model")
    command.add_argument("--where", help=f"of a database that is an index, {WHERE}")
    command.add_argument(
        "--exclude",
        choices=("self", "ids"),
        help="leave every query out of what it searches: self if query i is item i, ids to find it by its id",
    )
    command.add_argument(
        "--vote",
        action="store_true",
        help="also the accuracy of a vote of the 20 nearest items, of single labels; copies the codes in memory",
    )
    command.add_argument("--threads", type=int, help="number of threads; by default the available CPUs")
    add_shard_arguments(command)
    command.add_argument(
        "--against",
        nargs=2,
        metavar=("QUERIES", "DATABASE"),
        help="compare with other codes of the same queries and items, index folders or .npy, of any length: "
        "the difference in mAP, its interval and its p-value",
    )
    command.add_argument("--report", help="folder to write report.html, report.json, report.md and figures into")
    command.add_argument("--pictures", type=int, default=8, help="queries in the report's pictures")
    command.add_argument("--images", help="folder of the images of both indexes, if it has moved")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Evaluate; prints mAP with its bounds and the choices behind it."""
    args = parser().parse_args(argv)
    if args.pictures < 0:
        raise ValueError(f"pictures: expected at least 0, got {args.pictures}")
    check_output_folder("report", args.report)
    both = CodePair(
        open_codes("queries", args.queries, "query_labels", args.query_labels),
        open_codes("database", args.database, "database_labels", args.database_labels),
    )
    refuse_mixing(both)
    mask = None if args.where is None else matching(both.database, args.where)
    if mask is not None:
        refuse_none(args.where, mask)
    pair = both.prefixes(args.bits).masked(mask)
    others = None if args.against is None else open_others(args.against, pair).masked(mask)
    exclude = excluded_positions(pair, args.exclude)
    evaluation = (_evaluate if args.shards is None and args.ray is None else _evaluate_by_shards)(pair, args, exclude)
    comparison = None if others is None else _compare(pair, others, evaluation, exclude, args.threads)
    warning = "" if exclude is not None else _self_matches(pair)
    if warning:
        print(f"vtsearch evaluate: warning: {warning}", file=sys.stderr)
    context = _context(pair.database, ["vtsearch evaluate", *argv], args.against, warning)
    if args.report is not None:
        images = [None, None] if args.pictures == 0 else _pictures(pair, args.images)
        rows = _rows(pair, args.pictures, exclude, images)
        path = write_report(args.report, evaluation, context, comparison=comparison, retrievals=rows)
        print(f"report: {path}", file=sys.stderr)
        subjects = subjects_of(args, pair, others, images, evaluation=evaluation, context=context, exclude=exclude)
        print(f"report: {write_subjects(args.report, subjects, pictures=args.pictures)}", file=sys.stderr)
        for note in filter(None, (side.note() for side in images if side is not None)):
            print(f"vtsearch evaluate: {note}", file=sys.stderr)
    print((as_json if args.json else as_text)(evaluation, context, comparison))
    return 0


def _evaluate(pair: CodePair, args: Namespace, exclude: NDArray[np.int64] | None) -> Evaluation:
    queries, database = pair
    if args.vote and np.ndim(queries.labels) == 2:
        raise ValueError("vote: expected items of one class each, got some with several labels")
    both = queries.array(), database.database, queries.labels, database.labels
    with scanning("evaluating") as progress:
        evaluation = evaluate(
            *both,
            args.k,
            normalizer=args.normalizer,
            bits=database.bits,
            exclude=exclude,
            threads=args.threads,
            progress=progress,
        )
    return with_vote(evaluation, *both, exclude=exclude, threads=args.threads) if args.vote else evaluation


def _evaluate_by_shards(pair: CodePair, args: Namespace, exclude: NDArray[np.int64] | None) -> Evaluation:
    queries, database = pair
    if args.vote:
        raise ValueError("vote: expected without --shards and --ray, got it beside one of them")
    if database.index is None:
        raise ValueError("shards: expected a database that is an index, got an array")
    with opened(args.database, args) as index, scanning("evaluating") as progress:
        if index.generation != database.index.generation:
            raise VtsearchError(f"{index.path}: expected an index that stays, got one that has changed meanwhile")
        return index.evaluate(
            queries.array(),
            queries.labels,
            args.k,
            normalizer=args.normalizer,
            where=args.where,
            bits=args.bits,
            exclude=exclude,
            threads=args.threads,
            progress=progress,
        )


def _compare(
    pair: CodePair,
    others: CodePair,
    evaluation: Evaluation,
    exclude: NDArray[np.int64] | None,
    threads: int | None,
) -> Comparison:
    return compare(
        pair.queries.array(),
        pair.database.database,
        others.queries.array(),
        others.database.database,
        query_labels=pair.queries.labels,
        db_labels=pair.database.labels,
        k=evaluation.k,
        normalizer=evaluation.normalizer,
        exclude=exclude,
        threads=threads,
    )


def as_text(evaluation: Evaluation, context: ReportContext, comparison: Comparison | None = None) -> str:
    """The numbers for a terminal."""
    score, name = evaluation.mean_average_precision, map_name(evaluation.k)
    lines = [
        f"{name:<14}{score.expected:.6f}  expected over all orders of tied items",
        f"{'':<14}{score.index:.6f}  ties by index",
        f"{'':<14}{score.best:.6f}  best order of ties",
        f"{'':<14}{score.worst:.6f}  worst order of ties",
        *_interval(evaluation),
        f"{'P@radius<=2':<14}{evaluation.precision_within_2:.6f}",
        f"{'MRR':<14}{evaluation.mean_reciprocal_rank:.6f}",
        f"{'R-precision':<14}{evaluation.r_precision:.6f}",
        *_vote(evaluation),
    ]
    lines += [
        f"{f'P@{point.n}':<14}{point.precision:.6f}  R@{point.n} {point.recall:.6f}  hit@{point.n} {point.hit:.6f}"
        for point in evaluation.cut_offs
    ]
    if evaluation.gains is not None:
        at = evaluation.k or "all"
        lines += [
            f"{f'NDCG@{at}':<14}{evaluation.gains.ndcg:.6f}",
            f"{f'ACG@{at}':<14}{evaluation.gains.acg:.6f}",
            f"{f'WAP@{at}':<14}{evaluation.gains.wap:.6f}",
        ]
    lines += [
        *([] if comparison is None else _comparison(comparison, context)),
        f"{'chance':<14}{evaluation.chance:.6f}",
        f"{evaluation.queries:,} queries, {evaluation.database:,} items, {evaluation.bits} bits",
        choices(evaluation, context, "as said"),
        f"model {context.model[:12]}",
    ]
    return "\n".join(map(printable, lines))


def _vote(evaluation: Evaluation) -> list[str]:
    vote = evaluation.vote
    return [] if vote is None else [f"{'vote of 20':<14}{vote:.6f}  accuracy of the nearest items"]


def _interval(evaluation: Evaluation) -> list[str]:
    interval = evaluation.bootstrap_interval
    if interval is None:
        return []
    return [
        f"{percent(interval):<14}{interval.low:.6f}  to {interval.high:.6f} for other samples of queries (bootstrap)"
    ]


def _comparison(comparison: Comparison, context: ReportContext) -> list[str]:
    difference, test = comparison.difference, comparison.test
    equal = comparison.queries - comparison.better - comparison.worse
    ends = f"{difference.low:+.6f} to {difference.high:+.6f}"
    return [
        f"{'against':<14}{comparison.other_mean_average_precision:.6f}  {map_name(comparison.k)} of {context.against}",
        f"{'difference':<13}{difference.mean:+.6f}  {percent(difference)} {ends} for other samples of queries",
        f"{'p':<14}{test.p_value:.6f}  that chance alone gives as large a difference (paired permutation test)",
        f"{'':<14}better for {comparison.better:,} queries, worse for {comparison.worse:,}, equal for {equal:,}",
    ]


def as_json(evaluation: Evaluation, context: ReportContext, comparison: Comparison | None = None) -> str:
    """The numbers as JSON, without those of each query, which are in the report."""
    values: dict[str, Any] = evaluation.to_dict()
    del values["average_precisions"]
    about = {name: getattr(context, name) for name in ("protocol", "split", "model", "remark", "warning")}
    versus = {} if comparison is None else {"against": context.against, "comparison": asdict(comparison)}
    return json_text(values | about | versus)


def _self_matches(pair: CodePair) -> str:
    """A warning if queries are in the database, or nothing."""
    positions = shared_positions(pair)
    if positions is None or (positions < 0).all() or pair.queries.index is None:
        return ""
    row = int(np.argmax(positions >= 0))
    first = pair.queries.index.ids_at([row])[row]
    return (
        f"{np.count_nonzero(positions >= 0):,} of {len(positions):,} queries are also in the database (such as "
        f"{printable(first)}): they find themselves, and the scores are too high; --exclude ids leaves them out"
    )


def _context(
    database: LabelledCodes, command: Sequence[str], against: Sequence[str] | None, warning: str
) -> ReportContext:
    versus = UNKNOWN if against is None else " and ".join(against)
    if database.index is None:
        return ReportContext(protocol="arrays", command=" ".join(command), against=versus, warning=warning)
    context = context_of(database.index, str(database.index.path))
    return replace(context, command=" ".join(command), against=versus, warning=warning)


def _pictures(pair: CodePair, images: str | None) -> list[Pictures | None]:
    """The pictures of both sides, if both indexes have the paths of their images."""
    indexes = [side.index for side in pair if side.index is not None and knows_images(side.index)]
    if len(indexes) < len(pair):
        return [None, None]
    try:
        return [Pictures(ImageLocator.of(index, root=images)) for index in indexes]
    except (VtsearchError, OSError) as error:
        print(f"vtsearch evaluate: the report has no pictures: {format_error(error)}", file=sys.stderr)
        return [None, None]


def _rows(
    pair: CodePair, count: int, exclude: NDArray[np.int64] | None, pictures: Sequence[Pictures | None]
) -> list[RetrievalRow]:
    """Queries of every class with their answers, if there are pictures."""
    queries, database = pair
    asking, answering = pictures
    if asking is None or answering is None or queries.index is None:
        return []
    sides = (
        PicturedSide(queries.array(), queries.labels, asking.load),
        PicturedSide(database.database, database.labels, answering.load),
    )
    chosen = spread_over_classes(queries.labels, count)
    return retrieval_rows(*sides, chosen, queries.index.classes, exclude=exclude)
