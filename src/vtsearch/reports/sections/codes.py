"""What the codes look like: distances of pairs, with and without a label in common, balance and correlation of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.reports.code_statistics import CONSTANT, Bits, Distances, bits_of, distances_of, mean_distance
from vtsearch.reports.document import NONE, Axis, Block, Cell, Chart, Heat, Panel, Section, Series, Table
from vtsearch.reports.samples import sampled_positions

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


HOW = (
    "Same, different: mean distance of a query to items that do and do not share a label with it. Separation: how "
    "often the first is the nearer one (area under the ROC curve, 0.5 is chance). Nearest: mean distance of the "
    "nearest item. Balance: shares of ones in the bits, least to most. Constant: bits in which at most "
    f"{CONSTANT:.0%} of items differ from the rest. |r|: absolute correlation of two bits. Distinct: different codes "
    "in the sample of at most 20,000 items."
)
DISTANCES = ("same", "different", "separation", "nearest")
HEAD = ("codes", *DISTANCES, "balance", "constant", "mean |r|", "max |r|", "distinct")


@dataclass(frozen=True)
class Described:
    """A subject with the statistics of its codes."""

    name: str
    bits: int
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
        distances_of(subject.pair, subject.bits),
        bits_of(subject.pair.database, subject.bits, sampled_positions),
    )


def _overview(found: Sequence[Described]) -> Table:
    return Table("Codes in numbers", HEAD, [_line(each) for each in found], HOW)


def _line(each: Described) -> list[Cell | str]:
    distances, bits = each.distances, each.statistics
    pairs = bits.pairs()
    same = None if distances.same is None else mean_distance(distances.same)
    return [
        each.name,
        _number(same, 1),
        _number(None if distances.same is None else mean_distance(distances.other), 1),
        _number(distances.separation, 4),
        _number(mean_distance(distances.nearest), 1),
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
    radii = [radius for radius in RADII if radius < max(each.bits for each in found)]
    rows: list[list[Cell | str]] = []
    for each in found:
        within, asked = each.distances.within, int(each.distances.nearest.sum())
        shares = [f"{100 * within[radius] / asked:.1f}" if radius < len(within) else NONE for radius in radii]
        rows.append([each.name, *shares])
    return Table(
        "Near-duplicates by radius",
        ["codes", *(f"≤ {radius}" for radius in radii)],
        rows,
        "Percent of the asking items with another item within that Hamming distance, as vtsearch deduplicate --radius "
        "finds them.",
    )


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
