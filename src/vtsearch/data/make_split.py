"""Draw a split of your own images and write it as files for ``vtsearch train --protocol``."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from vtsearch._atomic_io import write_file
from vtsearch.data.open import draw_dataset, open_images
from vtsearch.data.sources.image_list import ImageListSource, split_line
from vtsearch.data.sources.image_source import FileSource
from vtsearch.data.sources.manifest import LABEL, PATH, SPLIT, SUFFIXES, ManifestSource
from vtsearch.errors import require_extra

if TYPE_CHECKING:
    from vtsearch.data.protocols import RetrievalData
    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.data.splits.split import DatabaseRule

Form = Literal["lists", "csv", "parquet"]
SPLIT_PARTS = ("query", "train", "database")


def make_split(
    images: str | Path,
    output: str | Path,
    *,
    queries_per_class: int,
    train_per_class: int,
    database: DatabaseRule = "rest+train",
    seed: int = 0,
    form: Form = "lists",
    root: str | Path | None = None,
    overwrite: bool = False,
) -> RetrievalData:
    """Draw a split of your own images and write it to files.

    Args:
        images: a folder per class, a list file (.txt) or a manifest (.csv, .parquet); an existing split is not used.
        output: folder for ``query.txt``, ``train.txt``, ``database.txt`` and ``classes.txt``, or for ``manifest.csv``
            or ``manifest.parquet``; the paths in them are relative to it.
        queries_per_class: at least 1.
        train_per_class: at least 1.
        database: "rest", "rest+train" (training images are searched too) or "train" (nothing else is).
        seed: of the draw; equal seeds give equal splits of equal images on every machine.
        form: "lists", "csv" or "parquet".
        root: the folder that the paths of a list or manifest are relative to; by default its own.
        overwrite: whether to replace existing files.

    Returns:
        The protocol with the drawn split; positions refer to ``images``.

    Raises:
        ValueError: an unknown form or database rule, a class with too few images, no training images, a path with a
            blank and without the suffix of an image in list files, a class called like another column of a manifest.
        FileNotFoundError: no such images.
        FileExistsError: the folder has these files already.
    """
    if form not in get_args(Form):
        raise ValueError(f"form: expected one of {', '.join(get_args(Form))}, got {form!r}")
    if train_per_class < 1:
        raise ValueError(f"train_per_class: expected at least 1, got {train_per_class}")
    output = Path(output)
    source = _open(Path(images), None if root is None else Path(root))
    data = draw_dataset(
        source,
        name=str(images),
        queries_per_class=queries_per_class,
        train_per_class=train_per_class,
        database=database,
        seed=seed,
    )
    content = _lists(data, output) if form == "lists" else {f"manifest.{form}": _manifest(data, output, form)}
    taken = [name for name in content if (output / name).exists()]
    if taken and not overwrite:
        raise FileExistsError(f"output: {output / taken[0]} exists; choose another folder, or --overwrite it")
    output.mkdir(parents=True, exist_ok=True)
    for name, written in content.items():
        write_file(output / name, written)
    return data


def _open(images: Path, root: Path | None) -> ImageSource:
    if images.suffix == ".txt":
        return ImageListSource([images], root)
    if images.suffix in SUFFIXES:
        return ManifestSource(images, root)
    if not images.is_dir():
        kinds = "a folder of images, a list (.txt) or a manifest (.csv, .parquet)"
        raise FileNotFoundError(f"images: expected {kinds}, got {images}")
    return open_images(str(images.resolve()))[1].source  # resolve: a folder may have the name of a protocol


def _paths(source: ImageSource, output: Path) -> list[str]:
    """Paths of the images relative to the output folder."""
    assert isinstance(source, FileSource)
    start = output.resolve()
    return [Path(os.path.relpath(source.path(item).resolve(), start)).as_posix() for item in range(len(source))]


def _lists(data: RetrievalData, output: Path) -> dict[str, bytes]:
    paths = _paths(data.source, output)
    for path in paths:
        if split_line(f"{path} 0") != (path, ["0"]):
            raise ValueError(f"form: expected csv or parquet for a path with a blank in it, got lists for {path!r}")
    rows = [" ".join(map(str, row)) for row in data.source.labels.reshape(len(paths), -1).tolist()]
    lists = {
        f"{part}.txt": "".join(f"{paths[item]} {rows[item]}\n" for item in getattr(data.split, part).tolist())
        for part in SPLIT_PARTS
    }
    lists["classes.txt"] = "".join(f"{name}\n" for name in data.source.classes)
    return {name: text.encode() for name, text in lists.items()}


def _manifest(data: RetrievalData, output: Path, form: Form) -> bytes:
    source, members = data.source, {part: set(getattr(data.split, part).tolist()) for part in SPLIT_PARTS}
    splits = ["+".join(part for part in SPLIT_PARTS if item in members[part]) for item in range(len(source))]
    columns: dict[str, list[str] | list[int]] = {PATH: _paths(source, output), SPLIT: splits}
    if source.labels.ndim == 1:
        columns[LABEL] = [source.classes[number] for number in source.labels.tolist()]
    else:
        if reserved := {PATH, SPLIT, LABEL} & set(source.classes):
            raise ValueError(f"form: expected lists for classes that are called {min(reserved)!r}, got {form}")
        columns |= {name: source.labels[:, number].tolist() for number, name in enumerate(source.classes)}
    if form == "csv":
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([columns.keys(), *zip(*columns.values(), strict=True)])
        return text.getvalue().encode()
    file = io.BytesIO()
    require_extra("pyarrow.parquet").write_table(require_extra("pyarrow").table(columns), file)
    return file.getvalue()
