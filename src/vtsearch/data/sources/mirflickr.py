"""MIRFlickr's annotation files: per tag the numbers of its images.

Source: Huiskes and Lew, The MIR Flickr Retrieval Evaluation, MIR 2008, https://press.liacs.nl/mirflickr/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, is_number, refuse
from vtsearch.data.sources.text_files import read_lines
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.data.sources.image_files import Report

FOLDERS = ("mirflickr25k_annotations_v080", "annotations")
README = "README.txt"
MOST_IMAGES = 1_000_000


class MirflickrSource(ImageFilesSource):
    """All images ``im1.jpg``, ``im2.jpg``, ..., with or without a tag; tags in the order of their names.

    Args:
        root: contains ``im*.jpg``, directly or in ``mirflickr``, and the annotation files in a separate folder.
        report: called with each fault, by default raised; lines with a fault are skipped.

    Raises:
        FileNotFoundError: a missing image between the first and the last.
        ValueError: a line that is not the number of an image (with file and line).
        VtsearchError: no annotation files, or no images.
    """

    def __init__(self, root: Path, *, report: Report = refuse) -> None:
        files = annotation_files(root)
        if not files:
            raise VtsearchError(f"{root}: expected {FOLDERS[0]}/*.txt with numbers of images, got none")
        tagged = {file.stem: _numbers(file, report) for file in files}
        folder = root / "mirflickr" if (root / "mirflickr").is_dir() else root
        there = [int(path.stem[2:]) for path in folder.glob("im*.jpg") if is_number(path.stem[2:])]
        if not there:
            raise VtsearchError(f"{folder}: expected images im1.jpg, im2.jpg, ..., got none")
        images = max(there + [number for numbers in tagged.values() for number in numbers])
        labels = np.zeros((images, len(tagged)), dtype=np.uint8)
        for column, numbers in enumerate(tagged.values()):
            labels[np.array(numbers, dtype=np.int64) - 1, column] = 1
        paths = [folder / f"im{number}.jpg" for number in range(1, images + 1)]
        ids = [path.relative_to(root).as_posix() for path in paths]
        super().__init__(ids, paths, labels, list(tagged), [str(folder)] * images, report=report)


def annotation_files(root: Path) -> list[Path]:
    """The annotation file of each tag, in the order of their names."""
    for folder in FOLDERS:
        files = sorted(file for file in (root / folder).glob("*.txt") if file.name != README)
        if files:
            return files
    return []


def _numbers(file: Path, report: Report) -> list[int]:
    numbers = []
    for line, text in enumerate(read_lines(file), start=1):
        number = text.strip()
        if is_number(number) and len(number) <= 7 and 1 <= int(number) <= MOST_IMAGES:
            numbers.append(int(number))
        elif number:
            report("labels", ValueError(f"{file}:{line}: expected the number of an image, got {number!r}"))
    return numbers
