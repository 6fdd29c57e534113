"""From words to images and back: what a user encodes, and where the images of an index can be found again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from vtsearch.data.open import open_dataset, open_image_folder, open_image_list, open_manifest
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.sources.image_files import read_image
from vtsearch.data.sources.image_folder import SUFFIXES
from vtsearch.data.splits.split import load_split
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.index import Index

Part = Literal["query", "train", "database"]


@dataclass(frozen=True)
class Images:
    """Images to encode, and the words that find them again."""

    source: ImageSource
    positions: NDArray[np.int64]
    description: Mapping[str, str]
    """Goes into the index; ``reopen`` understands it."""
    labelled: bool = True
    split: str | None = None
    """Fingerprint of the protocol's split."""


class ImageFiles:
    """Image files as a source without labels; their names below a folder are the ids."""

    classes: tuple[str, ...] = ()

    def __init__(self, root: Path, names: Sequence[str]) -> None:
        """The images ``root / name`` in this order; an absolute name stands for itself."""
        for name in names:
            if not (root / name).is_file():
                raise FileNotFoundError(2, "no such image", str(root / name))
        self._root, self._names = root, list(names)
        self.labels = np.zeros(len(names), dtype=np.int64)

    def __len__(self) -> int:
        return len(self._names)

    def load(self, position: int) -> Image:
        """The RGB image at a position."""
        return load_image(self._root / self._names[position])

    def id(self, position: int) -> str:
        """The name as it was given."""
        return self._names[position]


def load_image(path: Path) -> Image:
    """The RGB image in a file.

    Raises:
        VtsearchError: a file that is no image, or a truncated one.
    """
    return read_image(path, "images")


def open_images(
    words: Sequence[str], *, part: Part = "database", data: str | None = None, seed: int = 0, split: str | None = None
) -> Images:
    """The images that the words name.

    Args:
        words: a protocol's name; or a folder; or a list file (.txt) or table (.csv, .parquet); or image files.
        part: which part of a protocol.
        data: the folder of a protocol's data set, or the one that a list's paths are relative to.
        seed: of a protocol's split.
        split: file of a split drawn before, instead of drawing one.

    Raises:
        ValueError: words that name no protocol and no file.
        FileNotFoundError: an image that does not exist.
    """
    first = Path(words[0])
    if len(words) == 1 and words[0] in PROTOCOLS:
        return _of_protocol(words[0], part, data, seed, split)
    if len(words) == 1 and first.is_dir():
        return _of_folder(first)
    if len(words) == 1 and first.suffix in (".txt", ".csv", ".parquet"):
        return _of_list(first, data)
    if len(words) == 1 and not first.exists():
        choices = ", ".join(PROTOCOLS)
        raise ValueError(f"images: expected a protocol ({choices}), a folder, a list or image files, got {words[0]!r}")
    return _of_files(Path.cwd(), words)


def knows_images(index: Index) -> bool:
    """Whether the index says where its images are."""
    return not {"files", "protocol", "folder", "list"}.isdisjoint(index.description)


def reopen(index: Index) -> Callable[[int], Image]:
    """A function that loads the image of an item by its position in the index.

    Raises:
        VtsearchError: an index that does not say where its images are.
    """
    words = index.description
    ids = index.ids()
    if "files" in words:
        root = Path(words["files"])
        return lambda item: load_image(root / ids[item])
    if "protocol" in words:
        source = _of_protocol(words["protocol"], "database", words.get("data"), 0, None).source
    elif "folder" in words:
        source = _of_folder(Path(words["folder"])).source
    elif "list" in words:
        source = _of_list(Path(words["list"]), words.get("data")).source
    else:
        raise VtsearchError(f"{index.path}: the index does not say where its images are (vtsearch encode writes it)")
    positions = {source.id(position): position for position in range(len(source))}

    def load(item: int) -> Image:
        if ids[item] not in positions:
            raise VtsearchError(f"{index.path}: item {ids[item]!r} is no longer among its images")
        return source.load(positions[ids[item]])

    return load


def _of_protocol(name: str, part: Part, data: str | None, seed: int, split: str | None) -> Images:
    opened = open_dataset(
        name, None if data is None else Path(data), seed=seed, split=None if split is None else load_split(split)
    )
    words = {"protocol": name, "part": part} | ({} if data is None else {"data": str(Path(data).absolute())})
    words |= {"remark": opened.remark} if opened.remark else {}
    positions = getattr(opened.split, part)
    return Images(opened.source, positions, words, split=opened.split.fingerprint)


def _of_folder(folder: Path) -> Images:
    if any(path.is_dir() and not path.name.startswith(".") for path in folder.iterdir()):
        return _whole(open_image_folder(folder), {"folder": str(folder.absolute())})
    names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not names:
        raise ValueError(f"images: expected images or subfolders of images in {folder}, got none")
    return _of_files(folder.absolute(), names)


def _of_list(file: Path, root: str | None) -> Images:
    words = {"list": str(file.absolute())} | ({} if root is None else {"data": str(Path(root).absolute())})
    return _whole(open_image_list(file, root) if file.suffix == ".txt" else open_manifest(file, root), words)


def _of_files(root: Path, names: Sequence[str]) -> Images:
    return _whole(ImageFiles(root, names), {"files": str(root)}, labelled=False)


def _whole(source: ImageSource, words: Mapping[str, str], *, labelled: bool = True) -> Images:
    return Images(source, np.arange(len(source), dtype=np.int64), words, labelled=labelled)
