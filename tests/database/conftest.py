from __future__ import annotations

import itertools

import numpy as np
import pytest

from vtsearch import _database


@pytest.fixture(params=[1, 100], ids=["ranges of 8 items", "ranges of 100 bytes"])
def small_ranges(request, monkeypatch):
    for name in ("RANGE_BYTES", "REPORTED_PAIRS", "FEWEST_REPORTED"):
        monkeypatch.setattr(_database, name, request.param)


@pytest.fixture
def mapped(tmp_path):
    """An array as a file: mapped(array, mode)."""
    numbers = itertools.count()

    def write(array, mode="r"):
        path = tmp_path / f"{next(numbers)}.npy"
        np.save(path, array)
        return np.load(path, mmap_mode=mode)

    return write
