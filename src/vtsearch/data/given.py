"""Images and labels that are given in Python, with their split: arrays, data sets, folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from vtsearch.data.datasets import OpenedImages
from vtsearch.data.open import divide, open_images, own_protocol
from vtsearch.data.protocols import PROTOCOLS, RetrievalData, RetrievalProtocol
from vtsearch.data.sources.array_images import ArrayImages
from vtsearch.data.sources.dataset_images import DatasetImages, LabelledItems
from vtsearch.data.sources.joined_images import joined

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.data.splits.split import Split

    Images: TypeAlias = LabelledItems | tuple[ArrayLike, ArrayLike] | str | Path

IN_PYTHON = "python:"
"""Beginning of the name of a protocol whose images are given in Python."""
FORMS = "(images, labels) in arrays, a data set of such pairs, or a folder"


@dataclass(frozen=True)
class GivenImages:
    """Images that are given in Python, before their split is drawn."""

    protocol: RetrievalProtocol
    opened: OpenedImages

    def divided(self, seed: int, split: Split | None = None) -> RetrievalData:
        """The images with a split: the given parts, or one drawn from a seed, or one that was drawn before.

        Raises:
            ValueError: a class with too few images.
            VtsearchError: a split of other images.
        """
        split = split or divide(self.protocol, self.opened, seed)
        return RetrievalData(self.protocol, self.opened.source, split)


def is_given(protocol: str) -> bool:
    """Whether it is the name of a protocol whose images are given in Python."""
    return protocol.startswith(IN_PYTHON)


def given_images(
    data: Images, queries: Images | None = None, database: Images | None = None, *, name: str = "images"
) -> GivenImages:
    """Images that are given in Python.

    Args:
        data: to train on. A pair of arrays: uint8 (n, h, w, 3), and int (n,) or 0/1 (n, classes). Or a data set of
            torch, or any other sequence, of images with labels; see ``DatasetImages``. Or a folder as ``open_folder``
            takes it, all of its images.
        queries: likewise; without them all parts are drawn from `data`, as ``open_folder`` draws them.
        database: likewise; by default, or if it is `data` itself, the training images.
        name: of the images in reports, after ``python:``.

    Raises:
        TypeError: something else; an image or a label of another kind.
        ValueError: images or labels of other shapes or values; a database without queries; queries of other classes
            than those of the database; too few images to draw a split.
        FileNotFoundError: no such folder.
    """
    if queries is None and database is not None:
        raise ValueError("queries: expected images, as there is a database, got None")
    opened = OpenedImages(_source(data, "data")) if queries is None else _parts(data, queries, database)
    return GivenImages(own_protocol(f"{IN_PYTHON}{name}", opened), opened)


def _parts(data: Images, queries: Images, database: Images | None) -> OpenedImages:
    """The images of all parts as one source, and the positions of each."""
    is_apart = database is not None and database is not data
    given = {"data": data, "queries": queries} | ({"database": database} if is_apart else {})
    images = joined({name: _source(each, name) for name, each in given.items()})
    train, query = images.positions["data"], images.positions["queries"]
    searched = images.positions["database"] if is_apart else train
    _check_classes(images.labels[query], images.labels[searched])
    return OpenedImages(images, {"train": train, "query": query, "database": searched})


def _source(images: Any, name: str) -> ImageSource:
    if isinstance(images, tuple) and len(images) == 2:
        return ArrayImages(images[0], images[1], name)
    if isinstance(images, str | Path):
        return _folder(images, name)
    if isinstance(images, LabelledItems) and not isinstance(images, np.ndarray | dict | bytes):
        return DatasetImages(images, name)
    raise TypeError(f"{name}: expected {FORMS}, got {type(images).__name__}")


def _folder(path: str | Path, name: str) -> ImageSource:
    if str(path) in PROTOCOLS and not Path(path).exists():
        raise ValueError(f"{name}: expected images beside given queries, got the protocol {path}, which has its own")
    if not Path(path).exists():
        raise FileNotFoundError(f"{name}: {path}: no such folder of images")
    return open_images(str(Path(path).resolve()))[1].source


def _check_classes(queries: Any, database: Any) -> None:
    """Refuse queries of which none has a class of the database: names of classes and numbers do not go together."""
    if queries.ndim == 1 and not np.isin(queries, database).any():
        raise ValueError("queries: expected classes of the database, got none of them")
