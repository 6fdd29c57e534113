"""What one thread of this machine does, and what a call of an actor costs: the figures of the model of a cluster."""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from scale_figures import SOURCES
from synthetic_codes import random_codes, ten_classes

import vtsearch
from vtsearch import Index, _native
from vtsearch._merging import nearest
from vtsearch.scale import ShardedIndex

K = 10
SCANNED = {1: 30_000_000, 16: 30_000_000, 64: 30_000_000, 1024: 4_000_000}
LARGE = 48_000_000
"""Codes, of which a process releases the pages as it goes."""
DUPLICATES = (1_000_000, 8_000_000)
SIDE = 224
RADIUS, TABLES = 4, 5
"""The engine sorts by radius + 1 substrings."""

Rows = Iterator[tuple[str, str, float]]
"""Key of SOURCES, row of the table, number of the page."""


def measure(path: Path | None, *, actors: bool) -> None:
    """Print the table of docs/measurements.md, and write the figures of the model to a file."""
    numbers = {}
    print("| figure | | |\n| --- | ---: | --- |")
    for key, name, number in _rows(actors):
        print(f"| {name} | {number:,.3g} | {SOURCES[key].unit} |", flush=True)
        numbers[key] = number
    print(f"\n{machine()}")
    if path is not None:
        path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def _rows(actors: bool) -> Rows:
    yield from _scans()
    yield from _merging()
    if actors:
        yield from _actors()
    yield from _images()
    yield from _metrics()
    yield from _duplicates()


def best(call: Callable[[], object], rounds: int = 3, clock: Callable[[], float] = time.process_time) -> float:
    """Seconds of the fastest round, by default those of the processor: others may use it too."""
    return min(_times(call, rounds, clock))


def middle(call: Callable[[], object], rounds: int) -> float:
    """Seconds of the middle round, by the clock on the wall: for what other processes have a part in."""
    return float(np.median(_times(call, rounds, time.perf_counter)))


def _times(call: Callable[[], object], rounds: int, clock: Callable[[], float]) -> list[float]:
    times = []
    for _ in range(rounds):
        began = clock()
        call()
        times.append(clock() - began)
    return times


def _scans() -> Rows:
    """Of codes in a mapped file, as shards have them."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        whole = _mapped(Path(temporary) / "whole.npy", random_codes(rng, 64, LARGE))
        yield from _scans_of(rng, whole[: max(SCANNED.values())])
        asked, inside = random_codes(rng, 64, 1), np.array(whole)
        times = [best(lambda codes=codes: vtsearch.rank(asked, codes, K, threads=1), 5) for codes in (whole, inside)]
    yield "remap", "scan, pages mapped again", 1e3 * (times[0] - times[1]) / (LARGE * 8 / 1e6)


def _mapped(path: Path, codes: np.ndarray) -> np.ndarray:
    np.save(path, codes)
    return np.load(path, mmap_mode="r")


def _scans_of(rng: np.random.Generator, database: np.ndarray) -> Rows:
    for queries, items in SCANNED.items():
        asked, codes = random_codes(rng, 64, queries), database[:items]
        seconds = best(lambda asked=asked, codes=codes: vtsearch.rank(asked, codes, K, threads=1))
        name = "scan, 1 query" if queries == 1 else f"scan, {queries:,} queries"
        yield f"scan_{queries}", name, queries * items / seconds / 1e9
    asked = random_codes(rng, 64, 1)
    seconds = best(lambda: vtsearch.rank(asked, database, K), rounds=5, clock=time.perf_counter)
    yield "memory", "scan, memory read", database.nbytes / seconds / 1e9
    many = random_codes(rng, 64, 64)
    one = best(lambda: vtsearch.rank(many, database, K, threads=1))
    yield (
        "speedup",
        "scan, all threads, times one",
        one / best(lambda: vtsearch.rank(many, database, K), 5, time.perf_counter),
    )
    with tempfile.TemporaryDirectory() as folder, Index.create(Path(folder) / "index", 64) as index:
        index.add(database[:1000])
        index.search(asked, K)
        seconds = best(lambda: [index.search(asked, K, threads=1) for _ in range(100)]) / 100
    yield "call", "search, call in this process", 1e3 * seconds


def _merging() -> Rows:
    rng = np.random.default_rng(1)
    database, asked = random_codes(rng, 64, 400_000), random_codes(rng, 64, 256)
    parts = [vtsearch.rank(asked, part, 100) for part in np.split(database, 4)]
    seconds = best(lambda: nearest(parts, 100), 5)
    yield "merge", "merge, a result", 1e9 * seconds / (4 * asked.shape[0] * 100)


def _actors() -> Rows:
    """Of shards on Ray that compare nothing, and of the ids of what a search finds."""
    from sharded_search import Echo, start_ray  # noqa: PLC0415 (needs Ray)

    rng = np.random.default_rng(3)
    few, many = (Echo(random_codes(rng, 64, rows), (rows, k)) for rows, k in ((1, K), (1024, 1000)))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary) / "index"
        stack.enter_context(Index.create(folder, 64)).add(random_codes(rng, 64, 1_000_000))
        start_ray("local", 5, stack)
        one, four = (stack.enter_context(ShardedIndex.open(folder, shards, ray="auto")) for shards in (1, 4))
        single, several = (1e3 * middle(_asking(sharded, few), 200) for sharded in (one, four))
        yield "actor", "actor, round trip", single
        yield "next_actor", "actor, each further one", (several - single) / 3
        large = 1e3 * middle(_asking(one, many), 20)
        yield "transfer", "actor, answer", 1024 * 1000 * 12 / (large - single) / 1e6
        found = np.sort(rng.choice(1_000_000, 10_000, replace=False)).tolist()
        with Index.open(folder) as index:
            yield "id", "ids, a result", 1e9 * best(lambda: index.ids_at(found), 5) / len(found)


def _asking(sharded: ShardedIndex, question: object) -> Callable[[], object]:
    state, shards = sharded._frozen(), sharded._shards  # noqa: SLF001 (measured apart)
    return lambda: shards.ask(state.shard_items, question)


def _images() -> Rows:
    import torch  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    from vtsearch.data.sources.decode import read_image  # noqa: PLC0415

    torch.set_num_threads(1)
    encoder = _encoder()
    side = encoder.model.preprocessing.least_side
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(_photograph(Image))
        decoded = np.asarray(read_image(path, "here", least_side=side))
        seconds = best(lambda: read_image(path, "here", least_side=side).load(), 5)
    yield "decode", "decode, a megapixel", 1e3 * seconds / 12
    small = np.ascontiguousarray(decoded[:SIDE, :SIDE])
    whole, square = (best(lambda pixels=pixels: encoder.encode([pixels] * 32)) / 32 for pixels in (decoded, small))
    yield "resize", "resize to 224 pixels", 1e3 * max(whole - square, 0)
    yield "model", "ViT-Ti/16, 224 pixels, an image", 1e3 * square


def _encoder():
    """Of a model with random weights, which takes as long as one with others."""
    from vtsearch.encoding import Encoder  # noqa: PLC0415
    from vtsearch.models import ModelConfig, build_model  # noqa: PLC0415

    return Encoder(build_model(ModelConfig("vit_tiny_patch16_224", pretrained=False)).eval(), device="cpu")


def _photograph(image) -> bytes:
    """A JPEG of 12 megapixels and about 3 MB: smooth shapes with noise."""
    rng = np.random.default_rng(0)
    coarse = image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(
        (4000, 3000), image.Resampling.BICUBIC
    )
    pixels = np.asarray(coarse).astype(np.int16) + rng.normal(0, 6, (3000, 4000, 1)).astype(np.int16)
    file = io.BytesIO()
    image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def _metrics() -> Rows:
    sample = ten_classes(np.random.default_rng(2), 64, 1000, 500_000)
    arrays = (sample.queries, sample.database, sample.query_labels, sample.db_labels)
    seconds = best(lambda: vtsearch.average_precision(*arrays, threads=1))
    yield "mAP", "mAP, 1,000 queries", 1000 * 500_000 / seconds / 1e9


def _duplicates() -> Rows:
    """Seconds are keys * a + pairs * b: two sizes give both."""
    keys, pairs, seconds = [], [], []
    for items in DUPLICATES:
        codes = random_codes(np.random.default_rng(items), 64, items)
        keys.append(TABLES * items)
        pairs.append(sum(items**2 / 2 / 2.0**bits for bits in _substrings()))
        seconds.append(best(lambda codes=codes: vtsearch.deduplicate(codes, RADIUS, threads=1), 2))
    key, pair = np.linalg.solve(np.column_stack([keys, pairs]), seconds)
    yield "key", "duplicates, a key of a table", 1e9 * key
    yield "pair", "duplicates, a pair in a bucket", 1e9 * pair


def _substrings() -> list[int]:
    """Bits of the substrings of the engine's tables."""
    return [(part + 1) * 64 // TABLES - part * 64 // TABLES for part in range(TABLES)]


def machine() -> str:
    """Instruction set, threads and load, for the page."""
    return f"{_native.active_isa()}, {_native.default_threads()} threads, load {os.getloadavg()[0]:.1f}"
