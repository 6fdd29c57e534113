"""The table of protocols: a data set, its query/train/database split and the k of its mAP@k, under one name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.data.sources.image_source import remarks_of
from vtsearch.data.splits.sampling import DrawRule
from vtsearch.data.splits.split import DatabaseRule, Split
from vtsearch.errors import VtsearchError, suggestion

if TYPE_CHECKING:
    from vtsearch.data.sources.image_source import ImageSource


@dataclass(frozen=True, kw_only=True)
class PublishedSplit:
    """Published sizes and hashes of a protocol's split."""

    query: int
    train: int
    database: int
    classes: int
    lists: str = ""
    """Name of the folder of its published list files."""
    per_class: int = 0
    """Number of images per class if it is the same for all; else 0."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Part -> first 16 hexadecimal digits of the hash of its list file, for public files."""


@dataclass(frozen=True, kw_only=True)
class RetrievalProtocol:
    """A data set, its split and the k of its mAP@k."""

    name: str
    source: str
    """Key of the data set; several protocols share one."""
    k: int | None
    """Cut-off of mAP@k; None for the whole ranking."""
    queries: int
    """Number of drawn queries, without list files: per class; in total under the rule "sizes"."""
    train: int
    """Number of drawn training images, likewise."""
    database: DatabaseRule
    """"rest", "rest+train" (training images are searched too) or "train" (nothing else is)."""
    description: str = ""
    draw: DrawRule = "classes"
    seen_classes: int = 0
    """Number of classes with training images, drawn by the seed; 0 means all."""
    published: PublishedSplit | None = None

    @property
    def images(self) -> int:
        """Number of images of the published split; 0 if nothing is published."""
        if self.published is None:
            return 0
        separate = self.published.train if self.database == "rest" else 0
        return self.published.query + separate + self.published.database


@dataclass(frozen=True)
class RetrievalData:
    """A protocol with its images: ``split`` holds positions in ``source``."""

    protocol: RetrievalProtocol
    source: ImageSource
    split: Split
    fingerprint: str = field(init=False)
    """Identity of the split over these images: sha256 of the split's fingerprint, the labels and the class names."""

    def __post_init__(self) -> None:
        last = max(int(part.max(initial=-1)) for part in (self.split.query, self.split.train, self.split.database))
        if last >= len(self.source):
            raise VtsearchError(f"split: has position {last}, and {self.protocol.name} has {len(self.source)} images")
        digest = hashlib.sha256(self.split.fingerprint.encode())
        digest.update(np.ascontiguousarray(self.source.labels).tobytes())
        digest.update("\n".join(self.source.classes).encode())
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences about what the source left out or took in doubt, with counts."""
        return remarks_of(self.source)

    @property
    def remark(self) -> str:
        """Differences between these images and the published protocol; empty if there are none."""
        published = self.protocol.published
        if published is None:
            return ""
        counts = {
            "queries": (len(self.split.query), published.query),
            "training images": (len(self.split.train), published.train),
            "database images": (len(self.split.database), published.database),
            "classes": (len(self.source.classes), published.classes),
        }
        differing = [f"{here:,} of {there:,} {what}" for what, (here, there) in counts.items() if here != there]
        return f"not the published {self.protocol.name}: {', '.join(differing)}" if differing else ""


def _sizes(query: int, train: int, database: int) -> PublishedSplit:
    return PublishedSplit(query=query, train=train, database=database, classes=10, per_class=6_000)


def _cifar10(
    name: str, queries: int, train: int, database: DatabaseRule, published: PublishedSplit, *, seen: int = 0
) -> RetrievalProtocol:
    where = {"rest": "apart from the database", "rest+train": "searched too", "train": "the database"}[database]
    return RetrievalProtocol(
        name=name,
        source="cifar10",
        k=None,
        queries=queries,
        train=train,
        database=database,
        description=f"per class {queries:,} queries and {train:,} training images, which are {where}"
        + (f"; {seen} classes have training images" if seen else ""),
        seen_classes=seen,
        published=published,
    )


_IN_BOTH = "training images are searched too"
_APART = "training images are apart from the database"
_IMAGENET100 = RetrievalProtocol(
    name="imagenet100@1000",
    source="imagenet",
    k=1_000,
    queries=50,
    train=130,
    database="rest+train",
    description=f"100 classes: validation images are queries, 130 training images per class; {_IN_BOTH}",
    published=PublishedSplit(
        query=5_000,
        train=13_000,
        database=128_503,
        classes=100,
        lists="imagenet",
        sha256={"query": "0aadea2e9afadd0e", "train": "c141cb443b3c674c"},
    ),
)
PROTOCOLS: Mapping[str, RetrievalProtocol] = {
    protocol.name: protocol
    for protocol in (
        _cifar10("cifar10@54000", 100, 500, "rest", _sizes(1_000, 5_000, 54_000)),
        _cifar10("cifar10@all", 100, 500, "rest+train", _sizes(1_000, 5_000, 59_000)),
        _cifar10("cifar10@50000", 1_000, 5_000, "train", _sizes(10_000, 50_000, 50_000)),
        _cifar10("cifar10@unseen", 100, 500, "rest", _sizes(1_000, 3_500, 55_500), seen=7),
        _IMAGENET100,
        replace(
            _IMAGENET100,
            name="imagenet100@unseen",
            description=f"as imagenet100@1000, with training images of 75 classes; {_IN_BOTH}",
            seen_classes=75,
            published=PublishedSplit(query=5_000, train=9_750, database=128_503, classes=100, lists="imagenet"),
        ),
        RetrievalProtocol(
            name="nuswide21@5000",
            source="nuswide",
            k=5_000,
            queries=100,
            train=500,
            database="rest+train",
            description=f"images with one of the 21 most frequent concepts; {_IN_BOTH}",
            draw="quotas",
            published=PublishedSplit(
                query=2_100,
                train=10_500,
                database=193_734,
                classes=21,
                lists="nuswide_21",
                sha256={"query": "bbdbc13c08e34006", "train": "c31007d63075cc17"},
            ),
        ),
        RetrievalProtocol(
            name="nuswide81@5000",
            source="nuswide",
            k=5_000,
            queries=5_000,
            train=10_000,
            database="rest+train",
            description=f"images with one of all 81 concepts that were still to be had; {_IN_BOTH}",
            draw="sizes",
            published=PublishedSplit(
                query=5_000,
                train=10_000,
                database=168_692,
                classes=81,
                lists="nuswide_81_m",
                sha256={"query": "e271553f40a8900b", "train": "f4e15201ed4a454f"},
            ),
        ),
        RetrievalProtocol(
            name="mscoco@5000",
            source="coco",
            k=5_000,
            queries=5_000,
            train=10_000,
            database="rest+train",
            description=f"train2014 and val2014 without the unlabelled; {_IN_BOTH}",
            draw="sizes",
            published=PublishedSplit(
                query=5_000,
                train=10_000,
                database=117_218,
                classes=80,
                lists="coco",
                sha256={"query": "3f0e2c49e363bccb", "train": "4708c66fa87bac20"},
            ),
        ),
        RetrievalProtocol(
            name="mirflickr",
            source="mirflickr",
            k=None,
            queries=1_000,
            train=4_000,
            database="rest",
            description=f"25,000 images with 38 tags; {_APART}",
            draw="sizes",
            published=PublishedSplit(
                query=1_000,
                train=4_000,
                database=20_000,
                classes=38,
                lists="mirflickr",
                sha256={"query": "603be888c4e3f0c3", "train": "99a9896a53cde852", "database": "79c161fbec551b4e"},
            ),
        ),
        RetrievalProtocol(
            name="voc2012",
            source="voc2012",
            k=None,
            queries=1_000,
            train=4_000,
            database="rest",
            description=f"the images for training and validation of classifiers; {_APART}",
            draw="sizes",
            published=PublishedSplit(
                query=1_000,
                train=4_000,
                database=6_540,
                classes=20,
                lists="voc2012",
                sha256={"query": "6c4f2b8297ccea64", "train": "d46ad994b58ce89c", "database": "0d33f2ac1adc7ab5"},
            ),
        ),
        RetrievalProtocol(
            name="digits",
            source="digits",
            k=None,
            queries=10,
            train=50,
            database="rest",
            description=f"scikit-learn's digits; {_APART}",
            published=PublishedSplit(query=100, train=500, database=1_197, classes=10),
        ),
    )
}


def get_protocol(name: str) -> RetrievalProtocol:
    """The protocol of that name.

    Raises:
        ValueError: an unknown name; the message lists the known ones.
    """
    if name not in PROTOCOLS:
        hint = suggestion(name, PROTOCOLS)
        raise ValueError(f"protocol: expected one of {', '.join(PROTOCOLS)} or a folder of images, got {name!r}{hint}")
    return PROTOCOLS[name]
