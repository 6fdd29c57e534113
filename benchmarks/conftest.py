"""Benchmarks run under --benchmark-only alone; what they print at the end are ratios within the run."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from vtsearch import _native

QUERIES, ITEMS, CLASSES = 1_000, 54_000, 10


def pytest_ignore_collect(collection_path, config):  # noqa: ARG001  pytest names it
    """A plain pytest passes the benchmarks by."""
    return None if config.option.benchmark_only else True


@functools.cache
def retrieval(bits):
    """Codes as training makes them, 10 classes whose bits are each flipped with chance 0.15, and their labels."""
    rng = np.random.default_rng(bits)
    centers = rng.integers(0, 2, (CLASSES, bits), dtype=np.uint8)
    labels = rng.integers(0, CLASSES, QUERIES + ITEMS)
    flips = rng.random((len(labels), bits)) < 0.15
    codes = np.packbits(centers[labels] ^ flips, axis=1)
    return codes[:QUERIES], codes[QUERIES:], labels[:QUERIES], labels[QUERIES:]


@pytest.fixture
def data():
    return retrieval


@pytest.fixture
def native():
    """Make an instruction set the active one: native("avx2")."""
    before = _native.active_isa()
    yield _native.use_isa
    _native.use_isa(before)


@pytest.fixture
def measure(benchmark):
    """Time a contender of a group, record what it did, and give back its result."""

    def run(group, contender, call, *, pairs, rounds, threads=1):
        benchmark.group = group
        benchmark.extra_info.update(contender=contender, isa=_native.active_isa(), threads=threads)
        result = benchmark.pedantic(call, rounds=rounds, iterations=1, warmup_rounds=1 if rounds > 1 else 0)
        benchmark.extra_info["pairs_per_s"] = round(pairs / benchmark.stats.stats.min)
        return result

    return run


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    groups = {}
    for measured in session.benchmarks if session else ():
        if "contender" in measured.extra_info:
            groups.setdefault(measured.group, {})[measured.extra_info["contender"]] = measured.stats.min
    for group, seconds in groups.items():
        others = [name for name in seconds if not name.startswith("native")]
        ratios = [
            f"{name} " + ", ".join(f"{seconds[other] / seconds[name]:.1f}x {other}" for other in others)
            for name in seconds
            if name not in others
        ]
        terminalreporter.write_line(f"{group}: {' | '.join(ratios)}")
