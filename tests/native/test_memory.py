"""Where codes lie in memory changes no answer, and nothing is read before their first byte or after their last."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np
import pytest
from strategies import FEW_AND_MANY, seeded_codes, seeded_queries

from vtsearch import duplicates, metrics, ranking, reference

BITS = (8, 16, 24, 32, 40, 56, 64, 72, 96, 120, 128, 136, 160, 192, 256, 264, 512, 1000)
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


def check_all(agree, queries, database, plain_queries, plain_database):
    n = len(plain_database)
    mask = np.random.default_rng(n).random(n) < 0.3
    labels = np.arange(len(plain_queries)) % 3, np.arange(n) % 3
    bits = 8 * plain_queries.shape[1]
    agree(ranking.rank(queries, database, 5), reference.rank(plain_queries, plain_database, 5))
    agree(ranking.rank(queries, database, mask=mask), reference.rank(plain_queries, plain_database, mask=mask))
    agree(ranking.within(queries, database, bits // 2), reference.within(plain_queries, plain_database, bits // 2))
    agree(ranking.distances(queries, database), reference.distances(plain_queries, plain_database))
    agree(ranking.histogram(queries, database), reference.histogram(plain_queries, plain_database))
    agree(
        ranking.histogram(queries, database, mask=mask), reference.histogram(plain_queries, plain_database, mask=mask)
    )
    for radius in (0, bits // 3):
        found = duplicates.deduplicate(database, radius).representatives
        agree(found, reference.deduplicate(plain_database, radius))
    actual = metrics.relevance_histograms(queries, database, *labels)
    expected = reference.relevance_histograms(plain_queries, plain_database, *labels)
    agree((actual.items, actual.relevant), (expected.items, expected.relevant))
    if n:
        agree(
            metrics.average_precision(queries, database, *labels, ties="index"),
            reference.average_precision(plain_queries, plain_database, *labels, ties="index"),
            rtol=1e-12,
        )


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_nothing_is_read_outside_the_codes(isa, agree, bits, q):
    for n in (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257, 511, 512, 513):
        queries, database = seeded_queries(bits, q, bits), seeded_codes(n, n, bits)
        query_pages, pages = FencedPages(queries.size), FencedPages(database.size)
        check_all(agree, query_pages.at_end(queries), pages.at_end(database), queries, database)
        check_all(agree, query_pages.at_start(queries), pages.at_start(database), queries, database)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("offset", [1, 3, 63])
@pytest.mark.parametrize("q", FEW_AND_MANY)
def test_unaligned_codes_give_the_same_answers(isa, agree, bits, offset, q):
    queries, database = seeded_queries(bits, q, bits), seeded_codes(bits, 600, bits)

    def shifted(codes):
        buffer = np.empty(codes.size + offset, dtype=np.uint8)
        buffer[offset:] = codes.ravel()
        return buffer[offset:].reshape(codes.shape)

    check_all(agree, shifted(queries), shifted(database), queries, database)


@pytest.mark.parametrize("bits", [16, 64, 72])
def test_strided_codes_give_the_same_answers(isa, agree, bits):
    queries, database = seeded_queries(bits, 3, bits), seeded_codes(bits, 300, bits)
    wide = np.concatenate([database, ~database], axis=1)
    check_all(agree, queries, wide[:, : database.shape[1]], queries, database)
    check_all(agree, queries[::-1], database[::2], queries[::-1].copy(), database[::2].copy())
    check_all(agree, np.asfortranarray(queries), np.asfortranarray(database), queries, database)


@pytest.mark.parametrize("bits", [16, 64, 72])
def test_memory_mapped_codes_give_the_same_answers(isa, agree, bits, tmp_path):
    queries, database = seeded_queries(bits, 3, bits), seeded_codes(bits, 300, bits)
    np.save(tmp_path / "codes.npy", database)
    mapped = np.load(tmp_path / "codes.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    check_all(agree, queries, mapped, queries, database)


@pytest.mark.parametrize("word", [np.uint16, np.uint32, np.uint64])
def test_words_are_read_as_their_bytes(isa, agree, word):
    queries, database = seeded_queries(0, 3, 64), seeded_codes(0, 300, 64)
    check_all(agree, queries.view(word), database.view(word), queries, database)
    check_all(agree, queries, database.view(word), queries, database)
