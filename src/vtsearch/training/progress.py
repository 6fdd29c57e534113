"""Progress output of a run: a bar on a terminal, one line per epoch elsewhere, or nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vtsearch.encoding.progress import counting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

REFRESH_S = 0.5


class Progress:
    """Progress output of the training loop; None as stream prints nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._terminal = stream is not None and stream.isatty()
        self._bar: Any = None
        self._total = self._done = self._begun_with = 0
        self._paused = 0.0
        self._began = self._shown = time.monotonic()

    def start(self, total: int, done: int) -> None:
        """Start the bar at `done` of `total` images."""
        self._total, self._done, self._begun_with = total, done, done
        self._began, self._paused = time.monotonic(), 0.0
        if self._terminal:
            self._bar = tqdm(total=total, initial=done, unit=" images", file=self._stream, dynamic_ncols=True)

    def step(self, images: int, label: str, loss: Callable[[], float]) -> None:
        """Advance by a batch; `loss` is called only when shown, because it synchronizes with the device."""
        self._done += images
        if self._bar is None:
            return
        self._bar.update(images)
        if time.monotonic() - self._shown > REFRESH_S:
            self._shown = time.monotonic()
            self._bar.set_description(label, refresh=False)
            self._bar.set_postfix_str(f"loss {loss():.4f}")

    def epoch(self, label: str, loss: float) -> None:
        """Report a finished epoch."""
        if self._bar is None:
            left = timedelta(seconds=round((self._total - self._done) / max(self.images_per_second, 1e-9)))
            self.note(f"{label}  loss {loss:.4f}  {self.images_per_second:.0f} images/s  {left} left")

    def note(self, text: str) -> None:
        """Print a line."""
        if self._stream is None:
            return
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            self._stream.write(f"{text}\n")
            self._stream.flush()

    @contextmanager
    def counting(self, label: str, total: int) -> Iterator[Callable[[int], object]]:
        """A bar over other work on `total` images, excluded from the training time; yields its update function."""
        began = time.monotonic()
        with counting(label, total, self._stream) as update:
            yield update
        self._paused += time.monotonic() - began

    def stop(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    @property
    def images_per_second(self) -> float:
        """Training speed since `start`, without the time in `counting`."""
        return (self._done - self._begun_with) / max(time.monotonic() - self._began - self._paused, 1e-9)
