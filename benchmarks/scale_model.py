"""How long the work on many codes takes on many machines: latency, throughput, encoding, duplicates, metrics, network.

    python benchmarks/scale_model.py --markdown                          # the tables of docs/scale.md
    python benchmarks/scale_model.py --write                             # and puts them there
    python benchmarks/scale_model.py --measure here.json --actors        # the figures of this machine
    python benchmarks/scale_model.py --check shards.json --figures here.json

``--check`` compares predictions with what ``benchmarks/sharded_search.py --json shards.json`` measured. Shards that
share cores are no faster than one that has them all, and two threads of one core are less than two cores: how much all
threads do, against one, is a figure of the machine.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

from scale_figures import Figures

BYTES = 8
"""Of a code of 64 bits."""
RESULT = 12
"""Bytes of a result: its distance and its position."""
GIGA = 1e9
RELEASED = 2**28
"""Bytes of codes of one process, from which on they leave memory as a scan goes on."""


@dataclass(frozen=True)
class Machine:
    """What shards stand on. A core is a thread of the processor, as clouds sell it and as the figures were measured."""

    cores: float
    """Of two threads that share a core each is a part of one."""
    memory: float = 256.0
    """GB."""
    bandwidth: float = 300.0
    """GB/s that all cores read from memory together."""
    network: float = 25.0
    """Gbit/s."""


@dataclass(frozen=True)
class Search:
    """One call: the nearest ``k`` of each query among all items."""

    queries: int
    items: float
    k: int = 10


@dataclass(frozen=True)
class Layout:
    """Shards on machines of one kind; without any the index is in the process that asks, which has all threads."""

    machine: Machine
    shards: int = 0
    threads: int | None = None
    """Of each shard; by default its part of the cores."""
    nodes: int = 1

    @property
    def cores(self) -> float:
        """That scan at the same time: shards share those of their machine."""
        there = self.machine.cores * self.nodes
        wanted = there if self.threads is None else max(self.shards, 1) * self.threads
        return min(there, wanted)


def scan_seconds(figures: Figures, search: Search, layout: Layout) -> float:
    """Until all shards have scanned their part: bound by comparisons, or by reading the codes.

    A process with more than 256 MiB of codes releases their pages as it goes, and maps them again at the next scan.
    """
    mine = search.items * BYTES / max(layout.shards, 1)
    again = mine / 1e6 * figures["remap"] / 1e3 if mine > RELEASED else 0.0
    compared = search.queries * search.items / figures.pairs(search.queries) / layout.cores
    read = search.items * BYTES / (GIGA * layout.machine.bandwidth * layout.nodes)
    return max(compared, read) + again


def overhead_seconds(figures: Figures, search: Search, shards: int) -> dict[str, float]:
    """What shards in other processes add to the scan, by its cause."""
    results = search.queries * min(search.k, search.items / shards)
    return {
        "call": (figures["actor"] + (shards - 1) * figures["next_actor"]) / 1e3,
        "transfer": shards * results * RESULT / (GIGA * figures["transfer"]),
        "merge": shards * results * figures["merge"] / GIGA,
    }


def latency(figures: Figures, search: Search, layout: Layout) -> float:
    """Seconds of a call."""
    overhead = sum(overhead_seconds(figures, search, layout.shards).values()) if layout.shards else 0.0
    ids = search.queries * min(search.k, search.items) * figures["id"] / GIGA
    return figures["call"] / 1e3 + scan_seconds(figures, search, layout) + ids + overhead


def nodes_for(figures: Figures, rate: float, items: float, batch: int, machine: Machine) -> float:
    """Machines that scan ``items`` for ``rate`` queries a second, which come in batches; parts of one count."""
    return rate / batch * scan_seconds(figures, Search(batch, items), Layout(machine))


@dataclass(frozen=True)
class Photographs:
    """Images to encode."""

    count: float
    megapixels: float

    def decode_hours(self, figures: Figures) -> float:
        """Core hours of reading, decoding and resizing."""
        return self.count * (self.megapixels * figures["decode"] + figures["resize"]) / 3.6e6

    def terabytes(self, figures: Figures) -> float:
        """To be read from storage."""
        return self.count * self.megapixels * figures["photo_bytes"] / 1e6


def gpu_hours(images: float, gigaflops: float, teraflops: float, share: float) -> float:
    """Hours of one GPU that reaches a share of its rate of bfloat16 products."""
    return images * gigaflops / (teraflops * 1e3 * share) / 3600


@dataclass(frozen=True)
class Duplicates:
    """Groups of uniform codes within a radius, by sets of blocks: of radius + c blocks near codes share c."""

    items: float
    radius: int
    chosen: int
    """Blocks of a set, c."""
    bits: int = 64

    @classmethod
    def planned(cls, figures: Figures, items: float, radius: int) -> Duplicates:
        """With the sets that take the least time, as the engine chooses them."""
        return min((cls(items, radius, chosen) for chosen in range(1, 9)), key=lambda work: work.core_hours(figures))

    @property
    def sets(self) -> int:
        """Keys of each code."""
        return math.comb(self.radius + self.chosen, self.chosen)

    @property
    def key_bits(self) -> float:
        """Of the blocks of a set."""
        return self.bits * self.chosen / (self.radius + self.chosen)

    def core_hours(self, figures: Figures) -> float:
        """Sorting every code by every key, and comparing the codes with the same key."""
        keys = self.sets * self.items
        pairs = keys * self.items / 2 ** (self.key_bits + 1)
        return (keys * figures["key"] + pairs * figures["pair"]) / 3.6e12

    def terabytes(self) -> float:
        """Written to the work folder and read: each code with its row, then with its position for each first block."""
        return self.items * (BYTES + 4 + (self.radius + 1) * (BYTES + 8)) / 1e12


def metric_core_hours(figures: Figures, queries: float, items: float) -> float:
    """Histograms of distances and relevance."""
    return queries * items / (GIGA * figures["mAP"]) / 3600


def histogram_megabytes(queries: float, bits: int = 64) -> float:
    """That a shard sends: items and relevant items by distance."""
    return queries * (bits + 1) * 2 * 8 / 1e6


# -- Against measurements ----------------------------------------------------------------------------------------------


def check(figures: Figures, path: Path, machine: Machine) -> str:
    """A table: measured, predicted, the error, and what of the prediction is not the scan.

    Args:
        path: JSON, a list of objects with shards (0: in one process), queries, items, k, seconds and, where they are
            not the shard's part of the cores, threads.
    """
    lines = [
        "| shards | queries | items | measured, ms | predicted, ms | error | of which not the scan |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in json.loads(path.read_text(encoding="utf-8")):
        search = Search(row["queries"], row["items"], row["k"])
        layout = Layout(machine, row["shards"], row.get("threads"))
        predicted = latency(figures, search, layout)
        rest = 1 - scan_seconds(figures, search, layout) / predicted
        error = predicted / row["seconds"] - 1
        shards = row["shards"] or "in one process"
        times = f"{1e3 * row['seconds']:.2f} | {1e3 * predicted:.2f} | {error:+.0%}"
        lines.append(f"| {shards} | {row['queries']:,} | {row['items']:,} | {times} | {rest:.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/scale.md")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    parser.add_argument("--measure", type=Path, metavar="FILE", help="measure this machine and write its figures")
    parser.add_argument(
        "--actors", action="store_true", help="with --measure: start a Ray cluster and measure calls too"
    )
    parser.add_argument("--check", type=Path, metavar="FILE", help="what sharded_search.py --json has written")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="of --measure, instead of those of the documents")
    parser.add_argument("--cores", type=float, help="that the shards of --check share; by default what was measured")
    parser.add_argument("--bandwidth", type=float, help="GB/s of its memory; by default the measured one")
    args = parser.parse_args()
    if args.measure is not None:
        from scale_measure import measure  # noqa: PLC0415 (needs Ray and torch)

        measure(args.measure, actors=args.actors)
        return
    figures = Figures.documented() if args.figures is None else Figures.load(args.figures)
    if args.markdown or args.write:
        from scale_tables import markdown, write  # noqa: PLC0415 (which imports this module)

        print(markdown(figures) if args.markdown else write(figures))
    if args.check is not None:
        machine = Machine(args.cores or figures["speedup"], bandwidth=args.bandwidth or figures["memory"])
        print(check(figures, args.check, machine))


if __name__ == "__main__":
    main()
