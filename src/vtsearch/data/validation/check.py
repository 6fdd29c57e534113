"""Comparison of a data set with its published protocol: counts, files, labels, repeats, leakage, split hash."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from vtsearch.data.datasets import DATASETS
from vtsearch.data.open import divide, open_images
from vtsearch.data.protocols import PROTOCOLS
from vtsearch.data.sources.image_source import remarks_of
from vtsearch.data.validation.content_hash import groups_of_same, hash_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from vtsearch.data.datasets import OpenedImages
    from vtsearch.data.protocols import RetrievalProtocol
    from vtsearch.data.sources.image_source import ImageSource
    from vtsearch.data.splits.split import Positions

Level = Literal["ok", "warn", "error"]
HASH_DIGITS = 16  # published digits of a list's sha256


@dataclass(frozen=True)
class Finding:
    """A result of one check."""

    check: str
    """"open", "counts", "files", "remarks", "labels", "repeats", "leakage" or "split"."""
    level: Level
    """"error": numbers on this copy are not the protocol's, or a run will fail; "warn": worth knowing."""
    text: str
    count: int = 0
    """Number of images or lines with it."""
    examples: tuple[str, ...] = ()
    """All of them, with the reasons."""


@dataclass(frozen=True)
class Inspection:
    """The results of all checks of a copy."""

    name: str
    title: str
    """Title of the data set; empty for your own images."""
    page: str
    """Web page of its publisher."""
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no check found an error."""
        return all(finding.level != "error" for finding in self.findings)


def check_dataset(
    name: str,
    root: Path | None = None,
    *,
    quick: bool = False,
    seed: int = 0,
    strip_prefix: str = "",
    progress: Callable[[int, int], object] | None = None,
) -> Inspection:
    """Check a copy of a protocol's data set, or your own folder or manifest.

    Args:
        name: a key of ``PROTOCOLS``, or a folder or manifest.
        root: the folder of the data set, as for ``open_dataset``.
        quick: read sizes and headers of the images only: does not find truncated files and copies under other names.
        seed: of a drawn split.
        strip_prefix: removed from the beginning of the paths in lists and tables.
        progress: called with the number of images checked so far and the total.

    Raises:
        ValueError: an unknown protocol.
    """
    dataset = DATASETS[PROTOCOLS[name].source] if name in PROTOCOLS else None
    title, page = (dataset.title, dataset.page) if dataset else ("", "")
    faults: dict[str, list[str]] = {}

    def report(kind: str, fault: Exception) -> None:
        faults.setdefault(kind, []).append(str(fault))

    try:
        protocol, opened = open_images(name, root, report, strip_prefix=strip_prefix)
        parts = _parts(protocol, opened, seed)
    except Exception as fault:
        if name not in PROTOCOLS and not Path(name).exists():
            raise
        messages = [str(fault) or type(fault).__name__, *(text for texts in faults.values() for text in texts)]
        return Inspection(name, title, page, (_found("open", "error", "cannot be opened", messages),))
    hashes = hash_images(opened.source, quick=quick, progress=progress)
    unreadable = [fault for fault in hashes.values() if not isinstance(fault, bytes)]
    same = groups_of_same(
        {position: digest for position, digest in hashes.items() if isinstance(digest, bytes) and digest}
    )
    findings = [
        *_check_counts(protocol, parts, opened.source),
        *_check_files(len(opened.source), faults.get("files", []), unreadable, quick=quick),
        *(Finding("remarks", "warn", remark) for remark in remarks_of(opened.source)),
        *_check_labels(protocol, opened.source, parts, faults.get("labels", []), same),
        *_check_repeats(opened, parts, same, quick=quick),
        *_check_leakage(opened.source, parts, same, quick=quick),
        *_check_split(protocol, opened, seed),
    ]
    return Inspection(name, title, page, tuple(findings))


# ---------------------------------------------------------------------------------------------------------------------
# The parts of the split


def _parts(protocol: RetrievalProtocol, opened: OpenedImages, seed: int) -> Mapping[str, Positions]:
    """Part -> its positions; as in the files, leaking queries included, if these specify all parts."""
    if opened.parts is not None and {"query", "train", "database"} <= opened.parts.keys():
        return {part: np.unique(opened.parts[part]) for part in ("query", "train", "database")}
    if opened.parts is not None and protocol.train == 0:
        query, database = (np.unique(opened.parts[part]) for part in ("query", "database"))
        return {"query": query, "train": database, "database": database}
    split = divide(protocol, opened, seed)
    return {"query": split.query, "train": split.train, "database": split.database}


# ---------------------------------------------------------------------------------------------------------------------
# The checks


def _check_counts(
    protocol: RetrievalProtocol, parts: Mapping[str, Positions], source: ImageSource
) -> Iterable[Finding]:
    here = {part: len(positions) for part, positions in parts.items()} | {"classes": len(source.classes)}
    counts = ", ".join(f"{count:,} {part}" for part, count in here.items())
    published = protocol.published
    if published is None:
        yield Finding("counts", "ok", f"{counts}; nothing is published to compare with")
        return
    there = {part: getattr(published, part) for part in here}
    differing = [f"{part}: {here[part]:,} of {there[part]:,}" for part in here if here[part] != there[part]]
    if differing:
        yield _found("counts", "error", "not the published numbers", differing)
    else:
        yield Finding("counts", "ok", f"{counts}, as published")
    inside = int(np.isin(parts["train"], parts["database"]).sum())
    expected = 0 if protocol.database == "rest" else len(parts["train"])
    if inside != expected:
        text = (
            f"{inside:,} of {len(parts['train']):,} training images are in the database, and {expected:,} belong there"
        )
        yield Finding("counts", "error", text, abs(inside - expected))


def _check_files(images: int, missing: Sequence[str], unreadable: Sequence[str], *, quick: bool) -> Iterable[Finding]:
    if missing:
        yield _found("files", "error", f"{len(missing):,} of {images:,} images are missing", missing)
    if unreadable:
        yield _found("files", "error", f"{len(unreadable):,} of {images:,} images cannot be read", unreadable)
    if not missing and not unreadable:
        how = "have a header (--quick: not decoded)" if quick else "are there and can be decoded"
        yield Finding("files", "ok", f"{images:,} images {how}")


def _check_labels(
    protocol: RetrievalProtocol,
    source: ImageSource,
    parts: Mapping[str, Positions],
    faults: Sequence[str],
    same: Sequence[Sequence[int]],
) -> Iterable[Finding]:
    labels, before = source.labels, len(faults)
    if faults:
        yield _found("labels", "error", f"{before:,} lines or files with faults", faults)
    single = labels.ndim == 1
    sizes = np.bincount(labels, minlength=len(source.classes)) if single else labels.sum(axis=0, dtype=np.int64)
    each = protocol.published.per_class if protocol.published else 0
    wrong = [f"{name}: {size:,}" for name, size in zip(source.classes, sizes, strict=True) if each and size != each]
    if wrong:
        yield _found("labels", "error", f"{len(wrong)} classes have not the published {each:,} images", wrong)
    unlike = [group for group in same if len(np.unique(labels[list(group)], axis=0)) > 1]
    if unlike:
        names = [" = ".join(source.id(position) for position in group) for group in unlike]
        yield _found("labels", "warn", f"{len(unlike):,} contents have different labels under different names", names)
    used = np.unique(np.concatenate(list(parts.values())))
    bare = used[:0] if single else used[~labels[used].any(axis=1)]
    if len(bare):
        text = f"{len(bare):,} images have no label: as queries they count 0, as answers they are never right"
        yield _found("labels", "warn", text, [source.id(position) for position in bare.tolist()], len(bare))
    empty = [name for name, size in zip(source.classes, sizes, strict=True) if size == 0]
    if empty:
        yield _found("labels", "warn", f"{len(empty)} of {len(source.classes)} classes have no image", empty)
    if not (faults or wrong or unlike or len(bare)):
        kind = "one label per image" if single else f"{labels.shape[1]} label columns, none empty"
        yield Finding("labels", "ok", f"{len(source.classes)} classes, {kind}")


def _check_repeats(
    opened: OpenedImages, parts: Mapping[str, Positions], same: Sequence[Sequence[int]], *, quick: bool
) -> Iterable[Finding]:
    source, clean = opened.source, True
    for part, positions in (opened.parts or {}).items():
        twice = [position for position, times in Counter(positions.tolist()).items() if times > 1]
        if twice:
            clean = False
            names = [source.id(position) for position in twice]
            yield _found(
                "repeats", "error", f"{len(twice):,} images are listed more than once as {part}", names, len(twice)
            )
    for part, positions in parts.items():
        if part == "train" and np.isin(positions, parts["database"]).all():
            continue  # the same repeats again
        members = set(positions.tolist())
        groups = [kept for group in same if len(kept := [position for position in group if position in members]) > 1]
        if groups:
            clean = False
            names = [" = ".join(source.id(position) for position in group) for group in groups]
            text = f"{len(groups):,} images are in {part} under several names"
            yield _found("repeats", "warn", text, names, len(groups))
    if clean:
        yield Finding("repeats", "ok", f"no image twice in a part{_how_compared(quick=quick)}")


def _check_leakage(
    source: ImageSource, parts: Mapping[str, Positions], same: Sequence[Sequence[int]], *, quick: bool
) -> Iterable[Finding]:
    queries, clean = set(parts["query"].tolist()), True
    for part in ("train", "database"):
        shared = np.intersect1d(parts["query"], parts[part]).tolist()
        if shared:
            clean = False
            names = [source.id(position) for position in shared]
            yield _found("leakage", "error", f"{len(shared):,} queries are {part} images too", names, len(shared))
        others = set(parts[part].tolist()) - queries
        pairs = [
            f"{source.id(asked)} = {source.id(found)}"
            for group in same
            for asked in group
            if asked in queries
            for found in [position for position in group if position in others][:1]
        ]
        if pairs:
            clean = False
            yield _found("leakage", "error", f"{len(pairs):,} queries are {part} images under another name", pairs)
    if clean:
        yield Finding("leakage", "ok", f"no query is a train or database image{_how_compared(quick=quick)}")


def _how_compared(*, quick: bool) -> str:
    return ", by path (--quick: contents not compared)" if quick else ", by path or content"


def _check_split(protocol: RetrievalProtocol, opened: OpenedImages, seed: int) -> Iterable[Finding]:
    known = protocol.published.sha256 if protocol.published else {}
    if opened.parts is None:
        yield Finding("split", "ok", f"drawn with seed {seed}: no list says who is query, train and database")
    for part, file in opened.lists.items():
        if part not in known or isinstance(file, tuple):
            continue
        digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:HASH_DIGITS]
        if digest == known[part]:
            yield Finding("split", "ok", f"{Path(file).name} is the published list (sha256 {digest}...)")
        else:
            text = f"{Path(file).name} is not the published list: sha256 {digest}..., published {known[part]}..."
            yield Finding("split", "warn", text)
    if opened.parts is not None and not known.keys() & opened.lists.keys():
        yield Finding("split", "ok", "as the files say; no hash of them is published")


def _found(check: str, level: Level, text: str, examples: Sequence[str], count: int | None = None) -> Finding:
    return Finding(check, level, text, len(examples) if count is None else count, tuple(examples))
