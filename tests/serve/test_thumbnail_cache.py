from __future__ import annotations

from vtsearch.serve.thumbnail_cache import MOST_BYTES, ThumbnailCache


def test_thumbnails_are_kept_by_generation_id_and_side():
    cache = ThumbnailCache()
    cache.put("one", "a", 64, b"thumbnail")
    assert cache.get("one", "a", 64) == b"thumbnail"
    assert [cache.get("two", "a", 64), cache.get("one", "b", 64), cache.get("one", "a", 65)] == [None] * 3
    cache.put("one", "a", 64, b"another")
    assert (cache.get("one", "a", 64), len(cache)) == (b"another", 1)


def test_those_not_asked_for_longest_give_way():
    cache = ThumbnailCache(10_000)
    for name in "abcdefgh":
        cache.put(0, name, 64, bytes(1000))
        cache.get(0, "a", 64)
    assert cache.size <= 10_000
    assert [name for name in "abcdefgh" if cache.get(0, name, 64) is not None] == list("acdefgh")


def test_the_bound_holds_whatever_is_put():
    cache = ThumbnailCache(100_000)
    for number in range(3000):
        cache.put(number % 3, f"{number % 700}", 64 + number % 5, bytes(number))
        assert cache.size <= 100_000
    for number in range(3000):
        cache.put(3, f"{number}", 64, b"")  # keys alone
    assert len(cache) < 400
    assert MOST_BYTES == 64 * 2**20


def test_one_that_is_larger_than_all_is_not_kept():
    cache = ThumbnailCache(1000)
    cache.put(0, "a", 64, bytes(10))
    cache.put(0, "b", 64, bytes(1001))
    assert (cache.get(0, "b", 64), cache.get(0, "a", 64)) == (None, bytes(10))
    cache.put(0, "a", 64, bytes(1001))
    assert (cache.get(0, "a", 64), len(cache), cache.size) == (None, 0, 0)
