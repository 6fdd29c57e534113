"""The same dozen of small images in every format that data sets come in, whole or with something wrong."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("cat", "dog", "owl")


@dataclass(frozen=True)
class Item:
    name: str
    labels: tuple[int, ...]
    parts: tuple[str, ...]

    @property
    def number(self) -> int:
        """Of the class, where an image has one."""
        return self.labels.index(1)

    @property
    def split(self) -> str:
        return "+".join(self.parts)


def items(*, several: bool = True) -> list[Item]:
    """Three queries and nine images of a database, of which six are trained on."""
    made = []
    for number in range(12):
        labels = [int(number % 3 == column) for column in range(3)]
        if several and number % 4 == 3:
            labels[(number + 1) % 3] = 1
        parts = ("query",) if number < 3 else ("train", "database") if number < 9 else ("database",)
        made.append(Item(f"images/{number:04d}.png", tuple(labels), parts))
    return made


def save_image(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def save_images(root: Path, made: list[Item]) -> None:
    for number, item in enumerate(made):
        save_image(root / item.name, number)


def of(made: list[Item], part: str) -> list[Item]:
    return [item for item in made if part in item.parts]


def digits(item: Item) -> str:
    return " ".join(map(str, item.labels))


def lists(root: Path, made: list[Item]) -> None:
    for file, part in (("test", "query"), ("train", "train"), ("database", "database")):
        (root / f"{file}.txt").write_text("".join(f"{item.name} {digits(item)}\n" for item in of(made, part)))


def class_lists(root: Path, made: list[Item]) -> None:
    for file, part in (("query", "query"), ("train", "train"), ("database", "database")):
        (root / f"{file}.txt").write_text("".join(f"{item.name} {item.number}\n" for item in of(made, part)))


def pairs(root: Path, made: list[Item]) -> None:
    for file, part in (("test", "query"), ("train", "train"), ("database", "database")):
        (root / f"{file}_img.txt").write_text("".join(f"{item.name}\n" for item in of(made, part)))
        (root / f"{file}_label.txt").write_text("".join(f"{digits(item)}\n" for item in of(made, part)))


def table(made: list[Item]) -> dict[str, list]:
    columns = {name: [item.labels[number] for item in made] for number, name in enumerate(CLASSES)}
    return {"path": [item.name for item in made], **columns, "split": [item.split for item in made]}


def manifest_csv(root: Path, made: list[Item]) -> None:
    columns = table(made)
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])


def manifest_parquet(root: Path, made: list[Item]) -> None:
    pq.write_table(pa.table(table(made)), root / "manifest.parquet")


def write_two_lists(root: Path, made: list[Item]) -> None:
    for file, part in (("test", "query"), ("train", "train")):
        (root / f"{file}.txt").write_text("".join(f"{item.name} {digits(item)}\n" for item in of(made, part)))


def coco(root: Path, made: list[Item]) -> None:
    """Annotation files of two folders, and the published lists of queries and training images."""
    (root / "annotations").mkdir(exist_ok=True)
    categories = [{"id": 10 * number + 1, "name": name} for number, name in reversed(list(enumerate(CLASSES)))]
    for folder in ("train2014", "val2014"):
        own = [item for item in made if Path(item.name).parts[0] == folder]
        images = [{"id": int(Path(item.name).stem), "file_name": Path(item.name).name} for item in own]
        objects = [
            {"image_id": int(Path(item.name).stem), "category_id": 10 * number + 1}
            for item in own
            for number in np.flatnonzero(item.labels).tolist()
        ]
        images.append({"id": 99, "file_name": "nothing-to-see.png"})
        content = {"images": images, "categories": categories, "annotations": objects * 2}
        (root / "annotations" / f"instances_{folder}.json").write_text(json.dumps(content))
    write_two_lists(root, made)


def coco_names(made: list[Item]) -> list[Item]:
    folders = ("train2014", "val2014")
    return [replace(item, name=f"{folders[n % 2]}/{Path(item.name).name}") for n, item in enumerate(made)]


def nuswide(root: Path, made: list[Item]) -> None:
    """Label files of all images, one without a label among them, and the published lists."""
    labels = root / "Groundtruth" / "AllLabels"
    labels.mkdir(parents=True, exist_ok=True)
    (root / "ImageList").mkdir(exist_ok=True)
    names = [f"actor\\{Path(item.name).name}" for item in made]
    (root / "ImageList" / "Imagelist.txt").write_text("\n".join([*names, "actor\\none.png"]) + "\n")
    for number, name in enumerate(CLASSES):
        (labels / f"Labels_{name}.txt").write_text("".join(f"{item.labels[number]}\n" for item in made) + "0\n")
    (labels / "Labels_zebra.txt").write_text("0\n" * (len(made) + 1))
    write_two_lists(root, made)


def voc(root: Path, made: list[Item]) -> None:
    """Label files per class, with objects that are hard to see, and the published lists but for the database."""
    folder = root / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(CLASSES):
        lines = [f"{Path(item.name).stem} {1 if item.labels[number] else -(n % 2):2d}" for n, item in enumerate(made)]
        (folder / f"{name}_trainval.txt").write_text("\n".join([*lines, "9999  0"]) + "\n")
        (folder / f"{name}_train.txt").write_text("9998  1\n")
    write_two_lists(root, made)


def voc_names(made: list[Item]) -> list[Item]:
    return [replace(item, name=f"JPEGImages/{Path(item.name).stem}.jpg") for item in made]


def mirflickr(root: Path, made: list[Item]) -> None:
    """Annotation files per tag, and the published lists of queries and training images."""
    folder = root / "mirflickr25k_annotations_v080"
    folder.mkdir(exist_ok=True)
    (folder / "README.txt").write_text("hello\n")
    for number, name in enumerate(CLASSES):
        numbers = [f"{n + 1}\r\n" for n, item in enumerate(made) if item.labels[number]]
        (folder / f"{name}.txt").write_text("".join(numbers))
    write_two_lists(root, made)


def mirflickr_names(made: list[Item]) -> list[Item]:
    return [replace(item, name=f"im{number + 1}.jpg") for number, item in enumerate(made)]


def imagenet_names(made: list[Item]) -> list[Item]:
    def name(item: Item) -> str:
        folder = "val" if item.parts == ("query",) else "train"
        return f"{folder}/{CLASSES[item.number]}/{Path(item.name).name}"

    return [replace(item, name=name(item)) for item in made]


def folder_names(made: list[Item]) -> list[Item]:
    return [replace(item, name=f"{CLASSES[item.number]}/{Path(item.name).name}") for item in made]


def nothing(_root: Path, _made: list[Item]) -> None:
    """The folders say it all."""


@dataclass(frozen=True)
class Format:
    """A way in which a data set lies on disk."""

    name: str
    write: object
    several: bool = True
    rename: object = staticmethod(lambda made: made)

    def build(self, root: Path) -> list[Item]:
        """A whole copy."""
        root.mkdir(parents=True, exist_ok=True)
        made = self.rename(items(several=self.several))
        save_images(root, made)
        self.write(root, made)
        return made


FORMATS = {
    form.name: form
    for form in (
        Format("lists", lists),
        Format("class lists", class_lists, several=False),
        Format("pairs", pairs),
        Format("csv", manifest_csv),
        Format("parquet", manifest_parquet),
        Format("coco", coco, rename=coco_names),
        Format("nuswide", nuswide),
        Format("voc2012", voc, rename=voc_names),
        Format("mirflickr", mirflickr, rename=mirflickr_names),
        Format("imagenet", nothing, several=False, rename=imagenet_names),
        Format("folders", nothing, several=False, rename=folder_names),
    )
}


def cifar10(root: Path, per_class: int = 12) -> None:
    """Ten classes in the Hugging Face layout; every sixth image is in the test file."""
    folder = root / "cifar10" / "plain_text"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(number, number % 10) for number in range(10 * per_class)]
    for part, own in (
        ("train", [row for row in rows if row[0] % 6]),
        ("test", [row for row in rows if not row[0] % 6]),
    ):
        write_cifar10(folder / f"{part}-00000-of-00001.parquet", [encoded(n) for n, _ in own], [c for _, c in own])


def write_cifar10(file: Path, images: list[bytes], labels: list[int]) -> None:
    pq.write_table(pa.table({"img": [{"bytes": image, "path": None} for image in images], "label": labels}), file)


def encoded(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()
