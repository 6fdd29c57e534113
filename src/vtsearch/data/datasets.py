"""The data sets of the protocols: file names, search paths and publishers."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.cifar10 import open_cifar10
from vtsearch.data.sources.coco import CocoSource
from vtsearch.data.sources.digits import DigitsSource
from vtsearch.data.sources.image_files import refuse
from vtsearch.data.sources.image_list import ImageListSource
from vtsearch.data.sources.imagenet import TRAIN, VALIDATION, ImagenetSource
from vtsearch.data.sources.manifest import SUFFIXES, ManifestSource
from vtsearch.data.sources.mirflickr import FOLDERS, MirflickrSource, annotation_files
from vtsearch.data.sources.nuswide import IMAGES, NuswideSource
from vtsearch.data.sources.text_files import read_lines
from vtsearch.data.sources.voc import LABELS as VOC_LABELS
from vtsearch.data.sources.voc import VocSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from vtsearch.data.sources.decode import PixelRule
    from vtsearch.data.sources.image_files import Report
    from vtsearch.data.sources.image_list import ListFile
    from vtsearch.data.sources.image_source import ImageSource

PART_FILES = {"query": ("query", "test"), "train": ("train",), "database": ("database",)}
"""Part -> names of its list file."""
PAIRS = (("_img", "_label_onehot"), ("_img", "_label"))
"""Suffixes of a file of paths and of its file of labels."""
LISTS = "test.txt, database.txt and train.txt, or all.txt, or manifest.csv or .parquet"


@dataclass(frozen=True)
class OpenedImages:
    """Images, and the parts of the split specified by their files."""

    source: ImageSource
    parts: Mapping[str, NDArray[np.int64]] | None = None
    """Part -> positions, repeats included; None if no part is specified."""
    lists: Mapping[str, ListFile] = field(default_factory=dict)
    """Part -> its list file."""


@dataclass(frozen=True)
class ListOptions:
    """How lists and tables of images are read."""

    report: Report = refuse
    """Called with each fault in a user's files."""
    strip_prefix: str = ""
    """Removed from the beginning of the paths in lists and tables."""
    pixel_rule: PixelRule = "upright"
    """"published" for a published protocol."""


@dataclass(frozen=True)
class Dataset:
    """A data set and the opener of its files."""

    title: str
    page: str
    """Web page of its publisher."""
    needs: str
    """The expected files in ROOT."""
    open: Callable[[Path | None, str, int, ListOptions], OpenedImages]
    """Opens the files below a folder, or the default one, given the name of the folder of list files, the number of
    classes and the options for lists."""


def open_listed(root: Path, folder: Path, options: ListOptions) -> OpenedImages | None:
    """The images of list files or of a manifest in a folder; None if there are none.

    Args:
        root: the folder that paths are relative to.
        folder: with ``query.txt`` or ``test.txt``, ``database.txt`` and perhaps ``train.txt``; or the same as pairs
            (``test_img.txt`` and ``test_label.txt``); or ``all.txt``; or ``manifest.csv`` or ``manifest.parquet``.
        options: how the lines are read.

    Raises:
        FileNotFoundError: an image that does not exist.
        ValueError: a malformed line or row.
    """
    lists = find_lists(folder)
    if {"query", "database"} <= lists.keys():
        source = open_list_files(list(lists.values()), root, _class_names(folder), options)
        return OpenedImages(source, dict(zip(lists, source.positions, strict=True)), lists)
    if (folder / "all.txt").is_file():
        whole = folder / "all.txt"
        return OpenedImages(open_list_files([whole], root, _class_names(folder), options), None, {"all": whole})
    for file in (folder / f"manifest{suffix}" for suffix in SUFFIXES):
        if file.is_file():
            return open_table(file, root, options)
    return None


def open_list_files(
    files: Sequence[ListFile], root: Path | None, classes: Sequence[str] | None, options: ListOptions
) -> ImageListSource:
    """The images of list files; errors as of ``ImageListSource``."""
    return ImageListSource(
        files,
        root,
        classes,
        strip_prefix=options.strip_prefix,
        pixel_rule=options.pixel_rule,
        report=options.report,
    )


def open_table(file: Path, root: Path | None, options: ListOptions) -> OpenedImages:
    """The images and the split of a manifest.

    Raises:
        FileNotFoundError: an image that does not exist.
        ValueError: a malformed row, or a split column without queries or without a database.
    """
    source = ManifestSource(
        file, root, strip_prefix=options.strip_prefix, pixel_rule=options.pixel_rule, report=options.report
    )
    parts = source.parts
    if parts is not None:
        if "database" not in parts and "train" in parts:
            parts = {**parts, "database": parts["train"]}
        if lacking := {"query", "database"} - parts.keys():
            raise ValueError(f"{file}: split: expected images of each part, got no {min(lacking)} image")
    return OpenedImages(source, parts, {"manifest": file})


def find_lists(folder: Path) -> dict[str, ListFile]:
    """Part -> its list file, or its files of paths and labels."""
    found: dict[str, ListFile] = {}
    for part, names in PART_FILES.items():
        for name in names:
            pairs = [(folder / f"{name}{paths}.txt", folder / f"{name}{labels}.txt") for paths, labels in PAIRS]
            there = [pair for pair in pairs if pair[0].is_file() and pair[1].is_file()]
            if (folder / f"{name}.txt").is_file():
                found.setdefault(part, folder / f"{name}.txt")
            elif there:
                found.setdefault(part, there[0])
    return found


def _class_names(folder: Path) -> list[str] | None:
    file = folder / "classes.txt"
    return read_lines(file) if file.is_file() else None


def _files(
    folders: tuple[str, ...],
    needs: str,
    read: Callable[[Path, int, Report], OpenedImages | None],
) -> Callable[[Path | None, str, int, ListOptions], OpenedImages]:
    """An opener of list files, else of a manifest, else of the data set's own files."""

    def open_files(root: Path | None, lists: str, classes: int, options: ListOptions) -> OpenedImages:
        if root is None and not os.environ.get("VTSEARCH_DATA"):
            raise FileNotFoundError(f"data: expected a folder with {needs}; name it with --data, or set VTSEARCH_DATA")
        root = Path(os.environ["VTSEARCH_DATA"]) if root is None else root
        for base in (root / name for name in folders):
            for folder in (base / lists, base):
                if (opened := open_listed(base, folder, options)) is not None:
                    return opened
            if (opened := read(base, classes, options.report)) is not None:
                return _with_list_files(opened, find_lists(base / lists) or find_lists(base), base, options)
        raise FileNotFoundError(f"{root}: expected {needs} in it")

    return open_files


def _with_list_files(
    opened: OpenedImages, lists: Mapping[str, ListFile], root: Path, options: ListOptions
) -> OpenedImages:
    """The data set's own labels with the published query and train lists; the protocol derives the database.

    The published database lists are not distributed with the others: they are the complement of these.
    """
    if not {"query", "train"} <= lists.keys():
        return opened

    def report_labels(kind: str, fault: Exception) -> None:
        if kind != "files":  # missing files are reported by the source of the labels
            options.report(kind, fault)

    listed = open_list_files(list(lists.values()), root, None, replace(options, report=report_labels))
    known = {Path(opened.source.id(position)).name: position for position in range(len(opened.source))}
    parts: dict[str, NDArray[np.int64]] = {}
    for part, positions in zip(lists, listed.positions, strict=True):
        names = [Path(listed.id(position)).name for position in positions.tolist()]
        for name in names:
            if name not in known:
                options.report(
                    "files", FileNotFoundError(f"{lists[part]}: no such image among the labelled ones: {name}")
                )
        parts[part] = np.array([known[name] for name in names if name in known], dtype=np.int64)
    return OpenedImages(opened.source, parts, lists)


def _read_coco(folder: Path, _classes: int, report: Report) -> OpenedImages | None:
    found = [file for parent in (folder / "annotations", folder) for file in sorted(parent.glob("instances_*.json"))]
    published = [file for file in found if "2014" in file.name]  # 2017 has the same images under other names
    return OpenedImages(CocoSource(published or found, folder, report=report)) if found else None


def _read_nuswide(folder: Path, classes: int, report: Report) -> OpenedImages | None:
    return OpenedImages(NuswideSource(folder, classes, report=report)) if (folder / IMAGES).is_file() else None


def _read_imagenet(folder: Path, classes: int, _report: Report) -> OpenedImages | None:
    if not ((folder / TRAIN).is_dir() and (folder / VALIDATION).is_dir()):
        return None
    source = ImagenetSource(folder, classes)
    return OpenedImages(source, source.parts)


def _read_mirflickr(folder: Path, _classes: int, report: Report) -> OpenedImages | None:
    return OpenedImages(MirflickrSource(folder, report=report)) if annotation_files(folder) else None


def _read_voc(folder: Path, _classes: int, report: Report) -> OpenedImages | None:
    return OpenedImages(VocSource(folder, report=report)) if (folder / VOC_LABELS).is_dir() else None


NEEDS = {
    "cifar10": "cifar10/plain_text/*.parquet (Hugging Face) or cifar-10-batches-py (torchvision)",
    "imagenet": f"train/<class>/*.JPEG and val/<class>/*.JPEG (ImageNet), or {LISTS}",
    "coco": f"annotations/instances_*.json with train2014 and val2014 (COCO), or {LISTS}",
    "nuswide": f"{IMAGES}, Groundtruth/AllLabels and Flickr or images (NUS-WIDE), or {LISTS}",
    "mirflickr": f"im*.jpg and {FOLDERS[0]} (MIRFlickr), or {LISTS}",
    "voc2012": f"{VOC_LABELS}/*_trainval.txt and JPEGImages (VOC), or {LISTS}",
    "digits": "nothing: scikit-learn brings them",
}
"""Data set -> the expected files in ROOT."""

DATASETS: Mapping[str, Dataset] = {
    "cifar10": Dataset(
        "CIFAR-10",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        NEEDS["cifar10"],
        lambda root, _lists, _classes, _options: OpenedImages(open_cifar10(root)),
    ),
    "imagenet": Dataset(
        "ImageNet (ILSVRC 2012)",
        "https://www.image-net.org/download.php",
        NEEDS["imagenet"],
        _files((".", "imagenet", "ImageNet"), NEEDS["imagenet"], _read_imagenet),
    ),
    "nuswide": Dataset(
        "NUS-WIDE",
        "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html",
        NEEDS["nuswide"],
        _files((".", "NUS-WIDE", "nuswide", "nus_wide"), NEEDS["nuswide"], _read_nuswide),
    ),
    "coco": Dataset(
        "MS-COCO 2014",
        "https://cocodataset.org/#download",
        NEEDS["coco"],
        _files((".", "COCO", "coco", "COCO_2014"), NEEDS["coco"], _read_coco),
    ),
    "mirflickr": Dataset(
        "MIRFlickr-25K",
        "https://press.liacs.nl/mirflickr/",
        NEEDS["mirflickr"],
        _files((".", "mirflickr"), NEEDS["mirflickr"], _read_mirflickr),
    ),
    "voc2012": Dataset(
        "Pascal VOC 2012",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        NEEDS["voc2012"],
        _files((".", "voc2012", "VOCdevkit/VOC2012", "VOC2012"), NEEDS["voc2012"], _read_voc),
    ),
    "digits": Dataset(
        "scikit-learn's digits",
        "https://scikit-learn.org/stable/modules/generated/sklearn.datasets.load_digits.html",
        NEEDS["digits"],
        lambda _root, _lists, _classes, _options: OpenedImages(DigitsSource()),
    ),
}
"""Key of ``RetrievalProtocol.source`` -> the data set."""
