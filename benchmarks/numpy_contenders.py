"""The other ways to the same answers: the fastest numpy we know, and the evaluation loop of the hashing literature."""

from __future__ import annotations

import numpy as np

WORDS = {2: np.uint16, 4: np.uint32}


def as_words(codes):
    """(n, bytes) codes as (words, n) integers of the widest type that divides them: one xor for many bits."""
    return np.ascontiguousarray(codes.view(WORDS.get(codes.shape[1], np.uint64)).T)


def distances_numpy(query, database):
    """(n,) uint8: a word at a time, without a widening sum; codes of 256 bits and more must not all differ."""
    distances = np.bitwise_count(database[0] ^ query[0])
    for word, row in zip(query[1:], database[1:], strict=True):
        distances += np.bitwise_count(row ^ word)
    return distances


def rank_numpy(query_codes, db_codes, k):
    """The k nearest by (distance, index).

    Tried for 64 bits, 54,000 codes, k = 10, microseconds per query: threshold from the counts by distance (this one)
    219; numpy.partition of uint8 distances and the same steps after it 626; stable radix argsort of all 716;
    numpy.partition of distance * n + index 748; numpy.argpartition, which breaks ties at random, 1,146.
    """
    queries, database = as_words(query_codes).T, as_words(db_codes)
    found = np.empty((len(queries), k), dtype=np.int32), np.empty((len(queries), k), dtype=np.int64)
    for q, query in enumerate(queries):
        distances = distances_numpy(query, database)
        threshold = np.searchsorted(np.cumsum(np.bincount(distances)), k)
        inside = np.flatnonzero(distances <= threshold)
        order = inside[np.argsort(distances[inside], kind="stable")[:k]]
        found[0][q], found[1][q] = distances[order], order
    return found


def rank_argpartition(query_codes, db_codes, k):
    """The k nearest by distance, the usual way; which of the items tied at the k-th place it keeps is open."""
    queries, database = as_words(query_codes).T, as_words(db_codes)
    found = np.empty((len(queries), k), dtype=np.int32), np.empty((len(queries), k), dtype=np.int64)
    for q, query in enumerate(queries):
        distances = distances_numpy(query, database)
        nearest = np.argpartition(distances, k - 1)[:k]
        order = nearest[np.argsort(distances[nearest], kind="stable")]
        found[0][q], found[1][q] = distances[order], order
    return found


def rank_all_numpy(query_codes, db_codes):
    """Everything by (distance, index): a stable argsort of uint8 is a radix sort."""
    queries, database = as_words(query_codes).T, as_words(db_codes)
    found = np.empty((len(queries), len(db_codes)), np.int32), np.empty((len(queries), len(db_codes)), np.int64)
    for q, query in enumerate(queries):
        distances = distances_numpy(query, database)
        order = np.argsort(distances, kind="stable")
        found[0][q], found[1][q] = distances[order], order
    return found


def precision_numpy(query_codes, db_codes, query_labels, db_labels):
    """(q,) AP over everything, ties by index: the literature's loop with integer distances, labels and a radix sort."""
    queries, database = as_words(query_codes).T, as_words(db_codes)
    scores = []
    for query, label in zip(queries, query_labels, strict=True):
        order = np.argsort(distances_numpy(query, database), kind="stable")
        scores.append(mean_precision(db_labels[order] == label))
    return np.array(scores)


def precision_literature(query_signs, db_signs, query_labels, db_labels, k):
    """(q,) AP at k with the steps of the literature's evaluation loops (DeepHash-pytorch, CSQ, VTS), written anew.

    Per query: relevance from a product of 0/1 labels, distances from a product of float codes of -1 and 1, a sort of
    all of them that is not stable, so that tied items come in an order that depends on the processor.
    """
    bits = db_signs.shape[1]
    scores = []
    for signs, labels in zip(query_signs, query_labels, strict=True):
        relevant = labels @ db_labels.T > 0
        distances = (bits - signs @ db_signs.T) / 2
        scores.append(mean_precision(relevant[np.argsort(distances)][:k]))
    return np.array(scores)


def mean_precision(relevant):
    """The mean of the precisions where something relevant stands; ``relevant`` is bool, nearest item first."""
    positions = np.flatnonzero(relevant) + 1
    return (np.arange(1, len(positions) + 1) / positions).mean() if len(positions) else 0.0
