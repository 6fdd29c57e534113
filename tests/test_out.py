"""Results in arrays of the caller, and distances of fewer bytes."""

from __future__ import annotations

import numpy as np
import pytest
from strategies import seeded_codes, seeded_queries

import vtsearch
from vtsearch import ranking, reference
from vtsearch._database import Database

QUERIES, CODES = seeded_queries(0, 5, 64), seeded_codes(1, 700, 64)
SHAPE = (5, 9)


def rows(shape=SHAPE, dtypes=(np.int32, np.int64)):
    return tuple(np.full(shape, -1, dtype=dtype) for dtype in dtypes)


@pytest.mark.parametrize("options", [{}, {"exclude": range(5)}, {"mask": np.arange(3500).reshape(5, 700) % 3 > 0}])
@pytest.mark.parametrize("parts", [1, 2])
def test_rank_fills_the_arrays_it_is_given(isa, agree, options, parts):
    database = CODES if parts == 1 else Database([CODES[:300], CODES[300:]])
    out = rows()
    found = ranking.rank(QUERIES, database, 9, out=out, **options)
    assert found.distances is out[0]
    assert found.indices is out[1]
    agree(found, reference.rank(QUERIES, CODES, 9, **options))
    assert ranking.rank(QUERIES[::-1].copy(), database, 9, out=found, **options).indices is out[1]


def test_rows_are_as_long_as_a_mask_allows():
    mask = np.arange(700) < 4
    np.testing.assert_array_equal(
        ranking.rank(QUERIES, CODES, None, mask=mask, out=rows((5, 4))).indices,
        reference.rank(QUERIES, CODES, None, mask=mask).indices,
    )


def read_only(array):
    array.setflags(write=False)
    return array


@pytest.mark.parametrize(
    ("out", "kind", "message"),
    [
        (np.zeros(SHAPE, dtype=np.int32), TypeError, "out: expected distances and indices, two arrays, got ndarray"),
        (rows()[:1], TypeError, "out: expected distances and indices, two arrays, got tuple"),
        (rows(dtypes=(np.int64, np.int64)), TypeError, "out's distances: expected an array of int32, got int64"),
        (rows(dtypes=(np.int32, np.int32)), TypeError, "out's indices: expected an array of int64, got int32"),
        (([[1]], rows()[1]), TypeError, "out's distances: expected an array of int32, got list"),
        (rows((5, 10)), ValueError, r"out's distances: expected \(5, 9\), got \(5, 10\)"),
        ((rows()[0], rows((9, 5))[1]), ValueError, r"out's indices: expected \(5, 9\), got \(9, 5\)"),
        ((read_only(rows()[0]), rows()[1]), ValueError, "out's distances: expected a C-contiguous, aligned array"),
        ((rows()[0], rows((9, 5))[1].T), ValueError, "out's indices: expected a C-contiguous, aligned array"),
    ],
)
def test_other_arrays_for_rankings_are_refused(out, kind, message):
    with pytest.raises(kind, match=message):
        ranking.rank(QUERIES, CODES, 9, out=out)


def test_arrays_in_the_memory_of_codes_or_of_each_other_are_refused():
    memory = np.zeros(5 * 700 * 8, dtype=np.uint8)
    codes = memory[: 700 * 8].reshape(700, 8)
    shared = memory[: 5 * 9 * 4].view(np.int32).reshape(SHAPE)
    for out in (
        (shared, rows()[1]),
        (memory[-180:].view(np.int32).reshape(SHAPE), memory[-360:].view(np.int64).reshape(SHAPE)),
    ):
        with pytest.raises(ValueError, match=r"out's .*: expected memory apart from that of the codes"):
            ranking.rank(QUERIES, codes, 9, out=out)
    with pytest.raises(ValueError, match="out: expected memory apart from that of the codes"):
        vtsearch.distances(QUERIES, codes, out=memory[: 5 * 700].reshape(5, 700))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
@pytest.mark.parametrize("bits", [16, 64, 136, 248])
@pytest.mark.parametrize("parts", [1, 2])
def test_distances_have_the_dtype_asked_for(isa, agree, dtype, bits, parts):
    queries, codes = seeded_queries(bits, 6, bits), seeded_codes(bits, 1030, bits)
    database = codes if parts == 1 else Database([codes[:301], codes[301:]])
    expected = reference.distances(queries, codes).astype(dtype)
    agree(ranking.distances(queries, database, dtype=dtype), expected)
    out = np.full((6, 1030), 77, dtype=dtype)
    assert ranking.distances(queries, database, out=out) is out
    agree(out, expected)


def test_the_farthest_code_of_31_bytes_is_248_bits_away():
    codes = np.array([[0] * 31, [255] * 31], dtype=np.uint8)
    assert ranking.distances(codes, codes, dtype="uint8").tolist() == [[0, 248], [248, 0]]
    wider = np.zeros((2, 32), dtype=np.uint8)
    with pytest.raises(TypeError, match="dtype: expected one of int32, uint16 for distances of up to 256, got uint8"):
        ranking.distances(wider, wider, dtype="uint8")
    with pytest.raises(TypeError, match="out: expected an array of int32 or uint16, got uint8"):
        ranking.distances(wider, wider, out=np.zeros((2, 2), dtype=np.uint8))


@pytest.mark.parametrize("dtype", ["float32", "int64", "no dtype", ">i4", object])
def test_other_dtypes_of_distances_are_refused(dtype):
    with pytest.raises(TypeError, match="dtype: expected one of int32, uint16, uint8 for distances of up to 64, got"):
        ranking.distances(QUERIES, CODES, dtype=dtype)


def test_an_array_of_another_dtype_than_asked_for_is_refused():
    with pytest.raises(TypeError, match="out: expected an array of uint8, got uint16"):
        ranking.distances(QUERIES, CODES, dtype=np.uint8, out=np.zeros((5, 700), dtype=np.uint16))
