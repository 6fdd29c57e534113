"""Sampling rules of published splits, beside ``splits.split.draw_split``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vtsearch.data.splits.split import Split, draw_split, generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.data.splits.split import DatabaseRule

DrawRule = Literal["classes", "quotas", "sizes"]
UNSEEN = 1  # beside the seed of a split, for the draw of classes


def draw(
    rule: DrawRule,
    labels: NDArray[Any],
    classes: Sequence[str],
    *,
    queries: int,
    train: int,
    database: DatabaseRule,
    seed: int = 0,
    name: str = "split",
) -> Split:
    """A split by one of the rules: numbers are per class for "classes" and "quotas", in total for "sizes".

    Raises:
        ValueError: too few images for the numbers.
    """
    if rule == "classes":
        return draw_split(
            labels, classes, queries_per_class=queries, train_per_class=train, database=database, seed=seed, name=name
        )
    if rule == "quotas":
        return draw_by_quotas(labels, queries_per_class=queries, train_per_class=train, database=database, seed=seed)
    return draw_by_sizes(len(labels), queries=queries, train=train, database=database, seed=seed, name=name)


def draw_by_quotas(
    labels: NDArray[Any], *, queries_per_class: int, train_per_class: int, database: DatabaseRule, seed: int = 0
) -> Split:
    """NUS-WIDE's split: images in random order fill quotas of training images and of queries of each class.

    An image counts for the first of its labels, in the order of the columns, with a quota left: that of training images
    if it is not yet filled, else that of queries. Images without such a label are the rest.

    Args:
        labels: 0/1 (n, classes), or int64 (n,).
        queries_per_class: quota of queries.
        train_per_class: quota of training images.
        database: "rest", "rest+train" or "train".
        seed: of the order, numpy's ``PCG64``.

    Raises:
        ValueError: the training quotas leave no query.

    Source: the split of NUS-WIDE's 21 most frequent concepts used in the hashing literature.
    """
    columns = np.eye(int(labels.max()) + 1, dtype=np.uint8)[labels] if labels.ndim == 1 else labels
    quotas = np.array([[train_per_class, queries_per_class]] * columns.shape[1])  # (classes, 2)
    role = np.zeros(len(columns), dtype=np.uint8)
    for item in generator(seed).permutation(len(columns)):
        own = np.flatnonzero(columns[item])
        free = own[quotas[own].any(axis=1)]
        if len(free):
            kind = int(quotas[free[0], 0] == 0)  # training quotas first
            quotas[free[0], kind] -= 1
            role[item] = 2 - kind
            if not quotas.any():
                break
    return _split(role, database, seed, f"{train_per_class} training and {queries_per_class} query places per class")


def draw_by_sizes(
    images: int, *, queries: int, train: int, database: DatabaseRule, seed: int = 0, name: str = "split"
) -> Split:
    """A split by a random permutation: first the training images, then the queries, then the rest.

    Raises:
        ValueError: fewer images than requested, and one for the database.
    """
    least = queries + train + (database == "rest")
    if images < least:
        raise ValueError(f"{name}: {images} images, and {least} are needed ({queries} query and {train} train)")
    order = generator(seed).permutation(images)
    role = np.zeros(images, dtype=np.uint8)
    role[order[:train]] = 2
    role[order[train : train + queries]] = 1
    return _split(role, database, seed, f"{train} training images and {queries} queries")


def with_unseen_classes(split: Split, labels: NDArray[Any], classes: int, seen: int, database: DatabaseRule) -> Split:
    """The split with the training images of some classes alone; queries and database keep all classes.

    Which classes, the split's seed decides. Training images of the others join the database where it is the rest.

    Args:
        split: of all classes.
        labels: int64 (n,) of the images.
        classes: number of classes.
        seen: how many of them have training images.
        database: the rule of the split.

    Source: Sablayrolles et al., How should we evaluate supervised hashing?, ICASSP 2017,
    https://arxiv.org/abs/1609.06753.
    """
    random = np.random.Generator(np.random.PCG64([split.seed, UNSEEN]))
    is_seen = np.isin(labels[split.train], random.permutation(classes)[:seen])
    added = split.train[~is_seen] if database == "rest" else split.train[:0]
    return Split(split.query, split.train[is_seen], np.union1d(split.database, added), split.seed)


def _split(role: NDArray[np.uint8], database: DatabaseRule, seed: int, request: str) -> Split:
    """The split by the roles of images: 0 rest, 1 query, 2 train."""
    searched = {"rest": role == 0, "rest+train": role != 1, "train": role == 2}[database]
    if not (role == 1).any() or not searched.any():
        raise ValueError(f"split: {request} leave no query or no database of {len(role)} images")
    return Split(np.flatnonzero(role == 1), np.flatnonzero(role == 2), np.flatnonzero(searched), seed)
