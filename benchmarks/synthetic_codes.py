"""Codes and labels to measure with: every kind is a function of (rng, bits, queries, items)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
LABELS, LABELS_PER_ITEM = 80, 2.9  # of COCO


class Sample(NamedTuple):
    queries: NDArray[np.uint8]
    database: NDArray[np.uint8]
    query_labels: NDArray[Any] | None = None
    db_labels: NDArray[Any] | None = None
    mask: NDArray[np.uint8] | None = None  # packed bits, of all queries or a row for each
    features: NDArray[Any] | None = None  # of the database, to be packed


def random_codes(rng, bits, count):
    return rng.integers(0, 256, (count, bits // 8), dtype=np.uint8)


def flipped(rng, codes, chance):
    """The codes with each bit flipped with this chance."""
    codes = codes.copy()
    for bit in range(8):
        codes ^= (rng.random(codes.shape, dtype=np.float32) < chance).astype(np.uint8) << np.uint8(bit)
    return codes


def random(rng, bits, queries, items):
    return Sample(random_codes(rng, bits, queries), random_codes(rng, bits, items))


def classes_of(rng, bits, queries, items, flipped):
    """Ten centers of random bits, and around them codes whose bits are each flipped with the chance ``flipped``."""
    centers = rng.integers(0, 2, (CLASSES, bits), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, queries + items)
    flips = rng.random((len(labels), bits)) < flipped
    codes = np.packbits(centers[labels] ^ flips, axis=1)
    return Sample(codes[:queries], codes[queries:], labels[:queries], labels[queries:])


def ten_classes(rng, bits, queries, items):
    return classes_of(rng, bits, queries, items, 0.15)


def by_class(rng, bits, queries, items):
    """Nearly equal codes within a class, as a trained model gives them, all of a class side by side."""
    sample = classes_of(rng, bits, queries, items, 0.01)
    order = np.argsort(sample.db_labels, kind="stable")
    return sample._replace(database=sample.database[order], db_labels=sample.db_labels[order])


def clusters(rng, bits, queries, items):
    """About a thousand codes around each center, 3 % of their bits flipped, as photographs of one object have them."""
    centers = random_codes(rng, bits, max(items // 1000, 1))
    codes = flipped(rng, centers[rng.integers(0, len(centers), queries + items)], 0.03)
    return Sample(codes[:queries], codes[queries:])


def eighty_labels(rng, bits, queries, items):
    """Multi-label: few labels are on most items, as in COCO; a code has the majority of its labels' centers."""
    chances = 1 / np.arange(2, LABELS + 2)
    chances *= LABELS_PER_ITEM / chances.sum()
    labels = (rng.random((queries + items, LABELS)) < chances).astype(np.uint8)
    labels[~labels.any(axis=1), 0] = 1
    centers = rng.choice([-1, 1], (LABELS, bits)).astype(np.float32)
    codes = np.packbits(labels @ centers + rng.normal(size=(len(labels), bits)) > 0, axis=1)
    return Sample(codes[:queries], codes[queries:], labels[:queries], labels[queries:])


def far_to_near(rng, bits, queries, items):
    """Nearly every next item is nearer than all before, for every query: all queries are one code, less a bit."""
    center = random_codes(rng, bits, 1)
    ones = np.unpackbits(np.repeat(center, queries, axis=0), axis=1)
    ones[np.arange(queries), rng.integers(0, bits, queries)] ^= 1
    database = random_codes(rng, bits, items)
    distances = np.bitwise_count(database ^ center).sum(axis=1)
    return Sample(np.packbits(ones, axis=1), database[np.argsort(-distances, kind="stable")])


def few_codes(rng, bits, queries, items, distinct):
    codes = random_codes(rng, bits, distinct)
    return Sample(codes[rng.integers(0, distinct, queries)], codes[rng.integers(0, distinct, items)])


def masked(rng, bits, queries, items, share):
    return random(rng, bits, queries, items)._replace(mask=np.packbits(rng.random(items, dtype=np.float32) < share))


def masked_by_query(rng, bits, queries, items, share):
    mask = rng.random((queries, items), dtype=np.float32) < share
    return random(rng, bits, queries, items)._replace(mask=np.packbits(mask, axis=1))


def features(rng, bits, queries, items, dtype):
    values = rng.standard_normal((items, bits), dtype=np.float32)
    codes = np.packbits(values > 0, axis=1)
    signs = values if np.dtype(dtype).kind == "f" else values > 0
    return Sample(codes[:queries], codes, features=signs.astype(dtype))


SHARES = (0.1, 1, 10, 50, 90, 99)  # percent that a mask allows

KINDS = {
    "random": random,
    "ten classes": ten_classes,
    "80 labels": eighty_labels,
    "clusters": clusters,
    "by class": by_class,
    "far to near": far_to_near,
    "all equal": functools.partial(few_codes, distinct=1),
    "five codes": functools.partial(few_codes, distinct=5),
    **{f"{share} % allowed": functools.partial(masked, share=share / 100) for share in SHARES},
    "50 % allowed, by query": functools.partial(masked_by_query, share=0.5),
    **{kind: functools.partial(features, dtype=kind) for kind in ("float32", "float16", "int8", "bool")},
}


@functools.lru_cache(maxsize=1)
def sample(kind: str, bits: int, queries: int, items: int) -> Sample:
    """The same arrays for the same words; only the last are kept."""
    return KINDS[kind](np.random.default_rng(bits), bits, queries, items)


def shuffled(sample: Sample) -> Sample:
    return sample._replace(database=np.random.default_rng(0).permutation(sample.database))


def random_like(sample: Sample) -> Sample:
    (queries, width), items = sample.queries.shape, len(sample.database)
    return random(np.random.default_rng(0), 8 * width, queries, items)
