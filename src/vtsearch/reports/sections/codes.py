"""What the codes look like: distances of pairs, with and without a label in common, balance and correlation of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.evaluation.samples import sampled_positions
from vtsearch.reports.code_statistics import CONSTANT, Bits, Distances, bits_of, distances_of, mean_distance
from vtsearch.reports.document import NONE, Axis, Block, Chart, Heat, Panel, Section, Series, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.reports.subjects import Subject

MOST_PANELS = 12
MOST_HEAT = 64
"""Bits up to which correlations are drawn one by one."""
STRENGTHS = 20
"""Bars of the histogram of correlations."""
RADII = (0, 1, 2, 3, 4, 6, 8, 12, 16)


DISTANCES = ("same", "different", "separation")
BITS = ("nearest", "balance", "constant", "mean |r|", "max |r|", "distinct")
HOW_DISTANCES = (
    "Same, different: mean distance of a query to items that do and do not share a label with it. Separation: how "
    "often the first is the nearer one (area under the ROC curve, 0.5 is chance). "
)
HOW_BITS = (
    "Nearest: mean distance of the nearest item. Balance: shares of ones in the bits, least to most. Constant: bits in "
    f"which at most {CONSTANT:.0%} of items differ from the rest. |r|: absolute correlation of two bits. Distinct: "
    "different codes in the sample of at most 20,000 items."
)


@dataclass(frozen=True)
class Described:
    """A subject with the statistics of its codes."""

    name: str
    bits: int
    items: int
    """Of the database."""
    distances: Distances
    statistics: Bits


def codes(subjects: Sequence[Subject]) -> Section | None:
    """The codes of some subjects, one for each method and length; None where codes are gone."""
    found = [described(each) for each in subjects if each.pair is not None]
    if not found:
        return None
    labelled = [each for each in found if each.distances.same is not None]
    plain = [each for each in found if each.distances.same is None]
    blocks: list[Block] = [_overview(found)]
    blocks += [_same_and_different(labelled)] if labelled else []
    blocks += [_nearest(plain), _within(plain)] if plain else []
    blocks += [_balance(found), _strengths(found)]
    blocks += [_heat(each) for each in found if each.bits <= MOST_HEAT][:1] if len(found) == 1 else []
    more = f" Drawn: the first {MOST_PANELS} of {len(found)}." if len(found) > MOST_PANELS else ""
    return Section("Codes", blocks, f"What the codes look like.{more}")


def described(subject: Subject) -> Described:
    """The statistics of a subject that has its codes."""
    assert subject.pair is not None
    seed = "" if subject.seed is None or subject.run is None else f", seed {subject.seed}"
    return Described(
        f"{subject.method}, {subject.bits} bits{seed}",
        subject.bits,
        len(subject.pair.database),
        distances_of(subject.pair, subject.bits),
        bits_of(subject.pair.database, subject.bits, sampled_positions),
    )


def _overview(found: Sequence[Described]) -> Table:
    labelled = any(each.distances.same is not None for each in found)
    head = ["codes", *(DISTANCES if labelled else ()), *BITS]
    rows = [[each.name, *(_distances(each) if labelled else ()), *_bits(each)] for each in found]
    return Table("Codes in numbers", head, rows, (HOW_DISTANCES if labelled else "") + HOW_BITS)


def _distances(each: Described) -> list[str]:
    distances = each.distances
    same, other = (None if part is None else mean_distance(part) for part in (distances.same, distances.other))
    return [
        _number(same, 1),
        NONE if distances.same is None else _number(other, 1),
        _number(distances.separation, 4),
    ]


def _bits(each: Described) -> list[str]:
    bits, pairs = each.statistics, each.statistics.pairs()
    return [
        _number(mean_distance(each.distances.nearest), 1),
        f"{bits.balance.min():.2f} to {bits.balance.max():.2f}",
        str(bits.constant),
        _number(float(pairs.mean()) if len(pairs) else None, 3),
        _number(float(pairs.max()) if len(pairs) else None, 3),
        f"{bits.distinct:,} of {bits.items:,}",
    ]


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _same_and_different(found: Sequence[Described]) -> Chart:
    panels = []
    for each in found[:MOST_PANELS]:
        same, other = each.distances.same, each.distances.other
        assert same is not None
        panels.append(
            Panel(_panel_title(found, each), [Series("same label", _shares(same)), Series("different", _shares(other))])
        )
    return Chart(
        "Distances of pairs",
        "steps",
        Axis("Hamming distance", 0),
        Axis("share of pairs", 0),
        panels,
        "Pairs of a query and an item of the database, as shares of the pairs that do and that do not share a label.",
    )


def _nearest(found: Sequence[Described]) -> Chart:
    panels = [
        Panel(_panel_title(found, each), [Series("nearest item", _shares(each.distances.nearest))])
        for each in found[:MOST_PANELS]
    ]
    note = "Of a seeded sample of items (all, if they are few), each left out of what it searches."
    return Chart(
        "Distance of the nearest item", "steps", Axis("Hamming distance", 0), Axis("share of items", 0), panels, note
    )


def _within(found: Sequence[Described]) -> Table:
    """The share of items that have another one within each radius."""
    radii = [radius for radius in RADII if radius < max(each.bits for each in found)]
    rows = [[f"≤ {radius}", *(_share_within(each, radius) for each in found)] for radius in radii]
    note = (
        "Percent of the asking items with another item within that Hamming distance, and about how many that are in "
        "the whole index: what vtsearch deduplicate --radius would find."
    )
    head = ["radius", *(each.name if len(found) > 1 else "items with another" for each in found)]
    return Table("Near-duplicates by radius", head, rows, note, narrow=len(found) < 3)


def _share_within(each: Described, radius: int) -> str:
    within, asked = each.distances.within, int(each.distances.nearest.sum())
    if radius >= len(within):
        return NONE
    share = int(within[radius]) / asked
    return f"{100 * share:.1f} ({round(share * each.items):,})"


def _balance(found: Sequence[Described]) -> Chart:
    panels = [
        Panel(_panel_title(found, each), [Series("share of ones", _by_bit(each.statistics.balance))], 0.5)
        for each in found[:MOST_PANELS]
    ]
    return Chart(
        "Balance of bits",
        "bars",
        Axis("bit"),
        Axis("share of ones", 0, 1, ticks=[0, 0.5, 1]),
        panels,
        "Items of the database with a 1 in each bit; a bit far from one half tells little apart.",
        reference="one half",
    )


def _strengths(found: Sequence[Described]) -> Chart:
    panels = []
    for each in found[:MOST_PANELS]:
        counts, edges = np.histogram(each.statistics.pairs(), STRENGTHS, (0, 1))
        shares = counts / max(int(counts.sum()), 1)
        points = [(float(edge), float(share)) for edge, share in zip(edges, shares, strict=False)]
        panels.append(Panel(_panel_title(found, each), [Series("pairs of bits", points)]))
    return Chart(
        "Correlation of bits",
        "steps",
        Axis("|r|", 0, 1),
        Axis("share of pairs", 0),
        panels,
        "Absolute correlation of each two bits; bits that go together say the same thing twice.",
    )


def _heat(each: Described) -> Heat:
    names = [str(bit) for bit in range(each.bits)]
    values = [[round(float(value), 2) for value in row] for row in each.statistics.correlation]
    return Heat("Correlation, bit by bit", names, values, f"Pearson's r; {each.name}.")


def _panel_title(found: Sequence[Described], each: Described) -> str:
    return each.name if len(found) > 1 else ""


def _shares(counts: NDArray[np.int64]) -> list[tuple[float, float]]:
    total = max(int(counts.sum()), 1)
    return [(float(distance), float(count) / total) for distance, count in enumerate(counts.tolist())]


def _by_bit(values: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(bit), float(value)) for bit, value in enumerate(values.tolist())]
