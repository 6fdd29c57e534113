"""How much memory a call takes beyond its inputs: a process of its own loads them, calls, and tells its peak."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from synthetic_codes import Sample

from vtsearch import metrics

LABELLED = ("queries", "database", "query_labels", "db_labels")
MEBIBYTE = 1024  # of the KiB that Linux counts


def peak_mebibytes(sample: Sample, k: int | None) -> float:
    """Growth of the peak resident memory while mAP@k is computed on all threads."""
    with tempfile.TemporaryDirectory() as folder:
        for name in LABELLED:
            np.save(Path(folder, f"{name}.npy"), getattr(sample, name))
        command = [sys.executable, __file__, folder, "" if k is None else str(k)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak() -> int:
    """KiB; not getrusage, whose peak is inherited from the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main(folder: str, k: str) -> None:
    arrays = [np.load(Path(folder, f"{name}.npy")) for name in LABELLED]
    before = peak()
    metrics.mean_average_precision(*arrays, int(k) if k else None)
    print((peak() - before) / MEBIBYTE)


if __name__ == "__main__":
    main(*sys.argv[1:])
