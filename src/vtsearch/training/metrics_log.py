"""metrics.jsonl: one JSON object per line, the machine-readable record of a run."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

from vtsearch._json import read_json_lines
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from vtsearch.training.trackers import Trackers


class MetricsLog:
    """An append-only log that can be truncated to the length at a checkpoint."""

    def __init__(self, path: Path | None, trackers: Trackers | None = None) -> None:
        """Open the log; with None, in all processes but the main one, nothing is written.

        Args:
            path: of the file.
            trackers: get a copy of each line, after it is in the file.
        """
        self._file = None if path is None else path.open("ab")
        self._trackers = None if path is None else trackers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._trackers is not None:
            self._trackers.finish()

    def write(self, event: str, **fields: Any) -> None:
        """Append one line and flush it, so that readers see whole lines even after a crash."""
        if self._file is not None:
            self._file.write(json.dumps({"event": event, **fields}).encode() + b"\n")
            self._file.flush()
        if self._trackers is not None:
            self._trackers.log(event, fields)

    def sync(self) -> int:
        """Sync the log to disk; returns its length in bytes, for the checkpoint."""
        if self._file is None:
            return 0
        os.fsync(self._file.fileno())
        return self._file.tell()

    def cut(self, length: int) -> None:
        """Truncate the log to `length` bytes; the resumed run writes the lines after it again.

        Raises:
            VtsearchError: the file is shorter, so lines were lost.
        """
        if self._file is None:
            return
        size = self._file.seek(0, os.SEEK_END)
        if size < length:
            raise VtsearchError(f"{self._file.name}: expected the {length} bytes of the checkpoint, got {size}")
        self._file.truncate(length)
        self._file.seek(length)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The events of a metrics.jsonl, oldest first.

    Raises:
        VtsearchError: a line that is no JSON object; names the line.
    """
    return read_json_lines(path)
