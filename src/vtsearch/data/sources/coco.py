"""COCO's annotation files ``instances_*.json``; their object categories are the labels.

Source: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014, https://cocodataset.org
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.data.sources.image_files import ImageFilesSource, refuse
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vtsearch.data.sources.image_files import Report


class CocoSource(ImageFilesSource):
    """The annotated images of one or more annotation files, without images that have no object.

    The label columns are the categories by name, as in the published lists. Images are in the order of the files,
    and by name within each.

    Args:
        files: ``instances_train2014.json`` and the like.
        root: has a folder ``train2014`` for ``instances_train2014.json`` and so on, or else ``images``, or the images.
        report: called with each missing image.

    Raises:
        FileNotFoundError: no such file, or an image that does not exist.
        VtsearchError: a file that is not COCO's JSON, or holds no object.
    """

    def __init__(self, files: Sequence[Path], root: Path, *, report: Report = refuse) -> None:
        contents = {file: _read(file) for file in files}
        classes = tuple(sorted({name for content in contents.values() for name in content["categories"].values()}))
        columns = {name: column for column, name in enumerate(classes)}
        names: list[str] = []
        paths: list[Path] = []
        where: list[str] = []
        labels: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
        for file, content in contents.items():
            folder = _image_folder(root, file)
            for name, categories in sorted(content["objects"].items()):
                row = np.zeros(len(classes), dtype=np.uint8)
                row[[columns[content["categories"][category]] for category in categories]] = 1
                labels.append(row)
                paths.append(folder / name)
                names.append((folder / name).relative_to(root).as_posix())
                where.append(str(file))
        if not labels:
            raise VtsearchError(f"{', '.join(map(str, files))}: expected images with objects, got none")
        super().__init__(names, paths, np.array(labels), classes, where, report=report)


def _image_folder(root: Path, file: Path) -> Path:
    for name in (file.stem.removeprefix("instances_"), "images"):
        if (root / name).is_dir():
            return root / name
    return root


def _read(file: Path) -> dict[str, Any]:
    """Category id -> name under "categories", and image file -> its categories under "objects"."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        images = {image["id"]: str(image["file_name"]) for image in content["images"]}
        categories = {category["id"]: str(category["name"]) for category in content["categories"]}
        objects: dict[str, set[int]] = {}
        for annotation in content["annotations"]:
            objects.setdefault(images[annotation["image_id"]], set()).add(annotation["category_id"])
        unknown = set().union(*objects.values()) - categories.keys()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as reason:
        raise VtsearchError(
            f"{file}: expected COCO's instances as JSON ({type(reason).__name__}: {reason})"
        ) from reason
    if unknown:
        raise VtsearchError(f"{file}: expected objects of its categories, got category {min(unknown)}")
    return {"categories": categories, "objects": objects}
