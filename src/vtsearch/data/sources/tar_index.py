"""Where the images of a tar file are: their names, places and sizes, without extracting anything."""

from __future__ import annotations

import os
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from vtsearch.data.sources.folder_scan import BARE, HIDDEN, suffixes_read
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX, LABEL = ".tar", ".cls"
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d": "lz4",
}
"""First bytes of a compressed file -> the program."""
SPECIAL = "link or special member"
BLOCK, LONGEST_LABEL = 512, 4_096


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    offset: int
    """Of its first byte."""
    size: int


@dataclass
class TarIndex:
    """The images of a tar file in its order, and its class labels."""

    path: Path
    size: int
    modified_ns: int
    images: list[Member] = field(default_factory=list)
    labels: dict[str, bytes] = field(default_factory=dict)
    """Key of a sample -> the text of its member ``.cls``, up to ``LONGEST_LABEL`` + 1 bytes."""
    left_out: Counter[str] = field(default_factory=Counter)
    has_end: bool = True
    """Whether the mark of the end is there, which a tar that was cut between two members lacks."""

    def read(self, member: Member) -> bytes:
        """The bytes of a member.

        Raises:
            FileNotFoundError: the tar is gone.
            VtsearchError: the tar has changed since it was indexed.
        """
        with self.path.open("rb") as file:
            now = os.fstat(file.fileno())
            if (now.st_size, now.st_mtime_ns) != (self.size, self.modified_ns):
                raise VtsearchError(f"{self.path} has changed since its members were listed; run the command again")
            file.seek(member.offset)
            return file.read(member.size)


def index_tar(path: Path) -> TarIndex:
    """Read the headers of a tar file; of the images nothing is read.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: a file that is compressed, is not a tar, or ends within a member.
    """
    with path.open("rb") as file:
        _refuse_compressed(path, file)
        found = os.fstat(file.fileno())
        index = TarIndex(path, found.st_size, found.st_mtime_ns)
        try:
            end = _take_all(index, file)
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as reason:
            raise VtsearchError(f"{path}: expected a tar file, whole and undamaged: {reason}") from reason
        file.seek(end)
        block = file.read(BLOCK)
    if block.strip(b"\0") or 0 < len(block) < BLOCK:
        raise VtsearchError(f"{path}: expected a tar file, whole and undamaged: no member begins at byte {end:,}")
    index.has_end = bool(block)
    return index


def key_of(name: str) -> str:
    """The key of a sample: a member's name up to the first dot behind its folder."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _take_all(index: TarIndex, file: BinaryIO) -> int:
    """Put the members of an open tar into its index; returns the place behind the last."""
    suffixes = suffixes_read()
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (member := archive.next()) is not None:
            suffix = os.path.splitext(member.name)[1].lower()  # noqa: PTH122 (a tar may have millions of members)
            if suffix == LABEL and member.isreg():
                file.seek(member.offset_data)
                index.labels[key_of(_name(member))] = file.read(min(member.size, LONGEST_LABEL + 1))
            elif not member.isdir():
                _take(index, member, suffix, is_image=suffix in suffixes)
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep a kilobyte of each
        return archive.offset


def _take(index: TarIndex, member: tarfile.TarInfo, suffix: str, *, is_image: bool) -> None:
    name = _name(member)
    if not member.isreg() or member.issparse():
        index.left_out[SPECIAL] += 1
    elif name.rpartition("/")[2].startswith("."):
        index.left_out.update([HIDDEN] if is_image else [])
    elif is_image:
        index.images.append(Member(name, member.offset_data, member.size))
    else:
        index.left_out[suffix or BARE] += 1


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _refuse_compressed(path: Path, file: BinaryIO) -> None:
    start = file.read(6)
    file.seek(0)
    for mark, program in COMPRESSED.items():
        if start.startswith(mark):
            raise VtsearchError(
                f"{path}: expected a tar that is not compressed, got {program}: images are read at their places in the "
                "file, and compressed data have no places; decompress it (images hardly get smaller by it)"
            )
