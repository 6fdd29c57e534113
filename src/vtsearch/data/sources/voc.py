"""Pascal VOC's label files: per class a list of images, each with 1 (present), 0 (difficult) or -1 (absent).

Source: Everingham et al., The Pascal Visual Object Classes Challenge: A Retrospective, IJCV 2015,
http://host.robots.ox.ac.uk/pascal/VOC/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, refuse
from vtsearch.data.sources.text_files import read_lines
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.data.sources.image_files import Report

LABELS = "ImageSets/Main"
SUFFIX = "_trainval.txt"
IMAGES = "JPEGImages"


class VocSource(ImageFilesSource):
    """The training and validation images of the classes; difficult objects are ignored.

    Args:
        root: contains ``ImageSets/Main/<class>_trainval.txt`` and ``JPEGImages``.
        report: called with each fault, by default raised; lines with a fault are skipped.

    Raises:
        FileNotFoundError: an image that does not exist.
        ValueError: a line that is not a name with 1, 0 or -1 (with file and line).
        VtsearchError: no label files, or no image of any class.
    """

    def __init__(self, root: Path, *, report: Report = refuse) -> None:
        files = sorted((root / LABELS).glob(f"*{SUFFIX}"))
        classes = [file.name.removesuffix(SUFFIX) for file in files]
        columns: dict[str, list[int]] = {}
        for column, file in enumerate(files):
            for name in _shown(file, report):
                columns.setdefault(name, []).append(column)
        if not columns:
            raise VtsearchError(f"{root / LABELS}: expected <class>{SUFFIX} with images of the classes, got none")
        names = sorted(columns)
        labels = np.zeros((len(names), len(classes)), dtype=np.uint8)
        for row, name in enumerate(names):
            labels[row, columns[name]] = 1
        ids = [f"{IMAGES}/{name}.jpg" for name in names]
        paths = [root / item for item in ids]
        super().__init__(ids, paths, labels, classes, [str(root / LABELS)] * len(ids), report=report)


def _shown(file: Path, report: Report) -> list[str]:
    """Names of the images with the class of a file."""
    names = []
    for number, line in enumerate(read_lines(file), start=1):
        fields = line.split()
        if fields and (len(fields) != 2 or fields[1] not in ("1", "0", "-1")):
            report("labels", ValueError(f"{file}:{number}: expected a name with 1, 0 or -1, got {line!r}"))
        elif fields and fields[1] == "1":
            names.append(fields[0])
    return names
