"""Index folders to divide among shards, and the questions whose answers must be those of one index."""

from __future__ import annotations

import numpy as np

import vtsearch
from vtsearch import reference
from vtsearch.index import Index

BITS = 44


def codes_of(seed, count, bits=BITS):
    """Codes near ten centers, so that distances tie often."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(7).integers(0, 2, (10, bits))
    return reference.pack(centers[rng.integers(0, 10, count)] ^ (rng.random((count, bits)) < 0.1))


def labels_of(form, seed, count):
    rng = np.random.default_rng(seed)
    many = (rng.random((count, 11)) < 0.3).astype(np.uint8)
    return {"none": None, "single": rng.integers(0, 5, count), "multi": many}[form]


def grown(folder, form="single", *, sizes=(90, 1, 45, 130), prefix=""):
    """An index of several segments, with metadata that some of them lack, from which items have been removed."""
    index = Index.create(folder, BITS, fingerprints={"model": "m", "preprocessing": "p"})
    for seed, count in enumerate(sizes):
        names = [f"{prefix}{seed}/{n}" for n in range(count)]
        metadata = {"number": range(count), "word": [str(n % 3) for n in range(count)]} if seed else None
        index.add(codes_of(seed, count), names, labels_of(form, seed, count), metadata)
    index.remove([f"{prefix}0/{n}" for n in (0, 7, 39)] + [f"{prefix}3/{n}" for n in range(20, 26)], missing="ignore")
    return index


def questions(count, seed=0):
    """Questions by their name: functions of an index of ``count`` items."""
    rng, queries = np.random.default_rng(seed), codes_of(99, 7)
    mask, masks = rng.random(count) < 0.3, rng.random((7, count)) < 0.4
    positions = rng.integers(-1, count, 7)
    several = [rng.integers(0, count, n) for n in (0, 1, 3, 0, 9, 2, 25)]
    few = np.zeros(count, dtype=bool)
    few[rng.choice(count, 3, replace=False)] = True
    restrictions = {
        "all": {},
        "mask": {"mask": mask},
        "packed mask": {"mask": np.packbits(mask)},
        "mask of positions": {"mask": np.flatnonzero(mask)},
        "mask of few": {"mask": few},
        "mask of none": {"mask": np.zeros(count, dtype=bool)},
        "mask by query": {"mask": masks},
        "packed mask by query": {"mask": np.packbits(masks, axis=1)},
        "exclude": {"exclude": positions},
        "exclude several": {"exclude": several},
        "mask and exclude": {"mask": mask, "exclude": several},
        "mask by query and exclude": {"mask": masks, "exclude": several},
        "where": {"where": "number > ? OR id GLOB '0*'", "params": [60]},
        "where and mask": {"where": "word = :word", "params": {"word": "1"}, "mask": mask},
        "where and exclude": {"where": "number < 40", "exclude": several},
        "bits": {"bits": 13},
        "bits and exclude": {"bits": 13, "exclude": several},
    }

    def asked(name, own):
        yield f"search 5, {name}", lambda index: index.search(queries, 5, **own)
        yield f"search one, {name}", lambda index: index.search(queries[:1], 12, **_first(own))
        yield f"within, {name}", lambda index: index.within(queries, 9, **own)
        yield f"count, {name}", lambda index: index.count(queries, 9, **own)
        yield f"histogram, {name}", lambda index: index.histogram(queries, **own)

    found = {name: each for kind, own in restrictions.items() for name, each in asked(kind, own)}
    return found | {
        "search all": lambda index: index.search(queries),
        "search beyond all": lambda index: index.search(queries, 10 * count),
        "search all items without themselves": lambda index: index.search(
            index.database().rows(np.arange(len(index))), 3, exclude="self"
        ),
        "search nothing": lambda index: index.search(queries[:0], 5),
        "search items": lambda index: index.search_items(index.ids()[3:count:17], 4),
        "search items with themselves": lambda index: index.search_items(index.ids()[:2], 4, exclude=None),
        "within 0": lambda index: index.within(codes_of(1, 1), 0),
        "within all": lambda index: index.within(queries, BITS),
    }


def _first(own):
    """The same restriction for the first query alone."""
    own = dict(own)
    if own.get("mask") is not None and own["mask"].ndim == 2:
        own["mask"] = own["mask"][:1]
    if "exclude" in own:
        own["exclude"] = list(own["exclude"])[:1]
    return own


def same(found, expected):
    """Assert that answers are equal to the last bit, dtypes included."""
    found, expected = (answer if isinstance(answer, tuple) else (answer,) for answer in (found, expected))
    assert type(found) is type(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, list):
            assert one == other
            continue
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.flags.writeable
        np.testing.assert_array_equal(one, other)


def weighted(index, seed=3):
    """A ranking by weights, of an index or of a database."""
    features = np.random.default_rng(seed).normal(size=(7, BITS))
    queries, weights = vtsearch.pack(features), vtsearch.query_weights(features)
    if isinstance(index, Index):
        return vtsearch.rank(queries, index.database(), 9, weights=weights)
    return index.rank(queries, 9, weights=weights)
