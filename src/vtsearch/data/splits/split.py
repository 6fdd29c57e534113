"""Splits into queries, training set and database: seeded sampling, files, and fingerprints.

Published code draws its splits from an unseeded generator, so a resumed run has training images among its queries; here
a split is a value with a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vtsearch._atomic_io import write_file
from vtsearch._json import read_json
from vtsearch._validate import whole_number
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Positions = np.ndarray[Any, np.dtype[np.int64]]
DatabaseRule = Literal["rest", "rest+train", "train"]
FORMAT = "vtsearch-split"
MOST_BYTES = 2**30
"""Largest split file that is read: a hundred million positions."""


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in an image source: int64 (q,), (t,) and (n,), each without duplicates.

    Raises:
        ValueError: an array that is not one-dimensional, repeats a position, or holds one below 0; a query that is
            also a training or database image.
    """

    query: Positions
    train: Positions
    database: Positions
    seed: int = 0
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        for name in ("query", "train", "database"):
            positions = np.array(getattr(self, name), dtype=np.int64)
            if positions.ndim != 1 or len(np.unique(positions)) != len(positions) or (positions < 0).any():
                raise ValueError(f"{name}: expected different positions from 0, shape (n,), got {positions!r}")
            positions.flags.writeable = False
            object.__setattr__(self, name, positions)
        for name in ("train", "database"):
            shared = np.intersect1d(self.query, getattr(self, name))
            if len(shared):
                raise ValueError(f"query: expected no {name} image, got {len(shared)}, the first at {shared[0]}")
        object.__setattr__(self, "fingerprint", _fingerprint(self.query, self.train, self.database))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)


def generator(seed: int) -> np.random.Generator:
    """Numpy's ``PCG64(seed)``, which all draws of splits use.

    Raises:
        TypeError: not an int.
        ValueError: a seed below 0.
    """
    return np.random.Generator(np.random.PCG64(whole_number("seed", seed, 0)))


def draw_split(
    labels: NDArray[Any],
    classes: Sequence[str],
    *,
    queries_per_class: int,
    train_per_class: int,
    database: DatabaseRule,
    seed: int = 0,
    name: str = "split",
) -> Split:
    """The same number of query and training images from each class, at random.

    Per class, in class order: a permutation by numpy's ``PCG64(seed)``; its first items are queries, the next training
    images, the others the rest. A multi-label image counts for the first class that draws it. Each part is sorted by
    position.

    Args:
        labels: int64 (n,), or 0/1 (n, classes).
        classes: names, for messages.
        queries_per_class: at least 1.
        train_per_class: at least 0.
        database: "rest", "rest+train" (training images are searched too) or "train" (nothing else is).
        seed: the same seed gives the same split on every machine.
        name: of the split, for messages.

    Raises:
        ValueError: a class with fewer images than requested, an unknown database rule, counts below their minimum,
            or a seed below 0.
    """
    if database not in get_args(DatabaseRule):
        raise ValueError(f"database: expected one of {', '.join(get_args(DatabaseRule))}, got {database!r}")
    if queries_per_class < 1 or train_per_class < 0:
        raise ValueError(
            f"queries_per_class, train_per_class: expected at least 1 and 0, got {queries_per_class}, {train_per_class}"
        )
    needed = queries_per_class + train_per_class
    random = generator(seed)
    role = np.zeros(len(labels), dtype=np.uint8)  # 0 rest, 1 query, 2 train
    for number, class_name in enumerate(classes):
        members = labels == number if labels.ndim == 1 else labels[:, number] > 0
        free = np.flatnonzero(members & (role == 0))
        if len(free) < needed:
            raise ValueError(
                f"{name}: class {class_name!r} has {len(free)} images, and {needed} are needed "
                f"({queries_per_class} query and {train_per_class} train)"
            )
        free = random.permutation(free)
        role[free[:queries_per_class]] = 1
        role[free[queries_per_class:needed]] = 2
    searched = {"rest": role == 0, "rest+train": role != 1, "train": role == 2}[database]
    return Split(np.flatnonzero(role == 1), np.flatnonzero(role == 2), np.flatnonzero(searched), seed)


def save_split(split: Split, path: str | Path) -> None:
    """Write a split as JSON, atomically."""
    path = Path(path)
    content = {
        "format": FORMAT,
        "version": 1,
        "seed": split.seed,
        "fingerprint": split.fingerprint,
        "query": split.query.tolist(),
        "train": split.train.tolist(),
        "database": split.database.tolist(),
    }
    write_file(path, json.dumps(content).encode())


def load_split(path: str | Path) -> Split:
    """Read a split and verify its fingerprint.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: not a split file, or a fingerprint of other positions.
    """
    path = Path(path)
    content = read_json(path, MOST_BYTES)
    try:
        if content["format"] != FORMAT or content["version"] != 1:
            raise VtsearchError(f"{path}: expected a {FORMAT} file of version 1")
        split = Split(content["query"], content["train"], content["database"], content["seed"])
        expected = content["fingerprint"]
    except (KeyError, TypeError, ValueError, ArithmeticError, RecursionError) as reason:
        text = str(reason)[:200]
        raise VtsearchError(f"{path}: not a split file ({text})") from reason
    if split.fingerprint != expected:
        raise VtsearchError(f"{path}: changed since it was written: fingerprint {split.fingerprint}, not {expected}")
    return split


def _fingerprint(*parts: Positions) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()
