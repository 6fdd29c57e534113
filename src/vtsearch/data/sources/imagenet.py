"""ImageNet from its unpacked archives: ``train/<class>/*.JPEG`` and ``val/<class>/*.JPEG``, or 100 of its classes.

Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015, https://www.image-net.org
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource
from vtsearch.data.sources.image_folder import class_folders

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TRAIN, VALIDATION = "train", "val"


class ImagenetSource(ImageFilesSource):
    """The training images of the classes, then their validation images.

    Args:
        root: holds ``train`` and ``val``, both with a folder per class.
        classes: number of classes; of more, a fixed random choice.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no class, a class without an image, or a class in only one of the folders.
    """

    def __init__(self, root: Path, classes: int) -> None:
        train, validation = class_folders(root / TRAIN), class_folders(root / VALIDATION)
        if lacking := train.keys() ^ validation.keys():
            raise ValueError(
                f"{root}: expected the classes of {TRAIN} in {VALIDATION}, got {min(lacking)!r} in one alone"
            )
        names = sorted(train)
        if len(names) > classes:
            chosen = np.random.Generator(np.random.PCG64(0)).choice(len(names), classes, replace=False)
            names = [names[number] for number in np.sort(chosen)]
        found = [
            (path, number) for part in (train, validation) for number, name in enumerate(names) for path in part[name]
        ]
        first_query = sum(len(train[name]) for name in names)
        self.parts: dict[str, NDArray[np.int64]] = {
            "query": np.arange(first_query, len(found)),
            "database": np.arange(first_query),
        }
        """Validation images are queries, training images are the database."""
        paths = [path for path, _ in found]
        ids = [path.relative_to(root).as_posix() for path in paths]
        labels = np.array([number for _, number in found], dtype=np.int64)
        super().__init__(ids, paths, labels, names, [str(root)] * len(paths))
