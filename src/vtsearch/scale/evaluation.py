"""The two passes of an evaluation over parts of a database, wherever these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch import _validate
from vtsearch.evaluation.scoring import check_histograms, evaluation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtsearch.evaluation import Evaluation
    from vtsearch.metrics import Normalizer, PrecisionSums, RelevanceHistograms


def evaluate_parts(
    ask_histograms: Callable[[], RelevanceHistograms],
    ask_sums: Callable[[RelevanceHistograms, int], PrecisionSums],
    items: int,
    k: int | None,
    *,
    normalizer: Normalizer,
    bits: int,
    excluded: int,
) -> Evaluation:
    """All scores of a database whose parts count their own items: codes stay where they are.

    Args:
        ask_histograms: the sum of the histograms of all parts; with gains for multi-label sets.
        ask_sums: given these and the positions that count, the sum over all parts of their ``precision_sums``.
        items: of all parts.
        k: length of the list that counts, at least 1; None, or more than there are, means all.
        normalizer: what average precision divides by.
        bits: length of the codes.
        excluded: pairs of a query and an item that were left out.

    Raises:
        TypeError, ValueError: as ``evaluation_of``.
    """
    top = _validate.cut_off(k, items)
    whole = ask_histograms()
    check_histograms(whole, bits)  # before a second pass
    by_index = ask_sums(whole, top).average_precision(whole.relevant_totals, top, normalizer)
    return evaluation_of(whole, by_index, k, normalizer=normalizer, bits=bits, excluded=excluded)
