"""Files that hold many images: tar files and Parquet tables. Their items are named ``FILE/MEMBER`` and ``FILE/ROW``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.data.sources import parquet_file, tar_index
from vtsearch.data.sources.folder_scan import describe
from vtsearch.data.sources.parquet_images import ParquetImages
from vtsearch.data.sources.tar_images import TarImages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vtsearch.data.sources.encoded_images import EncodedImages
    from vtsearch.data.sources.folder_scan import FolderContent

TARS, PARQUET = "tars", "parquet"
"""Entries of an index's description: the folder that the names of the files are relative to."""
OPENERS: Mapping[str, Callable[[Path, Sequence[str]], EncodedImages]] = {TARS: TarImages, PARQUET: ParquetImages}
SUFFIXES: Mapping[str, str] = {TARS: tar_index.SUFFIX, PARQUET: parquet_file.SUFFIX}
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4")
"""Suffixes of compressed tar files, of which the first bytes tell the program."""


def kind_of_files(names: Sequence[str]) -> str | None:
    """The entry for files that hold many images each; None if they are images or anything else.

    A Parquet file by itself is one only if it has a column of images: otherwise it is a table of paths.

    Raises:
        ValueError: tar or Parquet files among others.
        FileNotFoundError, VtsearchError: a Parquet file that cannot be read.
    """
    kinds = [_kind(name) for name in names]
    kind = kinds[0]
    for name, other in zip(names, kinds, strict=True):
        if other != kind:
            raise ValueError(f"images: expected files of one kind, got {names[0]} and {name}: encode them apart")
    if kind == PARQUET and len(names) == 1 and not parquet_file.has_images(Path(names[0])):
        return None
    return kind


def kind_of_folder(content: FolderContent) -> str | None:
    """The entry for a folder without images whose files hold them.

    Raises:
        ValueError: both tar and Parquet files.
    """
    kinds = [kind for kind, suffix in SUFFIXES.items() if content.beside.left_out[suffix]]
    if len(kinds) > 1:
        found = describe(content.beside.left_out)
        raise ValueError(f"images: expected .tar or .parquet files in {content.root}, got both ({found})")
    return kinds[0] if kinds else None


def files_of_folder(folder: Path, kind: str) -> list[str]:
    """The names of the files of a kind in a folder, in their order; hidden ones are ignored."""
    return sorted(path.name for path in folder.iterdir() if _kind(path.name) == kind and path.name[0] != ".")


def file_of(kind: str, root: Path, item: str) -> str | None:
    """The file below a folder that an item is in, by the item's id; None if there is none."""
    ends = [found.end() - 1 for found in re.finditer(rf"\{SUFFIXES[kind]}/", item, re.IGNORECASE)]
    return next((item[:end] for end in ends if (root / item[:end]).is_file()), None)  # a folder may be called so too


def _kind(name: str) -> str | None:
    if name.lower().endswith(PACKED):
        return TARS  # refused when it is opened
    return next((kind for kind, suffix in SUFFIXES.items() if Path(name).suffix.lower() == suffix), None)
