"""The images in tar files as webdataset writes them: members of one key belong together, ``.cls`` is the class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from vtsearch.data.sources.class_names import doubtful_names, is_missing
from vtsearch.data.sources.encoded_images import MOST_BYTES, EncodedImages
from vtsearch.data.sources.folder_scan import describe
from vtsearch.data.sources.image_files import class_numbers
from vtsearch.data.sources.stamp import Stamp
from vtsearch.data.sources.tar_index import LABEL, LONGEST_LABEL, Member, TarIndex, index_tar, key_of
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence


class TarImages(EncodedImages):
    """The images in tar files, in their order, named ``SHARD.tar/MEMBER``; nothing is extracted.

    A member with the suffix of an image is an item. Its class is the text of the member of the same key with the
    suffix ``.cls``, a number or a name; there are no labels unless every image has one.

    Args:
        root: the folder that the names are relative to.
        names: of the tar files.

    Raises:
        FileNotFoundError: no such file.
        VtsearchError: a file that is compressed, is not a tar, or ends within a member; a class that is no text.
        ValueError: no image in any of the files.
    """

    def __init__(self, root: str | Path, names: Sequence[str]) -> None:
        self.files = tuple(names)
        self._root = Path(root)
        self._tars = [index_tar(self._root / name) for name in names]
        self._items = [(number, member) for number, tar in enumerate(self._tars) for member in tar.images]
        remarks = _remarks(self._root, self._tars)
        if not self._items:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise ValueError(f"images: expected images in {shown}, got none" + "".join(f"; {each}" for each in remarks))
        classes = [_class_of(self._tars[number], member) for number, member in self._items]
        ids = [f"{names[number]}/{member.name}" for number, member in self._items]
        named = [name for name in classes if name is not None]
        if len(named) < len(ids):
            if named:
                lacking = f"{len(ids) - len(named):,} of {len(ids):,} images have no class ({LABEL})"
                remarks.append(f"{self._root}: {lacking}: all are taken, without labels")
            super().__init__(ids, remarks=remarks)
        else:
            labels, different = class_numbers(named)
            super().__init__(ids, labels, different, [*remarks, *doubtful_names(different)])

    def read(self, position: int) -> bytes:
        """The encoded image at a position; errors as of ``load``."""
        number, member = self._items[position]
        if member.size > MOST_BYTES:
            raise VtsearchError(f"{self.id(position)}: expected at most {MOST_BYTES:,} bytes, got {member.size:,}")
        return self._tars[number].read(member)

    def stamp(self, position: int) -> Stamp:
        """The size and the place of the member, and the time of its tar."""
        number, member = self._items[position]
        tar = self._tars[number]
        return Stamp(member.size, tar.modified_ns, f"{member.offset}/{tar.size}")


def _class_of(tar: TarIndex, image: Member) -> str | None:
    """The class of an image; None if it has none, or a missing value."""
    key = key_of(image.name)
    text = tar.labels.get(key)
    if text is None:
        return None
    name = text.decode(errors="replace").strip()
    if not name or "\n" in name or "\ufffd" in name or len(text) > LONGEST_LABEL:
        raise VtsearchError(f"{tar.path}: {key}{LABEL}: expected the number or name of a class, as a line in UTF-8")
    return None if is_missing(name) else name


def _remarks(root: Path, tars: Sequence[TarIndex]) -> list[str]:
    left_out = describe(sum((tar.left_out for tar in tars), Counter()))
    remarks = [f"{root}: left out what is not an image of a kind that is read here: {left_out}"] if left_out else []
    cut = [tar.path for tar in tars if not tar.has_end]
    return remarks + [f"{path}: the mark of its end is missing: it may have been cut off" for path in cut]
