"""Searches of one state of an index: any number of queries in as few passes over the codes as they allow."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch import ranking
from vtsearch._validate import whole_number
from vtsearch.codes import prefix
from vtsearch.errors import UnavailableError
from vtsearch.index import SearchExplanation
from vtsearch.serve.errors import NotThere
from vtsearch.serve.wire import Histogram, Query, Result, SearchAnswer, SearchRequest, Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch._database import Database
    from vtsearch.serve.served_index import IndexState

WHERE_SECONDS = 10.0
"""For one condition."""


class Question(NamedTuple):
    """A request whose query is a code by now."""

    state: IndexState
    request: SearchRequest
    code: NDArray[np.uint8]
    """(bytes,)"""
    item: int | None
    """The position of the query, if it is an item."""
    excluded: NDArray[np.int64]
    """Positions that are not found."""


def parse_code(text: str, bits: int, argument: str = "code") -> NDArray[np.uint8]:
    """The code (bytes,) of hexadecimal digits.

    Raises:
        ValueError: other digits, another number of them, or ones beyond the bits.
    """
    width = -(-bits // 8)
    try:
        content = bytes.fromhex(text) if len(text) == 2 * width else b""
    except ValueError:
        content = b""
    if len(content) != width:
        raise ValueError(f"{argument}: expected {2 * width} hexadecimal digits, got {text[:80]!r}")
    if bits % 8 and content[-1] & (0xFF >> bits % 8):
        raise ValueError(f"{argument}: expected zeros behind bit {bits}, got {text[:80]!r}")
    return np.frombuffer(content, dtype=np.uint8)


def position_of(state: IndexState, name: str) -> int:
    """The position of an item.

    Raises:
        NotThere: no item has this id.
    """
    (position,) = state.positions_of([name]).tolist()
    if position < 0:
        raise NotThere(f"id: expected an item of {state.name}, got {name!r}")
    return int(position)


def question(state: IndexState, request: SearchRequest, code: NDArray[np.uint8] | None = None) -> Question:
    """What a request with a query asks; ``code`` is that of its picture.

    Raises:
        NotThere: an id that the index does not have.
        ValueError: a code of another length; bits beyond the length of the codes.
    """
    item = None
    if code is None and request.id is not None:
        item = position_of(state, request.id)
        code = state.index.code(item)[0]
    elif code is None:
        assert request.code is not None
        code = parse_code(request.code, state.bits)
    if request.bits is not None:
        whole_number("bits", request.bits, 1, state.bits)
    excluded = state.positions_of(request.exclude)
    if item is not None and request.exclude_self:
        excluded = np.append(excluded, item)
    return Question(state, request, code, item, np.unique(excluded[excluded >= 0]))


def search(state: IndexState, questions: Sequence[Question]) -> list[SearchAnswer]:
    """The answers of several questions, in their order; each is what it would be by itself.

    Raises:
        ValueError, VtsearchError: a condition that SQLite does not take, or that takes too long.
    """
    groups: dict[tuple[str | None, int | None], list[int]] = defaultdict(list)
    for number, each in enumerate(questions):
        groups[each.request.where, each.request.bits].append(number)
    answers: dict[int, SearchAnswer] = {}
    for (where, bits), numbers in groups.items():
        found = _pass(state, [questions[number] for number in numbers], where, bits)
        answers.update(zip(numbers, found, strict=True))
    return [answers[number] for number in range(len(questions))]


def search_each(questions: Sequence[Question]) -> list[SearchAnswer | Exception]:
    """The answers of questions; where one of them raises, each has its own error or answer."""
    by_state: dict[int, list[int]] = {}
    for number, each in enumerate(questions):
        by_state.setdefault(id(each.state), []).append(number)
    answers: dict[int, SearchAnswer | Exception] = {}
    for numbers in by_state.values():
        answers.update(zip(numbers, _search_state([questions[number] for number in numbers]), strict=True))
    return [answers[number] for number in range(len(questions))]


def matching(state: IndexState, request: SearchRequest) -> SearchAnswer:
    """The first items, in the order of the index, that the condition of a request without a query holds for.

    Raises:
        ValueError, VtsearchError: as ``search``.
    """
    start = time.perf_counter()
    mask = mask_of(state, request.where)
    excluded = state.positions_of(request.exclude)
    excluded = np.unique(excluded[excluded >= 0])
    most = request.k + len(excluded)
    first = np.arange(min(most, len(state))) if mask is None else np.flatnonzero(mask)[:most]
    positions = np.setdiff1d(first, excluded)[: request.k]
    items = (len(state) if mask is None else int(np.count_nonzero(mask))) - _hidden(excluded, mask)
    milliseconds = 1_000 * (time.perf_counter() - start)
    return SearchAnswer.model_construct(
        index=state.name,
        generation=state.generation,
        bits=state.bits,
        items=items,
        query=None,
        histogram=None,
        results=[_result(item, None, None) for item in state.items(positions.tolist())],
        timings=Timings(ranking=milliseconds, total=milliseconds),
        how="the first items, in the order of the index",
    )


def mask_of(state: IndexState, where: str | None) -> NDArray[np.bool_] | None:
    """The items that a condition holds for, as a mask; None without one.

    Raises:
        ValueError, VtsearchError: a condition that SQLite does not take, or that takes more than ten seconds.
    """
    return state.mask(where, WHERE_SECONDS)


def _pass(state: IndexState, questions: Sequence[Question], where: str | None, bits: int | None) -> list[SearchAnswer]:
    """The answers of questions with one condition and one length, from one pass over the codes."""
    mask = mask_of(state, where)
    database = state.scans.database(mask=mask, bits=bits)
    if database.scanner is None:
        database = database.recorded()
    codes = np.stack([each.code for each in questions])
    codes = codes if bits is None else prefix(codes, bits)
    excluded = [each.excluded for each in questions] if any(len(each.excluded) for each in questions) else None
    start = time.perf_counter()
    most = max(each.request.k for each in questions)
    distances, indices = ranking.rank(codes, database, most, exclude=excluded)
    how = _how(database)
    counted = [number for number, each in enumerate(questions) if each.request.histogram]
    histograms = _histograms(state, [questions[number] for number in counted], codes[counted], database, mask)
    milliseconds = 1_000 * (time.perf_counter() - start)
    kept = [_kept(each.request, distances[row], indices[row]) for row, each in enumerate(questions)]
    wanted = np.unique(np.concatenate([*kept, [each.item for each in questions if each.item is not None]]).astype(int))
    items = dict(zip(wanted.tolist(), state.items(wanted.tolist()), strict=True))
    by_number = dict(zip(counted, histograms, strict=True))
    answers = []
    for row, each in enumerate(questions):
        positions = kept[row]
        relevant = _relevance(state, each, positions)
        results = [
            _result(items[position], distance, same)
            for position, distance, same in zip(positions.tolist(), distances[row].tolist(), relevant, strict=False)
        ]
        answers.append(
            SearchAnswer.model_construct(
                index=state.name,
                generation=state.generation,
                bits=bits or state.bits,
                items=database.allowed() - _hidden(each.excluded, mask),
                query=_query(each, items),
                histogram=by_number.get(row),
                results=results,
                timings=Timings(ranking=milliseconds, total=milliseconds),
                how=how,
            )
        )
    return answers


def _how(database: Database) -> str:
    """How a search was answered, in words."""
    if database.scanner is not None:
        return f"{len(database):,} items by scans of shards"
    return str(SearchExplanation.of(database))


def _kept(request: SearchRequest, distances: NDArray[np.int32], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of the results that a request takes: the k nearest within its radius."""
    near = distances[: request.k]
    if request.radius is not None:
        near = near[: np.searchsorted(near, request.radius, side="right")]
    return indices[: len(near)]


def _hidden(excluded: NDArray[np.int64], mask: NDArray[np.bool_] | None) -> int:
    """How many of the excluded items would be found otherwise."""
    return len(excluded) if mask is None else int(np.count_nonzero(mask[excluded]))


def _histograms(
    state: IndexState,
    questions: Sequence[Question],
    codes: NDArray[np.uint8],
    database: Database,
    mask: NDArray[np.bool_] | None,
) -> list[Histogram]:
    """The items at each distance from each query, and those that share a label with it."""
    if not questions:
        return []
    bins = (questions[0].request.bits or state.bits) + 1
    counts = ranking.histogram(codes, database, exclude=[each.excluded for each in questions])[:, :bins]
    histograms = []
    for row, each in enumerate(questions):
        relevant = None
        if each.item is not None and state.labels is not None:
            relevant = _relevant_counts(state, each, codes[row : row + 1], mask)[:bins].tolist()
        histograms.append(Histogram.model_construct(counts=counts[row].tolist(), relevant=relevant))
    return histograms


def _relevant_counts(
    state: IndexState, each: Question, code: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """The items at each distance from a query that share a label with it, of those that it may find.

    Without a condition they are counted among the codes of the query's class, which are kept: of ten million items in a
    hundred classes in 0.2 ms, where a scan of all takes 6.
    """
    assert each.item is not None
    if mask is None:
        near, left_out = state.relevant_codes(each.item), each.excluded[state.relevant(each.item, each.excluded)]
    else:
        everything: Any = slice(None)
        found = np.flatnonzero(state.relevant(each.item, everything) & mask)
        near, left_out = state.index.database().rows(np.setdiff1d(found, each.excluded)), np.empty(0, dtype=np.int64)
    gone = state.index.database().rows(left_out)
    if each.request.bits is not None:
        near, gone = prefix(near, each.request.bits), prefix(gone, each.request.bits)
    counts: NDArray[np.int64] = ranking.histogram(code, near)[0] - ranking.histogram(code, gone)[0]
    return counts


def _relevance(state: IndexState, each: Question, positions: NDArray[np.int64]) -> list[bool | None]:
    """Whether each result shares a label with the query; None where its labels are unknown."""
    if each.item is None or state.labels is None:
        return [None] * len(positions)
    found: list[bool | None] = state.relevant(each.item, positions).tolist()
    return found


def _result(item: Any, distance: int | None, relevant: bool | None) -> Result:
    return Result.model_construct(**item.__dict__, distance=distance, relevant=relevant)


def _query(each: Question, items: dict[int, Any]) -> Query:
    if each.item is None:
        code = each.code.tobytes().hex()
        return Query(id=None, code=code, labels=[], names=[], metadata={}, thumbnail=None, image=None)
    return Query.model_construct(**items[each.item].__dict__)


def _search_state(questions: Sequence[Question]) -> Sequence[SearchAnswer | Exception]:
    try:
        return search(questions[0].state, questions)
    except Exception as error:  # noqa: BLE001 (it is told to those who asked)
        if len(questions) == 1 or isinstance(error, UnavailableError):  # which each would wait for anew
            return [error] * len(questions)
        return [_search_state([each])[0] for each in questions]
