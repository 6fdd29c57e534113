"""Where codes lie in memory changes no answer, and nothing is read before their first byte or after their last."""

from __future__ import annotations

import ctypes
import functools
import mmap

import numpy as np
import pytest
from strategies import EDGE_BITS, FEW_AND_MANY, seeded_codes, seeded_queries

import vtsearch.duplicates
import vtsearch.metrics
import vtsearch.ranking
from vtsearch import reference

PROT_NONE = 0


class FencedPages:
    """Memory between two pages that no one may touch: codes at either end crash a kernel that reads too far."""

    def __init__(self, size):
        page = mmap.PAGESIZE
        self.room = -(-max(size, 1) // page) * page
        self.map = mmap.mmap(-1, self.room + 2 * page)
        self.bytes = np.frombuffer(self.map, dtype=np.uint8)
        mprotect = ctypes.CDLL(None, use_errno=True).mprotect
        mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        for fence in (0, page + self.room):
            assert mprotect(self.bytes.ctypes.data + fence, page, PROT_NONE) == 0, ctypes.get_errno()

    def at_end(self, codes):
        """The codes, ending where the fence begins."""
        start = mmap.PAGESIZE + self.room - codes.size
        return self._copy(codes, start)

    def at_start(self, codes):
        """The codes, starting where the fence ends."""
        return self._copy(codes, mmap.PAGESIZE)

    def _copy(self, codes, start):
        place = self.bytes[start : start + codes.size].reshape(codes.shape)
        place[:] = codes
        return place


def answers(package, queries, database):
    """What a package says of codes: (answer, relative tolerance) of every operation; the reference is a package too."""
    ranking, metrics = (package, package) if package is reference else (vtsearch.ranking, vtsearch.metrics)
    n, bits = len(database), 8 * queries.view(np.uint8).shape[1]
    mask = np.random.default_rng(n).random(n) < 0.3
    labels = np.arange(len(queries)) % 3, np.arange(n) % 3
    yield ranking.rank(queries, database, 5), 0.0
    yield ranking.rank(queries, database, mask=mask), 0.0
    yield ranking.within(queries, database, bits // 2), 0.0
    yield ranking.distances(queries, database), 0.0
    yield ranking.histogram(queries, database), 0.0
    yield ranking.histogram(queries, database, mask=mask), 0.0
    for radius in (0, bits // 3):
        groups = package.deduplicate(database, radius)
        yield groups if package is reference else groups.representatives, 0.0
    counts = metrics.relevance_histograms(queries, database, *labels)
    yield (counts.items, counts.relevant), 0.0
    if n:
        yield metrics.average_precision(queries, database, *labels, ties="index"), 1e-12


@functools.cache
def problem(bits, q, n):
    """Queries, a database, and all that the reference says of them, for every instruction set and place in memory."""
    queries, database = seeded_queries(bits, q, bits), seeded_codes([bits, n], n, bits)
    return queries, database, list(answers(reference, queries, database))


def check_all(agree, queries, database, expected):
    for (actual, _), (answer, rtol) in zip(answers(vtsearch.duplicates, queries, database), expected, strict=True):
        agree(actual, answer, rtol=rtol)


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_nothing_is_read_outside_the_codes(isa, agree, bits, q):
    for n in (0, 1, 7, 8, 9, 31, 33, 64, 65, 257, 513):
        queries, database, expected = problem(bits, q, n)
        query_pages, pages = FencedPages(queries.size), FencedPages(database.size)
        check_all(agree, query_pages.at_end(queries), pages.at_end(database), expected)
        check_all(agree, query_pages.at_start(queries), pages.at_start(database), expected)


@pytest.mark.parametrize("bits", EDGE_BITS)
@pytest.mark.parametrize("offset", [1, 3, 63])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_unaligned_codes_give_the_same_answers(isa, agree, bits, offset, q):
    queries, database, expected = problem(bits, q, 300)

    def shifted(codes):
        buffer = np.empty(codes.size + offset, dtype=np.uint8)
        buffer[offset:] = codes.ravel()
        return buffer[offset:].reshape(codes.shape)

    check_all(agree, shifted(queries), shifted(database), expected)


@pytest.mark.parametrize("bits", [16, 64, 72])
def test_strided_codes_give_the_same_answers(isa, agree, bits):
    queries, database, expected = problem(bits, 3, 300)
    wide = np.concatenate([database, ~database], axis=1)
    check_all(agree, queries, wide[:, : database.shape[1]], expected)
    check_all(agree, np.asfortranarray(queries), np.asfortranarray(database), expected)
    every_second = answers(reference, queries[::-1].copy(), database[::2].copy())
    check_all(agree, queries[::-1], database[::2], every_second)


@pytest.mark.parametrize("bits", [16, 64, 72])
def test_memory_mapped_codes_give_the_same_answers(isa, agree, bits, tmp_path):
    queries, database, expected = problem(bits, 3, 300)
    np.save(tmp_path / "codes.npy", database)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    check_all(agree, queries, mapped, expected)


@pytest.mark.parametrize("word", [np.uint16, np.uint32, np.uint64])
def test_words_are_read_as_their_bytes(isa, agree, word):
    queries, database, expected = problem(64, 3, 300)
    check_all(agree, queries.view(word), database.view(word), expected)
    check_all(agree, queries, database.view(word), expected)
