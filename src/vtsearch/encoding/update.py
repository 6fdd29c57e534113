"""An index brought to the state of its images: ``vtsearch encode`` on an index that is there.

New and changed images are encoded, those that were renamed keep their codes, those that are gone are removed. Every
step is a change of the index by itself, so that after a kill the same call does what is left.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.data.loading.tolerant_dataset import Fault, utf8_text
from vtsearch.data.selection import PLACES
from vtsearch.data.skipped import SKIPPED, SkippedImage, skipped_entry
from vtsearch.data.sources.file_facts import columns_of
from vtsearch.data.sources.image_source import classes_of, labels_of
from vtsearch.encoding.chunked_encoding import NoProgress, SavePolicy, describe_fault
from vtsearch.encoding.output import claimed, output_folder
from vtsearch.encoding.shard import different_ids
from vtsearch.encoding.update_plan import plan_update
from vtsearch.encoding.work_folder import folder_identity
from vtsearch.errors import VtsearchError
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.data.selection import ImageSelection
    from vtsearch.data.sources.file_facts import FileFacts
    from vtsearch.encoding.batches import BatchEncoder, EncodedBatch
    from vtsearch.encoding.chunked_encoding import EncodingProgress

    Put = Callable[[Sequence[int], NDArray[np.uint8], Sequence[FileFacts | None]], None]


class IndexUpdate(NamedTuple):
    """Numbers of images."""

    added: int
    changed: int
    """Whose file or label is another one."""
    renamed: int
    """That have the bytes of an image which is gone, and so its code."""
    removed: int
    unchanged: int
    skipped: int
    """That cannot be read."""

    @property
    def is_idle(self) -> bool:
        """Whether the index is as it was."""
        return not (self.added or self.changed or self.renamed or self.removed)


def update_index(
    encoder: BatchEncoder,
    images: ImageSelection,
    output: Path,
    *,
    keep_missing: bool = False,
    strict: bool = False,
    save: SavePolicy | None = None,
    progress: EncodingProgress | None = None,
) -> IndexUpdate:
    """Bring an index to the state of the images that it was made of.

    An image is unchanged if its file has the size and the time that the index has, and its label is the same; of a
    member of a tar or a row of a Parquet file these are its place, the size and the time of the file. What has another
    time is read; with the same bytes it keeps its code. So does a new image with the bytes of one that is gone. Images
    that cannot be read are tried again each time; what the index has of them stays.

    Args:
        encoder: made the codes of the index.
        images: the same folder, list, files or protocol as when the index was made, as it is now.
        output: folder of the index, or a link to it.
        keep_missing: leave images in the index that are no longer there.
        strict: stop at the first image that cannot be read; those before it are in the index.
        save: how many images go into the index at once.
        progress: what to report to.

    Raises:
        ValueError: an index of other images; two images of one name; several labels of other classes.
        VtsearchError: an index of another model; an image that cannot be read, if ``strict``.
        BlockingIOError: another process is encoding into this index.
        FileNotFoundError: the folder of the images was moved or unmounted meanwhile; nothing is removed.
        OSError: a disk that is full or refuses.
    """
    ids = different_ids(images)
    with claimed(output_folder(output), overwrite=True), Index.open(output) as index:
        refuse_other_images(index, images)
        index.check_fingerprints(encoder.fingerprints_of(images.source), whose="the model")
        update = _Update(index, images, ids)
        faults = update.encode(encoder, save or SavePolicy(), progress or NoProgress(), strict=strict)
        removed = 0 if keep_missing else update.remove()
        update.describe(faults)
    plan, failed = update.plan, {fault.row for fault in faults}
    return IndexUpdate(
        added=len(set(plan.added) - failed),
        changed=len(set(plan.changed) - failed) + len(plan.touched),
        renamed=len(plan.renamed),
        removed=removed,
        unchanged=plan.unchanged,
        skipped=len(faults),
    )


class _Update:
    """The steps of an update; what needs no model is done when it is made."""

    def __init__(self, index: Index, images: ImageSelection, ids: Sequence[str]) -> None:
        self._index, self._images, self._ids = index, images, ids
        self._root = None if images.root is None else folder_identity(images.root)
        self._labels = _labels_of(index, images)
        self.plan = plan_update(index, images, ids, self._labels)
        self._keep()

    def encode(
        self, encoder: BatchEncoder, save: SavePolicy, progress: EncodingProgress, *, strict: bool
    ) -> list[Fault]:
        """Encode new and changed images, and put them into the index; returns those that cannot be read.

        Raises:
            VtsearchError: the first of these, if ``strict``; those before it are in the index.
        """
        rows = np.array(sorted(self.plan.added + self.plan.changed), dtype=np.int64)
        if not len(rows):
            return []
        progress.start(0, len(rows))
        waiting = _Waiting(self._put, rows, save)
        try:
            for batch in encoder.batches(self._images.source, self._images.positions[rows]):
                waiting.add(batch)
                progress.advance(len(batch.rows), batch.seconds)
                if strict:
                    self._refuse(waiting.faults)
        except BaseException:
            with suppress(OSError, VtsearchError):
                waiting.flush()
            raise
        waiting.flush()
        return waiting.faults

    def remove(self) -> int:
        """Remove what is no longer there; returns the number of images.

        Raises:
            FileNotFoundError: the folder of the images was moved or unmounted: all would seem to be gone.
        """
        root = self._images.root
        if root is not None and folder_identity(root) != self._root:
            raise FileNotFoundError(f"images: {root} is no longer the folder that it was; nothing is removed")
        return self._index.remove(self.plan.gone, missing="ignore") if self.plan.gone else 0

    def describe(self, faults: Sequence[Fault]) -> None:
        """Note in the index which images cannot be read."""
        skipped = [SkippedImage(utf8_text(self._ids[fault.row]), fault.reason) for fault in faults]
        before = self._index.description
        after = {name: value for name, value in before.items() if name != SKIPPED} | skipped_entry(skipped)
        if after != before:
            self._index.describe(after)

    def _keep(self) -> None:
        """Give images that were renamed or touched their codes under the new name."""
        kept = self.plan.touched + self.plan.renamed
        if kept:
            sources, places = np.unique([each.source for each in kept], return_inverse=True)
            codes = self._index.database().rows(sources)[places]
            known = self._index.metadata_at([each.source for each in kept])
            self._upsert([each.row for each in kept], codes, {**known, **columns_of([each.facts for each in kept])})
        old = self.plan.old_names
        if old:
            new = {old[each.source]: self._ids[each.row] for each in reversed(self.plan.renamed)}
            self._index.rename_decisions(new)
            self._index.remove(list(old.values()), missing="ignore")

    def _put(self, rows: Sequence[int], codes: NDArray[np.uint8], facts: Sequence[FileFacts | None]) -> None:
        """Put encoded images into the index, which keeps what else it knows of them."""
        known = _metadata_of(self._index, [self._ids[row] for row in rows])
        self._upsert(rows, codes, {**known, **columns_of(facts)})

    def _upsert(self, rows: Sequence[int], codes: NDArray[np.uint8], metadata: dict[str, list[Any]]) -> None:
        labels = None if self._labels is None else self._labels[rows]
        self._index.upsert(codes, [self._ids[row] for row in rows], labels, metadata)

    def _refuse(self, faults: Sequence[Fault]) -> None:
        if faults:
            raise VtsearchError(f"images: {describe_fault(self._ids, faults[0])}")


class _Waiting:
    """Encoded images that are not in the index yet."""

    def __init__(self, put: Put, rows: NDArray[np.int64], save: SavePolicy) -> None:
        """Args: put: takes rows with their codes and facts; rows: of the images that are encoded; save: how often."""
        self._put, self._rows, self._save = put, rows, save
        self._batches: list[EncodedBatch] = []
        self._saved_at = time.monotonic()
        self.faults: list[Fault] = []

    def add(self, batch: EncodedBatch) -> None:
        """Take a batch, and put all that wait into the index if it is time."""
        self._batches.append(batch)
        self.faults += [Fault(int(self._rows[fault.row]), fault.reason) for fault in batch.faults]
        count = sum(len(each.rows) for each in self._batches)
        if count >= self._save.images or time.monotonic() - self._saved_at >= self._save.seconds:
            self.flush()

    def flush(self) -> None:
        """Put all that wait into the index, but those that cannot be read."""
        batches, self._batches, self._saved_at = self._batches, [], time.monotonic()
        if not batches:
            return
        failed = {fault.row for fault in self.faults}
        rows = self._rows[np.concatenate([batch.rows for batch in batches])].tolist()
        codes, facts = np.concatenate([batch.codes for batch in batches]), [f for batch in batches for f in batch.facts]
        readable = [place for place, row in enumerate(rows) if row not in failed]
        if readable:
            self._put([rows[place] for place in readable], codes[readable], [facts[place] for place in readable])


def _metadata_of(index: Index, ids: Sequence[str]) -> dict[str, list[Any]]:
    """The metadata of some images; None for those that the index does not have."""
    places = index.positions_of(ids)
    known = index.metadata_at(np.maximum(places, 0)) if len(index) else {}
    return {
        name: [value if place >= 0 else None for value, place in zip(values, places.tolist(), strict=True)]
        for name, values in known.items()
    }


def _labels_of(index: Index, images: ImageSelection) -> NDArray[Any] | None:
    """The labels of all images by the classes of the index, which gets names for new ones.

    Raises:
        ValueError: several labels of other classes.
    """
    if not images.labelled:
        return None
    labels, names, known = labels_of(images.source)[images.positions], classes_of(images.source), index.classes
    if names == known:
        return labels
    if labels.ndim > 1 or not known or not names:
        raise ValueError(
            f"images: expected the classes of {index.path}, got others; --overwrite encodes all images again"
        )
    joined = [*known, *(name for name in names if name not in known)]
    index.describe(classes=joined)
    return np.asarray(np.array([joined.index(name) for name in names], dtype=np.int64)[labels])


def refuse_other_images(index: Index, images: ImageSelection) -> None:
    """Refuse images that an index is not of.

    Raises:
        ValueError: naming what differs.
    """
    for name in PLACES:
        ours, theirs = index.description.get(name), images.description.get(name)
        if ours != theirs:
            raise ValueError(
                f"output: {index.path} is of other images ({name} {ours or 'none'}, not {theirs or 'none'}); "
                "choose another folder, or --overwrite it"
            )
