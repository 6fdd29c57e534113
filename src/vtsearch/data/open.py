"""Open images with their split by protocol name or path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.datasets import DATASETS, ListOptions, OpenedImages, open_listed, open_table
from vtsearch.data.protocols import PROTOCOLS, RetrievalData, RetrievalProtocol, get_protocol
from vtsearch.data.sources.class_names import unused_numbers
from vtsearch.data.sources.image_files import refuse
from vtsearch.data.sources.image_folder import ImageFolderSource
from vtsearch.data.sources.image_list import ImageListSource
from vtsearch.data.sources.manifest import SUFFIXES, ManifestSource
from vtsearch.data.splits.sampling import draw, with_unseen_classes
from vtsearch.data.splits.split import Positions, Split, generator

if TYPE_CHECKING:
    from vtsearch.data.sources.image_files import Report
    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.data.splits.split import DatabaseRule


def open_dataset(
    name: str, root: Path | None = None, *, seed: int = 0, split: Split | None = None, strip_prefix: str = ""
) -> RetrievalData:
    """The images and the split of a protocol, or of your own folder or manifest.

    A copy with other numbers than published opens too, with a remark in ``RetrievalData.remark``. Without list files
    the split is drawn; with less than half of the published images, in proportionally smaller numbers.

    Args:
        name: a key of ``PROTOCOLS``, or a folder or manifest for ``open_folder``.
        root: the folder of the data set; by default ``$VTSEARCH_DATA``, for CIFAR-10 then a download into
            ``~/.cache/vtsearch``.
        seed: of a drawn split.
        split: an existing split (``load_split``), instead of a drawn one.
        strip_prefix: removed from the beginning of the paths in lists and tables.

    Raises:
        ValueError: an unknown name, or malformed files.
        FileNotFoundError: ``root`` does not hold the data set, or lacks one of its images.
        VtsearchError: damaged files, a failed download, or a split of another data set.
    """
    protocol, opened = open_images(name, root, strip_prefix=strip_prefix)
    return RetrievalData(protocol, opened.source, split or divide(protocol, opened, seed))


def open_folder(folder: str | Path, *, seed: int = 0, split: Split | None = None) -> RetrievalData:
    """A protocol over your own images.

    The split is that of ``query.txt`` or ``test.txt`` and ``database.txt`` in the folder (optionally ``train.txt``), or
    of a manifest with a split column. For one list ``all.txt``, a manifest without that column, or a folder per class
    it is drawn: from every class a tenth of the smallest class, at most 100, as queries, and the remaining size of the
    smallest class for training; of multi-label images, a tenth, at most 1,000, as queries and all others for training.
    The database is all images but the queries. What was left out is counted in ``RetrievalData.remarks``.

    Args:
        folder: of list files with their images, of a manifest, or of one folder per class; or a manifest.
        seed: of a drawn split.
        split: an existing split, instead of a drawn one.

    Raises:
        ValueError: fewer than two classes, fewer than two images in a class, or a malformed list.
        FileNotFoundError: no images.
    """
    protocol, opened = _open_own(Path(folder).resolve(), ListOptions())
    return RetrievalData(protocol, opened.source, split or divide(protocol, opened, seed))


def open_images(
    name: str, root: Path | None = None, report: Report = refuse, *, strip_prefix: str = ""
) -> tuple[RetrievalProtocol, OpenedImages]:
    """The images of a protocol, or of a folder or manifest, before the split.

    Raises:
        ValueError: an unknown name, or malformed files.
        FileNotFoundError: no such data set below ``root``.
        VtsearchError: damaged files.
    """
    if name not in PROTOCOLS and (Path(name).is_dir() or (Path(name).suffix in SUFFIXES and Path(name).is_file())):
        return _open_own(Path(name).resolve(), ListOptions(report, strip_prefix))
    protocol = get_protocol(name)
    published = protocol.published
    lists, classes = ("", 0) if published is None else (published.lists, published.classes)
    opened = DATASETS[protocol.source].open(
        root, lists, classes, ListOptions(report, strip_prefix, pixel_rule="published")
    )
    if opened.parts is not None and "database" not in opened.parts:
        taken = [opened.parts["query"], *([opened.parts["train"]] if protocol.database == "rest" else [])]
        others = np.setdiff1d(np.arange(len(opened.source)), np.concatenate(taken))
        opened = replace(opened, parts={**opened.parts, "database": others})
    return protocol, opened


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
    protocol = RetrievalProtocol(
        name=name, source=name, k=k, queries=queries_per_class, train=train_per_class, database=database
    )
    return RetrievalData(protocol, source, divide(protocol, OpenedImages(source), seed))


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
        ValueError: a malformed line, or a query that is also a training or database image.
    """
    lists = {"query": query, "database": database} | ({} if train is None else {"train": train})
    source = ImageListSource(list(lists.values()), root)
    opened = OpenedImages(source, dict(zip(lists, source.positions, strict=True)))
    protocol = RetrievalProtocol(name=name, source=name, k=k, queries=0, train=0, database="rest")
    return RetrievalData(protocol, source, divide(protocol, opened, 0))


def divide(protocol: RetrievalProtocol, opened: OpenedImages, seed: int) -> Split:
    """The split in the files, with missing parts drawn at random, and training images of the seen classes alone.

    Raises:
        ValueError: too few images for the protocol's numbers, or a query that also is a training or database image.
    """
    split, source = _divide(protocol, opened, seed), opened.source
    if not protocol.seen_classes:
        return split
    return with_unseen_classes(
        split, source.labels, len(source.classes), protocol.seen_classes, database=protocol.database
    )


def _divide(protocol: RetrievalProtocol, opened: OpenedImages, seed: int) -> Split:
    source, parts = opened.source, opened.parts
    if parts is not None:
        query, database = np.unique(parts["query"]), np.unique(parts["database"])
        training = np.unique(parts["train"]) if "train" in parts else _train_of(database, protocol, source, seed)
        return Split(query, training, database, seed)
    queries, train = _numbers(protocol, len(source))
    return draw(
        protocol.draw,
        source.labels,
        source.classes,
        queries=queries,
        train=train,
        database=protocol.database,
        seed=seed,
        name=protocol.name,
    )


def _train_of(database: Positions, protocol: RetrievalProtocol, source: ImageSource, seed: int) -> Positions:
    """Training images drawn from the database; all of it if the protocol has no number of training images."""
    if protocol.train == 0:
        return database
    if protocol.database == "rest":
        raise ValueError(f"train: expected a list of training images too: {protocol.name} has them apart, got none")
    random = generator(seed)
    if protocol.draw != "classes":
        assert protocol.published is not None
        return np.sort(random.permutation(database)[: protocol.published.train])
    labels = source.labels[database]
    drawn = [random.permutation(database[labels == number])[: protocol.train] for number in range(len(source.classes))]
    return np.sort(np.concatenate(drawn))


def _numbers(protocol: RetrievalProtocol, images: int) -> tuple[int, int]:
    """Numbers of queries and training images; proportionally smaller for less than half of the published images."""
    if 2 * images >= protocol.images:
        return protocol.queries, protocol.train
    share = images / protocol.images
    return max(1, round(share * protocol.queries)), max(1, round(share * protocol.train))


def _open_own(path: Path, options: ListOptions) -> tuple[RetrievalProtocol, OpenedImages]:
    """The images of your own folder or manifest, with a protocol for their number."""
    opened = open_listed(path, path, options) if path.is_dir() else open_table(path, None, options)
    opened = opened or OpenedImages(open_image_folder(path))
    return own_protocol(str(path), opened), opened


def own_protocol(name: str, opened: OpenedImages) -> RetrievalProtocol:
    """The protocol of your own images, by their numbers if no part is specified; see ``open_folder``.

    Raises:
        ValueError: fewer than two classes, or a class number without an image.
    """
    labels, classes = opened.source.labels, opened.source.classes
    several = labels.ndim > 1
    if opened.parts is not None:
        return RetrievalProtocol(name=name, source=name, k=None, queries=0, train=0, database="rest")
    if not several and len(classes) < 2:
        raise ValueError(f"{name}: expected images of two classes or more, got one, {classes[0]!r}")
    smallest = len(labels) if several else int(np.bincount(labels, minlength=len(classes)).min())
    if smallest == 0:
        raise ValueError(f"{name}: {'; '.join(unused_numbers(labels, len(classes)))}")
    queries = min(max(smallest // 10, 1), 1_000 if several else 100)
    protocol = RetrievalProtocol(
        name=name, source=name, k=None, queries=queries, train=max(smallest - queries, 1), database="rest+train"
    )
    return replace(protocol, draw="sizes") if several else protocol


def open_image_folder(root: str | Path) -> ImageFolderSource:
    """A folder with one subfolder of images per class; see ``ImageFolderSource``."""
    return ImageFolderSource(root)


def open_image_list(file: str | Path, root: str | Path | None = None, *, strip_prefix: str = "") -> ImageListSource:
    """A text file with a path and labels per line; see ``ImageListSource``."""
    return ImageListSource([file], root, strip_prefix=strip_prefix)


def open_manifest(file: str | Path, root: str | Path | None = None, *, strip_prefix: str = "") -> ManifestSource:
    """A CSV or Parquet table with a path and labels per row; see ``ManifestSource``."""
    return ManifestSource(file, root, strip_prefix=strip_prefix)
