"""From the arguments of a command to images to encode, and from an index back to its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from vtsearch.data.open import open_dataset, open_image_folder
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.sources.decode import PixelRule, read_image
from vtsearch.data.sources.folder_scan import look_into
from vtsearch.data.sources.image_folder import left_out
from vtsearch.data.sources.image_list import ImageListSource
from vtsearch.data.sources.image_source import FileSource, remarks_of
from vtsearch.data.sources.manifest import ManifestSource
from vtsearch.data.splits.split import load_split
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.index import Index

Part = Literal["query", "train", "database"]
TABLES = (".txt", ".csv", ".parquet")


FILES, FOLDER, LIST, PROTOCOL, PART = "files", "folder", "list", "protocol", "part"
DATA, PREFIX = "data", "strip_prefix"
"""Entries of an index's description that locate its images."""


@dataclass(frozen=True)
class ImageSelection:
    """Images to encode, and the description by which an ``ImageLocator`` finds them again."""

    source: ImageSource
    positions: NDArray[np.int64]
    description: Mapping[str, str]
    labelled: bool = True
    split: str | None = None
    """Fingerprint of the protocol's split."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about what was left out or taken in doubt, with counts; a command prints them."""
        return remarks_of(self.source)

    @property
    def root(self) -> Path | None:
        """The folder of the images; None for a protocol whose data set has no folder of its own."""
        return _root(self.description)


class ImageFiles:
    """Image files as a source without labels; their names below a folder are the ids."""

    classes: tuple[str, ...] = ()
    pixel_rule: PixelRule = "upright"

    def __init__(self, root: Path, names: Sequence[str], remarks: Sequence[str] = ()) -> None:
        """The images ``root / name`` in this order; an absolute name stands for itself."""
        self.remarks: tuple[str, ...] = tuple(remarks)
        for name in names:
            if not (root / name).is_file():
                raise FileNotFoundError(2, "no such image", str(root / name))
        self._root, self._names = root, list(names)
        self.labels = np.zeros(len(names), dtype=np.int64)

    def __len__(self) -> int:
        return len(self._names)

    def load(self, position: int) -> Image:
        """The RGB image at a position."""
        return self.load_reduced(position, None)

    def load_reduced(self, position: int, least_side: int | None) -> Image:
        """The RGB image at a position, of at least that shorter side."""
        return read_image(self._root / self._names[position], "images", self.pixel_rule, least_side)

    def id(self, position: int) -> str:
        """The name as it was given."""
        return self._names[position]

    def path(self, position: int) -> Path:
        """The image file at a position."""
        return self._root / self._names[position]


def load_image(path: Path) -> Image:
    """The RGB image in a file.

    Raises:
        FileNotFoundError: no such file.
        PermissionError: a file that may not be read.
        VtsearchError: a damaged file, or not an image.
    """
    return read_image(path, "images")


def select_images(
    names: Sequence[str],
    *,
    part: Part = "database",
    data: str | None = None,
    seed: int = 0,
    split: str | None = None,
    strip_prefix: str = "",
) -> ImageSelection:
    """The images that the arguments of a command name.

    Args:
        names: a protocol's name; or a folder; or a list file (.txt) or table (.csv, .parquet); or image files.
        part: which part of a protocol.
        data: the folder of a protocol's data set, or the one that a list's paths are relative to.
        seed: of a protocol's split.
        split: file of a split drawn before, instead of drawing one.
        strip_prefix: removed from the beginning of the paths in lists and tables.

    Raises:
        ValueError: a name of no protocol and no file, or a folder without images.
        FileNotFoundError: one of several image files that does not exist; those of lists are found when they are read.
    """
    first = Path(names[0])
    if len(names) == 1 and names[0] in PROTOCOLS:
        return _of_protocol(names[0], part, data, seed, split, strip_prefix=strip_prefix)
    if len(names) == 1 and first.is_dir():
        return _of_folder(first)
    if len(names) == 1 and first.suffix in TABLES:
        return _of_list(first, data, strip_prefix)
    if len(names) == 1 and not first.exists():
        choices = ", ".join(PROTOCOLS)
        raise ValueError(f"images: expected a protocol ({choices}), a folder, a list or image files, got {names[0]!r}")
    return _of_files(Path.cwd(), names)


class ImageLocator:
    """Images of the items of an index, by their positions in it.

    Items of files, folders and lists are files below one root, named by their ids; items of a protocol are looked up
    in its data set by their ids. Nothing is opened before the first image is asked for.

    Args:
        description: of the index, as encoding writes it.
        ids: of its items.
        root: where the images are now, if they have moved: the folder of files, of a list's images, or of a protocol's
            data set; of a run on images of one's own, their folder or manifest.
        index: name of the index in messages.

    Raises:
        VtsearchError: a description without images, or a root that is gone.
        FileNotFoundError: ``root`` does not exist.
    """

    def __init__(
        self,
        description: Mapping[str, str],
        ids: Sequence[str],
        *,
        root: str | Path | None = None,
        index: str = "index",
    ) -> None:
        if not has_images(description):
            raise VtsearchError(f"{index}: the index does not say where its images are (vtsearch encode writes it)")
        if root is not None and not Path(root).exists():
            raise FileNotFoundError(2, "images: no such folder", str(root))
        self._description, self._ids, self._index = description, ids, index
        self._root = _root(description) if root is None else Path(root)
        self._source: ImageSource | None = None
        self._positions: dict[str, int] = {}
        if self._root is not None and not self._root.exists():
            raise VtsearchError(
                f"{index}: its images were in {self._root}, which does not exist; "
                "if they have moved, name their folder: --images FOLDER, or ImageLocator(..., root=FOLDER)"
            )

    @classmethod
    def of(cls, index: Index, *, root: str | Path | None = None) -> Self:
        """The locator of an index; arguments and errors as of the class."""
        return cls(index.description, index.ids(), root=root, index=str(index.path))

    @property
    def root(self) -> Path | None:
        """The folder of the images; None for a protocol whose data set has no folder of its own."""
        return self._root

    def id(self, position: int) -> str:
        """The id of an item."""
        return self._ids[position]

    def load(self, position: int) -> Image:
        """The RGB image of an item.

        Raises:
            VtsearchError: an image that is gone or cannot be read.
        """
        if PROTOCOL in self._description:
            source = self._opened()
            return source.load(self._positions[self._known(position)])
        return read_image(self.path(position), self._index)

    def path(self, position: int) -> Path:
        """The image file of an item.

        Raises:
            VtsearchError: a file that is gone, or an item of a data set that keeps no image files.
        """
        if PROTOCOL in self._description:
            source = self._opened()
            if not isinstance(source, FileSource):
                raise VtsearchError(f"{self._index}: {self._description[PROTOCOL]} has no file for each image")
            return source.path(self._positions[self._known(position)])
        assert self._root is not None
        path = self._root / self._ids[position]
        if not path.is_file():
            raise VtsearchError(
                f"{self._index}: no image {self._ids[position]!r} in {self._root}; "
                "if the images have moved, name their folder: --images FOLDER, or ImageLocator(..., root=FOLDER)"
            )
        return path

    def _opened(self) -> ImageSource:
        """The images of the protocol, opened on first use."""
        if self._source is None:
            name, data = self._description[PROTOCOL], None if self._root is None else str(self._root)
            if name not in PROTOCOLS:  # images of one's own, under the name of their folder or manifest
                name, data = str(self._root), None
            prefix = self._description.get(PREFIX, "")
            self._source = _of_protocol(name, "database", data, 0, None, strip_prefix=prefix).source
            self._positions = {self._source.id(position): position for position in range(len(self._source))}
        return self._source

    def _known(self, position: int) -> str:
        name = self._ids[position]
        if name not in self._positions:
            raise VtsearchError(f"{self._index}: item {name!r} is no longer among its images")
        return name


def has_images(description: Mapping[str, str]) -> bool:
    """Whether the description of an index locates its images."""
    return not {FILES, FOLDER, LIST, PROTOCOL}.isdisjoint(description)


def knows_images(index: Index) -> bool:
    """Whether an index has an ``ImageLocator``."""
    return has_images(index.description)


def _root(description: Mapping[str, str]) -> Path | None:
    """The folder that the ids are relative to; of a protocol, its data set or the images of one's own."""
    if PROTOCOL in description and description[PROTOCOL] not in PROTOCOLS:
        return Path(description[PROTOCOL])
    for name in (FILES, FOLDER, DATA):
        if name in description:
            return Path(description[name])
    return Path(description[LIST]).parent if LIST in description else None


def _of_protocol(
    name: str, part: Part, data: str | None, seed: int, split: str | None, *, strip_prefix: str
) -> ImageSelection:
    opened = open_dataset(
        name,
        None if data is None else Path(data),
        seed=seed,
        split=None if split is None else load_split(split),
        strip_prefix=strip_prefix,
    )
    description = {PROTOCOL: name, PART: part} | ({} if data is None else {DATA: str(Path(data).absolute())})
    description |= {"remark": opened.remark} if opened.remark else {}
    description |= {PREFIX: strip_prefix} if strip_prefix else {}
    positions = getattr(opened.split, part)
    return ImageSelection(opened.source, positions, description, split=opened.fingerprint)


def _of_folder(folder: Path) -> ImageSelection:
    """The images of a folder: with the classes of its subfolders, or without labels where these are no classes."""
    content = look_into(folder)
    if not content.images:
        found = left_out(content, beside=False)
        raise ValueError(
            f"images: expected images or subfolders of images in {folder}, got none" + "; ".join(["", *found])
        )
    reason = content.no_classes()
    if content.filled and content.beside.images:
        reason = f"{len(content.beside.images):,} images lie beside the subfolders, so these are not taken for classes"
    if content.filled and not reason:
        return _whole(open_image_folder(folder), {FOLDER: str(folder.absolute())})
    remarks = left_out(content, beside=False)
    if reason:
        remarks.insert(0, f"{folder}: {reason}: all {len(content.images):,} images are taken, without labels")
    names = [path.relative_to(folder).as_posix() for path in content.images]
    return _of_files(folder.absolute(), names, remarks)


def _of_list(file: Path, root: str | None, strip_prefix: str) -> ImageSelection:
    description = {LIST: str(file.absolute())} | ({} if root is None else {DATA: str(Path(root).absolute())})
    report = _refuse_all_but_missing
    if file.suffix == ".txt":
        return _whole(ImageListSource([file], root, report=report, strip_prefix=strip_prefix), description)
    return _whole(ManifestSource(file, root, report=report, strip_prefix=strip_prefix), description)


def _refuse_all_but_missing(_kind: str, fault: Exception) -> None:
    """Raise a fault, unless it is a missing image: that is found when the image is read."""
    if not isinstance(fault, FileNotFoundError):
        raise fault


def _of_files(root: Path, names: Sequence[str], remarks: Sequence[str] = ()) -> ImageSelection:
    return _whole(ImageFiles(root, names, remarks), {FILES: str(root)}, labelled=False)


def _whole(source: ImageSource, description: Mapping[str, str], *, labelled: bool = True) -> ImageSelection:
    return ImageSelection(source, np.arange(len(source), dtype=np.int64), description, labelled=labelled)
