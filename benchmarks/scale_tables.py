"""The tables of docs/scale.md: one and ten billion codes, 100,000 queries a second, a billion photographs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from scale_figures import SOURCES, Figures
from scale_model import (
    BYTES,
    RESULT,
    Duplicates,
    Layout,
    Machine,
    Photographs,
    Search,
    gpu_hours,
    histogram_megabytes,
    latency,
    metric_core_hours,
    nodes_for,
)

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BLOCK = re.compile(r"(<!-- scale_model.py writes: (\w+) -->\n).*?(?=<!-- to here -->)", re.DOTALL)
NODE = Machine(cores=64)
CORE_HOUR, GPU_HOUR, ASSUMED = 0.045, 4.0, "2026-11-29"
"""Dollars, and the day of the assumption."""
GPU_TERAFLOPS, GPU_SHARE = 990.0, 0.4
"""An H100's rate of dense bfloat16 products, and the share of it that a forward pass reaches: assumed."""
BACKBONES = {"ViT-Ti/16": 2.5, "ViT-S/16": 9.2, "ViT-B/16": 35.1, "ViT-L/16": 123.0}
"""Name -> 10^9 floating-point operations of an image of 224 pixels, two for each product and sum."""
BILLIONS = (1e9, 1e10)
RATE, BATCH, QUERIES = 100_000, 64, 5_000
FLEET_CORES, FLEET_GPUS = 1_024, 8
PHOTOGRAPHS = {"500 x 375": 0.1875, "1 megapixel": 1.0, "12 megapixels": 12.0}
CODES = ("a billion codes", "ten billion codes")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 9) -> str:
    """A Markdown table: names on the left, then columns of numbers, on the right."""
    lines = [heads, ["---", *("---:" if column < numbers else "---" for column in range(len(heads) - 1))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(number: float) -> str:
    """Two digits, or three."""
    if number >= 100:
        digits = 2 - math.floor(math.log10(number))
        return f"{round(number, digits):,.0f}"
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"


def by_billions(name: str, call: Callable[[float], str]) -> list[str]:
    """A row: what both sizes give."""
    return [name, *map(call, BILLIONS)]


def sizes(figures: Figures) -> str:
    """Memory and disk of an index."""

    def nodes(bytes_: float) -> Callable[[float], str]:
        return lambda items: f"{math.ceil(items * bytes_ / 1e9 / NODE.memory)}"

    tables = figures["disk_tables"] - figures["disk"]
    return table(
        ["", *CODES],
        [
            by_billions("codes, GB", lambda items: short(items * BYTES / 1e9)),
            by_billions("index on disk, with ids, GB", lambda items: short(items * figures["disk"] / 1e9)),
            by_billions("tables, GB", lambda items: short(items * tables / 1e9)),
            by_billions("adding them, core hours", lambda items: short(items * figures["add"] / 3.6e9)),
            by_billions(f"nodes of {NODE.memory:.0f} GB that hold the codes", nodes(BYTES)),
            by_billions("nodes that hold codes and tables", nodes(BYTES + tables)),
        ],
    )


def latencies(figures: Figures) -> str:
    """A call, on one node and on several."""

    def of(queries: int, nodes: int, shards: int) -> Callable[[float], str]:
        layout = Layout(NODE, shards, nodes=nodes)
        return lambda items: short(1e3 * latency(figures, Search(queries, items), layout))

    rows = [
        by_billions(f"{'1 query' if queries == 1 else f'{queries:,} queries'}, {where}", of(queries, nodes, shards))
        for queries in (1, 64, 1024)
        for where, nodes, shards in (("one node", 1, 0), ("4 nodes, 4 shards", 4, 4), ("16 nodes, 16 shards", 16, 16))
    ]
    return table(["milliseconds of a scan, k = 10", *CODES], rows)


def throughput(figures: Figures) -> str:
    """100,000 queries a second: cores, nodes, dollars, network."""

    def of_scan(batch: int) -> Callable[[float], str]:
        return lambda items: fleet(nodes_for(figures, RATE, items, batch, NODE))

    tables, request = (fleet(RATE * figures[name] / 1e3 / NODE.cores) for name in ("tables_64", "request"))
    network = RATE * (BYTES + 10 * RESULT) * 8 / 1e9
    rows = [
        by_billions("scan, one query at a time", of_scan(1)),
        by_billions(f"scan, batches of {BATCH}", of_scan(BATCH)),
        by_billions("scan, batches of 1,024", of_scan(1024)),
        [f"tables, clustered codes, batches of {BATCH}", tables, "not measured"],
        ["HTTP, a request for each query", request, request],
        by_billions("network to and from each shard, Gbit/s", lambda _: short(network)),
    ]
    return table([f"{RATE:,} queries a second, k = 10", *CODES], rows)


def fleet(nodes: float) -> str:
    """Nodes, their cores that work, and what they cost."""
    cores = nodes * NODE.cores
    whole = math.ceil(nodes)
    return f"{short(cores)} cores, {whole:,} {'node' if whole == 1 else 'nodes'}, ${short(cores * CORE_HOUR)} an hour"


def encoding(figures: Figures) -> str:
    """A billion photographs."""
    kinds = [Photographs(1e9, megapixels) for megapixels in PHOTOGRAPHS.values()]
    hours = [kind.decode_hours(figures) for kind in kinds]
    gpu = gpu_hours(1e9, BACKBONES["ViT-B/16"], GPU_TERAFLOPS, GPU_SHARE)
    tiny = 1e9 * figures["model"] / 3.6e6
    bytes_ = [kind.terabytes(figures) for kind in kinds]
    storage = FLEET_CORES / NODE.cores * NODE.network * 3600 / 8 / 1e3  # TB an hour that all nodes take in
    rows = [
        ["read from storage, TB", *map(short, bytes_)],
        ["decode and resize, core hours", *map(short, hours)],
        ["ViT-B/16 on H100, GPU hours (assumed)", *[short(gpu)] * 3],
        ["cores that feed one GPU", *(short(hour / gpu) for hour in hours)],
        ["ViT-Ti/16 without a GPU, core hours", *[short(tiny)] * 3],
        [
            f"hours on {FLEET_CORES:,} cores and {FLEET_GPUS} GPUs",
            *(short(max(h / FLEET_CORES, gpu / FLEET_GPUS, b / storage)) for h, b in zip(hours, bytes_, strict=True)),
        ],
        ["dollars, with ViT-B/16 on GPUs", *(short(hour * CORE_HOUR + gpu * GPU_HOUR) for hour in hours)],
        ["dollars, with ViT-Ti/16 on CPUs", *(short((hour + tiny) * CORE_HOUR) for hour in hours)],
    ]
    return table(["a billion photographs of", *PHOTOGRAPHS], rows)


def models(figures: Figures) -> str:
    """GPU hours by backbone."""
    cheapest = Photographs(1e9, PHOTOGRAPHS["500 x 375"]).decode_hours(figures)
    hours = {name: gpu_hours(1e9, flops, GPU_TERAFLOPS, GPU_SHARE) for name, flops in BACKBONES.items()}
    rows = [
        [name, short(BACKBONES[name]), short(each), short(each * GPU_HOUR), short(cheapest / each)]
        for name, each in hours.items()
    ]
    heads = ["a billion images of 224 pixels", "GFLOP an image", "GPU hours", "dollars", "cores for 500 x 375"]
    return table(heads, rows)


def duplicates(figures: Figures) -> str:
    """Groups of near-duplicates."""

    def cell(items: float, radius: int) -> str:
        work = Duplicates.planned(figures, items, radius)
        keys = f"{work.sets} keys of {work.key_bits:.0f} bits"
        return f"{keys}, {short(work.core_hours(figures))} core hours, {short(work.terabytes())} TB of files"

    rows = [[f"radius {radius}", *(cell(items, radius) for items in BILLIONS)] for radius in (1, 2, 3, 4, 6, 8)]
    return table(["near-duplicates", *CODES], rows)


def metrics(figures: Figures) -> str:
    """mAP of 5,000 queries."""
    rows = [
        by_billions("core hours", lambda items: short(metric_core_hours(figures, QUERIES, items))),
        by_billions("MB that each shard sends", lambda _: short(histogram_megabytes(QUERIES))),
    ]
    return table([f"mAP, {QUERIES:,} queries", *CODES], rows)


def sources(figures: Figures) -> str:
    """Each figure, and where it was measured."""
    rows = [
        [source.meaning, f"{figures[name]:,.3g} {source.unit}", f"*{source.section}*: {source.text()}"]
        for name, source in SOURCES.items()
    ]
    return table(["figure", "value", "section of measurements.md, and what it says there"], rows, numbers=1)


BLOCKS: dict[str, Callable[[Figures], str]] = {
    "size": sizes,
    "scan": latencies,
    "rate": throughput,
    "code": encoding,
    "gpus": models,
    "pair": duplicates,
    "mean": metrics,
    "from": sources,
}
"""Name of a block of the page -> its table."""


def markdown(figures: Figures) -> str:
    """All tables."""
    return "\n\n".join(f"<!-- {name} -->\n{call(figures)}" for name, call in BLOCKS.items())


def rewritten(page: str, figures: Figures) -> str:
    """The page with its tables as they are now."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]](figures)}\n\n", page)


def write(figures: Figures) -> str:
    """Put the tables into docs/scale.md."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    return f"wrote {PAGE}"
