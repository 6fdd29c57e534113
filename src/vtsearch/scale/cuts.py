"""Divide the items of one or several indexes among shards."""

from __future__ import annotations

import bisect
import itertools
from typing import TYPE_CHECKING

from vtsearch.index.view import Span

if TYPE_CHECKING:
    from collections.abc import Sequence

_WHOLE_BYTES = 8
"""Masks of items are packed; a shard that begins with a whole byte takes its part of them as it is."""

_SLACK = 4
"""A cut moves by up to 1 / _SLACK of a shard to the end of a segment with tables, which a cut segment has not."""


def cut_points(items: int, count: int, borders: Sequence[int] = ()) -> list[int]:
    """Where ``count`` shards of nearly equal length begin, and the end of the last one.

    Args:
        items: in all.
        count: of the shards.
        borders: where cuts are best, ascending; the nearest one is taken if it is near.
    """
    length = items / count
    even = [min(round(number * length / _WHOLE_BYTES) * _WHOLE_BYTES, items) for number in range(1, count)]
    return [0, *(_nearest(cut, borders, length / _SLACK) for cut in even), items]


def _nearest(cut: int, borders: Sequence[int], slack: float) -> int:
    place = bisect.bisect_left(borders, cut)
    near = [border for border in borders[max(place - 1, 0) : place + 1] if abs(border - cut) <= slack]
    return min(near, key=lambda border: abs(border - cut), default=cut)


def spans_between(spans: Sequence[Span], start: int, stop: int) -> tuple[Span, ...]:
    """Items start .. stop - 1 of those of some spans one after the other; at least one span, which may be empty."""
    firsts = itertools.accumulate((span.items for span in spans), initial=0)
    cuts = [
        span._replace(start=span.start + max(start - first, 0), stop=span.start + min(stop - first, span.items))
        for span, first in zip(spans, firsts, strict=False)
    ]
    return tuple(cut for cut in cuts if cut.items > 0) or (spans[0]._replace(start=0, stop=0),)
