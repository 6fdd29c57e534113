"""The table of protocols: a data set, its query/train/database split and the k of its mAP@k, under one name."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.cifar10 import open_cifar10
from vtsearch.data.digits import DigitsSource
from vtsearch.data.image_list import ImageListSource
from vtsearch.data.sources import open_image_folder
from vtsearch.data.splits import DatabaseRule, Split, draw_split
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vtsearch.data.sources import ImageSource


@dataclass(frozen=True)
class RetrievalProtocol:
    """A data set and how it is split and judged."""

    name: str
    source: str
    """Key of the data set; several protocols share one."""
    k: int | None
    """Cut-off of mAP@k; None judges the whole ranking."""
    queries_per_class: int
    train_per_class: int
    database: DatabaseRule
    """"rest", "rest+train" (training images are searched too) or "train" (nothing else is)."""
    description: str = ""


@dataclass(frozen=True)
class RetrievalData:
    """A protocol with its images: ``split`` holds positions in ``source``."""

    protocol: RetrievalProtocol
    source: ImageSource
    split: Split
    fingerprint: str = field(init=False)
    """Identity of the split over these images: sha256 of the split's fingerprint, the labels and the class names."""

    def __post_init__(self) -> None:
        last = max(int(part.max(initial=-1)) for part in (self.split.query, self.split.train, self.split.database))
        if last >= len(self.source):
            raise VtsearchError(f"split: has position {last}, and {self.protocol.name} has {len(self.source)} images")
        digest = hashlib.sha256(self.split.fingerprint.encode())
        digest.update(np.ascontiguousarray(self.source.labels).tobytes())
        digest.update("\n".join(self.source.classes).encode())
        object.__setattr__(self, "fingerprint", digest.hexdigest())


PROTOCOLS: Mapping[str, RetrievalProtocol] = {
    protocol.name: protocol
    for protocol in (
        RetrievalProtocol(
            "cifar10@54000",
            "cifar10",
            None,
            100,
            500,
            "rest",
            "CIFAR-10: 1,000 query, 5,000 train, 54,000 other database",
        ),
        RetrievalProtocol(
            "cifar10@all",
            "cifar10",
            None,
            100,
            500,
            "rest+train",
            "CIFAR-10: 1,000 query, 5,000 train, 59,000 database",
        ),
        RetrievalProtocol(
            "cifar10@50000", "cifar10", None, 1000, 5000, "train", "CIFAR-10: 10,000 query, 50,000 train and database"
        ),
        RetrievalProtocol(
            "digits", "digits", None, 10, 50, "rest", "scikit-learn's digits: 100 query, 500 train, 1,197 database"
        ),
    )
}
SOURCES: Mapping[str, Callable[[Path | None], ImageSource]] = {
    "cifar10": open_cifar10,
    "digits": lambda _root: DigitsSource(),
}


def get_protocol(name: str) -> RetrievalProtocol:
    """The protocol of that name.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)} or a folder of images, got {name!r}{hint}")
    return PROTOCOLS[name]


def open_dataset(name: str, root: Path | None = None, *, seed: int = 0, split: Split | None = None) -> RetrievalData:
    """The images and the split of a protocol, or of a folder of one's own.

    Args:
        name: a key of ``PROTOCOLS``, or a folder for ``open_folder``.
        root: the folder of the data set; by default ``$VTSEARCH_DATA``, then a download into ``~/.cache/vtsearch``.
        seed: of the split's draw.
        split: one drawn before (``load_split``), instead of drawing.

    Raises:
        ValueError: an unknown name.
        FileNotFoundError: ``root`` does not hold the data set.
        VtsearchError: damaged files, no copy to be had, or a split of another data set.
    """
    if name not in PROTOCOLS and Path(name).is_dir():
        return open_folder(name, seed=seed, split=split)
    protocol = get_protocol(name)
    source = SOURCES[protocol.source](root)
    return RetrievalData(protocol, source, split or _draw(protocol, source, seed))


def open_folder(folder: str | Path, *, seed: int = 0, split: Split | None = None) -> RetrievalData:
    """A protocol over a folder of one's own images.

    With ``query.txt`` and ``database.txt`` in it (and perhaps ``train.txt``), these list files are the split; without,
    each class is a folder, and a tenth of the smallest class, at most 100, is drawn from every class as queries. The
    others are the database, and as many per class as the smallest has are the training images.

    Args:
        folder: of list files with their images, or of one folder per class.
        seed: of the draw, where there is one.
        split: one drawn before, instead of drawing.

    Raises:
        ValueError: fewer than two images in a class, or a malformed list.
        FileNotFoundError: no images.
    """
    folder = Path(folder).resolve()
    lists = {part: folder / f"{part}.txt" for part in ("query", "database", "train")}
    if lists["query"].is_file() and lists["database"].is_file():
        training = lists["train"] if lists["train"].is_file() else None
        data = open_lists(lists["query"], lists["database"], training, root=folder, name=str(folder))
        return replace(data, split=split) if split else data
    source = open_image_folder(folder)
    smallest = int(np.bincount(source.labels, minlength=len(source.classes)).min())
    queries = min(max(smallest // 10, 1), 100)
    train = max(smallest - queries, 1)
    protocol = RetrievalProtocol(str(folder), str(folder), None, queries, train, "rest+train")
    return RetrievalData(protocol, source, split or _draw(protocol, source, seed))


def draw_dataset(
    source: ImageSource,
    *,
    name: str,
    queries_per_class: int,
    train_per_class: int,
    database: DatabaseRule = "rest+train",
    k: int | None = None,
    seed: int = 0,
) -> RetrievalData:
    """A protocol over the user's own images, with the same number of queries and training images per class.

    Raises:
        ValueError: a class with too few images, or an unknown database rule.
    """
    protocol = RetrievalProtocol(name, name, k, queries_per_class, train_per_class, database)
    return RetrievalData(protocol, source, _draw(protocol, source, seed))


def open_lists(
    query: str | Path,
    database: str | Path,
    train: str | Path | None = None,
    *,
    root: str | Path | None = None,
    name: str = "lists",
    k: int | None = None,
) -> RetrievalData:
    """A protocol given as list files; without ``train`` the database images are the training images.

    Raises:
        FileNotFoundError: a list file or an image that does not exist.
        ValueError: a malformed line, or a query that also is a training or database image.
    """
    source = ImageListSource([query, database, train or database], root)
    parts = [np.unique(positions) for positions in source.positions]
    return RetrievalData(RetrievalProtocol(name, name, k, 0, 0, "rest"), source, Split(parts[0], parts[2], parts[1]))


def _draw(protocol: RetrievalProtocol, source: ImageSource, seed: int) -> Split:
    return draw_split(
        source.labels,
        source.classes,
        queries_per_class=protocol.queries_per_class,
        train_per_class=protocol.train_per_class,
        database=protocol.database,
        seed=seed,
        name=protocol.name,
    )
