"""The compiled engine: takes exactly typed arrays and checks only what memory safety requires.

Use ``vtsearch.ranking`` and ``vtsearch.metrics``, which validate and convert arguments. Labels are compressed sparse
rows (CSR): ``offsets`` (n + 1,) and ``classes`` (nnz,), ascending within a row.
"""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Codes: TypeAlias = NDArray[np.uint8]  # (n, bytes), C-contiguous
Weights: TypeAlias = NDArray[np.uint8]  # (q, 8 * bytes), 0 .. 63; None counts 1 for each bit
PackedMask: TypeAlias = NDArray[np.uint8]  # (ceil(n / 8),), or (q, ceil(n / 8)), as numpy.packbits makes it
Offsets: TypeAlias = NDArray[np.int64]  # (n + 1,)
Classes: TypeAlias = NDArray[np.int32]  # (nnz,)
ClassNumbers: TypeAlias = NDArray[np.int64]  # (n,)
Histogram: TypeAlias = NDArray[np.int64]  # (q, 8 * bytes + 1)
Counts: TypeAlias = NDArray[np.int64]  # (q,)
Sums: TypeAlias = NDArray[np.float64]  # (q, 8 * bytes + 1)
Scores: TypeAlias = NDArray[np.float64]  # (q,)
Distances: TypeAlias = NDArray[np.int32]
Indices: TypeAlias = NDArray[np.int64]
Table: TypeAlias = tuple[NDArray[np.uint32], NDArray[np.uint32], Codes | None]  # begins of buckets, items, their codes
Work: TypeAlias = NDArray[np.int64]  # (q, 4): finished, keys, candidates, radius

__version__: str

def isas() -> list[str]: ...
def active_isa() -> str: ...
def use_isa(name: str) -> None: ...
def default_threads() -> int: ...
def rank(
    query_codes: Codes,
    db_codes: Codes,
    k: int,
    mask: PackedMask | None,
    threads: int,
    out: tuple[Distances, Indices] | None,
    weights: Weights | None = None,
) -> tuple[Distances, Indices]: ...
def rank_plain(
    query_codes: object, db_codes: object, k: object, threads: int, most_bytes: int
) -> tuple[Distances, Indices] | None: ...
def within(
    query_codes: Codes,
    db_codes: Codes,
    radius: int,
    mask: PackedMask | None,
    threads: int,
    weights: Weights | None = None,
) -> tuple[Offsets, Distances, Indices]: ...
def count(
    query_codes: Codes,
    db_codes: Codes,
    radius: int,
    mask: PackedMask | None,
    threads: int,
    weights: Weights | None = None,
) -> Counts: ...
def distances(
    query_codes: Codes, db_codes: Codes, out: NDArray[Any], threads: int, weights: Weights | None = None
) -> None: ...
def histogram(
    query_codes: Codes, db_codes: Codes, mask: PackedMask | None, threads: int, weights: Weights | None = None
) -> Histogram: ...
def deduplicate(
    codes: Codes,
    radius: int,
    window: int,
    pairs: int,
    report: Callable[[int], object] | None,
    release: Callable[[int, int], object] | None,
    threads: int,
) -> Indices: ...
def diameters(
    codes: Codes,
    items: Indices,
    offsets: Offsets,
    window: int,
    pairs: int,
    report: Callable[[int], object] | None,
    release: Callable[[int, int], object] | None,
    threads: int,
) -> Counts: ...
def split_groups(
    codes: Codes,
    items: Indices,
    offsets: Offsets,
    radius: int,
    limit: int,
    window: int,
    pairs: int,
    report: Callable[[int], object] | None,
    release: Callable[[int, int], object] | None,
    threads: int,
) -> Indices: ...
def nearest_below(
    query_codes: Codes, db_codes: Codes, limits: Distances, may_scan: bool, threads: int
) -> tuple[Distances, Indices]: ...
def partition_codes(codes: Codes, mask: Codes, partitions: int) -> tuple[Offsets, NDArray[np.uint32]]: ...
def plan_blocks(sample: Codes, count: int, radius: int) -> tuple[Codes, int]: ...
def agreeing_forest(codes: Codes, masks: Codes, radius: int, threads: int) -> Indices: ...
def merge_pairs(parents: Indices, pairs: Indices) -> None: ...
def find_roots(parents: Indices) -> None: ...

class Tables:
    def __init__(self, parts: list[tuple[list[Table], int]], codes: Codes | None, width: int, bits: int) -> None: ...
    def rank(
        self, query_codes: Codes, k: int, mask: PackedMask | None, may_scan: bool, threads: int
    ) -> tuple[tuple[Distances, Indices], Work, int]: ...
    def within(
        self, query_codes: Codes, radius: int, mask: PackedMask | None, may_scan: bool, threads: int
    ) -> tuple[tuple[Offsets, Distances, Indices], Work, int]: ...

def table_shapes(width: int, bits: int, tables: int, key_bits: int) -> tuple[list[int], int]: ...
def build_tables(
    arrays: list[Codes], bits: int, tables: int, key_bits: int, first: int, last: int, copies: bool, threads: int
) -> list[Table]: ...
def relevance_histograms(
    query_codes: Codes,
    db_codes: Codes,
    query_offsets: Offsets,
    query_classes: Classes,
    db_offsets: Offsets,
    db_classes: Classes,
    classes: int,
    mask: PackedMask | None,
    threads: int,
    weights: Weights | None = None,
) -> tuple[Histogram, Histogram]: ...
def gain_histograms(
    query_codes: Codes,
    db_codes: Codes,
    query_offsets: Offsets,
    query_classes: Classes,
    db_offsets: Offsets,
    db_classes: Classes,
    classes: int,
    mask: PackedMask | None,
    threads: int,
    weights: Weights | None = None,
) -> tuple[Sums, Sums, Counts]: ...
def label_rows(labels: ClassNumbers, classes: ClassNumbers) -> tuple[Offsets, Classes]: ...
def average_precision_plain(
    query_codes: object,
    db_codes: object,
    query_labels: object,
    db_labels: object,
    k: object,
    ties: Literal["expected", "best", "worst"],
    normalizer: Literal["retrieved", "relevant", "min"],
    threads: int,
    most_bytes: int,
    most_histogram_bytes: int,
) -> Scores | None: ...
def average_precision(
    items: Histogram,
    relevant: Histogram,
    k: int,
    ties: Literal["expected", "best", "worst"],
    normalizer: Literal["retrieved", "relevant", "min"],
) -> Scores: ...
def weighted_average_precision(items: Histogram, relevant: Histogram, gains: Sums, k: int) -> Scores: ...
def average_precision_by_index(
    query_codes: Codes,
    db_codes: Codes,
    query_offsets: Offsets,
    query_classes: Classes,
    db_offsets: Offsets,
    db_classes: Classes,
    classes: int,
    mask: PackedMask | None,
    items: Histogram,
    relevant: Histogram,
    k: int,
    items_before: Histogram | None,
    relevant_before: Histogram | None,
    sums: Sums,
    retrieved: Counts,
    excluded_offsets: Offsets | None,
    excluded_items: Indices | None,
    threads: int,
    weights: Weights | None = None,
) -> None: ...
def pack(values: NDArray[Any], big: bool) -> tuple[Codes, bool]: ...
