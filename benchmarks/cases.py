"""The table of what is measured: codes, shape, contenders, and how many times faster than whom the engine has to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

FAISS = ("FAISS heap", "FAISS count")
RANKERS = ("vtsearch", *FAISS, "usearch", "numpy", "argpartition")
FAST = ("vtsearch", *FAISS)
READS = ("read: sum uint64", "read: sum uint32", "read: xor", "read: max int64")
SCORERS = ("vtsearch", "literature")
SEARCHERS = ("vtsearch", "scan", *FAISS)
MASKED = ("vtsearch", "no mask", "FAISS bitmap")
SHUFFLED, RANDOM = "vtsearch, shuffled items", "vtsearch, random codes"


OPERATIONS = {  # and what k is for it
    "rank": "k = ",
    "tables": "tables, k = ",  # rank by a MultiIndex
    "map": "mAP@",
    "evaluate": "evaluate, k = ",
    "deduplicate": "deduplicate, radius ",
    "pack": "pack",
}


@dataclass(frozen=True)
class Case:
    """One row. ``required`` bounds figures (see results.Row.figure) for one thread on AVX-512 with VPOPCNTDQ."""

    operation: str  # one of OPERATIONS
    bits: int
    queries: int
    items: int
    k: int | None  # None is all
    required: Mapping[str, float] = field(default_factory=dict)
    codes: str = "random"  # one of samples.KINDS
    contenders: tuple[str, ...] = RANKERS
    isa: str | None = None  # None is the best of the machine
    panels: tuple[str, ...] = ()  # of the plot

    @property
    def name(self) -> str:
        k = "" if self.operation == "pack" else "all" if self.k is None else f"{self.k:,}"
        words = f"{self.bits} bits", f"{self.queries:,} x {self.items:,}", OPERATIONS[self.operation] + k
        return ", ".join([*words, *filter(None, [self.isa, "" if self.codes == "random" else self.codes])])

    @property
    def pairs(self) -> int:
        return self.queries * self.items

    def shrunk(self) -> Case:
        """The same row so small that it takes no time."""
        k = self.k if self.k is None or self.operation == "deduplicate" else max(self.k // 10, 1)
        items = max(self.items // 100, k or 1)
        return replace(self, queries=min(self.queries, 4), items=items, k=k)


def rank(bits: int, queries: int, items: int, k: int | None, required: Mapping[str, float] | None = None, **more):
    return Case("rank", bits, queries, items, k, required or {}, **more)


def tables(queries: int, codes: str, required: Mapping[str, float] | None = None):
    return Case("tables", 64, queries, 10_000_000, 10, required or {}, codes=codes, contenders=SEARCHERS)


def masked(queries: int, share: str, least: float = 0.91):
    """A mask costs at most a tenth; one that allows little saves half."""
    required = {"no mask": least}
    return rank(64, queries, 10_000_000, 10, required, codes=f"{share} % allowed", contenders=MASKED)


def forced(isa: str, bits: int, queries: int, items: int, k: int | None, required: Mapping[str, float]):
    """FAISS is held to the same instructions."""
    reads = READS if "read" in required else ()
    return rank(bits, queries, items, k, required, isa=isa, contenders=(*FAST, *reads))


def ordered(codes: str, *others: str):
    """Codes whose order or sameness could hurt, against the same speed without: at most half of it may be lost."""
    required = dict.fromkeys(others[:1], 0.5)
    return rank(64, 1_000, 54_000, 1_000, required, codes=codes, contenders=("vtsearch", *others, *FAISS))


SECTIONS = {
    "Ranking": [
        rank(64, 1_000, 54_000, 1, panels=("k",)),
        rank(
            64,
            1_000,
            54_000,
            10,
            {"FAISS": 12, "one thread": 1.9},
            panels=("k",),
            contenders=(*RANKERS, "sqlite-vec", "vtsearch, kept results"),
        ),
        rank(64, 1_000, 54_000, 100, {"FAISS": 10}, panels=("k", "bits"), contenders=(*RANKERS, "sqlite-vec")),
        rank(64, 1_000, 54_000, 1_000, {"FAISS": 6, "Gpairs/s": 5.7}, panels=("k",)),
        rank(64, 1_000, 54_000, 5_000, {"FAISS": 5, "Gpairs/s": 2.4}, panels=("k",)),
        rank(64, 100, 54_000, None, {"FAISS": 4, "numpy": 1.2, "Gpairs/s": 0.85, "one thread": 1.5}, panels=("k",)),
        rank(32, 1_000, 54_000, 10, {"FAISS": 20}),
        rank(32, 1_000, 54_000, 100, {"FAISS": 12}, panels=("bits",)),
        rank(32, 1_000, 54_000, 1_000, {"FAISS": 6}),
        rank(16, 1_000, 54_000, 10, {"FAISS": 60}),
        rank(16, 1_000, 54_000, 100, {"FAISS": 40}, panels=("bits",)),
        rank(16, 1_000, 54_000, 1_000, {"FAISS": 12}),
        rank(128, 1_000, 54_000, 10, {"FAISS": 7}),
        rank(128, 1_000, 54_000, 100, {"FAISS": 6}, panels=("bits",)),
        rank(256, 1_000, 54_000, 100, panels=("bits",)),
        rank(16, 128, 54_000, 1_000, contenders=("vtsearch", "vtsearch, kept results", *FAISS)),
        rank(64, 1_000, 1_000_000, 10, {"Gpairs/s": 20}),
        rank(64, 16, 1_000_000, 10, {"one thread": 1.8}, contenders=FAST),
    ],
    "Small calls": [
        rank(64, 1, 100, 10, {"FAISS": 1}, contenders=FAST),
        rank(64, 1, 1_000, 10, {"FAISS": 1}, contenders=FAST),
        rank(64, 1, 2_000, 10, {"FAISS": 1}, contenders=FAST),
        rank(64, 16, 100, 10, {"FAISS": 1}, contenders=FAST),
    ],
    "Masks": [
        masked(1, "0.1", 2),
        *(masked(1, share) for share in ("1", "10", "50", "90", "99")),
        *(masked(64, share) for share in ("0.1", "10", "90")),
        rank(64, 64, 1_000_000, 10, codes="50 % allowed, by query", contenders=("vtsearch", "no mask")),
    ],
    "Codes of ten classes": [
        rank(64, 1_000, 54_000, 10, codes="ten classes"),
        rank(64, 1_000, 54_000, 100, codes="ten classes"),
        rank(64, 1_000, 54_000, 1_000, codes="ten classes"),
        rank(64, 1_000, 54_000, 5_000, codes="ten classes"),
    ],
    "Size of the database": [
        rank(64, 64, 1_000, 100, panels=("items",)),
        rank(64, 64, 10_000, 100, panels=("items",)),
        rank(64, 64, 100_000, 100, panels=("items",)),
        rank(64, 64, 1_000_000, 100, {"FAISS": 14, "one thread": 1.8}, panels=("items",)),
        rank(64, 64, 10_000_000, 100, panels=("items",)),
    ],
    "One query, bound by memory": [
        rank(
            64,
            1,
            10_000_000,
            10,
            {"FAISS": 2, "read": 0.85, "one thread": 1},
            contenders=("vtsearch", *FAISS, "usearch", "numpy", *READS),
        ),
    ],
    "Tables instead of a scan": [
        tables(1, "clusters", {"scan": 50}),
        tables(64, "clusters", {"scan": 10}),
        tables(1, "random", {"scan": 0.91}),
        tables(64, "random", {"scan": 0.91}),
    ],
    "Codes in an order that could hurt": [
        ordered("by class", SHUFFLED, RANDOM),
        ordered("far to near", SHUFFLED, RANDOM),
        ordered("all equal", RANDOM),
        ordered("five codes", RANDOM),
    ],
    "Forced instruction sets": [
        forced("avx2", 64, 1_000, 54_000, 10, {"FAISS": 5}),
        forced("avx2", 64, 16, 2_000_000, 10, {"FAISS": 5}),
        forced("avx2", 128, 1_000, 54_000, 10, {"FAISS": 5}),
        forced("avx2", 64, 100, 54_000, None, {"FAISS": 5}),
        forced("avx2", 64, 1, 10_000_000, 10, {"FAISS": 1, "read": 0.9}),
        forced("scalar", 64, 1_000, 54_000, 10, {"FAISS": 1}),
        forced("scalar", 64, 1, 10_000_000, 10, {"FAISS": 1}),
        forced("scalar", 128, 1_000, 54_000, 10, {"FAISS": 1}),
    ],
    "Mean average precision": [
        Case(
            "map",
            64,
            1_000,
            54_000,
            None,
            {"literature": 100, "Gpairs/s": 4, "MiB": 64},
            codes="ten classes",
            contenders=(*SCORERS, "numpy"),
        ),
        Case("map", 64, 5_000, 117_218, 5_000, {"Gpairs/s": 3}, codes="80 labels", contenders=SCORERS),
        Case("map", 64, 1, 1_000, None, {"seconds": 40e-6}, codes="ten classes", contenders=SCORERS),
        Case(
            "evaluate",
            64,
            5_000,
            117_218,
            5_000,
            {"seconds": 1, "mAP alone": 1 / 6},
            codes="80 labels",
            contenders=("vtsearch", "mAP alone"),
        ),
    ],
    "Duplicates": [
        Case("deduplicate", 64, 1, 1_000_000, 3, {"seconds": 1}, contenders=("vtsearch",)),
        Case("deduplicate", 64, 1, 1_000_000, 4, {"seconds": 1}, contenders=("vtsearch",)),
        Case("deduplicate", 64, 1, 1_000_000, 4, codes="clusters", contenders=("vtsearch",)),
        Case("deduplicate", 64, 1, 10_000_000, 4, {"seconds": 30}, contenders=("vtsearch",)),
    ],
    "Packing, in Gcodes/s": [
        Case("pack", 64, 1, 1_000_000, None, {"Gpairs/s": 0.09}, codes=dtype, contenders=("vtsearch", "numpy"))
        for dtype in ("float32", "float16", "int8", "bool")
    ],
}
