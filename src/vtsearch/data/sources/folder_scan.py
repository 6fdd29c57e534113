"""The images below a folder, with a count of everything that is left out, and what its subfolders are."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from vtsearch.errors import require_extra

SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("apng", "avif", "avifs", "bmp", "dib", "gif", "heic", "heif", "hif", "ico", "jxl", "mpo", "png"),
        ("j2c", "j2k", "jfif", "jp2", "jpc", "jpe", "jpeg", "jpf", "jpg", "jpx"),
        ("pbm", "pcx", "pgm", "pnm", "ppm", "qoi", "tga", "tif", "tiff", "webp"),
    )
    for name in names
)
"""Suffixes of images; those are taken for which the installed Pillow has a decoder."""
PARTS = frozenset(
    ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "query", "gallery", "database")
)
"""Names of folders that are parts of a split, not classes."""
HIDDEN, LINK, NO_FILE, BARE = "hidden image", "link to a folder", "broken link or special file", "without suffix"
MOST_KINDS = 8  # in a message


@dataclass
class Scan:
    """The images below a folder in order, and what was left out there: kind -> number of files."""

    images: list[Path] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class FolderContent:
    """The images directly in a folder, and those below each of its subfolders."""

    root: Path
    beside: Scan
    folders: dict[str, Scan]
    """Name of a subfolder -> everything below it; hidden ones are not listed."""

    @property
    def filled(self) -> dict[str, list[Path]]:
        """Name of a subfolder -> the images below it, for those with an image."""
        return {name: scan.images for name, scan in self.folders.items() if scan.images}

    @property
    def images(self) -> list[Path]:
        """All images, those beside the subfolders first."""
        return self.beside.images + [path for images in self.filled.values() for path in images]

    @property
    def left_out(self) -> Counter[str]:
        """Kind -> number of files that were left out, in the whole folder."""
        return sum((scan.left_out for scan in self.folders.values()), self.beside.left_out)

    def no_classes(self) -> str:
        """Why the subfolders are not classes, in a sentence without its end; empty if they may be."""
        filled = self.filled
        if filled and all(name.casefold() in PARTS for name in filled):
            return f"the subfolders {', '.join(filled)} are parts of a split, not classes"
        inside = self.wrapped()
        if inside:
            (only,) = filled
            shown = ", ".join(inside[:3]) + (", ..." if len(inside) > 3 else "")
            return f"the one subfolder {only} holds the folders {shown}, which look like the classes"
        return ""

    def wrapped(self) -> list[str]:
        """The folders with images inside the one subfolder, if it has two or more and no image beside them."""
        filled = self.filled
        if len(filled) != 1 or self.beside.images:
            return []
        ((name, images),) = filled.items()
        inside = {path.relative_to(self.root / name).parts[:-1][:1] for path in images}
        return sorted(part for (part,) in inside) if len(inside) > 1 and () not in inside else []


def look_into(root: Path) -> FolderContent:
    """The images of a folder; hidden files and folders are ignored.

    Raises:
        OSError: a folder that is missing or may not be read.
    """
    beside, folders = Scan(), {}
    for name in sorted(os.listdir(root)):  # noqa: PTH208 (names that are not UTF-8 stay as they are)
        path = root / name
        if not path.is_dir():
            _file(path, beside)
        elif not name.startswith("."):
            folders[name] = scan(path)
    return FolderContent(root, beside, folders)


def scan(folder: Path) -> Scan:
    """Everything below a folder; links to folders inside it are not followed.

    Raises:
        OSError: a folder that may not be read.
    """
    found = Scan()
    for parent, names, files in os.walk(folder, onerror=_refuse):
        names[:] = [name for name in names if not name.startswith(".")]
        found.left_out[LINK] += sum((Path(parent) / name).is_symlink() for name in names)
        for name in files:
            _file(Path(parent) / name, found)
    found.images.sort()
    found.left_out = +found.left_out  # without zeros
    return found


def describe(left_out: Counter[str]) -> str:
    """``12 files: 10 .heic, 2 .txt``, or nothing."""
    kinds = [f"{number:,} {kind}" for kind, number in left_out.most_common(MOST_KINDS)]
    more = f", and {len(left_out) - MOST_KINDS} more kinds" if len(left_out) > MOST_KINDS else ""
    return f"{left_out.total():,} files: {', '.join(kinds)}{more}" if left_out else ""


def suffixes_read() -> frozenset[str]:
    """The suffixes of images that are read here."""
    pillow = require_extra("PIL.Image")
    pillow.init()
    return _with_decoders(len(pillow.OPEN))


@lru_cache
def _with_decoders(_formats: int) -> frozenset[str]:
    """The suffixes with a decoder; computed anew when a program has registered more formats."""
    pillow = require_extra("PIL.Image")
    lacking = set() if require_extra("PIL.features").check("avif") else {"AVIF"}
    decoders = pillow.OPEN.keys() - lacking
    return SUFFIXES & {suffix for suffix, kind in pillow.registered_extensions().items() if kind in decoders}


def _file(path: Path, found: Scan) -> None:
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        found.left_out.update([HIDDEN] if suffix in SUFFIXES else [])
    elif suffix not in suffixes_read():
        found.left_out[suffix or BARE] += 1
    elif os.path.isfile(path):  # noqa: PTH113 (faster)
        found.images.append(path)
    else:
        found.left_out[NO_FILE] += 1


def _refuse(reason: OSError) -> None:
    raise reason
