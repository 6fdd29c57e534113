"""From the arguments of a command to images to encode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from vtsearch.data.containers import OPENERS, SUFFIXES, file_of, files_of_folder, kind_of_files, kind_of_folder
from vtsearch.data.open import open_dataset, open_image_folder
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.sources.decode import PixelRule, read_image
from vtsearch.data.sources.encoded_images import EncodedImages
from vtsearch.data.sources.fetch import is_url
from vtsearch.data.sources.folder_scan import describe, look_into
from vtsearch.data.sources.image_folder import left_out
from vtsearch.data.sources.image_list import ImageListSource
from vtsearch.data.sources.image_source import ImageSource, remarks_of
from vtsearch.data.sources.manifest import ManifestSource
from vtsearch.data.sources.text_files import read_lines
from vtsearch.data.sources.url_images import UrlImages
from vtsearch.data.splits.split import load_split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.folder_scan import FolderContent
    from vtsearch.data.sources.image_files import ImageFilesSource
    from vtsearch.data.sources.image_source import ImageItems

Part = Literal["query", "train", "database"]
LISTS = (".txt", ".csv", ".parquet")

FILES, FOLDER, LIST, PROTOCOL, PART = "files", "folder", "list", "protocol", "part"
DATA, PREFIX, URLS, OWN = "data", "strip_prefix", "urls", "source"
"""Entries of an index's description that locate its images."""
PLACES = (FILES, FOLDER, LIST, PROTOCOL, PART, *OPENERS, DATA, PREFIX, URLS, OWN)
"""All entries that say which images an index is of."""
GIVEN, LISTED = "given", "listed"
"""Values of the entry ``URLS``."""


@dataclass(frozen=True)
class ImageSelection:
    """Images to encode, and the description by which an ``ImageLocator`` finds them again."""

    source: ImageItems
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
        """The folder of the images; None for URLs, and for a protocol whose data set has no folder of its own."""
        return root_of(self.description)

    def is_beside(self, name: str) -> bool:
        """Whether an item that is not among the images is there all the same: a file or URL not named this time."""
        if self.description.get(URLS) == GIVEN:
            return True
        if FILES in self.description:
            return (Path(self.description[FILES]) / name).is_file()
        kind = next((kind for kind in OPENERS if kind in self.description), None)
        if kind is None or not isinstance(self.source, EncodedImages):
            return False
        file = file_of(kind, Path(self.description[kind]), name)
        return file is not None and file not in self.source.files


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
        names: a protocol's name; or a folder, of images or of tar or Parquet files; or a list file (.txt) or table
            (.csv, .parquet), of paths or URLs; or image files; or tar files, or Parquet files with a column of images;
            or URLs.
        part: which part of a protocol.
        data: the folder of a protocol's data set, or the one that a list's paths are relative to.
        seed: of a protocol's split.
        split: file of a split drawn before, instead of drawing one.
        strip_prefix: removed from the beginning of the paths in lists and tables.

    Raises:
        ValueError: a name of no protocol and no file, a folder without images, or files of several kinds.
        FileNotFoundError: one of several image files that does not exist; those of lists are found when they are read.
        VtsearchError: a damaged tar or Parquet file.
    """
    first = Path(names[0])
    if len(names) == 1 and names[0] in PROTOCOLS:
        return open_protocol(names[0], part, data, seed, split, strip_prefix=strip_prefix)
    if len(names) == 1 and first.is_dir():
        return _of_folder(first)
    if all_urls(names, "images"):
        return _of_urls(UrlImages(names), {URLS: GIVEN})
    if kind := kind_of_files(names):
        return _of_containers(kind, Path.cwd(), names)
    if len(names) == 1 and first.suffix in LISTS:
        return _of_list(first, data, strip_prefix)
    if len(names) == 1 and not first.exists():
        choices = ", ".join(PROTOCOLS)
        raise ValueError(f"images: expected a protocol ({choices}), a folder, a list or image files, got {names[0]!r}")
    return _of_files(Path.cwd(), names)


def select_source(source: ImageItems, *, name: str) -> ImageSelection:
    """All images of a source of your own class, to encode into an index or to bring one up to date.

    Labels are taken if the source has ``labels`` and ``classes``. Images that an index has are taken to be unchanged,
    unless the source is a ``FileSource`` (it has ``path``) or an ``EncodedSource`` (``read`` and ``stamp``).

    Args:
        source: has ``__len__``, ``load`` and ``id``; see ``ImageItems``.
        name: of the source; an index refuses to be brought up to date by another one.
    """
    return _whole(source, {OWN: name}, labelled=isinstance(source, ImageSource) and bool(source.classes))


def root_of(description: Mapping[str, str]) -> Path | None:
    """The folder that the ids are relative to; of a protocol, its data set or the images of one's own; none of URLs."""
    if URLS in description:
        return None
    if PROTOCOL in description and description[PROTOCOL] not in PROTOCOLS:
        return Path(description[PROTOCOL])
    for name in (FILES, FOLDER, *OPENERS, DATA):
        if name in description:
            return Path(description[name])
    return Path(description[LIST]).parent if LIST in description else None


def open_protocol(
    name: str, part: Part, data: str | None, seed: int, split: str | None, *, strip_prefix: str
) -> ImageSelection:
    """A part of a protocol; arguments and errors as of ``select_images``."""
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
    if not content.images and (kind := kind_of_folder(content)):
        return _of_containers(kind, folder.absolute(), files_of_folder(folder, kind), _other_files(content, kind))
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


def _of_containers(kind: str, root: Path, names: Sequence[str], remarks: Sequence[str] = ()) -> ImageSelection:
    source = OPENERS[kind](root, names)
    source.remarks = (*remarks, *source.remarks)
    return _whole(source, {kind: str(root)}, labelled=bool(source.classes))


def _other_files(content: FolderContent, kind: str) -> list[str]:
    """A sentence about the other files of a folder of tar or Parquet files."""
    left_out = content.left_out
    del left_out[SUFFIXES[kind]]
    return [f"{content.root}: left out: {describe(left_out)}"] if left_out else []


def _of_list(file: Path, root: str | None, strip_prefix: str) -> ImageSelection:
    description = {LIST: str(file.absolute())} | ({} if root is None else {DATA: str(Path(root).absolute())})
    report = _refuse_all_but_missing
    if file.suffix == ".txt":
        lines = [line.strip() for line in read_lines(file) if line.strip()]
        if lines and all(is_url(line) and len(line.split()) == 1 for line in lines):
            return _of_urls(UrlImages(lines), description | {URLS: LISTED})
        source: ImageFilesSource = ImageListSource([file], root, report=report, strip_prefix=strip_prefix)
    else:
        source = ManifestSource(file, root, report=report, strip_prefix=strip_prefix)
    names = [source.id(position) for position in range(len(source))]
    if all_urls(names, str(file)):
        urls = UrlImages(names, source.labels, source.classes, source.remarks)
        return _of_urls(urls, description | {URLS: LISTED})
    return _whole(source, description)


def all_urls(names: Sequence[str], where: str) -> bool:
    """Whether all names are URLs, rather than none.

    Raises:
        ValueError: some are.
    """
    urls = [is_url(name) for name in names]
    if any(urls) and not all(urls):
        raise ValueError(
            f"{where}: expected URLs or paths, got both, such as {names[urls.index(False)]!r}: encode them apart"
        )
    return any(urls)


def _of_urls(source: UrlImages, description: Mapping[str, str]) -> ImageSelection:
    return _whole(source, description, labelled=bool(source.classes))


def _refuse_all_but_missing(_kind: str, fault: Exception) -> None:
    """Raise a fault, unless it is a missing image: that is found when the image is read."""
    if not isinstance(fault, FileNotFoundError):
        raise fault


def _of_files(root: Path, names: Sequence[str], remarks: Sequence[str] = ()) -> ImageSelection:
    return _whole(ImageFiles(root, names, remarks), {FILES: str(root)}, labelled=False)


def _whole(source: ImageItems, description: Mapping[str, str], *, labelled: bool = True) -> ImageSelection:
    return ImageSelection(source, np.arange(len(source), dtype=np.int64), description, labelled=labelled)
