"""CIFAR-10: 60,000 images of 32 x 32 pixels in ten classes; the training images come first, then the test images.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._file_lock import FileLock
from vtsearch.data.sources.decode import PixelRule, faults_named
from vtsearch.errors import VtsearchError, require_extra

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CACHE = Path("~/.cache/vtsearch")
PARQUET = ("cifar10/plain_text", "plain_text", ".")
BATCHES = "cifar-10-batches-py"
DOWNLOAD_SECONDS = 3600.0
"""How long a process waits for another one that downloads."""


def open_cifar10(root: str | Path | None = None) -> Cifar10Source:
    """CIFAR-10 from a folder, in either of its two layouts.

    Looks for the Hugging Face layout (``cifar10/plain_text/*.parquet``) and torchvision's (``cifar-10-batches-py``).
    Without ``root``: in ``$VTSEARCH_DATA``, then in ``~/.cache/vtsearch``, where torchvision downloads it if necessary.
    The two layouts hold the images in different orders: a split belongs to the layout it was drawn from.

    Raises:
        FileNotFoundError: ``root`` is given and holds neither layout.
        VtsearchError: damaged files, or a failed download.
    """
    if root is not None:
        found = _find(Path(root))
        if found is None:
            raise FileNotFoundError(f"{root}: expected cifar10/plain_text/*.parquet or {BATCHES} (CIFAR-10) below it")
        return found
    folders = [Path(folder).expanduser() for folder in (os.environ.get("VTSEARCH_DATA"), CACHE) if folder]
    for folder in folders:
        found = _find(folder)
        if found is not None:
            return found
    return _download(CACHE.expanduser())


class Cifar10Source:
    """All 60,000 images, decoded at the first access and cached (184 MB in total).

    Args:
        labels: int64 (60000,).
        encoded: per image the bytes of its file, or None if ``decoded`` is complete.
        decoded: uint8 (60000, 3, 32, 32).
        train_images: number of training images.
    """

    classes: tuple[str, ...] = CLASSES
    pixel_rule: PixelRule = "published"

    def __init__(self, labels: NDArray[np.int64], encoded: Any, decoded: NDArray[np.uint8], train_images: int) -> None:
        self.labels = labels
        self._encoded = encoded
        self._decoded = decoded
        self._is_decoded = np.full(len(labels), encoded is None)
        self._train_images = train_images

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (b, 3, 32, 32).

        Raises:
            VtsearchError: an image that cannot be decoded.
        """
        for position in positions[~self._is_decoded[positions]]:
            self._decoded[position] = self._decode(int(position))
            self._is_decoded[position] = True
        return self._decoded[positions]

    def load(self, position: int) -> Image:
        """The 32 x 32 image at a position."""
        picture = self.pixels(np.array([position]))[0].transpose(1, 2, 0)
        image: Image = require_extra("PIL.Image").fromarray(np.ascontiguousarray(picture))
        return image

    def id(self, position: int) -> str:
        """``train/00017`` or ``test/00017``."""
        if position < self._train_images:
            return f"train/{position:05d}"
        return f"test/{position - self._train_images:05d}"

    def _decode(self, position: int) -> NDArray[np.uint8]:
        with (
            faults_named(f"cifar10: cannot decode image {self.id(position)}"),
            require_extra("PIL.Image").open(io.BytesIO(self._encoded[position].as_py())) as image,
        ):
            picture = np.asarray(image.convert("RGB"))
        if picture.shape != (32, 32, 3):
            raise VtsearchError(f"cifar10: expected 32 x 32 pixels, got {picture.shape} in {self.id(position)}")
        return picture.transpose(2, 0, 1)


def _find(root: Path) -> Cifar10Source | None:
    for folder in PARQUET:
        train, test = (sorted((root / folder).glob(f"{part}-*.parquet")) for part in ("train", "test"))
        if train and test:
            return _read_parquet(train, test)
    return _read_batches(root) if (root / BATCHES).is_dir() else None


def _read_parquet(train: list[Path], test: list[Path]) -> Cifar10Source:
    pyarrow, parquet = require_extra("pyarrow"), require_extra("pyarrow.parquet")
    try:
        table = pyarrow.concat_tables([parquet.read_table(path, columns=["img", "label"]) for path in [*train, *test]])
        train_images = sum(parquet.read_metadata(path).num_rows for path in train)
    except (OSError, pyarrow.ArrowException) as reason:
        raise VtsearchError(
            f"{train[0].parent}: not CIFAR-10 in parquet files with img and label: {reason}"
        ) from reason
    labels = table["label"].to_numpy().astype(np.int64)
    encoded = pyarrow.chunked_array([chunk.field("bytes") for chunk in table["img"].chunks]).combine_chunks()
    return Cifar10Source(labels, encoded, np.empty((len(labels), 3, 32, 32), np.uint8), train_images)


def _read_batches(root: Path) -> Cifar10Source:
    cifar10 = require_extra("torchvision.datasets").CIFAR10
    try:
        parts = [cifar10(root, train=is_train, download=False) for is_train in (True, False)]
    except RuntimeError as reason:
        raise VtsearchError(f"{root / BATCHES}: not torchvision's CIFAR-10, or damaged: {reason}") from reason
    labels = np.concatenate([np.array(part.targets, dtype=np.int64) for part in parts])
    decoded = np.concatenate([part.data for part in parts]).transpose(0, 3, 1, 2)
    return Cifar10Source(labels, None, np.ascontiguousarray(decoded), len(parts[0]))


def _download(cache: Path) -> Cifar10Source:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / ".cifar10.lock", f"cifar10: {cache}").acquire(DOWNLOAD_SECONDS):
            if not (cache / BATCHES).is_dir():  # another process of a run may have fetched it meanwhile
                _fetch(cache)
    except (OSError, RuntimeError) as reason:
        raise VtsearchError(
            f"cifar10: no copy in $VTSEARCH_DATA or {cache}, and the download failed ({reason}); "
            f"name a folder that holds cifar10/plain_text/*.parquet or {BATCHES}, or set VTSEARCH_DATA to it"
        ) from reason
    return _read_batches(cache)


def _fetch(cache: Path) -> None:
    """Download into a folder of its own: others see all of it or nothing."""
    with tempfile.TemporaryDirectory(dir=cache) as fresh:
        require_extra("torchvision.datasets").CIFAR10(fresh, train=True, download=True)
        (Path(fresh) / BATCHES).rename(cache / BATCHES)
