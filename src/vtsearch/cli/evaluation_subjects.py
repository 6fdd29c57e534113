"""The codes of ``vtsearch evaluate`` as its HTML report shows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch.evaluation import Evaluation, evaluate
from vtsearch.reports.inputs import distinct_names
from vtsearch.reports.subjects import Pair, Side, Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.cli.code_inputs import CodePair
    from vtsearch.data.pictures import Pictures
    from vtsearch.reports import ReportContext


def subjects_of(
    args: Any,
    pair: CodePair,
    others: CodePair | None,
    pictures: Sequence[Pictures | None],
    *,
    evaluation: Evaluation,
    context: ReportContext,
    exclude: NDArray[np.int64] | None,
) -> list[Subject]:
    """These codes, and those that they are compared with, as the report shows them."""
    places = [args.database, *([] if args.against is None else args.against[1:])]
    names = distinct_names([Path(place) for place in dict.fromkeys(places)])
    first, *rest = [names[Path(place)] for place in places]
    subject = Subject(
        name=first,
        method=first,
        bits=evaluation.bits,
        evaluation=evaluation,
        context=context,
        pair=_pair_of(pair, pictures, exclude),
        leave_one_out=args.exclude == "self",
    )
    if others is None:
        return [subject]
    second = _evaluated(others, evaluation, exclude, args.threads)
    name = rest[0] if rest[0] != first else f"{first}, others"
    codes = _pair_of(others, pictures, exclude)
    return [subject, replace(subject, name=name, method=name, bits=second.bits, evaluation=second, pair=codes)]


def _pair_of(pair: CodePair, pictures: Sequence[Pictures | None], exclude: NDArray[np.int64] | None) -> Pair:
    query, database = (
        Side.of(side.database, side.labels, side.index, None if images is None else images.load)
        for side, images in zip(pair, pictures, strict=True)
    )
    classes = () if pair.database.index is None else pair.database.index.classes
    return Pair(query, database, classes, exclude)


def _evaluated(pair: CodePair, like: Evaluation, exclude: NDArray[np.int64] | None, threads: int | None) -> Evaluation:
    """Other codes, evaluated as the first ones were."""
    return evaluate(
        pair.queries.array(),
        pair.database.database,
        pair.queries.labels,
        pair.database.labels,
        like.k,
        normalizer=like.normalizer,
        bits=pair.database.bits,
        exclude=exclude,
        threads=threads,
    )
