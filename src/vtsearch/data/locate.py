"""From an index back to its images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from vtsearch.data.containers import OPENERS, file_of
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.selection import FILES, FOLDER, LIST, OWN, PREFIX, PROTOCOL, URLS, open_protocol, root_of
from vtsearch.data.sources.decode import read_image
from vtsearch.data.sources.image_source import FileSource
from vtsearch.data.sources.url_images import UrlImages
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

    from vtsearch.data.sources.encoded_images import EncodedImages
    from vtsearch.data.sources.image_source import ImageItems
    from vtsearch.index import Index


MOVED = "if the images have moved, name their folder: --images FOLDER, or ImageLocator(..., root=FOLDER)"


class ImageLocator:
    """Images of the items of an index, by their positions in it.

    Items of files, folders and lists are files below one root, named by their ids; so are the tar and Parquet files of
    their items. URLs are fetched. Items of a protocol are looked up in its data set by their ids. Nothing is opened
    before the first image is asked for.

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
            raise VtsearchError(f"{index}: {_without_images(description)}")
        if root is not None and not Path(root).exists():
            raise FileNotFoundError(2, "images: no such folder", str(root))
        self._description, self._ids, self._index = description, ids, index
        self._root = root_of(description) if root is None else Path(root)
        self._source: ImageItems | None = None
        self._positions: dict[str, int] = {}
        self._kind = next((kind for kind in OPENERS if kind in description), None)
        self._opened_files: dict[str, tuple[EncodedImages, dict[str, int]]] = {}
        if self._root is not None and not self._root.exists():
            raise VtsearchError(f"{index}: its images were in {self._root}, which does not exist; {MOVED}")

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
        if URLS in self._description:
            return UrlImages([self._ids[position]]).load(0)
        if self._kind is not None:
            return self._load_part(self._kind, self._ids[position])
        return read_image(self.path(position), self._index)

    def path(self, position: int) -> Path:
        """The image file of an item.

        Raises:
            VtsearchError: a file that is gone, or an item that is no file of its own, such as a member of a tar.
        """
        if URLS in self._description:
            raise VtsearchError(f"{self._index}: {self._ids[position]!r} is a URL and has no file")
        if self._kind is not None:
            raise VtsearchError(f"{self._index}: {self._ids[position]!r} is part of a file and has none of its own")
        if PROTOCOL in self._description:
            source = self._opened()
            if not isinstance(source, FileSource):
                raise VtsearchError(f"{self._index}: {self._description[PROTOCOL]} has no file for each image")
            return source.path(self._positions[self._known(position)])
        assert self._root is not None
        path = self._root / self._ids[position]
        if not path.is_file():
            raise VtsearchError(f"{self._index}: no image {self._ids[position]!r} in {self._root}; {MOVED}")
        return path

    def _load_part(self, kind: str, name: str) -> Image:
        """The image of an item in a tar or Parquet file, which is opened on first use."""
        assert self._root is not None
        file = file_of(kind, self._root, name)
        if file is None:
            raise VtsearchError(f"{self._index}: no file in {self._root} that {name!r} is in; {MOVED}")
        if file not in self._opened_files:
            try:
                source = OPENERS[kind](self._root, [file])
            except ValueError as reason:  # a file without any image
                raise VtsearchError(f"{self._index}: {reason}") from reason
            self._opened_files[file] = source, {source.id(at): at for at in range(len(source))}
        source, positions = self._opened_files[file]
        if name not in positions:
            raise VtsearchError(f"{self._index}: item {name!r} is no longer in {self._root / file}")
        return source.load(positions[name])

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

    def _known(self, position: int) -> str:
        name = self._ids[position]
        if name not in self._positions:
            raise VtsearchError(f"{self._index}: item {name!r} is no longer among its images")
        return name


def _without_images(description: Mapping[str, str]) -> str:
    if OWN in description:
        return f"its images are of a source of your own, {description[OWN]!r}, which alone finds them by their ids"
    return "the index does not say where its images are (vtsearch encode writes it)"


def has_images(description: Mapping[str, str]) -> bool:
    """Whether the description of an index locates its images."""
    return not {FILES, FOLDER, LIST, PROTOCOL, URLS, *OPENERS}.isdisjoint(description)


def knows_images(index: Index) -> bool:
    """Whether an index has an ``ImageLocator``."""
    return has_images(index.description)
