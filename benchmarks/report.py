"""The pages of a run: docs/benchmarks.md with every row, the README's short table, the plot that both show."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import plot
from cases import Case
from results import ENGINE, Results, Row, Verdict

NUMPY = {"rank": ("numpy", "argpartition"), "map": ("literature",)}
README_BLOCK = re.compile(r"(?<=<!-- make bench writes this -->\n).*?(?=<!-- to here -->)", re.DOTALL)

INTRODUCTION = """\
# Benchmarks

Written by `make bench` in one run, {date}: {processor}, threads: {threads}, instruction set {instruction set}.
Python {python}, numpy {numpy}, FAISS {faiss-cpu}, usearch {usearch}, sqlite-vec {sqlite-vec}.

![Gpairs/s against k, bits and the size of the database](images/benchmarks.png)

Gpairs/s are 10^9 comparisons of a query with a database code per second, results included. In every round each
contender has its turn on the same arrays; its best turn counts, in CPU time for one thread and by the wall clock for
all. Every answer is checked: distances equal, the engine's indices equal to `vtsearch.reference` for a few queries and
to numpy for all that numpy is given. Codes are uniformly random where nothing else is said.

- *FAISS heap*, *FAISS count*: `IndexBinaryFlat` with `use_heap` on and off; a ratio is against the better one; where
  an instruction set is forced, FAISS is set to the same level; *FAISS bitmap*: with an `IDSelectorBitmap`
- *usearch*: `search(..., MetricKind.Hamming, exact=True)`
- *sqlite-vec*: a `vec0` table of `bit[64]` in memory, one query at a time
- *no mask*, *scan*, *kept results*: the engine without the mask, without tables, with arrays to fill (`out=`)
- *numpy*: `bitwise_count`, a threshold from `bincount`, a stable sort of what is below it; for k = all a stable (radix)
  `argsort`; for mAP the literature's loop with integers in place of floats
- *argpartition*: `bitwise_count`, `argpartition`, a sort of the first k; ties at the cut fall at random
- *literature*: the evaluation loop of the hashing literature, written anew: float products and an unstable sort
- *read*: a plain reduction over the bytes of the database, the fastest of which is the speed of reading

The time of *usearch*, *sqlite-vec*, *numpy*, *argpartition* and *literature* is a time per query; where the queries are
many they get the first of them. The last column has the ratios, and in brackets what is required on AVX-512 with
VPOPCNTDQ; what falls short is **bold**.
"""


def write(results: Results, output: Path) -> str:
    """Write the pages; gives their names."""
    page, picture, readme = (
        output / "docs" / "benchmarks.md",
        output / "docs" / "images" / "benchmarks.png",
        output / "README.md",
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(plot.figure(results))
    page.write_text(full_page(results))
    if readme.exists():
        short = short_table(results)
        readme.write_text(README_BLOCK.sub(lambda _: short, readme.read_text()))
    return f"{page.name}, {picture.name}"


def line(row: Row) -> str:
    """One row, for the terminal."""
    speeds = ", ".join(f"{name} {speed:.3g}" for name, speed in row.one.items())
    return f"{row.case.name}: {speeds} Gpairs/s; {ratios(row)}"


# ---------------------------------------------------------------------------------------------------------------------
# The full page


def full_page(results: Results) -> str:
    parts = [INTRODUCTION.format_map(results.machine), summary(results)]
    sections = itertools.groupby(results.rows, key=lambda row: row.section)
    parts += [f"## {title}\n\n{one_thread(list(rows))}" for title, rows in sections]
    if any(row.all for row in results.rows):
        parts.append(f"## All threads\n\n{all_threads(results)}")
    return "\n".join(parts)


def summary(results: Results) -> str:
    verdicts = [verdict for row in results.rows for verdict in row.verdicts()]
    return f"{sum(verdict.met for verdict in verdicts)} of {len(verdicts)} requirements are met.\n"


def one_thread(rows: list[Row]) -> str:
    names = columns(row.one for row in rows)
    head = ["one thread, Gpairs/s", *names, "ratio (required)"]
    return table(head, ([row.case.name, *cells(row.one, names), ratios(row)] for row in rows))


def all_threads(results: Results) -> str:
    rows = [row for row in results.rows if row.all]
    names = [name for name in columns(row.all for row in rows) if not name.startswith(f"{ENGINE},")]
    head = [f"{results.machine['threads']} threads, Gpairs/s", *names, "times one thread"]
    return table(head, ([row.case.name, *cells(row.all, names), f"{row.figure('one thread'):.2f}"] for row in rows))


def columns(speeds: Iterable) -> list[str]:
    """Every contender that some row has, in order."""
    return list(dict.fromkeys(itertools.chain.from_iterable(speeds)))


def cells(speeds, names: list[str]) -> list[str]:
    return [f"{speeds[name]:.3g}" if name in speeds else "" for name in names]


def ratios(row: Row) -> str:
    """What is required of a row; where nothing is, the ratio to FAISS."""
    faiss = row.figure("FAISS")
    return ", ".join(map(worded, row.verdicts())) or (f"{times(faiss)} FAISS" if faiss else "")


def worded(verdict: Verdict) -> str:
    name, found, bound, met = verdict
    absolute = name in {"MiB", "Gpairs/s", "seconds"}
    text = f"{found:.3g} {name} ({bound:g})" if absolute else f"{times(found)} {name} ({bound:.3g})"
    return text if met else f"**{text}**"


def times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:,.0f}x" if ratio >= 100 else f"{ratio:.3g}x"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


# ---------------------------------------------------------------------------------------------------------------------
# The README's table: rows that differ in k alone are one


def short_table(results: Results) -> str:
    rows = [row for row in results.rows if row.case.operation == "map" or is_a_promise(row.case)]
    head = ["", "Gpairs/s", "times FAISS", "times numpy"]
    groups = itertools.groupby(rows, key=what)
    machine = "One thread of {processor} ({instruction set}), {date}; FAISS {faiss-cpu} in its better mode:\n\n"
    return machine.format_map(results.machine) + table(head, (short_row(name, list(group)) for name, group in groups))


def is_a_promise(case: Case) -> bool:
    return case.isa is None and "FAISS" in case.required


def what(row: Row) -> str:
    case = row.case
    return f"{'`rank`' if case.operation == 'rank' else 'mAP'}, {case.bits} bits, {case.queries:,} x {case.items:,}"


def short_row(name: str, rows: list[Row]) -> list[str]:
    k = each("all" if row.case.k is None else f"{row.case.k:,}" for row in rows)
    speeds = each(f"{row.one[ENGINE]:.3g}" for row in rows)
    return [
        f"{name}, k = {k}",
        speeds,
        each(times(row.figure("FAISS")) for row in rows),
        each(map(against_numpy, rows)),
    ]


def against_numpy(row: Row) -> str:
    """The fastest of the numpy contenders."""
    return times(min(filter(None, map(row.figure, NUMPY[row.case.operation])), default=None))


def each(texts: Iterable[str]) -> str:
    return " / ".join(filter(None, texts))
