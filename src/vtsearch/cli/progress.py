"""Progress on stderr: bars on terminals; of long work a line a minute elsewhere. Remarks on stderr."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from vtsearch.encoding.batches import StageSeconds

SHOWN_AFTER_S = 1.0
LINE_EVERY_S = 60.0


def show_remarks(command: str, remarks: Iterable[str]) -> None:
    """Print sentences about what a command left out or took in doubt, a line each, on stderr."""
    for remark in remarks:
        print(f"vtsearch {command}: warning: {remark}", file=sys.stderr)


class EncodingReport:
    """Progress of an encoding on stderr: a bar on a terminal, one line a minute elsewhere."""

    def __init__(self, prefix: str = "", *, every: float = LINE_EVERY_S) -> None:
        """Args: prefix: of each line; every: seconds between two lines."""
        self._prefix, self._every = prefix, every
        self._bar: Any = None
        self._total = self._done = self._fresh = 0
        self._seconds: StageSeconds | None = None
        self._began = self._line_at = time.monotonic()

    def start(self, done: int, total: int) -> None:
        """Begin at ``done`` of ``total`` images."""
        from tqdm import tqdm

        self._total, self._done = total, done
        self._began = self._line_at = time.monotonic()
        if sys.stderr.isatty() and not self._prefix:
            self._bar = tqdm(total=total, initial=done, desc="encoding", unit=" images", file=sys.stderr)

    def advance(self, images: int, seconds: StageSeconds) -> None:
        """Count a batch."""
        self._done, self._fresh = self._done + images, self._fresh + images
        self._seconds = seconds if self._seconds is None else self._seconds.plus(seconds)
        if self._bar is not None:
            self._bar.update(images)
        elif time.monotonic() - self._line_at >= self._every:
            self._line_at = time.monotonic()
            left = timedelta(seconds=round((self._total - self._done) / self.images_per_second))
            share = 100 * self._done // self._total
            self._line(f"{self._done:,} of {self._total:,} images ({share} %), {self._speed()}, {left} left")

    def note(self, text: str) -> None:
        """Print a line."""
        self._line(text)

    @property
    def images_per_second(self) -> float:
        """Of the images of this run."""
        return self._fresh / max(time.monotonic() - self._began, 1e-9)

    def summary(self) -> str:
        """``1,163 images/s; decoding 12.1 s, model 33.0 s, waiting for images 3.5 s``."""
        if self._seconds is None:
            return self._speed()
        decode, model, waiting = self._seconds
        return f"{self._speed()}; decoding {decode:,.1f} s, model {model:,.1f} s, waiting for images {waiting:,.1f} s"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if isinstance(error, KeyboardInterrupt) and self._done:
            self._line(f"{self._done:,} of {self._total:,} images are encoded; the same command continues")

    def _speed(self) -> str:
        return f"{self.images_per_second:,.0f} images/s"

    def _line(self, text: str) -> None:
        print(f"vtsearch encode: {self._prefix}{text}", file=sys.stderr, flush=True)


@contextmanager
def scanning(label: str) -> Iterator[Callable[[int, int], object] | None]:
    """A progress bar of a scan, shown after a second; yields a function of items done and items in total.

    Searching needs no extra: without tqdm there is no bar either.
    """
    if not sys.stderr.isatty() or find_spec("tqdm") is None:
        yield None
        return
    from tqdm import tqdm

    with tqdm(desc=label, unit=" items", unit_scale=True, file=sys.stderr, delay=SHOWN_AFTER_S, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
