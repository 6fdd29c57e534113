"""Near-duplicates in a file are found window by window, wherever two windows hold them."""

from __future__ import annotations

import numpy as np
import pytest
from known_answers import reference
from strategies import seeded_codes, seeded_near_duplicates

from vtsearch import Database, _database, _native, _pages, ranking
from vtsearch.duplicates import Duplicates, deduplicate

N = 203


@pytest.mark.parametrize("bits", [8, 16, 64, 72, 264])
def test_groups_of_a_file_are_the_reference(small_ranges, agree, mapped, bits):
    plain = seeded_near_duplicates(0, N, bits)
    codes = mapped(plain)
    for radius in (0, bits // 3):
        agree(deduplicate(codes, radius).representatives, reference.deduplicate(plain, radius))


@pytest.mark.parametrize("window", [1, 500, 512, 513, 1024, 1400])
@pytest.mark.parametrize("pairs", [1, 600_000, 10**15])
def test_windows_and_steps_of_any_size_give_the_groups_of_the_reference(agree, window, pairs):
    codes = seeded_near_duplicates(0, 300 if window == 1 else 1400, 64)
    told, released = [], []
    found = _native.deduplicate(codes, 2, window, pairs, told.append, lambda *items: released.append(items), 2)
    agree(found, reference.deduplicate(codes, 2))
    assert told == sorted(set(told))
    assert told[-1] == len(codes)
    assert {stop for _, stop in released} == {*range(window, len(codes), window), len(codes)}


@pytest.mark.parametrize("bits", [8, 64, 264])
def test_matches_diameters_and_bounded_groups_of_files_are_the_reference(small_ranges, agree, mapped, bits):
    plain = seeded_near_duplicates(0, 2 * N, bits)
    old, codes = plain[:N], plain[N:]
    for radius in (0, 2, bits // 3):
        matched = reference.matches(codes, old, radius)
        for against in (mapped(old), Database([mapped(old[:70]), old[70:140], mapped(old[140:])])):
            found = deduplicate(mapped(codes), radius, against=against, max_diameter=2 * radius)
            agree(found.representatives, reference.deduplicate(codes, radius, max_diameter=2 * radius))
            agree((found.match_distances, found.matches), tuple(matched))
        agree(found.diameters(mapped(codes)), reference.diameters(codes, found.representatives))


@pytest.mark.parametrize("range_bytes", [1, 800, 2**28])
def test_old_items_in_many_parts_are_matched_as_in_one(agree, monkeypatch, range_bytes):
    monkeypatch.setattr(_database, "RANGE_BYTES", range_bytes)
    plain = seeded_near_duplicates(0, 2 * N, 64)
    old, codes = plain[:N], plain[N:]
    found = deduplicate(codes, 5, against=Database(np.array_split(old, 19)), threads=2)
    agree((found.match_distances, found.matches), tuple(reference.matches(codes, old, 5)))


def test_old_files_and_those_of_groups_are_let_go(small_ranges, mapped, monkeypatch):
    released = []
    monkeypatch.setattr(_pages, "release", released.append)
    plain, old = seeded_codes(0, N, 64), mapped(seeded_codes(1, N, 64))
    deduplicate(plain, 1, against=old)
    assert sum(map(len, released)) == N
    assert all(np.shares_memory(each, old) for each in released)
    released.clear()
    codes, pairs = mapped(plain), Duplicates(np.arange(N) // 2 * 2)
    pairs.diameters(plain)
    assert released == []
    pairs.diameters(codes)
    assert released
    assert all(np.shares_memory(each, codes) for each in released)


def test_every_window_of_a_file_is_let_go_and_none_of_an_array(small_ranges, mapped, monkeypatch):
    released = []
    monkeypatch.setattr(_pages, "release", lambda codes: released.append(len(codes)))
    plain = seeded_codes(0, N, 64)
    deduplicate(plain, 1)
    assert released == []
    deduplicate(mapped(plain), 1)
    assert sum(released) > 2 * N


def test_a_file_smaller_than_a_window_stays(mapped, monkeypatch):
    monkeypatch.setattr(_pages, "release", lambda codes: pytest.fail("let go"))
    deduplicate(mapped(seeded_codes(0, N, 64)), 1)


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_a_file_that_may_be_written_to_keeps_its_changes(monkeypatch, agree, mapped, mode):
    monkeypatch.setattr(_database, "RANGE_BYTES", 2**12)
    plain = seeded_near_duplicates(1, 1500, 64)
    codes = mapped(plain, mode)
    codes[::2] = plain[::2] = plain[1]
    for _ in range(2):
        agree(deduplicate(codes, 1).representatives, reference.deduplicate(plain, 1))
    assert np.array_equal(codes, plain)


@pytest.mark.parametrize("radius", [0, 1, 3])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_raised_while_a_window_is_let_go_ends_the_call(radius, threads):
    def stop(*items):
        raise InterruptedError("enough")

    codes = np.zeros((3000, 16), dtype=np.uint8)
    with pytest.raises(InterruptedError, match="enough"):
        _native.deduplicate(codes, radius, 100, 10**6, None, stop, threads)


@pytest.mark.parametrize("window", [1, 100, 2048, 2500, 2999])
def test_large_groups_are_read_in_windows_of_any_size(agree, window):
    codes = seeded_codes(2, 3000, 64)[np.random.default_rng(0).integers(0, 2600, 3000)]
    groups, released = (np.arange(3000), np.array([0, 3000])), []
    expected = np.array([ranking.distances(codes, codes).max()], dtype=np.int64)
    agree(_native.diameters(codes, *groups, window, 1, None, lambda *items: released.append(items), 2), expected)
    assert released[-1] == (0, 3000)
    first = deduplicate(codes, 0).representatives
    agree(_native.split_groups(codes, *groups, 64, 0, window, 1, None, None, 2), first)


@pytest.mark.parametrize(("callback", "threads"), [("report", 1), ("release", 1), ("release", 3)])
@pytest.mark.parametrize("sizes", [[9000], [9] * 1000])
def test_what_is_raised_while_groups_are_read_ends_the_call(callback, threads, sizes):
    def stop(*items):
        raise InterruptedError("enough")

    codes, groups = seeded_codes(0, 9000, 64), (np.arange(9000), np.cumsum([0, *sizes]))
    callbacks = (stop, None) if callback == "report" else (None, stop)
    with pytest.raises(InterruptedError, match="enough"):
        _native.diameters(codes, *groups, 100, 1, *callbacks, threads)
    with pytest.raises(InterruptedError, match="enough"):
        _native.split_groups(codes, *groups, 64, 20, 100, 1, *callbacks, threads)
