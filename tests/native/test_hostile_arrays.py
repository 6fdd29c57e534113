"""Whatever is passed for arrays and numbers, calls answer, or raise an error that names the argument; none crashes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeded_codes

from vtsearch import _native, metrics, ranking, reference

WIDTH = 3
SIZES = st.sampled_from([0, 1, 2, 3, 7, 8, 9, 17, 33])
DTYPES = st.sampled_from(["u1", "i1", "?", "u2", ">u2", "u4", "u8", "i8", "f2", "f8", "c8", "O", "U2", "M8[s]", "V3"])
NO_ARRAYS = st.sampled_from([None, 3, "codes", b"codes", [[1, 2, 3], [4]], {}, np.uint8(7), object()])
HUGE_NUMBERS = [-(2**63), 2**31, 2**63 - 1, 2**63, 10**30, np.uint64(2**63)]
STRANGE_NUMBERS = [-1, 0, 2.0, np.nan, "3", True, None, [], np.int8(3), np.bool_(1), np.array(3), np.array([1, 2])]


def mostly(usual, strange):
    """Five times out of six what is usual: of several arguments, one or none is strange."""
    return st.integers(0, 5).flatmap(lambda turn: usual if turn else strange)


NUMBERS = mostly(st.integers(1, 40), st.sampled_from(HUGE_NUMBERS + STRANGE_NUMBERS))
STRANGE_CHOICES = st.sampled_from(["", None, 3, [], np.array(["best", "worst"])])
TIES = mostly(st.sampled_from(["expected", "index", "best", "worst"]), STRANGE_CHOICES)
NORMALIZERS = mostly(st.sampled_from(["retrieved", "relevant", "min"]), STRANGE_CHOICES)


def repeated(array):
    return np.broadcast_to(array[:1], (5, *array.shape[1:])) if array.shape[:1] > (0,) else array


def unaligned(array):
    buffer = np.empty(array.nbytes + 1, dtype=np.uint8)
    view = buffer[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array):
    array.setflags(write=False)
    return array


# Layouts that leave rows of codes rows of codes, and those that do not.
LAYOUTS = (np.asarray, np.asfortranarray, np.flipud, repeated, unaligned, read_only)
OTHER_LAYOUTS = (np.transpose, lambda array: array[..., ::2], memoryview, np.ma.masked_array, np.ndarray.tolist)


@st.composite
def arrays(draw):
    """Arrays of any dtype, shape and layout."""
    dtype, shape = np.dtype(draw(DTYPES)), tuple(draw(st.lists(SIZES, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    array = rng.integers(0, draw(st.sampled_from([2, 200])), shape)
    array = np.zeros(shape, dtype) if dtype.kind in "VM" else array.astype(dtype)
    layout = draw(st.sampled_from([*LAYOUTS, *OTHER_LAYOUTS]))
    try:
        return layout(array)
    except (TypeError, ValueError, IndexError):  # not of an array of this kind
        return array


ANYTHING = st.one_of(arrays(), arrays(), NO_ARRAYS)
OUT = st.none() | st.tuples(ANYTHING, ANYTHING)


def or_anything(array):
    return mostly(st.just(array), ANYTHING)


@st.composite
def sides(draw):
    """Queries and database: codes of one width, in any layout."""
    return tuple(
        draw(or_anything(draw(st.sampled_from(LAYOUTS))(seeded_codes(n, n, 8 * WIDTH))))
        for n in (draw(SIZES), draw(SIZES))
    )


def items_of(side):
    return len(side) if isinstance(side, np.ndarray) and side.ndim else 3


@st.composite
def masks_of(draw, side):
    """None, or for each item a bool or a bit."""
    mask = np.arange(items_of(side)) % 3 > 0
    return draw(mostly(st.sampled_from([None, mask, mask[::-1], np.packbits(mask)]), ANYTHING))


@st.composite
def labels_of(draw, pair):
    """Labels of one form, for each item of both sides."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    form = draw(st.sampled_from([(), (4,)]))
    return [draw(or_anything(rng.integers(0, 2, (items_of(side), *form)))) for side in pair]


@st.composite
def rows_of(draw, side):
    """Offsets and classes as the engine takes them, or nearly so."""
    items = items_of(side)
    lengths = draw(st.lists(st.integers(0, 2), min_size=items, max_size=items))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    classes = np.arange(offsets[-1], dtype=np.int32) % 3
    if draw(st.integers(0, 5)) == 0:
        draw(st.sampled_from([offsets, classes]))[-1:] += draw(st.integers(-3, 9))
    return draw(or_anything(offsets)), draw(or_anything(classes))


@st.composite
def weights_of(draw, side):
    """None, or for each query a number for each of its bits."""
    weights = np.resize(np.arange(64), (items_of(side), 8 * WIDTH))
    plain = [None, weights, weights.astype(np.uint8), weights[:, ::-1], weights[:, :-3]]
    return draw(mostly(st.sampled_from(plain), ANYTHING))


NAMED = re.compile(
    r"(query_codes|db_codes|query_labels|db_labels|k|radius|mask|weights|threads|ties|normalizer): expected "
)


def answer_or_named_error(call, *arguments, **options):
    """What the call returns; None where it raised an error that names an argument."""
    try:
        return call(*arguments, **options)
    except (TypeError, ValueError) as error:
        message = str(error)
    assert NAMED.match(message), f"names no argument: {message}"
    return None


def same(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def plain(array):
    """Rows of bytes, for the reference."""
    rows = np.ascontiguousarray(array)
    return np.atleast_2d(rows).view(np.uint8)


def plain_mask(mask):
    return None if mask is None else np.ascontiguousarray(mask)


def plain_weights(weights):
    return None if weights is None else np.atleast_2d(weights)


@settings(deadline=None)
@given(sides(), NUMBERS, NUMBERS, st.data())
def test_rankings_of_anything_are_right_or_refused(pair, number, threads, data):
    mask, weights = data.draw(masks_of(pair[1])), data.draw(weights_of(pair[0]))
    for name, arguments in [("rank", [number]), ("within", [number]), ("histogram", []), ("distances", [])]:
        options = {"weights": weights} | ({"mask": mask} if name != "distances" else {})
        actual = answer_or_named_error(getattr(ranking, name), *pair, *arguments, **options, threads=threads)
        if actual is not None:
            plainly = {"weights": plain_weights(weights)} | ({"mask": plain_mask(mask)} if "mask" in options else {})
            same(actual, getattr(reference, name)(*map(plain, pair), *arguments, **plainly))


@settings(deadline=None)
@given(sides(), NUMBERS, st.tuples(TIES, NORMALIZERS), NUMBERS, st.data())
def test_metrics_of_anything_are_given_or_refused(pair, k, choices, threads, data):
    labelled = *pair, *data.draw(labels_of(pair))
    options = dict(zip(("ties", "normalizer"), choices, strict=True))
    histograms = answer_or_named_error(metrics.relevance_histograms, *labelled, gains=True, threads=threads)
    if histograms is not None:
        assert (histograms.items.sum(axis=1) == len(pair[1])).all()
        answer_or_named_error(metrics.average_precision_of, histograms, k, **options)
    scores = answer_or_named_error(metrics.average_precision, *labelled, k, **options, threads=threads)
    assert scores is None or ((scores >= 0) & (scores <= 1)).all()


@settings(deadline=None)
@given(sides(), NUMBERS, NUMBERS, st.data())
def test_the_engine_itself_answers_anything_or_raises(pair, number, threads, data):
    mask, weights = data.draw(masks_of(pair[1])), data.draw(weights_of(pair[0]))
    rows = [part for side in pair for part in data.draw(rows_of(side))]
    counts = [data.draw(or_anything(np.ones((items_of(pair[0]), 8 * WIDTH + 1), np.int64))) for _ in range(4)]
    queries = items_of(pair[0])
    sums = [data.draw(or_anything(np.zeros(queries, dtype))) for dtype in (np.float64, np.int64)]
    exclusions = [(None, None), (np.arange(queries + 1), np.arange(queries)), tuple(counts[:2])]
    excluded = exclusions[data.draw(st.integers(0, 2))]  # not sampled from: Hypothesis hashes, and arrays have no hash
    classes = number if isinstance(number, int) and number < 2**31 else 9  # the engine has memory for each of them
    for call, arguments in [
        (_native.rank, (*pair, number, mask, threads, data.draw(OUT), weights)),
        (_native.within, (*pair, number, mask, threads, weights)),
        (_native.histogram, (*pair, mask, threads, weights)),
        (
            _native.distances,
            (
                *pair,
                data.draw(or_anything(np.empty((items_of(pair[0]), items_of(pair[1])), np.int32))),
                threads,
                weights,
            ),
        ),
        (_native.relevance_histograms, (*pair, *rows, classes, mask, threads, weights)),
        (_native.gain_histograms, (*pair, *rows, classes, mask, threads, weights)),
        (
            _native.average_precision_by_index,
            (*pair, *rows, classes, mask, *counts[:2], number, *counts[2:], *sums, *excluded, threads, weights),
        ),
    ]:
        try:
            call(*arguments)
        except (TypeError, ValueError):
            continue


COUNTS = st.lists(mostly(st.integers(1, 1000), st.integers(-2, 0)), min_size=6, max_size=6).map(
    lambda values: np.array(values).reshape(2, 3)
)


@settings(deadline=None)
@given(mostly(COUNTS, ANYTHING), mostly(COUNTS, ANYTHING), NUMBERS, st.tuples(TIES, NORMALIZERS))
def test_scores_of_any_histograms_are_given_or_refused(items, relevant, k, choices):
    try:
        scores = _native.average_precision(items, relevant, k, *choices)
    except (TypeError, ValueError):
        return
    assert ((scores >= 0) & (scores <= 1 + 1e-12)).all()


def test_an_error_that_names_no_argument_is_noticed():
    with pytest.raises(AssertionError, match=r"names no argument: .*incompatible function arguments"):
        answer_or_named_error(_native.distances, 1, 2, 3)
