"""Calls give back all the memory that they take, whatever their end: an answer, an error, Ctrl-C."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal

import numpy as np
import pytest
from strategies import seeded_codes

from vtsearch import _native, metrics, ranking

pytestmark = pytest.mark.slow

CODES = seeded_codes(0, 600, 64)
LABELS = np.arange(len(CODES)) % 7
WEIGHTS = np.resize(np.arange(64), (len(CODES), 64)).astype(np.uint8)
CALLS = {
    "rank": lambda: ranking.rank(CODES, CODES, 50),
    "rank of a few": lambda: ranking.rank(CODES[:3], CODES, 50),
    "rank with weights": lambda: ranking.rank(CODES, CODES, 50, weights=WEIGHTS),
    "within": lambda: ranking.within(CODES, CODES, 25),
    "distances": lambda: ranking.distances(CODES, CODES),
    "histogram": lambda: ranking.histogram(CODES, CODES, mask=LABELS < 3),
    "relevance": lambda: metrics.relevance_histograms(CODES, CODES, LABELS, LABELS, gains=True),
    "precision by index": lambda: metrics.average_precision(CODES, CODES, LABELS, LABELS, ties="index"),
    "precision": lambda: metrics.average_precision(CODES, CODES, LABELS, LABELS),
}
REFUSED = {
    "widths": lambda: _native.rank(CODES, CODES[:, :5].copy(), 3, None, 1, None),
    "dtypes": lambda: _native.rank(CODES, CODES.astype(np.int16), 3, None, 1, None),
    "masks": lambda: _native.histogram(CODES, CODES, np.zeros(3, dtype=np.uint8), 1),
    "threads": lambda: _native.within(CODES, CODES, 3, None, 0),
    "weights": lambda: _native.rank(CODES, CODES, 3, None, 1, WEIGHTS + 1),
}


class MemoryInfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [(name, ctypes.c_size_t) for name in ("a", "b", "c", "d", "mapped", "e", "f", "in_use", "g", "h")]


def allocated_bytes():
    """Bytes of the C heap that are in use now, as a sanitizer or else glibc knows them."""
    gc.collect()
    process = ctypes.CDLL(None)
    if hasattr(process, "__sanitizer_get_current_allocated_bytes"):
        process.__sanitizer_get_current_allocated_bytes.restype = ctypes.c_size_t
        return process.__sanitizer_get_current_allocated_bytes()
    if not hasattr(process, "mallinfo2"):
        pytest.skip("needs glibc 2.33 or a sanitizer")
    process.mallinfo2.restype = MemoryInfo
    info = process.mallinfo2()
    return info.in_use + info.mapped


def leaked_bytes(call, turns):
    """What a call leaves behind, on average; the first ones may fill caches."""
    for _ in range(10):
        call()
    before = allocated_bytes()
    for _ in range(turns):
        call()
    return (allocated_bytes() - before) / turns


@pytest.mark.parametrize("call", CALLS)
def test_answers_leave_nothing_behind(isa, call):
    assert leaked_bytes(CALLS[call], turns=100) < 32


@pytest.mark.parametrize("refused", REFUSED)
def test_refused_calls_leave_nothing_behind(refused):
    def call():
        with pytest.raises((TypeError, ValueError)):
            REFUSED[refused]()

    assert leaked_bytes(call, turns=100) < 32


class StopCallError(Exception):
    """What the signal's handler raises."""


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupted_calls_leave_nothing_behind(threads):
    codes = seeded_codes(0, 60_000, 512)
    interrupted = []

    def stop(*_):
        interrupted.append(True)
        raise StopCallError

    def call():
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with contextlib.suppress(StopCallError):
            ranking.within(codes, codes, 100, threads=threads)

    before = signal.signal(signal.SIGALRM, stop)
    try:
        assert leaked_bytes(call, turns=10) < 1024
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(interrupted) == 20
