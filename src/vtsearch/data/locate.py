"""From an index back to its images."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from vtsearch.data.containers import OPENERS, file_of
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.selection import (
    DATA,
    FILES,
    FOLDER,
    LIST,
    OWN,
    PREFIX,
    PROTOCOL,
    URLS,
    open_protocol,
    root_of,
    select_images,
)
from vtsearch.data.sources.decode import read_image
from vtsearch.data.sources.image_source import FileSource, load_reduced
from vtsearch.data.sources.url_images import UrlImages
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from vtsearch.data.sources.encoded_images import EncodedImages
    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.index.reading import Reading


MOVED = "if the images have moved, name their folder: --images FOLDER, or ImageLocator(..., root=FOLDER)"


class Names(Protocol):
    """Ids by position: a list of them, or an index that looks each up when it is asked for."""

    def __getitem__(self, position: int, /) -> str: ...


class _NamesOf:
    """The ids of an index, each looked up when it is asked for: ten million make a large list."""

    def __init__(self, index: Reading) -> None:
        self._index = index

    def __getitem__(self, position: int, /) -> str:
        return self._index.ids_at([position])[position]


class ImageLocator:
    """Images of the items of an index, by their ids or by their positions in it.

    Items of files, folders and lists are files below one root, named by their ids; so are the tar and Parquet files of
    their items. URLs are fetched. Items of a protocol are looked up in its data set by their ids. Nothing is opened
    before the first image is asked for, and no id is looked up before its position is.

    An id may lead outside the root: an absolute path, one with ``..``, a symbolic link. That is as it should be for the
    owner of the files; a program that hands images to others sets ``confined``.

    Args:
        description: of the index, as encoding writes it.
        ids: of its items; none if images are asked for by their ids alone.
        root: where the images are now, if they have moved: the folder of files, of a list's images, or of a protocol's
            data set; of a run on images of one's own, their folder or manifest.
        index: name of the index in messages.
        confined: refuse files outside the root, where links lead included, unless a list or protocol names them.

    Raises:
        VtsearchError: a description without images, or a root that is gone.
        FileNotFoundError: ``root`` does not exist.
    """

    def __init__(
        self,
        description: Mapping[str, str],
        ids: Names = (),
        *,
        root: str | Path | None = None,
        index: str = "index",
        confined: bool = False,
    ) -> None:
        if not has_images(description):
            raise VtsearchError(f"{index}: {_without_images(description)}")
        if root is not None and not Path(root).exists():
            raise FileNotFoundError(2, "images: no such folder", str(root))
        self._description, self._ids, self._index = description, ids, index
        self._root = root_of(description) if root is None else Path(root)
        self._confined = confined
        self._source: ImageItems | None = None
        self._positions: dict[str, int] = {}
        self._kind = next((kind for kind in OPENERS if kind in description), None)
        self._opened_files: dict[str, tuple[EncodedImages, dict[str, int]]] = {}
        if self._root is not None and not self._root.exists():
            raise VtsearchError(f"{index}: its images were in {self._root}, which does not exist; {MOVED}")

    @classmethod
    def of(cls, index: Reading, *, root: str | Path | None = None, confined: bool = False) -> Self:
        """The locator of an index; arguments and errors as of the class."""
        return cls(index.description, _NamesOf(index), root=root, index=str(index.path), confined=confined)

    @property
    def root(self) -> Path | None:
        """The folder of the images; None for a protocol whose data set has no folder of its own."""
        return self._root

    def id(self, position: int) -> str:
        """The id of an item."""
        return self._ids[position]

    def load(self, position: int) -> Image:
        """The RGB image at a position; errors as of ``load_named``."""
        return self.load_named(self._ids[position])

    def path(self, position: int) -> Path:
        """The image file at a position; errors as of ``path_named``."""
        return self.path_named(self._ids[position])

    def load_named(self, name: str) -> Image:
        """The RGB image of the item with an id, as it was encoded.

        Raises:
            VtsearchError: an image that is gone or cannot be read, or that is outside the root of a confined locator.
        """
        if self._is_file_of_its_own():
            return read_image(self.path_named(name), self._index)
        return self._load_part(name, None)

    def load_reduced(self, name: str, least_side: int) -> Image:
        """The RGB image of the item with an id, to be looked at: upright, and no larger than it takes.

        A large JPEG is decoded at a half, a quarter or an eighth of its size, the smallest with that many pixels on
        the shorter side; see ``read_image``. Errors as of ``load_named``.
        """
        if self._is_file_of_its_own() or (PROTOCOL in self._description and isinstance(self._opened(), FileSource)):
            return read_image(self.path_named(name), self._index, "upright", least_side)
        return self._load_part(name, least_side)

    def path_named(self, name: str) -> Path:
        """The image file of the item with an id.

        Raises:
            VtsearchError: a file that is gone, or outside the root of a confined locator; or an item that is no file of
                its own, such as a member of a tar.
        """
        if URLS in self._description:
            raise VtsearchError(f"{self._index}: {name!r} is a URL and has no file")
        if self._kind is not None:
            raise VtsearchError(f"{self._index}: {name!r} is part of a file and has none of its own")
        if PROTOCOL in self._description:
            source = self._opened()
            if not isinstance(source, FileSource):
                raise VtsearchError(f"{self._index}: {self._description[PROTOCOL]} has no file for each image")
            return source.path(self._known(name))
        assert self._root is not None
        path = self._allowed(self._root / name, name)
        if not _is_file(path):
            raise VtsearchError(f"{self._index}: no image {name!r} in {self._root}; {MOVED}")
        return path

    def _is_file_of_its_own(self) -> bool:
        return self._kind is None and PROTOCOL not in self._description and URLS not in self._description

    def _load_part(self, name: str, least_side: int | None) -> Image:
        """The image of an item that is no file of its own, or of a protocol."""
        if URLS in self._description:
            return UrlImages([name]).load_reduced(0, least_side)
        if self._kind is not None:
            source, position = self._part(self._kind, self._root, name)
            return source.load_reduced(position, least_side)
        return load_reduced(self._opened(), self._known(name), least_side)

    def _part(self, kind: str, root: Path | None, name: str) -> tuple[EncodedImages, int]:
        """The tar or Parquet file that an item is in, which is opened on first use, and its position in it."""
        assert root is not None
        file = file_of(kind, root, name)
        if file is None:
            raise VtsearchError(f"{self._index}: no file in {root} that {name!r} is in; {MOVED}")
        self._allowed(root / file, name)
        if file not in self._opened_files:
            try:
                source = OPENERS[kind](root, [file])
            except ValueError as reason:  # a file without any image
                raise VtsearchError(f"{self._index}: {reason}") from reason
            self._opened_files[file] = source, {source.id(at): at for at in range(len(source))}
        source, positions = self._opened_files[file]
        if name not in positions:
            raise VtsearchError(f"{self._index}: item {name!r} is no longer in {root / file}")
        return source, positions[name]

    def _allowed(self, path: Path, name: str) -> Path:
        """The path of an item, unless the locator is confined and the path leads outside its root.

        A list of the owner's may name images anywhere: what it names is allowed, as are the images of a protocol.
        """
        is_outside = self._confined and self._root is not None and not _is_within(path, self._root)
        if is_outside and name not in self._listed:
            raise VtsearchError(f"{self._index}: {name!r} leads outside the images' folder {self._root}")
        return path

    @cached_property
    def _listed(self) -> frozenset[str]:
        """The ids of the images that the list of the index names; empty if there is none."""
        if LIST not in self._description:
            return frozenset()
        root, prefix = self._description.get(DATA), self._description.get(PREFIX, "")
        try:
            source = select_images([self._description[LIST]], data=root, strip_prefix=prefix).source
        except (VtsearchError, OSError, ValueError):  # the list is gone
            return frozenset()
        return frozenset(source.id(position) for position in range(len(source)))

    def _opened(self) -> ImageItems:
        """The images of the protocol, opened on first use."""
        if self._source is None:
            name, data = self._description[PROTOCOL], None if self._root is None else str(self._root)
            if name not in PROTOCOLS:  # images of one's own, under the name of their folder or manifest
                name, data = str(self._root), None
            prefix = self._description.get(PREFIX, "")
            self._source = open_protocol(name, "database", data, 0, None, strip_prefix=prefix).source
            self._positions = {self._source.id(position): position for position in range(len(self._source))}
        return self._source

    def _known(self, name: str) -> int:
        """The position of an item in its protocol."""
        self._opened()
        if name not in self._positions:
            raise VtsearchError(f"{self._index}: item {name!r} is no longer among its images")
        return self._positions[name]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for a file
        return False


def _is_within(path: Path, root: Path) -> bool:
    """Whether a path leads to somewhere below a folder, or below that of a file, by whatever links."""
    folder = Path(os.path.realpath(root))
    try:
        return Path(os.path.realpath(path)).is_relative_to(folder if folder.is_dir() else folder.parent)
    except ValueError:  # a character that no name of a file has
        return False


def _without_images(description: Mapping[str, str]) -> str:
    if OWN in description:
        return f"its images are of a source of your own, {description[OWN]!r}, which alone finds them by their ids"
    return "the index does not say where its images are (vtsearch encode writes it)"


def has_images(description: Mapping[str, str]) -> bool:
    """Whether the description of an index locates its images."""
    return not {FILES, FOLDER, LIST, PROTOCOL, URLS, *OPENERS}.isdisjoint(description)


def knows_images(index: Reading) -> bool:
    """Whether an index has an ``ImageLocator``."""
    return has_images(index.description)
