"""Every number that a hashing paper prints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from vtsearch.evaluation.statistics import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vtsearch.metrics import Normalizer


@dataclass(frozen=True)
class TiedScore:
    """A score under each rule for ties."""

    expected: float
    """The exact mean over all orders of tied items."""
    index: float
    """Tied items in the order of their index."""
    best: float
    """No order of tied items gives more."""
    worst: float
    """No order of tied items gives less."""


@dataclass(frozen=True)
class CutOff:
    """Means over the queries at the top n, expected under ties."""

    n: int
    precision: float
    recall: float
    hit: float
    """Chance that at least one relevant item is found."""


@dataclass(frozen=True)
class RadiusPoint:
    """Means over the queries within a Hamming radius; exact, because no ties are cut."""

    radius: int
    items: float
    """How many are found."""
    precision: float
    recall: float


@dataclass(frozen=True)
class Gains:
    """Scores where an item that shares more labels is worth more, at the evaluation's k, expected under ties."""

    ndcg: float
    acg: float
    wap: float


def map_name(k: int | None) -> str:
    """``mAP@1000``, or ``mAP@all``."""
    return f"mAP@{k or 'all'}"


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate``, with its settings."""

    queries: int
    database: int
    """Items that a query may find; the most, where masks or exclusions differ."""
    bits: int
    multi_label: bool
    k: int | None
    """Length of the list that counts; None is the whole database."""
    normalizer: Normalizer
    """Divisor of average precision."""
    mean_average_precision: TiedScore
    """mAP under each rule for ties."""
    bootstrap_interval: Interval | None
    """Bootstrap interval of the expected mAP over queries; None for a single query."""
    chance: float
    """The share of a query's relevant items in the database, averaged: the precision of a blind guess."""
    mean_reciprocal_rank: float
    """MRR: the mean of 1 / (position of the first relevant item), expected under ties."""
    r_precision: float
    """P@R, R the number of a query's relevant items, expected under ties."""
    precision_within_2: float
    """P@radius<=2; a query that finds nothing counts 0."""
    cut_offs: tuple[CutOff, ...]
    published_curve: tuple[CutOff, ...]
    """At N = 1, 500, 1000, ..., 10000, as far as the database goes."""
    radius_curve: tuple[RadiusPoint, ...]
    """One point per distance 0..bits."""
    gains: Gains | None
    """For multi-label sets."""
    average_precisions: tuple[float, ...]
    """Expected average precision of each query: what intervals and paired tests need."""
    vote: float | None = None
    """Share of the queries whose class most of the 20 nearest items have, equal parts where items or classes tie: what
    a nearest-neighbor classifier on these codes is right about. None where nobody asked for it: see ``with_vote``."""
    excluded: int = 0
    """Pairs of a query and an item that ``exclude`` left out."""

    def to_dict(self) -> dict[str, Any]:
        """The fields as numbers, lists and dicts, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The reverse of ``to_dict``, also after JSON.

        Raises:
            TypeError: a key that is missing or unknown.
        """
        gains, interval = values.get("gains"), values.get("bootstrap_interval")
        parts = {
            "mean_average_precision": TiedScore(**values.get("mean_average_precision", {})),
            "bootstrap_interval": None if interval is None else Interval(**interval),
            "cut_offs": tuple(CutOff(**point) for point in values.get("cut_offs", ())),
            "published_curve": tuple(CutOff(**point) for point in values.get("published_curve", ())),
            "radius_curve": tuple(RadiusPoint(**point) for point in values.get("radius_curve", ())),
            "gains": None if gains is None else Gains(**gains),
            "average_precisions": tuple(values.get("average_precisions", ())),
        }
        return cls(**{**values, **parts})
